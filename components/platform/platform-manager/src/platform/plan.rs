//! What a run starts and says, all of it decided before anything happens: [`Plan`] (wire contract 4.3 and 4.4).
//!
//! [`Plan::make`] is a pure function: a run configuration, the manifests, the surroundings and the present time go in;
//! the processes with their environments, the Start message and the remarks for the operator come out.

mod blocks;

use super::manifest::{Image, Manifest, Manifests};
use super::parameters::{self, Given, last_wins};
use super::python_flag;
use super::run_file::{ComponentType, Process, RunFile, flaw};
use super::surroundings::{Surroundings, Topics};
use blocks::Core;
use gridloop_bus::run_exchange;
use gridloop_messages::{SimulationId, Timestamp};
use gridloop_service::{Diagnostic, Diagnostics, Text, nearest};
use serde_json::{Map, Value as Json, json};
use std::fmt;
use std::path::{Path, PathBuf};

/// A run, ready to be started.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The run's id.
    pub simulation_id: SimulationId,
    /// Its name.
    pub name: String,
    /// The run's exchange.
    pub exchange: String,
    /// How many epochs there are to be.
    pub epochs: u64,
    /// Names of everybody the manager waits for, in the order of the file.
    pub components: Vec<String>,
    /// What the manager is called.
    pub manager: String,
    /// What is started, in that order: the Log Writer, the components, the Simulation Manager.
    pub launches: Vec<Launch>,
    /// Who runs already and only hears the Start message: name and type.
    pub externals: Vec<(String, String)>,
    /// The topics that the run is followed on.
    pub topics: Topics,
    /// The Start message.
    pub start: Json,
    /// What the operator should know before the start.
    pub remarks: Vec<Diagnostic>,
}

/// One process to start.
#[derive(Clone, PartialEq, Eq)]
pub struct Launch {
    /// Its name: SourceProcessId of a component, name of its log file; container `SimNN_<name>`.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Name of its manifest.
    pub component_type: String,
    /// Image of the manifest, for containers; none when the manifest names none.
    pub image: Option<Image>,
    /// Program and arguments of the manifest, for processes.
    pub command: Option<Vec<String>>,
    /// Variables in the order of the wire contract 4.3, each once, the later one having won.
    pub environment: Vec<(String, String)>,
    /// The folder of the run configuration, which relative file names in it belong to.
    pub folder: PathBuf,
    /// The folder of the manifest, which a relative program in it belongs to.
    pub manifest_folder: PathBuf,
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment: Vec<_> =
            self.environment.iter().map(|(name, value)| (name, shown(name, value))).collect();
        f.debug_struct("Launch")
            .field("name", &self.name)
            .field("role", &self.role)
            .field("component_type", &self.component_type)
            .field("image", &self.image)
            .field("command", &self.command)
            .field("environment", &environment)
            .finish_non_exhaustive()
    }
}

/// What a process is in its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The Log Writer: started first, the only one that is told of MongoDB and joins its network.
    LogWriter,
    /// A component of the run configuration.
    Component,
    /// The Simulation Manager: started last.
    Manager,
}

/// What starts the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The operating system: manifests must name a `Command`.
    Processes,
    /// Docker: manifests must name a `DockerImage`.
    Containers,
}

/// Where the processes find what they share, as they see it themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// What starts them.
    pub kind: Kind,
    /// The folder of the run configuration.
    pub folder: PathBuf,
    /// `SIMULATION_LOG_FILE` before the name of the process is put into it.
    pub log_file: PathBuf,
    /// The folder of the Start message.
    pub start_folder: PathBuf,
    /// Paths that begin with the first are looked for in the second: resources of containers, for processes.
    pub resources: Option<(String, PathBuf)>,
}

/// The value of a variable for people to see: not if it is a password.
#[must_use]
pub fn shown<'v>(name: &str, value: &'v str) -> &'v str {
    let secret =
        ["PASSWORD", "SECRET", "TOKEN", "PRIVATE"].iter().any(|word| name.to_uppercase().contains(word));
    let secret = secret && !name.ends_with("_FILE") && !value.is_empty();
    if secret || value.contains("://") && value.contains('@') { "***" } else { value }
}

/// The name of the file that a Start message is kept in.
#[must_use]
pub fn start_file_name(exchange: &str) -> String {
    format!("start_message_{exchange}.json")
}

/// `logs/logfile.log` of `home1` as `logs/logfile_home1.log`.
#[must_use]
pub fn log_file(base: &Path, name: &str) -> PathBuf {
    let stem = base.file_stem().unwrap_or_default().to_string_lossy();
    let file = match base.extension() {
        Some(extension) => format!("{stem}_{name}.{}", extension.to_string_lossy()),
        None => format!("{stem}_{name}"),
    };
    base.with_file_name(file)
}

