//! The control loop closed over the power flow: what is measured in one epoch is answered in the next.

use super::*;
use crate::feeder::Feeder;
use crate::twelve_bus::{by_itself, changer, extremes, feeder, node, point, unit};
use crate::{Limits, Power, ResourceKind, Unit};
use gridloop_grid::{NetworkSource, Unsaid};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const STEP: f64 = 0.025;
const WHEN: When = When { day: 1, hours: 0.25 };

fn resource(name: &str, kind: ResourceKind, kw: f64, kvar: f64) -> ControlledResource {
    ControlledResource {
        unit: Unit { max_reactive_power_var: kvar * 1000.0, ..unit(name, kind, kw) },
        curtail: true,
        release_share: 0.1,
    }
}

fn settings() -> RealTimeSettings {
    RealTimeSettings {
        grid: "grid".into(),
        network: NetworkSource::Messages(Unsaid::default()),
        renew_at_start: false,
        limits: Limits {
            min_voltage_pu: 0.92,
            max_voltage_pu: 1.08,
            target_margin_pu: 0.01,
            release_margin_pu: 0.005,
            max_loading: 1.0,
        },
        base: None,
        hold_epochs: 2,
        state_timeout: Duration::from_secs(1),
        resources: vec![
            resource("pv7", ResourceKind::Generator, 15.0, 7.0),
            resource("pv5", ResourceKind::Generator, 3.5, 0.0),
            resource("ev10", ResourceKind::Load, 7.4, 0.0),
        ],
        tap_changers: vec![ControlledTap {
            changer: changer("oltc1", STEP),
            delay_epochs: 2,
            interval_epochs: 2,
            operations_per_day: 20,
            travel_epochs: 5,
        }],
    }
}

fn core(settings: RealTimeSettings) -> RealTimeCore {
    RealTimeCore::new(settings, feeder(1.0, STEP)).unwrap()
}

/// The feeder outside, which does what it was told in the epoch before.
struct Plant {
    feeder: Feeder,
    told: BTreeMap<String, (f64, f64)>,
    position: i32,
    settings: Vec<ControlledResource>,
    /// Resources that do not listen.
    deaf: Vec<String>,
}

impl Plant {
    /// With impedances that differ from those that the controller knows.
    fn new(stretched: f64, settings: &RealTimeSettings) -> Self {
        Self {
            feeder: feeder(stretched, STEP),
            told: BTreeMap::new(),
            position: 0,
            settings: settings.resources.clone(),
            deaf: Vec::new(),
        }
    }

    fn see(&mut self, by_itself: &BTreeMap<String, f64>) -> Sight {
        let mut powers: BTreeMap<String, (f64, f64)> =
            by_itself.iter().map(|(name, watts)| (name.clone(), (*watts, 0.0))).collect();
        for settings in self.settings.iter().filter(|settings| !self.deaf.contains(&settings.unit.name)) {
            let (Some(&(real, reactive)), Some(power)) =
                (self.told.get(&settings.unit.name), powers.get_mut(&settings.unit.name))
            else {
                continue;
            };
            power.0 = settings.follows(real, power.0);
            let most = settings.unit.most_reactive_var(power.0);
            power.1 = reactive.clamp(-most, most);
        }
        let point = point(&self.feeder, &powers, self.position);
        let values = self.feeder.solve(&point).unwrap();
        Sight {
            values,
            powers: powers
                .iter()
                .map(|(name, (real_power_w, reactive_power_var))| {
                    let (real_power_w, reactive_power_var) = (*real_power_w, *reactive_power_var);
                    (name.clone(), Power { real_power_w, reactive_power_var, node: node(name) })
                })
                .collect(),
            tap_positions: BTreeMap::from([("oltc1".to_owned(), self.position)]),
            ..Sight::default()
        }
    }

    fn obey(&mut self, instructions: &Instructions) {
        for (name, real, reactive) in &instructions.setpoints {
            self.told.insert(name.clone(), (*real, *reactive));
        }
        if let Some((_, position)) = instructions.tap_positions.first() {
            self.position = *position;
        }
    }
}

