//! Messages to start from: a [`Sample`] is the members of an object as raw JSON, so that a test can put anything into
//! it, even what is no JSON; [`messages`] are the same messages as values.

use gridloop_messages::{
    Body, DecodeError, Decoded, DeviceState, Epoch, EpochFields, Header, Message, PointQuality, PointSource,
    PointState, PowerSetpoint, ResourceState, SimState, SimulationId, SimulationState, Status, StatusValue,
    TapPosition, Timestamp, VoltageSetpoint, decode,
};

/// An object whose values are raw text.
#[derive(Debug, Clone)]
pub(crate) struct Sample(Vec<(&'static str, String)>);

impl Sample {
    /// With this member in place of the one of the same key, or at the end.
    pub(crate) fn with(mut self, key: &'static str, raw: &str) -> Self {
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, value)) => raw.clone_into(value),
            None => self.0.push((key, raw.to_owned())),
        }
        self
    }

    pub(crate) fn without(mut self, key: &str) -> Self {
        let before = self.0.len();
        self.0.retain(|(name, _)| *name != key);
        assert!(self.0.len() < before, "the sample has no {key}");
        self
    }

    /// With this member at the end, whether or not the key is there already.
    pub(crate) fn and_again(mut self, key: &'static str, raw: &str) -> Self {
        self.0.push((key, raw.to_owned()));
        self
    }

    pub(crate) fn text(&self) -> String {
        let members: Vec<_> = self.0.iter().map(|(key, raw)| format!("\"{key}\":{raw}")).collect();
        format!("{{{}}}", members.join(","))
    }

    pub(crate) fn decode(&self) -> Result<Decoded, DecodeError> {
        decode(self.text().as_bytes(), now())
    }
}

