//! What an IED offers, for the hand tool: [`scan`] gives a [`ScanReport`].
//!
//! It browses, reads the control models, the report control blocks and every point that is recognised, and compares
//! the IED with its description where there is one. It writes nothing.

mod show;

use crate::data::{Data, Fc, Variable};
use crate::device::{IedDevice, IedSettings};
use crate::directory::Directory;
use crate::mapping::{Mapping, found};
use crate::port::{ControlModel, MmsPort, Network, Stack};
use crate::scl::{Scl, SclIed};
use gridloop_clock::SharedClock;
use gridloop_device::{Device, DeviceError, Quality, Unit};
use serde::Serialize;
use std::collections::BTreeSet;

/// The most variables that one read request asks for.
const MOST_READ: usize = 64;

/// What an IED offers. Its text form is for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScanReport {
    /// Where it is.
    pub address: String,
    /// Its logical devices.
    pub logical_devices: Vec<ScannedDevice>,
    /// How it differs from its description; `None` without one.
    pub comparison: Option<Comparison>,
}

/// One logical device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScannedDevice {
    /// Its MMS domain.
    pub domain: String,
    /// Manufacturer, model and serial number.
    pub identity: String,
    /// Its logical nodes, each with its data objects.
    pub nodes: Vec<(String, Vec<String>)>,
    /// What can be controlled.
    pub controls: Vec<ScannedControl>,
    /// The report control blocks.
    pub reports: Vec<ScannedReport>,
    /// The points that are recognised, with what they hold.
    pub points: Vec<ScannedPoint>,
    /// The commands that are recognised, for people.
    pub commands: Vec<String>,
    /// Why its points could not be read.
    pub trouble: Option<String>,
}

/// One controllable object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScannedControl {
    /// The object, such as `YLTC1.TapChg`.
    pub object: String,
    /// Its control model. `None`: status-only, or one without meaning.
    pub model: Option<ControlModel>,
}

/// One report control block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScannedReport {
    /// The block, such as `LLN0.brcbMeas01`.
    pub name: String,
    /// Whether entries are buffered while nobody listens.
    pub buffered: bool,
    /// Its data set.
    pub data_set: String,
    /// Whether a client has enabled it at present.
    pub enabled: bool,
}

/// One point.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScannedPoint {
    /// Its name in snapshots.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// Its quality.
    pub quality: Quality,
}

/// How an IED differs from its description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The name of the IED in the description. `None`: none of its IEDs has any of the logical devices.
    pub ied: Option<String>,
    /// Objects that the description has and the IED lacks.
    pub lacking: Vec<String>,
    /// Objects that the IED has and the description lacks.
    pub undescribed: Vec<String>,
    /// Control models that differ: the object, what the description says, what the IED says.
    pub control_models: Vec<(String, String, String)>,
}

/// Looks at the IED that the settings reach. A description of it is compared with what is found.
///
/// # Errors
/// As the association; a logical device whose points cannot be read is told in the report.
pub async fn scan(
    settings: &IedSettings,
    scl: Option<&Scl>,
    clock: SharedClock,
) -> Result<ScanReport, DeviceError> {
    let stack = Stack {
        address: settings.address.clone(),
        timeout: settings.timeout,
        termination: settings.termination_timeout,
        clock: SharedClock::clone(&clock),
    };
    let connecting = format!("connect to {}", settings.address);
    let mut port = stack.associate().await.map_err(|error| error.of(connecting))?;
    let browsed = port.browse().await.map_err(|error| error.of("browse the server"))?;
    let directory = Directory::new(browsed);
    let mut report =
        ScanReport { address: settings.address.to_string(), logical_devices: Vec::new(), comparison: None };
    for domain in directory.domains() {
        report.logical_devices.push(look(&mut *port, &directory, domain, settings, &clock).await?);
    }
    report.comparison = scl.map(|scl| compare(scl, &directory, &report.logical_devices));
    Ok(report)
}

async fn look(
    port: &mut dyn MmsPort,
    directory: &Directory,
    domain: &str,
    settings: &IedSettings,
    clock: &SharedClock,
) -> Result<ScannedDevice, DeviceError> {
    let mut scanned = ScannedDevice {
        domain: domain.to_owned(),
        identity: String::new(),
        nodes: Vec::new(),
        controls: Vec::new(),
        reports: Vec::new(),
        points: Vec::new(),
        commands: Vec::new(),
        trouble: None,
    };
    for node in directory.nodes(domain) {
        let mut objects = BTreeSet::new();
        for fc in [Fc::St, Fc::Mx, Fc::Sp, Fc::Sg, Fc::Co, Fc::Dc] {
            objects.extend(directory.objects(domain, node, fc));
        }
        scanned.nodes.push((node.to_owned(), objects.into_iter().map(ToOwned::to_owned).collect()));
        scanned.controls.extend(controls(port, directory, domain, node).await?);
        for fc in [Fc::Br, Fc::Rp] {
            scanned.reports.extend(reports(port, directory, domain, node, fc).await?);
        }
    }
    let mapping = if settings.mapping.defaults {
        settings.mapping.clone().or(found(directory, Some(domain)))
    } else {
        settings.mapping.clone()
    };
    scanned.commands = commands(&mapping);
    if mapping.points.is_empty() && scanned.commands.is_empty() {
        return Ok(scanned);
    }
    let own = IedSettings { logical_device: Some(domain.to_owned()), reports: None, ..settings.clone() };
    let mut device = IedDevice::new(own, SharedClock::clone(clock));
    let read = match device.connect().await {
        Ok(description) => {
            scanned.identity = description.identity;
            device.read().await
        }
        Err(error) => Err(error),
    };
    match read {
        Ok(snapshot) => scanned.points.extend(snapshot.points.iter().map(|(name, sample)| ScannedPoint {
            name: name.to_string(),
            value: sample.value,
            unit: sample.unit,
            quality: sample.quality,
        })),
        Err(error) => scanned.trouble = Some(error.to_string()),
    }
    Ok(scanned)
}