/// A day in quarters of an hour; gives lowest and highest voltage and the position of each.
fn day(core: &mut RealTimeCore, plant: &mut Plant) -> (Vec<(f64, f64)>, Vec<i32>) {
    let (mut voltages, mut positions) = (Vec::new(), Vec::new());
    for quarter in 0..96 {
        let sight = plant.see(&by_itself(quarter));
        voltages.push(extremes(&plant.feeder, &sight.values));
        positions.push(plant.position);
        let instructions = core.decide(&sight, &Base::default(), WHEN).unwrap();
        plant.obey(&instructions);
    }
    (voltages, positions)
}

fn outside(voltages: &[(f64, f64)], limits: &Limits) -> (usize, usize) {
    let bad = |(low, high): &(f64, f64)| {
        *low < limits.min_voltage_pu - 1e-6 || *high > limits.max_voltage_pu + 1e-6
    };
    let longest = voltages.split(|voltage| !bad(voltage)).map(<[_]>::len).max().unwrap_or(0);
    (voltages.iter().filter(|voltage| bad(voltage)).count(), longest)
}

#[test]
fn a_day_with_sun_at_noon_and_cars_in_the_evening_stays_in_the_band_with_few_tap_operations() {
    let settings = settings();
    let mut alone = Plant::new(1.0, &settings);
    let uncontrolled: Vec<_> = (0..96)
        .map(|quarter| {
            let values = alone.see(&by_itself(quarter)).values;
            extremes(&alone.feeder, &values)
        })
        .collect();
    let (bad, longest) = outside(&uncontrolled, &settings.limits);
    assert!(bad > 20 && longest > 10, "the day needs control: {bad} {longest}");
    for stretched in [0.85, 1.0, 1.15] {
        let mut core = core(settings.clone());
        let (voltages, positions) = day(&mut core, &mut Plant::new(stretched, &settings));
        let (bad, longest) = outside(&voltages, &settings.limits);
        let totals = core.totals();
        assert!(longest <= 1 && bad <= 2, "at {stretched}: {bad} epochs, {longest} in a row, {totals:?}");
        // Down at noon, up in the evening, down again when the cars are full, and never to and fro.
        assert!(totals.tap_operations <= 10, "at {stretched}: {totals:?}");
        let turns = positions.windows(2).map(|pair| (pair[1] - pair[0]).signum()).filter(|turn| *turn != 0);
        let turns: Vec<i32> = turns.collect();
        let reversals = turns.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(reversals <= 2, "at {stretched}: {positions:?}");
    }
}

/// Epochs after which a constant operating point changes nothing any more; `None` if it always does.
fn settles(core: &mut RealTimeCore, plant: &mut Plant, by_itself: &BTreeMap<String, f64>) -> Option<usize> {
    let mut history = Vec::new();
    for _ in 0..60 {
        let sight = plant.see(by_itself);
        let instructions = core.decide(&sight, &Base::default(), WHEN).unwrap();
        plant.obey(&instructions);
        history.push((instructions.setpoints, instructions.tap_positions));
    }
    let last = history.last().cloned();
    let settled = history.iter().rposition(|now| Some(now) != last.as_ref()).map_or(0, |at| at + 1);
    (settled < 50).then_some(settled)
}

#[test]
fn a_steady_operating_point_comes_to_rest_wherever_it_is_and_whatever_was_before() {
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..12 {
        let settings = settings();
        let mut plant = Plant::new(0.8 + 0.4 * random.f64(), &settings);
        let mut core = core(settings);
        for _ in 0..3 {
            let mut watts = by_itself(0);
            watts.insert("pv7".into(), 15_000.0 * random.f64());
            watts.insert("pv5".into(), 3_500.0 * random.f64());
            watts.insert("ev10".into(), -7_400.0 * random.f64());
            watts.insert("house7".into(), -4_000.0 * random.f64());
            watts.insert("house5".into(), -4_000.0 * random.f64());
            let settled = settles(&mut core, &mut plant, &watts);
            assert!(settled.is_some_and(|epochs| epochs <= 40), "round {round}: {settled:?} {watts:?}");
            let values = plant.see(&watts).values;
            let (low, high) = extremes(&plant.feeder, &values);
            assert!(low >= 0.92 - 1e-4 && high <= 1.08 + 1e-4, "round {round}: {low} {high} {watts:?}");
        }
    }
}

