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
    /// The most power that its storage takes, in W; above zero.
    pub(super) charge_w: Option<f64>,
    /// The most power that its storage gives, in W; above zero.
    pub(super) discharge_w: Option<f64>,
}

/// Where a model states ratings.
struct Source {
    model: u16,
    power: &'static str,
    vars: [&'static str; 2],
    charge: &'static str,
    discharge: &'static str,
}

/// The settings where the device has them (121, 124, 702), else the nameplate (120, 702, 802). A name that a model
/// does not have is empty.
const SOURCES: [Source; 6] = [
    source(121, "WMax", ["VArMaxQ1", "VArMaxQ4"], "", ""),
    source(702, "WMax", ["VarMaxInj", "VarMaxAbs"], "WChaRteMax", "WDisChaRteMax"),
    source(124, "", ["", ""], "WChaMax", ""),
    source(120, "WRtg", ["VArRtgQ1", "VArRtgQ4"], "MaxChaRte", "MaxDisChaRte"),
    source(702, "WMaxRtg", ["VarMaxInjRtg", "VarMaxAbsRtg"], "WChaRteMaxRtg", "WDisChaRteMaxRtg"),
    source(802, "", ["", ""], "WChaRteMax", "WDisChaRteMax"),
];

const fn source(
    model: u16,
    power: &'static str,
    vars: [&'static str; 2],
    charge: &'static str,
    discharge: &'static str,
) -> Source {
    Source { model, power, vars, charge, discharge }
}

impl Ratings {
    /// Reads the ratings; `None` when no model states a power above zero. A storage whose discharge rating is not
    /// stated gives as much as it takes: model 124 has no rating of its own for it.
    pub(super) async fn read(link: &Link, chain: &Chain) -> Result<Option<Self>, DeviceError> {
        let stores = [124, 713, 802].into_iter().any(|id| chain.located(&[id]).is_some());
        let (mut w_max, mut max_var, mut charge_w, mut discharge_w) = (None, None, None, None);
        let mut blocks: Vec<Block> = Vec::new();
        for Source { model, power, vars, charge, discharge } in &SOURCES {
            let Some(located) = chain.located(&[*model]) else { continue };
            if !blocks.iter().any(|block| block.place == located.place) {
                blocks.push(Block::read(link, located.place, located.model).await?);
            }
            let Some(block) = blocks.iter().find(|block| block.place == located.place) else { continue };
            let number = |name: &str| block.named(name).map_err(|error| block.malformed(&error));
            let above_zero = |name: &str| Ok::<_, DeviceError>(number(name)?.filter(|watts| *watts > 0.0));
            w_max = w_max.or(above_zero(power)?);
            charge_w = charge_w.or(above_zero(charge)?);
            discharge_w = discharge_w.or(above_zero(discharge)?);
            let [injected, absorbed] = [number(vars[0])?, number(vars[1])?].map(|var| var.map(f64::abs));
            max_var = max_var.or(match (injected, absorbed) {
                (Some(injected), Some(absorbed)) => Some(injected.min(absorbed)),
                (one, other) => one.or(other),
            });
            let stored = !stores || (charge_w.is_some() && discharge_w.is_some());
            if w_max.is_some() && max_var.is_some() && stored {
                break;
            }
        }
        let discharge_w = discharge_w.or(charge_w);
        Ok(w_max.map(|w_max| Self {
            w_max,
            max_var: max_var.unwrap_or(0.0).min(w_max),
            charge_w: charge_w.filter(|_| stores),
            discharge_w: discharge_w.filter(|_| stores),
        }))
    }
}
