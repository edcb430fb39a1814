//! The two processes that every run has and that no run configuration lists: [`Core`], the Simulation Manager and the
//! Log Writer, with what the `Simulation` part of the run configuration says to them.

use crate::platform::manifest::{Manifest, Manifests};
use crate::platform::run_file::RunFile;
use crate::platform::yaml::{Node, Value};
use gridloop_service::{Diagnostic, Diagnostics};

/// Their manifests and parameters.
pub(super) struct Core<'a> {
    pub(super) manager: &'a Manifest,
    pub(super) manager_name: String,
    pub(super) log_writer: &'a Manifest,
    manager_given: Vec<(String, Node)>,
    log_writer_given: Vec<(String, Node)>,
}

impl<'a> Core<'a> {
    /// Finds the manifests and deals the keys of `Simulation` out to them. A key that both declare, or neither, goes
    /// to nobody but the first, or nobody.
    pub(super) fn of(run: &RunFile, manifests: &'a Manifests) -> Result<Self, Vec<Diagnostic>> {
        let (manager, log_writer) = match (find(manifests, "SimulationManager"), find(manifests, "LogWriter"))
        {
            (Ok(manager), Ok(log_writer)) => (manager, log_writer),
            (manager, log_writer) => {
                let problems = [manager.err(), log_writer.err()].into_iter().flatten().flatten();
                return Err(problems.collect());
            }
        };
        let mut manager_given = own(run);
        let mut log_writer_given = Vec::new();
        for (name, value) in &run.others {
            if manager.attribute(name).is_some() || name == "ManagerName" {
                manager_given.push((name.clone(), value.clone()));
            } else if log_writer.attribute(name).is_some() {
                log_writer_given.push((name.clone(), value.clone()));
            }
        }
        let manager_name = manager_name(manager, &manager_given);
        Ok(Self { manager, manager_name, log_writer, manager_given, log_writer_given })
    }

    pub(super) fn manager_given(&self) -> Vec<(&str, &Node)> {
        borrowed(&self.manager_given)
    }

    pub(super) fn log_writer_given(&self) -> Vec<(&str, &Node)> {
        borrowed(&self.log_writer_given)
    }
}

fn find<'a>(manifests: &'a Manifests, name: &str) -> Result<&'a Manifest, Diagnostics> {
    manifests.get(name).map_err(|mut problems| {
        if problems.is_empty() {
            let message = format!("there is no manifest for `{name}`, which every run needs");
            problems = Diagnostic::about(&manifests.folders(), message).into();
            manifests.nameless().for_each(|nameless| problems.append(nameless.clone()));
        }
        problems
    })
}

/// What the manager is told under the names of its manifest (wire contract 4.2).
fn own(run: &RunFile) -> Vec<(String, Node)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let whole = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let names = run.processes().map(|process| Node::made(&process.place, text(&process.name)));
    [
        ("SimulationName", text(&run.name)),
        ("SimulationDescription", text(&run.description)),
        ("InitialStartTime", text(&run.initial_start_time.to_string())),
        ("EpochLength", whole(run.epoch_length_s)),
        ("MaxEpochCount", whole(run.epochs)),
        ("Components", Value::List(names.collect())),
    ]
    .map(|(name, value)| (name.to_owned(), Node::made(&(0..0), value)))
    .into()
}

/// As configured, else the manifest's default.
fn manager_name(manifest: &Manifest, given: &[(String, Node)]) -> String {
    let configured = given.iter().find(|(name, _)| name == "ManagerName").map(|(_, value)| value);
    let default = manifest.attribute("ManagerName").and_then(|attribute| attribute.default.as_ref());
    configured.or(default).map_or_else(|| "SimulationManager".to_owned(), Node::variable)
}

fn borrowed(given: &[(String, Node)]) -> Vec<(&str, &Node)> {
    given.iter().map(|(name, value)| (name.as_str(), value)).collect()
}
