//! What an IED says of itself.

use crate::data::{Data, Fc, Variable};
use crate::directory::{Directory, class};
use crate::plan::{Plan, SetpointPlan, TapDrive, Way};
use crate::port::MmsPort;
use gridloop_device::DeviceError;
use std::collections::BTreeSet;

/// Where manufacturer, model and serial number are, in the order of trust.
const NAMEPLATES: [(&str, &str, &[&str]); 2] =
    [("LPHD", "PhyNam", &["vendor", "model", "serNum"]), ("LLN0", "NamPlt", &["vendor", "d"])];

/// Manufacturer, model and serial number from `LPHD`, else from `LLN0`; empty where there is neither.
pub(super) async fn nameplate(
    port: &mut dyn MmsPort,
    directory: &Directory,
    device: Option<&str>,
) -> Result<String, DeviceError> {
    let domains = device.into_iter().chain(directory.domains());
    let nodes: Vec<(&str, &str)> = domains
        .flat_map(|domain| directory.nodes(domain).into_iter().map(move |node| (domain, node)))
        .collect();
    for (wanted, object, parts) in NAMEPLATES {
        for (domain, node) in &nodes {
            if class(node) != Some(wanted) && *node != wanted {
                continue;
            }
            let (domain, node) = ((*domain).to_owned(), (*node).to_owned());
            let base = Variable { domain, node, fc: Fc::Dc, path: object.to_owned() };
            let variables: Vec<Variable> =
                parts.iter().map(|part| base.part(part)).filter(|part| directory.has(part)).collect();
            if variables.is_empty() {
                continue;
            }
            let answers = port.read(&variables).await.map_err(|error| error.of("read the nameplate"))?;
            let texts = answers.iter().filter_map(|answer| answer.as_ref().ok().and_then(Data::text));
            let name = texts.map(str::trim).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
            if !name.is_empty() {
                return Ok(name);
            }
        }
    }
    Ok(String::new())
}

/// The logical nodes that are used and how each command is given, for people.
pub(super) fn profile(name: &str, plan: &Plan) -> String {
    let nodes: BTreeSet<String> =
        plan.variables.iter().map(|variable| format!("{}/{}", variable.domain, variable.node)).collect();
    let nodes: Vec<String> = nodes.into_iter().collect();
    let mut told = format!("{name}, IEC 61850 {}", nodes.join(" "));
    for setpoint in [&plan.power, &plan.reactive, &plan.voltage].into_iter().flatten() {
        told.push_str(&format!("; {}", way(setpoint)));
    }
    let drive = plan.tap.as_ref().and_then(|tap| tap.drive.as_ref());
    if let Some(TapDrive::Steps { object, model } | TapDrive::Position { object, model, .. }) = drive {
        told.push_str(&format!("; {}.{} {}", object.node, object.path, model.name()));
    }
    for reason in &plan.unused {
        told.push_str(&format!("; not used: {reason}"));
    }
    told
}

fn way(setpoint: &SetpointPlan) -> String {
    let object = format!("{}.{}", setpoint.object.node, setpoint.object.path);
    match &setpoint.way {
        Way::Write { variable, .. } => format!("{object} setting under {}", variable.fc.letters()),
        Way::Operate { model, .. } => format!("{object} {}", model.name()),
    }
}
