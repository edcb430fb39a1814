//! Who is in control of a device: model 715, with the heartbeats of both sides. [`Heartbeat`] judges the device's,
//! [`beat`] gives ours.
//!
//! The device counts DERHb up every second, the controller ControllerHb; both may start again from zero. A DERHb that
//! stands still means that nobody behind the registers renews them, however well they answer.

use super::block::Block;
use super::discovery::Located;
use crate::link::Link;
use gridloop_clock::MonoTime;
use gridloop_device::{DeviceError, Renewal};
use std::time::Duration;

/// The model.
pub(super) const MODEL: u16 = 715;
/// How long DERHb may stand still: three of its periods of a second.
const STANDSTILL: Duration = Duration::from_secs(3);
/// How often ControllerHb is to count up: the device task renews a command after a third of its fail-safe time.
pub(super) const CONTROLLER_SILENCE: Duration = Duration::from_secs(3);
/// The value of LocRemCtl that stands for local control.
const LOCAL: f64 = 1.0;

/// What is known of DERHb.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heartbeat {
    /// Its last value, and when it was first seen.
    last: Option<(f64, MonoTime)>,
}

impl Heartbeat {
    /// Whether the device is alive behind its registers, given a reading of model 715. One that does not implement
    /// DERHb cannot be judged.
    pub(super) fn lives(&mut self, block: &Block) -> bool {
        let Ok(Some(beat)) = block.named("DERHb") else { return true };
        match self.last {
            Some((last, since)) if last == beat => block.read_at.since(since) < STANDSTILL,
            _ => {
                self.last = Some((beat, block.read_at));
                true
            }
        }
    }
}

/// Whether the device takes no commands from outside.
pub(super) fn is_local(block: &Block) -> bool {
    block.named("LocRemCtl") == Ok(Some(LOCAL))
}

/// The error of a write to a device that takes none.
pub(super) fn local(operation: &str) -> DeviceError {
    DeviceError::Refused {
        operation: operation.to_owned(),
        reason: "the device is under local control (LocRemCtl of model 715): nothing is written".to_owned(),
    }
}

/// How often ControllerHb has to count, where the device implements it.
pub(super) fn renewal(block: &Block) -> Renewal {
    match block.named("ControllerHb") {
        Ok(Some(_)) => Renewal::Within(CONTROLLER_SILENCE),
        _ => Renewal::No,
    }
}

/// Counts ControllerHb up and reads that back, unless the device is under local control or does not implement it.
pub(super) async fn beat(link: &Link, control: Located, operation: &str) -> Result<(), DeviceError> {
    let Located { place, model } = control;
    let block = Block::read(link, place, model).await?;
    if is_local(&block) {
        return Err(local(operation));
    }
    let Some(point) = model.point("ControllerHb") else { return Ok(()) };
    let Some(last) = block.number(point).ok().flatten() else { return Ok(()) };
    // The counter starts again before the pattern that means "not implemented".
    let next = if last >= f64::from(u32::MAX - 1) { 0.0 } else { last + 1.0 };
    let refused =
        |reason: String| DeviceError::Refused { operation: "write ControllerHb".to_owned(), reason };
    let registers = block.encode(point, next).map_err(|error| refused(error.to_string()))?;
    let address = place.address.checked_add(point.offset).ok_or_else(|| DeviceError::Malformed {
        operation: "write ControllerHb".to_owned(),
        reason: "the point lies beyond register 65535".to_owned(),
    })?;
    link.write(point.name, address, &registers).await?;
    let after = Block::read(link, place, model).await?;
    if after.registers(point) != Some(&registers) {
        let held = after.registers(point).unwrap_or_default();
        return Err(refused(format!("asked for {registers:?}, the device holds {held:?}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mut block: Block, seconds: u64) -> Block {
        block.read_at = MonoTime::default() + Duration::from_secs(seconds);
        block
    }

    fn control(beat: u16) -> Block {
        Block::fake(715, &[("LocRemCtl", &[0]), ("DERHb", &[0, beat]), ("ControllerHb", &[0, 0])])
    }

    #[test]
    fn a_heartbeat_that_stands_still_for_three_seconds_is_none() {
        let mut heartbeat = Heartbeat::default();
        let readings = [(7, 0, true), (7, 2, true), (8, 3, true), (8, 5, true), (8, 6, false), (0, 7, true)];
        for (beat, seconds, lives) in readings {
            assert_eq!(heartbeat.lives(&at(control(beat), seconds)), lives, "{beat} at {seconds} s");
        }
        let without = Block::fake(715, &[("LocRemCtl", &[0])]);
        assert!(heartbeat.lives(&at(without.clone(), 100)) && heartbeat.lives(&at(without, 200)));
    }

    #[test]
    fn a_controller_heartbeat_is_wanted_where_it_is_implemented() {
        assert_eq!(renewal(&control(0)), Renewal::Within(CONTROLLER_SILENCE));
        assert_eq!(renewal(&Block::fake(715, &[("LocRemCtl", &[0])])), Renewal::No);
    }

    #[test]
    fn local_control_is_what_the_device_says() {
        assert!(is_local(&Block::fake(715, &[("LocRemCtl", &[1])])));
        assert!(!is_local(&Block::fake(715, &[("LocRemCtl", &[0])])));
        assert!(!is_local(&Block::fake(715, &[])));
    }
}
