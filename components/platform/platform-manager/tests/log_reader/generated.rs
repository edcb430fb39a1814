//! Random runs of the ordinary kind, out of a seed.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// A run as it was published: topics and bodies in their order.
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) messages: Vec<(String, String)>,
    pub(crate) epochs: i64,
}

struct Making {
    random: Rng,
    id: String,
    ms: u32,
    counts: Map<String, Value>,
    messages: Vec<(String, String)>,
}

/// Epochs of 15 minutes with loads, a storage, a component that sends time series blocks and one of an unknown type.
pub(crate) fn run(seed: u64) -> Run {
    let mut random = Rng::with_seed(seed);
    let id = format!("2024-03-{:02}T08:{:02}:00.000Z", random.u8(1..29), random.u8(0..60));
    let epochs = random.i64(3..9);
    let mut making = Making { random, id: id.clone(), ms: 0, counts: Map::new(), messages: Vec::new() };
    let named = json!({"SimulationState": "running", "Name": "Tal \u{e4} \u{1f50b}", "Description": "say \"hi\"\n\ttwice"});
    making.say("SimState", "SimState", "manager", None, named.clone());
    for name in ["load_1", "load_2", "battery", "dummy", "weather"] {
        making.say("Status.Ready", "Status", name, Some(0), json!({"Value": "ready"}));
    }
    for epoch in 1..=epochs {
        making.epoch(epoch);
    }
    let mut stopped = named;
    stopped["SimulationState"] = "stopped".into();
    making.say("SimState", "SimState", "manager", None, stopped);
    Run { id, messages: making.messages, epochs }
}

impl Making {
    fn epoch(&mut self, epoch: i64) {
        let time = |quarter: i64| {
            format!("2023-02-{:02}T{:02}:{:02}:00.000Z", 1 + quarter / 96, quarter / 4 % 24, quarter % 4 * 15)
        };
        let (start, end) = (time(epoch + 90), time(epoch + 91));
        self.say("Epoch", "Epoch", "manager", Some(epoch), json!({"StartTime": start, "EndTime": end}));
        for load in ["load_1", "load_2"] {
            let mut fields = json!({
                "CustomerId": format!("c-{}", self.random.u8(..)),
                "RealPower": {"Value": self.number(), "UnitOfMeasure": "kW"},
                "ReactivePower": {"Value": self.number(), "UnitOfMeasure": "kV.A{r}"},
            });
            if self.random.u8(..) < 60 {
                fields["Node"] = self.random.u8(1..4).into();
            }
            if self.random.u8(..) < 60 {
                fields["Warnings"] = json!(["warning.input-range", "warning.other.ü"]);
            }
            self.say(&format!("ResourceState.Load.{load}"), "ResourceState", load, Some(epoch), fields);
        }
        // It misses epochs, so that its columns have holes.
        if self.random.bool() {
            let power = json!({"Value": self.number(), "UnitOfMeasure": "kW"});
            let charge = json!({"Value": f64::from(self.random.u8(0..100)), "UnitOfMeasure": "%"});
            let fields = json!({"CustomerId": "c;\"7\"", "RealPower": power, "ReactivePower": {"Value": 0.0, "UnitOfMeasure": "kV.A{r}"}, "StateOfCharge": charge});
            self.say("ResourceState.Storage.battery", "ResourceState", "battery", Some(epoch), fields);
        }
        let whole = self.random.i32(..);
        let values = [(); 6].map(|()| self.number());
        let (half, third) = (start.replace(":00.000Z", ":30.000Z"), start.replace(":00.000Z", ":20.500Z"));
        let current = json!({"TimeIndex": [start, half], "Series": {
            "L2": {"UnitOfMeasure": "A", "Values": [values[0], values[1]]},
            "L1": {"UnitOfMeasure": "A", "Values": [values[2], values[3]]},
        }});
        let voltage = json!({"TimeIndex": [third, half], "Series": {"L1": {"UnitOfMeasure": "V", "Values": [values[4], values[5]]}}});
        self.say(
            "Result",
            "Result",
            "dummy",
            Some(epoch),
            json!({"DummyValue": whole, "Current": current, "Voltage": voltage}),
        );
        let fields = json!({
            "Cloudy": self.random.bool(), "Sky": "hell;blau \"ä\"", "Deep": {"er": {"Irradiance": self.number()}},
            "List": [1, 2.5, "x"], "Huge": 1e22 * f64::from(self.random.u8(1..9)), "Tiny": 1e-9, "Nothing": null,
        });
        self.say("Weather.Now", "WeatherState", "weather", Some(epoch), fields);
        for name in ["load_1", "load_2", "battery", "dummy", "weather"] {
            self.say("Status.Ready", "Status", name, Some(epoch), json!({"Value": "ready"}));
        }
    }

