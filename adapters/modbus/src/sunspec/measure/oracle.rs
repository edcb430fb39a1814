//! A hundred thousand register images per run of the test: random, cut short, full of sentinels, with scale factors
//! that jump. The oracle reads the same registers by offsets printed in the SunSpec documents, written here a second
//! time, and scales by writing the number out in decimal; it shares nothing with the code under test.

use super::*;
use crate::seeded::Seeded;

/// What the oracle knows of a point: its offset, how it is laid out, and the offset of its scale factor.
struct Known {
    model: u16,
    name: &'static str,
    offset: usize,
    layout: Layout,
    scale: Option<usize>,
}

#[derive(Clone, Copy)]
enum Layout {
    Signed,
    Unsigned,
    Long,
    Longest,
    Counter,
    Float,
}

const fn known(model: u16, name: &'static str, offset: usize, layout: Layout, scale: Option<usize>) -> Known {
    Known { model, name, offset, layout, scale }
}

const KNOWN: [Known; 18] = [
    known(103, point::REAL_POWER, 14, Layout::Signed, Some(15)),
    known(103, point::REACTIVE_POWER, 20, Layout::Signed, Some(21)),
    known(103, point::FREQUENCY, 16, Layout::Unsigned, Some(17)),
    known(103, "voltage_b", 11, Layout::Unsigned, Some(13)),
    known(103, "energy", 24, Layout::Counter, Some(26)),
    known(103, "operating_state", 38, Layout::Unsigned, None),
    known(113, point::REAL_POWER, 22, Layout::Float, None),
    known(113, point::FREQUENCY, 24, Layout::Float, None),
    known(701, point::REAL_POWER, 10, Layout::Signed, Some(116)),
    known(701, point::REACTIVE_POWER, 12, Layout::Signed, Some(119)),
    known(701, point::VOLTAGE, 16, Layout::Unsigned, Some(114)),
    known(701, point::FREQUENCY, 17, Layout::Long, Some(115)),
    known(701, "energy", 19, Layout::Longest, Some(120)),
    known(701, "inverter_state", 4, Layout::Unsigned, None),
    known(713, point::STATE_OF_CHARGE, 4, Layout::Unsigned, Some(8)),
    known(802, point::STATE_OF_CHARGE, 11, Layout::Unsigned, Some(56)),
    known(124, point::STATE_OF_CHARGE, 8, Layout::Unsigned, Some(22)),
    known(714, "dc_power", 6, Layout::Signed, Some(17)),
];

/// Models, their lengths with ID and L, and the offsets of their scale factors.
const MODELS: [(u16, usize, &[usize]); 7] = [
    (103, 52, &[6, 13, 15, 17, 19, 21, 23, 26, 28, 30, 32, 37]),
    (113, 62, &[]),
    (701, 125, &[113, 114, 115, 116, 117, 118, 119, 120, 121, 122]),
    (713, 9, &[7, 8]),
    (802, 64, &[52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63]),
    (124, 26, &[18, 19, 20, 21, 22, 23, 24, 25]),
    (714, 45, &[15, 16, 17, 18, 19]),
];

/// An image of one model: seldom nonsense in its scale factors, sometimes cut short.
fn image(seeded: &mut Seeded, model: u16, length: usize, factors: &[usize]) -> Vec<u16> {
    let mut registers: Vec<u16> = (0..length).map(|_| seeded.register()).collect();
    registers[0] = model;
    for factor in factors {
        registers[*factor] = factor_of(seeded);
    }
    if seeded.below(4) == 0 {
        let kept = seeded.below(u64::try_from(length).unwrap());
        registers.truncate(usize::try_from(kept).unwrap().max(2));
    }
    registers
}

/// A scale factor from -10 to 10 in most cases, else none, else nonsense.
fn factor_of(seeded: &mut Seeded) -> u16 {
    match seeded.below(400) {
        0 => seeded.register(),
        1..=40 => 0x8000,
        _ => u16::try_from(seeded.below(21)).unwrap().wrapping_sub(10),
    }
}

