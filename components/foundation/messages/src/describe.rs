//! What the message types look like, as data: the [`Field`]s of a type, and its JSON [`schema`].
//!
//! Both follow from the declarations that also decode and encode, so they cannot fall behind. They describe the strict
//! form, which is what gridloop sends; what is accepted beyond it is told in `docs/messages.md`.

use serde_json::{Map, Value, json};

use crate::record::{Slot, required};
use crate::{EpochFields, codec, header, start};

/// Whether a field must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Always sent; refused when missing or null.
    Required,
    /// Left out when absent; missing or null means absent.
    Optional,
    /// Left out when absent; missing, null or of another kind means absent.
    Hint,
    /// Always sent, as null when absent; missing or null means absent.
    Nullable,
}

/// A field of a message type or of an object inside one.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// Whether it must be there.
    pub presence: Presence,
    /// Its unit, where it has a fixed one.
    pub unit: Option<&'static str>,
    /// What it says.
    pub meaning: String,
    /// The fields of the objects in it.
    pub members: Vec<Field>,
    /// JSON Schema of what is sent.
    pub(crate) schema: Value,
}

/// One form of a message type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shape {
    /// Which form, where there are several.
    pub name: Option<&'static str>,
    /// Its own fields, without those that every message has.
    pub fields: Vec<Field>,
    /// Whether fields of any other name belong to the message too.
    pub open: bool,
}

impl Shape {
    pub(crate) fn add<S: Slot>(&mut self, slot: &S, meaning: &str) {
        self.fields.extend(slot.fields(meaning));
        self.open |= slot.open();
    }
}

/// The `Type` of every message that gridloop knows.
pub fn types() -> impl Iterator<Item = &'static str> {
    crate::Body::TYPES.iter().copied().chain([start::TYPE])
}

/// The forms of a message type; `None` if it is not known.
#[must_use]
pub fn shapes(type_name: &str) -> Option<Vec<Shape>> {
    if type_name == start::TYPE { Some(start::shapes()) } else { crate::Body::shapes(type_name) }
}

/// The JSON Schema (draft 2020-12) of a message type as gridloop sends it; `None` if the type is not known.
#[must_use]
pub fn schema(type_name: &str) -> Option<Value> {
    let shapes = shapes(type_name)?;
    let mut schema = match shapes.as_slice() {
        [shape] => fields_schema(&with_common(type_name, shape)),
        several => {
            let forms = several.iter().map(|shape| {
                let mut form = fields_schema(&with_common(type_name, shape));
                form["title"] = shape.name.into();
                form
            });
            json!({"oneOf": forms.collect::<Vec<_>>()})
        }
    };
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = type_name.into();
    Some(schema)
}

/// The fields of every message of a type, before its own.
#[must_use]
pub fn common_fields(type_name: &str) -> Vec<Field> {
    let mut common = Shape::default();
    header::describe_base(&mut common);
    if type_name != start::TYPE {
        header::describe_sender(&mut common);
        if type_name != "SimState" {
            common.add(&crate::record::part::<EpochFields>(), "");
        }
    }
    common.fields
}

fn with_common(type_name: &str, shape: &Shape) -> Vec<Field> {
    let mut kind = required("Type", codec::Name).fields("The kind of message.");
    kind[0].schema = json!({"const": type_name});
    kind.into_iter().chain(common_fields(type_name)).chain(shape.fields.iter().cloned()).collect()
}

/// Schema of an object with the fields of one of these shapes.
pub(crate) fn object_schema(shapes: &[Shape]) -> Value {
    let fields: Vec<Field> = shapes.iter().flat_map(|shape| shape.fields.iter().cloned()).collect();
    fields_schema(&fields)
}

fn fields_schema(fields: &[Field]) -> Value {
    let always =
        fields.iter().filter(|field| matches!(field.presence, Presence::Required | Presence::Nullable));
    let required: Vec<_> = always.map(|field| field.name).collect();
    let property = |field: &Field| {
        let mut schema = field.schema.clone();
        if !field.meaning.is_empty() {
            schema["description"] = field.meaning.clone().into();
        }
        (field.name.to_owned(), schema)
    };
    let properties: Map<_, _> = fields.iter().map(property).collect();
    json!({"type": "object", "required": required, "properties": properties})
}
