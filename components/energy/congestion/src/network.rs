//! How a controller learns its network: a [`NetworkInbox`] knows what a file says, or collects what NIS and CIS say in
//! epoch 1 (wire contract 2.5 and 6.7), and makes a [`Feeder`] of it.

use crate::feeder::{Feeder, Site};
use gridloop_component::Fault;
use gridloop_grid::{Known, NetworkSource};
use gridloop_messages::Body;
use gridloop_power_flow::TapRange;
use gridloop_service::Section;
use std::collections::BTreeMap;

/// Reads where the taps of a branch can stand from a tap changer's table; `None` if the table leaves that to the
/// network.
pub(crate) fn read_taps(section: &Section<'_>) -> Option<TapRange> {
    let range = section.section("range", "Where its taps can stand, for a network that does not tell it.");
    if !range.is_present() {
        return None;
    }
    let section = &range;
    let position = |key, about| section.integer(key, about).within(-1_000..=1_000).fits::<i32>().required();
    let lowest = position("lowest", "Lower end stop.");
    let highest = position("highest", "Upper end stop.");
    let neutral = position("neutral", "Position of nominal ratio.");
    let percent = section
        .number(
            "step_percent",
            "By how much one position up raises the voltage of the bus where it ends, in %.",
        )
        .within(0.001..=20.0)
        .required();
    if lowest > highest || !(lowest..=highest).contains(&neutral) {
        section.error(Some("neutral"), "a position between the end stops", None);
    }
    Some(TapRange { lowest, highest, neutral, step: percent / 100.0 })
}

/// Gives branches the taps that tap changers' tables say they have. What has no such branch is told of.
pub(crate) fn add_taps<'a>(
    section: &Section<'_>,
    source: &mut NetworkSource,
    taps: impl Iterator<Item = (&'a str, Option<TapRange>)>,
) {
    let taps = taps.filter_map(|(branch, range)| Some((branch.to_owned(), (range?, range?.neutral))));
    for branch in source.add_taps(taps.collect()) {
        section.error(Some("tap_changer"), format!("a branch of the network; it has no {branch}"), None);
    }
}

/// Reads at which bus a resource is from its table; `None` if the table leaves that to the network.
pub(crate) fn read_bus(section: &Section<'_>, source: &NetworkSource) -> Option<String> {
    let about = "Bus that it is connected to, for a network that does not tell it, or tells it otherwise.";
    let bus = section.text("bus", about).optional()?;
    if let NetworkSource::File(description) = source
        && !description.network.buses.iter().any(|it| it.name == bus)
    {
        section.error(Some("bus"), "a bus of the network", None);
    }
    Some(bus)
}

/// What is known of the network so far.
#[derive(Default)]
pub(crate) struct NetworkInbox {
    known: Option<Known>,
    /// The buses of resources, by name, whatever the network says of them.
    placed: BTreeMap<String, String>,
}

impl NetworkInbox {
    /// What the source says at once, and at which bus resources are that tables tell of.
    ///
    /// # Errors
    /// When the network cannot be had.
    pub(crate) fn begin<'a>(
        &mut self,
        source: &NetworkSource,
        resources: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<(), Fault> {
        self.known = Some(Known::begin(source)?);
        let placed = resources.filter_map(|(name, bus)| Some((name.to_owned(), bus?.to_owned())));
        self.placed = placed.collect();
        Ok(())
    }

    /// Takes what belongs here; nothing once the feeder was made.
    ///
    /// # Errors
    /// When messages contradict each other, or make no network.
    pub(crate) fn take(&mut self, body: &Body) -> Result<(), Fault> {
        self.known.as_mut().map_or(Ok(()), |known| known.take(body))
    }

    /// Which messages are missing.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        self.known.as_ref().map(Known::missing).unwrap_or_default()
    }

    /// The feeder, once, when all is there.
    ///
    /// # Errors
    /// When resources are at buses that the network lacks.
    pub(crate) fn feeder(&mut self) -> Result<Option<Feeder>, Fault> {
        if self.known.as_ref().and_then(Known::get).is_none() {
            return Ok(None);
        }
        let Some(network) = self.known.take().and_then(Known::into_network) else { return Ok(None) };
        let sites = network.resources.into_iter().map(|(name, place)| {
            (name, Site { bus: place.bus, connection: place.connection, dependence: place.dependence })
        });
        let mut sites: BTreeMap<String, Site> = sites.collect();
        for (name, bus) in &self.placed {
            sites.entry(name.clone()).or_insert_with(|| Site::at("")).bus.clone_from(bus);
        }
        Feeder::new(network.engine, &sites).map(Some).map_err(|unknown| {
            let list = unknown.iter().take(5).map(|(resource, bus)| format!("{resource} at {bus:?}"));
            let list = list.collect::<Vec<_>>().join(", ");
            Fault::new(format!("resources are at buses that the network lacks: {list}"))
        })
    }
}

impl std::fmt::Debug for NetworkInbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkInbox").field("missing", &self.missing()).finish_non_exhaustive()
    }
}
