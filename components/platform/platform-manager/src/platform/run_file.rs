//! The run configuration: [`RunFile`], read from the YAML that the Python platform takes (wire contract 4.1).

use super::manifest::{check_passable, is_variable};
use super::yaml::{self, Node, Notes, Value};
use gridloop_messages::Timestamp;
use gridloop_service::{Diagnostic, Diagnostics, Text, nearest};
use std::collections::HashMap;
use std::ops::Range;

/// What the manager is told besides, and nobody may say in its place.
const MADE_HERE: [&str; 3] = ["Components", "SimulationDescription", "SimulationName"];

/// The key of a process that says how often it is there.
const DUPLICATION_COUNT: &str = "duplication_count";
/// Processes in one run.
const PROCESSES_MAX: usize = 10_000;
/// Characters in the name of a process, which becomes a part of topics and file names.
const NAME_MAX: usize = 128;
/// Keys of `Simulation` that the Python platform knows.
const SIMULATION_KEYS: [&str; 10] = [
    "Name",
    "Description",
    "InitialStartTime",
    "EpochLength",
    "MaxEpochCount",
    "ManagerName",
    "EpochTimerInterval",
    "MaxEpochResendCount",
    "MessageBufferMaxDocumentCount",
    "MessageBufferMaxInterval",
];

/// A run as its file describes it, before the manifests have been asked.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFile {
    /// `Name`, `simulation` if there is none.
    pub name: String,
    /// `Description`.
    pub description: String,
    /// `InitialStartTime` in UTC.
    pub initial_start_time: Timestamp,
    /// Simulated length of an epoch, in s.
    pub epoch_length_s: u64,
    /// How many epochs.
    pub epochs: u64,
    /// The other keys of `Simulation`, as written.
    pub others: Vec<(String, Node)>,
    /// The types of components in the order of the file.
    pub types: Vec<ComponentType>,
    /// Keys that are passed over and were perhaps meant to be something.
    pub remarks: Vec<Diagnostic>,
}

/// The processes of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentType {
    /// Its name, to be found among the manifests.
    pub name: String,
    /// Where it stands.
    pub place: Range<usize>,
    /// In the order of the file, duplicates made.
    pub processes: Vec<Process>,
}

/// One process.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Its name, with the number of the duplicate.
    pub name: String,
    /// Where it stands.
    pub place: Range<usize>,
    /// Its parameters in the order of the file, with the places of their names.
    pub attributes: Vec<(String, Range<usize>, Node)>,
}

impl RunFile {
    /// Reads a run configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(text: &Text) -> Result<Self, Diagnostics> {
        let root = yaml::read(text)?;
        let mut reader = Reader {
            notes: Notes::new(text),
            remarks: Notes::new(text),
            names: HashMap::new(),
            processes: 0,
        };
        let mut run = reader.run(&root);
        run.remarks = reader.remarks.finish();
        let problems: Diagnostics = reader.notes.finish().into_iter().collect();
        if problems.is_empty() { Ok(run) } else { Err(problems) }
    }
}

struct Reader<'t> {
    notes: Notes<'t>,
    remarks: Notes<'t>,
    names: HashMap<String, Range<usize>>,
    processes: usize,
}

