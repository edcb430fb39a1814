use super::*;
use proptest::prelude::*;

fn setpoint(shape: Shape, factor: f64) -> SetpointPlan {
    let object = Variable::from_item("IEDINV", "ZINV1$MX$OutWSet").unwrap();
    let way = Way::Operate { model: ControlModel::DirectNormal, shape };
    let held = Cell { variable: 0, positions: vec![0, 0] };
    SetpointPlan { object, way, held, factor, min: -5000.0, max: 5000.0 }
}

fn measured(positions: &[usize], quality: &[usize]) -> Measured {
    Measured {
        value: Cell { variable: 0, positions: positions.to_vec() },
        quality: Some(Cell { variable: 0, positions: quality.to_vec() }),
    }
}

#[test]
fn a_value_outside_the_range_is_not_written_down() {
    let plan = setpoint(Shape::Analogue(Kind::Float32), 1000.0);
    let (data, told) = plan.encode(2500.0).unwrap();
    assert_eq!((data, told), (Data::Parts(vec![Data::Float32(2.5)]), 2500.0));
    for value in [5000.1, -5000.1, f64::NAN, f64::INFINITY] {
        assert!(plan.encode(value).is_err(), "{value}");
    }
    assert!(setpoint(Shape::Plain(Kind::Text), 1.0).encode(1.0).is_err());
}

#[test]
fn a_value_is_rounded_into_its_range_or_not_written_down() {
    let plan = |shape, factor, min, max| SetpointPlan { min, max, ..setpoint(shape, factor) };
    for max in [5000.1, 0.7, 1.0 / 3.0, 8191.3] {
        for (kind, factor) in [(Kind::Float32, 1.0), (Kind::Float32, -1000.0), (Kind::Float64, 0.1)] {
            let (_, told) = plan(Shape::Analogue(kind), factor, -max, max).encode(max).unwrap();
            assert!(told <= max && SetpointPlan::is(told, max), "{told} {max} {kind:?}");
            let (_, told) = plan(Shape::Plain(kind), factor, -max, max).encode(-max).unwrap();
            assert!(told >= -max && SetpointPlan::is(told, -max), "{told} {max} {kind:?}");
        }
    }
    for (kind, written) in [(Kind::Int, Data::Int(5)), (Kind::Unsigned, Data::Unsigned(5))] {
        assert_eq!(plan(Shape::Plain(kind), 100.0, 0.0, 550.0).encode(550.0), Ok((written, 500.0)));
        let told = plan(Shape::Plain(kind), 100.0, 510.0, 590.0).encode(550.0).unwrap_err();
        assert!(told.contains("as it can be written down"), "{told}");
    }
}

#[test]
fn raise_and_lower_are_the_two_bits_of_the_standard() {
    assert_eq!(step(true), Data::Bits(Bits { len: 2, bytes: vec![0x80] }));
    assert_eq!(step(false), Data::Bits(Bits { len: 2, bytes: vec![0x40] }));
}

#[test]
fn a_mean_is_as_good_as_its_worst_part_and_absent_without_one_of_them() {
    let values = vec![measured(&[0], &[1]), measured(&[2], &[3])];
    let point = PointPlan { name: "voltage".into(), unit: Unit::Volt, factor: 2.0, values };
    let plan = Plan { points: vec![point], ..Plan::default() };
    let at = MonoTime::default();
    let (good, old) = (Bits::new(&[false; 13]), {
        let mut bits = [false; 13];
        bits[7] = true;
        Bits::new(&bits)
    });
    let parts = |last: Data| {
        vec![Some(Data::Parts(vec![
            Data::Float32(100.0),
            Data::Bits(good.clone()),
            Data::Float32(102.0),
            last,
        ]))]
    };
    let snapshot = plan.snapshot(&parts(Data::Bits(old)), |_| at, |_| Quality::Good);
    let sample = snapshot.get("voltage").unwrap();
    assert_eq!((sample.value, sample.quality), (202.0, Quality::Stale));
    let odd = plan.snapshot(&parts(Data::Bool(true)), |_| at, |_| Quality::Good);
    assert_eq!(odd.get("voltage").unwrap().quality, Quality::Questionable);
    assert!(plan.snapshot(&vec![None], |_| at, |_| Quality::Good).points.is_empty());
}

proptest! {
    #[test]
    fn what_is_written_down_is_what_was_asked_for(value in -5000.0..5000.0_f64) {
        for shape in [Shape::Plain(Kind::Float32), Shape::Analogue(Kind::Float64)] {
            let plan = setpoint(shape, 0.5);
            let (_, told) = plan.encode(value).unwrap();
            prop_assert!(SetpointPlan::is(told, value));
        }
        let (_, told) = setpoint(Shape::Plain(Kind::Int), 1.0).encode(value).unwrap();
        prop_assert!((told - value).abs() <= 0.5);
    }
}
