//! Plain registers by hand: [`read_registers`], [`write_registers`] and [`write_register`], for looking at a device and
//! for repairing it.

use crate::link::Link;
use crate::register_map::Table;
use crate::session::{LinkSettings, MOST_READ, MOST_WRITTEN};
use gridloop_clock::SharedClock;
use gridloop_device::DeviceError;

/// Connects, and reads `count` registers from `address` on.
///
/// # Errors
/// As the link; also when `count` is 0 or more than one request may ask for (125).
pub async fn read_registers(
    settings: LinkSettings,
    clock: SharedClock,
    table: Table,
    address: u16,
    count: u16,
) -> Result<Vec<u16>, DeviceError> {
    let operation = format!("{count} registers at {address}");
    if !(1..=MOST_READ).contains(&count) {
        return Err(DeviceError::Unsupported {
            operation: format!("read {operation}"),
            reason: format!("a request reads 1 to {MOST_READ}"),
        });
    }
    let mut link = Link::new(settings, clock);
    link.open().await?;
    link.read(&operation, table, address, count).await
}

/// Connects, writes holding registers from `address` on with one request, and gives what they hold afterwards.
///
/// # Errors
/// As the link; also when there are none or more than one request may carry (123). After a timeout the outcome is
/// unknown.
pub async fn write_registers(
    settings: LinkSettings,
    clock: SharedClock,
    address: u16,
    registers: &[u16],
) -> Result<Vec<u16>, DeviceError> {
    let operation = format!("{} registers at {address}", registers.len());
    let count = u16::try_from(registers.len()).unwrap_or(u16::MAX);
    if !(1..=MOST_WRITTEN).contains(&registers.len()) {
        return Err(DeviceError::Unsupported {
            operation: format!("write {operation}"),
            reason: format!("a request writes 1 to {MOST_WRITTEN}"),
        });
    }
    let mut link = Link::new(settings, clock);
    link.open().await?;
    link.write(&operation, address, registers).await?;
    link.read(&operation, Table::Holding, address, count).await
}

/// Connects, writes one holding register with function 06, for devices that do not know function 16, and gives what it
/// holds afterwards.
///
/// # Errors
/// As the link. After a timeout the outcome is unknown.
pub async fn write_register(
    settings: LinkSettings,
    clock: SharedClock,
    address: u16,
    value: u16,
) -> Result<Vec<u16>, DeviceError> {
    let operation = format!("register {address}");
    let mut link = Link::new(settings, clock);
    link.open().await?;
    link.write_one(&operation, address, value).await?;
    link.read(&operation, Table::Holding, address, 1).await
}
