//! [`Transformer`]: two windings of one or three phases, with taps on one of them.
//!
//! Each phase is an ideal transformer of two coils behind the short-circuit impedance; the [`Windings`] say between
//! which conductors the coils lie, [`StarPoint`] where those of a star meet. The short-circuit impedance seen from the
//! side without taps does not change with the taps, as in OpenDSS.

use crate::{Conductor, TapRange};
use num_complex::Complex64;

/// A transformer or voltage regulator of two windings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transformer {
    /// Its coils.
    pub windings: Windings,
    /// Rated voltage of the sending side in V: line to line if it has three phases, else that of the coil.
    pub sending_voltage_v: f64,
    /// Rated voltage of the receiving side in V, likewise; that of the tapped side is the one at the neutral position.
    pub receiving_voltage_v: f64,
    /// Rated power in VA, all phases together.
    pub rated_power_va: f64,
    /// Short-circuit resistance (of both windings together) in percent on the rating.
    pub resistance_percent: f64,
    /// Short-circuit reactance in percent on the rating.
    pub reactance_percent: f64,
    /// No-load loss at rated voltage in percent of the rated power.
    pub no_load_loss_percent: f64,
    /// Magnetising power at rated voltage in percent of the rated power.
    pub magnetising_percent: f64,
    /// Which part of no-load loss and magnetising lies at the sending coils; the rest lies at the receiving ones. 0 as
    /// OpenDSS has it.
    pub no_load_sending_share: f64,
    /// Where the star point of the sending side is, if it has one.
    pub sending_star: StarPoint,
    /// Where the star point of the receiving side is, if it has one.
    pub receiving_star: StarPoint,
    /// Where the taps can stand; `None` for a fixed ratio.
    pub taps: Option<TapRange>,
    /// The side that has them.
    pub tapped: Side,
    /// Where they stand unless an operation says otherwise. Without meaning if there are none.
    pub tap_position: i32,
}

/// Between which conductors the coils lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windings {
    /// Three phases: how either side is connected, and the clock number of the vector group: the receiving side lags by
    /// 30 degrees times it. Odd between a wye and a delta or zigzag (Dyn1, Dyn5, Dyn11, Yd1, Yzn5, ...), else even
    /// (Yyn0, Dd0, ...).
    Three {
        /// The sending side.
        sending: Winding,
        /// The receiving side.
        receiving: Winding,
        /// From 0 to 11.
        clock: u8,
    },
    /// One coil on either side.
    Single {
        /// The sending side.
        sending: Coil,
        /// The receiving side.
        receiving: Coil,
    },
}

/// How a side of three phases is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Winding {
    /// From each phase to the star point.
    Wye,
    /// From phase to phase.
    Delta,
    /// From each phase by half coils on two legs to the star point; opposite a wye alone, whose star point carries
    /// nothing then.
    Zigzag,
}

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At the bus where the branch begins.
    Sending,
    /// At the bus where it ends.
    Receiving,
}

/// Where the coils of a star meet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StarPoint {
    /// At the neutral of the bus, or at earth where it has none.
    Neutral,
    /// Nowhere else: no current leaves the star.
    Isolated,
    /// Behind an impedance in ohm, 0 for none, at earth, whether or not the bus has a neutral.
    Earthed(Complex64),
}

/// The ends of a coil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coil {
    /// The phase where it begins.
    pub from: Conductor,
    /// The phase where it ends; `None`: the star point.
    pub to: Option<Conductor>,
}

impl Transformer {
    /// A three-phase transformer of fixed ratio without no-load losses.
    #[must_use]
    pub const fn three_phase(
        windings: Windings,
        voltages_v: [f64; 2],
        rated_power_va: f64,
        short_circuit_percent: Complex64,
    ) -> Self {
        Self {
            windings,
            sending_voltage_v: voltages_v[0],
            receiving_voltage_v: voltages_v[1],
            rated_power_va,
            resistance_percent: short_circuit_percent.re,
            reactance_percent: short_circuit_percent.im,
            no_load_loss_percent: 0.0,
            magnetising_percent: 0.0,
            no_load_sending_share: 0.0,
            sending_star: StarPoint::Neutral,
            receiving_star: StarPoint::Neutral,
            taps: None,
            tapped: Side::Receiving,
            tap_position: 0,
        }
    }
}
