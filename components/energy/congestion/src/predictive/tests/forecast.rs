//! Forecast messages and what is read out of them.

use super::{at, engine, operation};
use crate::places::Places;
use crate::predictive::forecast::ForecastInbox;
use crate::states::on_wire;
use gridloop_messages::{
    Body, CurrentForecast, EpochFields, Header, Message, SimulationId, TimeSeries, Timestamp, ValueArray,
    VoltageForecast, Warning, WarningKind,
};
use gridloop_power_flow::{Complex64, Engine, Operation, Solution};
use std::collections::BTreeMap;
use std::time::Duration;

/// What published voltages are multiplied by: against earth, or between lines as the platform does.
const SCALES: [f64; 2] = [1.0, 1.732_050_807_568_877_2];
const HOUR: Duration = Duration::from_secs(3_600);

fn message(body: Body, warnings: Vec<Warning>) -> Message {
    let header = Header {
        simulation_id: SimulationId::new(at(0)),
        timestamp: at(0),
        source_process_id: "nsp".into(),
        message_id: "nsp-1".into(),
        epoch: Some(EpochFields { epoch_number: 1, warnings, ..EpochFields::default() }),
    };
    Message { header, body }
}

/// Two series, of a magnitude and an angle.
fn series(times: &[Timestamp], values: &[Complex64], [magnitude, angle]: [&str; 2]) -> TimeSeries {
    let magnitudes = values.iter().map(|it| it.norm()).collect();
    let angles = values.iter().map(|it| it.arg().to_degrees()).collect();
    let unit = if magnitude == "Magnitude" { "kV" } else { "A" };
    let series = BTreeMap::from([
        (magnitude.to_owned(), ValueArray::numbers(unit, magnitudes)),
        (angle.to_owned(), ValueArray::numbers("deg", angles)),
    ]);
    TimeSeries { time_index: times.to_vec(), series }
}

/// An inbox that was told these solutions, one for each hour from `first` on.
fn told(first: u32, solutions: &[Solution], scale: f64) -> ForecastInbox {
    let engine = engine();
    let topology = engine.topology();
    let hours = first..first + u32::try_from(solutions.len()).unwrap();
    let times: Vec<Timestamp> = hours.map(at).collect();
    let mut inbox = ForecastInbox::default();
    for (bus, info) in topology.buses.iter().enumerate() {
        for conductor in &info.conductors {
            let kv = |solution: &Solution| solution.voltage(topology, bus, *conductor).unwrap() / 1e3 * scale;
            let kv: Vec<Complex64> = solutions.iter().map(kv).collect();
            let forecast = series(&times, &kv, ["Magnitude", "Angle"]);
            let (bus, node) = (info.name.clone(), on_wire(*conductor));
            inbox.take("", &message(Body::VoltageForecast(VoltageForecast { forecast, bus, node }), vec![]));
        }
    }
    for (branch, info) in topology.branches.iter().enumerate() {
        for (which, conductor) in info.conductors.iter().enumerate() {
            let flow = |solution: &Solution| solution.branches[branch].conductors[which];
            let sending: Vec<Complex64> = solutions.iter().map(|it| flow(it).sending_a).collect();
            let receiving: Vec<Complex64> = solutions.iter().map(|it| flow(it).receiving_a).collect();
            let mut forecast = series(&times, &sending, ["MagnitudeSendingEnd", "AngleSendingEnd"]);
            let end = series(&times, &receiving, ["MagnitudeReceivingEnd", "AngleReceivingEnd"]);
            forecast.series.extend(end.series);
            let (device_id, phase) = (info.name.clone(), on_wire(*conductor));
            let body = Body::CurrentForecast(CurrentForecast { forecast, device_id, phase });
            inbox.take("", &message(body, vec![]));
        }
    }
    inbox
}

fn solved(powers: &[(&str, f64)]) -> Solution {
    engine().solve(&operation(powers)).unwrap()
}

