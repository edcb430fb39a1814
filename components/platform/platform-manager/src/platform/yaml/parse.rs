//! From the events of the YAML parser to a tree: [`read`].
//!
//! The parser is granit-parser, the one that serde-saphyr stands on; it gives words as written, with their quotes and
//! places, which a deserializer would have decided about already.

use super::node::{Node, Value};
use super::scalar::{Refused, resolve};
use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use gridloop_service::{Diagnostic, Diagnostics, Text};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Lists and mappings within each other, of each of the two notations.
const DEPTH_MAX: usize = 64;
/// Values in one file, everything that aliases stand for included.
const NODES_MAX: usize = 100_000;
/// Bytes of text in these values.
const BYTES_MAX: usize = 8 << 20;

/// Reads the one YAML document of a text.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(text: &Text) -> Result<Node, Diagnostics> {
    let mut options =
        granit_parser::options! { flow_nesting_limit: DEPTH_MAX, block_nesting_limit: DEPTH_MAX };
    options.set_emit_comments(false);
    let mut reader = Reader::new(text);
    for event in Parser::new_from_str_with_options(text.as_str(), options) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker().byte_offset().unwrap_or(0);
            text.diagnostic(at..at + 1, format!("this is no YAML: {}", error.info()))
        })?;
        reader.take(event, &span)?;
    }
    reader.finish()
}

/// A list or a mapping that is not yet complete.
struct Open {
    start: usize,
    anchor: usize,
    /// Items, or keys and values in turn.
    nodes: Vec<Node>,
    is_map: bool,
}

/// A value with a name, and what it costs to repeat it.
struct Anchored {
    node: Node,
    nodes: usize,
    bytes: usize,
}

struct Reader<'t> {
    text: &'t Text,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    root: Option<Node>,
    nodes: usize,
    bytes: usize,
}

impl<'t> Reader<'t> {
    fn new(text: &'t Text) -> Self {
        Self { text, open: Vec::new(), anchors: HashMap::new(), root: None, nodes: 0, bytes: 0 }
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Diagnostics> {
        let place = span.byte_range().unwrap_or(0..0);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => Err(self
                .wrong(&place, "a second document begins here")
                .helped("leave only one, without `---`")
                .into()),
            Event::Scalar(word, style, anchor, tag) => {
                let value = self.scalar(&word, style, tag.as_deref(), &place)?;
                self.put(Node { place, value }, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::SequenceStart(_, anchor, tag) => self.begin(place.start, anchor, tag, false),
            Event::MappingStart(_, anchor, tag) => self.begin(place.start, anchor, tag, true),
            Event::SequenceEnd | Event::MappingEnd => self.end(place.end),
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Node, Diagnostics> {
        self.root.ok_or_else(|| self.text.diagnostic(0..0, "there is nothing in this file".to_owned()).into())
    }

    fn wrong(&self, place: &Range<usize>, message: impl Into<String>) -> Diagnostic {
        self.text.diagnostic(place.clone(), message.into())
    }

    fn scalar(
        &self,
        word: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        place: &Range<usize>,
    ) -> Result<Value, Diagnostics> {
        let core = tag.and_then(core_tag);
        match (tag, core) {
            (None, _) if style == ScalarStyle::Plain => {}
            (Some(_), Some("int" | "float" | "bool" | "null")) => {}
            (None, _) | (Some(_), Some("str")) => return Ok(Value::Text(word.to_owned())),
            (Some(tag), _) => return Err(self.strange_tag(tag, place).into()),
        }
        let value = resolve(word).map_err(|refused| match refused {
            Refused::TooLarge => self
                .wrong(place, format!("`{}` does not fit into 64 bits", shortened(word)))
                .helped("put quotes around it if it is a name"),
            Refused::NotFinite => self
                .wrong(place, format!("`{}` is no number that a message can carry", shortened(word)))
                .expecting("a finite number"),
        })?;
        Ok(value)
    }

    fn strange_tag(&self, tag: &Tag, place: &Range<usize>) -> Diagnostic {
        self.wrong(
            place,
            format!("the tag `{}{}` is not known here", tag.original_handle(), shortened(tag.suffix())),
        )
        .helped("leave it out")
    }

    fn begin(
        &mut self,
        start: usize,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        is_map: bool,
    ) -> Result<(), Diagnostics> {
        if let Some(tag) = tag
            && core_tag(&tag) != Some(if is_map { "map" } else { "seq" })
        {
            return Err(self.strange_tag(&tag, &(start..start + 1)).into());
        }
        self.open.push(Open { start, anchor, nodes: Vec::new(), is_map });
        Ok(())
    }

    fn end(&mut self, end: usize) -> Result<(), Diagnostics> {
        // The parser ends only what it has begun.
        let Some(open) = self.open.pop() else { return Ok(()) };
        let place = open.start..end.max(open.start);
        let value = if open.is_map { Value::Map(self.entries(open.nodes)?) } else { Value::List(open.nodes) };
        self.put(Node { place, value }, open.anchor)
    }

    /// Puts a complete value where it belongs.
    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Diagnostics> {
        if anchor != 0 {
            // The copy is counted too, so that named values within named values stay bounded.
            let (nodes, bytes) = cost(&node);
            self.count(&node.place, nodes, bytes)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, bytes });
        }
        self.count(&node.place, 1, own_bytes(&node))?;
        self.place(node);
        Ok(())
    }

    fn place(&mut self, node: Node) {
        match self.open.last_mut() {
            Some(open) => open.nodes.push(node),
            None => self.root = Some(node),
        }
    }

    fn alias(&mut self, anchor: usize, place: Range<usize>) -> Result<(), Diagnostics> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(self.wrong(&place, "this alias stands for a value that it is a part of").into());
        };
        let (nodes, bytes) = (anchored.nodes, anchored.bytes);
        self.count(&place, nodes, bytes)?;
        // Counted before it is copied; the anchor is still there.
        if let Some(anchored) = self.anchors.get(&anchor) {
            let value = anchored.node.value.clone();
            self.place(Node { place, value });
        }
        Ok(())
    }

