//! Voltages of buses against limits, the worst one named.

use super::Options;
use super::many::{Named, envelope};
use crate::limits::Limits;
use crate::palette;
use crate::panel::{Limit, Line, Look, Mark, Panel};
use crate::recording::{Recording, Violation};
use crate::time_axis::TimeAxis;
use crate::track::Step;
use gridloop_messages::Conductor;

/// So many voltages have a colour each; of more, phases have one.
const MOST_APART: usize = 7;
/// So many are still lines of their own.
const MOST_THIN_LINES: usize = 90;

/// The voltage of a phase of a bus.
struct Voltage {
    bus: String,
    phase: usize,
    steps: Vec<Step>,
}

impl Voltage {
    fn name(&self) -> String {
        format!("{}, phase {}", self.bus, self.phase)
    }
}

pub(super) fn panels(recording: &Recording, options: &Options, height: f64) -> Vec<Panel> {
    let (voltages, unit, mut notes) = collect(recording, options);
    let per_unit = unit == "pu";
    let mut panel = Panel { title: "Voltages".into(), unit: unit.into(), height, ..Panel::default() };
    let judged_by = effective(recording, options);
    let Some((worst, at)) = worst(&voltages, &judged_by, per_unit) else { return Vec::new() };
    if let (Some(voltage), Some(range)) = (voltages.get(worst), recording.range()) {
        let instant = TimeAxis::new(range).instant(at.from_ms);
        let what = if per_unit { "worst" } else { "lowest" };
        let digits = if unit == "V" { 1 } else { 4 };
        let unsure = if at.doubtful { ", not reliable" } else { "" };
        let label = format!("{what}: {}, {:.digits$} {unit} at {instant}{unsure}", voltage.name(), at.value);
        panel.marks.push(Mark { at_ms: at.from_ms + (at.to_ms - at.from_ms) / 2, value: at.value, label });
    }
    if per_unit {
        panel.limits = limits(&judged_by);
        if judged_by != options.limits {
            notes.push("Limits as the violations in DMSNetworkStatus messages tell them.".into());
        }
        if panel.limits.is_empty() {
            notes
                .push("No limits: no state monitoring in the report or the configuration of the run.".into());
        }
    }
    panel.notes = notes;
    if voltages.len() <= MOST_APART {
        panel.lines = voltages.into_iter().enumerate().map(apart).collect();
    } else {
        by_phase(&mut panel, voltages, worst);
    }
    vec![panel]
}

/// Every voltage but that of neutrals, in per unit if any bus has a nominal voltage, else in V or kV.
fn collect(recording: &Recording, options: &Options) -> (Vec<Voltage>, &'static str, Vec<String>) {
    let nominal = |bus: &str| recording.buses_kv.get(bus).copied().or(options.nominal_kv);
    let phases = recording.voltages.iter().filter(|((_, conductor), _)| *conductor != Conductor::Neutral);
    let phases: Vec<_> = phases.collect();
    let per_unit = phases.iter().any(|((bus, _), _)| nominal(&bus.name).is_some());
    let highest_kv = phases.iter().map(|(_, track)| track.peak()).fold(0.0, f64::max);
    let (unit, scale) = match (per_unit, highest_kv < 1.0) {
        (true, _) => ("pu", 1.0),
        (false, true) => ("V", 1000.0),
        (false, false) => ("kV", 1.0),
    };
    let (mut voltages, mut without) = (Vec::new(), Vec::new());
    for ((bus, conductor), track) in phases {
        let scale = match (per_unit, nominal(&bus.name)) {
            (true, Some(base)) => 1.0 / base,
            (true, None) => {
                without.push(recording.called(bus));
                continue;
            }
            (false, _) => scale,
        };
        let phase = match conductor {
            Conductor::Phase1 => 1,
            Conductor::Phase2 => 2,
            Conductor::Phase3 | Conductor::Neutral => 3,
        };
        let steps = track.steps(&recording.epochs, scale);
        if !steps.is_empty() {
            voltages.push(Voltage { bus: recording.called(bus), phase, steps });
        }
    }
    without.dedup();
    let mut notes = Vec::new();
    if !without.is_empty() {
        let names = without.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
        notes.push(format!("Not shown, for no nominal voltage is known: {} buses, {names}.", without.len()));
    }
    if !per_unit && !voltages.is_empty() {
        notes.push(
            "No Init.NIS.NetworkBusInfo message: no nominal voltages, so neither per unit nor limits.".into(),
        );
    }
    (voltages, unit, notes)
}

