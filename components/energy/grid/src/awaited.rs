//! Whose states a component waits for in an epoch: [`Awaited`], where that is not simply everybody in the network.

use crate::connection::Connections;
use crate::settings::is_topic_word;
use gridloop_component::Fault;
use gridloop_service::Section;
use std::collections::BTreeSet;

/// The most resources that a component can be told to wait for.
pub const RESOURCES_MAX: u32 = 100_000;

/// Whose states are waited for. By default those of all resources of the network, and of nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Awaited {
    /// So many of the resources of the network, whichever they are; `None`: all of them. Storages do not count.
    pub count: Option<usize>,
    /// The categories that are listened to, second words of the topics of ResourceState; empty: all.
    pub categories: BTreeSet<String>,
    /// Storages that are waited for besides. One that the network does not know is where its customer is.
    pub storages: BTreeSet<String>,
}

impl Awaited {
    /// Reads the keys that say how many resources of which categories there are.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let about = "So many of the resources of the network tell their state. Default: all of them. Storages do not count.";
        let count =
            section.integer("resource_count", about).within(0..=i64::from(RESOURCES_MAX)).fits().optional();
        let about = "Listens to these categories only, the second words of the topics of ResourceState.";
        let categories = names(section, "categories", about);
        Self { count, categories, storages: BTreeSet::new() }
    }

    /// As [`Awaited::read`], for whom storages matter.
    pub(crate) fn read_with_storages(section: &Section<'_>) -> Self {
        let about = "Storages that are waited for besides. One that the network does not know is where its customer is.";
        Self { storages: names(section, "storages", about), ..Self::read(section) }
    }

    /// The topics of those who are waited for; `first` is the first word of them.
    pub(crate) fn topics(&self, first: &str) -> Vec<String> {
        if self.categories.is_empty() {
            return vec![format!("{first}.#")];
        }
        let categories = self.categories.iter().map(|category| format!("{first}.{category}.#"));
        categories.chain(self.storages.iter().map(|storage| format!("{first}.*.{storage}"))).collect()
    }

    /// The resources of the network that are counted.
    fn counted<'a>(&'a self, connections: &'a Connections) -> impl Iterator<Item = &'a String> {
        connections.names().filter(|name| !self.storages.contains(*name))
    }

    /// Whether so many resources can be there at all.
    ///
    /// # Errors
    /// When the network has fewer than are waited for.
    pub(crate) fn check(&self, connections: &Connections) -> Result<(), Fault> {
        let (Some(count), known) = (self.count, self.counted(connections).count()) else { return Ok(()) };
        if known < count {
            return Err(Fault::new(format!(
                "{count} resources are to be waited for, and the network has {known} besides the storages: {}",
                some_of(self.counted(connections))
            )));
        }
        Ok(())
    }

    /// What is still to be told by those for whom `has_told` does not hold; `what` says what that is.
    ///
    /// # Errors
    /// When more resources of the network tell something than are waited for: which of them count would depend on who
    /// is faster.
    pub(crate) fn missing(
        &self,
        connections: &Connections,
        what: impl Fn(&str) -> &'static str,
        has_told: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, Fault> {
        let (told, silent): (Vec<_>, Vec<_>) = self.counted(connections).partition(|name| has_told(name));
        let mut missing: Vec<String> = match self.count {
            None => silent.iter().map(|name| format!("{} of {name}", what(name))).collect(),
            Some(count) if told.len() > count => return Err(too_many(count, &told)),
            Some(count) if told.len() < count => {
                let what = silent.first().map_or_else(String::new, |name| what(name).to_owned());
                let (more, silent) = (count - told.len(), some_of(silent));
                vec![format!("{what} of {more} more of {count} resources (silent: {silent})")]
            }
            Some(_) => Vec::new(),
        };
        let storages = self.storages.iter().filter(|name| !has_told(name));
        missing.extend(storages.map(|name| format!("{} of {name}", what(name))));
        Ok(missing)
    }

    /// Whether not more resources have ever been heard than are waited for; `heard` are all of the run.
    ///
    /// # Errors
    /// When there are more.
    pub(crate) fn check_heard(
        &self,
        connections: &Connections,
        heard: &BTreeSet<String>,
    ) -> Result<(), Fault> {
        let Some(count) = self.count else { return Ok(()) };
        let told: Vec<&String> = self.counted(connections).filter(|name| heard.contains(*name)).collect();
        if told.len() > count { Err(too_many(count, &told)) } else { Ok(()) }
    }
}

fn too_many(count: usize, told: &[&String]) -> Fault {
    Fault::new(format!(
        "{count} resources are to be waited for, but {} tell their states: {}",
        told.len(),
        some_of(told.iter().copied())
    ))
}

/// Names that an error tells.
const NAMES_TOLD: usize = 20;

fn some_of<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let mut names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    let rest = names.len().saturating_sub(NAMES_TOLD);
    names.truncate(NAMES_TOLD);
    let told = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    if rest == 0 { told } else { format!("{told} and {rest} more") }
}

fn names(section: &Section<'_>, key: &str, about: &str) -> BTreeSet<String> {
    let texts = section.texts(key, about);
    let words = texts.matching(|names| names.iter().try_for_each(|name| is_topic_word(name)));
    words.or(Vec::new()).into_iter().collect()
}
