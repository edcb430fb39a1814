//! What people write: [`Configuration`], read from TOML in one go, with every error at once.

use crate::bus::{BusSettings, read_bus};
use crate::dummies::{read_dummy, read_simple};
use crate::iteration::{read_droop_generator, read_voltage_dependent_load};
use crate::log::{LogSettings, read_log};
use crate::together::check_together;
use gridloop_dummies::iteration::{DroopGeneratorSettings, VoltageDependentLoadSettings};
use gridloop_dummies::{DummySettings, SimpleSettings};
use gridloop_gateway::{DeviceSettings, TotalLimits, read_devices, read_total};
use gridloop_messages::{SimulationId, Timestamp};
use gridloop_realtime_manager::{Overrun, PacerSettings, Settings, SettingsError, Speed, StartAt};
use gridloop_resources::{
    SetpointSeriesSettings, StaticTimeSeriesSettings, read_setpoint_series, read_static_time_series,
};
use gridloop_service::{Diagnostics, Document, NumberOrWord, Section};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// A run as its configuration describes it.
#[derive(Debug)]
pub struct Configuration {
    /// What is simulated.
    pub simulation: Simulation,
    /// How epochs are started.
    pub manager: Manager,
    /// Where messages go.
    pub bus: BusSettings,
    /// Where messages are stored by a Log Writer.
    pub log: LogSettings,
    /// How stored runs are served.
    pub log_reader: gridloop_log_reader::Settings,
    /// SimCES components.
    pub components: Vec<ComponentSettings>,
    /// Field devices.
    pub devices: Vec<DeviceSettings>,
    /// What the field devices may have together.
    pub total: TotalLimits,
    /// The text of the file, without the overrides.
    pub text: String,
    /// The overrides, `KEY.PATH=VALUE`, without passwords.
    pub overrides: Vec<String>,
}

/// `[simulation]`
#[derive(Debug)]
pub struct Simulation {
    /// Its name.
    pub name: String,
    /// What the run is about.
    pub description: String,
    /// Simulated time at which epoch 1 begins.
    pub initial_start_time: Timestamp,
    /// Simulated length of an epoch.
    pub epoch_length: Duration,
    /// How many.
    pub epochs: u64,
}

/// What a slow disk needs to have the first epoch.
const ROOM_FOR_EPOCH_1: Duration = Duration::from_millis(50);

/// `[manager]`
#[derive(Debug)]
pub struct Manager {
    /// Its name.
    pub name: String,
    /// Simulated against wall-clock time.
    pub speed: Speed,
    /// What an overrun leads to.
    pub overrun: Overrun,
    /// When epoch 1 begins.
    pub start_at: StartAt,
    /// Wait for other processes before the run.
    pub start_delay: Duration,
    /// Wait before the first re-send.
    pub resend_interval: Duration,
    /// Re-sends before the run is given up.
    pub max_resends: u32,
    /// How late an epoch may start.
    pub late_tolerance: Option<Duration>,
    /// How long before its instant an Epoch is published.
    pub release_lead: Duration,
    /// How the pacer's thread waits.
    pub pacer: PacerSettings,
    /// Listed components that run elsewhere.
    pub external_components: Vec<String>,
}

/// `[component.NAME]`
#[derive(Debug)]
pub struct ComponentSettings {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ComponentKind,
}

/// `kind` and what belongs to it.
#[derive(Debug)]
pub enum ComponentKind {
    /// `static-time-series`
    StaticTimeSeries(StaticTimeSeriesSettings),
    /// `setpoint-series`
    SetpointSeries(SetpointSeriesSettings),
    /// A further resource, forecaster or controller.
    Resource(gridloop_resources::Kind),
    /// A network, what describes it or what watches it.
    Grid(gridloop_grid::Kind),
    /// An economic dispatch or a market.
    Market(gridloop_markets::Kind),
    /// What keeps a network within its limits.
    Congestion(gridloop_congestion::Kind),
    /// `dummy`
    Dummy(DummySettings),
    /// `simple`
    Simple(SimpleSettings),
    /// `droop-generator`
    DroopGenerator(DroopGeneratorSettings),
    /// `voltage-dependent-load`
    VoltageDependentLoad(VoltageDependentLoadSettings),
}

