//! One device as a SimCES component: [`Bridge`].
//!
//! Setpoints go to the device's task the moment they arrive, after `convert` and `limits`. Results are taken as late
//! as the epoch allows: at the read-late point the bridge asks for a fresh reading, and publishes when it is in, when
//! the device has failed, or when waiting longer would make the epoch late. Whatever was clamped, refused, lost or
//! substituted is a warning on the ResourceState.

use crate::convert::{self, Resource};
use crate::fallback::{Active, Fallback};
use crate::journal::Journal;
use crate::limits::{Decision, Limits};
use crate::measures::Measures;
use gridloop_clock::{MonoTime, SharedClock};
use gridloop_component::{Component, Fault, OpenEpoch, Output, Refusal, Step};
use gridloop_device::{
    Ageing, Capabilities, Command, DeviceHandle, Link, Mode, ProcessImage, Quality, Setpoint, Source, point,
};
use gridloop_messages::{Body, DeviceState, Message, Warning, WarningKind, topic};
use std::sync::Arc;
use std::time::Duration;

/// What a bridge knows from the configuration.
#[derive(Debug, Clone)]
pub(crate) struct BridgeSettings {
    /// Name of the device, of the SimCES component and of the resource.
    pub(crate) name: String,
    /// `Generator`, `Load` or `Storage`; `None` for devices without a power, which publish DeviceState only.
    pub(crate) category: Option<String>,
    pub(crate) customer_id: String,
    pub(crate) node: Option<u8>,
    pub(crate) source: Source,
    pub(crate) mode: Mode,
    pub(crate) limits: Limits,
    pub(crate) ageing: Ageing,
    /// How long a setpoint holds when no newer one comes.
    pub(crate) dead_man: Duration,
    /// How an epoch is used that does not say how long it is.
    pub(crate) unsaid: Share,
    /// How long a device may take to answer, however little time is left of the epoch.
    pub(crate) request_timeout: Duration,
}

/// When in an epoch a device is read and its values published at the latest, counted from the epoch's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) read_after: Duration,
    pub(crate) publish_after: Duration,
}

impl Share {
    /// Late, with room for a slow answer and for whoever goes on with the values in the same epoch.
    pub(crate) fn of(length: Duration) -> Self {
        Self { read_after: length * 6 / 10, publish_after: length * 9 / 10 }
    }
}

/// A device in the loop.
pub struct Bridge {
    settings: BridgeSettings,
    clock: SharedClock,
    device: DeviceHandle,
    twin: Option<DeviceHandle>,
    fallback: Fallback,
    journal: Journal,
    measures: Measures,
    warnings: Vec<Warning>,
    passed: Option<(Command, MonoTime)>,
    opened_at: MonoTime,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    BeforeReading,
    Reading { readings: u64, failures: u64, asked_at: MonoTime },
}

impl Bridge {
    pub(crate) fn new(
        settings: BridgeSettings,
        clock: SharedClock,
        device: DeviceHandle,
        twin: Option<DeviceHandle>,
        fallback: Fallback,
        journal: Journal,
        measures: Measures,
    ) -> Self {
        Self {
            settings,
            clock,
            device,
            twin,
            fallback,
            journal,
            measures,
            warnings: Vec::new(),
            passed: None,
            opened_at: MonoTime::default(),
            phase: Phase::BeforeReading,
        }
    }

    fn capabilities(&self) -> Capabilities {
        let known = |handle: &DeviceHandle| handle.image().description.as_ref().map(|it| it.capabilities);
        known(&self.device).or_else(|| self.twin.as_ref().and_then(known)).unwrap_or_default()
    }

    fn command(&mut self, asked: Command, epoch: u64, arrived_at: MonoTime) {
        if self.settings.mode == Mode::ReadOnly {
            let why = "the device is read-only; set its mode to armed to drive it";
            self.warn(WarningKind::Input, &format!("{} refused: {why}", convert::describe(&asked)));
            self.journal.asked(epoch, asked, None, Some(why.into()));
            return;
        }
        let decision = self.settings.limits.decide(asked, &self.capabilities(), self.passed, arrived_at);
        let command = match decision {
            Decision::Pass(command) => {
                self.journal.asked(epoch, asked, Some(command), None);
                command
            }
            Decision::Clamped { command, why } => {
                self.warn(WarningKind::InputRange, &why);
                self.journal.asked(epoch, asked, Some(command), Some(why));
                command
            }
            Decision::Refused(why) => {
                self.warn(WarningKind::Input, &format!("{} refused: {why}", convert::describe(&asked)));
                self.journal.asked(epoch, asked, None, Some(why));
                return;
            }
        };
        self.passed = Some((command, arrived_at));
        let expires_at = arrived_at + self.settings.dead_man;
        let setpoint = Setpoint { command, epoch, received_at: arrived_at, expires_at, order: 0 };
        if self.fallback.drives_device() {
            self.device.command(setpoint);
        }
        if let Some(twin) = &self.twin {
            twin.command(setpoint);
        }
    }