#[test]
fn noise_does_not_move_the_tap_changer() {
    let settings = settings();
    let mut plant = Plant::new(1.0, &settings);
    let mut core = core(settings);
    let mut random = fastrand::Rng::with_seed(5);
    let mut watts = by_itself(0);
    watts.insert("pv7".into(), 6_000.0);
    for _ in 0..400 {
        let mut sight = plant.see(&watts);
        // The highest voltage is 1.0535; noise of 1 % drives it over the edge of the target band now and then.
        sight.values.iter_mut().for_each(|value| *value += 0.01 * (random.f64() - 0.5));
        let instructions = core.decide(&sight, &Base::default(), WHEN).unwrap();
        plant.obey(&instructions);
    }
    assert_eq!(core.totals().tap_operations, 0);
    assert_eq!(plant.position, 0);
}

#[test]
fn a_tap_changer_that_would_spoil_the_other_end_stays_and_others_do_the_work() {
    let settings = settings();
    let mut plant = Plant::new(1.0, &settings);
    let mut core = core(settings);
    let mut watts = by_itself(50);
    watts.insert("ev10".into(), -7_400.0);
    watts.insert("house10".into(), -4_000.0);
    let values = plant.see(&watts).values;
    let (low, high) = extremes(&plant.feeder, &values);
    assert!(low < 0.93 && high > 1.08, "{low} {high}");
    assert!(settles(&mut core, &mut plant, &watts).is_some());
    assert_eq!(plant.position, 0);
    let values = plant.see(&watts).values;
    let (low, high) = extremes(&plant.feeder, &values);
    assert!(low > 0.92 && high < 1.08, "{low} {high}");
    assert!(core.totals().curtailed_kwh > 0.0 || core.totals().reactive_kvarh > 0.0);
}

#[test]
fn curtailment_is_taken_back_slowly_and_as_far_as_the_network_could_bear_it() {
    let mut settings = settings();
    settings.tap_changers.clear();
    let mut plant = Plant::new(1.0, &settings);
    let mut core = core(settings);
    settles(&mut core, &mut plant, &by_itself(50)).unwrap();
    let ceiling = plant.told["pv7"].0;
    assert!(ceiling < 12_000.0, "{ceiling}");
    let mut before = ceiling;
    for _ in 0..20 {
        let sight = plant.see(&by_itself(0));
        let instructions = core.decide(&sight, &Base::default(), WHEN).unwrap();
        plant.obey(&instructions);
        let now = plant.told["pv7"].0;
        assert!(now >= before && now <= before + 1_500.1, "{before} {now}");
        before = now;
    }
    // More than this at once, should the sun return, would be too much.
    assert!(before > ceiling + 500.0 && plant.told["pv7"].1 == 0.0, "{ceiling} {:?}", plant.told["pv7"]);
    let mut back = by_itself(0);
    back.insert("pv7".into(), 14_000.0);
    let values = plant.see(&back).values;
    let (_, high) = extremes(&plant.feeder, &values);
    assert!(high <= 1.09, "{high}");
}

#[test]
fn without_a_state_setpoints_are_held_and_then_given_up() {
    let mut settings = settings();
    settings.tap_changers.clear();
    let mut plant = Plant::new(1.0, &settings);
    let mut core = core(settings);
    settles(&mut core, &mut plant, &by_itself(50)).unwrap();
    let held = plant.told.clone();
    for _ in 0..2 {
        let instructions = core.go_on_blind("no voltage of bus 3", &Base::default());
        assert!(instructions.warnings[0].contains("held"), "{instructions:?}");
        plant.obey(&instructions);
        assert_eq!(plant.told, held);
    }
    for _ in 0..12 {
        let instructions = core.go_on_blind("no voltage of bus 3", &Base::default());
        assert!(instructions.warnings[0].contains("base"), "{instructions:?}");
        plant.obey(&instructions);
    }
    assert_eq!(plant.told["pv7"], (15_000.0, 0.0));
    assert_eq!(core.totals().epochs_blind, 14);
}

