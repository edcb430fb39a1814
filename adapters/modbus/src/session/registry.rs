//! Which links are open in this process: [`attach`] gives the [`Bus`] of an address, the same one to all its units.
//!
//! A machine has each serial port once, and some devices have room for one connection only; so a process has one table
//! of links. What is in it is reached by the address and the clock, for a test's links are no other test's.

use super::LinkSettings;
use super::bus::Bus;
use super::error::LinkError;
use super::statistics::{LinkStatistics, Tally};
use crate::address::Address;
use gridloop_clock::SharedClock;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

static LINKS: Mutex<BTreeMap<(Place, usize), Entry>> = Mutex::new(BTreeMap::new());

/// What there is once: a serial port however it is set, or a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Port(PathBuf),
    Server(Address),
}

#[derive(Debug, Default)]
struct Entry {
    bus: Weak<Bus>,
    /// Held while the port or connection is open.
    turn: Arc<tokio::sync::Mutex<()>>,
    tally: Tally,
}

/// The link with these settings: a new one, or the one that others use already.
pub(super) fn attach(settings: &LinkSettings, clock: SharedClock) -> Result<Arc<Bus>, LinkError> {
    let mut links = links();
    let place = place(&settings.address);
    let entry = links.entry((place, Arc::as_ptr(&clock).cast::<()>().addr())).or_default();
    if settings.own_connection && !matches!(settings.address, Address::Rtu { .. }) {
        return Ok(Arc::new(Bus::start(settings.clone(), None, clock, entry.tally.clone())));
    }
    if let Some(bus) = entry.bus.upgrade().filter(|bus| bus.is_alive()) {
        if (&bus.settings.address, &bus.settings.tls) == (&settings.address, &settings.tls) {
            return Ok(bus);
        }
        return Err(LinkError::Lost(format!(
            "another device has opened {} with other settings; all units of one link need the same",
            bus.settings.address
        )));
    }
    let bus = Bus::start(settings.clone(), Some(Arc::clone(&entry.turn)), clock, entry.tally.clone());
    let bus = Arc::new(bus);
    entry.bus = Arc::downgrade(&bus);
    Ok(bus)
}

/// What was counted on the link at an address, all its units together; `None` when it was never used.
#[must_use]
pub fn link_statistics(address: &Address) -> Option<LinkStatistics> {
    let place = place(address);
    let links = links();
    let of_place =
        links.iter().filter(|((other, _), _)| *other == place).map(|(_, entry)| entry.tally.read());
    of_place.reduce(LinkStatistics::plus)
}

fn place(address: &Address) -> Place {
    match address {
        Address::Rtu { path, .. } => Place::Port(path.clone()),
        server => Place::Server(server.clone()),
    }
}

fn links() -> MutexGuard<'static, BTreeMap<(Place, usize), Entry>> {
    LINKS.lock().unwrap_or_else(PoisonError::into_inner)
}
