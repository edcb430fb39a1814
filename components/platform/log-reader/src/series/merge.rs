//! The values of one epoch, put into rows: [`Epoch`] in, [`Row`]s out.

use super::tree::{Column, Node};
use crate::format::Moment;
use serde_json::Value;

/// One point in time and what was said for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) epoch: i64,
    /// None for a single value of an epoch whose start nobody told, such as epoch 0.
    pub(crate) time: Option<Moment>,
    pub(crate) cells: Vec<(Column, Value)>,
}

/// What the messages of one epoch said so far.
#[derive(Debug, Default)]
pub(super) struct Epoch {
    sources: Vec<Source>,
}

/// Values that share their points in time: one block of one message, or one single value.
#[derive(Debug)]
struct Source {
    node: Node,
    times: Vec<Option<Moment>>,
    columns: Vec<(Column, Vec<Value>)>,
}

impl Epoch {
    /// Notes a single value; gives how many earlier values it replaces.
    pub(super) fn point(&mut self, node: Node, column: Column, start: Option<Moment>, value: Value) -> u64 {
        self.put(Source { node, times: vec![start], columns: vec![(column, vec![value])] })
    }

    /// Notes a block; gives how many earlier values it replaces.
    pub(super) fn block(
        &mut self,
        node: Node,
        times: Vec<Moment>,
        columns: Vec<(Column, Vec<Value>)>,
    ) -> u64 {
        self.put(Source { node, times: times.into_iter().map(Some).collect(), columns })
    }

    /// The last message wins, with its own points in time.
    fn put(&mut self, source: Source) -> u64 {
        let mut replaced = 0;
        self.sources.retain_mut(|earlier| {
            if earlier.node != source.node {
                return true;
            }
            earlier.columns.retain(|(column, values)| {
                let again = source.columns.iter().any(|(new, _)| new == column);
                replaced += if again { values.len() as u64 } else { 0 };
                !again
            });
            !earlier.columns.is_empty()
        });
        self.sources.push(source);
        replaced
    }

    /// The rows in order of time, as far as each block is in order.
    pub(super) fn rows(mut self, epoch: i64) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut heads = vec![0_usize; self.sources.len()];
        loop {
            let next =
                self.sources.iter().zip(&heads).filter_map(|(source, head)| source.times.get(*head)).min();
            let Some(next) = next.copied() else { return rows };
            let mut cells = Vec::new();
            for (source, head) in self.sources.iter_mut().zip(&mut heads) {
                if source.times.get(*head) != Some(&next) {
                    continue;
                }
                for (column, values) in &mut source.columns {
                    if let Some(value) = values.get_mut(*head) {
                        cells.push((*column, value.take()));
                    }
                }
                *head += 1;
            }
            rows.push(Row { epoch, time: next, cells });
        }
    }
}
