//! The objects of a simulated IED and the plants they show: [`Live`], which keeps them abreast of each other.

use super::{ICD, IED_NAME, Plants, inverter, tap_changer};
use crate::data::Bits;
use crate::port::ControlModel;
use gridloop_clock::SharedClock;
use iec61850_mms::DataAccessError;
use iec61850_model::tree::{DataAttribute, IedModel};
use iec61850_model::{MmsValue, NodeRef, ObjectRef};
use iec61850_server::IedServer;
use iec61850_server::control::handler::{CheckHandler, ControlHandler, OperateFuture};
use iec61850_server::control::{ControlAction, ControlAddCause};
use iec61850_server::handler::{AttributeAccessHandler, WriteContext, WriteOutcome};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The logical device of each plant.
const INVERTER: &str = "INV";
const TAP_CHANGER: &str = "OLTC";

/// Objects that take commands: logical device, node, object.
const CONTROLS: [(&str, &str, &str); 3] =
    [(INVERTER, "ZINV1", "OutWSet"), (INVERTER, "ZINV1", "OutVarSet"), (TAP_CHANGER, "YLTC1", "TapChg")];

/// Where the values of one plant go, by attribute.
pub(super) type Values = Vec<(&'static str, MmsValue)>;

/// The model of the description, with the logical devices that have a plant.
pub(super) fn model(plants: &Plants, control_model: ControlModel) -> Result<IedModel, String> {
    let described = description(plants)?;
    let raw = iec61850_scl::parse_scl(&described).map_err(|error| error.to_string())?;
    let resolved = iec61850_scl::ResolvedScl::from_raw(raw).map_err(|error| error.to_string())?;
    let model = resolved.build_model(IED_NAME).map_err(|error| error.to_string())?;
    for (device, node, object) in CONTROLS {
        if let Some(attribute) = attribute(&model, &format!("{IED_NAME}{device}/{node}.{object}.ctlModel")) {
            attribute.store(MmsValue::Integer(control_model.number()));
        }
    }
    if let Some(plant) = &plants.tap_changer {
        let (lowest, highest) = plant.with(|taps| (taps.settings().lowest, taps.settings().highest));
        if lowest < -64 || highest > 63 {
            return Err(format!("positions {lowest} to {highest} do not fit into -64 to 63"));
        }
    }
    Ok(model)
}

/// The description without the logical devices that have no plant.
fn description(plants: &Plants) -> Result<String, String> {
    let document = roxmltree::Document::parse(ICD).map_err(|error| error.to_string())?;
    let devices = document.descendants().filter(|node| node.has_tag_name((crate::scl::NAMESPACE, "LDevice")));
    let unused = devices.filter(|device| match device.attribute("inst") {
        Some(INVERTER) => plants.inverter.is_none(),
        Some(TAP_CHANGER) => plants.tap_changer.is_none(),
        _ => true,
    });
    let mut text = ICD.to_owned();
    let mut ranges: Vec<_> = unused.map(|device| device.range()).collect();
    ranges.sort_by_key(|range| range.start);
    for range in ranges.into_iter().rev() {
        text.replace_range(range, "");
    }
    Ok(text)
}

/// A handle to an attribute of a model.
fn attribute(model: &IedModel, path: &str) -> Option<DataAttribute> {
    let reference = ObjectRef::parse_iec(path).ok()?;
    match model.node_by_object_ref(&reference)? {
        NodeRef::Da(found) => {
            let (name, value) = (found.name.clone(), found.value.clone());
            Some(DataAttribute::with_shared_value(name, found.fc, found.ty, found.trg_ops, value))
        }
        _ => None,
    }
}

/// One value that is kept up to date, with its quality and its time where it has them.
struct Slot {
    object: String,
    value: DataAttribute,
    quality: Option<DataAttribute>,
    time: Option<DataAttribute>,
}

/// A server and its plants.
pub(super) struct Live {
    server: IedServer,
    plants: Plants,
    clock: SharedClock,
    slots: BTreeMap<&'static str, Slot>,
    /// Bits of quality attributes that somebody has set. Held while the objects are brought up to date.
    doubts: Mutex<BTreeMap<String, Vec<usize>>>,
}

impl Live {
    pub(super) fn new(server: IedServer, plants: Plants, clock: SharedClock) -> Result<Arc<Self>, String> {
        let model = server.model();
        let mut slots = BTreeMap::new();
        for (device, values) in values(&plants) {
            for (path, _) in values {
                let slot = slot(&model, device, path);
                slots.insert(path, slot.ok_or_else(|| format!("{device}/{path} is not in the model"))?);
            }
        }
        let live = Arc::new(Self { server, plants, clock, slots, doubts: Mutex::default() });
        let controls = live.server.control_objects();
        for (device, node, object) in CONTROLS {
            if let Some(entry) = controls.lookup(&format!("{IED_NAME}{device}"), node, object) {
                let acting = Arc::new(Acting { live: Arc::downgrade(&live), object });
                controls.register(entry.with_check(acting.clone()).with_operate(acting));
            }
        }
        if live.plants.tap_changer.is_some() {
            let writing = Arc::new(Writing(Arc::downgrade(&live)));
            let installed = live.server.install_write_access_handler("ATCC1$SP$BndCtr$setMag$f", writing);
            installed.map_err(|error| error.to_string())?;
        }
        Ok(live)
    }

    pub(super) fn set_quality(&self, object: &str, bits: &[usize]) {
        let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        doubts.insert(object.to_owned(), bits.to_vec());
    }

    /// Shows what the plants are at.
    pub(super) fn refresh(&self) {
        let doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        let now = utc_time(&self.clock);
        let batch = self.server.lock_data_model();
        for (path, value) in values(&self.plants).into_iter().flat_map(|(_, values)| values) {
            let Some(slot) = self.slots.get(path) else { continue };
            let mut bits = [false; 13];
            let doubted = doubts.get(&slot.object).map_or(&[][..], Vec::as_slice);
            for bit in doubted.iter().filter(|bit| **bit < 13) {
                bits[*bit] = true;
            }
            let quality = Bits::new(&bits);
            let doubtful = slot.quality.as_ref().is_some_and(|held| {
                held.snapshot() != MmsValue::BitString { padding: 3, data: quality.bytes.clone() }
            });
            let changed = slot.value.snapshot() != value;
            let unset = |time: &DataAttribute| time.snapshot() == MmsValue::UtcTime([0; 8]);
            if let Some(time) = slot.time.as_ref().filter(|time| changed || doubtful || unset(time)) {
                time.store(MmsValue::UtcTime(now));
            }
            if let Some(held) = slot.quality.as_ref().filter(|_| doubtful) {
                let _ = self.server.update_bit_string(held, &quality.bytes, 3);
            }
            if changed {
                update(&self.server, &slot.value, value);
            }
        }
        drop(batch);
    }

    fn command(&self, object: &str, value: Option<&MmsValue>, act: bool) -> Result<(), ControlAddCause> {
        match (object, &self.plants) {
            ("TapChg", Plants { tap_changer: Some(plant), .. }) => tap_changer::command(plant, value, act),
            (_, Plants { inverter: Some(plant), .. }) => inverter::command(plant, object, value, act),
            _ => Err(ControlAddCause::NotSupported),
        }
    }
}

/// The values of every plant, by logical device.
fn values(plants: &Plants) -> Vec<(&'static str, Values)> {
    let inverter = plants.inverter.as_ref().map(|plant| (INVERTER, inverter::values(plant)));
    let tap_changer = plants.tap_changer.as_ref().map(|plant| (TAP_CHANGER, tap_changer::values(plant)));
    inverter.into_iter().chain(tap_changer).collect()
}

fn slot(model: &IedModel, device: &str, path: &str) -> Option<Slot> {
    let value = attribute(model, &format!("{IED_NAME}{device}/{path}"))?;
    let mut above = path;
    while let Some((shorter, _)) = above.rsplit_once('.') {
        above = shorter;
        let beside = |name: &str| {
            attribute(model, &format!("{IED_NAME}{device}/{above}.{name}"))
                .filter(|found| found.fc == value.fc)
        };
        if let Some(quality) = beside("q") {
            let time = beside("t");
            return Some(Slot { object: above.to_owned(), value, quality: Some(quality), time });
        }
    }
    Some(Slot { object: path.to_owned(), value, quality: None, time: None })
}

/// A value that does not fit its attribute would be a fault of the description, which a test would show.
fn update(server: &IedServer, attribute: &DataAttribute, value: MmsValue) {
    let updated = match value {
        MmsValue::Boolean(value) => server.update_boolean(attribute, value),
        MmsValue::Integer(value) => server.update_int64(attribute, value),
        MmsValue::Float32(value) => server.update_float32(attribute, value),
        _ => Ok(()),
    };
    debug_assert!(updated.is_ok(), "{}: {updated:?}", attribute.name);
}

/// The present as a time stamp of IEC 61850-8-1, without a statement about the clock's accuracy.
fn utc_time(clock: &SharedClock) -> [u8; 8] {
    let utc = clock.utc();
    let seconds = u32::try_from(utc.timestamp()).unwrap_or(0);
    let fraction = u64::from(utc.timestamp_subsec_nanos()) * (1 << 24) / 1_000_000_000;
    let [_, _, _, _, _, high, middle, low] = fraction.to_be_bytes();
    let [a, b, c, d] = seconds.to_be_bytes();
    [a, b, c, d, high, middle, low, 0x1F]
}

/// A 32-bit float for the wire.
pub(super) fn float(value: f64) -> MmsValue {
    #[expect(clippy::cast_possible_truncation, reason = "the resolution of FLOAT32 is what the model offers")]
    let single = value as f32;
    MmsValue::Float32(single)
}

/// Acts on a plant for one controllable object.
struct Acting {
    live: Weak<Live>,
    object: &'static str,
}

impl Acting {
    fn command(&self, value: Option<&MmsValue>, test: bool, act: bool) -> Result<(), ControlAddCause> {
        if test {
            // The IED is in operation: a test would have an effect.
            return Err(ControlAddCause::BlockedByMode);
        }
        let live = self.live.upgrade().ok_or(ControlAddCause::BlockedByHealth)?;
        live.command(self.object, value, act)?;
        if act {
            live.refresh();
        }
        Ok(())
    }
}

impl CheckHandler for Acting {
    fn check(
        &self,
        _action: &ControlAction,
        value: Option<&MmsValue>,
        test: bool,
        _interlock_check: bool,
    ) -> Result<(), ControlAddCause> {
        self.command(value, test, false)
    }
}

impl ControlHandler for Acting {
    fn operate<'a>(
        &'a self,
        _action: &'a ControlAction,
        value: &'a MmsValue,
        test: bool,
    ) -> OperateFuture<'a> {
        Box::pin(std::future::ready(self.command(Some(value), test, true)))
    }
}

/// Takes the voltage that a tap changer is to regulate to.
struct Writing(Weak<Live>);

impl std::fmt::Debug for Writing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writing")
    }
}

impl AttributeAccessHandler for Writing {
    fn on_write(&self, _context: &WriteContext<'_>, value: &MmsValue) -> WriteOutcome {
        let live = self.0.upgrade();
        let plant = live.as_ref().and_then(|live| live.plants.tap_changer.as_ref());
        match (plant, value) {
            (Some(plant), MmsValue::Float32(voltage_v)) => {
                match plant.with(|taps| taps.set_voltage_setpoint_v(f64::from(*voltage_v))) {
                    Ok(()) => WriteOutcome::Accept,
                    Err(_) => WriteOutcome::Reject(DataAccessError::ObjectValueInvalid),
                }
            }
            _ => WriteOutcome::Reject(DataAccessError::TypeInconsistent),
        }
    }
}
