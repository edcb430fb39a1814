//! A tap changer that takes pulses: [`TapChanger`], its commands and what is known of its last pulse.

use super::device::absent;
use super::plan::send;
use super::profile::{TapPulse, WriteFunction};
use crate::link::Link;
use crate::registers::word;
use crate::session::LinkError;
use gridloop_clock::MonoTime;
use gridloop_device::{
    Applied, Command, DeviceError, Snapshot, TapAction, TapReading, TapRules, TapSequencer, TapSettled,
};

/// The commands of a tap changer and what is known of its last pulse, which outlives the connection.
pub(super) struct TapChanger {
    pulse: TapPulse,
    function: WriteFunction,
    sequencer: TapSequencer,
}

impl TapChanger {
    pub(super) fn new(pulse: TapPulse, function: WriteFunction) -> Self {
        let rules = TapRules { max_step: pulse.max_step, confirm_within: pulse.confirm_within };
        Self { pulse, function, sequencer: TapSequencer::new(rules) }
    }

    /// What one reading says of the tap changer. Without position, end stops or mode nothing can be done.
    pub(super) fn reading(&self, snapshot: &Snapshot) -> Result<TapReading, DeviceError> {
        let pulse = &self.pulse;
        let whole = |name: &str| {
            let sample = snapshot.get(name).ok_or_else(|| absent(name))?;
            whole_number(sample.value).ok_or_else(|| DeviceError::Malformed {
                operation: "read the tap changer".to_owned(),
                reason: format!("{name} is {}, not a whole number", sample.value),
            })
        };
        let remote = match &pulse.remote {
            Some((mode, wanted)) => whole(mode)? == *wanted,
            None => true,
        };
        let resting = match &pulse.motor_pause {
            Some(pause) => snapshot.get(pause).ok_or_else(|| absent(pause))?.value > 0.0,
            None => false,
        };
        Ok(TapReading {
            position: whole(&pulse.position)?,
            lowest: whole(&pulse.lowest)?,
            highest: whole(&pulse.highest)?,
            remote,
            resting,
        })
    }

    /// Goes one step further towards a target: a pulse at most.
    pub(super) async fn drive(
        &mut self,
        link: &Link,
        snapshot: &Snapshot,
        target: i32,
    ) -> Result<Applied, DeviceError> {
        let reading = self.reading(snapshot)?;
        match self.sequencer.step(link.now(), &reading, target) {
            TapAction::Reached => Ok(stands(&reading)),
            TapAction::Wait => Ok(Applied::InProgress),
            TapAction::Failed(failure) => Err(refused("write the tap-change command", failure.to_string())),
            TapAction::Pulse(steps) => {
                let written = send(link, self.function, self.pulse.address, &[word(steps.into())]).await;
                if written.as_ref().is_err_and(LinkError::nothing_done) {
                    self.sequencer.not_sent();
                }
                written.map_err(|error| error.writing("the tap-change command"))?;
                Ok(Applied::InProgress)
            }
        }
    }

    /// Where the drive stands, once nothing is left of the pulses sent so far. It sends none.
    pub(super) fn settled(&mut self, now: MonoTime, snapshot: &Snapshot) -> Result<Applied, DeviceError> {
        let reading = self.reading(snapshot)?;
        match self.sequencer.settled(now, &reading) {
            TapSettled::Quiet => Ok(stands(&reading)),
            TapSettled::Moving => Ok(Applied::InProgress),
            TapSettled::Failed(failure) => Err(refused("release the tap changer", failure.to_string())),
        }
    }
}

fn stands(reading: &TapReading) -> Applied {
    Applied::Confirmed { readback: Command::TapPosition(reading.position) }
}

fn refused(operation: &str, reason: String) -> DeviceError {
    DeviceError::Refused { operation: operation.to_owned(), reason }
}

/// A value as a whole number, if it is one of 32 bits.
fn whole_number(value: f64) -> Option<i32> {
    let fits = value.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value);
    #[expect(clippy::cast_possible_truncation, reason = "checked on the line above")]
    fits.then_some(value as i32)
}
