//! One SunSpec model as registers: [`Block`] starts out with every point "not implemented" and is filled by name.

use crate::registers::{Scale, word, words};
use crate::sunspec::models::{HEADER_REGISTERS, Kind, Model, Point};
use crate::sunspec::value;

/// The registers of one model, from its ID on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    model: &'static Model,
    registers: Vec<u16>,
}

impl Block {
    /// A block whose points are "not implemented". What repeats is there once.
    pub(super) fn new(model: &'static Model) -> Self {
        let repeated = model.group.map_or(0, |group| group.registers());
        let mut registers = vec![model.id, model.length() + repeated];
        for point in model.points.iter().chain(model.group.iter().flat_map(|group| group.points)) {
            registers.extend(not_implemented(point.kind));
        }
        Self { model, registers }
    }

    pub(super) fn registers(&self) -> &[u16] {
        &self.registers
    }

    /// Sets scale factors. They have to be set before the points that they scale.
    pub(super) fn set_scale(&mut self, exponent: i8, names: &[&str]) {
        for name in names {
            self.put(name, &[word(exponent.into())]);
        }
    }

    /// Sets a number in the point's unit. One that has no place in the registers becomes "not implemented".
    pub(super) fn set(&mut self, name: &str, value: f64) {
        let Some(point) = self.model.point(name) else { return };
        let registers = self.encoded(point, value).unwrap_or_else(|| not_implemented(point.kind));
        self.put(name, &registers);
    }

    /// Sets a number of the one repetition.
    pub(super) fn set_repeated(&mut self, name: &str, value: f64) {
        let point = self.model.group.and_then(|group| group.points.iter().find(|point| point.name == name));
        let Some(point) = point else { return };
        let registers = self.encoded(point, value).unwrap_or_else(|| not_implemented(point.kind));
        let first = usize::from(HEADER_REGISTERS + self.model.length() + point.offset);
        self.put_at(first, &registers);
    }

    /// Sets states and flags.
    pub(super) fn set_bits(&mut self, name: &str, bits: u32) {
        let wide = words(bits.into());
        match self.model.point(name).map(|point| point.kind.registers()) {
            Some(1) => self.put(name, &wide[1..]),
            Some(2) => self.put(name, &wide),
            _ => {}
        }
    }

    /// Sets a text; what is too long for it is cut off.
    pub(super) fn set_text(&mut self, name: &str, text: &str) {
        let Some(Point { kind: Kind::Text(length), .. }) = self.model.point(name) else { return };
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(usize::from(*length) * 2, 0);
        let registers: Vec<u16> =
            bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        self.put(name, &registers);
    }

    /// The number in a point, in its unit; `None` when it is "not implemented".
    pub(super) fn value(&self, name: &str) -> Option<f64> {
        let point = self.model.point(name)?;
        let raw = value::raw_number(point.kind, self.of(point))?;
        Some(value::scaled(raw, self.exponent_of(point)?))
    }

    /// Overwrites registers from `offset` (counted from the ID) on. Only whole points that are writable, and only
    /// with values: what is not implemented stays so, and what is implemented does not become "not implemented".
    pub(super) fn overwrite(&self, offset: u16, values: &[u16]) -> Option<(Self, Vec<&'static str>)> {
        let from = usize::from(offset);
        let end = from + values.len();
        let mut written = self.clone();
        written.registers.get_mut(from..end)?.copy_from_slice(values);

        let (mut touched, mut covered) = (Vec::new(), 0);
        for point in self.model.points {
            let first = usize::from(point.offset);
            let last = first + usize::from(point.kind.registers());
            if last <= from || first >= end {
                continue;
            }
            let whole = from <= first && last <= end;
            if !whole || !point.writable || self.is_absent(point) != written.is_absent(point) {
                return None;
            }
            covered += last - first;
            touched.push(point.name);
        }
        (covered == values.len()).then_some((written, touched))
    }

    fn is_absent(&self, point: &Point) -> bool {
        match point.kind {
            Kind::Float32 => self.of(point).first().is_some_and(|high| high & 0x7F80 == 0x7F80),
            kind => self.of(point) == not_implemented(kind),
        }
    }

    fn of(&self, point: &Point) -> &[u16] {
        let first = usize::from(point.offset);
        self.registers.get(first..first + usize::from(point.kind.registers())).unwrap_or_default()
    }

    fn put(&mut self, name: &str, registers: &[u16]) {
        let Some(point) = self.model.point(name) else { return };
        self.put_at(usize::from(point.offset), registers);
    }

