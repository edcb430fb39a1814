//! Plans of the control models, point by point.

use super::*;
use proptest::prelude::*;

/// Model 123 with everything implemented: per cents in tenths.
fn immediate() -> Block {
    Block::fake(
        123,
        &[
            ("WMaxLimPct", &[1000]),
            ("WMaxLimPct_RvrtTms", &[0]),
            ("WMaxLim_Ena", &[0]),
            ("VArWMaxPct", &[0]),
            ("VArPct_RvrtTms", &[0]),
            ("VArPct_Mod", &[0]),
            ("VArPct_Ena", &[0]),
            ("WMaxLimPct_SF", &[0xFFFF]),
            ("VArPct_SF", &[0xFFFF]),
        ],
    )
}

fn der() -> Block {
    Block::fake(
        704,
        &[("WMaxLimPctEna", &[0, 1000, 0, 0, 0, 0]), ("WSetEna", &[0]), ("WMaxLimPct_SF", &[0xFFFF])],
    )
}

/// The means of a block's model that limits power, on an inverter of this rating.
fn on(block: &Block, w_max: f64) -> Controls<'_> {
    let means = if block.place.id == 704 { Means::Limit704 } else { Means::Limit123 };
    Controls::new(block, means, Ratings { w_max, max_var: w_max, charge_w: None, discharge_w: None })
}

fn names(writes: &[Write]) -> Vec<(&str, &[u16])> {
    writes.iter().map(|write| (write.point.name, write.registers.as_slice())).collect()
}

#[test]
fn values_and_revert_times_come_before_enables() {
    let block = immediate();
    let revert = Some(Revert { after: Duration::from_secs(30), to_w: 0.0 });
    let plan = on(&block, 10_000.0).power(5500.0, -1000.0, revert).unwrap();
    assert_eq!(
        names(&plan),
        [
            ("WMaxLimPct_RvrtTms", &[30][..]),
            ("WMaxLimPct", &[550]),
            ("VArPct_RvrtTms", &[30]),
            ("VArPct_Mod", &[1]),
            ("VArWMaxPct", &[0xFF9C]),
            ("WMaxLim_Ena", &[1]),
            ("VArPct_Ena", &[1]),
        ]
    );
}

#[test]
fn model_704_states_the_value_to_revert_to() {
    let block = der();
    let revert = Some(Revert { after: Duration::from_secs(90_000), to_w: 2000.0 });
    let controls = on(&block, 10_000.0);
    assert_eq!(
        names(&controls.power(6000.0, 0.0, revert).unwrap()),
        [
            ("WMaxLimPct", &[600][..]),
            ("WMaxLimPctRvrt", &[200]),
            ("WMaxLimPctEnaRvrt", &[1]),
            ("WMaxLimPctRvrtTms", &[1, 24_464]),
            ("WMaxLimPctEna", &[1]),
        ]
    );
    let after = Duration::from_secs(90_000);
    assert_eq!(
        controls.fail_safe(revert),
        FailSafe::RevertsToValue { after, to_w: revert.map(|it| it.to_w) }
    );
}

#[test]
fn a_device_without_revert_time_has_no_fail_safe() {
    let mut points = vec![("WMaxLimPct", &[1000][..]), ("WMaxLim_Ena", &[0]), ("WMaxLimPct_SF", &[0xFFFF])];
    let revert = Some(Revert { after: Duration::from_secs(30), to_w: 0.0 });
    let block = Block::fake(123, &points);
    assert_eq!(on(&block, 1e4).fail_safe(revert), FailSafe::None);
    assert_eq!(names(&on(&block, 1e4).power(0.0, 0.0, revert).unwrap()).len(), 2);
    points.push(("WMaxLimPct_RvrtTms", &[0]));
    let block = Block::fake(123, &points);
    let after = Duration::from_secs(30);
    assert_eq!(on(&block, 1e4).fail_safe(revert), FailSafe::RevertsToFree { after });
    assert_eq!(on(&block, 1e4).fail_safe(None), FailSafe::None);
}