/// The one that is farthest beyond the limits, or nearest to them; in volts the lowest. The first of those that are
/// alike.
fn worst(voltages: &[Voltage], limits: &Limits, per_unit: bool) -> Option<(usize, Step)> {
    let badness = |step: &Step| if per_unit { limits.beyond(step.value) } else { -step.value };
    let all = voltages.iter().enumerate();
    let all = all.flat_map(|(index, voltage)| voltage.steps.iter().map(move |step| (index, *step)));
    all.reduce(|worst, next| if badness(&next.1) > badness(&worst.1) { next } else { worst })
}

/// The limits that are given, or those that the judgements of a state monitoring show: a voltage less its violation.
fn effective(recording: &Recording, options: &Options) -> Limits {
    let given = options.limits;
    if given.min_pu.is_some() || given.max_pu.is_some() {
        return given;
    }
    let limit = |violation: &Option<Violation>| {
        let Violation { epoch, bus, conductor, beyond_pu } = violation.as_ref()?;
        let base = recording.buses_kv.get(bus).copied().or(options.nominal_kv)?;
        let voltage = recording.only_voltage(bus, *conductor)?.at(*epoch)?;
        // Limits are round numbers; the difference of two measured ones need not be.
        Some(((voltage / base - beyond_pu) * 1e5).round() / 1e5)
    };
    let [above, below] = &recording.violations;
    Limits { max_pu: limit(above), min_pu: limit(below), ..given }
}

/// The limits as the panel shows them.
fn limits(limits: &Limits) -> Vec<Limit> {
    let limit = |value: f64, word: &str, colour, upper, until| Limit {
        value,
        // Sums and differences of round numbers are shown as such.
        label: format!("{word} {}", (value * 1e6).round() / 1e6),
        colour,
        upper,
        until,
    };
    let red = palette::RED;
    let amber = palette::AMBER;
    [
        limits.max_pu.map(|value| limit(value, "max", red, true, None)),
        limits
            .amber_max_pu
            .filter(|amber| Some(*amber) != limits.max_pu)
            .map(|value| limit(value, "amber", amber, true, limits.max_pu)),
        limits
            .amber_min_pu
            .filter(|amber| Some(*amber) != limits.min_pu)
            .map(|value| limit(value, "amber", amber, false, limits.min_pu)),
        limits.min_pu.map(|value| limit(value, "min", red, false, None)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn apart((index, voltage): (usize, Voltage)) -> Line {
    let name = voltage.name();
    let colour = palette::line(index);
    Line { label: name.clone(), title: name, colour, look: Look::Plain, steps: voltage.steps }
}

/// An envelope for each phase, thin lines where they are not too many, and the worst one above all.
fn by_phase(panel: &mut Panel, voltages: Vec<Voltage>, worst: usize) {
    let thin = voltages.len() <= MOST_THIN_LINES;
    let mut phases: [Vec<Named>; 3] = Default::default();
    for (index, voltage) in voltages.into_iter().enumerate() {
        let (name, phase) = (voltage.name(), voltage.phase.clamp(1, 3) - 1);
        if index == worst {
            panel.lines.push(Line {
                label: name.clone(),
                title: name.clone(),
                colour: palette::TEXT,
                look: Look::Strong,
                steps: voltage.steps.clone(),
            });
        }
        phases[phase].push(Named { name, steps: voltage.steps, weight: 0.0 });
    }
    for (phase, (all, colour)) in phases.into_iter().zip(palette::PHASES).enumerate() {
        if all.is_empty() {
            continue;
        }
        let buses = if all.len() == 1 { "1 bus".to_owned() } else { format!("{} buses", all.len()) };
        panel.envelopes.push(envelope(&format!("phase {}: {buses}", phase + 1), colour, &all));
        if thin {
            panel.lines.extend(all.into_iter().map(|named| Line {
                label: String::new(),
                title: named.name,
                colour,
                look: Look::Thin,
                steps: named.steps,
            }));
        }
    }
}
