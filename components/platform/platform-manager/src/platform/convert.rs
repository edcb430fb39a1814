//! A SimCES run configuration as one of gridloop's own: [`convert`].
//!
//! Components that gridloop has run inside of `gridloop run`; the others are waited for as external ones, with a comment
//! saying what they were. What a component is told is what its process would read from its environment, and from the
//! Start message, so both ways of running it agree.

mod market;
mod network;
mod paths;
mod resources;
mod toml;

pub use paths::Folders;

use super::manifest::{Manifest, Manifests};
use super::parameters;
use super::run_file::{Process, RunFile};
use super::yaml::Node;
use crate::configuration::ComponentKind;
use crate::environment::{Kind, Reader, Variables};
use gridloop_service::{Diagnostic, Diagnostics, Text};
use serde_json::{Map, Value as Json};
use std::fmt::Write as _;
use std::path::Path;
use toml::{Table, key_of, list, quoted};

/// What stands for the name of the Start message's file, which is not there yet and need not be.
const START_FILE: &str = "SIMULATION_START_MESSAGE_FILENAME";

/// Converts a run configuration; the text of the TOML.
///
/// # Errors
/// Types without a manifest, and parameters that a component cannot be told.
pub fn convert(
    text: &Text,
    run: &RunFile,
    manifests: &Manifests,
    folders: &Folders,
) -> Result<String, Diagnostics> {
    let mut converter = Converter {
        text,
        folders,
        parameters: start_parameters(run, manifests),
        problems: Vec::new(),
        components: String::new(),
        externals: Vec::new(),
    };
    for component_type in &run.types {
        match manifests.get(&component_type.name) {
            Ok(manifest) => {
                for process in &component_type.processes {
                    converter.process(manifest, process);
                }
            }
            Err(problems) => {
                let message = format!("there is no manifest for `{}`", component_type.name);
                let place = component_type.place.clone();
                let looked = format!("looked in {}", manifests.folders());
                converter.problems.push(text.diagnostic(place, message).helped(looked));
                converter.problems.extend(problems);
            }
        }
    }
    if !converter.problems.is_empty() {
        return Err(converter.problems.into_iter().collect());
    }
    let (components, externals) = (converter.components, converter.externals);
    Ok(head(text.name(), run) + &manager(run, &externals) + &components)
}

/// The kind of component that gridloop has for a type.
fn native(component_type: &str) -> Option<Kind> {
    Some(match component_type {
        "StaticTimeSeriesResource" => Kind::StaticTimeSeries,
        "SetpointSeries" => Kind::SetpointSeries,
        "Dummy" => Kind::Dummy,
        "SimpleComponent" => Kind::Simple,
        "StorageResource" => Kind::Storage,
        "StaticTimeSeriesResourceForecaster" => Kind::ResourceForecaster,
        "PriceForecaster" => Kind::PriceForecaster,
        "controller" => Kind::Controller,
        "EconomicDispatch" => Kind::EconomicDispatch,
        "NIS" => Kind::Nis,
        "CIS" => Kind::Cis,
        "Grid" => Kind::Grid,
        "NetworkStatePredictor" => Kind::NetworkStatePredictor,
        "StateMonitoring" => Kind::StateMonitoring,
        "lfm" => Kind::LocalFlexibilityMarket,
        "DroopGenerator" => Kind::DroopGenerator,
        "VoltageDependentLoad" => Kind::VoltageDependentLoad,
        _ => return None,
    })
}

/// ProcessParameters of the Start message that a Platform Manager would publish, as far as components are concerned.
fn start_parameters(run: &RunFile, manifests: &Manifests) -> Map<String, Json> {
    let types = run.types.iter().filter_map(|component_type| {
        let manifest = manifests.get(&component_type.name).ok()?;
        let blocks = component_type.processes.iter();
        let blocks = blocks.map(|it| (it.name.clone(), parameters::block(manifest, &given(it))));
        Some((component_type.name.clone(), Json::Object(blocks.collect())))
    });
    types.collect()
}

fn given(process: &Process) -> Vec<(&str, &Node)> {
    process.attributes.iter().map(|(name, _, value)| (name.as_str(), value)).collect()
}

struct Converter<'a> {
    text: &'a Text,
    folders: &'a Folders,
    parameters: Map<String, Json>,
    problems: Vec<Diagnostic>,
    components: String,
    /// Name and type.
    externals: Vec<(String, String)>,
}