#[test]
fn an_enabled_wset_is_not_fought_with() {
    let mut block = der();
    assert!(on(&block, 1e4).power(0.0, 0.0, None).is_ok());
    block = Block::fake(
        704,
        &[("WMaxLimPctEna", &[0, 1000, 0, 0, 0, 0]), ("WSetEna", &[1]), ("WMaxLimPct_SF", &[0xFFFF])],
    );
    let plan = on(&block, 1e4).power(0.0, 0.0, None);
    assert_eq!(plan, Err(Impossible::Rival { model: 704, point: "WSetEna" }));
}

#[test]
fn reactive_power_without_a_lever_for_it_is_not_supported() {
    let block = der();
    let controls = on(&block, 1e4);
    assert_eq!(controls.range(None).max_var, 0.0);
    assert!(matches!(controls.power(0.0, 1.0, None), Err(Impossible::Missing(_))));
}

#[test]
fn what_is_not_in_force_counts_as_free() {
    let free = Command::Power { real_power_w: 1e4, reactive_power_var: 0.0 };
    assert_eq!(on(&immediate(), 1e4).held(), Ok(free));
}

#[test]
fn release_takes_out_of_force_what_is_there() {
    let block = immediate();
    let plan = on(&block, 1e4).release(false).unwrap();
    assert_eq!(names(&plan), [("WMaxLim_Ena", &[0][..]), ("VArPct_Ena", &[0])]);
    let block = der();
    let plan = on(&block, 1e4).release(false).unwrap();
    assert_eq!(
        names(&plan),
        [("WMaxLimPctEna", &[0][..]), ("WMaxLimPctEnaRvrt", &[0]), ("WMaxLimPctRvrtTms", &[0, 0])],
        "the enable goes first, then the reversion"
    );
}

#[test]
fn what_cannot_be_taken_out_of_force_is_not_released() {
    let gone = Block::fake(123, &[("VArPct_Ena", &[0])]);
    assert_eq!(on(&gone, 1e4).release(false), Err(Impossible::Missing("WMaxLim_Ena")));
    let gone = Block::fake(123, &[("WMaxLim_Ena", &[0])]);
    assert_eq!(on(&gone, 1e4).release(true), Err(Impossible::Missing("VArPct_Ena")));
    assert!(on(&gone, 1e4).release(false).is_ok());
}

#[test]
fn the_usual_timer_is_armed_where_the_device_goes_to_a_value() {
    let usual = |controls: Controls<'_>| controls.revert(RevertAfter::Usual, 500.0);
    let armed = Some(Revert { after: Duration::from_secs(30), to_w: 500.0 });
    assert_eq!(usual(on(&der(), 1e4)), armed);
    assert_eq!(usual(on(&immediate(), 1e4)), None, "it would only drop the limit");
    assert_eq!(usual(battery(&storage(&[]))), None, "it would only drop the window");
    let drops = [("WMaxLimPctEna", &[0, 1000][..]), ("WMaxLimPctRvrtTms", &[0, 0]), ("WMaxLimPct_SF", &[0])];
    assert_eq!(usual(on(&Block::fake(704, &drops), 1e4)), None);
    assert_eq!(on(&der(), 1e4).revert(RevertAfter::Never, 0.0), None);
    let after = Duration::from_secs(7);
    let asked = on(&immediate(), 1e4).revert(RevertAfter::After(after), 0.0);
    assert_eq!(asked, Some(Revert { after, to_w: 0.0 }));
}

