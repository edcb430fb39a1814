//! One model as a device gave it: [`Place`], where it is, and [`Block`], its registers of one reading.

use super::discovery::Located;
use super::models::{HEADER_REGISTERS, Kind, Model, Point};
use super::value;
use crate::link::Link;
use crate::register_map::Table;
use crate::registers::{Unencodable, signed16};
use crate::session::MOST_READ;
use gridloop_clock::MonoTime;
use gridloop_device::DeviceError;

/// Where a model is on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The model's number.
    pub(super) id: u16,
    /// The address of its ID register.
    pub(super) address: u16,
    /// Its length as the device states it: registers without ID and L.
    pub(super) length: u16,
}

/// The registers of one model, read with one request, so that scale factors belong to their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) model: &'static Model,
    pub(super) place: Place,
    /// The registers from ID on: as many as both the device and the table have.
    registers: Vec<u16>,
    /// When they came.
    pub(super) read_at: MonoTime,
}

/// How many registers of a model are asked for.
fn wanted(place: Place, model: &Model) -> u16 {
    let known = if model.group.is_some() { place.length } else { place.length.min(model.length()) };
    known.saturating_add(HEADER_REGISTERS).min(MOST_READ)
}

/// Models by address, those that one request can read together.
fn runs(located: &[Located]) -> Vec<Vec<Located>> {
    let mut sorted = located.to_vec();
    sorted.sort_by_key(|one| one.place.address);
    let mut runs: Vec<Vec<Located>> = Vec::new();
    for one in sorted {
        let joins = |run: &Vec<Located>| {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { return false };
            let end =
                u32::from(last.place.address) + u32::from(HEADER_REGISTERS) + u32::from(last.place.length);
            let count =
                u32::from(one.place.address - first.place.address) + u32::from(wanted(one.place, one.model));
            end == u32::from(one.place.address) && count <= u32::from(MOST_READ)
        };
        match runs.last_mut().filter(|run| joins(run)) {
            Some(run) => run.push(one),
            None => runs.push(vec![one]),
        }
    }
    runs
}

/// A scale factor that no device may state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("scale factor {point} is {exponent}, outside -10 to 10")]
pub(super) struct BadScaleFactor {
    point: &'static str,
    exponent: i16,
}

impl Block {
    /// Reads a model. Registers beyond the table are not asked for; nor are repetitions that do not fit the one
    /// request, because their scale factors would belong to another moment.
    ///
    /// # Errors
    /// As the link; also when the model is no longer where discovery found it.
    pub(super) async fn read(link: &Link, place: Place, model: &'static Model) -> Result<Self, DeviceError> {
        let operation = format!("model {}", place.id);
        let registers = link.read(&operation, Table::Holding, place.address, wanted(place, model)).await?;
        Self::found(place, model, &registers, link.now())
    }

    /// Reads models, those that follow on one another with one request as long as they fit it.
    ///
    /// # Errors
    /// As [`Block::read`].
    pub(super) async fn read_all(link: &Link, located: &[Located]) -> Result<Vec<Self>, DeviceError> {
        let mut blocks = Vec::new();
        for run in runs(located) {
            let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
            let names: Vec<String> = run.iter().map(|one| one.place.id.to_string()).collect();
            let operation = format!("model {}", names.join(" "));
            let begin = first.place.address;
            let count = last.place.address - begin + wanted(last.place, last.model);
            let registers = link.read(&operation, Table::Holding, begin, count).await?;
            for Located { place, model } in run {
                let own = registers.get(usize::from(place.address - begin)..).unwrap_or_default();
                blocks.push(Self::found(place, model, own, link.now())?);
            }
        }
        Ok(blocks)
    }

    /// A model at the beginning of these registers.
    fn found(
        place: Place,
        model: &'static Model,
        registers: &[u16],
        read_at: MonoTime,
    ) -> Result<Self, DeviceError> {
        let registers = &registers[..registers.len().min(usize::from(wanted(place, model)))];
        if registers.get(..2) != Some(&[place.id, place.length]) {
            return Err(DeviceError::Malformed {
                operation: format!("read model {}", place.id),
                reason: "the device has changed its list of models".to_owned(),
            });
        }
        Ok(Self { model, place, registers: registers.to_vec(), read_at })
    }

    /// The registers of a point; `None` when the device's model is too short to have it.
    pub(super) fn registers(&self, point: &Point) -> Option<&[u16]> {
        let start = usize::from(point.offset);
        self.registers.get(start..start + usize::from(point.kind.registers()))
    }

    /// The scaled number of a point; `Ok(None)` when it, or its scale factor, is not implemented.
    pub(super) fn number(&self, point: &Point) -> Result<Option<f64>, BadScaleFactor> {
        let Some(raw) = self.registers(point).and_then(|registers| value::raw_number(point.kind, registers))
        else {
            return Ok(None);
        };
        Ok(self.exponent(point)?.map(|exponent| value::scaled(raw, exponent)))
    }