impl Reader<'_> {
    fn run(&mut self, root: &Node) -> RunFile {
        for (key, _) in root.entries().unwrap_or_default() {
            self.remark_typo(key, &["Simulation", "Components"]);
        }
        let nothing = Node::made(&(root.place.start..root.place.start), Value::Map(Vec::new()));
        let simulation = match root.get("Simulation") {
            Some(node) if node.entries().is_some() => node,
            Some(node) => {
                self.notes.wrong(
                    &node.place,
                    format!("`Simulation` cannot be {}", node.found()),
                    "a mapping",
                );
                return self.finish(&nothing, root);
            }
            None => {
                let expected = "`Simulation:` with InitialStartTime, EpochLength and MaxEpochCount";
                self.notes.wrong(&nothing.place, "`Simulation` is missing", expected);
                return self.finish(&nothing, root);
            }
        };
        for required in ["InitialStartTime", "EpochLength", "MaxEpochCount"] {
            if simulation.get(required).is_none() {
                let place = simulation.place.start..simulation.place.start;
                self.notes.wrong(&place, format!("`Simulation` has no `{required}`"), expected_of(required));
            }
        }
        self.finish(simulation, root)
    }

    fn finish(&mut self, simulation: &Node, root: &Node) -> RunFile {
        let start = simulation.get("InitialStartTime").and_then(|node| self.time(node));
        let run = RunFile {
            name: self.text(simulation, "Name").unwrap_or_else(|| "simulation".to_owned()),
            description: self.text(simulation, "Description").unwrap_or_default(),
            initial_start_time: start.unwrap_or_else(|| Timestamp::from(chrono::DateTime::UNIX_EPOCH)),
            epoch_length_s: self.whole(simulation, "EpochLength", 1).unwrap_or(1),
            epochs: self.whole(simulation, "MaxEpochCount", 1).unwrap_or(1),
            others: self.others(simulation),
            types: self.types(root),
            remarks: Vec::new(),
        };
        self.whole(simulation, "MaxEpochResendCount", 0);
        self.whole(simulation, "MessageBufferMaxDocumentCount", 1);
        self.positive(simulation, "EpochTimerInterval");
        self.positive(simulation, "MessageBufferMaxInterval");
        run
    }

    fn remark_typo(&mut self, key: &Node, known: &[&str]) {
        let written = key.text().unwrap_or_default();
        if known.contains(&written) {
            return;
        }
        if let Some(near) = nearest(written, known.iter().copied()) {
            let help = format!("did you mean `{near}`?");
            self.remarks.wrong_try(&key.place, format!("`{written}` is passed over"), help);
        }
    }

    fn text(&mut self, simulation: &Node, key: &str) -> Option<String> {
        let node = simulation.get(key).filter(|node| node.value != Value::Null)?;
        if matches!(node.value, Value::List(_) | Value::Map(_)) || !check_passable(node, &mut self.notes) {
            self.notes.wrong(&node.place, format!("`{key}` cannot be {}", node.found()), "a text");
            return None;
        }
        Some(node.variable())
    }

    fn time(&mut self, node: &Node) -> Option<Timestamp> {
        let time = match &node.value {
            Value::Text(text) | Value::Date(text) => Timestamp::parse(text).ok(),
            _ => None,
        };
        if time.is_none() {
            let message = format!("`InitialStartTime` cannot be {}", node.found());
            self.notes.wrong(&node.place, message, expected_of("InitialStartTime"));
        }
        time
    }

    /// A whole number, also in quotes: the Python platform passes it on as a text anyway.
    fn whole(&mut self, simulation: &Node, key: &str, least: u64) -> Option<u64> {
        let node = simulation.get(key)?;
        let value = match &node.value {
            Value::Integer(value) => u64::try_from(*value).ok(),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let value = value.filter(|value| (least..=1_000_000_000).contains(value));
        if value.is_none() {
            self.notes.wrong(&node.place, format!("`{key}` cannot be {}", node.found()), expected_of(key));
        }
        value
    }

    fn positive(&mut self, simulation: &Node, key: &str) {
        let Some(node) = simulation.get(key) else { return };
        let sound = match &node.value {
            Value::Integer(value) => *value > 0,
            Value::Number(value) => *value > 0.0,
            Value::Text(text) => {
                text.trim().parse::<f64>().is_ok_and(|value| value.is_finite() && value > 0.0)
            }
            _ => false,
        };
        if !sound {
            self.notes.wrong(&node.place, format!("`{key}` cannot be {}", node.found()), expected_of(key));
        }
    }

    fn others(&mut self, simulation: &Node) -> Vec<(String, Node)> {
        let read = ["Name", "Description", "InitialStartTime", "EpochLength", "MaxEpochCount"];
        let mut others = Vec::new();
        for (key, value) in simulation.entries().unwrap_or_default() {
            self.remark_typo(key, &SIMULATION_KEYS);
            let Some(name) = key.text().filter(|name| !read.contains(name)) else { continue };
            if name == "ManagerName" {
                self.name(value);
            }
            if MADE_HERE.contains(&name) {
                let expected = "this key to be left out: it is made of the rest of the file";
                self.notes.wrong(&value.place, format!("`{name}` cannot be set"), expected);
                continue;
            }
            if check_passable(value, &mut self.notes) {
                others.push((name.to_owned(), value.clone()));
            }
        }
        others
    }

    fn types(&mut self, root: &Node) -> Vec<ComponentType> {
        let entries = match root.get("Components").map(|node| (&node.value, node)) {
            Some((Value::Map(entries), _)) if !entries.is_empty() => entries,
            found => {
                let place = found.map_or(root.place.start..root.place.start, |(_, node)| node.place.clone());
                let expected = "`Components:` with a type, and a process below it";
                self.notes.wrong(&place, "this run has no components", expected);
                return Vec::new();
            }
        };
        entries.iter().filter_map(|(key, value)| self.component_type(key, value)).collect()
    }

    fn component_type(&mut self, key: &Node, value: &Node) -> Option<ComponentType> {
        let Some(name) = key.text() else {
            self.notes.wrong(
                &key.place,
                format!("{} cannot be a type", key.found()),
                "the `Name` of a manifest",
            );
            return None;
        };
        let Some(entries) = value.entries().filter(|entries| !entries.is_empty()) else {
            let message = format!("`{name}` has no processes");
            self.notes.wrong(&key.place, message, "the name of a process below it, then its parameters");
            return None;
        };
        let processes = entries.iter().flat_map(|(key, body)| self.process(key, body)).collect();
        Some(ComponentType { name: name.to_owned(), place: key.place.clone(), processes })
    }

    fn process(&mut self, key: &Node, body: &Node) -> Vec<Process> {
        let Some(name) = self.name(key) else { return Vec::new() };
        let entries = match &body.value {
            Value::Null => &[],
            Value::Map(entries) => entries.as_slice(),
            _ => {
                self.notes.wrong(
                    &body.place,
                    format!("`{name}` cannot be {}", body.found()),
                    "its parameters",
                );
                return Vec::new();
            }
        };
        let mut attributes = Vec::new();
        for (key, value) in entries.iter().filter(|(key, _)| key.text() != Some(DUPLICATION_COUNT)) {
            let sound = check_passable(value, &mut self.notes);
            match key.text().filter(|name| is_variable(name)) {
                Some(name) if sound => attributes.push((name.to_owned(), key.place.clone(), value.clone())),
                Some(_) => {}
                None => {
                    let message = format!("{} cannot be a parameter", key.found());
                    self.notes.wrong(&key.place, message, "a name without `=`");
                }
            }
        }
        let count = self.count(body);
        let names = match count {
            1 => vec![name],
            _ => (1..=count).map(|number| format!("{name}_{number}")).collect(),
        };
        let unique = names.into_iter().filter(|name| self.is_new(name, &key.place));
        let made = |name| Process { name, place: key.place.clone(), attributes: attributes.clone() };
        unique.collect::<Vec<_>>().into_iter().map(made).collect()
    }

    fn count(&mut self, body: &Node) -> usize {
        let Some(node) = body.get(DUPLICATION_COUNT) else {
            self.processes += 1;
            return 1;
        };
        let count = match &node.value {
            Value::Integer(count) => usize::try_from(*count).ok().filter(|count| *count > 0),
            _ => None,
        };
        let Some(count) = count else {
            let message = format!("`{DUPLICATION_COUNT}` cannot be {}", node.found());
            self.notes.wrong(&node.place, message, "a whole number from 1");
            return 1;
        };
        self.processes = self.processes.saturating_add(count);
        if self.processes > PROCESSES_MAX {
            self.notes.wrong(
                &node.place,
                "these are too many processes",
                &format!("at most {PROCESSES_MAX} in a run"),
            );
            return 1;
        }
        count
    }

    fn is_new(&mut self, name: &str, place: &Range<usize>) -> bool {
        let new = !self.names.contains_key(name);
        if new {
            self.names.insert(name.to_owned(), place.clone());
        } else {
            let message = format!("another process is called `{name}` already");
            self.notes.wrong(
                place,
                message,
                "a name of its own for every process of a run, whatever its type",
            );
        }
        new
    }

    /// A name that topics, lists, file names and container names can carry (wire contract 7.2).
    fn name(&mut self, node: &Node) -> Option<String> {
        let Some(name) = node.text() else {
            self.notes.wrong(
                &node.place,
                format!("{} cannot be a name", node.found()),
                "a text; put quotes around it",
            );
            return None;
        };
        match flaw(name) {
            None => Some(name.to_owned()),
            Some(flaw) => {
                let message = format!("the name {name:?} {flaw}");
                self.notes.wrong(&node.place, message, "a name of letters, digits, `_` and `-`");
                None
            }
        }
    }
}

