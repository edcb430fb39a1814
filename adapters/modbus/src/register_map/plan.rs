//! Which requests read every point of a profile: [`Span`]s of registers that follow on one another.

use super::profile::{PointSpec, Table};
use crate::session::MOST_READ;

/// Registers that one request reads. Only registers that belong to a point are asked for, because strict devices
/// refuse a request that covers any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) table: Table,
    pub(super) address: u16,
    pub(super) count: u16,
    /// The places of its points in the profile.
    pub(super) points: Vec<usize>,
}

/// As few spans as the points allow, in the order of tables and addresses. A point is never cut in two.
pub(super) fn spans(points: &[PointSpec]) -> Vec<Span> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by_key(|index| (points[*index].table, points[*index].address));
    let mut spans: Vec<Span> = Vec::new();
    for index in order {
        let point = &points[index];
        let grown = spans.last().and_then(|span| grown(span, point));
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
fn grown(span: &Span, point: &PointSpec) -> Option<u16> {
    let end = u32::from(span.address) + u32::from(span.count);
    if span.table != point.table || u32::from(point.address) > end {
        return None;
    }
    let count = u16::try_from(end.max(point.end()) - u32::from(span.address)).ok()?;
    (count <= MOST_READ).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::register_map::{RegisterType, WordOrder};
    use gridloop_device::Unit;
    use proptest::prelude::*;

    fn point(table: Table, address: u16, kind: RegisterType) -> PointSpec {
        PointSpec {
            name: "p".into(),
            table,
            address,
            kind,
            word_order: WordOrder::HighFirst,
            scale: 1.0,
            offset: 0.0,
            unit: Unit::One,
            sentinel: None,
            valid: None,
            writable: false,
        }
    }

    #[test]
    fn neighbours_share_a_request_and_gaps_part_them() {
        let points = [
            point(Table::Holding, 6, RegisterType::U16),
            point(Table::Holding, 0, RegisterType::I32),
            point(Table::Holding, 2, RegisterType::U16),
            point(Table::Input, 3, RegisterType::U16),
        ];
        let seen: Vec<_> = spans(&points).iter().map(|s| (s.table, s.address, s.count)).collect();
        assert_eq!(seen, [(Table::Holding, 0, 3), (Table::Holding, 6, 1), (Table::Input, 3, 1)]);
    }

    proptest! {
        #[test]
        fn every_point_is_read_whole_and_no_request_is_too_long(
            specs in prop::collection::vec((any::<bool>(), 0..400_u16, any::<bool>()), 0..200),
        ) {
            let points: Vec<_> = specs
                .into_iter()
                .map(|(input, address, long)| {
                    let kind = if long { RegisterType::F32 } else { RegisterType::U16 };
                    point(if input { Table::Input } else { Table::Holding }, address, kind)
                })
                .collect();
            let spans = spans(&points);
            let mut read = vec![0; points.len()];
            for span in &spans {
                prop_assert!((1..=MOST_READ).contains(&span.count));
                for index in &span.points {
                    read[*index] += 1;
                    let point = &points[*index];
                    prop_assert_eq!(point.table, span.table);
                    prop_assert!(point.address >= span.address);
                    prop_assert!(point.end() <= u32::from(span.address) + u32::from(span.count));
                }
            }
            prop_assert!(read.iter().all(|times| *times == 1));
        }
    }
}