    /// The number of a point by its name; `Ok(None)` also when the model has no such point.
    pub(super) fn named(&self, name: &str) -> Result<Option<f64>, BadScaleFactor> {
        self.model.point(name).map_or(Ok(None), |point| self.number(point))
    }

    /// How many repetitions of the model's group came with it whole.
    pub(super) fn repetitions(&self) -> u16 {
        let Some(group) = self.model.group else { return 0 };
        let fixed = usize::from(self.model.length() + HEADER_REGISTERS);
        let there = self.registers.len().saturating_sub(fixed) / usize::from(group.registers()).max(1);
        let there = u16::try_from(there).unwrap_or(u16::MAX);
        let stated = group.count.and_then(|name| self.registers(self.model.point(name)?));
        match stated {
            Some(&[count]) if count != 0xFFFF => there.min(count),
            _ => there,
        }
    }

    /// The registers of a point of one repetition, counted from 0.
    pub(super) fn repeated_registers(&self, repetition: u16, point: &Point) -> Option<&[u16]> {
        let group = self.model.group.filter(|_| repetition < self.repetitions())?;
        let first = self.model.length() + HEADER_REGISTERS;
        let start = usize::from(first) + usize::from(repetition) * usize::from(group.registers());
        let start = start + usize::from(point.offset);
        self.registers.get(start..start + usize::from(point.kind.registers()))
    }

    /// The scaled number of a point of one repetition by its name; `Ok(None)` when it, or its scale factor, is not
    /// implemented.
    pub(super) fn repeated(&self, repetition: u16, name: &str) -> Result<Option<f64>, BadScaleFactor> {
        let point = self.model.group.and_then(|group| group.points.iter().find(|point| point.name == name));
        let Some(point) = point else { return Ok(None) };
        let registers = self.repeated_registers(repetition, point);
        let Some(raw) = registers.and_then(|registers| value::raw_number(point.kind, registers)) else {
            return Ok(None);
        };
        Ok(self.exponent(point)?.map(|exponent| value::scaled(raw, exponent)))
    }

    /// The text of a point by its name.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let point = self.model.point(name).filter(|point| matches!(point.kind, Kind::Text(_)))?;
        value::text(self.registers(point)?)
    }

    /// The registers that would hold `value` with the scale factor that the device states now.
    pub(super) fn encode(&self, point: &Point, value: f64) -> Result<Vec<u16>, Unencodable> {
        let exponent = match self.exponent(point) {
            Ok(Some(exponent)) => exponent,
            _ => return Err(Unencodable::NoScaleFactor(point.scale.unwrap_or_default())),
        };
        value::encode(point.kind, exponent, value)
    }

    /// The difference between neighbouring values of a point, by the scale factor that the device states now.
    pub(super) fn step(&self, point: &Point) -> Option<f64> {
        Some(value::scaled(1.0, self.exponent(point).ok()??))
    }

    /// The scale factors that the device states, by the names of their points.
    pub(super) fn scale_factors(&self) -> impl Iterator<Item = (&'static str, i16)> {
        let factors = self.model.points.iter().filter(|point| point.kind == Kind::ScaleFactor);
        factors.filter_map(|point| match self.registers(point) {
            Some(&[register]) if register != 0x8000 => Some((point.name, signed16(register))),
            _ => None,
        })
    }

    /// The exponent that scales a point: 0 when it has no scale factor, `None` when that is not implemented.
    fn exponent(&self, point: &Point) -> Result<Option<i8>, BadScaleFactor> {
        let Some(name) = point.scale else { return Ok(Some(0)) };
        let register = self.model.point(name).and_then(|scale| self.registers(scale));
        let Some(&[register]) = register else { return Ok(None) };
        value::scale_factor(register).map_err(|exponent| BadScaleFactor { point: name, exponent })
    }

    /// An error about the contents of this block.
    pub(super) fn malformed(&self, error: &BadScaleFactor) -> DeviceError {
        DeviceError::Malformed {
            operation: format!("read model {}", self.place.id),
            reason: error.to_string(),
        }
    }
}

#[cfg(test)]
impl Block {
    /// A block as if it had been read, its points given by name.
    pub(super) fn fake(id: u16, points: &[(&str, &[u16])]) -> Self {
        let model = super::models::model(id).unwrap();
        let length = model.length();
        let mut registers = vec![0xFFFF; usize::from(length + HEADER_REGISTERS)];
        registers[0] = id;
        registers[1] = length;
        for point in model.points.iter().filter(|point| point.kind == Kind::ScaleFactor) {
            registers[usize::from(point.offset)] = 0x8000;
        }
        for (name, values) in points {
            let start = usize::from(model.point(name).unwrap().offset);
            registers[start..start + values.len()].copy_from_slice(values);
        }
        let place = Place { id, address: 0, length };
        Self { model, place, registers, read_at: MonoTime::default() }
    }

