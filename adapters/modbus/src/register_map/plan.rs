//! Which requests read the points of a profile: [`Span`]s of registers, and the [`Image`] of one reading.

use super::profile::{PointSpec, Profile, Reading, Table, WriteFunction};
use crate::link::Link;
use crate::session::LinkError;
use gridloop_clock::MonoTime;
use gridloop_device::DeviceError;
use std::collections::BTreeMap;

/// Registers that one request reads. Registers that belong to no point are asked for only where the profile allows
/// it, because strict devices refuse a request that covers any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) table: Table,
    pub(super) address: u16,
    pub(super) count: u16,
    /// The places of its points in the profile.
    pub(super) points: Vec<usize>,
}

/// The registers of points, each point's from one request.
#[derive(Debug, Default)]
pub(super) struct Image {
    held: BTreeMap<usize, (Vec<u16>, MonoTime)>,
}

impl Image {
    /// Reads spans of a profile.
    pub(super) async fn read(link: &Link, profile: &Profile, spans: &[Span]) -> Result<Self, DeviceError> {
        let mut image = Self::default();
        for span in spans {
            let operation = format!("{} registers at {}", span.count, span.address);
            let registers = link.read(&operation, span.table, span.address, span.count).await?;
            image.take_in(profile, span, &registers, link.now());
        }
        Ok(image)
    }

    /// Cuts what a request gave into points. A point that is not whole is left out.
    pub(super) fn take_in(&mut self, profile: &Profile, span: &Span, registers: &[u16], at: MonoTime) {
        for index in &span.points {
            let Some(point) = profile.points.get(*index) else { continue };
            let start = usize::from(point.address.saturating_sub(span.address));
            if let Some(own) = registers.get(start..start + usize::from(point.kind.registers())) {
                self.held.insert(*index, (own.to_vec(), at));
            }
        }
    }

    /// The registers of a point, and when they came.
    pub(super) fn registers(&self, index: usize) -> Option<(&[u16], MonoTime)> {
        self.held.get(&index).map(|(registers, at)| (registers.as_slice(), *at))
    }

    /// The value of a point by its name, if it has one that can be true.
    pub(super) fn value(&self, profile: &Profile, name: &str) -> Option<f64> {
        let index = profile.points.iter().position(|point| &*point.name == name)?;
        match profile.points.get(index)?.decode(self.registers(index)?.0) {
            Reading::Value(value, gridloop_device::Quality::Good) => Some(value),
            _ => None,
        }
    }
}

/// As few spans as the profile allows for these of its points, in the order of tables and addresses. A point is never
/// cut in two, and what cannot be read is left out.
pub(super) fn spans(profile: &Profile, chosen: impl Fn(&PointSpec) -> bool) -> Vec<Span> {
    let mut order: Vec<(usize, &PointSpec)> = profile
        .points
        .iter()
        .enumerate()
        .filter(|(_, point)| point.access.reads() && chosen(point))
        .collect();
    order.sort_by_key(|(_, point)| (point.table, point.address));
    let mut spans: Vec<Span> = Vec::new();
    for (index, point) in order {
        let grown = spans.last().and_then(|span| grown(span, point, profile));
        match (grown, spans.last_mut()) {
            (Some(count), Some(span)) => {
                span.count = count;
                span.points.push(index);
            }
            _ => spans.push(Span {
                table: point.table,
                address: point.address,
                count: point.kind.registers(),
                points: vec![index],
            }),
        }
    }
    spans
}

/// The length of a span once it also covers `point`, if it may.
fn grown(span: &Span, point: &PointSpec, profile: &Profile) -> Option<u16> {
    let end = u32::from(span.address) + u32::from(span.count);
    if span.table != point.table || u32::from(point.address) > end + u32::from(profile.max_gap) {
        return None;
    }
    let count = u16::try_from(end.max(point.end()) - u32::from(span.address)).ok()?;
    (count <= profile.max_read).then_some(count)
}

