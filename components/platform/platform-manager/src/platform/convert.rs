//! A SimCES run configuration as one of gridloop's own: [`convert`].
//!
//! Components that gridloop has run inside of `gridloop run`; the others are waited for as external ones, with a comment
//! saying what they were. What a component is told is what its process would read from its environment, so both ways of
//! running it agree.

use super::manifest::Manifests;
use super::parameters;
use super::run_file::{Process, RunFile};
use super::yaml::Node;
use crate::configuration::ComponentKind;
use crate::environment::{Kind, Reader, Variables};
use gridloop_resources::{RESOURCE_STATE_TOPIC, ResourceType};
use gridloop_service::{Diagnostic, Diagnostics, Text};
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

/// Where files are, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// The folder of the run configuration, absolute.
    pub run: PathBuf,
    /// The folder that the TOML is for, absolute.
    pub toml: PathBuf,
    /// Paths that begin with the first are files of the second.
    pub resources: Option<(String, PathBuf)>,
}

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
    let mut converter =
        Converter { text, folders, problems: Vec::new(), components: String::new(), externals: Vec::new() };
    for component_type in &run.types {
        match manifests.get(&component_type.name) {
            Ok(manifest) => {
                let kind = if manifest.external { None } else { native(&manifest.name) };
                for process in &component_type.processes {
                    let given: Vec<_> =
                        process.attributes.iter().map(|(name, _, value)| (name.as_str(), value)).collect();
                    let variables = parameters::variables(manifest, &given);
                    converter.process(&manifest.name, process, kind, variables);
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
    match component_type {
        "StaticTimeSeriesResource" => Some(Kind::StaticTimeSeries),
        "SetpointSeries" => Some(Kind::SetpointSeries),
        "Dummy" => Some(Kind::Dummy),
        "SimpleComponent" => Some(Kind::Simple),
        _ => None,
    }
}

struct Converter<'a> {
    text: &'a Text,
    folders: &'a Folders,
    problems: Vec<Diagnostic>,
    components: String,
    /// Name and type.
    externals: Vec<(String, String)>,
}

impl Converter<'_> {
    fn process(
        &mut self,
        component_type: &str,
        process: &Process,
        kind: Option<Kind>,
        variables: Vec<(String, String)>,
    ) {
        let Some(kind) = kind else {
            self.externals.push((process.name.clone(), component_type.to_owned()));
            return;
        };
        let variables: Variables = variables.into_iter().collect();
        let reader = Reader::new(&variables);
        let made = kind.read(&process.name, &reader);
        if let Err(errors) = reader.finish() {
            let place = process.place.clone();
            let told = errors.0.iter().map(|error| {
                self.text.diagnostic(
                    place.clone(),
                    format!("`{}` cannot be a {component_type}: {error}", process.name),
                )
            });
            self.problems.extend(told);
            return;
        }
        match self.keys(&made) {
            Some(keys) => self.component(&process.name, &keys),
            None => self.externals.push((process.name.clone(), component_type.to_owned())),
        }
    }

    fn component(&mut self, name: &str, keys: &[(&str, String)]) {
        let header = if is_bare(name) { name.to_owned() } else { quoted(name) };
        // Writing to a String cannot fail.
        let _ = writeln!(self.components, "\n[component.{header}]");
        for (key, value) in keys {
            let _ = writeln!(self.components, "{key} = {value}");
        }
    }

    /// The keys of its section; `None` for what the configuration has no key for.
    fn keys(&self, kind: &ComponentKind) -> Option<Vec<(&'static str, String)>> {
        let number = |number: f64| format!("{number:?}");
        let text = |text: &str| quoted(text);
        Some(match kind {
            ComponentKind::Resource(_)
            | ComponentKind::Grid(_)
            | ComponentKind::Market(_)
            | ComponentKind::Congestion(_) => return None,
            ComponentKind::StaticTimeSeries(settings) if settings.topic != RESOURCE_STATE_TOPIC => {
                return None;
            }
            ComponentKind::StaticTimeSeries(settings) => {
                let resource_type =
                    if settings.resource_type == ResourceType::Load { "Load" } else { "Generator" };
                let mut keys = vec![
                    ("kind", text("static-time-series")),
                    ("resource_type", text(resource_type)),
                    ("file", self.file(&settings.series.file)),
                ];
                keys.extend(delimiter(settings.series.delimiter));
                keys
            }
            ComponentKind::SetpointSeries(settings) => {
                let mut keys = vec![("kind", text("setpoint-series")), ("file", self.file(&settings.file))];
                keys.extend(delimiter(settings.delimiter));
                keys
            }
            ComponentKind::Dummy(settings) => vec![
                ("kind", text("dummy")),
                ("topic", text(&settings.topic)),
                ("min_sleep_s", number(settings.min_sleep.as_secs_f64())),
                ("max_sleep_s", number(settings.max_sleep.as_secs_f64())),
                ("error_chance", number(settings.error_chance)),
                ("send_miss_chance", number(settings.send_miss_chance)),
                ("receive_miss_chance", number(settings.receive_miss_chance)),
                ("warning_chance", number(settings.warning_chance)),
                ("seed", settings.seed.to_string()),
            ],
            ComponentKind::Simple(settings) => vec![
                ("kind", text("simple")),
                ("value", number(settings.value)),
                ("inputs", list(settings.inputs.iter())),
                ("output_delay_s", number(settings.output_delay.as_secs_f64())),
                ("topic", text(&settings.topic)),
            ],
            ComponentKind::DroopGenerator(settings) => vec![
                ("kind", text("droop-generator")),
                ("grid", text(&settings.bus.grid)),
                ("bus", text(&settings.bus.name)),
                ("loads", list(settings.loads.iter())),
                ("customer_id", text(&settings.customer_id)),
                ("no_load_voltage_kv", number(settings.no_load_voltage_kv)),
                ("droop_percent", number(settings.droop_percent)),
                ("rated_power_kw", number(settings.rated_power_kw)),
                ("tolerance_kv", number(settings.tolerance_kv)),
                ("rounds_max", settings.rounds_max.to_string()),
            ],
            ComponentKind::VoltageDependentLoad(settings) => vec![
                ("kind", text("voltage-dependent-load")),
                ("grid", text(&settings.bus.grid)),
                ("bus", text(&settings.bus.name)),
                ("customer_id", text(&settings.customer_id)),
                ("consumption_kw", number(settings.consumption_kw)),
                ("growth_kw", number(settings.growth_kw)),
                ("nominal_voltage_kv", number(settings.nominal_voltage_kv)),
                ("exponent", number(settings.exponent)),
                ("rounds_max", settings.rounds_max.to_string()),
            ],
        })
    }

    /// The same file as seen from the folder of the TOML.
    fn file(&self, file: &Path) -> String {
        let written = file.to_string_lossy();
        let mapped = self.folders.resources.as_ref().and_then(|(prefix, folder)| {
            let rest = written.strip_prefix(prefix.as_str())?.strip_prefix('/')?;
            Some(folder.join(rest))
        });
        let absolute = self.folders.run.join(mapped.as_deref().unwrap_or(file));
        let path = if mapped.is_none() && file.is_absolute() {
            absolute
        } else {
            relative(&absolute, &self.folders.toml)
        };
        quoted(&path.to_string_lossy())
    }
}

fn delimiter(delimiter: char) -> Option<(&'static str, String)> {
    (delimiter != ',').then(|| ("delimiter", quoted(&delimiter.to_string())))
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

fn list<'s>(items: impl Iterator<Item = &'s String>) -> String {
    format!("[{}]", items.map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
}

fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// `path` as seen from `folder`; both absolute.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let (path, folder) = (plain(path), plain(folder));
    let shared = path.iter().zip(&folder).take_while(|(left, right)| left == right).count();
    let up = std::iter::repeat_n(Component::ParentDir, folder.len() - shared);
    let down = path[shared..].iter().map(|name| Component::Normal(name));
    up.chain(down).collect()
}

/// The names in an absolute path, `.` and `..` resolved by their spelling.
fn plain(path: &Path) -> Vec<std::ffi::OsString> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::ParentDir => {
                names.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_as_seen_from_the_folder_of_the_result() {
        let seen =
            |path: &str, folder: &str| relative(Path::new(path), Path::new(folder)).display().to_string();
        assert_eq!(seen("/a/b/c.csv", "/a/b"), "c.csv");
        assert_eq!(seen("/a/b/c.csv", "/a/d/e"), "../../b/c.csv");
        assert_eq!(seen("/a/./x/../b/c.csv", "/"), "a/b/c.csv");
    }
}
