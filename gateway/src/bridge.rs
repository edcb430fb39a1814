//! One device as a SimCES component: [`Bridge`].
//!
//! Setpoints go to the device's task the moment they arrive, after `convert` and `limits`. Results are taken as late
//! as the epoch allows: at the read-late point the bridge asks for a fresh reading, and publishes when it is in, when
//! the device has failed, or when waiting longer would make the epoch late. Whatever was clamped, refused, lost or
//! substituted is a warning on the ResourceState.

use crate::convert::{self, Resource};
use crate::fallback::{Active, Fallback, SourceSwitch};
use crate::follows::{FollowBy, Following};
use crate::journal::Journal;
use crate::measures::Measures;
use crate::safety::audit::{self, Audit};
use crate::safety::guard::{Guard, Notice};
use crate::safety::limits::Decision;
use gridloop_clock::{MonoTime, SharedClock, until};
use gridloop_component::{Component, Fault, OpenEpoch, Output, Refusal, Step};
use gridloop_device::{
    Ageing, Capabilities, Command, DeviceHandle, Link, ProcessImage, Quality, Setpoint, Source, point,
};
use gridloop_messages::{Body, DeviceState, Message, Warning, WarningKind, topic};
use gridloop_plant::{GridTerminals, LastKnown, LivePlant, Plant};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

mod network;

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

/// What a bridge works with; the first five are shared with whoever else looks after the device.
pub(crate) struct Equipment {
    pub(crate) device: DeviceHandle,
    pub(crate) guard: SharedGuard,
    pub(crate) journal: Journal,
    pub(crate) measures: Measures,
    pub(crate) switch: SourceSwitch,
    pub(crate) audit: Audit,
    pub(crate) twin: Option<Twin>,
    pub(crate) fallback: Fallback,
    /// The voltage of the network that the device follows.
    pub(crate) following: Option<Following>,
    /// Where that voltage goes: the simulated device and the twin.
    pub(crate) terminals: Vec<GridTerminals>,
}

/// The simulated twin: the device that speaks for it, and the plant behind it.
#[derive(Clone)]
pub(crate) struct Twin {
    pub(crate) device: DeviceHandle,
    pub(crate) plant: LivePlant<Plant>,
}

/// The guard of a device, which both its bridge and its watch ask.
#[derive(Clone)]
pub(crate) struct SharedGuard(Arc<Mutex<Guard>>);

impl SharedGuard {
    pub(crate) fn new(guard: Guard) -> Self {
        Self(Arc::new(Mutex::new(guard)))
    }

    fn lock(&self) -> MutexGuard<'_, Guard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A device in the loop.
pub struct Bridge {
    settings: BridgeSettings,
    clock: SharedClock,
    equipment: Equipment,
    warnings: Vec<Warning>,
    /// The newest setpoint that passed.
    newest: Option<Setpoint>,
    /// The tap position that was published last, by which the network may have calculated.
    published_position: Option<i32>,
    /// The newest state of the network was not followed, for a reason of this device's own.
    ignores_network: bool,
    /// The newest results say that the network has said no voltage for too long.
    without_network: bool,
    opened_at: MonoTime,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    BeforeReading,
    Reading { readings: u64, failures: u64, asked_at: MonoTime },
}

impl Bridge {
    pub(crate) fn new(settings: BridgeSettings, clock: SharedClock, equipment: Equipment) -> Self {
        let (opened_at, phase) = (MonoTime::default(), Phase::BeforeReading);
        Self {
            settings,
            clock,
            equipment,
            warnings: Vec::new(),
            newest: None,
            published_position: None,
            ignores_network: false,
            without_network: false,
            opened_at,
            phase,
        }
    }

    fn capabilities(&self) -> Capabilities {
        let known = |handle: &DeviceHandle| handle.image().description.as_ref().map(|it| it.capabilities);
        let of_twin = || self.equipment.twin.as_ref().and_then(|twin| known(&twin.device));
        known(&self.equipment.device).or_else(of_twin).unwrap_or_default()
    }

