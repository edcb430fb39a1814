//! The ratings that per cents are of: [`Ratings`].

use super::block::Block;
use super::discovery::Chain;
use crate::link::Link;
use gridloop_device::DeviceError;

/// What an inverter states of its power at present. An installer, or another master, may change it at any time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ratings {
    /// The power that 100 per cent stands for, in W; above zero.
    pub(super) w_max: f64,
    /// The largest reactive power either way, in var, at most `w_max`.
    pub(super) max_var: f64,
}

impl Ratings {
    /// Reads the ratings, from the settings where the device has them (121, 702), else from the nameplate (120, 702).
    /// `None` when no model states a power above zero.
    pub(super) async fn read(link: &Link, chain: &Chain) -> Result<Option<Self>, DeviceError> {
        const SOURCES: [(u16, &str, [&str; 2]); 4] = [
            (121, "WMax", ["VArMaxQ1", "VArMaxQ4"]),
            (702, "WMax", ["VarMaxInj", "VarMaxAbs"]),
            (120, "WRtg", ["VArRtgQ1", "VArRtgQ4"]),
            (702, "WMaxRtg", ["VarMaxInjRtg", "VarMaxAbsRtg"]),
        ];
        let (mut w_max, mut max_var) = (None, None);
        for (id, power, vars) in SOURCES {
            let Some(located) = chain.located(&[id]) else { continue };
            let block = Block::read(link, located.place, located.model).await?;
            let number = |name: &str| block.named(name).map_err(|error| block.malformed(&error));
            w_max = w_max.or(number(power)?.filter(|watts| *watts > 0.0));
            let [injected, absorbed] = [number(vars[0])?, number(vars[1])?].map(|var| var.map(f64::abs));
            max_var = max_var.or(match (injected, absorbed) {
                (Some(injected), Some(absorbed)) => Some(injected.min(absorbed)),
                (one, other) => one.or(other),
            });
            if w_max.is_some() && max_var.is_some() {
                break;
            }
        }
        Ok(w_max.map(|w_max| Self { w_max, max_var: max_var.unwrap_or(0.0).min(w_max) }))
    }
}