    fn warn(&mut self, kind: WarningKind, explanation: &str) {
        tracing::warn!(device = %self.settings.name, "{explanation}");
        self.warnings.push(Warning::new(kind, &format!("{}: {explanation}", self.settings.name)));
    }

    /// Whether to publish now, and if not, until when to wait at most.
    fn publish_or_wait(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Option<MonoTime> {
        let share = epoch.deadline.map(|deadline| Share::of(deadline.since(epoch.nominal_start)));
        let Share { read_after, publish_after } = share.unwrap_or(self.settings.unsaid);
        let read_at = epoch.nominal_start + read_after;
        // An epoch that begins late has less time than it says, or none: the device is asked all the same.
        let least = epoch.opened_at + self.settings.request_timeout.min(publish_after);
        let publish_by = (epoch.nominal_start + publish_after).max(least);
        let image = self.device.image();
        match self.phase {
            Phase::BeforeReading if now < read_at => Some(read_at),
            Phase::BeforeReading => {
                let (readings, failures) = (image.readings, image.failures);
                self.phase = Phase::Reading { readings, failures, asked_at: now };
                self.device.refresh();
                if let Some(twin) = &self.twin {
                    twin.refresh();
                }
                (image.link == Link::Up && now < publish_by).then_some(publish_by)
            }
            Phase::Reading { readings, failures, .. } => {
                let answered = image.readings > readings || image.failures > failures;
                (!answered && now < publish_by).then_some(publish_by)
            }
        }
    }

    fn publish(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Vec<Output>, Fault> {
        let device = self.device.image();
        let answers = device.link == Link::Up && self.is_fresh(&device, now);
        let active = self.fallback.decide(answers);
        let (image, source) = match (active, &self.twin) {
            (Active::Twin, Some(twin)) => (twin.image(), Source::Simulated),
            _ => (device, self.settings.source),
        };
        let substituted = active == Active::Twin;
        let value = |name: &str| image.points.get(name).map(|sample| sample.value);
        let worst = self.worst(&image, now);
        let unreliable = substituted || worst.is_none_or(|(quality, _)| quality != Quality::Good);
        self.measures.published(worst.map(|(quality, _)| quality), substituted);
        if let Some((_, age)) = worst {
            self.measures.read_age.add(age);
        }
        if let Phase::Reading { readings, asked_at, .. } = self.phase
            && image.readings > readings
        {
            self.measures.device_to_bus.add(now.since(asked_at));
        }
        self.journal.epoch_ended(
            |asked| convert::measured(asked, value),
            value(point::REAL_POWER),
            unreliable,
            substituted,
        );
        for warning in self.journal.take_warnings() {
            self.warn(WarningKind::Internal, &warning);
        }
        if substituted {
            self.warn(WarningKind::InputUnreliable, "substituted by its simulated twin");
        } else if unreliable {
            let why = self.why_unreliable(&image, now);
            self.warn(WarningKind::InputUnreliable, &why);
        }
        if self.settings.category.is_some() && value(point::REACTIVE_POWER).is_none() {
            self.warn(WarningKind::Other, "has no reactive power; 0 is published in its place");
        }
        let warnings = std::mem::take(&mut self.warnings);
        let mut outputs = Vec::with_capacity(2);
        if let Some(category) = &self.settings.category {
            let resource = Resource { customer_id: &self.settings.customer_id, node: self.settings.node };
            let state = convert::resource_state(&resource, value).ok_or_else(|| {
                Fault::new(format!(
                    "{}: no real power has ever been read ({}); it cannot be published in epoch {}",
                    self.settings.name,
                    image.last_error.as_deref().unwrap_or("the device has no such point"),
                    epoch.number
                ))
            })?;
            let topic = topic::resource_state(category, &self.settings.name);
            let output = Output::new(topic, Body::ResourceState(state));
            outputs.push(Output { warnings: warnings.clone(), ..output });
        }
        let points = image
            .points_at(self.settings.ageing, now)
            .map(|(name, mut sample, age)| {
                if substituted {
                    sample.quality = Quality::Substituted;
                }
                convert::point_state(name, sample, age, source)
            })
            .collect();
        let body = Body::DeviceState(DeviceState { device_id: self.settings.name.clone(), points });
        let output = Output::new(topic::device_state(&self.settings.name), body);
        outputs.push(Output { warnings, ..output });
        Ok(outputs)
    }

    /// The worst quality among the points that are published as this resource's own, and the age of the oldest of
    /// them: the powers where it has a category, everything that was read otherwise.
    fn worst(&self, image: &ProcessImage, now: MonoTime) -> Option<(Quality, Duration)> {
        let of_resource = [point::REAL_POWER, point::REACTIVE_POWER, point::STATE_OF_CHARGE];
        let counts = |name: &str| self.settings.category.is_none() || of_resource.contains(&name);
        image
            .points_at(self.settings.ageing, now)
            .filter(|(name, _, _)| counts(name))
            .map(|(_, sample, age)| (sample.quality, age))
            .reduce(|(worst, oldest), (quality, age)| (worst.max(quality), oldest.max(age)))
    }

    fn is_fresh(&self, image: &ProcessImage, now: MonoTime) -> bool {
        self.worst(image, now).is_some_and(|(_, age)| age <= self.settings.ageing.stale_after)
    }

    fn why_unreliable(&self, image: &ProcessImage, now: MonoTime) -> String {
        let no_more = "the device no longer reports it";
        let error =
            if image.link == Link::Up { no_more } else { image.last_error.as_deref().unwrap_or("no answer") };
        match self.worst(image, now) {
            None => format!("no value: {error}"),
            Some((Quality::OutOfRange, age)) => {
                format!("value out of range, {:.1} s old", age.as_secs_f64())
            }
            Some((quality, age)) => format!("{quality:?}, value {:.1} s old: {error}", age.as_secs_f64()),
        }
    }
}

impl Component for Bridge {
    fn inputs(&self) -> Vec<String> {
        let name = &self.settings.name;
        vec![topic::power_setpoint(name), topic::tap_position(name), topic::voltage_setpoint(name)]
    }

    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        self.opened_at = epoch.opened_at;
        self.phase = Phase::BeforeReading;
        Ok(())
    }

    fn take(&mut self, _topic: &str, message: &Message, arrived_at: MonoTime) -> Result<(), Fault> {
        if let Some(command) = convert::command(&message.body) {
            let epoch = message.header.epoch.as_ref().map_or(0, |fields| fields.epoch_number);
            // What came before its epoch counts from there, so that it neither expires nor seems slow by waiting.
            self.command(command, epoch, arrived_at.max(self.opened_at));
        }
        Ok(())
    }

    fn refused(&mut self, refusal: &Refusal) {
        let topic = match refusal {
            Refusal::OldEpoch { topic, .. }
            | Refusal::TooEarly { topic, .. }
            | Refusal::TooMany { topic, .. }
            | Refusal::IdTaken { topic, .. }
            | Refusal::Undecodable { topic, .. } => topic,
        };
        if !self.inputs().contains(topic) {
            return;
        }
        self.journal.refused_message();
        self.warn(WarningKind::Input, &refusal.to_string());
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        if let Some(instant) = self.publish_or_wait(epoch, now) {
            return Ok(Step::WakeAt(instant));
        }
        // Taken anew: the reading may be later than the instant of the call.
        let now = self.clock.now();
        Ok(Step::Done(self.publish(epoch, now)?))
    }
}

/// Pokes a bridge whenever more is known of its device. Ends with the device.
pub(crate) async fn poke_on_change(mut device: DeviceHandle, poke: gridloop_component::Poke) {
    while device.changed().await {
        poke.poke();
    }
}

/// The image as the last thing known; shared with the report.
pub(crate) fn description_of(image: &Arc<ProcessImage>) -> (String, String, String) {
    let Some(description) = &image.description else { return Default::default() };
    let fail_safe = match description.fail_safe {
        gridloop_device::FailSafe::None => "none, it keeps the last command".to_owned(),
        gridloop_device::FailSafe::RevertsToFree { after } => {
            format!("drops the limit after {} s (output may rise)", after.as_secs_f64())
        }
        gridloop_device::FailSafe::RevertsToValue { after } => {
            format!("goes to its revert value after {} s", after.as_secs_f64())
        }
    };
    (description.identity.clone(), description.profile.clone(), fail_safe)
}