    /// Of many magnitudes, whole ones too.
    fn number(&mut self) -> f64 {
        let value = f64::from(self.random.i32(-1_000_000..1_000_000));
        match self.random.u8(0..6) {
            0 => value,
            1 => value / 1e9,
            2 => value * 1e12,
            3 => -0.0,
            _ => value / 1024.0 * self.random.f64(),
        }
    }

    fn say(&mut self, topic: &str, kind: &str, source: &str, epoch: Option<i64>, fields: Value) {
        // Some messages are made in the same millisecond.
        self.ms = (self.ms + self.random.u32(0..900)).min(59_999);
        let count = self.counts.get(source).and_then(Value::as_u64).unwrap_or(0) + 1;
        self.counts.insert(source.into(), count.into());
        let mut message = json!({
            "Type": kind, "SimulationId": self.id,
            "Timestamp": format!("{}:{:02}.{:03}Z", &self.id[..16], self.ms / 1000 % 60, self.ms % 1000),
            "SourceProcessId": source, "MessageId": format!("{source}-{count}"),
        });
        if let Some(epoch) = epoch {
            message["EpochNumber"] = epoch.into();
            message["TriggeringMessageIds"] = json!(["manager-1"]);
        }
        for (name, value) in fields.as_object().into_iter().flatten() {
            message[name] = value.clone();
        }
        self.messages.push((topic.to_owned(), message.to_string()));
    }
}

/// Requests about a run, of every kind, some of them wrong.
pub(crate) fn requests(run: &Run, seed: u64) -> Vec<String> {
    let mut random = Rng::with_seed(seed);
    let base = format!("/simulations/{}", run.id);
    let mut requests =
        vec![base.clone(), format!("{base}/messages"), "/simulations/2001-01-01T00:00:00.000Z".into()];
    let attributes = [
        "RealPower",
        "RealPower,ReactivePower",
        "StateOfCharge,RealPower",
        "Current",
        "Current.L1",
        "Voltage,Current.L2",
        "DummyValue,Cloudy,Sky",
        "Deep.er.Irradiance,Huge,Tiny,Nothing",
        "List",
        "Deep",
        "CustomerId",
        "Missing",
        "Warnings,RealPower",
        "RealPower.Value",
        "Node",
    ];
    for attrs in attributes {
        for format in ["", "&format=csv", "&format=json"] {
            // What epoch 0 has makes the Python Log Reader fail where it has values; it has none of these.
            requests.push(format!("{base}/timeseries?attrs={attrs}{format}"));
        }
    }
    for _ in 0..60 {
        let filters = filters(&mut random, run.epochs);
        requests.push(format!("{base}/messages?{filters}"));
        let attrs = attributes[random.usize(..attributes.len())];
        let format = if random.bool() { "&format=csv" } else { "" };
        requests.push(format!("{base}/timeseries?attrs={attrs}{format}&{filters}"));
    }
    requests
}

fn filters(random: &mut Rng, epochs: i64) -> String {
    let mut filters = Vec::new();
    let number = random.i64(-1..epochs + 2);
    match random.u8(0..8) {
        0 => filters.push(format!("epoch={number}")),
        1 => filters.push(format!("startEpoch={number}")),
        2 => filters.push(format!("endEpoch={number}")),
        3 => filters.push(format!("startEpoch={number}&endEpoch={}", number + random.i64(0..3))),
        4 => filters.push(format!("fromSimDate=2023-02-01T23:{:02}:00Z", random.u8(0..60))),
        5 => filters.push(format!(
            "fromSimDate=2023-02-01T22:50:00.000Z&toSimDate=2023-02-02T00:{:02}:00%2B00:00",
            random.u8(0..60) / 15 * 15
        )),
        6 => filters.push(
            ["epoch=x", "epoch=1&endEpoch=2", "unknown=1", "fromSimDate=soon"][random.usize(..4)].into(),
        ),
        _ => {}
    }
    match random.u8(0..6) {
        0 => filters.push("process=load_1".into()),
        1 => filters.push("process=battery,dummy&process=nobody".into()),
        2 => filters.push("process=load_2,weather".into()),
        _ => {}
    }
    match random.u8(0..8) {
        0 => filters.push("topic=%23".into()),
        1 => filters.push("topic=ResourceState.%23".into()),
        2 => filters.push("topic=ResourceState.*.battery".into()),
        3 => filters.push("topic=*".into()),
        4 => filters.push("topic=Status.*".into()),
        5 => filters.push("topic=Epoch".into()),
        _ => {}
    }
    if random.u8(0..4) == 0 {
        filters.push(["onlyWarnings=true", "onlyWarnings=false", "onlyWarnings=2"][random.usize(..3)].into());
    }
    filters.join("&")
}
