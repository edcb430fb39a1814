//! The network: its description by NIS and CIS, its state, its forecast and its judgement (wire contract 2.5).

use crate::codec::number::{AMPERE, AnyUnit, DEGREE, KV, KVA, Number, Phase, PhaseOrNeutral};
use crate::codec::series::{ArrayIn, Series};
use crate::codec::{Name, Text, list, nested, one_of};
use crate::describe::Shape;
use crate::field::{FieldError, Read, Written};
use crate::json::Object;
use crate::record::{Members, Record, optional, record, required, same_length, words};
use crate::{Quantity, TimeSeries};

/// Per-unit data of branches.
const PER_UNIT: ArrayIn = ArrayIn("{pu}");

record! {
    /// `Init.NIS.NetworkBusInfo`: the buses of the network. Parallel arrays; sent in epoch 1.
    pub struct NetworkBusInfo checked by one_root {
        /// Base of the per-unit voltage of each bus.
        bus_voltage_base_kv: Vec<f64> = required("BusVoltageBase", ArrayIn("kV")),
        /// Name of each bus.
        bus_name: Vec<String> = required("BusName", list(Text)),
        /// Kind of each bus; exactly one is the root.
        bus_type: Vec<BusType> = required("BusType", list(one_of::<BusType>())),
    }
}

words! {
    /// Kinds of bus.
    pub enum BusType {
        /// `root`: where the network is fed.
        Root = "root",
        /// `dummy`: nobody is connected.
        Dummy = "dummy",
        /// `usage-point`: customers are connected.
        UsagePoint = "usage-point",
    }
}

fn one_root(info: &NetworkBusInfo) -> Written {
    same_length(&[
        ("BusName", info.bus_name.len()),
        ("BusType", info.bus_type.len()),
        ("BusVoltageBase", info.bus_voltage_base_kv.len()),
    ])?;
    match info.bus_type.iter().filter(|kind| **kind == BusType::Root).count() {
        1 => Ok(()),
        roots => Err(FieldError::of("exactly one `root`", roots.to_string()).inside("BusType")),
    }
}

record! {
    /// `Init.NIS.NetworkComponentInfo`: the branches of the network. Parallel arrays; sent in epoch 1.
    pub struct NetworkComponentInfo checked by branches_are_complete {
        /// Series resistance of each branch.
        resistance_pu: Vec<f64> = required("Resistance", PER_UNIT),
        /// Series reactance of each branch.
        reactance_pu: Vec<f64> = required("Reactance", PER_UNIT),
        /// Shunt admittance of each branch.
        shunt_admittance_pu: Vec<f64> = required("ShuntAdmittance", PER_UNIT),
        /// Shunt conductance of each branch.
        shunt_conductance_pu: Vec<f64> = required("ShuntConductance", PER_UNIT),
        /// Rated current of each branch.
        rated_current_pu: Vec<f64> = required("RatedCurrent", PER_UNIT),
        /// The bus where each branch begins.
        sending_end_bus: Vec<String> = required("SendingEndBus", list(Text)),
        /// The bus where each branch ends.
        receiving_end_bus: Vec<String> = required("ReceivingEndBus", list(Text)),
        /// Name of each branch.
        device_id: Vec<String> = required("DeviceId", list(Text)),
        /// Base of the per-unit values.
        power_base_kva: f64 = required("PowerBase", KVA),
    }
}

fn branches_are_complete(info: &NetworkComponentInfo) -> Written {
    same_length(&[
        ("DeviceId", info.device_id.len()),
        ("SendingEndBus", info.sending_end_bus.len()),
        ("ReceivingEndBus", info.receiving_end_bus.len()),
        ("Resistance", info.resistance_pu.len()),
        ("Reactance", info.reactance_pu.len()),
        ("ShuntAdmittance", info.shunt_admittance_pu.len()),
        ("ShuntConductance", info.shunt_conductance_pu.len()),
        ("RatedCurrent", info.rated_current_pu.len()),
    ])
}

