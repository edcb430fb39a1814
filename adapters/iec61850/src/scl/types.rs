//! The types of a description: [`Templates`] by their names.

use super::{NAMESPACE, children};
use roxmltree::Node;
use std::collections::{BTreeMap, BTreeSet};

/// How deep objects are inside each other at most.
const DEEPEST: usize = 8;
/// How many parts of types are looked at for one object at most.
const MOST_VISITS: u32 = 100_000;
/// How many names one object makes at most.
const MOST_ITEMS: usize = 4096;

/// The types, by their identifiers.
pub(super) struct Templates<'a, 'input> {
    nodes: BTreeMap<&'a str, Node<'a, 'input>>,
    objects: BTreeMap<&'a str, Node<'a, 'input>>,
}

impl<'a, 'input> Templates<'a, 'input> {
    pub(super) fn new(root: Node<'a, 'input>) -> Self {
        let mut templates = Self { nodes: BTreeMap::new(), objects: BTreeMap::new() };
        let all = root.children().filter(|node| node.has_tag_name((NAMESPACE, "DataTypeTemplates")));
        for kind in all.flat_map(|part| part.children()) {
            let Some(id) = kind.attribute("id") else { continue };
            if kind.has_tag_name((NAMESPACE, "LNodeType")) {
                templates.nodes.insert(id, kind);
            } else if kind.has_tag_name((NAMESPACE, "DOType")) {
                templates.objects.insert(id, kind);
            }
        }
        templates
    }

    /// The data objects of a type of logical node, with their types.
    pub(super) fn objects(&self, node_type: &str) -> Option<Vec<(&'a str, &'a str)>> {
        let kind = *self.nodes.get(node_type)?;
        let objects = kind.children().filter(|child| child.has_tag_name((NAMESPACE, "DO")));
        Some(
            objects
                .filter_map(|object| Some((object.attribute("name")?, object.attribute("type")?)))
                .collect(),
        )
    }

    /// The common data class of a type of object.
    pub(super) fn cdc(&self, object_type: &str) -> Option<&'a str> {
        self.objects.get(object_type)?.attribute("cdc")
    }

    /// The value that the type gives an attribute.
    pub(super) fn value(&self, object_type: &str, attribute: &str) -> Option<String> {
        let kind = *self.objects.get(object_type)?;
        let found = children(kind, "DA").find(|part| part.attribute("name") == Some(attribute))?;
        children(found, "Val").next()?.text().map(|text| text.trim().to_owned())
    }

    /// The names of the MMS variables of an object and of its attributes, by functional constraint.
    pub(super) fn items(&self, node: &str, object: &str, object_type: &str, items: &mut Vec<String>) {
        let mut found = BTreeSet::new();
        self.collect(object, object_type, &mut { MOST_VISITS }, 0, &mut found);
        let fcs: BTreeSet<String> = found.iter().map(|(fc, _)| fc.clone()).collect();
        items.extend(fcs.iter().map(|fc| format!("{node}${fc}${object}")));
        items.extend(found.iter().map(|(fc, path)| format!("{node}${fc}${path}")));
    }

    /// `visits` is how many more parts may be looked at.
    fn collect(
        &self,
        path: &str,
        object_type: &str,
        visits: &mut u32,
        depth: usize,
        found: &mut BTreeSet<(String, String)>,
    ) {
        let Some(kind) = self.objects.get(object_type).filter(|_| depth < DEEPEST) else { return };
        for part in kind.children().filter(roxmltree::Node::is_element) {
            if *visits == 0 || found.len() >= MOST_ITEMS {
                return;
            }
            *visits -= 1;
            let Some(name) = part.attribute("name") else { continue };
            let inner = format!("{path}${name}");
            if part.has_tag_name((NAMESPACE, "SDO")) {
                self.collect(&inner, part.attribute("type").unwrap_or_default(), visits, depth + 1, found);
                let inside = format!("{inner}$");
                let own: BTreeSet<String> = found
                    .iter()
                    .filter(|(_, path)| path.starts_with(&inside))
                    .map(|(fc, _)| fc.clone())
                    .collect();
                found.extend(own.into_iter().map(|fc| (fc, inner.clone())));
            } else if let Some(fc) = part.attribute("fc") {
                found.insert((fc.to_owned(), inner));
            }
        }
    }
}
