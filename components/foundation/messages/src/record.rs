//! Records of fields: one declaration says what a struct has, how each field is read, written and described.
//!
//! [`record!`] makes a struct and its [`Record`] from lines such as
//! `node: Option<u8> = optional("Node", Phase),`: the Rust name and type, and the slot, which is the name on the wire,
//! whether it must be there, and the [`Codec`] of its value. [`words!`] does the same for an enum of words. Everything
//! else in this crate (decoding, encoding, JSON Schemas, the check of the documentation) follows from these lines.

use std::marker::PhantomData;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::codec::{Codec, write_json};
use crate::describe::{Field, Presence, Shape};
use crate::field::{FieldError, Read, Written};
use crate::json::{Json, Object};

/// Fields that stand together in an object.
pub(crate) trait Record: Sized {
    /// Reads the fields; others are ignored.
    fn read(object: &Object<'_>) -> Read<Self>;
    /// Writes the fields in the order of the declaration, or says which rule they break.
    fn write(&self, members: &mut Members<'_>) -> Written;
    /// The forms that the record can have; nearly always one.
    fn shapes() -> Vec<Shape>;
}

impl<R: Record> Record for Box<R> {
    fn read(object: &Object<'_>) -> Read<Self> {
        R::read(object).map(Self::new)
    }

    fn write(&self, members: &mut Members<'_>) -> Written {
        R::write(self, members)
    }

    fn shapes() -> Vec<Shape> {
        R::shapes()
    }
}

/// The members of an object that is being written.
pub(crate) struct Members<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Members<'_> {
    /// An object with the members that `write` adds.
    pub(crate) fn object(out: &mut Vec<u8>, write: impl FnOnce(&mut Members<'_>) -> Written) -> Written {
        out.push(b'{');
        write(&mut Members { out, first: true })?;
        out.push(b'}');
        Ok(())
    }

    pub(crate) fn member<C: Codec>(&mut self, name: &str, codec: &C, value: &C::Value) -> Written {
        self.key(name)?;
        codec.write(value, self.out).map_err(|error| error.inside(name))
    }

    /// A member whose value needs no check.
    pub(crate) fn literal(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Written {
        self.key(name)?;
        write_json(value, self.out)
    }

    fn key(&mut self, name: &str) -> Written {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        write_json(name, self.out)?;
        self.out.push(b':');
        Ok(())
    }
}

/// A place in a record.
pub(crate) trait Slot {
    /// The type of the struct's field.
    type Value;
    fn read(&self, object: &Object<'_>) -> Read<Self::Value>;
    fn write(&self, value: &Self::Value, members: &mut Members<'_>) -> Written;
    /// The fields on the wire; `meaning` is the doc comment of the struct's field.
    fn fields(&self, meaning: &str) -> Vec<Field>;
    /// Whether the record may have members of any other name.
    fn open(&self) -> bool {
        false
    }
}

fn field<C: Codec>(name: &'static str, codec: &C, presence: Presence, meaning: &str) -> Vec<Field> {
    let mut schema = codec.schema();
    if presence == Presence::Nullable {
        schema = serde_json::json!({"anyOf": [schema, {"type": "null"}]});
    }
    let (unit, members) = (codec.unit(), codec.members());
    vec![Field { name, presence, unit, meaning: meaning.trim().to_owned(), members, schema }]
}

/// Must be there and not null.
pub(crate) struct Required<C>(&'static str, C);

pub(crate) const fn required<C>(name: &'static str, codec: C) -> Required<C> {
    Required(name, codec)
}

impl<C: Codec> Slot for Required<C> {
    type Value = C::Value;

    fn read(&self, object: &Object<'_>) -> Read<C::Value> {
        object.require(self.0, |json| self.1.read(json))
    }

    fn write(&self, value: &C::Value, members: &mut Members<'_>) -> Written {
        members.member(self.0, &self.1, value)
    }

    fn fields(&self, meaning: &str) -> Vec<Field> {
        field(self.0, &self.1, Presence::Required, meaning)
    }
}

/// May be missing or null; left out on sending when there is none.
pub(crate) struct Optional<C>(&'static str, C);

pub(crate) const fn optional<C>(name: &'static str, codec: C) -> Optional<C> {
    Optional(name, codec)
}

impl<C: Codec> Slot for Optional<C> {
    type Value = Option<C::Value>;

    fn read(&self, object: &Object<'_>) -> Read<Self::Value> {
        object.optional(self.0, |json| self.1.read(json))
    }

    fn write(&self, value: &Self::Value, members: &mut Members<'_>) -> Written {
        value.as_ref().map_or(Ok(()), |value| members.member(self.0, &self.1, value))
    }

    fn fields(&self, meaning: &str) -> Vec<Field> {
        field(self.0, &self.1, Presence::Optional, meaning)
    }
}

/// May be missing, null or anything else that makes no sense here; left out on sending when there is none. For what
/// gridloop adds to messages of others: a stranger's field of the same name must not make the message invalid.
pub(crate) struct Hint<C>(&'static str, C);

pub(crate) const fn hint<C>(name: &'static str, codec: C) -> Hint<C> {
    Hint(name, codec)
}

impl<C: Codec> Slot for Hint<C> {
    type Value = Option<C::Value>;

    fn read(&self, object: &Object<'_>) -> Read<Self::Value> {
        Ok(object.optional(self.0, |json| self.1.read(json)).unwrap_or_default())
    }

    fn write(&self, value: &Self::Value, members: &mut Members<'_>) -> Written {
        value.as_ref().map_or(Ok(()), |value| members.member(self.0, &self.1, value))
    }

    fn fields(&self, meaning: &str) -> Vec<Field> {
        field(self.0, &self.1, Presence::Hint, meaning)
    }
}

/// May be missing or null; sent as null when there is none ("req-null" of wire contract 2.2).
pub(crate) struct Nullable<C>(&'static str, C);

pub(crate) const fn nullable<C>(name: &'static str, codec: C) -> Nullable<C> {
    Nullable(name, codec)
}

impl<C: Codec> Slot for Nullable<C> {
    type Value = Option<C::Value>;

    fn read(&self, object: &Object<'_>) -> Read<Self::Value> {
        object.optional(self.0, |json| self.1.read(json))
    }

    fn write(&self, value: &Self::Value, members: &mut Members<'_>) -> Written {
        match value {
            Some(value) => members.member(self.0, &self.1, value),
            None => members.literal(self.0, &()),
        }
    }

    fn fields(&self, meaning: &str) -> Vec<Field> {
        field(self.0, &self.1, Presence::Nullable, meaning)
    }
}

/// A list that is left out when it is empty.
pub(crate) struct UnlessEmpty<C>(&'static str, C);

pub(crate) const fn unless_empty<C>(name: &'static str, codec: C) -> UnlessEmpty<C> {
    UnlessEmpty(name, codec)
}

impl<T, C: Codec<Value = Vec<T>>> Slot for UnlessEmpty<C> {
    type Value = Vec<T>;

    fn read(&self, object: &Object<'_>) -> Read<Vec<T>> {
        Ok(object.optional(self.0, |json| self.1.read(json))?.unwrap_or_default())
    }

    fn write(&self, value: &Vec<T>, members: &mut Members<'_>) -> Written {
        if value.is_empty() { Ok(()) } else { members.member(self.0, &self.1, value) }
    }

    fn fields(&self, meaning: &str) -> Vec<Field> {
        field(self.0, &self.1, Presence::Optional, meaning)
    }
}

/// The fields of another record, at the same level of the object.
pub(crate) struct Part<R>(PhantomData<R>);

pub(crate) const fn part<R>() -> Part<R> {
    Part(PhantomData)
}

impl<R: Record> Slot for Part<R> {
    type Value = R;

    fn read(&self, object: &Object<'_>) -> Read<R> {
        R::read(object)
    }

    fn write(&self, value: &R, members: &mut Members<'_>) -> Written {
        value.write(members)
    }

    fn fields(&self, _meaning: &str) -> Vec<Field> {
        R::shapes().into_iter().flat_map(|shape| shape.fields).collect()
    }
}

/// Every member that has none of these names, as JSON.
pub(crate) struct Rest(&'static [&'static str]);

pub(crate) const fn all_but(taken: &'static [&'static str]) -> Rest {
    Rest(taken)
}

impl Slot for Rest {
    type Value = Map<String, Value>;

    fn read(&self, object: &Object<'_>) -> Read<Self::Value> {
        let others = object.iter().filter(|(name, _)| !self.0.contains(name));
        Ok(others.map(|(name, json)| (name.to_owned(), json.clone().into())).collect())
    }

    fn write(&self, value: &Self::Value, members: &mut Members<'_>) -> Written {
        value.iter().try_for_each(|(name, value)| {
            if self.0.contains(&name.as_str()) {
                return Err(FieldError::of("no second field of this name", "one").inside(name));
            }
            members.literal(name, value)
        })
    }

    fn fields(&self, _meaning: &str) -> Vec<Field> {
        Vec::new()
    }

    fn open(&self) -> bool {
        true
    }
}

/// A name that does not stand in the object but is the key of it.
pub(crate) struct Key;

impl Slot for Key {
    type Value = String;

    fn read(&self, _object: &Object<'_>) -> Read<String> {
        Ok(String::new())
    }

    fn write(&self, _value: &String, _members: &mut Members<'_>) -> Written {
        Ok(())
    }

    fn fields(&self, _meaning: &str) -> Vec<Field> {
        Vec::new()
    }
}

/// Refuses parallel arrays of different lengths; the first one gives the length.
pub(crate) fn same_length(arrays: &[(&str, usize)]) -> Written {
    let Some((first, length)) = arrays.first() else { return Ok(()) };
    match arrays.iter().find(|(_, other)| other != length) {
        None => Ok(()),
        Some((name, other)) => {
            let expected = format!("as many elements as {first} has, {length}");
            Err(FieldError::of(expected, other.to_string()).inside(name))
        }
    }
}

/// What a JSON value would be called in an error, for values that are sent.
pub(crate) fn quoted(text: &str) -> String {
    Json::Text(text.into()).describe()
}

/// Declares a struct whose fields are on the wire. Rules that tie fields together follow the name:
/// `checked by F` holds in both directions, `before sending G` for sending only.
macro_rules! record {
    (
        $(#[doc = $about:literal])+
        $(#[derive($($derive:ident),+)])?
        pub struct $name:ident $(checked by $check:ident)? $(before sending $sent:ident)? {
            $( $(#[doc = $meaning:literal])+ $field:ident: $type:ty = $slot:expr, )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq $($(, $derive)+)?)]
        pub struct $name {
            $( $(#[doc = $meaning])+ pub $field: $type, )*
        }

        impl $crate::record::Record for $name {
            fn read(object: &$crate::json::Object<'_>) -> $crate::field::Read<Self> {
                let record = Self { $( $field: $crate::record::Slot::read(&$slot, object)?, )* };
                $( $check(&record)?; )?
                Ok(record)
            }

            fn write(&self, members: &mut $crate::record::Members<'_>) -> $crate::field::Written {
                $( $check(self)?; )?
                $( $sent(self)?; )?
                $( $crate::record::Slot::write(&$slot, &self.$field, members)?; )*
                Ok(())
            }

            fn shapes() -> Vec<$crate::describe::Shape> {
                let mut shape = $crate::describe::Shape::default();
                $( shape.add(&$slot, concat!($($meaning),+)); )*
                vec![shape]
            }
        }
    };
}

/// Declares an enum whose variants are words on the wire.
macro_rules! words {
    (
        $(#[$about:meta])+
        pub enum $name:ident {
            $( $(#[$meaning:meta])+ $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[$about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $( $(#[$meaning])+ $variant, )+
        }

        impl $name {
            /// Every one.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// The spelling on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )+
                }
            }
        }

        impl $crate::codec::Word for $name {
            fn all() -> &'static [Self] {
                &Self::ALL
            }

            fn spelling(self) -> &'static str {
                self.as_str()
            }
        }
    };
}

pub(crate) use {record, words};
