//! How answers are written: to the byte as Python writes them.
//!
//! [`json`] is `json.dumps` with sorted keys, four spaces of indentation and no escapes beyond ASCII's needs, [`csv`]
//! the `csv` module with semicolons, [`Moment`] `datetime.isoformat` with `Z` for UTC.

pub(crate) mod csv;
pub(crate) mod json;
mod moment;
mod number;

pub(crate) use moment::Moment;
pub(crate) use number::push_float;