    /// A block of registers that need not make sense.
    pub(super) fn arbitrary(id: u16, registers: &[u16]) -> Self {
        let place = Place { id, address: 0, length: 65 };
        let model = super::models::model(id).unwrap();
        Self { model, place, registers: registers.to_vec(), read_at: MonoTime::default() }
    }

    /// Cuts the block off as a device with a shorter model would.
    pub(super) fn cut(mut self, length: u16) -> Self {
        self.registers.truncate(usize::from(length + HEADER_REGISTERS));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sunspec::models::models;

    #[test]
    fn every_number_of_a_model_comes_with_its_scale_factor_by_one_request() {
        for model in models() {
            for point in model.points.iter().filter(|point| !matches!(point.kind, Kind::Text(_))) {
                assert!(point.offset + point.kind.registers() <= MOST_READ, "{} of {}", point.name, model.id);
            }
        }
    }

    #[test]
    fn models_that_follow_on_one_another_share_a_request_as_long_as_they_fit_it() {
        let located = |id: u16, address: u16, length: u16| Located {
            place: Place { id, address, length },
            model: super::super::models::model(id).unwrap(),
        };
        let three = [located(715, 134, 7), located(713, 100, 7), located(714, 109, 43 - 20)];
        let ids = |located: &[Located]| -> Vec<Vec<u16>> {
            runs(located).iter().map(|run| run.iter().map(|one| one.place.id).collect()).collect()
        };
        assert_eq!(ids(&three), [vec![713, 714, 715]]);
        assert_eq!(ids(&[located(713, 100, 7), located(715, 110, 7)]), [vec![713], vec![715]]);
        assert_eq!(ids(&[located(713, 100, 7), located(701, 109, 153)]), [vec![713], vec![701]]);
        assert_eq!(ids(&[located(103, 100, 50), located(122, 152, 44)]), [vec![103, 122]]);
    }

    #[test]
    fn repetitions_are_as_many_as_the_device_states_and_sends_whole() {
        let mut registers = vec![160, 48, 0, 0xFFFF, 0, 0, 0, 0, 2, 0];
        for module in [1_u16, 2] {
            registers.extend([module, 0, 0, 0, 0, 0, 0, 0, 0, module * 10, 4000, module * 400]);
            registers.extend([0, 0, 0, 0, 25, 4, 0, 0]);
        }
        let mut block = Block::arbitrary(160, &registers);
        assert_eq!(block.repetitions(), 2);
        assert_eq!(block.repeated(1, "DCA"), Ok(Some(20.0)));
        assert_eq!(block.repeated(0, "DCV"), Ok(Some(400.0)));
        assert_eq!(block.repeated(1, "DCW"), Ok(Some(800.0)));
        assert_eq!(block.repeated(2, "DCW"), Ok(None));
        block.registers[8] = 1;
        assert_eq!(block.repeated(1, "DCA"), Ok(None));
        block.registers[8] = 0xFFFF;
        assert_eq!(block.repetitions(), 2);
        block.registers.truncate(49);
        assert_eq!(block.repetitions(), 1);
    }

    #[test]
    fn a_value_is_scaled_by_the_factor_read_with_it() {
        let block =
            Block::fake(103, &[("W", &[1234]), ("W_SF", &[1]), ("Hz", &[5001]), ("Hz_SF", &[0xFFFE])]);
        assert_eq!(block.named("W"), Ok(Some(12340.0)));
        assert_eq!(block.named("Hz"), Ok(Some(50.01)));
    }

    #[test]
    fn a_value_without_its_scale_factor_is_absent() {
        let block = Block::fake(103, &[("W", &[1234])]);
        assert_eq!(block.named("W"), Ok(None));
    }

    #[test]
    fn an_impossible_scale_factor_is_an_error_and_not_a_number() {
        let block = Block::fake(103, &[("W", &[1234]), ("W_SF", &[11])]);
        assert!(block.named("W").is_err());
        assert_eq!(block.named("St"), Ok(None));
    }

    #[test]
    fn points_beyond_the_length_that_the_device_states_are_absent() {
        let block = Block::fake(103, &[("W", &[1234]), ("W_SF", &[0]), ("St", &[4])]).cut(20);
        assert_eq!(block.named("W"), Ok(Some(1234.0)));
        assert_eq!(block.named("St"), Ok(None));
        let without_factor = Block::fake(103, &[("W", &[1234]), ("W_SF", &[0])]).cut(13);
        assert_eq!(without_factor.named("W"), Ok(None));
    }
}
