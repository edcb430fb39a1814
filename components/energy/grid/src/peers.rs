//! What the components of a configuration need of each other: [`Peers`] are all there are, and [`Kind::check_among`] finds
//! whom a component would wait for in vain.

use crate::connection::ABOUT_RESOURCES;
use crate::kind::Kind;
use crate::source::NetworkSource;
use crate::taps::{ABOUT_TAPS, TapChanger};
use crate::{Awaited, Connected};
use gridloop_service::{Section, nearest};
use std::collections::{BTreeMap, BTreeSet};

/// Who takes part in a run, if nobody does whom the configuration does not have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peers {
    /// Components and devices: each tells the state of the resource of its name, if any.
    pub names: BTreeSet<String>,
    /// The GridIds under which states of networks are told.
    pub grids: BTreeSet<String>,
    /// Branches whose taps a network moves itself, and tells as a device would.
    pub commanded_taps: BTreeSet<String>,
}

impl Kind {
    /// The GridId under which it tells the state of a network.
    #[must_use]
    pub fn grid_id(&self) -> Option<&str> {
        let Self::Grid(settings) = self else { return None };
        Some(&settings.grid_id)
    }

    /// Notes in its table what it waits for and nobody tells.
    pub fn check_among(&self, section: &Section<'_>, peers: &Peers) {
        match self {
            Self::Grid(settings) => {
                check_resources(section, &settings.source, &settings.resources, &settings.awaited, peers);
                check_devices(section, &settings.taps, peers);
            }
            Self::NetworkStatePredictor(settings) => {
                check_resources(section, &settings.source, &settings.resources, &settings.awaited, peers);
                check_devices(section, &settings.taps, peers);
            }
            Self::StateMonitoring(settings) if !peers.grids.contains(&settings.grid_id) => {
                let there = told(peers.grids.iter());
                section.error(
                    Some("grid"),
                    format!("a network that is here: {there}"),
                    like(&settings.grid_id, &peers.grids),
                );
            }
            Self::StateMonitoring(_) | Self::Information(_) | Self::SimcesInformation(_) => {}
        }
    }
}

fn check_resources(
    section: &Section<'_>,
    source: &NetworkSource,
    own: &BTreeMap<String, Connected>,
    awaited: &Awaited,
    peers: &Peers,
) {
    let silent = |name: &String| !peers.names.contains(name);
    let expected =
        |name: &str| format!("components or devices that tell the states of its resources: nobody is {name}");
    if let Some(name) = awaited.storages.iter().find(|name| silent(name)) {
        section.error(Some("storages"), expected(name), like(name, &peers.names));
    }
    // Of a count anybody may be the one who is silent.
    if awaited.count.is_some() {
        return;
    }
    for table in section.named_sections("resources", ABOUT_RESOURCES) {
        let name = table.name().to_owned();
        if silent(&name) {
            table.error(
                None,
                format!("a component or device {name} that tells its state"),
                like(&name, &peers.names),
            );
        }
    }
    let NetworkSource::File(description) = source else { return };
    let of_file = description.resources.keys().filter(|name| silent(name) && !own.contains_key(*name));
    let silent: Vec<&String> = of_file.collect();
    if let Some(first) = silent.first() {
        let expected = format!(
            "components or devices that tell the states of all resources in it: nobody is {}",
            told(silent.iter().copied())
        );
        section.error(Some("network"), expected, like(first, &peers.names));
    }
}

fn check_devices(section: &Section<'_>, taps: &BTreeMap<String, TapChanger>, peers: &Peers) {
    for table in section.named_sections("taps", ABOUT_TAPS) {
        if let Some(TapChanger::Device(device)) = taps.get(table.name())
            && !peers.names.contains(device)
            && !peers.commanded_taps.contains(device)
        {
            table.error(Some("device"), "a device that is here", like(device, &peers.names));
        }
    }
}

/// Names that an error tells.
const NAMES_TOLD: usize = 10;

fn told<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let rest = names.len().saturating_sub(NAMES_TOLD);
    let told = names.take(NAMES_TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    match (told.is_empty(), rest) {
        (true, _) => "there is none".to_owned(),
        (false, 0) => told,
        (false, rest) => format!("{told} and {rest} more"),
    }
}

fn like(name: &str, names: &BTreeSet<String>) -> Option<String> {
    let nearest = nearest(name, names.iter().map(String::as_str))?;
    Some(format!("did you mean `{nearest}`?"))
}
