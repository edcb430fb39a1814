//! The coils of a transformer: its [`Rating`] for one of them, and which [`Pair`]s lie on one leg.

use crate::transformer::{Coil, Side, Transformer, Winding, Windings};
use crate::{Conductor, NetworkError};
use num_complex::Complex64;

/// A transformer's numbers for one phase.
pub(super) struct Rating {
    pub(super) coil_va: f64,
    /// Short-circuit admittance on 1 V.
    pub(super) series_va: Complex64,
    pub(super) no_load_va: Complex64,
    pub(super) sending_share: f64,
    /// With the tap, as the other one.
    pub(super) sending_v: f64,
    pub(super) receiving_v: f64,
    pub(super) sending_nominal_v: f64,
    pub(super) receiving_nominal_v: f64,
}

impl Rating {
    pub(super) fn of(name: &str, transformer: &Transformer, position: i32) -> Result<Self, NetworkError> {
        let value = |what: &str, value: f64, expected, holds: bool| {
            if holds && value.is_finite() {
                return Ok(value);
            }
            Err(NetworkError::Value { what: format!("{what} of {name}"), expected, found: value.to_string() })
        };
        let positive = |what, number: f64| value(what, number, "a number above 0", number > 0.0);
        let finite = |what, number: f64| value(what, number, "a finite number", true);
        let rated_va = positive("rated power", transformer.rated_power_va)?;
        let sending_v = positive("sending voltage", transformer.sending_voltage_v)?;
        let receiving_v = positive("receiving voltage", transformer.receiving_voltage_v)?;
        let r = finite("short-circuit resistance", transformer.resistance_percent)? / 100.0;
        let x = finite("short-circuit reactance", transformer.reactance_percent)? / 100.0;
        let loss = finite("no-load loss", transformer.no_load_loss_percent)? / 100.0;
        let magnetising = finite("magnetising power", transformer.magnetising_percent)? / 100.0;
        let sending_share = finite("share of the no-load losses", transformer.no_load_sending_share)?;
        let impedance = Complex64::new(r, x);
        if impedance.norm() < 1e-12 {
            return Err(NetworkError::Singular { what: format!("short-circuit impedance of {name}") });
        }
        let ratio = match transformer.taps {
            Some(taps) => 1.0 + f64::from(position - taps.neutral) * finite("tap step", taps.step)?,
            None => 1.0,
        };
        positive("ratio", ratio)?;
        let (coils, sending_v, receiving_v) = match transformer.windings {
            Windings::Three { sending, receiving, .. } => (
                3.0,
                coil_voltage(sending, receiving, sending_v),
                coil_voltage(receiving, sending, receiving_v),
            ),
            Windings::Single { .. } => (1.0, sending_v, receiving_v),
        };
        let coil_va = rated_va / coils;
        let tap = |side| if transformer.tapped == side { ratio } else { 1.0 };
        Ok(Self {
            coil_va,
            series_va: coil_va / impedance,
            no_load_va: coil_va * Complex64::new(loss, -magnetising),
            sending_share,
            sending_v: sending_v * tap(Side::Sending),
            receiving_v: receiving_v * tap(Side::Receiving),
            sending_nominal_v: sending_v,
            receiving_nominal_v: receiving_v,
        })
    }
}

/// The voltage of a coil of a side, opposite another.
fn coil_voltage(winding: Winding, other: Winding, line_to_line_v: f64) -> f64 {
    match (winding, other) {
        // What a zigzag takes of a wye is the difference of two of its coils.
        (Winding::Delta, _) | (Winding::Wye, Winding::Zigzag) => line_to_line_v,
        (Winding::Wye | Winding::Zigzag, _) => line_to_line_v / 3f64.sqrt(),
    }
}

/// Two coils on one leg.
pub(super) struct Pair {
    pub(super) sending: Coil,
    pub(super) receiving: Coil,
    /// Whether one of them is wound the other way round.
    pub(super) turned: bool,
}

