//! Commands: what is written or operated, and how it is read back.

use super::{IedDevice, Links, standing_power};
use crate::cause::AddCause;
use crate::data::{Data, Variable};
use crate::plan::{Plan, SetpointPlan, TapDrive, Way, step};
use crate::port::{Control, ControlModel, EXPIRED, Outcome};
use gridloop_device::{Applied, Command, DeviceError, TapAction};

/// Which of an IED's setpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    Power,
    Reactive,
    Voltage,
}

impl Quantity {
    const ALL: [Self; 3] = [Self::Power, Self::Reactive, Self::Voltage];

    fn index(self) -> usize {
        match self {
            Self::Power => 0,
            Self::Reactive => 1,
            Self::Voltage => 2,
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Power => "set the real power",
            Self::Reactive => "set the reactive power",
            Self::Voltage => "set the voltage",
        }
    }

    fn of(self, plan: &Plan) -> Option<&SetpointPlan> {
        match self {
            Self::Power => plan.power.as_ref(),
            Self::Reactive => plan.reactive.as_ref(),
            Self::Voltage => plan.voltage.as_ref(),
        }
    }
}

impl IedDevice {
    pub(super) async fn command(
        &mut self,
        links: &mut Links,
        command: Command,
    ) -> Result<Applied, DeviceError> {
        match command {
            Command::Power { real_power_w, reactive_power_var } => {
                self.set_power(links, real_power_w, reactive_power_var).await
            }
            Command::Voltage { voltage_v } => {
                let set = self.set(links, Quantity::Voltage, voltage_v).await?;
                Ok(confirmed(set.map(|voltage_v| Command::Voltage { voltage_v })))
            }
            Command::TapPosition(target) => self.move_to(links, target).await,
        }
    }

    /// Both commands are looked at before either is given.
    async fn set_power(
        &mut self,
        links: &mut Links,
        real: f64,
        reactive: f64,
    ) -> Result<Applied, DeviceError> {
        check(&links.plan, Quantity::Power, real)?;
        if links.plan.reactive.is_none() {
            if reactive != 0.0 {
                return Err(unsupported(Quantity::Reactive.told()));
            }
            let set = self.set(links, Quantity::Power, real).await?;
            return Ok(confirmed(
                set.map(|real_power_w| Command::Power { real_power_w, reactive_power_var: 0.0 }),
            ));
        }
        check(&links.plan, Quantity::Reactive, reactive)?;
        let real = self.set(links, Quantity::Power, real).await?;
        let reactive = self.set(links, Quantity::Reactive, reactive).await?;
        let both = real.zip(reactive);
        Ok(confirmed(
            both.map(|(real_power_w, reactive_power_var)| Command::Power {
                real_power_w,
                reactive_power_var,
            }),
        ))
    }

    /// Makes the IED hold a value; gives what it then holds, or nothing when it has taken the value and does not show
    /// it yet.
    async fn set(
        &mut self,
        links: &mut Links,
        quantity: Quantity,
        wanted: f64,
    ) -> Result<Option<f64>, DeviceError> {
        let (data, told) = check(&links.plan, quantity, wanted)?;
        let setpoint = quantity.of(&links.plan).ok_or_else(|| unsupported(quantity.told()))?.clone();
        let index = quantity.index();
        let held = links.held(&setpoint).await?;
        // A write that may still come would undo what stands; one more write comes after it.
        let undone = self.unsure[index].is_some_and(|unsure| unsure != told);
        let shows = SetpointPlan::is(held, told)
            || (self.awaited[index] == Some(told) && setpoint.may_be(held, told));
        if shows && !undone {
            (self.unsure[index], self.awaited[index]) = (None, None);
            return Ok(Some(held));
        }
        if self.awaited[index] == Some(told) {
            self.awaited[index] = None;
            return Err(refused(quantity.told(), format!("asked for {told}, and the IED holds {held}")));
        }
        self.open_control(links).await?;
        let before = self.unsure[index].replace(told);
        let failed = match self.tell(links, &setpoint, quantity, data).await {
            Ok(failed) => failed,
            Err(error) => {
                if error.keeps_link() {
                    self.unsure[index] = before;
                }
                return Err(error);
            }
        };
        let held = links.held(&setpoint).await?;
        let shows = SetpointPlan::is(held, told);
        if let Some(cause) = failed.filter(|_| !shows) {
            // It may still come: the value stays unsure.
            let operation = format!("{}: operate {}", quantity.told(), setpoint.object.object());
            return Err(refused(&operation, cause.in_words()));
        }
        (self.unsure[index], self.awaited[index]) = (None, None);
        if shows {
            return Ok(Some(held));
        }
        // With normal security the answer may come before the effect.
        self.awaited[index] = Some(told);
        Ok(None)
    }

