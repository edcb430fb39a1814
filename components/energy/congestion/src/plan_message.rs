//! A plan on the bus: how [`Plan`] becomes a `ResourceForecastState.Dispatch`, and how real-time management reads it.
//!
//! Each resource has the series `RealPower` (kW), `ReactivePower` (kV.A{r}) and `Curtailment` (kW that it does not give
//! or draw because of the plan); each tap changer has `RealPower` 0, which the message demands, and `TapPosition` (1).

use crate::{Base, Plan, PlanStep};
use gridloop_messages::{Dispatch, TimeSeries, Timestamp, ValueArray};
use std::collections::BTreeMap;

/// Below this a curtailment is none, in kW.
const NO_CURTAILMENT_KW: f64 = 1e-3;

/// Where the operational grid optimisation `name` publishes its plan.
pub(crate) fn plan_topic(name: &str) -> String {
    format!("{}.{name}", gridloop_messages::topic::DISPATCH)
}

/// The plan as a message.
pub(crate) fn dispatch_of(plan: &Plan, times: &[Timestamp]) -> Dispatch {
    let steps: Vec<(&PlanStep, Timestamp)> = plan.steps.iter().zip(times.iter().copied()).collect();
    let times: Vec<Timestamp> = steps.iter().map(|(_, time)| *time).collect();
    let mut dispatch = BTreeMap::new();
    let Some((first, _)) = steps.first() else { return Dispatch { dispatch } };
    for name in first.powers.keys() {
        let series = |unit: &str, value: fn(&crate::PlannedPower) -> f64| {
            let values = steps.iter().map(|(step, _)| step.powers.get(name).map_or(0.0, value) / 1000.0);
            ValueArray::numbers(unit, values.collect())
        };
        let series = BTreeMap::from([
            ("RealPower".to_owned(), series("kW", |power| power.real_power_w)),
            ("ReactivePower".to_owned(), series("kV.A{r}", |power| power.reactive_power_var)),
            ("Curtailment".to_owned(), series("kW", |power| power.curtailed_w)),
        ]);
        dispatch.insert(name.clone(), TimeSeries { time_index: times.clone(), series });
    }
    for name in first.tap_positions.keys() {
        let positions = steps
            .iter()
            .map(|(step, _)| step.tap_positions.get(name).copied().map_or(0.0, f64::from))
            .collect();
        let series = BTreeMap::from([
            ("RealPower".to_owned(), ValueArray::numbers("kW", vec![0.0; times.len()])),
            ("TapPosition".to_owned(), ValueArray::numbers("1", positions)),
        ]);
        dispatch.insert(name.clone(), TimeSeries { time_index: times.clone(), series });
    }
    Dispatch { dispatch }
}

/// What a plan says of the epoch that begins at `time`; nothing once it is over.
pub(crate) fn base_of(dispatch: &Dispatch, time: Timestamp) -> Base {
    let mut base = Base::default();
    for (name, plan) in &dispatch.dispatch {
        let Some(at) = step_at(&plan.time_index, time) else { continue };
        let number = |series: &str| plan.numbers(series).and_then(|numbers| numbers.get(at).copied());
        if let Some(position) = number("TapPosition") {
            base.tap_positions
                .extend(crate::states::whole(position).map(|position| (name.clone(), position)));
            continue;
        }
        // Without curtailment a generator or load is free: what was expected of it is no limit.
        let free = number("Curtailment").is_some_and(|kw| kw < NO_CURTAILMENT_KW);
        let real_kw = number("RealPower").unwrap_or(0.0);
        let reactive_kvar = number("ReactivePower").unwrap_or(0.0);
        base.powers.insert(name.clone(), (real_kw * 1000.0, reactive_kvar * 1000.0));
        if free {
            base.uncurtailed.insert(name.clone());
        }
    }
    base
}

/// The step that holds at `time`: the last that has begun. The last of all lasts as long as the one before it.
pub(crate) fn step_at(times: &[Timestamp], time: Timestamp) -> Option<usize> {
    let at = times.iter().rposition(|begin| *begin <= time)?;
    if at + 1 < times.len() || at == 0 {
        return (at > 0 || times.len() > 1 || times.first() == Some(&time)).then_some(at);
    }
    let (last, before) = (times.get(at)?.as_datetime(), times.get(at - 1)?.as_datetime());
    (time.as_datetime() - last < last - before).then_some(at)
}
