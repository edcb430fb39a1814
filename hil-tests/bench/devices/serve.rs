//! The process that has the devices.

use super::{ONE_DEAD_OF, Ports};
use gridloop_clock::{SharedClock, WallClock};
use gridloop_modbus::simulated::{Fault, InverterSettings, serve_inverter};
use gridloop_plant::{LivePlant, PvInverter, PvInverterSettings, Series};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves devices until the standard input ends. Of the dead ones every other refuses connections.
pub(super) async fn serve(devices: usize, some_dead: bool) -> anyhow::Result<()> {
    let clock: SharedClock = Arc::new(WallClock::start()?);
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut ports = Ports::default();
    let mut servers = Vec::new();
    for number in 0..devices {
        let is_dead = some_dead && number % ONE_DEAD_OF == 0;
        if is_dead && (number / ONE_DEAD_OF) % 2 == 1 {
            // Nobody listens there any more.
            ports.dead.push(TcpListener::bind(anywhere).await?.local_addr()?.port());
            continue;
        }
        let inverter = PvInverter::new(PvInverterSettings::typical(8000.0, Series::constant(800.0)))?;
        let plant = LivePlant::new(inverter, clock.clone());
        let server = serve_inverter(anywhere, plant, InverterSettings::default(), clock.clone()).await?;
        if is_dead {
            server.knobs().set(Fault::Silence);
        }
        let list = if is_dead { &mut ports.dead } else { &mut ports.alive };
        list.push(server.local_addr().port());
        servers.push(server);
    }
    println!("{}", serde_json::to_string(&ports)?);
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
