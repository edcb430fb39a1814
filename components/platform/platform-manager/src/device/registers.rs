//! Plain Modbus registers by hand, for looking at a device that nobody has a profile of.

use anyhow::Context as _;
use gridloop_clock::SharedClock;
use gridloop_gateway::{Address, DeviceSettings};
use gridloop_modbus::{LinkSettings, Table, read_registers, write_register, write_registers};

/// Registers that follow on one another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(super) table: Table,
    pub(super) address: u16,
    pub(super) count: u16,
}

/// The link to a device, which has to be one of Modbus.
fn link(settings: &DeviceSettings) -> anyhow::Result<LinkSettings> {
    let Address::At(address) = &settings.address else { anyhow::bail!("registers are behind an address") };
    settings
        .opener
        .modbus_link(address, settings.request_timeout)
        .with_context(|| format!("{address} has no registers: only Modbus devices do"))
}

pub(super) async fn read_range(
    settings: &DeviceSettings,
    range: Range,
    clock: &SharedClock,
) -> anyhow::Result<Vec<u16>> {
    let Range { table, address, count } = range;
    Ok(read_registers(link(settings)?, clock.clone(), table, address, count).await?)
}

/// Writes holding registers, and gives what they hold then.
pub(super) async fn write_range(
    settings: &DeviceSettings,
    first: u16,
    values: &[u16],
    clock: &SharedClock,
) -> anyhow::Result<Vec<u16>> {
    let link = link(settings)?;
    Ok(match values {
        [value] => write_register(link, clock.clone(), first, *value).await?,
        values => write_registers(link, clock.clone(), first, values).await?,
    })
}

pub(super) fn print_registers(address: u16, registers: &[u16]) {
    for (register, value) in (u32::from(address)..).zip(registers) {
        println!("{register:>6}  {value:>6}  0x{value:04x}");
    }
}

pub(super) fn parse_range(text: &str) -> Result<Range, String> {
    let expected = || "expected TABLE:ADDRESS:COUNT, such as holding:40000:2 or input:8:1".to_owned();
    let mut parts = text.split(':');
    let (Some(table), Some(address), Some(count), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(expected());
    };
    let table = match table {
        "holding" => Table::Holding,
        "input" => Table::Input,
        _ => return Err(expected()),
    };
    let address = address.parse().map_err(|_| expected())?;
    let count = count.parse().map_err(|_| expected())?;
    Ok(Range { table, address, count })
}