#[test]
fn what_a_deaf_inverter_does_not_do_others_do() {
    let mut settings = settings();
    settings.tap_changers.clear();
    settings.resources.push(resource("battery7", ResourceKind::Storage, 8.0, 4.0));
    let mut plant = Plant::new(1.0, &settings);
    plant.deaf.push("pv7".into());
    let mut core = core(settings);
    let watts = by_itself(50);
    let mut warned = false;
    for _ in 0..30 {
        let sight = plant.see(&watts);
        let instructions = core.decide(&sight, &Base::default(), WHEN).unwrap();
        warned |= instructions.warnings.iter().any(|text| text.contains("pv7 does not do"));
        plant.obey(&instructions);
    }
    assert!(warned);
    let values = plant.see(&watts).values;
    let (_, high) = extremes(&plant.feeder, &values);
    assert!(high <= 1.08, "{high}, battery at {:?}", plant.told["battery7"]);
}

#[test]
fn a_position_that_is_not_known_blocks_the_tap_changer() {
    let settings = settings();
    let mut plant = Plant::new(1.0, &settings);
    let mut core = core(settings);
    for _ in 0..20 {
        let mut sight = plant.see(&by_itself(50));
        sight.tap_positions.clear();
        let instructions = core.decide(&sight, &Base::default(), WHEN).unwrap();
        assert!(instructions.tap_positions.is_empty());
        plant.obey(&instructions);
    }
    assert_eq!(core.totals().tap_operations, 0);
}

#[test]
fn a_drive_that_does_not_move_is_not_pressed_for_ever() {
    let settings = settings();
    let mut plant = Plant::new(1.0, &settings);
    let mut core = core(settings);
    let mut warned = 0;
    for _ in 0..40 {
        let sight = plant.see(&by_itself(50));
        let instructions = core.decide(&sight, &Base::default(), WHEN).unwrap();
        warned += instructions.warnings.iter().filter(|text| text.contains("left where it is")).count();
        plant.obey(&Instructions { tap_positions: Vec::new(), ..instructions });
    }
    assert!(warned >= 1);
    assert!(core.totals().tap_operations <= 5, "{:?}", core.totals());
}

#[test]
fn the_budget_of_the_day_is_kept() {
    let mut settings = settings();
    settings.tap_changers[0].operations_per_day = 1;
    let mut plant = Plant::new(1.0, &settings);
    let mut core = core(settings);
    day(&mut core, &mut plant);
    assert_eq!(core.totals().tap_operations, 1);
}

#[test]
fn an_overloaded_branch_is_relieved_by_less_generation() {
    let mut settings = settings();
    settings.tap_changers.clear();
    (settings.limits.min_voltage_pu, settings.limits.max_voltage_pu) = (0.5, 1.5);
    settings.limits.max_loading = 0.35;
    let limits = settings.limits;
    let mut plant = Plant::new(1.0, &settings);
    let mut core = core(settings);
    let watts = by_itself(50);
    let values = plant.see(&watts).values;
    assert!(plant.feeder.places().worst(&values, &limits).is_some());
    settles(&mut core, &mut plant, &watts).unwrap();
    let values = plant.see(&watts).values;
    assert_eq!(plant.feeder.places().worst(&values, &limits), None);
}

#[test]
fn a_plan_is_followed_where_nothing_stands_against_it() {
    let mut settings = settings();
    settings.resources.push(resource("battery10", ResourceKind::Storage, 5.0, 0.0));
    let mut plant = Plant::new(1.0, &settings);
    let mut core = core(settings);
    let base = Base {
        powers: BTreeMap::from([
            ("battery10".to_owned(), (-3_000.0, 0.0)),
            ("pv7".to_owned(), (2_000.0, 500.0)),
        ]),
        tap_positions: BTreeMap::from([("oltc1".to_owned(), -1)]),
        ..Base::default()
    };
    for _ in 0..10 {
        let sight = plant.see(&by_itself(40));
        let instructions = core.decide(&sight, &base, WHEN).unwrap();
        plant.obey(&instructions);
    }
    assert_eq!(plant.told["battery10"], (-3_000.0, 0.0));
    assert_eq!(plant.told["pv7"], (2_000.0, 500.0));
    assert_eq!(plant.position, -1);
}