impl Converter<'_> {
    fn process(&mut self, manifest: &Manifest, process: &Process) {
        let kind = if manifest.external { None } else { native(&manifest.name) };
        let Some(kind) = kind else { return self.external(manifest, process) };
        let variables = parameters::variables(manifest, &given(process)).into_iter();
        let start_file = (START_FILE.to_owned(), "start.json".to_owned());
        let variables: Variables = variables.chain([start_file]).collect();
        let reader = Reader::new(&variables);
        let made = kind.read(&process.name, &reader);
        if let Err(errors) = reader.finish() {
            for error in &errors.0 {
                self.refuse(manifest, process, &error.to_string());
            }
            return;
        }
        match self.table(&process.name, &made) {
            Ok(Some(table)) => {
                let path = format!("component.{}", key_of(&process.name));
                self.components.push_str(&table.written(&path));
            }
            Ok(None) => self.external(manifest, process),
            Err(reason) => self.refuse(manifest, process, &reason),
        }
    }

    fn external(&mut self, manifest: &Manifest, process: &Process) {
        self.externals.push((process.name.clone(), manifest.name.clone()));
    }

    fn refuse(&mut self, manifest: &Manifest, process: &Process, reason: &str) {
        let message = format!("`{}` cannot be a {}: {reason}", process.name, manifest.name);
        self.problems.push(self.text.diagnostic(process.place.clone(), message));
    }

    /// The table of a component; `None` for what the configuration has no key for.
    fn table(&self, name: &str, kind: &ComponentKind) -> Result<Option<Table>, String> {
        Ok(match kind {
            ComponentKind::StaticTimeSeries(settings) => resources::static_time_series(settings, self),
            ComponentKind::SetpointSeries(settings) => Some(resources::setpoint_series(settings, self)),
            ComponentKind::Resource(kind) => resources::resource(kind, self)?,
            ComponentKind::Grid(kind) => network::table(kind, self),
            ComponentKind::Market(kind) => market::table(name, kind, &self.parameters)?,
            ComponentKind::Congestion(_) => None,
            ComponentKind::Dummy(settings) => Some(
                Table::of("dummy")
                    .text("topic", &settings.topic)
                    .number("min_sleep_s", settings.min_sleep.as_secs_f64())
                    .number("max_sleep_s", settings.max_sleep.as_secs_f64())
                    .number("error_chance", settings.error_chance)
                    .number("send_miss_chance", settings.send_miss_chance)
                    .number("receive_miss_chance", settings.receive_miss_chance)
                    .number("warning_chance", settings.warning_chance)
                    .key("seed", settings.seed),
            ),
            ComponentKind::Simple(settings) => Some(
                Table::of("simple")
                    .number("value", settings.value)
                    .texts("inputs", &settings.inputs)
                    .number("output_delay_s", settings.output_delay.as_secs_f64())
                    .text("topic", &settings.topic),
            ),
            ComponentKind::DroopGenerator(settings) => Some(
                Table::of("droop-generator")
                    .text("grid", &settings.bus.grid)
                    .text("bus", &settings.bus.name)
                    .texts("loads", &settings.loads)
                    .text("customer_id", &settings.customer_id)
                    .number("no_load_voltage_kv", settings.no_load_voltage_kv)
                    .number("droop_percent", settings.droop_percent)
                    .number("rated_power_kw", settings.rated_power_kw)
                    .number("tolerance_kv", settings.tolerance_kv)
                    .key("rounds_max", settings.rounds_max),
            ),
            ComponentKind::VoltageDependentLoad(settings) => Some(
                Table::of("voltage-dependent-load")
                    .text("grid", &settings.bus.grid)
                    .text("bus", &settings.bus.name)
                    .text("customer_id", &settings.customer_id)
                    .number("consumption_kw", settings.consumption_kw)
                    .number("growth_kw", settings.growth_kw)
                    .number("nominal_voltage_kv", settings.nominal_voltage_kv)
                    .number("exponent", settings.exponent)
                    .key("rounds_max", settings.rounds_max),
            ),
        })
    }

    /// The same file as seen from the folder of the TOML.
    fn file(&self, file: &Path) -> String {
        self.folders.file(file).to_string_lossy().into_owned()
    }

    /// The names of the processes of a type.
    fn names_of(&self, component_type: &str) -> Vec<String> {
        let processes = self.parameters.get(component_type).and_then(Json::as_object);
        processes.map(|processes| processes.keys().cloned().collect()).unwrap_or_default()
    }
}

fn head(origin: &str, run: &RunFile) -> String {
    format!(
        "# Made by `gridloop convert` of {}.\n\n[simulation]\nname = {}\ndescription = {}\n\
         initial_start_time = {}\nepoch_length_s = {}\nepochs = {}\n",
        origin.replace(char::is_control, " "),
        quoted(&run.name),
        quoted(&run.description),
        quoted(&run.initial_start_time.to_string()),
        run.epoch_length_s,
        run.epochs
    )
}

fn manager(run: &RunFile, externals: &[(String, String)]) -> String {
    let other = |name: &str| run.others.iter().find(|(other, _)| other == name).map(|(_, value)| value);
    let name = other("ManagerName").map_or_else(|| "SimulationManager".to_owned(), Node::variable);
    let mut text = format!("\n[manager]\nname = {}\n", quoted(&name));
    let speed = other("Speed").map_or_else(|| "max".to_owned(), Node::variable);
    let speed = if speed.parse::<f64>().is_ok() { speed } else { quoted(&speed) };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "speed = {speed}    # SimCES has no pace of its own: an epoch begins when everybody is ready"
    );
    for (attribute, key, words) in [
        ("Overrun", "overrun", true),
        ("StartDelay", "start_delay_s", false),
        ("EpochTimerInterval", "resend_interval_s", false),
        ("MaxEpochResendCount", "max_resends", false),
    ] {
        if let Some(value) = other(attribute) {
            let value = value.variable();
            let _ = writeln!(text, "{key} = {}", if words { quoted(&value) } else { value });
        }
    }
    if externals.is_empty() {
        return text + "\n[bus]\nurl = \"memory:\"\n";
    }
    let _ = writeln!(text, "# Not parts of gridloop; they must run elsewhere and join the run:");
    for (name, component_type) in externals {
        let _ = writeln!(text, "#   {name} was a {}", component_type.replace(char::is_control, " "));
    }
    let _ = writeln!(text, "external_components = {}", list(externals.iter().map(|(name, _)| name)));
    text + "\n[bus]\nurl = \"amqp://localhost\"    # where the external components are\n"
}
