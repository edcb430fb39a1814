//! What the market does not take, and why: [`Rejection`].

use gridloop_messages::Timestamp;

/// Something said to the market that changes nothing. Its text is fit for a warning.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Rejection {
    #[error("{procurer} is no procurer of this market; its need {congestion} is not asked for")]
    UnknownProcurer { procurer: String, congestion: String },
    #[error("{procurer} said its need {congestion} twice; the first counts")]
    RepeatedNeed { procurer: String, congestion: String },
    #[error(
        "{procurer} calls its need {congestion}, which is the name of one of {owner}; it is not asked for"
    )]
    CongestionTaken { procurer: String, congestion: String, owner: String },
    #[error("{procurer} says its need {congestion} while the market is closed; it is not asked for")]
    WhileClosed { procurer: String, congestion: String },
    #[error(
        "{procurer} needs at least {least_kw} kW for {congestion}, but no more than {request_kw} kW; it is not asked for"
    )]
    LeastBeyondRequest { procurer: String, congestion: String, least_kw: f64, request_kw: f64 },
    #[error("{procurer} needs power for {congestion} until {over_at}, which is past; it is not asked for")]
    Past { procurer: String, congestion: String, over_at: Timestamp },
    #[error("{provider} is no provider of this market; its offer is left aside")]
    UnknownProvider { provider: String },
    #[error("{provider} offers for {congestion}, which nobody needs in this epoch")]
    UnknownCongestion { provider: String, congestion: String },
    #[error("an offer of {provider} has no CongestionId")]
    NoCongestion { provider: String },
    #[error("{provider} offers for {congestion} after all its offers were in, or after its time was up")]
    AfterTheLast { provider: String, congestion: String },
    #[error("{provider} repeats its offer {offer}; the first counts")]
    RepeatedOffer { provider: String, offer: String },
    #[error("{provider} calls an offer {offer}, which is the name of another; it is not passed on")]
    OfferTaken { provider: String, offer: String },
    #[error("an offer of {provider} for {congestion} has no {missing}; it is not passed on")]
    Incomplete { provider: String, congestion: String, missing: &'static str },
    #[error("{provider} counts its offers for {congestion} as {first} and as {now}; the first counts")]
    OtherCount { provider: String, congestion: String, first: u64, now: u64 },
    #[error("{procurer} selects the offer {offer}, which there is not")]
    UnknownOffer { procurer: String, offer: String },
    #[error("{procurer} selects the offer {offer}, which was made to {owner}")]
    OfferToAnother { procurer: String, offer: String, owner: String },
    #[error("{procurer} selects the offer {offer} twice")]
    SelectedTwice { procurer: String, offer: String },
    #[error("{} did not answer the request for {congestion} in time and count as without an offer", providers.join(", "))]
    TooLate { providers: Vec<String>, congestion: String },
}