async fn controls(
    port: &mut dyn MmsPort,
    directory: &Directory,
    domain: &str,
    node: &str,
) -> Result<Vec<ScannedControl>, DeviceError> {
    let mut objects = directory.objects(domain, node, Fc::Co);
    objects.retain(|path| directory.has(&variable(domain, node, Fc::Co, path).part("Oper")));
    let asked: Vec<Variable> =
        objects.iter().map(|path| variable(domain, node, Fc::Cf, path).part("ctlModel")).collect();
    let answers = read(port, &asked).await?;
    let model = |answer: &Option<Data>| {
        let number = answer.as_ref().and_then(Data::number).and_then(crate::plan::whole);
        number.and_then(|number| ControlModel::from_number(number.into()))
    };
    Ok(objects
        .iter()
        .zip(&answers)
        .map(|(path, answer)| ScannedControl { object: format!("{node}.{path}"), model: model(answer) })
        .collect())
}

async fn reports(
    port: &mut dyn MmsPort,
    directory: &Directory,
    domain: &str,
    node: &str,
    fc: Fc,
) -> Result<Vec<ScannedReport>, DeviceError> {
    let names = directory.objects(domain, node, fc);
    let asked: Vec<Variable> = names
        .iter()
        .flat_map(|name| ["DatSet", "RptEna"].map(|part| variable(domain, node, fc, name).part(part)))
        .collect();
    let answers = read(port, &asked).await?;
    Ok(names
        .iter()
        .zip(answers.chunks(2))
        .map(|(name, answers)| ScannedReport {
            name: format!("{node}.{name}"),
            buffered: fc == Fc::Br,
            data_set: answers[0].as_ref().and_then(Data::text).unwrap_or_default().to_owned(),
            enabled: answers.get(1) == Some(&Some(Data::Bool(true))),
        })
        .collect())
}

async fn read(port: &mut dyn MmsPort, variables: &[Variable]) -> Result<Vec<Option<Data>>, DeviceError> {
    let mut answers = Vec::new();
    for some in variables.chunks(MOST_READ) {
        let read = port.read(some).await.map_err(|error| error.of(format!("read {}", some[0])))?;
        answers.extend(read.into_iter().map(Result::ok));
    }
    Ok(answers)
}

fn variable(domain: &str, node: &str, fc: Fc, path: &str) -> Variable {
    Variable { domain: domain.to_owned(), node: node.to_owned(), fc, path: path.to_owned() }
}

/// The commands of a mapping, for people.
fn commands(mapping: &Mapping) -> Vec<String> {
    let setpoints = [
        ("real power", &mapping.power_setpoint),
        ("reactive power", &mapping.reactive_setpoint),
        ("voltage", &mapping.voltage_setpoint),
    ];
    let setpoints = setpoints
        .into_iter()
        .filter_map(|(what, setpoint)| Some(format!("{what}: {}", setpoint.as_ref()?.object)));
    let tap = &mapping.tap;
    let step = tap.command.as_ref().map(|object| format!("tap, step by step: {object}"));
    let position = tap.setpoint.as_ref().map(|object| format!("tap, by position: {object}"));
    setpoints.chain(step).chain(position).collect()
}

fn compare(scl: &Scl, directory: &Directory, devices: &[ScannedDevice]) -> Comparison {
    let domains: BTreeSet<&str> = directory.domains().collect();
    let Some(ied) = scl.most_like(&domains) else {
        return Comparison {
            ied: None,
            lacking: Vec::new(),
            undescribed: Vec::new(),
            control_models: Vec::new(),
        };
    };
    let (described, there) = (objects(&ied.directory()), objects(directory));
    Comparison {
        ied: Some(ied.name.clone()),
        lacking: described.difference(&there).cloned().collect(),
        undescribed: there.difference(&described).cloned().collect(),
        control_models: control_models(ied, devices),
    }
}

/// Every data object of a directory, by its reference and functional constraint. Report control blocks are left out:
/// a description does not tell how its instances are named.
fn objects(directory: &Directory) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for domain in directory.domains() {
        for node in directory.nodes(domain) {
            for fc in [Fc::St, Fc::Mx, Fc::Sp, Fc::Sg, Fc::Co] {
                let paths = directory.objects(domain, node, fc);
                all.extend(paths.into_iter().map(|path| variable(domain, node, fc, path).to_string()));
            }
        }
    }
    all
}

fn control_models(ied: &SclIed, devices: &[ScannedDevice]) -> Vec<(String, String, String)> {
    let mut differing = Vec::new();
    for device in &ied.logical_devices {
        let Some(scanned) = devices.iter().find(|scanned| scanned.domain == device.domain) else { continue };
        for node in &device.nodes {
            for object in &node.objects {
                let name = format!("{}.{}", node.name, object.name);
                let there = scanned.controls.iter().find(|control| control.object == name);
                let (Some(said), Some(control)) = (&object.control_model, there) else { continue };
                let is = control.model.map_or("status-only", ControlModel::name);
                if said != is {
                    differing.push((format!("{}/{name}", device.domain), said.clone(), is.to_owned()));
                }
            }
        }
    }
    differing
}

#[cfg(test)]
mod tests;