/// The number of a point; `None` where the device gives none.
fn told(registers: &[u16], known: &Known) -> Option<f64> {
    let word = |at: usize| registers.get(known.offset + at).copied();
    let joined = |words: &[u16]| words.iter().fold(0_u64, |sum, word| sum * 65_536 + u64::from(*word));
    let number = match known.layout {
        Layout::Signed => {
            let word = word(0).filter(|word| *word != 0x8000)?;
            let whole = i64::from(word);
            (if whole > 32_767 { whole - 65_536 } else { whole }).to_string()
        }
        Layout::Unsigned => word(0).filter(|word| *word != 65_535)?.to_string(),
        Layout::Long => {
            let long = joined(&[word(0)?, word(1)?]);
            (long != 0xFFFF_FFFF).then_some(long)?.to_string()
        }
        Layout::Longest => {
            let longest = joined(&[word(0)?, word(1)?, word(2)?, word(3)?]);
            (longest != u64::MAX).then_some(longest)?.to_string()
        }
        Layout::Counter => {
            let counter = joined(&[word(0)?, word(1)?]);
            (counter != 0).then_some(counter)?.to_string()
        }
        Layout::Float => {
            let bits = u32::try_from(joined(&[word(0)?, word(1)?])).unwrap();
            let float = f64::from(f32::from_bits(bits));
            return float.is_finite().then_some(float);
        }
    };
    let exponent = match known.scale {
        None => 0,
        Some(at) => {
            let word = registers.get(at).copied().filter(|word| *word != 0x8000)?;
            i64::from(word) - if word > 32_767 { 65_536 } else { 0 }
        }
    };
    format!("{number}e{exponent}").parse().ok()
}

/// Whether any scale factor is one that no device may state.
fn nonsense(registers: &[u16], factors: &[usize]) -> bool {
    let outside = |word: u16| word != 0x8000 && (11..=0xFFF5).contains(&word);
    factors.iter().filter_map(|at| registers.get(*at)).any(|word| outside(*word))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= b.abs() * 1e-12
}

#[test]
fn no_image_of_a_hundred_thousand_shows_a_wrong_value() {
    let mut seeded = Seeded(20_261_128);
    let (mut good, mut refused, mut flagged) = (0_u32, 0_u32, 0_u32);
    for _ in 0..50_000 {
        let (model, length, factors) = *seeded.pick(&MODELS);
        let mut registers = image(&mut seeded, model, length, factors);
        let mut measurements = Measurements::default();
        let mut before: Vec<Option<f64>> = Vec::new();
        let mut before_factors: Vec<Option<u16>> = Vec::new();
        // Each image is read twice, the second time with some of its scale factors changed.
        for reading in 0..2 {
            if reading == 1 {
                for factor in factors {
                    if let Some(register) = registers.get_mut(*factor)
                        && seeded.below(2) == 0
                    {
                        *register = factor_of(&mut seeded);
                    }
                }
            }
            let block = Block::arbitrary(model, &registers);
            let points: Vec<&Known> = KNOWN.iter().filter(|known| known.model == model).collect();
            let now: Vec<Option<f64>> = points.iter().map(|known| told(&registers, known)).collect();
            let now_factors: Vec<Option<u16>> =
                points.iter().map(|known| registers.get(known.scale?).copied()).collect();
            let Ok(snapshot) = measurements.snapshot(&[block]) else {
                assert!(nonsense(&registers, factors), "{model} {registers:?}");
                refused += 1;
                break;
            };
            for (index, (known, expected)) in points.iter().zip(&now).enumerate() {
                let sample = snapshot.get(known.name);
                // A reading whose point of this name comes from another one is none of the oracle's business.
                if known.name == point::VOLTAGE && expected.is_none() {
                    continue;
                }
                assert_eq!(sample.is_some(), expected.is_some(), "{} of {model}: {registers:?}", known.name);
                let (Some(sample), Some(expected)) = (sample, expected) else { continue };
                assert!(close(sample.value, *expected), "{} of {model}: {registers:?}", known.name);
                let last = before.get(index).copied().flatten();
                let changed = reading == 1 && before_factors[index] != now_factors[index];
                let jumped = changed
                    && last
                        .is_some_and(|last| *expected != last && !(0.5..=2.0).contains(&(expected / last)));
                let beyond = known.name == point::STATE_OF_CHARGE && !(0.0..=100.0).contains(expected);
                assert_eq!(sample.quality == Quality::Good, !jumped && !beyond, "{} of {model}", known.name);
                if jumped { flagged += 1 } else { good += u32::from(!beyond) }
            }
            (before, before_factors) = (now, now_factors);
        }
    }
    assert!(good > 100_000 && refused > 100 && flagged > 1000, "{good} {refused} {flagged}");
}
