//! How one inverter is driven: [`Drive`] reads the control block, writes what is to change, and reads back until the
//! registers hold exactly what was asked, and mean it.
//!
//! What it writes depends on what is known. A timer restarts by being written, so with one everything is written each
//! time. A write that may still be queued somewhere would undo what stands, so after one of unknown outcome, and for
//! a release, everything is written too. Otherwise what stands already is left alone.

use super::block::{Block, Place};
use super::controls::{Controls, Goal, Impossible, Means, Revert, Write};
use super::discovery::{Chain, Located};
use super::nameplate::Ratings;
use super::supervision;
use crate::link::Link;
use crate::session::LinkError;
use gridloop_device::{Applied, Command, DeviceError};

/// The controls of an inverter and what is known of them.
#[derive(Debug)]
pub(super) struct Drive {
    /// The control block.
    pub(super) controls: Located,
    /// Which of its points are driven.
    pub(super) means: Means,
    /// Model 715, which says who is in control and takes our heartbeat.
    pub(super) supervision: Option<Located>,
    /// Whether a new value is taken only after the command was out of force.
    pub(super) reenable: bool,
    /// The ratings as read last.
    pub(super) ratings: Ratings,
    /// The models, among them those that state the ratings.
    pub(super) chain: Chain,
    /// What the device-side timer is to do.
    pub(super) revert: Option<Revert>,
    /// Whether a release has to find the lever of reactive power.
    pub(super) reactive: bool,
    /// Whether a write has reached the device, or may have.
    pub(super) sent: bool,
    /// The last command that was confirmed here.
    pub(super) confirmed: Option<Confirmed>,
}

/// A command and what the registers held when it was confirmed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Confirmed {
    asked: Command,
    readback: Command,
}

/// What the control block held before and after a goal was reached; before, as far as it made sense.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pursued {
    before: Option<Command>,
    after: Command,
}

impl Drive {
    /// Puts a power in force until the timer, if any, is over. `rewrite` asks for writing what stands already.
    pub(super) async fn power(
        &mut self,
        link: &Link,
        command: &Command,
        rewrite: bool,
    ) -> Result<Applied, DeviceError> {
        self.put(link, command, rewrite, self.revert).await
    }

    async fn put(
        &mut self,
        link: &Link,
        command: &Command,
        rewrite: bool,
        revert: Option<Revert>,
    ) -> Result<Applied, DeviceError> {
        let Command::Power { real_power_w, reactive_power_var } = *command else {
            return Err(DeviceError::Unsupported {
                operation: "apply".to_owned(),
                reason: "an inverter takes power only".to_owned(),
            });
        };
        let last = self.confirmed.take();
        let goal = Goal::Power { real_power_w, reactive_power_var };
        self.ratings = Ratings::read(link, &self.chain).await?.ok_or_else(|| DeviceError::Unsupported {
            operation: goal.name().to_owned(),
            reason: "the inverter states its power no longer".to_owned(),
        })?;
        let Pursued { before, after: readback } = self.pursue(link, goal, rewrite, revert).await?;
        self.confirmed = Some(Confirmed { asked: *command, readback });
        let lost = last.is_some_and(|last| last.asked == *command && before != Some(last.readback));
        Ok(if lost { Applied::Restored { readback } } else { Applied::Confirmed { readback } })
    }

    /// Puts a power in force that stays: without a timer, and by writing it whatever stands there, because a late
    /// write must not be the last.
    pub(super) async fn hold(&mut self, link: &Link, command: &Command) -> Result<Applied, DeviceError> {
        self.confirmed = None;
        let applied = self.put(link, command, true, None).await;
        self.confirmed = None;
        applied
    }

    /// Takes everything out of force, by writing it even where it reads as free, for the same reason.
    pub(super) async fn free(&mut self, link: &Link) -> Result<Applied, DeviceError> {
        self.confirmed = None;
        let readback = self.pursue(link, Goal::Free { reactive: self.reactive }, true, None).await?.after;
        Ok(Applied::Confirmed { readback })
    }

    /// Tells what is in force, and changes nothing.
    pub(super) async fn adopt(&mut self, link: &Link) -> Result<Applied, DeviceError> {
        self.confirmed = None;
        let readback = self.pursue(link, Goal::Adopt, false, None).await?.after;
        Ok(Applied::Confirmed { readback })
    }

