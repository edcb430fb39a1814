//! A made-up feeder of houses, PV, a battery and a tap changer: its messages in the stored form of a log.

use gridloop_messages::Timestamp;
use gridloop_plot::Recording;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How the feeder is, and for how long.
pub(crate) struct Feeder {
    pub(crate) epochs: u64,
    pub(crate) epoch_s: u64,
    pub(crate) buses: usize,
    pub(crate) resources: usize,
    /// At most 10.
    pub(crate) branches: u8,
    /// Whether there are messages of NIS.
    pub(crate) nis: bool,
    /// Whether some values come with warnings, and a position of bad quality.
    pub(crate) doubt: bool,
    /// Whether there are messages of a state monitoring.
    pub(crate) judged: bool,
    /// What all powers are, instead of a day.
    pub(crate) flat: Option<f64>,
    /// The battery's.
    pub(crate) name: &'static str,
}

impl Default for Feeder {
    fn default() -> Self {
        let (epochs, epoch_s, buses, resources) = (24, 3600, 12, 3);
        Self {
            epochs,
            epoch_s,
            buses,
            resources,
            branches: 10,
            nis: true,
            doubt: false,
            judged: false,
            flat: None,
            name: "battery",
        }
    }
}

impl Feeder {
    /// Everything that the feeder said.
    pub(crate) fn recording(&self) -> Recording {
        let mut recording = Recording::default();
        let first = Timestamp::parse("2026-06-21T00:00:00Z").unwrap();
        for epoch in 1..=self.epochs {
            let start = first.plus(Duration::from_secs((epoch - 1) * self.epoch_s));
            recording.epoch(epoch, start, start.plus(Duration::from_secs(self.epoch_s)));
            if epoch == 1 && self.nis {
                self.network().into_iter().for_each(|it| recording.take(it));
            }
            self.epoch(epoch, start).into_iter().for_each(|it| recording.take(it));
        }
        assert_eq!(recording.unreadable(), 0, "the made-up messages are valid");
        recording
    }

    fn bus(&self, index: usize) -> String {
        if index == 9 { "house 10".into() } else { format!("bus {}", index + 1) }
    }

    fn network(&self) -> Vec<Map<String, Value>> {
        let names: Vec<String> = (0..self.buses).map(|index| self.bus(index)).collect();
        let kinds: Vec<&str> =
            (0..self.buses).map(|index| if index == 0 { "root" } else { "dummy" }).collect();
        let buses = json!({"BusVoltageBase": {"UnitOfMeasure": "kV", "Values": vec![0.4; self.buses]},
            "BusName": names, "BusType": kinds});
        let pu = |value: f64| json!({"UnitOfMeasure": "{pu}", "Values": vec![value; 10]});
        let ends = |shift: usize| {
            (0..10).map(|index| self.bus((index + shift).min(self.buses - 1))).collect::<Vec<_>>()
        };
        let lines: Vec<String> = (1..=10).map(|index| format!("L{index}")).collect();
        let components = json!({"PowerBase": {"Value": 50.0, "UnitOfMeasure": "kV.A"}, "Resistance": pu(0.05),
            "Reactance": pu(0.01), "ShuntAdmittance": pu(0.0), "ShuntConductance": pu(0.0), "RatedCurrent": pu(1.0),
            "SendingEndBus": ends(0), "ReceivingEndBus": ends(1), "DeviceId": lines});
        vec![
            message("Init.NIS.NetworkBusInfo", "Init.NIS.NetworkBusInfo", 1, false, buses),
            message("Init.NIS.NetworkComponentInfo", "Init.NIS.NetworkComponentInfo", 1, false, components),
        ]
    }

