//! The objects that are recognised by their names: measurements of `MMXU`, commands of `ZINV`, `DRCC`, `YLTC` and
//! `ATCC`.

use super::{Mapping, ObjectName, PointMapping, SetpointMapping};
use crate::data::{Fc, Variable};
use crate::directory::{Directory, class};
use gridloop_device::{Unit, point};

/// Points: class of the node, object, functional constraint, name, unit. The first that the server has wins.
const POINTS: &[(&str, &str, Fc, &str, Unit)] = &[
    ("MMXU", "TotW", Fc::Mx, point::REAL_POWER, Unit::Watt),
    ("MMXU", "TotVAr", Fc::Mx, point::REACTIVE_POWER, Unit::Var),
    ("MMXU", "TotVA", Fc::Mx, "apparent_power", Unit::VoltAmpere),
    ("MMXU", "Hz", Fc::Mx, point::FREQUENCY, Unit::Hertz),
    ("MMXU", "PhV", Fc::Mx, point::VOLTAGE, Unit::Volt),
    ("MMXU", "A.phsA", Fc::Mx, "current_a", Unit::Ampere),
    ("MMXU", "A.phsB", Fc::Mx, "current_b", Unit::Ampere),
    ("MMXU", "A.phsC", Fc::Mx, "current_c", Unit::Ampere),
    ("ATCC", "CtlV", Fc::Mx, point::VOLTAGE, Unit::Volt),
    ("ATCC", "LodA", Fc::Mx, "load_current", Unit::Ampere),
    ("YLTC", "OpCnt", Fc::St, "operation_count", Unit::One),
    ("ZINV", "GridModSt", Fc::St, "grid_mode", Unit::One),
];

const POWER: &[(&str, &str)] = &[("ZINV", "OutWSet"), ("DRCC", "OutWSet")];
const REACTIVE: &[(&str, &str)] = &[("ZINV", "OutVarSet"), ("DRCC", "OutVarSet")];
const VOLTAGE: &[(&str, &str)] = &[("ATCC", "BndCtr")];
const TAP_COMMAND: &[(&str, &str)] = &[("YLTC", "TapChg"), ("ATCC", "TapChg")];
const TAP_SETPOINT: &[(&str, &str)] = &[("YLTC", "TapPos"), ("ATCC", "TapPos")];
const TAP_POSITION: &[(&str, &str)] =
    &[("YLTC", "TapPos"), ("YLTC", "TapChg"), ("ATCC", "TapPos"), ("ATCC", "TapChg")];

/// What is recognised among the variables of a server, in one logical device or in all of them.
pub(crate) fn found(directory: &Directory, device: Option<&str>) -> Mapping {
    let look = Look { directory, device };
    let mut mapping = Mapping::default();
    for (class, path, fc, name, unit) in POINTS {
        let known = mapping.points.iter().any(|point| *point.name == **name);
        if let Some(object) = look.first(class, path, *fc).filter(|_| !known) {
            mapping.points.push(PointMapping {
                name: (*name).into(),
                object,
                attribute: None,
                fc: Some(*fc),
                unit: *unit,
                scale: None,
            });
        }
    }
    mapping.power_setpoint = look.setpoint(POWER);
    mapping.reactive_setpoint = look.setpoint(REACTIVE);
    mapping.voltage_setpoint = look.setpoint(VOLTAGE);
    mapping.tap.setpoint = look.any(TAP_SETPOINT, &[Fc::Co]);
    mapping.tap.command = look.any(TAP_COMMAND, &[Fc::Co]).filter(|_| mapping.tap.setpoint.is_none());
    mapping.tap.position = look.any(TAP_POSITION, &[Fc::St, Fc::Mx]);
    mapping
}

/// Objects that tell the rating of an inverter, in the order of trust: for real and for reactive power.
pub(crate) const RATINGS: [&[(&str, &str)]; 2] =
    [&[("ZINV", "WRtg"), ("DRCT", "MaxWLim")], &[("ZINV", "VarRtg"), ("DRCT", "MaxVarLim")]];

/// The object of this class and name in the same logical device.
pub(crate) fn beside(
    directory: &Directory,
    domain: &str,
    names: &[(&str, &str)],
    fc: Fc,
) -> Option<Variable> {
    let look = Look { directory, device: Some(domain) };
    let object = look.any(names, &[fc])?;
    Some(Variable { domain: object.device, node: object.node, fc, path: object.path })
}

struct Look<'d> {
    directory: &'d Directory,
    device: Option<&'d str>,
}

impl Look<'_> {
    fn first(&self, wanted: &str, path: &str, fc: Fc) -> Option<ObjectName> {
        let domains =
            self.directory.domains().filter(|domain| self.device.is_none_or(|only| only == *domain));
        for domain in domains {
            for node in self.directory.nodes(domain) {
                if class(node) != Some(wanted) {
                    continue;
                }
                let (device, node, path) = (domain.to_owned(), node.to_owned(), path.to_owned());
                let variable = Variable { domain: device, node, fc, path };
                if self.directory.has(&variable) {
                    let Variable { domain: device, node, path, .. } = variable;
                    return Some(ObjectName { device, node, path });
                }
            }
        }
        None
    }

    fn any(&self, names: &[(&str, &str)], fcs: &[Fc]) -> Option<ObjectName> {
        let mut wanted = names.iter().flat_map(|name| fcs.iter().map(move |fc| (name, *fc)));
        wanted.find_map(|((class, path), fc)| self.first(class, path, fc))
    }

    fn setpoint(&self, names: &[(&str, &str)]) -> Option<SetpointMapping> {
        let object = self.any(names, &[Fc::Co, Fc::Sp, Fc::Sg])?;
        Some(SetpointMapping { object, scale: None, min: None, max: None })
    }
}
