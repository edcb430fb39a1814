//! Pictures of a stored run: [`Recording`] takes its epochs and messages, [`draw`] makes a [`Picture`] of it as SVG.
//!
//! A recording keeps what pictures are made of as tracks: one value for each epoch, with whether it can be relied on. A
//! picture is a page of panels; a panel is lines, envelopes, limits and marks over simulated time. Values are held over
//! their epoch. What came with a warning, or of a quality that is not good, is dotted and hatched: a wrong value must not
//! look good.
//!
//! Pure: no file, no clock, no store. The same recording gives the same bytes.

mod about;
mod limits;
mod palette;
mod panel;
mod path;
mod pictures;
#[cfg(feature = "png")]
mod png;
mod recording;
mod svg;
mod time_axis;
mod track;
mod value_axis;

pub use about::About;
pub use limits::Limits;
pub use pictures::{Missing, Options, Picture, draw};
#[cfg(feature = "png")]
pub use png::{PngError, png};
pub use recording::Recording;