#[test]
fn the_fail_safe_is_that_of_the_weaker_lever_and_none_stays_behind() {
    let revert = Some(Revert { after: Duration::from_secs(30), to_w: 0.0 });
    let after = Duration::from_secs(30);
    let with_vars = |timer: &[(&'static str, &'static [u16])]| {
        let mut points = vec![
            ("WMaxLimPctEna", &[0, 1000, 0, 0, 0, 0][..]),
            ("WMaxLimPct_SF", &[0xFFFF]),
            ("VarSetEna", &[0, 0]),
            ("VarSetPct", &[0]),
            ("VarSetPct_SF", &[0]),
        ];
        points.extend(timer);
        Block::fake(704, &points)
    };
    let (none, drops) = (with_vars(&[]), with_vars(&[("VarSetRvrtTms", &[0, 0])]));
    let reverts = with_vars(&[("VarSetRvrtTms", &[0, 0]), ("VarSetPctRvrt", &[0]), ("VarSetEnaRvrt", &[0])]);
    assert_eq!(on(&reverts, 1e4).fail_safe(revert), FailSafe::RevertsToValue { after, to_w: Some(0.0) });
    assert_eq!(on(&drops, 1e4).fail_safe(revert), FailSafe::RevertsToFree { after });
    assert_eq!(on(&none, 1e4).fail_safe(revert), FailSafe::RevertsToValue { after, to_w: Some(0.0) });
    assert_eq!(on(&none, 1e4).range(revert).max_var, 0.0, "reactive power would stay for ever");
    assert!(on(&none, 1e4).power(0.0, 1.0, revert).is_err());
    assert_eq!(on(&none, 1e4).range(None).max_var, 1e4);
    assert!(on(&none, 1e4).power(0.0, 1.0, None).is_ok());
}

#[test]
fn a_window_is_not_asked_for_beyond_either_of_its_ratings() {
    let block = storage(&[]);
    let ratings = Ratings { w_max: 1e4, max_var: 0.0, charge_w: Some(2e3), discharge_w: Some(1e4) };
    let controls = Controls::new(&block, Means::Storage124, ratings);
    let range = controls.range(None);
    assert_eq!((range.min_w, range.max_w), (-2e3, 2e3));
    for power in [range.min_w, range.max_w] {
        assert!(controls.power(power, 0.0, None).is_ok(), "what is offered can be encoded");
    }
    assert!(controls.power(1e4, 0.0, None).is_err());
}

#[test]
fn commands_of_other_models_are_rivals_where_they_contradict_ours() {
    let limited = Block::fake(123, &[("WMaxLim_Ena", &[1])]);
    let rival = Err(Impossible::Rival { model: 123, point: "WMaxLim_Ena" });
    assert_eq!(Means::WSet704.yields_to(&limited), rival);
    assert_eq!(Means::Storage124.yields_to(&limited), rival);
    assert_eq!(Means::Limit704.yields_to(&limited), Ok(()));
    for point in ["WMaxLimPctEna", "WSetEna"] {
        let block = Block::fake(704, &[(point, &[1])]);
        let rival = Err(Impossible::Rival { model: 704, point });
        assert_eq!(Means::Storage124.yields_to(&block), rival);
        assert_eq!(Means::Limit123.yields_to(&block), rival);
        assert_eq!(Means::Storage124.yields_to(&Block::fake(704, &[(point, &[0])])), Ok(()));
    }
    let window = storage(&[("StorCtl_Mod", &[2])]);
    assert!(Means::WSet704.yields_to(&window).is_err());
    assert_eq!(Means::Limit704.yields_to(&window), Ok(()), "a ceiling leaves the storage to itself");
    assert_eq!(Means::Limit123.yields_to(&window), Ok(()));
}

