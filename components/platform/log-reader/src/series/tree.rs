//! What was found, topic by process by attribute: [`Tree`].

use std::collections::HashMap;

/// A place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Node(usize);

impl Node {
    /// Above the topics.
    pub(crate) const ROOT: Self = Self(0);
}

/// A column of the time series, counted in the order of first appearance.
pub(crate) type Column = usize;

/// Names below names, in the order of first appearance. A place may be a column and have places below it.
#[derive(Debug)]
pub(crate) struct Tree {
    places: Vec<Place>,
    columns: Vec<Node>,
    known: HashMap<(Node, String), Node>,
}

#[derive(Debug, Default)]
struct Place {
    name: String,
    above: Option<Node>,
    below: Vec<Node>,
    column: Option<Column>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { places: vec![Place::default()], columns: Vec::new(), known: HashMap::new() }
    }
}

impl Tree {
    /// The place of that name below another, made if it is not there.
    pub(crate) fn child(&mut self, above: Node, name: &str) -> Node {
        let key = (above, name.to_owned());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let node = Node(self.places.len());
        self.places.push(Place { name: name.to_owned(), above: Some(above), ..Place::default() });
        self.places[above.0].below.push(node);
        self.known.insert(key, node);
        node
    }

    /// The column of a place, made if there is none.
    pub(crate) fn column(&mut self, node: Node) -> Column {
        let next = self.columns.len();
        let column = *self.places[node.0].column.get_or_insert(next);
        if column == next {
            self.columns.push(node);
        }
        column
    }

    /// How many columns there are.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The columns in the order in which a table shows them, the places below a place together, with their names:
    /// `topic:process.attribute`.
    pub(crate) fn header(&self) -> Vec<(Column, String)> {
        let mut header = Vec::with_capacity(self.columns.len());
        self.list(Node::ROOT, &mut header);
        header
    }

    fn list(&self, node: Node, header: &mut Vec<(Column, String)>) {
        if let Some(column) = self.places[node.0].column {
            header.push((column, self.title(node)));
        }
        for below in &self.places[node.0].below {
            self.list(*below, header);
        }
    }

    fn title(&self, node: Node) -> String {
        let mut names = Vec::new();
        let mut at = node;
        while let Some(above) = self.places[at.0].above {
            names.push(self.places[at.0].name.as_str());
            at = above;
        }
        names.reverse();
        match names.as_slice() {
            [topic, rest @ ..] => format!("{topic}:{}", rest.join(".")),
            [] => String::new(),
        }
    }

    /// The places below one, by their names.
    pub(crate) fn sorted(&self, node: Node) -> Vec<(&str, Node)> {
        let mut below: Vec<(&str, Node)> =
            self.places[node.0].below.iter().map(|node| (self.places[node.0].name.as_str(), *node)).collect();
        below.sort_unstable_by_key(|(name, _)| *name);
        below
    }

    /// The name of a place.
    pub(crate) fn name(&self, node: Node) -> &str {
        &self.places[node.0].name
    }

    /// The column of a place, if it is one.
    pub(crate) fn column_of(&self, node: Node) -> Option<Column> {
        self.places[node.0].column
    }
}