impl Configuration {
    /// Loads a file, with `KEY.PATH=VALUE` overrides in their order.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, Diagnostics> {
        Self::finish(Document::load(path)?, overrides)
    }

    /// As [`Configuration::load`], of a text; `name` is what its errors are prefixed with, and its folder is what file
    /// names are relative to.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(name: &str, text: &str, overrides: &[String]) -> Result<Self, Diagnostics> {
        Self::finish(Document::parse(name, text)?, overrides)
    }

    fn finish(mut document: Document, overrides: &[String]) -> Result<Self, Diagnostics> {
        for assignment in overrides {
            document.set(assignment)?;
        }
        let mut configuration = read(&document.root());
        document.finish()?;
        configuration.text = document.text().to_owned();
        configuration.overrides = overrides.iter().map(|it| configuration.without_secrets(it)).collect();
        Ok(configuration)
    }

    /// An override as it may be shown. Of the tables that have passwords in them only what is known to be none is.
    fn without_secrets(&self, assignment: &str) -> String {
        const HARMLESS: [&str; 9] = [
            "bus.authentication",
            "bus.ca_file",
            "bus.certificate_file",
            "bus.exchange_prefix",
            "bus.heartbeat_s",
            "bus.key_file",
            "bus.password_file",
            "bus.user",
            "log.spool",
        ];
        let (key, _) = assignment.split_once('=').unwrap_or((assignment, ""));
        let table = key.trim_start_matches([' ', '\t', '"', '\'']);
        match key {
            "bus.url" => format!("bus.url={}", self.bus.url),
            "log.store" => format!("log.store={}", self.log.store),
            key if HARMLESS.contains(&key) => assignment.to_owned(),
            _ if table.starts_with("bus") || table.starts_with("log") => format!("{key}=***"),
            _ => assignment.to_owned(),
        }
    }

    /// What is sound and may not be what was meant, each in a sentence.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let networks = || {
            self.components.iter().filter_map(|component| match &component.kind {
                ComponentKind::Grid(kind) => Some((&component.name, kind)),
                _ => None,
            })
        };
        let mut remarks = Vec::new();
        for (solver, known) in
            networks().filter_map(|(name, kind)| Some((name, kind.solves_what_nis_tells()?)))
        {
            let lost = networks().filter_map(|(nis, kind)| Some((nis, kind.lost_on(solver, known)?)));
            remarks.extend(lost.map(|(nis, lost)| format!("`[component.{nis}]`: {lost}")));
        }
        remarks
    }

    /// The names that the manager waits for.
    #[must_use]
    pub fn component_names(&self) -> Vec<String> {
        let components = self.components.iter().map(|component| component.name.clone());
        let devices = self.devices.iter().map(|device| device.name.clone());
        components.chain(devices).chain(self.manager.external_components.iter().cloned()).collect()
    }

    /// Makes room before epoch 1 of a run that is to begin at once, so that it is written down and with the pacer before
    /// its instant, as all others are.
    pub fn make_room_for_epoch_1(&mut self) {
        if self.manager.start_at == StartAt::Now && self.manager.speed != Speed::Max {
            self.manager.start_at = StartAt::In(ROOM_FOR_EPOCH_1);
        }
    }

    /// What the Simulation Manager is told. `alone`: other processes must be given time to bind their queues.
    #[must_use]
    pub fn manager_settings(&self, simulation_id: &SimulationId, alone: bool) -> Settings {
        let waits = alone || !self.manager.external_components.is_empty();
        Settings {
            name: self.manager.name.clone(),
            simulation_id: simulation_id.clone(),
            simulation_name: self.simulation.name.clone(),
            description: self.simulation.description.clone(),
            components: self.component_names(),
            initial_start_time: self.simulation.initial_start_time,
            epoch_length: self.simulation.epoch_length,
            epochs: self.simulation.epochs,
            speed: self.manager.speed,
            overrun: self.manager.overrun,
            start_at: self.manager.start_at,
            start_delay: if waits { self.manager.start_delay } else { Duration::ZERO },
            resend_interval: self.manager.resend_interval,
            max_resends: self.manager.max_resends,
            late_tolerance: self.manager.late_tolerance,
            release_lead: self.manager.release_lead,
        }
    }
}

/// Reads the whole configuration. What is wrong is noted in the document; the values are then of no use.
#[must_use]
pub fn read(root: &Section<'_>) -> Configuration {
    let manager = root.section("manager", "How epochs are started.");
    let log =
        read_log(&root.section("log", "Where the Log Writer stores messages and the Log Reader finds them."));
    let log_reader = root.section("log_reader", "How the Log Reader serves stored runs.");
    let configuration = Configuration {
        simulation: read_simulation(&root.required_section("simulation", "What is simulated.")),
        manager: read_manager(&manager),
        bus: read_bus(&root.section("bus", "Where messages go.")),
        log_reader: gridloop_log_reader::read_settings(&log_reader, log.store.clone()),
        log,
        components: read_components(root),
        devices: read_devices(root),
        total: read_total(root),
        text: String::new(),
        overrides: Vec::new(),
    };
    check_names(root, &manager, &configuration);
    let tables = |table| root.named_sections(table, about_table(table));
    check_together(&tables("component"), &tables("device"), &configuration);
    check_pace(&manager, &configuration);
    configuration
}

