//! Configuration: a spanned tree, sections that read themselves, and every error at once.
//!
//! Reading goes in two phases. First a [`Document`] parses the whole TOML text into a tree in which every key and value
//! remembers its place. Then the settings of each part of gridloop read themselves from a [`Section`]: one call per key,
//! which states the key's type, meaning, limits and default, and gives a [`Field`] that ends in a plain value. A wrong
//! value never stops the reading: it is noted, a stand-in is returned, and [`Document::finish`] adds the keys nobody
//! asked for and returns all [`Diagnostics`] in the order of the file.
//!
//! The calls are remembered whether or not there was a value, so [`schema()`] needs no second description of the
//! configuration: it runs the same reading functions over a document without values and writes down what they asked.
//!
//! ```
//! use gridloop_service::{Document, Section, schema};
//!
//! #[derive(Debug, PartialEq)]
//! struct Manager {
//!     overrun: String,
//!     start_delay_s: f64,
//! }
//!
//! fn read(root: &Section<'_>) -> Manager {
//!     let manager = root.section("manager", "how epochs are paced");
//!     Manager {
//!         overrun: manager.text("overrun", "what to do when somebody is late")
//!             .one_of(&["stretch", "skip", "abort"])
//!             .or("stretch".to_owned()),
//!         start_delay_s: manager.number("start_delay_s", "wait before the first epoch").within(0.0..=60.0).or(0.0),
//!     }
//! }
//!
//! let document = Document::parse("demo.toml", "[manager]\noverrun = \"skip\"\n")?;
//! let manager = read(&document.root());
//! document.finish()?;
//! assert_eq!(manager, Manager { overrun: "skip".to_owned(), start_delay_s: 0.0 });
//!
//! let schema = schema("demo", |root| { read(root); });
//! assert_eq!(schema["properties"]["manager"]["properties"]["overrun"]["default"], "stretch");
//! # Ok::<(), gridloop_service::Diagnostics>(())
//! ```
//!
//! A reading function reads all its keys before it gives up: what it does not ask for is neither checked nor in the
//! schema, and counts as unknown.
//!
//! Architecture invariant: this crate knows no key of gridloop's configuration and reads no clock.

mod declaration;
mod diagnostics;
mod document;
mod field;
mod ledger;
mod schema;
mod section;
mod source;
mod suggest;
mod text;
mod tree;
mod value;

pub use diagnostics::{Diagnostic, Diagnostics};
pub use document::{Document, SIZE_MAX_BYTES};
pub use field::Field;
pub use schema::schema;
pub use section::{ReadKind, Section};
pub use text::{Text, nearest};
pub use value::{NumberOrWord, Quantity, Secret};