record! {
    /// `Init.CIS.CustomerInfo`: which resource belongs to whom and is connected where. Parallel arrays; sent in epoch 1.
    #[derive(Eq)]
    pub struct CustomerInfo checked by customers_are_complete before sending somebody_is_there {
        /// Name of each resource.
        resource_id: Vec<String> = required("ResourceId", list(Name)),
        /// The customer of each resource.
        customer_id: Vec<String> = required("CustomerId", list(Name)),
        /// The bus of each resource; empty: outside the network.
        bus_name: Vec<String> = required("BusName", list(Text)),
    }
}

fn customers_are_complete(info: &CustomerInfo) -> Written {
    same_length(&[
        ("ResourceId", info.resource_id.len()),
        ("CustomerId", info.customer_id.len()),
        ("BusName", info.bus_name.len()),
    ])
}

/// Of the two classes that SimCES has for this type, one refuses empty arrays.
fn somebody_is_there(info: &CustomerInfo) -> Written {
    if info.customer_id.is_empty() {
        return Err(FieldError::of("at least one customer", "an empty array").inside("CustomerId"));
    }
    Ok(())
}

/// State of the network in one place: two messages of one type, told apart by their fields.
#[derive(Debug, Clone, PartialEq)]
pub enum NetworkState {
    /// At a bus.
    Voltage(BusVoltage),
    /// In a branch.
    Current(BranchCurrent),
}

impl Record for NetworkState {
    fn read(object: &Object<'_>) -> Read<Self> {
        match (object.get("Magnitude"), object.get("MagnitudeSendingEnd")) {
            (Some(_), _) => BusVoltage::read(object).map(Self::Voltage),
            (None, Some(_)) => BranchCurrent::read(object).map(Self::Current),
            (None, None) => {
                let expected = "Magnitude (of a voltage) or MagnitudeSendingEnd (of a current)";
                Err(FieldError::of(expected, "neither").inside("Magnitude"))
            }
        }
    }

    fn write(&self, members: &mut Members<'_>) -> Written {
        match self {
            Self::Voltage(voltage) => voltage.write(members),
            Self::Current(current) => current.write(members),
        }
    }

    fn shapes() -> Vec<Shape> {
        let named = |name| move |shape| Shape { name: Some(name), ..shape };
        let voltage = BusVoltage::shapes().into_iter().map(named("voltage"));
        voltage.chain(BranchCurrent::shapes().into_iter().map(named("current"))).collect()
    }
}

/// A conductor of a bus or branch: `1`, `2`, `3` or `neutral` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Conductor {
    /// `1`
    Phase1,
    /// `2`
    Phase2,
    /// `3`
    Phase3,
    /// `neutral`
    Neutral,
}

record! {
    /// Voltage at a bus.
    pub struct BusVoltage {
        /// Amount.
        magnitude_kv: f64 = required("Magnitude", KV),
        /// Angle.
        angle_deg: f64 = required("Angle", DEGREE),
        /// The bus.
        bus: String = required("Bus", Text),
        /// The conductor.
        node: Conductor = required("Node", PhaseOrNeutral),
    }
}

record! {
    /// Current in a branch, positive into the branch.
    pub struct BranchCurrent {
        /// Amount at the sending end.
        magnitude_sending_end_a: f64 = required("MagnitudeSendingEnd", AMPERE),
        /// Amount at the receiving end.
        magnitude_receiving_end_a: f64 = required("MagnitudeReceivingEnd", AMPERE),
        /// Angle at the sending end.
        angle_sending_end_deg: f64 = required("AngleSendingEnd", DEGREE),
        /// Angle at the receiving end.
        angle_receiving_end_deg: f64 = required("AngleReceivingEnd", DEGREE),
        /// The branch.
        device_id: String = required("DeviceId", Text),
        /// The conductor.
        phase: Conductor = required("Phase", PhaseOrNeutral),
    }
}