    fn put_at(&mut self, first: usize, registers: &[u16]) {
        if let Some(place) = self.registers.get_mut(first..first + registers.len()) {
            place.copy_from_slice(registers);
        }
    }

    fn exponent_of(&self, point: &Point) -> Option<i8> {
        let Some(name) = point.scale else { return Some(0) };
        let register = self.model.point(name).map(|scale| self.of(scale))?;
        value::scale_factor(*register.first()?).ok().flatten()
    }

    fn encoded(&self, point: &Point, value: f64) -> Option<Vec<u16>> {
        match point.kind {
            Kind::Acc32 => Some(counter(value)?.to_vec()),
            Kind::Uint64 | Kind::Acc64 => Some([&[0, 0], counter(value)?.as_slice()].concat()),
            Kind::Float32 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the nearest; an infinite one reads as absent"
                )]
                let single = value as f32;
                Some(words(single.to_bits().into()).to_vec())
            }
            kind => value::encode(kind, self.exponent_of(point)?, value).ok(),
        }
    }
}

/// A counter, which starts again from zero when 32 bits are full.
fn counter(value: f64) -> Option<[u16; 2]> {
    let whole = Scale::ONE.whole(value % 2_f64.powi(32), 0, u32::MAX.into());
    whole.ok().map(words)
}

/// How "not implemented" looks.
fn not_implemented(kind: Kind) -> Vec<u16> {
    match kind {
        Kind::Int16 | Kind::ScaleFactor | Kind::Pad => vec![0x8000],
        Kind::Uint16 | Kind::Count | Kind::Enum16 | Kind::Bitfield16 => vec![0xFFFF],
        Kind::Uint64 => vec![0xFFFF; 4],
        Kind::Int32 => vec![0x8000, 0],
        Kind::Uint32 | Kind::Bitfield32 => vec![0xFFFF, 0xFFFF],
        Kind::Float32 => vec![0x7FC0, 0],
        Kind::Acc32 | Kind::Acc64 | Kind::Text(_) => vec![0; usize::from(kind.registers())],
    }
}

/// The exponent at which numbers up to `largest` fit into a register that holds `most`, with the best resolution that
/// is not finer than 10 to the power of `finest`.
pub(super) fn exponent_for(largest: f64, most: u16, finest: i8) -> i8 {
    (finest..=10).find(|exponent| Scale::power_of_ten(*exponent).raw(largest) < f64::from(most)).unwrap_or(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sunspec::models::model;

    fn block(id: u16) -> Block {
        Block::new(model(id).unwrap())
    }

    #[test]
    fn a_new_block_has_its_header_and_implements_nothing() {
        let block = block(103);
        assert_eq!(block.registers()[..2], [103, 50]);
        assert!(model(103).unwrap().points.iter().all(|point| block.value(point.name).is_none()));
    }

    #[test]
    fn numbers_are_scaled_rounded_and_never_wrap() {
        let mut block = block(103);
        block.set("W", 100.0);
        assert_eq!(block.value("W"), None);
        block.set_scale(1, &["W_SF"]);
        for (value, held) in [(-1234.0, Some(-1230.0)), (327_670.0, Some(327_670.0)), (327_680.0, None)] {
            block.set("W", value);
            assert_eq!(block.value("W"), held);
        }
    }

    #[test]
    fn the_exponent_is_the_finest_that_fits() {
        let exponents = [3000.0, 8000.0, 100_000.0, 1e9].map(|largest| exponent_for(largest, 32_767, -1));
        assert_eq!(exponents, [-1, 0, 1, 5]);
    }

    #[test]
    fn only_whole_writable_implemented_points_are_overwritten() {
        let mut block = block(123);
        block.set_scale(-1, &["WMaxLimPct_SF"]);
        block.set("WMaxLimPct", 100.0);
        block.set("WMaxLimPct_RvrtTms", 0.0);
        let (written, touched) = block.overwrite(5, &[555, 0xFFFF, 30]).unwrap();
        assert_eq!(touched, ["WMaxLimPct", "WMaxLimPct_WinTms", "WMaxLimPct_RvrtTms"]);
        assert_eq!(
            (written.value("WMaxLimPct"), written.value("WMaxLimPct_RvrtTms")),
            (Some(55.5), Some(30.0))
        );
        let refused: [(u16, &[u16]); 5] = [(1, &[24]), (5, &[0xFFFF]), (6, &[10]), (23, &[0]), (25, &[0, 0])];
        for (offset, values) in refused {
            assert_eq!(block.overwrite(offset, values), None, "{offset} {values:?}");
        }
    }
}
