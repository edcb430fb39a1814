//! The engine: [`OpenDss`] keeps one OpenDSS with one model, and puts the injections of an operation into it.

use crate::error::DssError;
use crate::library::Context;
use crate::model::{Model, conductor};
use gridloop_power_flow::{
    BranchFlow, Complex64, Conductor, ConductorFlow, Connection, Engine, Injection, Operation, Solution,
    SolveError, Topology, VoltageDependence,
};
use std::path::{Path, PathBuf};

/// Voltages below this part of the nominal one are those of a bus that no source reaches.
const DEAD_PU: f64 = 1e-4;

/// How OpenDSS is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDssSettings {
    /// The library, or the folder that has it; `None`: whatever the system finds as `libdss_capi.so`.
    pub library: Option<PathBuf>,
    /// The user's own model, as OpenDSS's `compile` takes it.
    pub model: PathBuf,
    /// Whether regulators and other controls of the model act. They keep their state from one solution to the next.
    pub controls: bool,
}

/// A model of the user's own, solved by OpenDSS itself.
///
/// Names are in lower case, as OpenDSS has them. Branches are the elements that connect two buses: lines, transformers,
/// series reactors. Taps that an operation does not name stand where the model has them, unless its own controls move
/// them. An injection is one more load of the model, of constant power, current or impedance at any voltage.
/// The taps of a transformer are those of its second winding, position 0 being the nominal ratio.
pub struct OpenDss {
    dss: Context,
    model: Model,
    /// What OpenDSS says of itself.
    version: String,
    /// Where each of our loads is connected.
    slots: Vec<(usize, Connection)>,
    /// What the source of the model holds.
    source_pu: f64,
    /// Whether the taps are the model's own regulators' to move.
    controls: bool,
}

impl OpenDss {
    /// Loads the library and compiles the model.
    ///
    /// # Errors
    /// When there is no library, or OpenDSS refuses the model, or the model has no base voltages.
    pub fn open(settings: &OpenDssSettings) -> Result<Self, DssError> {
        let mut dss = Context::open(settings.library.as_deref())?;
        let version = dss.version();
        compile(&mut dss, &settings.model)?;
        let control = if settings.controls { "static" } else { "off" };
        for line in [
            "set mode=snapshot",
            &format!("set controlmode={control}"),
            "set maxiterations=1000",
            "set tolerance=1e-10",
        ] {
            dss.command(line)?;
        }
        // Nodes and taps are known when it has been solved once.
        dss.solve()?;
        let model = Model::read(&mut dss)?;
        let told = dss.command("? Vsource.source.pu")?;
        let source_pu = told
            .trim()
            .parse()
            .map_err(|_| DssError::Number { what: "Vsource.source.pu", told: told.clone() })?;
        Ok(Self { dss, model, version, slots: Vec::new(), source_pu, controls: settings.controls })
    }

