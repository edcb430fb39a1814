//! Time series out of messages (wire contract 5.3): [`Series`] takes messages epoch by epoch and gives [`Row`]s.
//!
//! An [`Attributes`] says which parts of the messages are wanted. A [`Tree`] remembers what was found, topic by process
//! by attribute, in the order of first appearance: each of its leaves is a column. `merge` puts the values of one epoch
//! into rows by their points in time. [`Table`] collects rows for an answer that is told column by column.
//!
//! Pure: messages in, rows out. Nothing here knows a store or a connection.

mod attributes;
mod merge;
mod table;
mod tree;

pub(crate) use attributes::Attributes;
pub(crate) use merge::Row;
pub(crate) use table::Table;
pub(crate) use tree::Tree;

use crate::format::Moment;
use attributes::Found;
use gridloop_logging::archive::Fields;
use merge::Epoch;
use serde_json::Value;
use std::sync::Arc;
use tree::Node;

/// A time series under construction.
#[derive(Debug)]
pub(crate) struct Series {
    attributes: Arc<Attributes>,
    /// A field that tells the messages of one process apart.
    by: Option<String>,
    tree: Tree,
    current: Option<i64>,
    epoch: Epoch,
    replaced: u64,
}

/// A path that goes on below a single value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dive {
    /// The path as far as there was something.
    pub(crate) at: String,
    /// The topic of the message.
    pub(crate) topic: String,
}

impl Series {
    /// Of these attributes; the messages of a process are told apart by the field `by`, if there is one.
    pub(crate) fn new(attributes: Attributes, by: Option<String>) -> Self {
        let (tree, epoch) = (Tree::default(), Epoch::default());
        Self { attributes: Arc::new(attributes), by, tree, current: None, epoch, replaced: 0 }
    }

    /// Takes the next message; they come in order of their epochs. `start` gives the simulated time at which an epoch
    /// begins. The rows of the epoch before are given when it has ended.
    ///
    /// # Errors
    /// A path of the attributes goes on below a single value.
    pub(crate) fn take(
        &mut self,
        message: &Fields,
        start: impl Fn(i64) -> Option<Moment>,
    ) -> Result<Vec<Row>, Dive> {
        let Some(number) = message.get("EpochNumber").and_then(Value::as_i64) else { return Ok(Vec::new()) };
        let rows = if self.current == Some(number) { Vec::new() } else { self.finish() };
        self.current = Some(number);
        let topic = message.get("Topic").and_then(Value::as_str).unwrap_or_default();
        let process = self.tree.child(Node::ROOT, topic);
        let process = self.tree.child(process, &self.process(message));
        let attributes = self.attributes.clone();
        for found in attributes.find(message, topic)? {
            self.note(process, found, start(number));
        }
        Ok(rows)
    }

    /// The rows of the epoch that was taken last.
    pub(crate) fn finish(&mut self) -> Vec<Row> {
        match self.current.take() {
            Some(number) => std::mem::take(&mut self.epoch).rows(number),
            None => Vec::new(),
        }
    }

    /// What was found so far.
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// How many values gave way to a later one of the same topic, process, attribute and epoch.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Under which name a message is filed in its topic.
    fn process(&self, message: &Fields) -> String {
        let source = message.get("SourceProcessId").and_then(Value::as_str).unwrap_or_default();
        let mark = self.by.as_ref().and_then(|by| Some((by, message.get(by)?)));
        match mark {
            Some((by, Value::String(value))) => format!("{source} {by}={value}"),
            Some((by, value @ (Value::Number(_) | Value::Bool(_)))) => format!("{source} {by}={value}"),
            _ => source.to_owned(),
        }
    }

    fn note(&mut self, process: Node, found: Found<'_>, start: Option<Moment>) {
        let node = found.path.iter().fold(process, |node, part| self.tree.child(node, part));
        match found.what {
            attributes::What::Nothing => {}
            attributes::What::Value(value) => {
                let column = self.tree.column(node);
                self.replaced += self.epoch.point(node, column, start, value.clone());
            }
            attributes::What::Block(block) => {
                let columns = block.series.iter().map(|(name, values)| {
                    let node = self.tree.child(node, name);
                    (self.tree.column(node), values.to_vec())
                });
                let columns = columns.collect();
                self.replaced += self.epoch.block(node, block.times, columns);
            }
        }
    }
}

#[cfg(test)]
mod tests;