    /// Whether it passed, changed or not.
    fn command(&mut self, asked: Command, origin: &Origin, arrived_at: MonoTime) -> bool {
        let mode = self.equipment.device.image().mode;
        let capabilities = self.capabilities();
        let drives = self.equipment.fallback.drives_device();
        // Held until the setpoint is handed over, so that an interlock that opens takes it back, and not the one before.
        let guard = self.equipment.guard.clone();
        let mut guard = guard.lock();
        let decision = guard.decide(asked, mode, drives, &capabilities, arrived_at);
        let (passed, why) = match decision {
            Decision::Pass(command) => (Some(command), None),
            Decision::Clamped { command, why } => {
                self.warn(WarningKind::InputRange, &why);
                (Some(command), Some(why))
            }
            Decision::Refused(why) => {
                self.warn(WarningKind::Input, &format!("{} refused: {why}", convert::describe(&asked)));
                (None, Some(why))
            }
        };
        let order = self.equipment.audit.order();
        let details = json!({
            "order": order, "message": &origin.message_id, "source": &origin.source, "epoch": origin.epoch,
            "asked": audit::command(&asked), "passed": passed.as_ref().map(audit::command), "why": &why,
        });
        self.equipment.audit.tell(&self.settings.name, "asked", details);
        let trouble = self.equipment.audit.trouble();
        let passed = passed.filter(|_| trouble.is_none());
        self.equipment.journal.asked(origin.epoch, asked, passed, why.or_else(|| trouble.clone()));
        if let Some(trouble) = trouble {
            self.warn(WarningKind::Input, &trouble);
        }
        let Some(command) = passed else { return false };
        guard.passed(command, mode, drives, arrived_at);
        let expires_at = arrived_at + self.settings.dead_man;
        let setpoint = Setpoint { command, epoch: origin.epoch, received_at: arrived_at, expires_at, order };
        self.newest = Some(setpoint);
        if drives {
            self.equipment.device.command(setpoint);
        }
        if let Some(twin) = &self.equipment.twin {
            twin.device.command(setpoint);
        }
        true
    }

    /// Who speaks for the resource in this epoch. Whoever takes over goes on from where the other was.
    fn decide_who_speaks(&mut self, device: &ProcessImage, now: MonoTime) -> Active {
        let (answers, good) = (self.answers(device, now), self.is_good(device, now));
        let Equipment { fallback, switch, twin, audit, .. } = &mut self.equipment;
        let Some(twin) = twin else { return Active::Device };
        let before = fallback.drives_device();
        let active = fallback.decide(switch.chosen(), answers, good, now);
        match (before, active) {
            (true, Active::Twin) => {
                twin.plant.with(|plant| plant.adopt(&last_known(device)));
                twin.device.refresh();
                audit.tell(&self.settings.name, "twin-stands-in", json!({ "device_is_good": good }));
                // Released now where an operator said so, and when it is back where it was lost: an older setpoint must
                // not come to it then.
                self.equipment.device.take_back();
            }
            (false, Active::Device) => {
                audit.tell(&self.settings.name, "device-is-back", json!({}));
                self.take_up_again(device, now);
            }
            _ => {}
        }
        active
    }