/// Writes holding registers as the profile demands. One that demands function 6 writes one register at a time.
pub(super) async fn send(
    link: &Link,
    function: WriteFunction,
    address: u16,
    registers: &[u16],
) -> Result<(), LinkError> {
    match (function, registers) {
        (WriteFunction::Single, &[register]) => link.try_write_one(address, register).await,
        _ => link.try_write(address, registers).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register_map::{Access, ByteOrder, RegisterType, WordOrder, WriteFunction};
    use gridloop_device::Unit;
    use proptest::prelude::*;

    fn point(table: Table, address: u16, kind: RegisterType) -> PointSpec {
        PointSpec {
            name: "p".into(),
            table,
            address,
            kind,
            word_order: WordOrder::HighFirst,
            byte_order: ByteOrder::HighFirst,
            bits: None,
            scale: 1.0,
            offset: 0.0,
            unit: Unit::One,
            sentinel: None,
            valid: None,
            access: Access::Read,
            limits: None,
        }
    }

    fn profile(points: Vec<PointSpec>, max_gap: u16, max_read: u16) -> Profile {
        Profile {
            name: "x".to_owned(),
            max_gap,
            max_read,
            write_function: WriteFunction::Multiple,
            identity: Vec::new(),
            points,
            tap_pulse: None,
            voltage_setpoint: None,
            power: None,
        }
    }

    fn requests(profile: &Profile) -> Vec<(Table, u16, u16)> {
        spans(profile, |_| true).iter().map(|span| (span.table, span.address, span.count)).collect()
    }

    fn some_points() -> Vec<PointSpec> {
        vec![
            point(Table::Holding, 6, RegisterType::U16),
            point(Table::Holding, 0, RegisterType::I32),
            point(Table::Holding, 2, RegisterType::U16),
            point(Table::Input, 3, RegisterType::U16),
        ]
    }

    #[test]
    fn neighbours_share_a_request_and_gaps_part_them() {
        let seen = requests(&profile(some_points(), 0, 125));
        assert_eq!(seen, [(Table::Holding, 0, 3), (Table::Holding, 6, 1), (Table::Input, 3, 1)]);
    }

    #[test]
    fn a_gap_that_the_profile_allows_saves_a_request_and_its_longest_read_parts_them_again() {
        assert_eq!(requests(&profile(some_points(), 2, 125)).len(), 3);
        let joined = [(Table::Holding, 0, 7), (Table::Input, 3, 1)];
        assert_eq!(requests(&profile(some_points(), 3, 125)), joined);
        assert_eq!(requests(&profile(some_points(), 3, 6)).len(), 3);
    }

    #[test]
    fn points_that_cannot_be_read_are_not_asked_for() {
        let mut points = some_points();
        points[2].access = Access::Write;
        let seen = requests(&profile(points, 0, 125));
        assert_eq!(seen, [(Table::Holding, 0, 2), (Table::Holding, 6, 1), (Table::Input, 3, 1)]);
    }

    proptest! {
        #[test]
        fn every_point_is_read_whole_and_no_request_is_too_long(
            specs in prop::collection::vec((any::<bool>(), 0..400_u16, 0..3_u8), 0..200),
            max_gap in 0..20_u16, max_read in 4..=125_u16,
        ) {
            let points: Vec<_> = specs
                .into_iter()
                .map(|(input, address, size)| {
                    let kind = [RegisterType::U16, RegisterType::F32, RegisterType::F64][usize::from(size)];
                    point(if input { Table::Input } else { Table::Holding }, address, kind)
                })
                .collect();
            let profile = profile(points, max_gap, max_read);
            let spans = spans(&profile, |_| true);
            let mut read = vec![0; profile.points.len()];
            for span in &spans {
                prop_assert!((1..=max_read).contains(&span.count));
                let mut covered = u32::from(span.address);
                for index in &span.points {
                    read[*index] += 1;
                    let point = &profile.points[*index];
                    prop_assert_eq!(point.table, span.table);
                    prop_assert!(u32::from(point.address) <= covered + u32::from(max_gap));
                    prop_assert!(point.address >= span.address);
                    prop_assert!(point.end() <= u32::from(span.address) + u32::from(span.count));
                    covered = covered.max(point.end());
                }
            }
            prop_assert!(read.iter().all(|times| *times == 1));
        }
    }
}