    /// What OpenDSS says of itself.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    fn put(&mut self, operation: &Operation) -> Result<(), DssError> {
        let source_pu = operation.source_voltage_pu.unwrap_or(self.source_pu);
        self.dss.command(&format!("Vsource.source.pu={source_pu:?}"))?;
        for (branch, winding) in &self.model.windings {
            let known = &self.model.topology.branches[*branch];
            let Some(range) = known.taps else { continue };
            let position = match operation.tap_positions.get(branch) {
                Some(position) => *position,
                None if self.controls => continue,
                None => known.tap_position,
            };
            let tap = 1.0 + f64::from(position - range.neutral) * range.step;
            self.dss.command(&format!("{}.wdg={winding} tap={tap:?}", self.model.elements[*branch]))?;
        }
        for (number, injection) in operation.injections.iter().enumerate() {
            self.put_injection(number, injection)?;
        }
        for number in operation.injections.len()..self.slots.len() {
            self.dss.command(&format!("Load.{}.enabled=no", name(number)))?;
        }
        Ok(())
    }

    /// Injection `number` as a load: what it draws is less than nothing where it feeds in.
    fn put_injection(&mut self, number: usize, injection: &Injection) -> Result<(), DssError> {
        let wanted = (injection.bus, injection.connection);
        let name = name(number);
        match self.slots.get(number) {
            Some(slot) if *slot == wanted => {}
            Some(_) => {
                let place = self.place(injection);
                self.dss.command(&format!("edit Load.{name} {place}"))?;
                self.slots[number] = wanted;
            }
            None => {
                let place = self.place(injection);
                // At any voltage the law of the injection holds, and no other.
                self.dss.command(&format!("new Load.{name} {place} vminpu=0 vlowpu=0 vmaxpu=1000"))?;
                self.slots.push(wanted);
            }
        }
        let (real_kw, reactive_kvar) = (-injection.real_power_w / 1e3, -injection.reactive_power_var / 1e3);
        let law = match injection.dependence {
            VoltageDependence::ConstantPower => "model=1".to_owned(),
            VoltageDependence::ConstantImpedance => "model=2".to_owned(),
            VoltageDependence::ConstantCurrent => "model=5".to_owned(),
            VoltageDependence::Zip { impedance: z, current: i, power: p } => {
                format!("model=8 zipv=({z:?} {i:?} {p:?} {z:?} {i:?} {p:?} 0)")
            }
        };
        self.dss
            .command(&format!("edit Load.{name} enabled=yes {law} kw={real_kw:?} kvar={reactive_kvar:?}"))
            .map(drop)
    }

    /// Bus, phases, connection and nominal voltage of a load.
    fn place(&self, injection: &Injection) -> String {
        let bus = &self.model.topology.buses[injection.bus];
        let line_kv = bus.base_voltage_v / 1e3;
        let phase_kv = line_kv / 3.0_f64.sqrt();
        let star = if bus.conductors.contains(&Conductor::Neutral) { ".4" } else { "" };
        let name = &bus.name;
        match injection.connection {
            Connection::Wye => format!("bus1={name}.1.2.3{star} phases=3 conn=wye kv={line_kv:?}"),
            Connection::Delta => format!("bus1={name}.1.2.3 phases=3 conn=delta kv={line_kv:?}"),
            Connection::Phase(phase) => {
                format!("bus1={name}.{}{star} phases=1 conn=wye kv={phase_kv:?}", node(phase))
            }
            Connection::Between(one, other) => {
                format!("bus1={name}.{}.{} phases=1 conn=delta kv={line_kv:?}", node(one), node(other))
            }
        }
    }

    fn solution(&mut self) -> Result<Solution, DssError> {
        let mut voltages_v = Vec::with_capacity(self.model.topology.buses.len());
        for bus in &self.model.topology.buses {
            self.dss.select_bus(&bus.name)?;
            let (nodes, values) = (self.dss.bus_nodes()?, complex(&self.dss.bus_voltages()?));
            if nodes.len() != values.len() {
                return Err(DssError::Shape { what: "voltages", of: bus.name.clone() });
            }
            let known = nodes.iter().zip(values).filter(|(node, _)| conductor(**node).is_some());
            voltages_v.push(known.map(|(_, voltage)| voltage).collect());
        }
        let mut branches = Vec::with_capacity(self.model.elements.len());
        for (at, element) in self.model.elements.iter().enumerate() {
            self.dss.select_element(element)?;
            branches.push(flow(&mut self.dss, element, &self.model.topology.branches[at].conductors)?);
        }
        let total = self.dss.total_power()?;
        let [real_kw, reactive_kvar] = total[..] else {
            return Err(DssError::Shape { what: "power", of: "the sources".into() });
        };
        let source_power_va = Complex64::new(-real_kw * 1e3, -reactive_kvar * 1e3);
        let iterations = u32::try_from(self.dss.iterations()?).unwrap_or(0);
        Ok(Solution { voltages_v, branches, source_power_va, iterations })
    }

    /// Buses with an injection that are without voltage.
    fn dead(&self, operation: &Operation, solution: &Solution) -> Vec<String> {
        let topology = &self.model.topology;
        let mut buses: Vec<usize> = operation.injections.iter().map(|injection| injection.bus).collect();
        buses.sort_unstable();
        buses.dedup();
        let is_dead = |bus: &usize| {
            let limit = DEAD_PU * topology.buses[*bus].base_voltage_v;
            solution.voltages_v[*bus].iter().all(|voltage| voltage.norm() < limit)
        };
        buses.into_iter().filter(is_dead).map(|bus| topology.buses[bus].name.clone()).collect()
    }

    /// Where the voltage is lowest: what does not converge mostly is about there.
    fn weakest(&mut self) -> String {
        let Ok(solution) = self.solution() else { return "one that OpenDSS does not tell".to_owned() };
        let buses = self.model.topology.buses.iter().zip(&solution.voltages_v);
        let lowest = buses.filter_map(|(bus, voltages)| {
            let least = voltages.iter().map(|voltage| voltage.norm()).min_by(f64::total_cmp)?;
            Some((bus.name.clone(), least / bus.base_voltage_v))
        });
        lowest.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(name, _)| name).unwrap_or_default()
    }
}

impl Engine for OpenDss {
    fn topology(&self) -> &Topology {
        &self.model.topology
    }