#[test]
fn what_the_plan_curtails_ends_with_the_plan() {
    let settings = settings();
    let (mut plant, mut core) = (Plant::new(1.0, &settings), core(settings));
    let curtailing = Base {
        powers: BTreeMap::from([("pv7".to_owned(), (3_000.0, 0.0)), ("ev10".to_owned(), (-2_000.0, 0.0))]),
        ..Base::default()
    };
    for (base, expected) in [(&curtailing, (3_000.0, -2_000.0)), (&Base::default(), (15_000.0, -7_400.0))] {
        let instructions = core.decide(&plant.see(&by_itself(30)), base, WHEN).unwrap();
        plant.obey(&instructions);
        assert_eq!((plant.told["pv7"].0, plant.told["ev10"].0), expected);
    }
}

/// A quarter of an hour in which cars charge and the sun is gone.
const CARS: usize = 76;

/// Lowest and highest voltage at a position, with the car at bus 10 or without it.
fn voltages_at(position: i32, car: bool) -> (f64, f64) {
    let mut plant = Plant::new(1.0, &settings());
    plant.position = position;
    let mut powers = by_itself(CARS);
    if !car {
        powers.insert("ev10".into(), 0.0);
    }
    let values = plant.see(&powers).values;
    extremes(&plant.feeder, &values)
}

/// A plan in which the car stops.
fn without_car(position: Option<i32>) -> Base {
    Base {
        powers: BTreeMap::from([("ev10".to_owned(), (0.0, 0.0))]),
        uncurtailed: ["ev10".to_owned()].into(),
        tap_positions: position.map(|position| ("oltc1".to_owned(), position)).into_iter().collect(),
    }
}

#[test]
fn a_step_of_the_plan_that_prepares_for_what_comes_is_followed_though_it_does_not_suit_what_is() {
    let settings = settings();
    let target = settings.limits.target();
    // The car needs this position, and the plan wants one less.
    let needed = (-4..=4).find(|at| voltages_at(*at, true).0 > target.lowest_pu + 0.002).unwrap();
    assert!(voltages_at(needed - 1, true).0 < target.lowest_pu);
    let wanted = |base: &Base| {
        let mut plant = Plant::new(1.0, &settings);
        plant.position = needed;
        core(settings.clone()).decide(&plant.see(&by_itself(CARS)), base, WHEN).unwrap().tap_positions[0].1
    };
    let mut blind = without_car(Some(needed - 1));
    blind.powers.clear();
    assert_eq!(wanted(&blind), needed, "as far as anybody knows the car goes on");
    assert_eq!(wanted(&without_car(Some(needed - 1))), needed - 1);
}

#[test]
fn a_violation_that_ends_by_the_plan_is_not_answered_by_a_step_that_spoils_what_follows_unless_it_goes_on() {
    let mut settings = settings();
    settings.resources = vec![resource("house7", ResourceKind::Load, 20.0, 0.0)];
    // House 7 draws more than the sun gives. When it stops, there is sun without anybody who uses it.
    let powers = |house_w: f64| {
        let mut powers = by_itself(48);
        powers.insert("house7".into(), house_w);
        powers
    };
    let voltages = |position: i32, house_w: f64| {
        let mut plant = Plant::new(1.0, &settings);
        plant.position = position;
        let values = plant.see(&powers(house_w)).values;
        extremes(&plant.feeder, &values)
    };
    let (low, high) = (voltages(0, -20_000.0).0, voltages(1, 0.0).1);
    assert!(high > voltages(1, -20_000.0).1 + 0.006);
    settings.limits.min_voltage_pu = low + 0.003 - settings.limits.target_margin_pu;
    settings.limits.max_voltage_pu = high - 0.003 + settings.limits.target_margin_pu;
    let epochs_until_it_moves = |base: &Base| {
        let (mut plant, mut core) = (Plant::new(1.0, &settings), core(settings.clone()));
        let mut epochs = 0;
        while plant.position == 0 && epochs < 20 {
            let instructions = core.decide(&plant.see(&powers(-20_000.0)), base, WHEN).unwrap();
            plant.obey(&instructions);
            epochs += 1;
        }
        epochs
    };
    let stops = Base {
        powers: BTreeMap::from([("house7".to_owned(), (0.0, 0.0))]),
        uncurtailed: ["house7".to_owned()].into(),
        ..Base::default()
    };
    let (unplanned, planned) = (epochs_until_it_moves(&Base::default()), epochs_until_it_moves(&stops));
    assert!(unplanned < planned && planned < 20, "{unplanned} {planned}");
}