proptest! {
    /// Oracle: a plan holds what was asked within half a tenth of a per cent, or there is no plan.
    #[test]
    fn no_power_wraps(w_max in 1.0..1e6_f64, share in -3.0..3.0_f64, var_share in -3.0..3.0_f64) {
        let block = immediate();
        let controls = on(&block, w_max);
        let (watts, vars) = (share * w_max, var_share * w_max);
        match controls.power(watts, vars, None) {
            Ok(plan) => {
                prop_assert!((0.0..=1.0).contains(&share) && (-1.0..=1.0).contains(&var_share));
                let tenths = |name: &str| {
                    let write = plan.iter().find(|write| write.point.name == name).unwrap();
                    f64::from(crate::registers::signed16(write.registers[0]))
                };
                prop_assert!((tenths("WMaxLimPct") - share * 1000.0).abs() <= 0.5001);
                prop_assert!((tenths("VArWMaxPct") - var_share * 1000.0).abs() <= 0.5001);
            }
            Err(_) => prop_assert!(!(0.0..=1.0).contains(&share) || !(-1.0..=1.0).contains(&var_share)),
        }
    }

    #[test]
    fn a_power_that_is_not_finite_has_no_plan(bad in prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY])) {
        let block = immediate();
        let controls = on(&block, 1e4);
        prop_assert!(controls.power(bad, 0.0, None).is_err());
        prop_assert!(controls.power(0.0, bad, None).is_err());
    }
}

const MEANS: [Means; 4] = [Means::Limit704, Means::Limit123, Means::WSet704, Means::Storage124];

/// A battery of 8 kW charging and 9 kW discharging.
fn battery(block: &Block) -> Controls<'_> {
    let means = if block.place.id == 704 { Means::WSet704 } else { Means::Storage124 };
    let ratings = Ratings { w_max: 1e4, max_var: 1e4, charge_w: Some(8e3), discharge_w: Some(9e3) };
    Controls::new(block, means, ratings)
}

fn storage(more: &[(&str, &[u16])]) -> Block {
    let mut points: Vec<(&str, &[u16])> = vec![
        ("StorCtl_Mod", &[0]),
        ("OutWRte", &[10_000]),
        ("InWRte", &[10_000]),
        ("InOutWRte_RvrtTms", &[0]),
        ("InOutWRte_SF", &[0xFFFE]),
    ];
    points.extend(more);
    Block::fake(124, &points)
}

#[test]
fn the_window_of_model_124_leaves_one_power() {
    let block = storage(&[]);
    let revert = Some(Revert { after: Duration::from_secs(20), to_w: 0.0 });
    let controls = battery(&block);
    let range = PowerRange { min_w: -8e3, max_w: 8e3, max_var: 0.0 };
    assert_eq!(controls.range(None), range);
    assert_eq!(controls.fail_safe(revert), FailSafe::RevertsToFree { after: Duration::from_secs(20) });
    let rate = |percent: i16| u16::from_be_bytes((percent * 100).to_be_bytes());
    for (watts, out, into) in [(-4000.0, -40_00, 50), (4500.0, 50, -50_00)] {
        let plan = controls.power(watts, 0.0, revert).unwrap();
        let held = |name: &str| plan.iter().find(|write| write.point.name == name).unwrap().registers[0];
        let percents = [watts / 9e3 * 1e4, -watts / 8e3 * 1e4].map(f64::round);
        let signed = ["OutWRte", "InWRte"].map(|name| f64::from(crate::registers::signed16(held(name))));
        assert_eq!(signed, percents, "{out} {into}");
        assert_eq!(plan.last().map(|write| (write.point.name, write.registers[0])), Some(("StorCtl_Mod", 3)));
    }
    assert!(controls.power(-8001.0, 0.0, None).is_err() && controls.power(8001.0, 0.0, None).is_err());
    let charging = storage(&[("StorCtl_Mod", &[3]), ("OutWRte", &[rate(-40)]), ("InWRte", &[rate(45)])]);
    let held = Command::Power { real_power_w: -3600.0, reactive_power_var: 0.0 };
    assert_eq!(battery(&charging).held(), Ok(held));
    let window = storage(&[("StorCtl_Mod", &[3]), ("OutWRte", &[rate(10)]), ("InWRte", &[rate(10)])]);
    assert_eq!(battery(&window).standing(), None, "a window in which the power is free is no command");
}

