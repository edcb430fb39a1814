//! What an economic dispatch is told (wire contract 6.5). Its units and storages stand in the Start message.

use super::Reader;
use super::common::{is_sound, read_topic};
use gridloop_markets::Kind;
use gridloop_markets::dispatch::{
    OnInfeasible, SimcesDispatch, Solver, SolverSettings, StorageModel, steps_of, time_of_day,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const HORIZON: &str = "DISPATCH_HORIZON";

/// `economic-dispatch`
pub(crate) fn read_economic_dispatch(reader: &Reader<'_>) -> Kind {
    // Asked for because the manifest has them; what counts stands in the Start message, as for the Python platform.
    reader.required_text("RESOURCES", "an array of [type, name]");
    let _ = reader.text("WEIGHTS");
    check_topics(reader);
    let expected = "an ISO 8601 duration of days, hours, minutes and seconds, such as PT36H";
    let horizon = reader.parsed(HORIZON, expected, duration).unwrap_or(36 * HOUR);
    let step = reader.parsed("DISPATCH_TIMESTEP", expected, duration).unwrap_or(HOUR);
    let steps = steps_of(horizon, step).unwrap_or_else(|| {
        reader.reject(HORIZON, "1 to 1000 whole steps of DISPATCH_TIMESTEP");
        1
    });
    let market = reader.text("MARKET_ID");
    if market.as_deref().is_some_and(|market| !is_sound(market)) {
        reader.reject("MARKET_ID", "a name without blanks and `.`, `,`, `#`, `*`");
    }
    let start = "the file with the Start message";
    Kind::SimcesDispatch(Box::new(SimcesDispatch {
        start_file: reader.required_text("SIMULATION_START_MESSAGE_FILENAME", start).into(),
        steps,
        step,
        topic: format!(
            "{}.{}",
            read_topic(reader, "DISPATCH_TOPIC", "ResourceForecastState"),
            read_topic(reader, "RESOURCE_TYPE", "Dispatch")
        ),
        commitment_time: reader.parsed("COMMITMENT_TIME", "HH:MM", |text| time_of_day(text).ok()),
        market,
        skip_open_offers: reader.flag("SKIP_OPEN_OFFERS").unwrap_or(false),
        solver: SolverSettings { solver: read_solver(reader), ..SolverSettings::default() },
        storage_model: StorageModel::Rated,
        on_infeasible: OnInfeasible::Error,
    }))
}

/// Solvers of the Python platform that are not here find the same plans as ours.
fn read_solver(reader: &Reader<'_>) -> Solver {
    let words = [
        ("glpk", Solver::Microlp),
        ("cbc", Solver::Microlp),
        ("microlp", Solver::Microlp),
        ("highs", Solver::Highs),
    ];
    let solver = reader.choice("DISPATCH_SOLVER", &words).unwrap_or_default();
    if !solver.is_built_in() {
        reader.reject("DISPATCH_SOLVER", "glpk, cbc or microlp, for this build has no HiGHS");
    }
    solver
}

/// The Python platform lets a run have other names for these; gridloop does not.
fn check_topics(reader: &Reader<'_>) {
    let topics = [
        ("RESOURCE_FORECAST_TOPIC", "ResourceForecastState.Load,ResourceForecastState.Generator"),
        ("PRICE_FORECAST_STATE_TOPIC", "PriceForecastState"),
        ("RESOURCE_STATE_TOPIC", "ResourceState.Storage"),
        ("STATUS_TOPIC", "Status.Ready"),
        ("CUSTOMER_INFO_TOPIC", "Init.CIS.CustomerInfo"),
        ("LFM_RESULT_TOPIC", "LFMMarketResult"),
        ("REQUEST_TOPIC", "Request"),
        ("OFFER_TOPIC", "Offer"),
    ];
    for (variable, topic) in topics {
        if reader.text(variable).is_some_and(|text| text != topic) {
            reader.reject(variable, format!("{topic} or nothing: gridloop knows no other topic for it"));
        }
    }
}

/// `P1DT12H`, `PT15M`, `PT3600S`; above zero.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix('P')?;
    let (days, times) = rest.split_once('T').map_or((rest, None), |(days, times)| (days, Some(times)));
    let sum = sum_of(days, &[('D', 86_400)])?;
    let sum = sum.checked_add(match times {
        Some("") => return None,
        Some(times) => sum_of(times, &[('H', 3600), ('M', 60), ('S', 1)])?,
        None => 0,
    })?;
    (sum > 0).then(|| Duration::from_secs(sum))
}

/// Seconds of whole numbers that are each followed by one of `units`, in their order.
fn sum_of(text: &str, units: &[(char, u64)]) -> Option<u64> {
    let (mut rest, mut sum) = (text, 0_u64);
    for (unit, seconds) in units {
        if let Some((number, behind)) = rest.split_once(*unit) {
            let good = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
            let number: u64 = if good { number.parse().ok()? } else { return None };
            sum = sum.checked_add(number.checked_mul(*seconds)?)?;
            rest = behind;
        }
    }
    rest.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spelled_as_iso_8601_has_them() {
        let seconds = |text| duration(text).map(|found| found.as_secs());
        assert_eq!(seconds("PT36H"), Some(129_600));
        assert_eq!(seconds("P1DT12H"), Some(129_600));
        assert_eq!(seconds("PT1H30M5S"), Some(5405));
        assert_eq!(seconds("PT15M"), Some(900));
        for wrong in
            ["", "P", "PT", "36H", "PT0S", "PT5", "PTH", "PT1M1H", "P1M", "PT-1H", "PT99999999999999999999H"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