/// When every test receives its messages.
pub(crate) fn now() -> Timestamp {
    time("2025-06-01T12:00:00.000Z")
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn members(type_name: &str, own: &[(&'static str, &str)]) -> Sample {
    let mut sample = Sample(Vec::new())
        .with("Type", &format!("\"{type_name}\""))
        .with("SimulationId", r#""2025-06-01T11:59:00.000Z""#)
        .with("Timestamp", r#""2025-06-01T11:59:30.250Z""#)
        .with("SourceProcessId", r#""sender""#)
        .with("MessageId", r#""sender-7""#);
    if type_name != "SimState" {
        sample = sample.with("EpochNumber", "3").with("TriggeringMessageIds", r#"["clock-4","other-2"]"#);
    }
    own.iter().fold(sample, |sample, (key, raw)| sample.with(key, raw))
}

pub(crate) fn sim_state() -> Sample {
    members(
        "SimState",
        &[("SimulationState", r#""running""#), ("Name", r#""hill""#), ("Description", r#""a \"test\"""#)],
    )
}

pub(crate) fn epoch() -> Sample {
    members(
        "Epoch",
        &[("StartTime", r#""2024-02-29T23:45:00.000Z""#), ("EndTime", r#""2024-03-01T00:00:00.000Z""#)],
    )
}

pub(crate) fn status() -> Sample {
    members("Status", &[("Value", r#""error""#), ("Description", r#""no answer from pv1""#)])
}

pub(crate) fn resource_state() -> Sample {
    members(
        "ResourceState",
        &[
            ("CustomerId", r#""house 4""#),
            ("RealPower", r#"{"Value":-3.25,"UnitOfMeasure":"kW"}"#),
            ("ReactivePower", r#"{"Value":0.5,"UnitOfMeasure":"kV.A{r}"}"#),
            ("Node", "2"),
            ("StateOfCharge", r#"{"Value":80.0,"UnitOfMeasure":"%"}"#),
        ],
    )
}

pub(crate) fn power_setpoint() -> Sample {
    members(
        "ControlState.PowerSetpoint",
        &[
            ("RealPower", r#"{"Value":4.0,"UnitOfMeasure":"kW"}"#),
            ("ReactivePower", r#"{"Value":-1.0,"UnitOfMeasure":"kV.A{r}"}"#),
        ],
    )
}

pub(crate) fn tap_position() -> Sample {
    members("ControlState.TapPosition", &[("TapPosition", "-4")])
}

pub(crate) fn voltage_setpoint() -> Sample {
    members("ControlState.VoltageSetpoint", &[("Voltage", r#"{"Value":0.231,"UnitOfMeasure":"kV"}"#)])
}

/// The points of [`device_state`].
pub(crate) const POINTS: &str = concat!(
    r#"{"frequency":{"Value":50.0,"UnitOfMeasure":"Hz","Quality":"Good","Source":"Field","#,
    r#""Age":{"Value":0.25,"UnitOfMeasure":"s"}},"#,
    r#""real_power":{"Value":-1200.0,"UnitOfMeasure":"W","Quality":"CommLost","Source":"Simulated","#,
    r#""Age":{"Value":12.0,"UnitOfMeasure":"s"}}}"#,
);

pub(crate) fn device_state() -> Sample {
    members("DeviceState", &[("DeviceId", r#""pv1""#), ("Points", POINTS)])
}

/// A device state whose only point has these members.
pub(crate) fn device_state_with_point(point: &str) -> Sample {
    device_state().with("Points", &format!("{{\"p\":{point}}}"))
}

/// A message with the header of every sample.
pub(crate) fn message(body: Body) -> Message {
    let epoch = EpochFields {
        epoch_number: 3,
        triggering_message_ids: vec!["clock-4".to_owned(), "other-2".to_owned()],
        ..EpochFields::default()
    };
    Message {
        header: Header {
            simulation_id: SimulationId::new(time("2025-06-01T11:59:00.000Z")),
            timestamp: time("2025-06-01T11:59:30.250Z"),
            source_process_id: "sender".to_owned(),
            message_id: "sender-7".to_owned(),
            epoch: (!matches!(body, Body::SimState(_))).then_some(epoch),
        },
        body,
    }
}

/// The types that every gridloop process uses: the message, and how it looks on the wire.
pub(crate) fn messages() -> Vec<(Message, Sample)> {
    let points = vec![
        PointState {
            name: "frequency".to_owned(),
            value: 50.0,
            unit: "Hz".to_owned(),
            quality: PointQuality::Good,
            source: PointSource::Field,
            age_s: 0.25,
        },
        PointState {
            name: "real_power".to_owned(),
            value: -1200.0,
            unit: "W".to_owned(),
            quality: PointQuality::CommLost,
            source: PointSource::Simulated,
            age_s: 12.0,
        },
    ];
    let bodies = [
        (
            Body::SimState(SimState {
                simulation_state: SimulationState::Running,
                name: Some("hill".to_owned()),
                description: Some("a \"test\"".to_owned()),
            }),
            sim_state(),
        ),
        (
            Body::Epoch(Epoch {
                start_time: time("2024-02-29T23:45:00.000Z"),
                end_time: time("2024-03-01T00:00:00.000Z"),
                pacing: None,
            }),
            epoch(),
        ),
        (
            Body::Status(Status {
                value: StatusValue::Error,
                description: Some("no answer from pv1".to_owned()),
                slack_s: None,
            }),
            status(),
        ),
        (
            Body::ResourceState(ResourceState {
                customer_id: "house 4".to_owned(),
                real_power_kw: -3.25,
                reactive_power_kvar: 0.5,
                node: Some(2),
                state_of_charge_percent: Some(80.0),
            }),
            resource_state(),
        ),
        (
            Body::PowerSetpoint(PowerSetpoint { real_power_kw: 4.0, reactive_power_kvar: -1.0 }),
            power_setpoint(),
        ),
        (Body::TapPosition(TapPosition { tap_position: -4 }), tap_position()),
        (Body::VoltageSetpoint(VoltageSetpoint { voltage_kv: 0.231 }), voltage_setpoint()),
        (Body::DeviceState(DeviceState { device_id: "pv1".to_owned(), points }), device_state()),
    ];
    bodies.into_iter().map(|(body, sample)| (message(body), sample)).collect()
}

/// The message of a [`messages`] entry by its type.
pub(crate) fn message_of(type_name: &str) -> Message {
    let found = messages().into_iter().find(|(message, _)| message.type_name() == type_name);
    found.map(|(message, _)| message).unwrap()
}
