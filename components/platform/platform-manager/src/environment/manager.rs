//! What the Simulation Manager is told.

use super::Reader;
use super::common::{is_sound, read_name};
use gridloop_messages::{SimulationId, Timestamp};
use gridloop_realtime_manager::{Overrun, Settings, Speed, StartAt};
use std::time::Duration;

/// The manager's variables (wire contract 1.7), and gridloop's own for real time: `SIMULATION_SPEED`,
/// `SIMULATION_OVERRUN` and `SIMULATION_START_DELAY` mean what `speed`, `overrun` and `start_delay_s` mean in a
/// configuration.
#[derive(Debug)]
pub struct ManagerVariables {
    name: String,
    simulation_name: String,
    description: String,
    components: Vec<String>,
    initial_start_time: Timestamp,
    epoch_length: Duration,
    epochs: u64,
    resend_interval: Duration,
    max_resends: u32,
    speed: Speed,
    overrun: Overrun,
    start_delay: Duration,
}

impl ManagerVariables {
    /// Reads them; what is not given is as in the Python platform.
    pub fn read(reader: &Reader<'_>) -> Self {
        let default_start = Timestamp::parse("2020-01-01T00:00:00.000Z")
            .unwrap_or_else(|_| Timestamp::from(chrono::DateTime::UNIX_EPOCH));
        let name = read_name(reader, "SIMULATION_MANAGER_NAME", "manager");
        let seconds = |variable, range, default| {
            reader.seconds(variable, range).unwrap_or(Duration::from_secs(default))
        };
        Self {
            components: read_components(reader, &name),
            name,
            simulation_name: reader.verbatim("SIMULATION_NAME").unwrap_or_default(),
            description: reader.verbatim("SIMULATION_DESCRIPTION").unwrap_or_default(),
            initial_start_time: reader
                .parsed("SIMULATION_INITIAL_START_TIME", "a time like 2026-06-21T12:00:00.000Z", |text| {
                    Timestamp::parse(text).ok()
                })
                .unwrap_or(default_start),
            epoch_length: read_epoch_length(reader).unwrap_or(Duration::from_secs(3600)),
            epochs: reader.whole("SIMULATION_MAX_EPOCHS", 1..=1_000_000_000).unwrap_or(5),
            resend_interval: seconds("SIMULATION_EPOCH_TIMER_INTERVAL", 0.001..=86_400.0, 120),
            max_resends: reader.whole("SIMULATION_MAX_EPOCH_RESENDS", 0..=1000).unwrap_or(5),
            speed: read_speed(reader).unwrap_or(Speed::Max),
            overrun: reader
                .parsed("SIMULATION_OVERRUN", "stretch, skip, abort or catch-up N", |text| text.parse().ok())
                .unwrap_or(Overrun::Stretch),
            start_delay: seconds("SIMULATION_START_DELAY", 0.0..=86_400.0, 10),
        }
    }

    /// What the Simulation Manager of this run is told.
    #[must_use]
    pub fn into_settings(self, simulation_id: SimulationId) -> Settings {
        Settings {
            name: self.name,
            simulation_id,
            simulation_name: self.simulation_name,
            description: self.description,
            components: self.components,
            initial_start_time: self.initial_start_time,
            epoch_length: self.epoch_length,
            epochs: self.epochs,
            speed: self.speed,
            overrun: self.overrun,
            start_at: StartAt::Now,
            start_delay: self.start_delay,
            resend_interval: self.resend_interval,
            max_resends: self.max_resends,
            late_tolerance: None,
            release_lead: Duration::ZERO,
        }
    }
}

/// Python knows whole seconds; `900.0` and whole milliseconds are understood here.
pub(crate) fn read_epoch_length(reader: &Reader<'_>) -> Option<Duration> {
    const NAME: &str = "SIMULATION_EPOCH_LENGTH";
    let length = reader.seconds(NAME, 0.001..=1e9)?;
    if !length.subsec_nanos().is_multiple_of(1_000_000) {
        reader.reject(NAME, "a number of seconds that is a whole number of milliseconds");
    }
    Some(length)
}

pub(crate) fn read_speed(reader: &Reader<'_>) -> Option<Speed> {
    reader.parsed("SIMULATION_SPEED", "a number from 0.000001, or max", |text| match text {
        "max" => Some(Speed::Max),
        number => {
            number.parse().ok().filter(|times: &f64| times.is_finite() && *times >= 1e-6).map(Speed::Times)
        }
    })
}

/// The manager waits for each of them, so one that cannot be there is an error now and not a wait without end.
fn read_components(reader: &Reader<'_>, manager: &str) -> Vec<String> {
    const NAME: &str = "SIMULATION_COMPONENTS";
    let components = reader.list(NAME);
    for component in &components {
        if !is_sound(component) {
            reader.reject(NAME, format!("names without blanks and `.`, `#`, `*`, unlike `{component}`"));
        } else if component == manager {
            reader.reject(NAME, format!("components other than the manager itself, `{manager}`"));
        }
    }
    components
}