/// What the manager would refuse: values that are sound alone and not together.
fn check_pace(manager: &Section<'_>, configuration: &Configuration) {
    let id = SimulationId::new(Timestamp::from(chrono::DateTime::UNIX_EPOCH));
    for problem in configuration.manager_settings(&id, false).problems() {
        let (key, expected) = match problem {
            SettingsError::ReleaseLead { period, .. } => (
                "release_lead_s",
                format!("less than half of an epoch, which takes {} s", period.as_secs_f64()),
            ),
            SettingsError::LeadUnpaced => {
                ("release_lead_s", "no lead: an unpaced run has no instants to be ahead of".to_owned())
            }
            SettingsError::TooFast { period, .. } => {
                ("speed", format!("a lower speed: this one makes epochs of {} s", period.as_secs_f64()))
            }
            // Told already, each with its own key.
            _ => continue,
        };
        manager.error(Some(key), expected, None);
    }
}

fn read_simulation(section: &Section<'_>) -> Simulation {
    let start = section
        .text("initial_start_time", "Simulated time at which epoch 1 begins, ISO 8601.")
        .parsed(|text| Timestamp::parse(text).map_err(|error| error.to_string()))
        .such_as("2026-06-21T12:00:00.000Z")
        .required_option();
    Simulation {
        name: section.text("name", "Name of the run.").or("simulation".into()),
        description: section.text("description", "What the run is about.").or(String::new()),
        initial_start_time: start.unwrap_or_else(|| Timestamp::from(chrono::DateTime::UNIX_EPOCH)),
        epoch_length: section
            .duration_s("epoch_length_s", "Simulated length of an epoch, in s; whole milliseconds.")
            .within(0.001..=1e9)
            .matching(|length| {
                let whole = length.subsec_nanos() % 1_000_000 == 0;
                whole.then_some(()).ok_or_else(|| "it is not a whole number of milliseconds".into())
            })
            .required(),
        epochs: section
            .integer("epochs", "How many epochs to run.")
            .within(1..=1_000_000_000)
            .fits()
            .required(),
    }
}

fn read_manager(section: &Section<'_>) -> Manager {
    let speed = section
        .number_or_word(
            "speed",
            &["max"],
            "1: wall clock; N: N times faster; \"max\": as fast as everybody is ready.",
        )
        .matching(|speed| match speed {
            NumberOrWord::Number(times) if *times < 1e-6 => Err("it is below 0.000001".into()),
            _ => Ok(()),
        })
        .or(NumberOrWord::Number(1.0));
    Manager {
        name: section.text("name", "SourceProcessId of the manager.").or("manager".into()),
        speed: match speed {
            NumberOrWord::Number(times) => Speed::Times(times),
            NumberOrWord::Word(_) => Speed::Max,
        },
        overrun: section
            .text(
                "overrun",
                "When an epoch's end comes and somebody is missing: stretch (wait), skip, abort, or catch-up N (wait, \
                 then run at most N epochs faster).",
            )
            .parsed_near(&["stretch", "skip", "abort", "catch-up 3"], str::parse)
            .such_as("catch-up 3")
            .or(Overrun::Stretch),
        start_at: section
            .text("start_at", "When epoch 1 begins: now, next-second, next-minute, next-hour or a UTC time.")
            .parsed(parse_start_at)
            .such_as("next-minute")
            .or(StartAt::Now),
        start_delay: section
            .duration_s("start_delay_s", "Wait for components of other processes to bind their queues, in s.")
            .at_most(86_400.0)
            .or(Duration::from_secs(10)),
        resend_interval: section
            .duration_s("resend_interval_s", "Wait before a message is sent again for missing answers, in s.")
            .within(0.001..=86_400.0)
            .or(Duration::from_secs(120)),
        max_resends: section.integer("max_resends", "How often.").within(0..=1000).fits().or(5),
        late_tolerance: section
            .duration_s(
                "late_tolerance_s",
                "How late an epoch may start. Default: 5 % of its length, at most 10 ms.",
            )
            .optional(),
        release_lead: section
            .duration_s(
                "release_lead_s",
                "How long before its instant an Epoch is published, so that the way over the broker does not show.",
            )
            .at_most(3600.0)
            .or(Duration::ZERO),
        pacer: PacerSettings {
            spin: Duration::from_micros(
                section
                    .integer(
                        "spin_us",
                        "Last stretch before an instant that the pacer spins instead of sleeping, in us; 0: none.",
                    )
                    .within(0..=10_000)
                    .fits()
                    .or(200),
            ),
            cpu: section
                .integer("pacer_cpu", "Processor to bind the pacer to, from 0.")
                .within(0..=1023)
                .fits()
                .optional(),
        },
        external_components: section
            .texts("external_components", "Components that the manager waits for and that run elsewhere.")
            .or(Vec::new()),
    }
}

