//! gridloop's extensions: tap changers, voltage regulators and the raw points of devices.

use serde_json::{Value, json};

use crate::codec::number::{KV, Number, SECONDS};
use crate::codec::{Codec, Integer, Name, Nested, nested, one_of};
use crate::describe::Field;
use crate::field::{FieldError, Read, Written, object};
use crate::json::Json;
use crate::record::{Key, Members, record, required, words};

record! {
    /// Where a tap changer is to go.
    #[derive(Eq)]
    pub struct TapPosition {
        /// A whole number in the device's own counting.
        tap_position: i32 = required("TapPosition", Integer),
    }
}

record! {
    /// What a regulator is to hold.
    pub struct VoltageSetpoint {
        /// Voltage, line to neutral.
        voltage_kv: f64 = required("Voltage", KV),
    }
}

record! {
    /// The points of a device as the gateway last read them.
    pub struct DeviceState {
        /// The device's name in the configuration.
        device_id: String = required("DeviceId", Name),
        /// The points by name, in the order of names.
        points: Vec<PointState> = required("Points", Points),
    }
}

record! {
    /// One point of a device.
    pub struct PointState {
        /// Its name, such as `real_power`.
        name: String = Key,
        /// What it is; power is positive towards the grid.
        value: f64 = required("Value", Number),
        /// `W`, `V.A{r}`, `V`, `A`, `Hz`, `%`, `Cel`, `s`, `W.h`, `V.A`, or `1` for pure numbers.
        unit: String = required("UnitOfMeasure", Name),
        /// How far it can be trusted.
        quality: PointQuality = required("Quality", one_of::<PointQuality>()),
        /// Where it comes from.
        source: PointSource = required("Source", one_of::<PointSource>()),
        /// Time between the sampling and this message.
        age_s: f64 = required("Age", SECONDS),
    }
}

words! {
    /// How far a point's value can be trusted. Spelled on the wire as here.
    pub enum PointQuality {
        /// Lately measured, in range.
        Good = "Good",
        /// Measured too long ago.
        Stale = "Stale",
        /// Lately measured, and doubted by the device itself.
        Questionable = "Questionable",
        /// Lately measured, outside the range that the point can have.
        OutOfRange = "OutOfRange",
        /// The device does not answer; the last good value.
        CommLost = "CommLost",
        /// The value of the simulated twin.
        Substituted = "Substituted",
    }
}

words! {
    /// Where a point's value comes from. Spelled on the wire as here.
    pub enum PointSource {
        /// A physical device.
        Field = "Field",
        /// A simulated one.
        Simulated = "Simulated",
    }
}

const POINT: Nested<PointState> = nested();

/// An object of points by name, in the order of names.
struct Points;

impl Codec for Points {
    type Value = Vec<PointState>;

    /// Of a repeated name the last point counts.
    fn read(&self, json: &Json<'_>) -> Read<Vec<PointState>> {
        let mut members: Vec<_> = object(json)?.iter().collect();
        members.reverse();
        members.sort_by_key(|(name, _)| *name);
        members.dedup_by_key(|(name, _)| *name);
        let point = |(name, json): (&str, &Json<'_>)| {
            has_name(name)?;
            let point = POINT.read(json).map_err(|error| error.inside(name))?;
            Ok(PointState { name: name.to_owned(), ..point })
        };
        members.into_iter().map(point).collect()
    }

    fn write(&self, points: &Vec<PointState>, out: &mut Vec<u8>) -> Written {
        let mut sorted: Vec<&PointState> = points.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(FieldError::of("points of different names", "two").inside(&pair[0].name));
        }
        Members::object(out, |members| {
            sorted.into_iter().try_for_each(|point| {
                has_name(&point.name)?;
                members.member(&point.name, &POINT, point)
            })
        })
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object",
            "propertyNames": {"minLength": 1},
            "additionalProperties": POINT.schema(),
        })
    }

    fn members(&self) -> Vec<Field> {
        POINT.members()
    }
}

fn has_name(name: &str) -> Written {
    if name.is_empty() { Err(FieldError::of("points with names", "an empty name")) } else { Ok(()) }
}