/// What a name would break, if anything.
pub(crate) fn flaw(name: &str) -> Option<&'static str> {
    let has = |bad: &[char]| name.contains(bad);
    if name.is_empty() {
        Some("is empty")
    } else if name.chars().count() > NAME_MAX {
        Some("is too long for a topic and a file name")
    } else if has(&[',']) {
        Some("has a comma: the list of components would be split there")
    } else if has(&['.']) {
        Some("has a dot: it would be two words of a topic")
    } else if has(&['#', '*']) {
        Some("has a `#` or `*`: these are wildcards of topics")
    } else if name.contains(char::is_whitespace) {
        Some("has a blank, which the Python platform does not trim")
    } else if !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') || name.starts_with('-') {
        Some("cannot be the name of a file, a container and a topic at once")
    } else {
        None
    }
}

fn expected_of(key: &str) -> &'static str {
    match key {
        "InitialStartTime" => "a time in quotes, such as \"2023-02-01T00:00:00.000+02:00\"",
        "EpochLength" => "a whole number of seconds, at least 1",
        "MaxEpochCount" => "a whole number of epochs, at least 1",
        "MaxEpochResendCount" => "a whole number, at least 0",
        "MessageBufferMaxDocumentCount" => "a whole number, at least 1",
        _ => "a number of seconds above 0",
    }
}