impl Plan {
    /// Plans a run that begins `now`. `text` is the text of the run configuration, for errors with their place.
    ///
    /// # Errors
    /// Everything that keeps it from being started.
    pub fn make(
        text: &Text,
        run: &RunFile,
        manifests: &Manifests,
        surroundings: &Surroundings,
        places: &Places,
        now: Timestamp,
    ) -> Result<Self, Diagnostics> {
        let simulation_id = SimulationId::new(now);
        let exchange = run_exchange(&surroundings.exchange_prefix, &simulation_id.compact());
        let core = Core::of(run, manifests);
        let mut planner = Planner {
            text,
            surroundings,
            places,
            simulation_id: simulation_id.to_string(),
            exchange: exchange.clone(),
            problems: Vec::new(),
            remarks: run.remarks.clone(),
            launches: Vec::new(),
            externals: Vec::new(),
        };
        let mut parameters = Map::new();
        let core = core.map_err(|problems| planner.problems.extend(problems)).ok();
        if let Some(core) = &core {
            let (manager, log_writer) = (core.manager_given(), core.log_writer_given());
            parameters.insert("SimulationManager".into(), parameters::block(core.manager, &manager));
            parameters.insert("LogWriter".into(), parameters::block(core.log_writer, &log_writer));
            planner.core(core.log_writer, &surroundings.log_writer, Role::LogWriter, &log_writer);
        }
        for component_type in &run.types {
            if let Some(block) = planner.component_type(component_type, manifests) {
                parameters.insert(component_type.name.clone(), block);
            }
        }
        if let Some(core) = &core {
            planner.core(core.manager, &core.manager_name, Role::Manager, &core.manager_given());
            planner.check_core_names(run, &core.manager_name);
        }
        if !planner.problems.is_empty() {
            return Err(planner.problems.into_iter().collect());
        }
        let start = json!({
            "Type": "Start",
            "Timestamp": now.to_string(),
            "SimulationId": simulation_id.to_string(),
            "SimulationSpecificExchange": exchange,
            "SimulationName": run.name,
            "SimulationDescription": run.description,
            "ProcessParameters": parameters,
        });
        Ok(Self {
            simulation_id,
            name: run.name.clone(),
            exchange,
            epochs: run.epochs,
            components: run.processes().map(|process| process.name.clone()).collect(),
            manager: core.map(|core| core.manager_name).unwrap_or_default(),
            launches: planner.launches,
            externals: planner.externals,
            topics: surroundings.topics.clone(),
            start,
            remarks: planner.remarks,
        })
    }
}

impl RunFile {
    /// All processes in the order of the file.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.types.iter().flat_map(|component_type| &component_type.processes)
    }
}

struct Planner<'a> {
    text: &'a Text,
    surroundings: &'a Surroundings,
    places: &'a Places,
    simulation_id: String,
    exchange: String,
    problems: Vec<Diagnostic>,
    remarks: Vec<Diagnostic>,
    launches: Vec<Launch>,
    externals: Vec<(String, String)>,
}

