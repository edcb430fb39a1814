//! What the model is made of, as far as a simulation sees it: [`Model`].

use crate::error::DssError;
use crate::library::Context;
use gridloop_power_flow::{BranchInfo, BusInfo, Conductor, TapRange, Topology};
use std::collections::BTreeMap;

/// Everything of a model that stays.
pub(crate) struct Model {
    pub(crate) topology: Topology,
    /// Class and name of each branch, such as `Line.l1`.
    pub(crate) elements: Vec<String>,
    /// The winding with the taps, by branch.
    pub(crate) windings: BTreeMap<usize, u32>,
}

/// The conductor that OpenDSS calls by this number; `None` for the earth and for what is beyond a neutral.
pub(crate) fn conductor(node: i32) -> Option<Conductor> {
    match node {
        1 => Some(Conductor::Phase1),
        2 => Some(Conductor::Phase2),
        3 => Some(Conductor::Phase3),
        4 => Some(Conductor::Neutral),
        _ => None,
    }
}

impl Model {
    pub(crate) fn read(dss: &mut Context) -> Result<Self, DssError> {
        let buses = read_buses(dss)?;
        let at: BTreeMap<String, usize> =
            buses.iter().enumerate().map(|(at, bus)| (bus.name.clone(), at)).collect();
        let mut model = Self {
            topology: Topology { buses, branches: Vec::new() },
            elements: Vec::new(),
            windings: BTreeMap::new(),
        };
        let mut more = dss.first_branch()?;
        let mut names = Vec::new();
        while more > 0 {
            names.push(dss.branch_name()?.to_lowercase());
            more = dss.next_branch()?;
        }
        for name in names {
            model.read_branch(dss, &name, &at)?;
        }
        model.read_sources(dss, &at)?;
        Ok(model)
    }

    /// A branch between two buses. Others, such as capacitors, belong to their bus and are not told.
    fn read_branch(
        &mut self,
        dss: &mut Context,
        name: &str,
        at: &BTreeMap<String, usize>,
    ) -> Result<(), DssError> {
        dss.select_element(name)?;
        let ends: Vec<Option<usize>> =
            dss.element_buses()?.iter().map(|end| at.get(bus_of(end)).copied()).collect();
        let (Some(Some(sending_bus)), Some(Some(receiving_bus))) = (ends.first(), ends.get(1)) else {
            return Ok(());
        };
        if sending_bus == receiving_bus {
            return Ok(());
        }
        let nodes = dss.element_nodes()?;
        let conductors_each = usize::try_from(dss.element_conductors()?).unwrap_or(0);
        let mut conductors: Vec<Conductor> =
            nodes.iter().take(2 * conductors_each).filter_map(|node| conductor(*node)).collect();
        conductors.sort_unstable();
        conductors.dedup();
        let rated = dss.element_normal_amps()?;
        let index = self.topology.branches.len();
        let taps = match name.strip_prefix("transformer.") {
            Some(_) => self.read_taps(dss, name, index)?,
            None => None,
        };
        let (taps, tap_position) = taps.map_or((None, 0), |(range, position)| (Some(range), position));
        self.topology.branches.push(BranchInfo {
            name: name.split_once('.').map_or(name, |(_, name)| name).to_owned(),
            sending_bus: *sending_bus,
            receiving_bus: *receiving_bus,
            conductors,
            rated_current_a: (rated > 0.0).then_some(rated),
            taps,
            tap_position,
        });
        self.elements.push(name.to_owned());
        Ok(())
    }

    /// The taps of a transformer: those of the last winding that has any and does not stand at one value only.
    fn read_taps(
        &mut self,
        dss: &mut Context,
        name: &str,
        index: usize,
    ) -> Result<Option<(TapRange, i32)>, DssError> {
        let number = |dss: &mut Context, property: &str| -> Result<f64, DssError> {
            Ok(dss.command(&format!("? {name}.{property}"))?.trim().parse().unwrap_or(f64::NAN))
        };
        // The winding on the receiving side: raising it raises the voltage there.
        const WINDING: u32 = 2;
        dss.command(&format!("{name}.wdg={WINDING}"))?;
        let (lowest, highest) = (number(dss, "MinTap")?, number(dss, "MaxTap")?);
        let (taps, tap) = (number(dss, "NumTaps")?, number(dss, "Tap")?);
        let step = (highest - lowest) / taps;
        if !(step > 0.0 && step.is_finite()) {
            return Ok(None);
        }
        let position = |ratio: f64| whole((ratio - 1.0) / step);
        let (Some(low), Some(high), Some(now)) = (position(lowest), position(highest), position(tap)) else {
            return Ok(None);
        };
        self.windings.insert(index, WINDING);
        Ok(Some((TapRange { lowest: low, highest: high, neutral: 0, step }, now)))
    }

    fn read_sources(&mut self, dss: &mut Context, at: &BTreeMap<String, usize>) -> Result<(), DssError> {
        dss.select_element("Vsource.source")?;
        for end in dss.element_buses()?.iter().take(1) {
            if let Some(bus) = at.get(bus_of(end)).and_then(|bus| self.topology.buses.get_mut(*bus)) {
                bus.is_source = true;
            }
        }
        Ok(())
    }
}

fn read_buses(dss: &mut Context) -> Result<Vec<BusInfo>, DssError> {
    let mut buses = Vec::new();
    let mut baseless = Vec::new();
    for name in dss.bus_names()? {
        let name = name.to_lowercase();
        dss.select_bus(&name)?;
        let base_kv = dss.bus_base_kv()?;
        if base_kv <= 0.0 {
            baseless.push(name.clone());
        }
        let conductors = dss.bus_nodes()?.into_iter().filter_map(conductor).collect();
        let base_voltage_v = base_kv * 1000.0 * 3.0_f64.sqrt();
        buses.push(BusInfo { name, base_voltage_v, conductors, is_source: false });
    }
    if baseless.is_empty() { Ok(buses) } else { Err(DssError::NoBaseVoltage { buses: baseless }) }
}

/// The name of the bus in `bus.1.2.3`.
fn bus_of(end: &str) -> &str {
    end.split('.').next().unwrap_or_default()
}

/// The nearest whole number, if it is one that a tap changer can have.
fn whole(value: f64) -> Option<i32> {
    (-1000..=1000).find(|whole| (value - f64::from(*whole)).abs() <= 0.5)
}