/// Which coil of the sending side is on one leg with which of the receiving side.
pub(super) fn coil_pairs(name: &str, windings: Windings) -> Result<Vec<Pair>, NetworkError> {
    let (sending, receiving, clock) = match windings {
        Windings::Single { sending, receiving } => return single(name, sending, receiving),
        Windings::Three { sending, receiving, clock } => (sending, receiving, clock),
    };
    let opposite_zigzag = |one, other| one == Winding::Zigzag && other != Winding::Wye;
    if opposite_zigzag(sending, receiving) || opposite_zigzag(receiving, sending) {
        return Err(NetworkError::Value {
            what: format!("windings of {name}"),
            expected: "a wye opposite a zigzag",
            found: format!("{sending:?} and {receiving:?}"),
        });
    }
    let odd = sending != receiving;
    if clock > 11 || (clock % 2 == 1) != odd {
        return Err(NetworkError::Value {
            what: format!("clock number of {name}"),
            expected: if odd { "1, 3, 5, 7, 9 or 11" } else { "0, 2, 4, 6, 8 or 10" },
            found: clock.to_string(),
        });
    }
    let legs = |from: usize, to: usize| {
        (0..3).map(move |leg| Coil { from: phase(leg + from), to: Some(phase(leg + to)) }).collect::<Vec<_>>()
    };
    let stars =
        |from: usize| (0..3).map(move |leg| Coil { from: phase(leg + from), to: None }).collect::<Vec<_>>();
    // By clock number, the coil on the delta side (or the phase on the other side and whether it is turned round) that
    // is in phase with phase 1 of the wye. A zigzag takes the difference of two phases of the wye opposite, as if that
    // were a delta.
    let pairs: Vec<(Coil, Coil)> = match (sending, receiving) {
        (Winding::Delta, Winding::Wye) | (Winding::Wye, Winding::Zigzag) => {
            let (from, to) = delta_of(clock);
            legs(from, to).into_iter().zip(stars(0)).collect()
        }
        (Winding::Wye, Winding::Delta) | (Winding::Zigzag, Winding::Wye) => {
            let (from, to) = delta_of(12 - clock);
            stars(0).into_iter().zip(legs(from, to)).collect()
        }
        (Winding::Delta, _) => {
            let (shift, turned) = same_of(clock);
            let ends = if turned { (shift + 1, shift) } else { (shift, shift + 1) };
            legs(ends.0, ends.1).into_iter().zip(legs(0, 1)).collect()
        }
        (Winding::Wye | Winding::Zigzag, _) => {
            let (shift, turned) = same_of(clock);
            let pairs = stars(shift).into_iter().zip(stars(0));
            return Ok(pairs.map(|(sending, receiving)| Pair { sending, receiving, turned }).collect());
        }
    };
    Ok(pairs.into_iter().map(|(sending, receiving)| Pair { sending, receiving, turned: false }).collect())
}

fn single(name: &str, sending: Coil, receiving: Coil) -> Result<Vec<Pair>, NetworkError> {
    for coil in [sending, receiving] {
        let ends = [Some(coil.from), coil.to];
        if coil.from == Conductor::Neutral || coil.to == Some(Conductor::Neutral) || ends[0] == ends[1] {
            return Err(NetworkError::Value {
                what: format!("coil of {name}"),
                expected: "a phase and the star point, or two phases",
                found: format!("{:?} and {:?}", coil.from, coil.to),
            });
        }
    }
    Ok(vec![Pair { sending, receiving, turned: false }])
}

fn phase(at: usize) -> Conductor {
    Conductor::PHASES[at % 3]
}

/// Between which phases of the delta the coil lies that is in phase with phase 1 of a wye which lags the delta by 30
/// degrees times `clock`.
const fn delta_of(clock: u8) -> (usize, usize) {
    match clock {
        11 => (0, 1),
        1 => (0, 2),
        3 => (1, 2),
        5 => (1, 0),
        7 => (2, 0),
        _ => (2, 1),
    }
}

/// Which phase of one side is in phase with phase 1 of the other, which lags it by 30 degrees times `clock`, and whether
/// its coil is turned round.
const fn same_of(clock: u8) -> (usize, bool) {
    match clock {
        0 => (0, false),
        4 => (1, false),
        8 => (2, false),
        6 => (0, true),
        10 => (1, true),
        _ => (2, true),
    }
}
