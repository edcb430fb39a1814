//! A hundred thousand register images of random profiles per run of the test: every type, order and part of a
//! register, sentinels, answers cut short. The oracle looks at the memory byte by byte and shares nothing with the
//! code under test.

use super::device::snapshot;
use super::plan::{Image, spans};
use super::profile::{Access, ByteOrder, PointSpec, Profile, RegisterType, Table, WordOrder, WriteFunction};
use crate::seeded::Seeded;
use gridloop_clock::MonoTime;
use gridloop_device::{Quality, Unit};

/// How many registers each table has.
const MEMORY: u16 = 48;

const TYPES: [RegisterType; 8] = [
    RegisterType::U16,
    RegisterType::I16,
    RegisterType::U32,
    RegisterType::I32,
    RegisterType::U64,
    RegisterType::I64,
    RegisterType::F32,
    RegisterType::F64,
];

fn point(seeded: &mut Seeded, index: usize) -> PointSpec {
    let kind = *seeded.pick(&TYPES);
    let width = u64::from(kind.registers()) * 16;
    let unsigned = matches!(kind, RegisterType::U16 | RegisterType::U32 | RegisterType::U64);
    let low = seeded.below(width);
    let high = low + seeded.below(width - low);
    let bits =
        (unsigned && seeded.below(3) == 0).then(|| (u8::try_from(low).unwrap(), u8::try_from(high).unwrap()));
    let sentinel = *seeded.pick(&[None, Some(0), Some(1 << (width - 1)), Some(u64::MAX >> (64 - width))]);
    let whole = !matches!(kind, RegisterType::F32 | RegisterType::F64);
    PointSpec {
        name: format!("p{index}").into(),
        table: *seeded.pick(&[Table::Holding, Table::Input]),
        address: u16::try_from(seeded.below(u64::from(MEMORY - kind.registers()) + 1)).unwrap(),
        kind,
        word_order: *seeded.pick(&[WordOrder::HighFirst, WordOrder::LowFirst]),
        byte_order: *seeded.pick(&[ByteOrder::HighFirst, ByteOrder::LowFirst]),
        bits,
        scale: *seeded.pick(&[1.0, 0.1, 10.0, -1.0, 0.001]),
        offset: *seeded.pick(&[0.0, -40.0]),
        unit: Unit::One,
        sentinel: sentinel.filter(|_| whole),
        valid: *seeded.pick(&[None, Some((0.0, 1000.0))]),
        access: *seeded.pick(&[Access::Read, Access::Read, Access::Write]),
        limits: None,
    }
}

/// The value of a point and whether it is good; `None` where the memory has none.
fn told(point: &PointSpec, memory: &[u16]) -> Option<(f64, bool)> {
    let from = usize::from(point.address);
    let words = &memory[from..from + usize::from(point.kind.registers())];
    let mut bytes: Vec<u8> = Vec::new();
    for at in 0..words.len() {
        let word =
            if point.word_order == WordOrder::HighFirst { words[at] } else { words[words.len() - 1 - at] };
        let (high, low) = (u8::try_from(word / 256).unwrap(), u8::try_from(word % 256).unwrap());
        bytes.extend(if point.byte_order == ByteOrder::HighFirst { [high, low] } else { [low, high] });
    }
    let pattern = bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    if point.sentinel == Some(pattern) {
        return None;
    }
    let number = match (point.kind, point.bits) {
        (_, Some((low, high))) => {
            let bits = (low..=high).filter(|bit| pattern >> bit & 1 == 1);
            bits.map(|bit| 2_f64.powi(i32::from(bit - low))).sum()
        }
        (RegisterType::I16, None) => f64::from(i16::from_be_bytes(bytes.clone().try_into().unwrap())),
        (RegisterType::I32, None) => f64::from(i32::from_be_bytes(bytes.clone().try_into().unwrap())),
        (RegisterType::I64, None) => i64::from_be_bytes(bytes.clone().try_into().unwrap()) as f64,
        (RegisterType::F32, None) => f64::from(f32::from_be_bytes(bytes.clone().try_into().unwrap())),
        (RegisterType::F64, None) => f64::from_be_bytes(bytes.clone().try_into().unwrap()),
        (_, None) => pattern as f64,
    };
    let value = number * point.scale + point.offset;
    let good = point.valid.is_none_or(|(low, high)| low <= value && value <= high);
    value.is_finite().then_some((value, good))
}

#[test]
fn no_image_of_a_hundred_thousand_shows_a_wrong_value() {
    let mut seeded = Seeded(7_202_611);
    let (mut good, mut absent, mut cut) = (0_u32, 0_u32, 0_u32);
    for _ in 0..100_000 {
        let points = 1 + usize::try_from(seeded.below(4)).unwrap();
        let profile = Profile {
            name: "x".to_owned(),
            max_gap: u16::try_from(seeded.below(9)).unwrap(),
            max_read: u16::try_from(4 + seeded.below(60)).unwrap(),
            write_function: WriteFunction::Multiple,
            identity: Vec::new(),
            points: (0..points).map(|index| point(&mut seeded, index)).collect(),
            tap_pulse: None,
            voltage_setpoint: None,
            power: None,
        };
        let memory: [Vec<u16>; 2] = [(); 2].map(|()| (0..MEMORY).map(|_| seeded.register()).collect());
        let of = |table: Table| if table == Table::Holding { &memory[0] } else { &memory[1] };
        let mut image = Image::default();
        let mut short = false;
        for span in spans(&profile, |_| true) {
            let from = usize::from(span.address);
            let mut answer = of(span.table)[from..from + usize::from(span.count)].to_vec();
            if seeded.below(20) == 0 {
                answer.truncate(usize::try_from(seeded.below(u64::from(span.count))).unwrap());
                short = true;
            }
            image.take_in(&profile, &span, &answer, MonoTime::default());
        }
        let snapshot = snapshot(&profile, &image);
        for point in &profile.points {
            let sample = snapshot.get(&point.name);
            let expected = told(point, of(point.table)).filter(|_| point.access.reads());
            match (sample, expected) {
                (Some(sample), Some((value, is_good))) => {
                    let near = (sample.value - value).abs() <= value.abs() * 1e-12 + 1e-12;
                    assert!(near, "{} for {value}: {point:?}", sample.value);
                    // At the very edge of the valid range rounding may decide either way.
                    let edge = point
                        .valid
                        .is_some_and(|(low, high)| [low, high].iter().any(|end| (end - value).abs() <= 1e-9));
                    assert!(edge || (sample.quality == Quality::Good) == is_good, "{point:?}");
                    good += u32::from(is_good);
                }
                (None, Some(_)) => {
                    assert!(short, "{point:?}");
                    cut += 1;
                }
                (Some(sample), None) => panic!("{sample:?} of {point:?}"),
                (None, None) => absent += 1,
            }
        }
    }
    assert!(good > 50_000 && absent > 10_000 && cut > 1000, "{good} {absent} {cut}");
}
