//! A whole time series in memory, to be told column by column: [`Table`].

use super::Row;
use super::tree::{Column, Node, Tree};
use crate::format::{Moment, json};
use serde_json::Value;

/// Rows taken apart into columns. A column keeps only what it has; the gaps are null.
#[derive(Debug, Default)]
pub(crate) struct Table {
    index: Vec<(i64, Option<Moment>)>,
    columns: Vec<Vec<(usize, Value)>>,
    held: usize,
}

/// How many bytes are written before they are handed on.
const CHUNK: usize = 1 << 16;

impl Table {
    /// Adds rows.
    pub(crate) fn add(&mut self, rows: Vec<Row>) {
        for row in rows {
            let at = self.index.len();
            self.index.push((row.epoch, row.time));
            self.held += 1 + row.cells.len();
            for (column, value) in row.cells {
                if self.columns.len() <= column {
                    self.columns.resize_with(column + 1, Vec::new);
                }
                self.columns[column].push((at, value));
            }
        }
    }

    /// Points in time and values held.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Writes the answer of wire contract 5.3, handing chunks to `send` as long as it says that more is wanted.
    pub(crate) fn write(&self, tree: &Tree, send: impl FnMut(Vec<u8>) -> bool) {
        let mut out = Out { buffer: Vec::with_capacity(CHUNK), send, wanted: true };
        out.buffer.push(b'{');
        let mut names: Vec<(&str, Option<Node>)> =
            tree.sorted(Node::ROOT).into_iter().map(|(name, node)| (name, Some(node))).collect();
        names.push(("TimeIndex", None));
        names.sort_by_key(|(name, _)| *name);
        for (index, (name, node)) in names.into_iter().enumerate() {
            out.name(index > 0, name, 1);
            match node {
                None => self.write_index(&mut out),
                Some(node) => self.write_node(tree, node, 1, &mut out),
            }
        }
        json::line(&mut out.buffer, 0);
        out.buffer.push(b'}');
        out.flush();
    }

    fn write_index<S: FnMut(Vec<u8>) -> bool>(&self, out: &mut Out<S>) {
        out.list(self.index.iter(), 1, |buffer, (epoch, time)| {
            buffer.push(b'{');
            json::line(buffer, 3);
            buffer.extend_from_slice(format!("\"epoch\": {epoch},").as_bytes());
            json::line(buffer, 3);
            buffer.extend_from_slice(b"\"timestamp\": ");
            match time {
                Some(time) => json::string(buffer, &time.to_string()),
                None => buffer.extend_from_slice(b"null"),
            }
            json::line(buffer, 2);
            buffer.push(b'}');
        });
    }

    fn write_node<S: FnMut(Vec<u8>) -> bool>(&self, tree: &Tree, node: Node, depth: usize, out: &mut Out<S>) {
        let (own, below) = (tree.column_of(node), tree.sorted(node));
        if let (Some(column), true) = (own, below.is_empty()) {
            return self.write_column(column, depth, out);
        }
        // A value that is single in some messages and a block in others stands beside the series of the block.
        let own = own.map(|column| (tree.name(node), None, Some(column)));
        let mut parts: Vec<_> =
            below.into_iter().map(|(name, node)| (name, Some(node), None)).chain(own).collect();
        parts.sort_by_key(|(name, ..)| *name);
        out.buffer.push(b'{');
        let empty = parts.is_empty();
        for (index, (name, node, column)) in parts.into_iter().enumerate() {
            out.name(index > 0, name, depth + 1);
            match (node, column) {
                (Some(node), _) => self.write_node(tree, node, depth + 1, out),
                (None, Some(column)) => self.write_column(column, depth + 1, out),
                (None, None) => {}
            }
        }
        if !empty {
            json::line(&mut out.buffer, depth);
        }
        out.buffer.push(b'}');
    }

    fn write_column<S: FnMut(Vec<u8>) -> bool>(&self, column: Column, depth: usize, out: &mut Out<S>) {
        let mut held = self.columns.get(column).map_or(&[][..], Vec::as_slice).iter().peekable();
        let cells =
            (0..self.index.len()).map(|row| held.next_if(|(at, _)| *at == row).map(|(_, value)| value));
        out.list(cells, depth, |buffer, cell| json::value(buffer, cell.unwrap_or(&Value::Null), depth + 1));
    }
}

/// Bytes on their way out.
struct Out<S> {
    buffer: Vec<u8>,
    send: S,
    wanted: bool,
}

impl<S: FnMut(Vec<u8>) -> bool> Out<S> {
    fn name(&mut self, behind_another: bool, name: &str, depth: usize) {
        if behind_another {
            self.buffer.push(b',');
        }
        json::line(&mut self.buffer, depth);
        json::string(&mut self.buffer, name);
        self.buffer.extend_from_slice(b": ");
    }

    fn list<T>(&mut self, items: impl Iterator<Item = T>, depth: usize, write: impl Fn(&mut Vec<u8>, T)) {
        self.buffer.push(b'[');
        let mut empty = true;
        for item in items {
            if !std::mem::take(&mut empty) {
                self.buffer.push(b',');
            }
            json::line(&mut self.buffer, depth + 1);
            write(&mut self.buffer, item);
            if self.buffer.len() >= CHUNK {
                self.flush();
            }
            if !self.wanted {
                return;
            }
        }
        if !empty {
            json::line(&mut self.buffer, depth);
        }
        self.buffer.push(b']');
    }

    fn flush(&mut self) {
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.wanted = self.wanted && (self.send)(full);
    }
}