    /// Opens the association for commands, before anything depends on it.
    async fn open_control(&mut self, links: &mut Links) -> Result<(), DeviceError> {
        if links.control.is_none() {
            let operation = format!("connect to {} for a command", self.settings.address);
            links.control = Some(self.network.associate().await.map_err(|error| error.of(operation))?);
        }
        Ok(())
    }

    /// Refuses a command whose time is over.
    pub(super) fn in_time(&self, operation: &str) -> Result<(), DeviceError> {
        let late = self.expires_at.is_some_and(|expires_at| self.clock.now() >= expires_at);
        if late { Err(refused(operation, EXPIRED.to_owned())) } else { Ok(()) }
    }

    /// Writes or operates; gives why it failed when it may have been accepted before.
    async fn tell(
        &mut self,
        links: &mut Links,
        setpoint: &SetpointPlan,
        quantity: Quantity,
        data: Data,
    ) -> Result<Option<AddCause>, DeviceError> {
        match &setpoint.way {
            Way::Write { variable, .. } => {
                self.in_time(quantity.told())?;
                let written = links.controller()?.write(variable, data).await;
                written.map(|()| None).map_err(|error| error.of(format!("write {variable}")))
            }
            Way::Operate { model, .. } => match self.operate(links, &setpoint.object, *model, data).await? {
                Outcome::Done => Ok(None),
                Outcome::Failed { cause } => Ok(Some(cause)),
                Outcome::Refused { during, cause } => Err(refused(
                    &format!("{}: {during} {}", quantity.told(), setpoint.object.object()),
                    cause.in_words(),
                )),
            },
        }
    }

    async fn operate(
        &mut self,
        links: &mut Links,
        object: &Variable,
        model: ControlModel,
        data: Data,
    ) -> Result<Outcome, DeviceError> {
        let control = Control {
            object: object.object(),
            model,
            check: self.settings.check,
            originator: self.settings.originator.clone(),
            expires_at: self.expires_at,
        };
        let operated = links.controller()?.control(&control, data).await;
        operated.map_err(|error| error.of(format!("operate {}", control.object)))
    }

    /// Goes one command further towards a position.
    async fn move_to(&mut self, links: &mut Links, target: i32) -> Result<Applied, DeviceError> {
        const MOVE: &str = "move the taps";
        let plan = links.plan.tap.clone().ok_or_else(|| unsupported(MOVE))?;
        let drive = plan.drive.clone().ok_or_else(|| unsupported(MOVE))?;
        self.open_control(links).await?;
        let answers = links.answers().await?;
        let now = self.clock.now();
        let tap = self.tap.as_mut().ok_or_else(|| unsupported(MOVE))?;
        let steps = match tap.next(now, &plan, &answers, target)? {
            TapAction::Pulse(steps) => steps,
            TapAction::Wait => return Ok(Applied::InProgress),
            TapAction::Reached => {
                return Ok(Applied::Confirmed { readback: Command::TapPosition(target) });
            }
            TapAction::Failed(failure) => return Err(refused(MOVE, failure.to_string())),
        };
        let (object, model, data) = match &drive {
            TapDrive::Steps { object, model } => (object, *model, step(steps > 0)),
            TapDrive::Position { object, model, shape } => {
                let encoded = shape.encode(f64::from(target));
                let (data, _) = encoded.ok_or_else(|| refused(MOVE, "not a position".to_owned()))?;
                (object, *model, data)
            }
        };
        let outcome = self.operate(links, object, model, data).await;
        let not_sent = match &outcome {
            Ok(Outcome::Done | Outcome::Failed { .. }) => false,
            Ok(Outcome::Refused { .. }) => true,
            Err(error) => error.keeps_link(),
        };
        if let Some(tap) = self.tap.as_mut().filter(|_| not_sent) {
            tap.not_sent();
        }
        match outcome? {
            // After a failure, too, the pulse stays in flight: the position shows what became of it.
            Outcome::Done
            | Outcome::Failed { .. }
            | Outcome::Refused { cause: AddCause::COMMAND_ALREADY_IN_EXECUTION, .. } => {
                Ok(Applied::InProgress)
            }
            Outcome::Refused { during, cause } => {
                Err(refused(&format!("{MOVE}: {during} {}", object.object()), cause.in_words()))
            }
        }
    }

