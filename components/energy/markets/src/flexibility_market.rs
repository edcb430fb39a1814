//! The local flexibility market (wire contract 6.11): [`FlexibilityMarket`] passes what networks need on to those who may
//! provide it, their offers back, and tells in every epoch which offers were accepted.
//!
//! The rules are in `Book`, which knows needs, offers and accepted offers and nothing of messages on a bus; what it does
//! not take is a `Rejection`. [`OpeningHours`] is shared with the other side of the market, so that both are open at
//! the same time.

mod book;
mod component;
mod hours;
mod rejection;

#[cfg(test)]
mod tests;

pub use component::FlexibilityMarket;
pub use hours::OpeningHours;

use gridloop_service::Section;
use std::time::Duration;

/// What a market is told.
#[derive(Debug, Clone, PartialEq)]
pub struct FlexibilityMarketSettings {
    /// When it is open.
    pub hours: OpeningHours,
    /// Who may offer: names of economic dispatches.
    pub providers: Vec<String>,
    /// Who may need: names of predictive grid optimisations.
    pub procurers: Vec<String>,
    /// How long after a request a provider is waited for; `None`: for ever, as SimCES does.
    pub offers_within: Option<Duration>,
}

impl FlexibilityMarketSettings {
    /// Reads `kind = "local-flexibility-market"`.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let names = |key, about| {
            let names = section.texts(key, about).matching(|names| each_is_a_name(names)).or(Vec::new());
            if let Some(twice) = repeated(&names) {
                section.error(Some(key), format!("each name once, unlike {twice:?}"), None);
            }
            names
        };
        Self {
            hours: OpeningHours::read(section),
            providers: names("providers", "Who may offer flexibility: names of economic dispatches."),
            procurers: names("procurers", "Who may need it: names of predictive grid optimisations."),
            offers_within: section
                .duration_s(
                    "offer_deadline_s",
                    "Who has not answered a request this long after it has nothing to offer, in s of wall-clock \
                     time. Without it every provider is waited for.",
                )
                .at_most(86_400.0)
                .optional(),
        }
    }
}

fn each_is_a_name(names: &[String]) -> Result<(), String> {
    match names.iter().find(|name| !is_a_word(name)) {
        Some(name) => Err(format!("{name:?} cannot be a part of a topic")),
        None => Ok(()),
    }
}

/// Whether a name can be a segment of a topic.
fn is_a_word(name: &str) -> bool {
    let trap = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | ',' | '#' | '*');
    !name.is_empty() && name.len() <= 100 && !name.contains(trap)
}

fn repeated(names: &[String]) -> Option<&String> {
    names
        .iter()
        .enumerate()
        .find(|(at, name)| names.iter().take(*at).any(|before| before == *name))
        .map(|it| it.1)
}