#[test]
fn the_powers_that_voltages_and_currents_tell_of_are_those_of_the_forecast() {
    let solution = solved(&[("10", -16.0), ("7", 9.0), ("5", -3.0)]);
    for scale in SCALES {
        let inbox = told(18, std::slice::from_ref(&solution), scale);
        let mut engine = engine();
        let powers = inbox.operation(engine.topology(), at(18));
        let again = engine.solve(&powers).unwrap();
        let pairs = again.voltages_v.iter().flatten().zip(solution.voltages_v.iter().flatten());
        for (here, there) in pairs {
            assert!((here - there).norm() < 0.05, "{here} for {there} V");
        }
    }
}

#[test]
fn values_are_parts_of_nominal_voltages_and_rated_currents_on_either_scale() {
    let solution = solved(&[("10", -16.0)]);
    let engine = engine();
    let places = Places::of(engine.topology());
    for scale in SCALES {
        let inbox = told(18, std::slice::from_ref(&solution), scale);
        assert_eq!(inbox.missing(&places), [""; 0]);
        let (expected, unknown) = inbox.expected(engine.topology(), &places, [at(0), at(24)], HOUR);
        assert!(unknown.is_empty(), "{unknown:?}");
        let off = expected[0].values.iter().zip(places.read(&solution)).map(|(a, b)| (a - b).abs());
        assert!(off.fold(0.0, f64::max) < 1e-9);
    }
}

#[test]
fn only_what_lies_between_the_end_of_the_epoch_and_the_horizon_is_looked_at() {
    let solutions = vec![solved(&[("10", -1.0)]); 6];
    let inbox = told(3, &solutions, 1.0);
    let engine = engine();
    let places = Places::of(engine.topology());
    let (expected, _) = inbox.expected(engine.topology(), &places, [at(5), at(8)], HOUR);
    let times: Vec<Timestamp> = expected.iter().map(|it| it.at).collect();
    assert_eq!(times, [at(5), at(6), at(7)]);
    assert!(expected.iter().all(|it| it.duration_min == 60.0), "{expected:?}");
}

#[test]
fn an_instant_that_one_forecast_lacks_is_told_and_not_taken_for_good() {
    let mut inbox = told(3, &vec![solved(&[("10", -1.0)]); 3], 1.0);
    let forecast = series(&[at(3), at(5)], &[Complex64::new(0.23, 0.0); 2], ["Magnitude", "Angle"]);
    let (bus, node) = ("7".to_owned(), gridloop_messages::Conductor::Phase1);
    inbox.take("", &message(Body::VoltageForecast(VoltageForecast { forecast, bus, node }), vec![]));
    let engine = engine();
    let places = Places::of(engine.topology());
    let (expected, unknown) = inbox.expected(engine.topology(), &places, [at(0), at(24)], HOUR);
    assert_eq!(unknown.into_iter().collect::<Vec<_>>(), ["bus 7 phase 1"]);
    let place = places.voltage("7", gridloop_power_flow::Conductor::Phase1).unwrap();
    assert!(expected[1].values[place].is_nan() && expected[2].values[place].is_finite());
}

#[test]
fn a_place_of_which_nothing_came_is_missing() {
    let engine = engine();
    let places = Places::of(engine.topology());
    let missing = ForecastInbox::default().missing(&places);
    assert_eq!(missing.len(), places.list().len());
    assert!(missing.contains(&"forecast of bus 7 phase 1".to_owned()), "{missing:?}");
    assert!(missing.contains(&"forecast of L1 phase 3".to_owned()), "{missing:?}");
}

#[test]
fn without_currents_no_powers_are_made_up() {
    let engine = engine();
    let inbox = ForecastInbox::default();
    assert_eq!(inbox.operation(engine.topology(), at(3)), Operation::default());
}

#[test]
fn a_forecast_that_is_not_to_be_relied_on_is_remembered_as_such() {
    let mut inbox = ForecastInbox::default();
    let forecast = series(&[at(3)], &[Complex64::new(0.23, 0.0)], ["Magnitude", "Angle"]);
    let (bus, node) = ("7".to_owned(), gridloop_messages::Conductor::Phase1);
    let body = Body::VoltageForecast(VoltageForecast { forecast, bus, node });
    let warning = Warning::new(WarningKind::InputUnreliable, "old data");
    inbox.take("NetworkForecastState.grid.Voltage.7", &message(body, vec![warning]));
    assert!(inbox.doubt.unwrap().contains("NetworkForecastState.grid.Voltage.7 is doubtful"));
}