    /// Leaves the IED free: full power and no reactive power, where it takes power.
    pub(super) async fn free(&mut self, links: &mut Links) -> Result<Applied, DeviceError> {
        let Some(most) = links.plan.power.as_ref().map(|power| power.max) else {
            return self.state(links).await;
        };
        self.set_power(links, most, 0.0).await
    }

    /// What the IED holds, once nothing of ours can change it any more. It writes nothing.
    pub(super) async fn state(&mut self, links: &mut Links) -> Result<Applied, DeviceError> {
        let answers = links.answers().await?;
        for quantity in Quantity::ALL {
            let (Some(setpoint), Some(asked)) = (quantity.of(&links.plan), self.unsure[quantity.index()])
            else {
                continue;
            };
            let held = held(setpoint, &answers)?;
            if !setpoint.may_be(held, asked) {
                let reason = format!("{asked} was not confirmed: the IED holds {held}");
                return Err(refused(&format!("release: {}", quantity.told()), reason));
            }
            self.unsure[quantity.index()] = None;
        }
        if let Some(command) = standing_power(&links.plan, &answers) {
            return Ok(Applied::Confirmed { readback: command });
        }
        let now = self.clock.now();
        if let (Some(tap), Some(plan)) =
            (self.tap.as_mut(), links.plan.tap.as_ref().filter(|tap| tap.drive.is_some()))
        {
            return tap.settled(now, plan, &answers);
        }
        let voltage = links.plan.voltage.as_ref().ok_or_else(|| unsupported("release"))?;
        Ok(Applied::Confirmed { readback: Command::Voltage { voltage_v: held(voltage, &answers)? } })
    }
}

impl Links {
    fn controller(&mut self) -> Result<&mut dyn crate::port::MmsPort, DeviceError> {
        match &mut self.control {
            Some(port) => Ok(&mut **port),
            None => Err(unsupported("command")),
        }
    }

    /// What the IED holds of a setpoint, read now.
    async fn held(&mut self, setpoint: &SetpointPlan) -> Result<f64, DeviceError> {
        let variable = self.plan.variables[setpoint.held.variable].clone();
        let operation = format!("read {variable} back");
        let read = self.poll.read(std::slice::from_ref(&variable)).await;
        let answer = read.map_err(|error| error.of(&operation))?.pop();
        let mut answers = vec![None; self.plan.variables.len()];
        answers[setpoint.held.variable] = answer.and_then(Result::ok);
        self.plan
            .check(&answers)
            .map_err(|reason| DeviceError::Malformed { operation: operation.clone(), reason })?;
        held(setpoint, &answers)
    }
}

fn held(setpoint: &SetpointPlan, answers: &crate::plan::Answers) -> Result<f64, DeviceError> {
    let held = Plan::number(answers, &setpoint.held).filter(|held| held.is_finite());
    held.map(|held| held * setpoint.factor).ok_or_else(|| DeviceError::Malformed {
        operation: format!("read {} back", setpoint.object.object()),
        reason: "it has no value".to_owned(),
    })
}

fn check(plan: &Plan, quantity: Quantity, value: f64) -> Result<(Data, f64), DeviceError> {
    let setpoint = quantity.of(plan).ok_or_else(|| unsupported(quantity.told()))?;
    setpoint.encode(value).map_err(|reason| refused(quantity.told(), reason))
}

fn confirmed(command: Option<Command>) -> Applied {
    command.map_or(Applied::InProgress, |readback| Applied::Confirmed { readback })
}

fn refused(operation: &str, reason: String) -> DeviceError {
    DeviceError::Refused { operation: operation.to_owned(), reason }
}

fn unsupported(operation: &str) -> DeviceError {
    DeviceError::Unsupported {
        operation: operation.to_owned(),
        reason: "neither the IED nor its mapping has an object for it".to_owned(),
    }
}