record! {
    /// `NetworkState.Loss`: what a branch loses. SimCES names no units; gridloop sends kW and kV.A{r} and takes any.
    pub struct NetworkLoss {
        /// Real power lost in the shunt.
        real_power_shunt: Quantity = required("RealPowerShunt", AnyUnit),
        /// Real power lost in series.
        real_power_series: Quantity = required("RealPowerSeries", AnyUnit),
        /// Reactive power of the shunt.
        reactive_power_shunt: Option<Quantity> = optional("ReactivePowerShunt", AnyUnit),
        /// Reactive power in series.
        reactive_power_series: Option<Quantity> = optional("ReactivePowerSeries", AnyUnit),
        /// The branch.
        device_id: String = required("DeviceId", Text),
    }
}

/// Series of a voltage forecast.
const VOLTAGE: &[(&str, &str)] = &[("Magnitude", "kV"), ("Angle", "deg")];
/// Series of a current forecast.
const CURRENT: &[(&str, &str)] = &[
    ("MagnitudeSendingEnd", "A"),
    ("MagnitudeReceivingEnd", "A"),
    ("AngleSendingEnd", "deg"),
    ("AngleReceivingEnd", "deg"),
];

record! {
    /// `NetworkForecastState.Voltage`: what the voltage at a bus will probably be.
    pub struct VoltageForecast {
        /// The series `Magnitude` in kV and `Angle` in deg at least.
        forecast: TimeSeries = required("Forecast", Series::with(VOLTAGE)),
        /// The bus.
        bus: String = required("Bus", Text),
        /// The conductor.
        node: Conductor = required("Node", PhaseOrNeutral),
    }
}

record! {
    /// `NetworkForecastState.Current`: what the current in a branch will probably be.
    pub struct CurrentForecast {
        /// The series `MagnitudeSendingEnd` and `MagnitudeReceivingEnd` in A, `AngleSendingEnd` and `AngleReceivingEnd`
        /// in deg at least. The platform's NSP labels deg what is radians.
        forecast: TimeSeries = required("Forecast", Series::with(CURRENT)),
        /// The branch.
        device_id: String = required("DeviceId", Text),
        /// The conductor.
        phase: Conductor = required("Phase", PhaseOrNeutral),
    }
}

words! {
    /// How near a limit a value is.
    pub enum LimitStatus {
        /// `acceptable`
        Acceptable = "acceptable",
        /// `close-to-limits`
        CloseToLimits = "close-to-limits",
        /// `unacceptable`
        Unacceptable = "unacceptable",
    }
}

record! {
    /// `DMSNetworkStatus.Voltage`: judgement of the voltages.
    pub struct DmsVoltage {
        /// One for each bus and phase that is judged.
        voltage_status: Vec<VoltageStatus> = required("VoltageStatus", list(nested::<VoltageStatus>())),
    }
}

record! {
    /// Judgement of one voltage.
    pub struct VoltageStatus {
        /// The bus.
        bus_name: String = required("BusName", Text),
        /// Phase 1, 2 or 3.
        node: u8 = required("Node", Phase),
        /// How near the limits it is.
        status: LimitStatus = required("Status", one_of::<LimitStatus>()),
        /// How far beyond the limit, positive above and negative below; 0 unless unacceptable.
        violation: f64 = required("Violation", Number),
    }
}

record! {
    /// `DMSNetworkStatus.Current`: judgement of the currents.
    pub struct DmsCurrent {
        /// One for each branch and phase that is judged.
        current_status: Vec<CurrentStatus> = required("CurrentStatus", list(nested::<CurrentStatus>())),
    }
}

record! {
    /// Judgement of one current.
    pub struct CurrentStatus {
        /// The branch.
        device_id: String = required("DeviceId", Text),
        /// Phase 1, 2 or 3.
        phase: u8 = required("Phase", Phase),
        /// How near the limit it is at the sending end.
        status_sending_end: LimitStatus = required("StatusSendingEnd", one_of::<LimitStatus>()),
        /// How near the limit it is at the receiving end.
        status_receiving_end: LimitStatus = required("StatusReceivingEnd", one_of::<LimitStatus>()),
        /// Overload at the sending end; 0 unless unacceptable.
        violation_sending_end: f64 = required("ViolationSendingEnd", Number),
        /// Overload at the receiving end; 0 unless unacceptable.
        violation_receiving_end: f64 = required("ViolationReceivingEnd", Number),
    }
}