    /// Gives the device, which is back, the setpoint that its twin has followed meanwhile, from what it does by itself on.
    fn take_up_again(&mut self, device: &ProcessImage, now: MonoTime) {
        let Equipment { fallback, guard, .. } = &self.equipment;
        let does = |name: &str| device.points.get(name).map(|sample| sample.value);
        let does = does(point::REAL_POWER).map(|real_power_w| Command::Power {
            real_power_w,
            reactive_power_var: does(point::REACTIVE_POWER).unwrap_or(0.0),
        });
        let guard = guard.clone();
        let mut guard = guard.lock();
        guard.begin_from(does, fallback.back_since(now));
        let Some(newest) = self.newest.filter(|newest| now < newest.expires_at) else { return };
        let capabilities = self.capabilities();
        let command = match guard.decide(newest.command, device.mode, true, &capabilities, now) {
            Decision::Pass(command) => command,
            Decision::Clamped { command, why } => {
                self.warn(WarningKind::InputRange, &why);
                command
            }
            Decision::Refused(why) => return self.warn(WarningKind::Input, &why),
        };
        guard.passed(command, device.mode, true, now);
        self.equipment.device.command(Setpoint { command, ..newest });
    }

    fn answers(&self, device: &ProcessImage, now: MonoTime) -> bool {
        device.link == Link::Up && self.is_fresh(device, now)
    }

    fn is_good(&self, device: &ProcessImage, now: MonoTime) -> bool {
        let good = self.worst(device, now).is_some_and(|(quality, _)| quality == Quality::Good);
        good && self.answers(device, now)
    }

    fn warn(&mut self, kind: WarningKind, explanation: &str) {
        tracing::warn!(device = %self.settings.name, "{explanation}");
        self.warn_on_the_bus(kind, explanation);
    }

