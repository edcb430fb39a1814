//! Spellings of points in time (wire contract 2.1) and of run ids (rule 1).

use std::time::Duration;

use chrono::{DateTime, Utc};
use gridloop_messages::{SimulationId, Timestamp};
use proptest::prelude::*;

use crate::sample::time;

#[test]
fn every_spelling_of_the_contract_is_read() {
    let cases = [
        ("the canonical one", "2024-03-01T08:00:12.410Z", "2024-03-01T08:00:12.410Z"),
        ("no fraction", "2024-03-01T08:00:12Z", "2024-03-01T08:00:12.000Z"),
        ("microseconds are cut, not rounded", "2024-03-01T08:00:12.410999Z", "2024-03-01T08:00:12.410Z"),
        ("a positive offset", "2024-03-01T01:30:00+02:00", "2024-02-29T23:30:00.000Z"),
        ("a negative offset", "2024-12-31T20:00:00.500-05:30", "2025-01-01T01:30:00.500Z"),
        ("the widest offset", "2024-03-01T00:00:00+23:59", "2024-02-29T00:01:00.000Z"),
        ("a date only", "2024-03-01", "2024-03-01T00:00:00.000Z"),
        ("a blank between", "2024-03-01 08:00:12.410Z", "2024-03-01T08:00:12.410Z"),
        ("any sign between", "2024-03-01\u{2192}08:00:12Z", "2024-03-01T08:00:12.000Z"),
        ("a minus between, as Python reads it", "2024-03-01-05:00", "2024-03-01T05:00:00.000Z"),
        ("hours only", "2024-03-01T08", "2024-03-01T08:00:00.000Z"),
        ("hours with a zone", "2024-03-01T08+01:00", "2024-03-01T07:00:00.000Z"),
        ("hours and minutes", "2024-03-01T08:15Z", "2024-03-01T08:15:00.000Z"),
        ("no zone is UTC", "2024-03-01T08:00:12.410", "2024-03-01T08:00:12.410Z"),
        ("the first", "0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z"),
        ("the last", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ];
    for (name, text, canonical) in cases {
        assert_eq!(Timestamp::parse(text).map(|time| time.to_string()).as_deref(), Ok(canonical), "{name}");
        assert_eq!(SimulationId::parse(text).unwrap().as_str(), canonical, "{name}, as a run id");
    }
}

#[test]
fn every_other_spelling_is_refused() {
    let cases = [
        ("nothing", ""),
        ("a word", "yesterday"),
        ("compact", "20240301T080012Z"),
        ("a compact time", "2024-03-01T080012Z"),
        ("lower-case z", "2024-03-01T08:00:12z"),
        ("an offset without colon", "2024-03-01T08:00:12+0000"),
        ("an offset of hours", "2024-03-01T08:00:12+00"),
        ("an offset of a day", "2024-03-01T08:00:12+24:00"),
        ("an offset of 60 minutes", "2024-03-01T08:00:12+00:60"),
        ("an offset in the middle of a letter", "2024-03-01T08:00:12+0\u{e4}:0"),
        ("two zones", "2024-03-01T08:00:12Z+00:00"),
        ("hour 24", "2024-03-01T24:00:00Z"),
        ("minute 60", "2024-03-01T08:60:00Z"),
        ("a leap second", "2024-06-30T23:59:60Z"),
        ("one digit of fraction", "2024-03-01T08:00:12.4Z"),
        ("two digits", "2024-03-01T08:00:12.41Z"),
        ("four digits", "2024-03-01T08:00:12.4100Z"),
        ("five digits", "2024-03-01T08:00:12.41000Z"),
        ("seven digits", "2024-03-01T08:00:12.4100000Z"),
        ("nine digits", "2024-03-01T08:00:12.410000000Z"),
        ("a point without fraction", "2024-03-01T08:00:12.Z"),
        ("a comma", "2024-03-01T08:00:12,410Z"),
        ("a fraction that is no number", "2024-03-01T08:00:12.4a0Z"),
        ("a separator without time", "2024-03-01T"),
        ("a zone without time", "2024-03-01Z"),
        ("a Z between", "2024-03-01Z08:00:00"),
        ("two separators", "2024-03-01T 08:00:00Z"),
        ("February 30", "2024-02-30T00:00:00Z"),
        ("February 29 of a common year", "2023-02-29T00:00:00Z"),
        ("month 13", "2024-13-01T00:00:00Z"),
        ("day 0", "2024-03-00T00:00:00Z"),
        ("year 0", "0000-12-31T00:00:00Z"),
        ("a sign before the year", "-024-03-01T00:00:00Z"),
        ("a time before year 1", "0001-01-01T00:00:00+00:01"),
        ("a time after year 9999", "9999-12-31T23:59:59-00:01"),
        ("other digits", "\u{662}024-03-01T08:00:12Z"),
        ("a blank behind", "2024-03-01T08:00:12Z "),
        ("a letter cut in two", "2024-03-0\u{e4}T08:00:12Z"),
    ];
    for (name, text) in cases {
        assert!(Timestamp::parse(text).is_err(), "{name}: {text}");
        assert!(SimulationId::parse(text).is_err(), "{name}, as a run id");
    }
}

#[test]
fn the_error_shows_the_beginning_of_the_text() {
    let error = Timestamp::parse(&"x".repeat(1000)).unwrap_err();
    let expected = format!("`{}` is no timestamp; expected YYYY-MM-DDTHH:MM:SS.mmmZ", "x".repeat(40));
    assert_eq!(error.to_string(), expected);
}

#[test]
fn time_from_chrono_is_cut_to_milliseconds_and_to_the_years_that_can_be_spelt() {
    let fine: DateTime<Utc> = DateTime::from_timestamp_nanos(1_700_000_000_123_999_999);
    assert_eq!(Timestamp::from(fine).to_string(), "2023-11-14T22:13:20.123Z");
    assert_eq!(Timestamp::from(fine).as_datetime().timestamp_subsec_nanos(), 123_000_000);
    let before_1970: DateTime<Utc> = DateTime::from_timestamp_nanos(-1);
    assert_eq!(Timestamp::from(before_1970).to_string(), "1969-12-31T23:59:59.999Z");
    assert_eq!(Timestamp::from(DateTime::<Utc>::MAX_UTC).to_string(), "9999-12-31T23:59:59.999Z");
    assert_eq!(Timestamp::from(DateTime::<Utc>::MIN_UTC).to_string(), "0001-01-01T00:00:00.000Z");
}

#[test]
fn a_span_is_added_in_whole_milliseconds_up_to_the_end_of_year_9999() {
    let start = time("2024-02-29T23:59:59.500Z");
    assert_eq!(start.plus(Duration::from_micros(500_999)).to_string(), "2024-03-01T00:00:00.000Z");
    assert_eq!(start.plus(Duration::ZERO), start);
    assert_eq!(start.plus(Duration::MAX).to_string(), "9999-12-31T23:59:59.999Z");
}

#[test]
fn the_compact_form_of_a_run_id_names_its_exchange() {
    let id = SimulationId::parse("2026-01-02T03:04:05.006Z").unwrap();
    assert_eq!(id.compact(), "20260102-030405-006");
}

proptest! {
    #[test]
    fn the_canonical_spelling_is_read_back(ms in -62_135_596_800_000_i64..=253_402_300_799_999) {
        let timestamp = Timestamp::from(DateTime::from_timestamp_millis(ms).unwrap());
        let text = timestamp.to_string();
        prop_assert_eq!(text.len(), 24);
        prop_assert_eq!(Timestamp::parse(&text), Ok(timestamp));
        let id = SimulationId::parse(&text).unwrap();
        prop_assert_eq!(id.as_str(), &text);
    }

    #[test]
    fn order_in_time_is_order_of_spelling(a in 0_i64..=253_402_300_799_999, b in 0_i64..=253_402_300_799_999) {
        let [a, b] = [a, b].map(|ms| Timestamp::from(DateTime::from_timestamp_millis(ms).unwrap()));
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>(), tail in "[-0-9TZ:.+ ]{0,30}") {
        let _ = Timestamp::parse(&text);
        let _ = Timestamp::parse(&format!("2024-03-01{tail}"));
    }
}
