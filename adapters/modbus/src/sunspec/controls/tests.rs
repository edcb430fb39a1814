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

fn names(writes: &[Write]) -> Vec<(&str, &[u16])> {
    writes.iter().map(|write| (write.point.name, write.registers.as_slice())).collect()
}

#[test]
fn values_and_revert_times_come_before_enables() {
    let block = immediate();
    let revert = Some(Revert { after: Duration::from_secs(30), to_w: 0.0 });
    let plan = Controls::new(&block, 10_000.0, 10_000.0).power(5500.0, -1000.0, revert).unwrap();
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
    let controls = Controls::new(&block, 10_000.0, 10_000.0);
    assert_eq!(
        names(&controls.power(6000.0, 0.0, revert).unwrap()),
        [
            ("WMaxLimPctRvrt", &[200][..]),
            ("WMaxLimPctEnaRvrt", &[1]),
            ("WMaxLimPctRvrtTms", &[1, 24_464]),
            ("WMaxLimPct", &[600]),
            ("WMaxLimPctEna", &[1]),
        ]
    );
    let after = Duration::from_secs(90_000);
    assert_eq!(controls.fail_safe(revert), FailSafe::RevertsToValue { after });
}

#[test]
fn a_device_without_revert_time_has_no_fail_safe() {
    let mut points = vec![("WMaxLimPct", &[1000][..]), ("WMaxLim_Ena", &[0]), ("WMaxLimPct_SF", &[0xFFFF])];
    let revert = Some(Revert { after: Duration::from_secs(30), to_w: 0.0 });
    let block = Block::fake(123, &points);
    assert_eq!(Controls::new(&block, 1e4, 1e4).fail_safe(revert), FailSafe::None);
    assert_eq!(names(&Controls::new(&block, 1e4, 1e4).power(0.0, 0.0, revert).unwrap()).len(), 2);
    points.push(("WMaxLimPct_RvrtTms", &[0]));
    let block = Block::fake(123, &points);
    let after = Duration::from_secs(30);
    assert_eq!(Controls::new(&block, 1e4, 1e4).fail_safe(revert), FailSafe::RevertsToFree { after });
    assert_eq!(Controls::new(&block, 1e4, 1e4).fail_safe(None), FailSafe::None);
}

#[test]
fn an_enabled_wset_is_not_fought_with() {
    let mut block = der();
    assert!(Controls::new(&block, 1e4, 1e4).power(0.0, 0.0, None).is_ok());
    block = Block::fake(
        704,
        &[("WMaxLimPctEna", &[0, 1000, 0, 0, 0, 0]), ("WSetEna", &[1]), ("WMaxLimPct_SF", &[0xFFFF])],
    );
    let plan = Controls::new(&block, 1e4, 1e4).power(0.0, 0.0, None);
    assert_eq!(plan, Err(Impossible::Rival("WSetEna")));
}

#[test]
fn reactive_power_without_a_lever_for_it_is_not_supported() {
    let block = der();
    let controls = Controls::new(&block, 1e4, 1e4);
    assert!(!controls.sets_reactive_power());
    assert!(matches!(controls.power(0.0, 1.0, None), Err(Impossible::Missing(_))));
}

#[test]
fn what_is_not_in_force_counts_as_free() {
    let free = Command::Power { real_power_w: 1e4, reactive_power_var: 0.0 };
    assert_eq!(Controls::new(&immediate(), 1e4, 1e4).held(), Ok(free));
}

#[test]
fn release_takes_out_of_force_what_is_there() {
    let block = immediate();
    let plan = Controls::new(&block, 1e4, 1e4).release().unwrap();
    assert_eq!(names(&plan), [("WMaxLim_Ena", &[0][..]), ("VArPct_Ena", &[0])]);
    let block = der();
    let plan = Controls::new(&block, 1e4, 1e4).release().unwrap();
    assert_eq!(names(&plan), [("WMaxLimPctEna", &[0][..])]);
}

proptest! {
    /// Oracle: a plan holds what was asked within half a tenth of a per cent, or there is no plan.
    #[test]
    fn no_power_wraps(w_max in 1.0..1e6_f64, share in -3.0..3.0_f64, var_share in -3.0..3.0_f64) {
        let block = immediate();
        let controls = Controls::new(&block, w_max, w_max);
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
        let controls = Controls::new(&block, 1e4, 1e4);
        prop_assert!(controls.power(bad, 0.0, None).is_err());
        prop_assert!(controls.power(0.0, bad, None).is_err());
    }
}

proptest! {
    /// Whatever stands in the registers, there is a plan or an error, and what is held is a number.
    #[test]
    fn arbitrary_registers_never_panic(
        registers in prop::collection::vec(any::<u16>(), 67), der in any::<bool>(), length in 0..=67_usize,
        watts in -1e5..1e5_f64, after in prop::option::of(0..100_000_u64),
    ) {
        let id = if der { 704 } else { 123 };
        let block = Block::arbitrary(id, &registers[..length]);
        let controls = Controls::new(&block, 1e4, 1e4);
        let revert = after.map(|seconds| Revert { after: Duration::from_secs(seconds), to_w: 0.0 });
        for goal in [Goal::Power { real_power_w: watts, reactive_power_var: -watts }, Goal::Free, Goal::Adopt] {
            if let Ok(plan) = controls.plan(goal, revert) {
                prop_assert!(plan.iter().all(|write| write.point.writable));
            }
        }
        if let Ok(Command::Power { real_power_w, reactive_power_var }) = controls.held() {
            prop_assert!(real_power_w.is_finite() && reactive_power_var.is_finite());
        }
    }
}