    fn count(&mut self, place: &Range<usize>, nodes: usize, bytes: usize) -> Result<(), Diagnostics> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.nodes <= NODES_MAX && self.bytes <= BYTES_MAX {
            return Ok(());
        }
        let message = format!("here the file has more than {NODES_MAX} values, or {BYTES_MAX} bytes in them");
        Err(self.wrong(place, message).helped("aliases count as often as they are used").into())
    }

    /// Keys and values in turn as entries: unique keys, merged with what `<<` names.
    fn entries(&self, nodes: Vec<Node>) -> Result<Vec<(Node, Node)>, Diagnostics> {
        let mut entries = Vec::with_capacity(nodes.len() / 2);
        let mut seen = HashSet::new();
        let mut merged = Vec::new();
        let mut nodes = nodes.into_iter();
        while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
            if key.text() == Some("<<") {
                merged.push(value);
                continue;
            }
            if matches!(key.value, Value::List(_) | Value::Map(_) | Value::Date(_)) {
                let message = format!("{} cannot be a key", key.found());
                return Err(self.wrong(&key.place, message).expecting("a name").into());
            }
            if !seen.insert(identity(&key)) {
                let message = format!("the key {} is there a second time", shortened(&key.variable()));
                return Err(self.wrong(&key.place, message).helped("leave one of the two out").into());
            }
            entries.push((key, value));
        }
        for value in merged {
            self.merge(value, &mut entries, &mut seen)?;
        }
        Ok(entries)
    }

    /// `<<: *defaults`: the entries of a mapping, or of a list of mappings, that are not there already.
    fn merge(
        &self,
        value: Node,
        entries: &mut Vec<(Node, Node)>,
        seen: &mut HashSet<String>,
    ) -> Result<(), Diagnostics> {
        let place = value.place.clone();
        let maps = match value.value {
            Value::List(items) => items.into_iter().map(|item| item.value).collect(),
            other => vec![other],
        };
        for map in maps {
            let Value::Map(more) = map else {
                return Err(self
                    .wrong(&place, "`<<` takes over the keys of a mapping")
                    .expecting("`*name` of one")
                    .into());
            };
            entries.extend(more.into_iter().filter(|(key, _)| seen.insert(identity(key))));
        }
        Ok(())
    }
}

/// Equal for keys that are the same key to Python, where 1, 1.0 and true are one.
fn identity(key: &Node) -> String {
    match &key.value {
        Value::Boolean(value) => format!("{}", i32::from(*value)),
        Value::Number(value) if value.fract() == 0.0 => format!("{value:.0}"),
        Value::Text(text) => format!("\"{text}"),
        _ => key.variable(),
    }
}

fn own_bytes(node: &Node) -> usize {
    match &node.value {
        Value::Text(text) | Value::Date(text) => text.len(),
        _ => 0,
    }
}

/// Values and bytes in a value, itself included.
fn cost(node: &Node) -> (usize, usize) {
    let add = |(nodes, bytes): (usize, usize), (more, longer): (usize, usize)| (nodes + more, bytes + longer);
    let own = (1, own_bytes(node));
    match &node.value {
        Value::List(items) => items.iter().map(cost).fold(own, add),
        Value::Map(entries) => {
            entries.iter().flat_map(|(key, value)| [cost(key), cost(value)]).fold(own, add)
        }
        _ => own,
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 40 {
        text.to_owned()
    } else {
        text.chars().take(40).collect::<String>() + "…"
    }
}

/// `str` of `!!str`.
fn core_tag(tag: &Tag) -> Option<&str> {
    (tag.handle() == "tag:yaml.org,2002:").then(|| tag.suffix())
}
