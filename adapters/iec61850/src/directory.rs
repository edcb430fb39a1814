//! What a server has, by name: [`Directory`], made of what browsing gave.

use crate::data::{Fc, Variable};
use std::collections::{BTreeMap, BTreeSet};

/// The variables of a server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    /// By domain, the items such as `MMXU1$MX$TotW`.
    domains: BTreeMap<String, BTreeSet<String>>,
}

impl Directory {
    /// From what browsing gave.
    pub(crate) fn new(browsed: Vec<(String, Vec<String>)>) -> Self {
        Self {
            domains: browsed
                .into_iter()
                .map(|(domain, items)| (domain, items.into_iter().collect()))
                .collect(),
        }
    }

    /// The logical devices, as MMS domains.
    pub(crate) fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.keys().map(String::as_str)
    }

    /// The one domain of this name, or the one whose name ends so: the IED's own name may be left out.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub(crate) fn domain(&self, name: &str) -> Result<&str, String> {
        if let Some((domain, _)) = self.domains.get_key_value(name) {
            return Ok(domain);
        }
        let fitting: Vec<&str> = self.domains().filter(|domain| domain.ends_with(name)).collect();
        let all = || self.domains().collect::<Vec<_>>().join(", ");
        match fitting[..] {
            [only] => Ok(only),
            [] => Err(format!("the server has no logical device `{name}`; it has {}", all())),
            _ => Err(format!("`{name}` may be any of the logical devices {}", fitting.join(", "))),
        }
    }

    /// The logical nodes of a domain, in the order of names.
    pub(crate) fn nodes(&self, domain: &str) -> Vec<&str> {
        let items = self.domains.get(domain).into_iter().flatten();
        let nodes: BTreeSet<&str> =
            items.map(|item| item.split_once('$').map_or(item.as_str(), |(node, _)| node)).collect();
        nodes.into_iter().collect()
    }

    /// Whether the server has this variable.
    pub(crate) fn has(&self, variable: &Variable) -> bool {
        self.domains.get(&variable.domain).is_some_and(|items| items.contains(&variable.item()))
    }

    /// The data objects of a node under a functional constraint.
    pub(crate) fn objects(&self, domain: &str, node: &str, fc: Fc) -> Vec<&str> {
        let before = format!("{node}${}$", fc.letters());
        let items = self.domains.get(domain).into_iter().flatten();
        items.filter_map(|item| item.strip_prefix(&before)).filter(|rest| !rest.contains('$')).collect()
    }
}

/// The class of a logical node, such as `MMXU` of `Meter1MMXU2`.
pub(crate) fn class(node: &str) -> Option<&str> {
    let stem = node.trim_end_matches(|c: char| c.is_ascii_digit());
    let class = stem.get(stem.len().checked_sub(4)?..)?;
    class.chars().all(|c| c.is_ascii_uppercase()).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        let items = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Directory::new(vec![
            ("IED1INV".into(), items(&["MMXU1", "MMXU1$MX", "MMXU1$MX$TotW", "MMXU1$MX$TotW$mag"])),
            ("IED1AUX".into(), items(&["LLN0"])),
        ])
    }

    #[test]
    fn a_logical_device_is_found_with_and_without_the_name_of_its_ied() {
        let directory = directory();
        assert_eq!(directory.domain("INV"), Ok("IED1INV"));
        assert_eq!(directory.domain("IED1AUX"), Ok("IED1AUX"));
        assert!(directory.domain("PV").unwrap_err().contains("IED1AUX, IED1INV"));
        assert!(directory.domain("").unwrap_err().contains("may be any"));
    }

    #[test]
    fn nodes_and_objects_are_told_apart() {
        let directory = directory();
        assert_eq!(directory.nodes("IED1INV"), ["MMXU1"]);
        assert_eq!(directory.objects("IED1INV", "MMXU1", Fc::Mx), ["TotW"]);
        let variable = Variable::from_item("IED1INV", "MMXU1$MX$TotW").unwrap();
        assert!(directory.has(&variable) && !directory.has(&variable.under(Fc::St)));
    }

    #[test]
    fn the_class_of_a_node_is_in_its_name() {
        assert_eq!(class("MMXU1"), Some("MMXU"));
        assert_eq!(class("Meter1MMXU22"), Some("MMXU"));
        assert_eq!(class("LLN0"), None, "LLN0 is named as a whole");
        assert_eq!((class(""), class("X1")), (None, None));
    }
}