#[test]
fn a_battery_that_may_not_be_charged_from_the_grid_is_not_told_to() {
    let block = storage(&[("ChaGriSet", &[0])]);
    assert_eq!(battery(&block).range(None).min_w, 0.0);
    assert!(matches!(battery(&block).power(-1.0, 0.0, None), Err(Impossible::OutOfRange { .. })));
    assert_eq!(battery(&storage(&[("ChaGriSet", &[1])])).range(None).min_w, -8e3);
}

#[test]
fn wset_takes_charging_with_a_value_to_revert_to_and_no_limit_beside_it() {
    let points: [(&str, &[u16]); 3] =
        [("WSetEna", &[0, 0, 0, 0, 0, 0]), ("WSetEnaRvrt", &[0, 0, 0]), ("WSet_SF", &[1])];
    let block = Block::fake(704, &points);
    let revert = Some(Revert { after: Duration::from_secs(20), to_w: -500.0 });
    let controls = battery(&block);
    assert_eq!(
        controls.fail_safe(revert),
        FailSafe::RevertsToValue { after: Duration::from_secs(20), to_w: Some(-500.0) }
    );
    assert_eq!(
        names(&controls.power(-4000.0, 0.0, revert).unwrap()),
        [
            ("WSetRvrt", &[0xFFFF, 0xFFCE][..]),
            ("WSetEnaRvrt", &[1]),
            ("WSetRvrtTms", &[0, 20]),
            ("WSetMod", &[1]),
            ("WSet", &[0xFFFF, 0xFE70]),
            ("WSetEna", &[1]),
        ]
    );
    let rival = [points[0], points[1], points[2], ("WMaxLimPctEna", &[1][..])];
    let block = Block::fake(704, &rival);
    assert_eq!(
        battery(&block).power(0.0, 0.0, None),
        Err(Impossible::Rival { model: 704, point: "WMaxLimPctEna" })
    );
}

#[test]
fn a_new_value_is_preceded_by_taking_the_old_one_out_of_force_where_that_is_needed() {
    let enabled = |percent: u16| {
        Block::fake(123, &[("WMaxLimPct", &[percent]), ("WMaxLim_Ena", &[1]), ("WMaxLimPct_SF", &[0xFFFF])])
    };
    let block = enabled(1000);
    let plan = on(&block, 1e4).power(5000.0, 0.0, None).unwrap();
    assert_eq!(names(&on(&block, 1e4).disable_first(&plan).unwrap()), [("WMaxLim_Ena", &[0][..])]);
    assert_eq!(on(&enabled(500), 1e4).disable_first(&plan), Ok(Vec::new()));
}

proptest! {
    /// Whatever stands in the registers, there is a plan or an error, and what is held is a number.
    #[test]
    fn arbitrary_registers_never_panic(
        registers in prop::collection::vec(any::<u16>(), 67), means in prop::sample::select(MEANS.to_vec()), length in 0..=67_usize,
        watts in -1e5..1e5_f64, after in prop::option::of(0..100_000_u64),
    ) {
        let block = Block::arbitrary(means.model(), &registers[..length]);
        let ratings = Ratings { w_max: 1e4, max_var: 1e4, charge_w: Some(8e3), discharge_w: Some(9e3) };
        let controls = Controls::new(&block, means, ratings);
        let revert = after.map(|seconds| Revert { after: Duration::from_secs(seconds), to_w: 0.0 });
        for goal in [Goal::Power { real_power_w: watts, reactive_power_var: -watts }, Goal::Free { reactive: false }, Goal::Adopt] {
            if let Ok(plan) = controls.plan(goal, revert) {
                prop_assert!(plan.iter().all(|write| write.point.writable));
            }
        }
        if let Ok(Command::Power { real_power_w, reactive_power_var }) = controls.held() {
            prop_assert!(real_power_w.is_finite() && reactive_power_var.is_finite());
        }
    }
}
