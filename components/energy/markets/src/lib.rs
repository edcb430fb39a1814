//! Economic dispatch and the local flexibility market as SimCES components.

pub mod dispatch;
mod flexibility_market;
mod kind;

pub use flexibility_market::{FlexibilityMarket, FlexibilityMarketSettings, OpeningHours};
pub use kind::{KINDS, Kind, ReadKind};