fn parse_start_at(text: &str) -> Result<StartAt, String> {
    Ok(match text {
        "now" => StartAt::Now,
        "next-second" => StartAt::Aligned(Duration::from_secs(1)),
        "next-minute" => StartAt::Aligned(Duration::from_secs(60)),
        "next-hour" => StartAt::Aligned(Duration::from_secs(3600)),
        time => StartAt::At(Timestamp::parse(time).map_err(|error| error.to_string())?),
    })
}

/// What reads the table of one kind of component.
type ReadKind = Box<dyn Fn(&Section<'_>) -> ComponentKind>;

/// Every kind of component: the word for it, and what reads its table.
fn kinds() -> Vec<(&'static str, ReadKind)> {
    let mut kinds: Vec<(&str, ReadKind)> = vec![
        (
            "static-time-series",
            Box::new(|section| ComponentKind::StaticTimeSeries(read_static_time_series(section))),
        ),
        ("setpoint-series", Box::new(|section| ComponentKind::SetpointSeries(read_setpoint_series(section)))),
        ("dummy", Box::new(|section| ComponentKind::Dummy(read_dummy(section)))),
        ("simple", Box::new(|section| ComponentKind::Simple(read_simple(section)))),
        ("droop-generator", Box::new(|section| ComponentKind::DroopGenerator(read_droop_generator(section)))),
        (
            "voltage-dependent-load",
            Box::new(|section| ComponentKind::VoltageDependentLoad(read_voltage_dependent_load(section))),
        ),
    ];
    for &(word, read) in gridloop_resources::KINDS {
        kinds.push((word, Box::new(move |section| ComponentKind::Resource(read(section)))));
    }
    for &(word, read) in gridloop_grid::KINDS {
        kinds.push((word, Box::new(move |section| ComponentKind::Grid(read(section)))));
    }
    for &(word, read) in gridloop_markets::KINDS {
        kinds.push((word, Box::new(move |section| ComponentKind::Market(read(section)))));
    }
    for &(word, read) in gridloop_congestion::KINDS {
        kinds.push((word, Box::new(move |section| ComponentKind::Congestion(read(section)))));
    }
    kinds
}

fn read_components(root: &Section<'_>) -> Vec<ComponentSettings> {
    let sections = root.named_sections("component", about_table("component"));
    let kinds = kinds();
    let kinds: Vec<(&str, gridloop_service::ReadKind<'_, '_, ComponentKind>)> =
        kinds.iter().map(|(word, read)| (*word, &**read as _)).collect();
    let components = sections.iter().filter_map(|section| {
        let kind = section.variants("kind", "What kind of component it is.", &kinds)?;
        Some(ComponentSettings { name: section.name().to_owned(), kind })
    });
    components.collect()
}

/// Names must be fit for topics (wire contract 7.2) and unique across components, devices and the manager.
fn check_names(root: &Section<'_>, manager: &Section<'_>, configuration: &Configuration) {
    let mut seen = HashMap::from([(configuration.manager.name.clone(), "the manager".to_owned())]);
    let mut check = |section: &Section<'_>, key: Option<&str>, name: &str, what: String| {
        let sound = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(sound) {
            let expected = format!("a name of letters, digits, `_` and `-` instead of `{name}`");
            section.error(key, expected, None);
        }
        if let Some(before) = seen.insert(name.to_owned(), what) {
            let help = "the manager, every component and every device needs a name of its own";
            section.error(key, format!("another name than {before} has"), Some(help.to_owned()));
        }
    };
    for table in ["component", "device"] {
        for section in root.named_sections(table, about_table(table)) {
            check(&section, None, section.name(), format!("`[{}]`", section.path()));
        }
    }
    for name in &configuration.manager.external_components {
        check(manager, Some("external_components"), name, format!("the external component `{name}`"));
    }
}

fn about_table(table: &str) -> &'static str {
    if table == "device" {
        "Field devices, each a SimCES component of that name."
    } else {
        "SimCES components that run in this process."
    }
}