#[test]
fn a_storage_is_not_driven_beyond_its_states_of_charge_within_an_epoch() {
    let mut settings = settings();
    settings.resources = vec![resource("battery10", ResourceKind::Storage, 5.0, 0.0)];
    settings.tap_changers.clear();
    let power_w = |capacity_kwh: Option<f64>, percent: f64, quarter: usize| {
        let mut settings = settings.clone();
        settings.resources[0].unit.capacity_kwh = capacity_kwh;
        let mut sight = Plant::new(1.0, &settings).see(&by_itself(quarter));
        sight.states_of_charge = BTreeMap::from([("battery10".to_owned(), percent)]);
        core(settings).decide(&sight, &Base::default(), WHEN).unwrap().setpoints[0].1
    };
    // 1 % of 10 kWh for a quarter of an hour, with what is lost on the way.
    assert!(power_w(None, 11.0, CARS) > 1_000.0);
    assert!((power_w(Some(10.0), 11.0, CARS) - 380.0).abs() < 1.0, "{}", power_w(Some(10.0), 11.0, CARS));
    assert!((power_w(Some(10.0), 89.0, 48) + 400.0 / 0.95).abs() < 1.0, "{}", power_w(Some(10.0), 89.0, 48));
}

#[test]
fn a_storage_s_inverter_carries_no_more_reactive_power_than_its_real_power_leaves() {
    let mut settings = settings();
    settings.resources = vec![resource("battery10", ResourceKind::Storage, 5.0, 5.0)];
    settings.tap_changers.clear();
    settings.resources[0].unit.rated_apparent_power_va = 5_000.0;
    let (mut plant, mut core) = (Plant::new(1.0, &settings), core(settings));
    for _ in 0..4 {
        let instructions = core.decide(&plant.see(&by_itself(CARS)), &Base::default(), WHEN).unwrap();
        let (_, real_w, reactive_var) = instructions.setpoints[0].clone();
        assert!(real_w.hypot(reactive_var) <= 5_000.1, "{real_w} {reactive_var}");
        plant.obey(&instructions);
    }
}

#[test]
fn a_band_that_one_step_crosses_is_refused() {
    let mut settings = settings();
    (settings.limits.min_voltage_pu, settings.limits.max_voltage_pu) = (0.98, 1.02);
    settings.limits.target_margin_pu = 0.008;
    let error = RealTimeCore::new(settings, feeder(1.0, STEP)).unwrap_err();
    assert!(matches!(error, MismatchError::Band { .. }), "{error}");
    assert!(error.to_string().contains("hunt"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn commands_are_finite_and_within_their_limits_whatever_is_measured(
        epochs in prop::collection::vec((
            prop::collection::vec(0.0..3.0_f64, 66),
            prop::collection::vec((-20_000.0..20_000.0_f64, -9_000.0..9_000.0_f64), 9),
            prop::option::of(-4..=4_i32),
        ), 1..6),
    ) {
        let mut settings = settings();
        settings.resources.push(resource("battery7", ResourceKind::Storage, 8.0, 4.0));
        let mut core = core(settings.clone());
        for (values, powers, position) in epochs {
            let names: Vec<String> = by_itself(0).into_keys().collect();
            let mut sight = Sight {
                values: values[..core.feeder().places().list().len()].to_vec(),
                ..Sight::default()
            };
            for (name, (real_power_w, reactive_power_var)) in names.iter().zip(powers) {
                sight.powers.insert(name.clone(), Power { real_power_w, reactive_power_var, node: node(name) });
            }
            sight.tap_positions.extend(position.map(|position| ("oltc1".to_owned(), position)));
            let Ok(instructions) = core.decide(&sight, &Base::default(), WHEN) else { continue };
            for ((name, real, reactive), settings) in instructions.setpoints.iter().zip(&settings.resources) {
                prop_assert_eq!(name, &settings.unit.name);
                prop_assert!(real.abs() <= settings.unit.rated_power_w, "{} {}", name, real);
                prop_assert!(reactive.abs() <= settings.unit.max_reactive_power_var, "{} {}", name, reactive);
            }
            for (_, position) in &instructions.tap_positions {
                prop_assert!((-4..=4).contains(position));
            }
        }
    }
}
