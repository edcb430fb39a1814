//! From a mapping to a [`Plan`]: [`Planner`] looks up each object, asks the server how it is built up, in which unit
//! it is and how it is controlled. Nothing of that is assumed, and nothing is changed.

mod tap;

use crate::data::{Data, Fc, Kind, Layout, Variable};
use crate::directory::Directory;
use crate::mapping::{Mapping, ObjectName, PointMapping, RATINGS, SetpointMapping, TapMapping, beside};
use crate::plan::{Cell, Measured, Plan, PointPlan, SetpointPlan, Shape, Way, whole};
use crate::port::{ControlModel, MmsPort};
use gridloop_device::{DeviceError, Unit, point};

/// What an error of a mapping that does not fit says was being done.
const MATCH: &str = "match the IED with its mapping";
/// The structure of a command without a time of activation (IEC 61850-8-1).
const COMMAND: [&str; 6] = ["ctlVal", "origin", "ctlNum", "T", "Test", "Check"];

pub(crate) struct Planner<'p> {
    pub(crate) port: &'p mut dyn MmsPort,
    pub(crate) directory: &'p Directory,
    pub(crate) plan: Plan,
}

impl Planner<'_> {
    /// The plan for a mapping. What is not in `own`, the part of it that a person has written, is left out where it
    /// does not fit.
    pub(crate) async fn make(mut self, mapping: &Mapping, own: &Mapping) -> Result<Plan, DeviceError> {
        for point in &mapping.points {
            let planned = self.point(point).await;
            let named = own.points.iter().any(|named| named.name == point.name);
            let kept = self.keep(named, planned)?;
            self.plan.points.extend(kept);
        }
        let [power, reactive] = RATINGS;
        if let Some(setpoint) = &mapping.power_setpoint {
            let planned = self.setpoint(setpoint, Unit::Watt, Some((power, 0.0))).await;
            self.plan.power = self.keep(own.power_setpoint.is_some(), planned)?.flatten();
        }
        if let Some(setpoint) = &mapping.reactive_setpoint {
            let planned = self.setpoint(setpoint, Unit::Var, Some((reactive, -1.0))).await;
            self.plan.reactive = self.keep(own.reactive_setpoint.is_some(), planned)?.flatten();
        }
        if let Some(setpoint) = &mapping.voltage_setpoint {
            let planned = self.setpoint(setpoint, Unit::Volt, None).await;
            self.plan.voltage = self.keep(own.voltage_setpoint.is_some(), planned)?.flatten();
        }
        let planned = self.tap(&mapping.tap).await;
        self.plan.tap = self.keep(own.tap != TapMapping::default(), planned)?.flatten();
        self.show_commands();
        if self.plan.variables.is_empty() {
            let reason = "the server has none of the objects that are known, and the mapping names none";
            return Err(unfit(reason));
        }
        Ok(self.plan)
    }

    /// Leaves out what was only recognised by its name and does not fit.
    fn keep<T>(&mut self, named: bool, planned: Result<T, DeviceError>) -> Result<Option<T>, DeviceError> {
        match planned {
            Ok(planned) => Ok(Some(planned)),
            Err(DeviceError::Malformed { operation, reason }) if !named && operation == MATCH => {
                self.plan.unused.push(reason);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes points of the tap position and of the voltage that is regulated to, where no point has them yet.
    fn show_commands(&mut self) {
        let position =
            self.plan.tap.as_ref().map(|tap| (point::TAP_POSITION, Unit::One, 1.0, tap.position.clone()));
        let voltage = self.plan.voltage.as_ref().map(|voltage| {
            let measured = Measured { value: voltage.held.clone(), quality: None };
            ("voltage_setpoint", Unit::Volt, voltage.factor, measured)
        });
        for (name, unit, factor, measured) in position.into_iter().chain(voltage) {
            if !self.plan.points.iter().any(|point| &*point.name == name) {
                self.plan.points.push(PointPlan { name: name.into(), unit, factor, values: vec![measured] });
            }
        }
    }

    async fn point(&mut self, point: &PointMapping) -> Result<PointPlan, DeviceError> {
        let base = self.locate(&point.object)?;
        let fcs = match point.fc {
            Some(fc) => vec![fc],
            None => vec![Fc::Mx, Fc::St, Fc::Sp, Fc::Sg],
        };
        let fitting = fcs.iter().map(|fc| base.under(*fc)).find(|variable| self.directory.has(variable));
        let variable = fitting.ok_or_else(|| {
            let letters = fcs.iter().map(|fc| fc.letters()).collect::<Vec<_>>().join(", ");
            unfit(format!("point {}: the server has no {} under {letters}", point.name, base.object()))
        })?;
        let index = self.add(variable.clone()).await?;
        let paths = match &point.attribute {
            Some(path) => vec![path.clone()],
            None => usual(&self.plan.layouts[index]),
        };
        let values: Option<Vec<Measured>> =
            paths.iter().map(|path| measured(index, &self.plan.layouts[index], path)).collect();
        let values = values.filter(|values| !values.is_empty()).ok_or_else(|| {
            unfit(format!(
                "point {}: {variable} has no number where one is expected; name its `attribute`",
                point.name
            ))
        })?;
        let factor = self.factor(&variable, &paths[0], point.unit, point.scale).await?;
        Ok(PointPlan { name: point.name.clone(), unit: point.unit, factor, values })
    }

    /// An object that takes a number; `None` where its control model is status-only. `ratings` name the objects that
    /// limit it, and where the range begins as a multiple of them.
    async fn setpoint(
        &mut self,
        setpoint: &SetpointMapping,
        unit: Unit,
        ratings: Option<(&[(&str, &str)], f64)>,
    ) -> Result<Option<SetpointPlan>, DeviceError> {
        let object = self.locate(&setpoint.object)?;
        let (way, held, path) = if self.directory.has(&object.under(Fc::Co).part("Oper")) {
            let Some(model) = self.control_model(&object).await? else { return Ok(None) };
            let shape = self.command_shape(&object).await?;
            let (held, path) =
                self.cell(&object, &[Fc::Mx, Fc::St], &["mxVal.f", "mxVal.i", "stVal"]).await?;
            (Way::Operate { model, shape }, held, path)
        } else {
            let (held, path) =
                self.cell(&object, &[Fc::Sp, Fc::Sg], &["setMag.f", "setVal", "setMag.i"]).await?;
            let variable = self.plan.variables[held.variable].part(&path);
            let kind = self.plan.layouts[held.variable].kind(&path).unwrap_or(Kind::Other);
            (Way::Write { variable, shape: Shape::Plain(kind) }, held, path)
        };
        let factor = self.factor(&object, &path, unit, setpoint.scale).await?;
        let told = self.told_range(&object).await?;
        let mut min = setpoint.min.or(told.map(|(min, _)| min * factor));
        let mut max = setpoint.max.or(told.map(|(_, max)| max * factor));
        if let (None, Some((names, from))) = (max, ratings)
            && let Some(rated) = beside(self.directory, &object.domain, names, Fc::Sp)
        {
            let (cell, path) = self.cell(&rated, &[Fc::Sp], &["setMag.f", "setVal"]).await?;
            let factor = self.factor(&rated, &path, unit, None).await?;
            let variable = self.plan.variables[cell.variable].clone();
            let rating = self.value(&variable.part(&path)).await?.and_then(|data| data.number());
            max = rating.map(|rating| rating * factor);
            min = min.or(max.map(|max| max * from));
        }
        let (Some(low), Some(high)) = (min, max) else {
            let reason = "the server tells no range for it; give `min` and `max` in the mapping";
            return Err(unfit(format!("{}: {reason}", object.object())));
        };
        if low >= high {
            return Err(unfit(format!("{}: its range {low} to {high} is none", object.object())));
        }
        let (min, max) = (low, high);
        Ok(Some(SetpointPlan { object, way, held, factor, min, max }))
    }

    /// The control model that the server says the object has. `None`: status-only.
    async fn control_model(&mut self, object: &Variable) -> Result<Option<ControlModel>, DeviceError> {
        let at = object.under(Fc::Cf).part("ctlModel");
        let told = match self.value(&at).await? {
            Some(Data::Int(number)) => number,
            Some(Data::Unsigned(number)) => i64::try_from(number).unwrap_or(i64::MAX),
            _ => return Err(unfit(format!("{} does not tell its control model", object.object()))),
        };
        match (told, ControlModel::from_number(told)) {
            (0, _) => Ok(None),
            (_, Some(model)) => Ok(Some(model)),
            _ => Err(unfit(format!("{} has the unknown control model {told}", object.object()))),
        }
    }

    /// How the value of a command is written.
    async fn command_shape(&mut self, object: &Variable) -> Result<Shape, DeviceError> {
        let oper = object.under(Fc::Co).part("Oper");
        let layout = self.port.layout(&oper).await.map_err(|error| error.of(format!("read {oper}")))?;
        let Layout::Structure(parts) = &layout else {
            return Err(unfit(format!("{oper} is no structure")));
        };
        if !parts.iter().map(|(name, _)| name.as_str()).eq(COMMAND) {
            let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
            return Err(unfit(format!(
                "{oper} has {}; only {} is known",
                names.join(", "),
                COMMAND.join(", ")
            )));
        }
        match &parts[0].1 {
            Layout::Leaf(kind) => Ok(Shape::Plain(*kind)),
            Layout::Structure(inner) => match inner.as_slice() {
                [(_, Layout::Leaf(kind))] => Ok(Shape::Analogue(*kind)),
                _ => Err(unfit(format!("{oper}: a value with several members is not known"))),
            },
        }
    }

    /// The first of these paths under the first of these functional constraints.
    async fn cell(
        &mut self,
        object: &Variable,
        fcs: &[Fc],
        paths: &[&str],
    ) -> Result<(Cell, String), DeviceError> {
        for variable in fcs.iter().map(|fc| object.under(*fc)).filter(|variable| self.directory.has(variable))
        {
            let index = self.add(variable).await?;
            for path in paths {
                if let Some((positions, Layout::Leaf(_))) = self.plan.layouts[index].find(path) {
                    return Ok((Cell { variable: index, positions }, (*path).to_owned()));
                }
            }
        }
        Err(unfit(format!("{} has none of {}", object.object(), paths.join(", "))))
    }

    /// The range that an object tells. One that is empty was never set.
    async fn told_range(&mut self, object: &Variable) -> Result<Option<(f64, f64)>, DeviceError> {
        let min = self.configured(object, "minVal").await?;
        let max = self.configured(object, "maxVal").await?;
        Ok(min.zip(max).filter(|(min, max)| min < max))
    }

    /// A number from the configuration of an object, where it has one.
    async fn configured(&mut self, object: &Variable, name: &str) -> Result<Option<f64>, DeviceError> {
        let data = self.value(&object.under(Fc::Cf).part(name)).await?;
        Ok(data.and_then(|data| match data {
            // An `AnalogueValue` has `i`, which only a scale makes a value, before `f`, or only one of them.
            Data::Parts(parts) => {
                let float = parts.iter().find(|part| matches!(part, Data::Float32(_) | Data::Float64(_)));
                float.or(parts.first()).and_then(Data::number)
            }
            other => other.number(),
        }))
    }

    /// What a raw 1 is worth: the mapping's scale, else what the object says of its unit.
    async fn factor(
        &mut self,
        variable: &Variable,
        path: &str,
        unit: Unit,
        scale: Option<f64>,
    ) -> Result<f64, DeviceError> {
        if let Some(scale) = scale {
            return Ok(scale);
        }
        let within = path.split_once('.').filter(|(first, _)| first.starts_with("phs"));
        let object = match within {
            Some((phase, _)) => variable.under(Fc::Cf).part(phase),
            None => variable.under(Fc::Cf),
        };
        let units = object.part("units");
        let scaled = object.part("sVC");
        if path.ends_with(".i") && self.directory.has(&scaled) {
            return Err(unfit(format!("{variable}: whole numbers with sVC need a `scale` in the mapping")));
        }
        if !self.directory.has(&units) {
            return Ok(1.0);
        }
        let layout = self.port.layout(&units).await.map_err(|error| error.of(format!("read {units}")))?;
        let data = self.value(&units).await?;
        // `None` where the server has no such attribute; one that it has and does not tell is an error.
        let number = |name: &str| {
            let Some((positions, _)) = layout.find(name) else { return Ok(None) };
            let number = data.as_ref().and_then(|data| data.at(&positions)?.number());
            let unreadable = || unfit(format!("{units} cannot be read; give a `scale` in the mapping"));
            number.map(Some).ok_or_else(unreadable)
        };
        if let (Some(told), Some(wanted)) = (number("SIUnit")?, si_unit(unit))
            && told > 1.0
            && told != f64::from(wanted)
        {
            return Err(unfit(format!(
                "{variable} has SI unit {told}, expected {wanted} ({}); give a `scale` in the mapping if that is wanted",
                unit.ucum()
            )));
        }
        match number("multiplier")?.map(whole) {
            None => Ok(1.0),
            Some(Some(exponent @ -24..=24)) => Ok(10_f64.powi(exponent)),
            Some(_) => Err(unfit(format!("{units}: the multiplier is none"))),
        }
    }

    /// Reads one variable now, if the server has it.
    async fn value(&mut self, variable: &Variable) -> Result<Option<Data>, DeviceError> {
        if !self.directory.has(variable) {
            return Ok(None);
        }
        let read = self.port.read(std::slice::from_ref(variable)).await;
        let answer = read.map_err(|error| error.of(format!("read {variable}")))?.pop();
        Ok(answer.and_then(Result::ok))
    }

    /// Makes a variable part of every reading.
    async fn add(&mut self, variable: Variable) -> Result<usize, DeviceError> {
        if let Some(index) = self.plan.variables.iter().position(|known| *known == variable) {
            return Ok(index);
        }
        let layout =
            self.port.layout(&variable).await.map_err(|error| error.of(format!("read {variable}")))?;
        self.plan.variables.push(variable);
        self.plan.layouts.push(layout);
        Ok(self.plan.variables.len() - 1)
    }

    fn locate(&self, name: &ObjectName) -> Result<Variable, DeviceError> {
        let domain = self.directory.domain(&name.device).map_err(unfit)?.to_owned();
        Ok(Variable { domain, node: name.node.clone(), fc: Fc::St, path: name.path.clone() })
    }
}

/// Where the number of an object is, by its common data class; several for the phases of a WYE.
fn usual(layout: &Layout) -> Vec<String> {
    const PLACES: [&str; 8] =
        ["mag.f", "cVal.mag.f", "mxVal.f", "stVal", "valWTr.posVal", "setMag.f", "setVal", "mag.i"];
    let leaf = |path: &str| matches!(layout.find(path), Some((_, Layout::Leaf(_))));
    if let Some(place) = PLACES.into_iter().find(|place| leaf(place)) {
        return vec![place.to_owned()];
    }
    let phases = ["phsA", "phsB", "phsC"].map(|phase| format!("{phase}.cVal.mag.f"));
    phases.into_iter().filter(|path| leaf(path)).collect()
}

/// A value, and the quality attribute nearest to it on the way up.
fn measured(variable: usize, layout: &Layout, path: &str) -> Option<Measured> {
    let (positions, Layout::Leaf(_)) = layout.find(path)? else { return None };
    let mut above = path;
    let quality = loop {
        above = above.rsplit_once('.').map_or("", |(above, _)| above);
        let at = if above.is_empty() { "q".to_owned() } else { format!("{above}.q") };
        if let Some((positions, Layout::Leaf(Kind::Bits))) = layout.find(&at) {
            break Some(Cell { variable, positions });
        }
        if above.is_empty() {
            break None;
        }
    };
    Some(Measured { value: Cell { variable, positions }, quality })
}

/// The number of a unit in the enumeration `SIUnit` (IEC 61850-7-3, annex A).
fn si_unit(unit: Unit) -> Option<u8> {
    match unit {
        Unit::Second => Some(4),
        Unit::Ampere => Some(5),
        Unit::Celsius => Some(23),
        Unit::Volt => Some(29),
        Unit::Hertz => Some(33),
        Unit::VoltAmpere => Some(61),
        Unit::Watt => Some(62),
        Unit::Var => Some(63),
        Unit::WattHour => Some(72),
        Unit::Percent | Unit::One => None,
    }
}

/// The server is not what the mapping, or this adapter, expects.
fn unfit(reason: impl Into<String>) -> DeviceError {
    DeviceError::Malformed { operation: MATCH.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests;