impl Planner<'_> {
    /// Plans the processes of one type; their block of the Start message.
    fn component_type(&mut self, component_type: &ComponentType, manifests: &Manifests) -> Option<Json> {
        let manifest = match manifests.get(&component_type.name) {
            Ok(manifest) => manifest,
            Err(problems) => {
                self.unknown_type(component_type, manifests, problems);
                return None;
            }
        };
        if !manifest.external {
            self.check_startable(manifest);
        }
        let mut block = Map::new();
        for process in &component_type.processes {
            let given: Vec<_> =
                process.attributes.iter().map(|(name, _, value)| (name.as_str(), value)).collect();
            self.check_attributes(process, manifest, &given);
            block.insert(process.name.clone(), parameters::block(manifest, &given));
            if manifest.external {
                self.externals.push((process.name.clone(), manifest.name.clone()));
            } else {
                self.launch(manifest, &process.name, Role::Component, &given);
            }
        }
        Some(Json::Object(block))
    }

    fn unknown_type(&mut self, component_type: &ComponentType, manifests: &Manifests, problems: Diagnostics) {
        let name = &component_type.name;
        let (message, help) = if problems.is_empty() {
            let near = nearest(name, manifests.names()).map(|near| format!("did you mean `{near}`? "));
            let help = format!("{}looked in {}", near.unwrap_or_default(), manifests.folders());
            (format!("there is no manifest for `{name}`"), help)
        } else {
            (format!("the manifest of `{name}` cannot be used"), "it is told of below".to_owned())
        };
        self.problems.push(self.text.diagnostic(component_type.place.clone(), message).helped(help));
        if problems.is_empty() {
            // One of these may have been the manifest that is missed.
            self.problems.extend(manifests.nameless().flat_map(|problems| problems.iter().cloned()));
        }
        self.problems.extend(problems);
    }

    fn check_startable(&mut self, manifest: &Manifest) {
        let (there, message, help) = match self.places.kind {
            Kind::Processes => (
                manifest.command.is_some(),
                "this manifest has no `Command`",
                "add `Command: [program, argument, ...]`, or start containers with --runner docker",
            ),
            Kind::Containers => (
                manifest.image.is_some(),
                "this manifest has no `DockerImage`",
                "add `DockerImage: name:tag`, or start processes without --runner docker",
            ),
        };
        if !there {
            let origin = manifest.file.display().to_string();
            self.problems.push(Diagnostic::about(&origin, message.to_owned()).helped(help));
        }
    }

    fn check_attributes(&mut self, process: &Process, manifest: &Manifest, given: &Given<'_>) {
        for name in parameters::missing(manifest, given) {
            let message = format!("`{}` has no `{name}`, which {} requires", process.name, manifest.name);
            let diagnostic = self.text.diagnostic(process.place.clone(), message);
            if manifest.external {
                let told = "the Start message has null in place of its parameters, as SimCES does it";
                self.remarks.push(diagnostic.helped(told));
            } else {
                self.problems.push(diagnostic.helped(format!("see {}", manifest.file.display())));
            }
        }
        let known = || manifest.attributes.iter().map(|attribute| attribute.name.as_str());
        for (name, place, _) in &process.attributes {
            if manifest.attribute(name).is_none()
                && let Some(near) = nearest(name, known().filter(|known| !is_given(given, known)))
            {
                let message =
                    format!("{} does not declare `{name}`; it is passed on as it is", manifest.name);
                self.remarks.push(
                    self.text.diagnostic(place.clone(), message).helped(format!("did you mean `{near}`?")),
                );
            }
        }
    }

    fn core(&mut self, manifest: &Manifest, name: &str, role: Role, given: &Given<'_>) {
        if manifest.external {
            self.externals.push((name.to_owned(), manifest.name.clone()));
            return;
        }
        self.check_startable(manifest);
        for missing in parameters::missing(manifest, given) {
            let message = format!("`Simulation` has no `{missing}`, which {} requires", manifest.name);
            self.problems
                .push(self.text.diagnostic(0..0, message).helped(format!("see {}", manifest.file.display())));
        }
        self.launch(manifest, name, role, given);
    }

    fn launch(&mut self, manifest: &Manifest, name: &str, role: Role, given: &Given<'_>) {
        let owned = |name: &str, value: String| (name.to_owned(), value);
        let surroundings = self.surroundings;
        let mut environment = surroundings.rabbitmq.clone();
        environment.extend([
            owned("RABBITMQ_EXCHANGE", self.exchange.clone()),
            owned("RABBITMQ_EXCHANGE_AUTODELETE", python_flag(true)),
            owned("RABBITMQ_EXCHANGE_DURABLE", python_flag(false)),
        ]);
        if role == Role::LogWriter {
            environment.extend(surroundings.store.iter().cloned());
        }
        environment.extend(surroundings.common.iter().cloned());
        let start_file = self.places.start_folder.join(start_file_name(&self.exchange));
        environment.extend([
            owned("SIMULATION_ID", self.simulation_id.clone()),
            owned("SIMULATION_COMPONENT_NAME", name.to_owned()),
            owned("SIMULATION_LOG_FILE", log_file(&self.places.log_file, name).display().to_string()),
            owned("SIMULATION_START_MESSAGE_FILENAME", start_file.display().to_string()),
        ]);
        let parameters = parameters::variables(manifest, given);
        environment.extend(parameters.into_iter().map(|(name, value)| (name, self.resource(value))));
        self.launches.push(Launch {
            name: name.to_owned(),
            role,
            component_type: manifest.name.clone(),
            image: manifest.image.clone(),
            command: manifest.command.clone(),
            environment: last_wins(environment),
            folder: self.places.folder.clone(),
            manifest_folder: manifest.file.parent().unwrap_or(Path::new("")).to_path_buf(),
        });
    }

    /// A path inside of a container as the path of the same file here.
    fn resource(&self, value: String) -> String {
        let Some((prefix, folder)) = &self.places.resources else { return value };
        match value.strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_prefix('/')) {
            Some(rest) => folder.join(rest).display().to_string(),
            None => value,
        }
    }

    /// The manager and the Log Writer need names of their own too.
    fn check_core_names(&mut self, run: &RunFile, manager: &str) {
        if let Some(flaw) = flaw(manager) {
            let message = format!("the name {manager:?} of the manager {flaw}");
            self.problems.push(
                self.text.diagnostic(0..0, message).expecting("a name of letters, digits, `_` and `-`"),
            );
        }
        for (name, whose) in
            [(manager, "the Simulation Manager"), (&*self.surroundings.log_writer, "the Log Writer")]
        {
            for process in run.processes().filter(|process| process.name == name) {
                let message = format!("{whose} is called `{name}` already");
                self.problems
                    .push(self.text.diagnostic(process.place.clone(), message).expecting("another name"));
            }
        }
        if manager == self.surroundings.log_writer {
            let message = format!("the manager and the Log Writer are both called `{manager}`");
            self.problems
                .push(self.text.diagnostic(0..0, message).helped("give the manager another `ManagerName`"));
        }
    }
}

fn is_given(given: &Given<'_>, name: &str) -> bool {
    given.iter().any(|(given, _)| *given == name)
}