    /// The next results say it, once.
    fn warn_on_the_bus(&mut self, kind: WarningKind, explanation: &str) {
        let warning = Warning::new(kind, &format!("{}: {explanation}", self.settings.name));
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Whether to publish now, and if not, until when to wait at most.
    fn publish_or_wait(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Option<MonoTime> {
        let share = epoch.deadline.map(|deadline| Share::of(deadline.since(epoch.nominal_start)));
        let Share { read_after, publish_after } = share.unwrap_or(self.settings.unsaid);
        let read_at = epoch.nominal_start + read_after;
        // An epoch that begins late has less time than it says, or none: the device is asked all the same.
        let least = epoch.opened_at + self.settings.request_timeout.min(publish_after);
        let publish_by = (epoch.nominal_start + publish_after).max(least);
        let image = self.equipment.device.image();
        match self.phase {
            Phase::BeforeReading if now < read_at => Some(read_at),
            Phase::BeforeReading => {
                let (readings, failures) = (image.readings, image.failures);
                self.phase = Phase::Reading { readings, failures, asked_at: now };
                self.equipment.device.refresh();
                if let Some(twin) = &self.equipment.twin {
                    twin.device.refresh();
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
        let device = self.equipment.device.image();
        let active = self.decide_who_speaks(&device, now);
        let (image, source) = match (active, &self.equipment.twin) {
            (Active::Twin, Some(twin)) => (twin.device.image(), Source::Simulated),
            _ => (device, self.settings.source),
        };
        let substituted = active == Active::Twin;
        let value = |name: &str| image.points.get(name).map(|sample| sample.value);
        let worst = self.worst(&image, now);
        let unreliable = substituted || worst.is_none_or(|(quality, _)| quality != Quality::Good);
        self.equipment.measures.published(worst.map(|(quality, _)| quality), substituted);
        if let Some((_, age)) = worst {
            self.equipment.measures.read_age.add(age);
        }
        if let Phase::Reading { readings, asked_at, .. } = self.phase
            && image.readings > readings
        {
            self.equipment.measures.device_to_bus.add(now.since(asked_at));
        }
        self.equipment.journal.epoch_ended(|asked| convert::measured(asked, value), unreliable, substituted);
        for (kind, warning) in self.equipment.journal.take_warnings() {
            self.warn(kind, &warning);
        }
        if substituted {
            self.warn(WarningKind::InputUnreliable, "substituted by its simulated twin");
        } else if unreliable {
            let why = self.why_unreliable(&image, now);
            self.warn(WarningKind::InputUnreliable, &why);
        }
        self.warn_of_missing_network(epoch.number);
        self.published_position = last_known(&image).tap_position;
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
        let mut topics = vec![topic::power_setpoint(name), topic::tap_position(name)];
        let following = self.equipment.following.as_ref();
        // One tells it a voltage: the network, where it follows that by its setpoint.
        if following.is_none_or(|it| it.by() != FollowBy::Setpoint) {
            topics.push(topic::voltage_setpoint(name));
        }
        topics.extend(following.map(Following::topic));
        topics
    }

    fn open(&mut self, epoch: &OpenEpoch) -> Result<(), Fault> {
        self.opened_at = epoch.opened_at;
        self.phase = Phase::BeforeReading;
        self.network_epoch_opens();
        Ok(())
    }

    fn take(&mut self, topic: &str, message: &Message, arrived_at: MonoTime) -> Result<(), Fault> {
        // What came before its epoch counts from there, so that it neither expires nor seems slow by waiting.
        let arrived_at = arrived_at.max(self.opened_at);
        if let Some(command) = convert::command(&message.body) {
            self.command(command, &Origin::of(message), arrived_at);
        } else {
            self.hear_network(topic, message, arrived_at);
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
        if self.network_refused(topic, refusal) || !self.inputs().contains(topic) {
            return;
        }
        self.equipment.journal.refused_message();
        self.warn(WarningKind::Input, &refusal.to_string());
    }

    fn step(&mut self, epoch: &OpenEpoch, now: MonoTime) -> Result<Step, Fault> {
        let good = self.is_good(&self.equipment.device.image(), now);
        self.equipment.fallback.observe(good, now);
        if let Some(instant) = self.publish_or_wait(epoch, now) {
            return Ok(Step::WakeAt(instant));
        }
        // Taken anew: the reading may be later than the instant of the call.
        let now = self.clock.now();
        Ok(Step::Done(self.publish(epoch, now)?))
    }
}

/// The message that asked for something.
struct Origin {
    epoch: u64,
    message_id: String,
    source: String,
}

impl Origin {
    fn of(message: &Message) -> Self {
        Self {
            epoch: message.epoch_number().unwrap_or(0),
            message_id: message.header.message_id.clone(),
            source: message.header.source_process_id.clone(),
        }
    }
}

/// What was known of a device last, whatever its quality is by now.
fn last_known(image: &ProcessImage) -> LastKnown {
    let value = |name: &str| image.points.get(name).map(|sample| sample.value);
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and the plant has its end stops")]
    let tap_position = value(point::TAP_POSITION).map(|position| position.round() as i32);
    LastKnown {
        real_power_w: value(point::REAL_POWER),
        reactive_power_var: value(point::REACTIVE_POWER),
        tap_position,
        state_of_charge_percent: value(point::STATE_OF_CHARGE),
        voltage_v: value(point::VOLTAGE),
    }
}

/// Shows the guard whatever becomes known of a device, does what it says, and pokes the bridge. It depends on no epoch and
/// on no bus. Ends with the device.
pub(crate) async fn watch(
    mut device: DeviceHandle,
    guard: SharedGuard,
    journal: Journal,
    clock: SharedClock,
    poke: gridloop_component::Poke,
) {
    loop {
        let due = guard.lock().due().unwrap_or_else(|| clock.now() + Duration::from_hours(1));
        if until(clock.as_ref(), due, device.changed()).await == Some(false) {
            return;
        }
        {
            let mut guard = guard.lock();
            for notice in guard.observe(&device.image(), clock.now()) {
                if let Notice::TakeBack(_) = &notice {
                    device.take_back();
                }
                journal.noticed(notice);
            }
        }
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
        gridloop_device::FailSafe::RevertsToValue { after, to_w } => {
            let value = to_w.map_or_else(|| "its revert value".to_owned(), |watts| format!("{watts} W"));
            format!("goes to {value} after {} s", after.as_secs_f64())
        }
    };
    (description.identity.clone(), description.profile.clone(), fail_safe)
}
