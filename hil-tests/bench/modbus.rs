//! Readings of ten registers through our own Modbus device. The floor is the same request and answer as bytes over a
//! plain socket, to the same simulated server.

use crate::figure::{Figure, alternate, per_second};
use anyhow::ensure;
use gridloop_clock::SharedClock;
use gridloop_device::Device;
use gridloop_modbus::simulated::{SimulatedServer, serve_tap_changer};
use gridloop_modbus::{LinkSettings, Profile, RegisterMapDevice, RegisterMapSettings};
use gridloop_plant::{LivePlant, TapChanger, TapChangerSettings};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const READS: &str = "modbus_reads_per_s";

/// Readings of a block.
const READS_PER_BLOCK: u32 = 5000;
/// Registers of a reading, from 0 on.
const REGISTERS: u16 = 10;
/// Transaction 1, protocol 0, 6 bytes, unit 1, function 3, address 0, ten registers.
const REQUEST: [u8; 12] = [0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 10];
/// A header of 7 bytes, the function, the count of bytes, the registers.
const ANSWER_BYTES: usize = 7 + 2 + 20;

pub(crate) async fn reads(clock: &SharedClock) -> anyhow::Result<Figure> {
    let plant = LivePlant::new(TapChanger::new(TapChangerSettings::default())?, clock.clone());
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = serve_tap_changer(anywhere, plant, 1, clock.clone()).await?;
    let work = async || device_reads_per_s(&server, clock).await;
    let floor = async || bare_reads_per_s(&server, clock).await;
    alternate(READS, "reads/s", work, floor).await
}

/// Both sides run in a task, as a device task does.
async fn device_reads_per_s(server: &SimulatedServer, clock: &SharedClock) -> anyhow::Result<f64> {
    let address = server.local_addr().into();
    let link = LinkSettings::new(address, 1, Duration::from_secs(5));
    let settings = RegisterMapSettings { link, profile: profile()? };
    let mut device = RegisterMapDevice::new(settings, clock.clone());
    let clock = clock.clone();
    let reading = tokio::spawn(async move {
        device.connect().await?;
        let began = clock.now();
        for _ in 0..READS_PER_BLOCK {
            ensure!(device.read().await?.points.len() == usize::from(REGISTERS), "points are missing");
        }
        Ok(clock.now().since(began))
    });
    Ok(per_second(READS_PER_BLOCK, reading.await??))
}

async fn bare_reads_per_s(server: &SimulatedServer, clock: &SharedClock) -> anyhow::Result<f64> {
    let mut stream = TcpStream::connect(server.local_addr()).await?;
    stream.set_nodelay(true)?;
    let clock = clock.clone();
    let reading = tokio::spawn(async move {
        let mut answer = [0; ANSWER_BYTES];
        let began = clock.now();
        for _ in 0..READS_PER_BLOCK {
            stream.write_all(&REQUEST).await?;
            stream.read_exact(&mut answer).await?;
            ensure!(answer[7..9] == [3, 20], "the answer is {answer:?}");
        }
        Ok(clock.now().since(began))
    });
    Ok(per_second(READS_PER_BLOCK, reading.await??))
}

/// Ten registers that follow on one another, so that one request reads them all.
fn profile() -> anyhow::Result<Profile> {
    let mut text = "name = \"ten registers\"\n".to_owned();
    for address in 0..REGISTERS {
        writeln!(
            text,
            "[[point]]\nname = \"register_{address}\"\ntable = \"holding\"\naddress = {address}\ntype = \"u16\"\nunit = \"1\""
        )?;
    }
    Ok(Profile::parse("ten-registers.toml", &text)?)
}