    fn epoch(&self, epoch: u64, start: Timestamp) -> Vec<Map<String, Value>> {
        // A day of 24 epochs, or the same again and again.
        let hour = ((epoch - 1) * self.epoch_s / 3600 + u64::from(self.epoch_s < 3600) * (epoch / 60)) % 24;
        let hour = u32::try_from(hour).unwrap();
        let sun = (f64::from(hour) - 12.0).abs();
        let sun = if sun < 7.0 { 1.0 - (sun / 7.0).powi(2) } else { 0.0 };
        let evening = if (18..22).contains(&hour) { 1.0 } else { 0.35 };
        let peak = if hour == 19 { 1.0 } else { evening * 0.8 };
        let unsure = self.doubt && (9..13).contains(&hour);
        let mut messages = Vec::new();
        for bus in 0..self.buses {
            let far = (bus % 12) as f64 / 12.0;
            for phase in 1..=3_u8 {
                let drop = if bus == 9 && phase == 2 { 0.119 * peak } else { 0.06 * far * evening };
                let pu = 1.0 + 0.05 * far * sun + 0.003 * f64::from(phase - 1) * far
                    - drop
                    - if bus == 9 && phase == 2 { 0.05 * far * sun + 0.003 * far } else { 0.0 };
                let content = json!({"Magnitude": {"Value": pu * 0.4, "UnitOfMeasure": "kV"},
                    "Angle": {"Value": 0.0, "UnitOfMeasure": "deg"}, "Bus": self.bus(bus), "Node": phase});
                messages.push(message(
                    "NetworkState",
                    "NetworkState.grid.Voltage.x",
                    epoch,
                    unsure && bus == 3,
                    content,
                ));
            }
        }
        for line in 1..=self.branches {
            let load = if line == 9 { 1.04 * peak } else { 0.08 * f64::from(line) * evening };
            let amperes = json!({"Value": load * 50.0 / (3.0_f64.sqrt() * 0.4), "UnitOfMeasure": "A"});
            let angle = json!({"Value": 0.0, "UnitOfMeasure": "deg"});
            let content = json!({"MagnitudeSendingEnd": amperes, "MagnitudeReceivingEnd": amperes,
                "AngleSendingEnd": angle, "AngleReceivingEnd": angle, "DeviceId": format!("L{line}"), "Phase": 2});
            messages.push(message("NetworkState", "NetworkState.grid.Current.x", epoch, false, content));
        }
        let worst = 1.0 - 0.119 * peak;
        if self.judged && worst < 0.9 && self.buses > 9 {
            let content = json!({"VoltageStatus": [{"BusName": self.bus(9), "Node": 2, "Status": "unacceptable",
                "Violation": worst - 0.9}, {"BusName": self.bus(0), "Node": 1, "Status": "acceptable", "Violation": 0.0}]});
            messages.push(message(
                "DMSNetworkStatus.Voltage",
                "DMSNetworkStatus.Voltage",
                epoch,
                false,
                content,
            ));
        }
        self.resources(epoch, sun, evening, unsure, &mut messages);
        self.plans(epoch, start, evening, &mut messages);
        messages
    }