    /// Makes the control block hold what a goal takes.
    async fn pursue(
        &mut self,
        link: &Link,
        goal: Goal,
        rewrite: bool,
        revert: Option<Revert>,
    ) -> Result<Pursued, DeviceError> {
        let operation = goal.name();
        let before = self.block(link).await?;
        let view = self.view(&before);
        let writes = view.plan(goal, revert).map_err(|error| impossible(operation, &error))?;
        if matches!(goal, Goal::Power { .. }) {
            self.yield_to_rivals(link, operation).await?;
        }
        if let Some(control) = self.supervision.filter(|_| goal != Goal::Adopt) {
            supervision::beat(link, control, operation).await?;
        }
        let first = if self.reenable { view.disable_first(&writes) } else { Ok(Vec::new()) };
        let first = first.map_err(|error| impossible(operation, &error))?;
        self.write(link, &first.iter().collect::<Vec<_>>()).await?;
        let all = rewrite || revert.is_some() || !first.is_empty();
        let due: Vec<&Write> = if all { writes.iter().collect() } else { view.missing(&writes) };
        let done = match self.write(link, &due).await {
            Ok(()) => self.verify(link, &writes).await,
            Err(error) => Err(error),
        };
        if done.as_ref().is_err_and(DeviceError::keeps_link) && !first.is_empty() {
            self.enable_again(link).await?;
        }
        let after = done?;
        let held = self.view(&after).held().map_err(|error| after.malformed(&error))?;
        // The same registers mean something else once the device has changed their scale factor.
        view.check(goal, held)
            .map_err(|reason| DeviceError::Refused { operation: operation.to_owned(), reason })?;
        Ok(Pursued { before: view.standing(), after: held })
    }

    /// Finds that no other model commands what contradicts ours.
    async fn yield_to_rivals(&self, link: &Link, operation: &str) -> Result<(), DeviceError> {
        for model in self.means.rival_models() {
            let Some(Located { place, model }) = self.chain.located(&[model]) else { continue };
            let block = Block::read(link, place, model).await?;
            self.means.yields_to(&block).map_err(|error| impossible(operation, &error))?;
        }
        Ok(())
    }

    /// Writes registers of the control block, neighbours with one request.
    async fn write(&mut self, link: &Link, due: &[&Write]) -> Result<(), DeviceError> {
        for run in contiguous(due) {
            let names: Vec<&str> = run.iter().map(|write| write.point.name).collect();
            let registers: Vec<u16> = run.iter().flat_map(|write| write.registers.iter().copied()).collect();
            let address = address_of(self.controls.place, run[0])?;
            let written = link.try_write(address, &registers).await;
            self.sent |= !written.as_ref().is_err_and(LinkError::nothing_done);
            written.map_err(|error| error.writing(&names.join(" ")))?;
        }
        Ok(())
    }

    /// Reads the control block and finds that it holds what was written.
    async fn verify(&self, link: &Link, writes: &[Write]) -> Result<Block, DeviceError> {
        let block = self.block(link).await?;
        if let Some(write) = self.view(&block).missing(writes).first() {
            let (asked, held) = (&write.registers, block.registers(write.point).unwrap_or_default());
            return Err(DeviceError::Refused {
                operation: format!("write {}", write.point.name),
                reason: format!("asked for {asked:?}, the device holds {held:?}"),
            });
        }
        Ok(block)
    }

    /// Puts in force again what was taken out for a command that then failed.
    ///
    /// # Errors
    /// One after which the device is connected to anew, because nothing is in force.
    async fn enable_again(&mut self, link: &Link) -> Result<(), DeviceError> {
        let enabled = async {
            let block = self.block(link).await?;
            let write =
                self.view(&block).enable_again().map_err(|error| impossible("enable again", &error))?;
            let Some(write) = write else { return Ok(()) };
            self.write(link, &[&write]).await?;
            self.verify(link, &[write]).await.map(|_| ())
        };
        enabled.await.map_err(|error: DeviceError| DeviceError::Malformed {
            operation: "enable again".to_owned(),
            reason: format!("a command failed halfway and nothing is in force: {error}"),
        })
    }

    async fn block(&self, link: &Link) -> Result<Block, DeviceError> {
        Block::read(link, self.controls.place, self.controls.model).await
    }

    fn view<'b>(&self, block: &'b Block) -> Controls<'b> {
        Controls::new(block, self.means, self.ratings)
    }
}

/// Writes whose registers follow on one another, in the order of the plan, as one request each.
fn contiguous<'w>(writes: &[&'w Write]) -> Vec<Vec<&'w Write>> {
    let mut runs: Vec<Vec<&Write>> = Vec::new();
    for write in writes {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| last.precedes(write)) => run.push(write),
            _ => runs.push(vec![write]),
        }
    }
    runs
}

fn address_of(place: Place, write: &Write) -> Result<u16, DeviceError> {
    place.address.checked_add(write.point.offset).ok_or_else(|| DeviceError::Malformed {
        operation: format!("write {}", write.point.name),
        reason: "the point lies beyond register 65535".to_owned(),
    })
}

fn impossible(operation: &str, error: &Impossible) -> DeviceError {
    let (operation, reason) = (operation.to_owned(), error.to_string());
    match error {
        Impossible::Missing(_) => DeviceError::Unsupported { operation, reason },
        Impossible::BadScaleFactor(_) => DeviceError::Malformed { operation, reason },
        Impossible::OutOfRange { .. } | Impossible::Unencodable { .. } | Impossible::Rival { .. } => {
            DeviceError::Refused { operation, reason }
        }
    }
}
