//! How a controller learns its network: a [`NetworkInbox`] knows what a file says, or collects what NIS and CIS say in
//! epoch 1 (wire contract 2.5 and 6.7), and makes a [`Feeder`] of it.

use crate::feeder::{Feeder, Site};
use gridloop_component::Fault;
use gridloop_grid::{Known, NetworkSource};
use gridloop_messages::Body;
use gridloop_power_flow::{Engine, Operation, Solution, SolveError, TapRange, Topology};
use gridloop_service::Section;
use std::collections::BTreeMap;

/// Reads where the taps of a branch can stand from a tap changer's table; `None` if the table leaves that to the
/// network.
pub(crate) fn read_taps(section: &Section<'_>) -> Option<TapRange> {
    let position = |key, about| section.integer(key, about).within(-1_000..=1_000).fits::<i32>().optional();
    let lowest = position("lowest_position", "Lower end stop, where the network does not say it.");
    let highest = position("highest_position", "Upper end stop, where the network does not say it.");
    let neutral =
        position("neutral_position", "Position of nominal ratio, where the network does not say it.");
    let percent = section
        .number(
            "step_percent",
            "By how much a position up raises the voltage, in %, where the network does not say it.",
        )
        .within(-20.0..=20.0)
        .optional();
    let (lowest, highest, neutral, percent) = match (lowest, highest, neutral, percent) {
        (None, None, None, None) => return None,
        (Some(lowest), Some(highest), Some(neutral), Some(percent)) => (lowest, highest, neutral, percent),
        _ => {
            let all =
                "`lowest_position`, `highest_position`, `neutral_position` and `step_percent`, all or none";
            section.error(None, all, None);
            return None;
        }
    };
    if lowest > highest || !(lowest..=highest).contains(&neutral) {
        section.error(Some("neutral_position"), "a position between the end stops", None);
    }
    if percent.abs() < 1e-3 {
        section.error(Some("step_percent"), "a step that is not 0", None);
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

/// What is known of the network so far.
#[derive(Default)]
pub(crate) struct NetworkInbox {
    known: Option<Known>,
}

impl NetworkInbox {
    /// What the source says at once.
    ///
    /// # Errors
    /// When the network cannot be had.
    pub(crate) fn begin(&mut self, source: &NetworkSource) -> Result<(), Fault> {
        self.known = Some(Known::begin(source)?);
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
        let Some(network) = self.known.as_ref().and_then(Known::get) else { return Ok(None) };
        let topology = network.engine.topology().clone();
        let sites = network.resources.iter().map(|(name, place)| {
            let site =
                Site { bus: place.bus.clone(), connection: place.connection, dependence: place.dependence };
            (name.clone(), site)
        });
        let sites: BTreeMap<String, Site> = sites.collect();
        let Some(known) = self.known.take() else { return Ok(None) };
        Feeder::new(Box::new(KnownEngine { known, topology }), &sites).map(Some).map_err(|unknown| {
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

/// The engine of a network that is known.
struct KnownEngine {
    known: Known,
    topology: Topology,
}

impl Engine for KnownEngine {
    fn topology(&self) -> &Topology {
        &self.topology
    }

    fn solve(&mut self, operation: &Operation) -> Result<Solution, SolveError> {
        match self.known.network() {
            Some(network) => network.engine.solve(operation),
            None => Err(SolveError::Engine("the network is not known".to_owned())),
        }
    }
}