    fn resources(
        &self,
        epoch: u64,
        sun: f64,
        evening: f64,
        unsure: bool,
        messages: &mut Vec<Map<String, Value>>,
    ) {
        let hour = u32::try_from((epoch - 1) % 24).unwrap();
        for index in 0..self.resources {
            let (category, kind) = if index % 3 == 0 { ("Generator", "pv") } else { ("Load", "load") };
            let size = 1.0 + 0.3 * index as f64;
            let usual = if kind == "pv" { 6.0 * sun } else { -4.0 * evening * size };
            let real = self.flat.unwrap_or(usual);
            let reactive = self.flat.unwrap_or(if kind == "pv" { -1.2 * sun } else { -0.5 });
            let topic = format!("ResourceState.{category}.{kind}{index}");
            let content = json!({"CustomerId": "c", "RealPower": kw(real), "ReactivePower": kvar(reactive)});
            messages.push(message("ResourceState", &topic, epoch, unsure && index == 0, content));
        }
        let power = self.flat.unwrap_or(if evening > 0.5 { 4.0 } else { -3.0 * sun });
        let charge = 50.0 + 30.0 * (f64::from(hour) / 24.0 * std::f64::consts::TAU).sin();
        let content = json!({"CustomerId": "c", "RealPower": kw(power), "ReactivePower": kvar(0.0),
            "StateOfCharge": {"Value": charge, "UnitOfMeasure": "%"}});
        messages.push(message(
            "ResourceState",
            &format!("ResourceState.Storage.{}", self.name),
            epoch,
            false,
            content,
        ));
        let asked = json!({"RealPower": kw(power * 1.1), "ReactivePower": kvar(0.0)});
        let topic = format!("ControlState.PowerSetpoint.{}", self.name);
        messages.push(message("ControlState.PowerSetpoint", &topic, epoch, false, asked));
        let tap = 5 - i32::from(sun > 0.5) * 2 + i32::from(evening > 0.5);
        let quality = if unsure { "CommLost" } else { "Good" };
        let content = json!({"DeviceId": "oltc1", "Points": {"tap_position":
            {"Value": tap, "UnitOfMeasure": "1", "Quality": quality, "Source": "Field", "Age": {"Value": 0.1, "UnitOfMeasure": "s"}}}});
        messages.push(message("DeviceState", "DeviceState.oltc1", epoch, false, content));
        if hour % 6 == 0 {
            let content = json!({"TapPosition": tap});
            messages.push(message(
                "ControlState.TapPosition",
                "ControlState.TapPosition.oltc1",
                epoch,
                false,
                content,
            ));
        }
    }

    fn plans(&self, epoch: u64, start: Timestamp, evening: f64, messages: &mut Vec<Map<String, Value>>) {
        let times: Vec<String> =
            (0..3).map(|n| start.plus(Duration::from_secs(n * self.epoch_s)).to_string()).collect();
        let prices = json!({"MarketId": "spot", "Prices": {"TimeIndex": times, "Series": {"Price":
            {"UnitOfMeasure": "{EUR}/(MW.h)", "Values": [format!("{}", 60.0 + 90.0 * evening), "70", "80"]}}}});
        messages.push(message("PriceForecastState", "PriceForecastState.spot.x", epoch, false, prices));
        let plan = json!({"Dispatch": {"spot": {"TimeIndex": times, "Series": {"RealPower":
            {"UnitOfMeasure": "kW", "Values": [4.0 * evening, 0.0, 0.0]}}}}});
        let topic = "ResourceForecastState.Dispatch";
        messages.push(message(topic, topic, epoch, false, plan));
    }
}

/// The states of another network in one epoch, with buses and branches of the same names.
pub(crate) fn of_another_network(epoch: u64) -> Vec<Map<String, Value>> {
    let feeder = Feeder { buses: 1, branches: 1, ..Feeder::default() };
    let start = Timestamp::parse("2026-06-21T00:00:00Z").unwrap();
    let states = feeder.epoch(epoch, start).into_iter().filter_map(|mut message| {
        let topic = message["Topic"].as_str()?.strip_prefix("NetworkState.grid.")?;
        let topic = format!("NetworkState.other.{topic}");
        message.insert("Topic".into(), topic.into());
        Some(message)
    });
    states.collect()
}

fn kw(value: f64) -> Value {
    json!({"Value": value, "UnitOfMeasure": "kW"})
}

fn kvar(value: f64) -> Value {
    json!({"Value": value, "UnitOfMeasure": "kV.A{r}"})
}

fn message(type_name: &str, topic: &str, epoch: u64, doubtful: bool, content: Value) -> Map<String, Value> {
    let mut message = json!({"Type": type_name, "Topic": topic, "SimulationId": "2026-11-22T15:19:25.203Z",
        "Timestamp": "2026-11-22T15:20:00.000Z", "SourceProcessId": "feeder", "MessageId": "feeder-1",
        "EpochNumber": epoch, "TriggeringMessageIds": ["x"]});
    let message = message.as_object_mut().unwrap();
    if doubtful {
        message.insert("Warnings".into(), json!(["warning.input-unreliable"]));
    }
    message.extend(content.as_object().unwrap().clone());
    message.clone()
}