    fn solve(&mut self, operation: &Operation) -> Result<Solution, SolveError> {
        check(&self.model.topology, operation)?;
        let refused = |error: DssError| SolveError::Engine(error.to_string());
        self.put(operation).map_err(refused)?;
        let converged = self.dss.solve().map_err(refused)?;
        if !converged {
            let (iterations, bus) = (self.dss.iterations().map_err(refused)?, self.weakest());
            return Err(SolveError::Engine(format!(
                "OpenDSS did not converge in {iterations} iterations; the voltage is lowest at bus {bus}"
            )));
        }
        let solution = self.solution().map_err(refused)?;
        let dead = self.dead(operation, &solution);
        if dead.is_empty() { Ok(solution) } else { Err(SolveError::Islanded { buses: dead }) }
    }
}

/// What is wrong with an operation is told in the same words for every engine, and before OpenDSS sees it.
fn check(topology: &Topology, operation: &Operation) -> Result<(), SolveError> {
    for (index, injection) in operation.injections.iter().enumerate() {
        let refuse = |bus: String, reason| Err(SolveError::Injection { index, bus, reason });
        let Some(bus) = topology.buses.get(injection.bus) else {
            return refuse(injection.bus.to_string(), "there is no such bus");
        };
        let needed = match injection.connection {
            Connection::Wye | Connection::Delta => Conductor::PHASES.to_vec(),
            Connection::Phase(phase) => vec![phase],
            Connection::Between(one, other) => vec![one, other],
        };
        if needed.iter().any(|conductor| !bus.conductors.contains(conductor)) {
            return refuse(bus.name.clone(), "the bus does not have all its conductors");
        }
        if !(injection.real_power_w.is_finite() && injection.reactive_power_var.is_finite()) {
            return Err(SolveError::NotFinite {
                what: format!("the power of injection {index} at bus {}", bus.name),
            });
        }
    }
    for (branch, position) in &operation.tap_positions {
        let known = topology.branches.get(*branch);
        let range = known.and_then(|known| known.taps);
        if !range.is_some_and(|range| (range.lowest..=range.highest).contains(position)) {
            let branch = known.map_or_else(|| branch.to_string(), |known| known.name.clone());
            return Err(SolveError::TapPosition { branch, position: *position });
        }
    }
    match operation.source_voltage_pu {
        Some(voltage) if !voltage.is_finite() => {
            Err(SolveError::NotFinite { what: "the source voltage".into() })
        }
        _ => Ok(()),
    }
}

fn compile(dss: &mut Context, model: &Path) -> Result<(), DssError> {
    dss.command("clear")?;
    dss.command(&format!("compile \"{}\"", model.display()))?;
    dss.command("makebuslist")?;
    if dss.bus_names()?.is_empty() { Err(DssError::NoCircuit { path: model.to_owned() }) } else { Ok(()) }
}

/// The currents and losses of the selected element.
fn flow(dss: &mut Context, element: &str, conductors: &[Conductor]) -> Result<BranchFlow, DssError> {
    let (nodes, currents) = (dss.element_nodes()?, complex(&dss.element_currents()?));
    let each = usize::try_from(dss.element_conductors()?).unwrap_or(0);
    if nodes.len() != currents.len() || nodes.len() < 2 * each {
        return Err(DssError::Shape { what: "currents", of: element.to_owned() });
    }
    let at = |terminal: usize, wanted: Conductor| -> Complex64 {
        let span = terminal * each..(terminal + 1) * each;
        let of_terminal = nodes[span.clone()].iter().zip(&currents[span]);
        of_terminal.filter(|(node, _)| conductor(**node) == Some(wanted)).map(|(_, current)| *current).sum()
    };
    let conductors = conductors
        .iter()
        .map(|wanted| ConductorFlow { sending_a: at(0, *wanted), receiving_a: at(1, *wanted) })
        .collect();
    let losses = complex(&dss.element_losses()?);
    let series_loss_va = losses.first().copied().unwrap_or_default();
    Ok(BranchFlow { conductors, series_loss_va, shunt_loss_va: Complex64::default() })
}

/// Real and imaginary parts in turn.
fn complex(numbers: &[f64]) -> Vec<Complex64> {
    numbers.chunks_exact(2).map(|pair| Complex64::new(pair[0], pair[1])).collect()
}

fn name(number: usize) -> String {
    format!("gridloop_{number}")
}

fn node(conductor: Conductor) -> u8 {
    match conductor {
        Conductor::Phase1 => 1,
        Conductor::Phase2 => 2,
        Conductor::Phase3 => 3,
        Conductor::Neutral => 4,
    }
}
