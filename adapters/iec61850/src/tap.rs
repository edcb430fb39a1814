//! A tap changer: what one reading says of it, and when it is told the next step ([`TapChanger`]).

use crate::data::Data;
use crate::plan::{Answers, Plan, TapDrive, TapPlan, whole};
use gridloop_clock::MonoTime;
use gridloop_device::{
    Applied, Command, DeviceError, Quality, TapAction, TapReading, TapRules, TapSequencer, TapSettled,
};

/// What is known of the last command to a tap changer, which outlives the connection.
pub(crate) struct TapChanger {
    sequencer: TapSequencer,
    rules: TapRules,
}

impl TapChanger {
    pub(crate) fn new(plan: &TapPlan) -> Self {
        let rules = rules(plan);
        Self { sequencer: TapSequencer::new(rules), rules }
    }

    /// The connection was made anew: what was under way still is, unless the tap changer is another.
    pub(crate) fn again(&mut self, plan: &TapPlan) {
        if rules(plan) != self.rules {
            *self = Self::new(plan);
        }
    }

    /// What to do about a target, given a reading taken at `now`.
    ///
    /// # Errors
    /// When the reading does not tell for sure where the tap changer stands, or when it takes no commands.
    pub(crate) fn next(
        &mut self,
        now: MonoTime,
        plan: &TapPlan,
        answers: &Answers,
        target: i32,
    ) -> Result<TapAction, DeviceError> {
        let reading = reading(plan, answers)?;
        let block =
            plan.blocks.iter().find(|(cell, _)| Plan::cell(answers, cell) != Some(&Data::Bool(false)));
        if let Some((_, words)) = block.filter(|_| target != reading.position) {
            let quiet = self.sequencer.settled(now, &reading) == TapSettled::Quiet;
            if quiet {
                return Err(refused("move the taps", words.clone()));
            }
        }
        Ok(self.sequencer.step(now, &reading, target))
    }

    /// The last command certainly was not carried out.
    pub(crate) fn not_sent(&mut self) {
        self.sequencer.not_sent();
    }

    /// Where the tap changer stands, once nothing is left of the commands so far. It gives none.
    pub(crate) fn settled(
        &mut self,
        now: MonoTime,
        plan: &TapPlan,
        answers: &Answers,
    ) -> Result<Applied, DeviceError> {
        let reading = reading(plan, answers)?;
        match self.sequencer.settled(now, &reading) {
            TapSettled::Quiet => Ok(Applied::Confirmed { readback: Command::TapPosition(reading.position) }),
            TapSettled::Moving => Ok(Applied::InProgress),
            TapSettled::Failed(failure) => Err(refused("release the tap changer", failure.to_string())),
        }
    }
}

fn rules(plan: &TapPlan) -> TapRules {
    let max_step = match plan.drive {
        // The drive goes to the position in one go.
        Some(TapDrive::Position { .. }) => u16::MAX,
        Some(TapDrive::Steps { .. }) | None => 1,
    };
    TapRules { max_step, confirm_within: plan.confirm_within }
}

/// What the answers say. A position that the IED itself doubts is none.
fn reading(plan: &TapPlan, answers: &Answers) -> Result<TapReading, DeviceError> {
    let told = plan.position.of(answers).ok_or_else(|| malformed("it tells no position".to_owned()))?;
    let (value, quality) = told;
    if quality != Quality::Good {
        return Err(refused("read the tap changer", format!("its position is {quality:?}")));
    }
    let position = whole(value).ok_or_else(|| malformed(format!("position {value} is no whole number")))?;
    let is = |cell: &Option<_>| cell.as_ref().is_some_and(|cell| Plan::is_true(answers, cell));
    Ok(TapReading {
        position,
        lowest: if is(&plan.at_lowest) { plan.lowest.max(position) } else { plan.lowest },
        highest: if is(&plan.at_highest) { plan.highest.min(position) } else { plan.highest },
        remote: true,
        resting: is(&plan.transient),
    })
}

fn refused(operation: &str, reason: String) -> DeviceError {
    DeviceError::Refused { operation: operation.to_owned(), reason }
}

fn malformed(reason: String) -> DeviceError {
    DeviceError::Malformed { operation: "read the tap changer".to_owned(), reason }
}
