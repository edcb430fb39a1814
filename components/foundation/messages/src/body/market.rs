//! The flexibility market (wire contract 2.6): what is needed, offered, selected and agreed.

use crate::codec::number::{EUR, MARKET_KW, MINUTES};
use crate::codec::series::Series;
use crate::codec::{Count, Name, Text, Time, one_of, some};
use crate::record::{nullable, optional, part, record, required, words};
use crate::{TimeSeries, Timestamp};

words! {
    /// Which way flexibility goes.
    pub enum Direction {
        /// `upregulation`: more power towards the grid.
        Up = "upregulation",
        /// `downregulation`: less power towards the grid.
        Down = "downregulation",
    }
}

record! {
    /// What a network needs (`FlexibilityNeed`) and a market asks for (`Request`); both have the same fields.
    pub struct FlexibilityNeed {
        /// From when, in simulated time.
        activation_time: Timestamp = required("ActivationTime", Time),
        /// For how long.
        duration_min: f64 = required("Duration", MINUTES),
        /// Which way.
        direction: Direction = required("Direction", one_of::<Direction>()),
        /// The least that helps.
        real_power_min_kw: f64 = required("RealPowerMin", MARKET_KW),
        /// The amount that is needed.
        real_power_request_kw: f64 = required("RealPowerRequest", MARKET_KW),
        /// Customers who can help.
        customer_ids: Vec<String> = required("CustomerIds", some(Text, "customer")),
        /// Name of the congestion.
        congestion_id: String = required("CongestionId", Name),
        /// Steps in which power may be offered. The platform's economic dispatch does not answer without.
        bid_resolution_kw: Option<f64> = optional("BidResolution", MARKET_KW),
    }
}

record! {
    /// What is offered; without anything to offer, every field may be null.
    pub struct OfferTerms {
        /// From when, in simulated time.
        activation_time: Option<Timestamp> = nullable("ActivationTime", Time),
        /// For how long.
        duration_min: Option<f64> = nullable("Duration", MINUTES),
        /// Which way.
        direction: Option<Direction> = nullable("Direction", one_of::<Direction>()),
        /// How much and when: series in kW, by custom `Regulation`, with one point at least.
        real_power: Option<TimeSeries> = nullable("RealPower", Series::all_in("kW").at_least(1)),
        /// For how much money. The platform's market fails on null here once the offer is selected.
        price_eur: Option<f64> = nullable("Price", EUR),
        /// Name of the congestion.
        congestion_id: Option<String> = nullable("CongestionId", Name),
        /// Name of the offer.
        offer_id: Option<String> = nullable("OfferId", Name),
        /// Customers who help.
        customer_ids: Option<Vec<String>> = nullable("CustomerIds", some(Text, "customer")),
    }
}

record! {
    /// An offer of a provider (`Offer`), and the same passed on to who needs it (`LFMOffering`).
    pub struct Offer {
        /// What is offered.
        terms: OfferTerms = part::<OfferTerms>(),
        /// How many offers there are for this congestion; 0: none.
        offer_count: u64 = required("OfferCount", Count),
    }
}

record! {
    /// `LFMMarketResult`: an offer that was taken.
    pub struct LfmMarketResult {
        /// What is agreed.
        terms: OfferTerms = part::<OfferTerms>(),
        /// How many offers were taken for this congestion; 0: none.
        result_count: u64 = required("ResultCount", Count),
    }
}

record! {
    /// The offers that are taken.
    #[derive(Eq)]
    pub struct SelectedOffer {
        /// Names of the offers.
        offer_ids: Vec<String> = required("OfferIds", some(Name, "offer")),
    }
}
