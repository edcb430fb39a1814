//! Who is in control: model 715, with the heartbeats of the device and of its controller.

use super::Kind::{Enum16, Uint16, Uint32};
use super::{Point, laid_out, point};

/// Model 715.
pub(super) const CONTROL: &[Point] = &laid_out([
    point("LocRemCtl", Enum16),
    point("DERHb", Uint32),
    point("ControllerHb", Uint32).writable(),
    point("AlarmReset", Uint16).writable(),
    point("OpCtl", Enum16).writable(),
]);
