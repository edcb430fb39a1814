//! Which models a device has: the marker `SunS`, then a chain of [ID, L] up to the end model.

use super::block::Place;
use super::models::{HEADER_REGISTERS, Model, model};
use crate::link::Link;
use crate::register_map::Table;
use crate::session::LinkError;
use gridloop_device::DeviceError;

/// The addresses at which a SunSpec map may begin, in the order in which they are tried.
const BASES: [u16; 3] = [40_000, 0, 50_000];
/// `SunS` in two registers.
const MARKER: [u16; 2] = [0x5375, 0x6E53];
/// The ID of the end model.
const END: u16 = 0xFFFF;
/// More models than any device has; a chain that goes on is nonsense.
const MOST_MODELS: usize = 100;

/// The models of a device in the order of their addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    /// The address of the marker.
    pub(super) base: u16,
    /// The models.
    pub(super) places: Vec<Place>,
}

/// A model of a device and its table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Located {
    pub(super) place: Place,
    pub(super) model: &'static Model,
}

impl Chain {
    /// The first model of one of these numbers that has a table, the first number first.
    pub(super) fn located(&self, ids: &[u16]) -> Option<Located> {
        let place = *ids.iter().find_map(|id| self.places.iter().find(|place| place.id == *id))?;
        Some(Located { place, model: model(place.id)? })
    }
}

/// Finds the models of a device; `Ok(None)` when it is no SunSpec device.
pub(super) async fn discover(link: &Link) -> Result<Option<Chain>, DeviceError> {
    for base in BASES {
        match link.try_read(Table::Holding, base, 2).await {
            Ok(marker) if marker == MARKER => return follow(link, base).await.map(Some),
            Ok(_) => {}
            Err(error) if error.keeps_link() => {}
            Err(error) => return Err(error.reading("the SunSpec marker")),
        }
    }
    Ok(None)
}

async fn follow(link: &Link, base: u16) -> Result<Chain, DeviceError> {
    let mut places = Vec::new();
    let mut address = base + 2;
    loop {
        let header = match link.try_read(Table::Holding, address, HEADER_REGISTERS).await {
            Ok(header) => header,
            // Some devices have no end model: behind the last one there is nothing.
            Err(LinkError::Exception(2)) => break,
            Err(error) => return Err(error.reading(&format!("the model header at {address}"))),
        };
        let &[id, length] = header.as_slice() else { break };
        if id == END {
            break;
        }
        if places.len() == MOST_MODELS {
            return Err(endless(&format!("more than {MOST_MODELS} models")));
        }
        places.push(Place { id, address, length });
        address = address
            .checked_add(HEADER_REGISTERS)
            .and_then(|points| points.checked_add(length))
            .ok_or_else(|| endless(&format!("model {id} at {address} reaches beyond register 65535")))?;
    }
    Ok(Chain { base, places })
}

fn endless(reason: &str) -> DeviceError {
    DeviceError::Malformed { operation: "read the list of models".to_owned(), reason: reason.to_owned() }
}
