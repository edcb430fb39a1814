//! JSON with bounds: [`parse`] a message, [`Points`] without repetitions, members that must be there.
//!
//! The parser of serde_json refuses nesting deeper than 128, numbers that are not finite, and members of a message that
//! repeat; here are the bounds that it has not.

use super::{Flaw, MOST_POINTS, MOST_TEXT, PointShape};
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Reads a message of kind `what`.
pub(super) fn parse<T: DeserializeOwned>(what: &str, payload: &[u8]) -> Result<T, Flaw> {
    if payload.len() > MOST_TEXT {
        return Err(format!("{what}: {} bytes; {MOST_TEXT} are read at most", payload.len()));
    }
    serde_json::from_slice(payload).map_err(|error| format!("{what}: {error}"))
}

/// The text of a message.
pub(super) fn text(message: &impl Serialize) -> Vec<u8> {
    // Messages have string keys and finite or null numbers only: nothing that JSON could not say.
    serde_json::to_vec(message).unwrap_or_default()
}

/// For a member that may be `null` and must be there.
pub(super) fn required<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// Named points, each once, in their order.
pub(super) struct Points(pub(super) Vec<(String, PointShape)>);

impl Serialize for Points {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, point) in &self.0 {
            map.serialize_entry(name, point)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Points;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of points")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Points, A::Error> {
                let mut points: Vec<(String, PointShape)> = Vec::new();
                while let Some((name, point)) = map.next_entry::<String, PointShape>()? {
                    if points.len() >= MOST_POINTS {
                        return Err(A::Error::custom(format_args!("more than {MOST_POINTS} points")));
                    }
                    if points.iter().any(|(earlier, _)| *earlier == name) {
                        return Err(A::Error::custom(format_args!("the point `{name:.64}` twice")));
                    }
                    points.push((name, point));
                }
                Ok(Points(points))
            }
        }
        deserializer.deserialize_map(Each)
    }
}
