//! What counts as a device's present word, by example, and with a hundred thousand messages that are not it.

use super::*;
use crate::wire::{Outcome, to_json};
use gridloop_clock::Utc;
use gridloop_device::Unit;

const SESSION: &str = "s1";

fn at(millis: u64) -> MonoTime {
    MonoTime::from_nanos((1000 + millis) * 1_000_000)
}

fn date(millis: i64) -> Utc {
    Utc::from_timestamp_millis(1_782_000_000_000 + millis).unwrap()
}

fn reading(session: &str, seq: u64, millis: i64, watts: f64) -> Vec<u8> {
    Telemetry {
        ts: date(millis),
        session: session.into(),
        seq,
        request: None,
        held: None,
        points: vec![("real_power".into(), watts, Unit::Watt, Quality::Good)],
    }
    .to_json()
}

fn status(session: &str, status: Presence) -> Vec<u8> {
    to_json(&Status { status, session: session.into() })
}

fn online() -> Heard {
    let mut heard = Heard::default();
    heard.take(Part::Status, &status(SESSION, Presence::Online), true, at(0));
    heard
}

fn shown(heard: &Heard) -> Option<(f64, Quality, MonoTime)> {
    let taken = heard.taken()?;
    let snapshot = taken.snapshot(taken.sampled_at);
    snapshot.get("real_power").map(|sample| (sample.value, sample.quality, sample.sampled_at))
}

#[test]
fn a_reading_is_as_old_as_its_arrival_when_it_is_prompt() {
    let mut heard = online();
    heard.take(Part::Telemetry, &reading(SESSION, 1, 0, 5.0), false, at(20));
    assert_eq!(shown(&heard), Some((5.0, Quality::Good, at(20))));
    heard.take(Part::Telemetry, &reading(SESSION, 2, 100, 6.0), false, at(110));
    assert_eq!(shown(&heard), Some((6.0, Quality::Good, at(110))));
}

#[test]
fn a_reading_that_was_held_up_is_as_old_as_it_is_late() {
    let mut heard = online();
    heard.take(Part::Telemetry, &reading(SESSION, 1, 0, 5.0), false, at(10));
    heard.take(Part::Telemetry, &reading(SESSION, 2, 100, 6.0), false, at(5110));
    let (value, _, sampled_at) = shown(&heard).unwrap();
    let late = at(5110).since(sampled_at);
    assert!(value == 6.0 && late > Duration::from_millis(4990) && late <= Duration::from_secs(5), "{late:?}");
}

#[test]
fn a_clock_that_is_put_back_makes_nothing_old_for_ever() {
    let mut heard = online();
    heard.take(Part::Telemetry, &reading(SESSION, 1, 3_600_000, 5.0), false, at(10));
    heard.take(Part::Telemetry, &reading(SESSION, 2, 100, 6.0), false, at(110));
    assert_eq!(shown(&heard), Some((6.0, Quality::Good, at(110))));
}

#[test]
fn a_number_that_repeats_or_goes_back_is_no_reading() {
    let mut heard = online();
    heard.take(Part::Telemetry, &reading(SESSION, 5, 0, 5.0), false, at(0));
    for seq in [5, 4, 0] {
        heard.take(Part::Telemetry, &reading(SESSION, seq, 100, 99.0), false, at(100));
    }
    assert_eq!(shown(&heard), Some((5.0, Quality::Good, at(0))));
}

#[test]
fn a_new_connection_of_the_device_begins_anew_and_the_old_one_says_nothing_more() {
    let mut heard = online();
    heard.take(Part::Telemetry, &reading(SESSION, 500, 0, 5.0), false, at(0));
    heard.take(Part::Status, &status("s2", Presence::Online), false, at(10));
    assert_eq!(shown(&heard), None);
    heard.take(Part::Telemetry, &reading(SESSION, 501, 20, 99.0), false, at(20));
    heard.take(Part::Status, &status(SESSION, Presence::Offline), false, at(20));
    assert_eq!((shown(&heard), heard.online()), (None, Some(true)));
    heard.take(Part::Telemetry, &reading("s2", 1, 30, 7.0), false, at(30));
    assert_eq!(shown(&heard).map(|(value, ..)| value), Some(7.0));
}

#[test]
fn the_last_will_takes_the_device_away() {
    let mut heard = online();
    heard.take(Part::Telemetry, &reading(SESSION, 1, 0, 5.0), false, at(0));
    heard.take(Part::Status, &status(SESSION, Presence::Offline), false, at(10));
    assert_eq!(heard.online(), Some(false));
    heard.take(Part::Telemetry, &reading(SESSION, 2, 20, 99.0), false, at(20));
    assert_eq!(shown(&heard).map(|(value, ..)| value), Some(5.0));
}

#[test]
fn a_retained_reading_is_never_good_and_gives_way_to_a_live_one() {
    let mut heard = online();
    heard.take(Part::Telemetry, &reading(SESSION, 1, 0, 5.0), true, at(0));
    assert_eq!(shown(&heard).map(|(value, quality, _)| (value, quality)), Some((5.0, Quality::Stale)));
    heard.take(Part::Telemetry, &reading(SESSION, 2, 0, 6.0), false, at(10));
    assert_eq!(shown(&heard).map(|(value, quality, _)| (value, quality)), Some((6.0, Quality::Good)));
}

fn answer(request: &str, seq: u64, watts: f64) -> Vec<u8> {
    let plain = Telemetry::parse(&reading(SESSION, seq, 0, watts)).unwrap();
    Telemetry { request: Some(request.into()), ..plain }.to_json()
}

#[test]
fn a_request_is_answered_although_a_newer_reading_has_followed_its_answer() {
    let mut heard = online();
    heard.take(Part::Telemetry, &reading(SESSION, 1, 0, 5.0), false, at(0));
    assert_eq!(heard.answer_to("r1"), None);
    heard.take(Part::Telemetry, &answer("r1", 2, 6.0), false, at(10));
    heard.take(Part::Telemetry, &reading(SESSION, 3, 0, 7.0), false, at(10));
    assert_eq!(heard.answer_to("r1").map(|taken| taken.telemetry.seq), Some(3));
    assert_eq!((heard.answer_to("r2"), heard.answer_to("")), (None, None));
    // The reading of another connection answers nothing of this one.
    heard.take(Part::Status, &status("s2", Presence::Online), false, at(20));
    heard.take(Part::Telemetry, &reading("s2", 1, 0, 8.0), false, at(30));
    assert_eq!(heard.answer_to("r1"), None);
}

#[test]
fn a_retained_or_repeated_reading_answers_no_request() {
    let mut heard = online();
    heard.take(Part::Telemetry, &reading(SESSION, 5, 0, 5.0), false, at(0));
    heard.take(Part::Telemetry, &answer("r1", 5, 6.0), false, at(10));
    heard.take(Part::Telemetry, &answer("r2", 6, 6.0), true, at(10));
    assert_eq!((heard.answer_to("r1"), heard.answer_to("r2")), (None, None));
}

#[test]
fn a_retained_acknowledgement_is_none() {
    let ack = Ack { id: "1".into(), result: Outcome::Accepted, reason: None, held: None };
    let mut heard = online();
    heard.take(Part::Ack, &to_json(&ack), true, at(0));
    assert_eq!(heard.acknowledged("1"), None);
    heard.take(Part::Ack, &to_json(&ack), false, at(0));
    assert_eq!((heard.acknowledged("1"), heard.acknowledged("1")), (Some(ack), None));
}

#[test]
fn a_senseless_message_changes_nothing_but_is_told() {
    let mut heard = online();
    heard.take(Part::Telemetry, &reading(SESSION, 1, 0, 5.0), false, at(0));
    heard.take(Part::Telemetry, b"5.0", false, at(10));
    assert_eq!(shown(&heard), Some((5.0, Quality::Good, at(0))));
    assert!(heard.flaw().is_some_and(|flaw| flaw.starts_with("telemetry")));
    assert_eq!(heard.flaw(), None);
}

/// A device tells a true value every 100 ms, which is its number. Around it come true messages once more, late, out of
/// order, cut, of another connection, retained, and with values out of range. What is shown as good
/// must be the value that was true when it is dated.
#[test]
fn among_a_hundred_thousand_bad_messages_no_wrong_value_is_shown_as_good() {
    const CASES: u64 = 120_000;
    let mut random = fastrand::Rng::with_seed(1);
    let mut heard = online();
    let mut sent: Vec<(u64, Vec<u8>)> = Vec::new();
    let (mut good, mut seq, mut millis) = (0_u64, 0_u64, 0_u64);
    for case in 0..CASES {
        millis += random.u64(1..40);
        let now = at(millis);
        let (part, payload, retained) = message(&mut random, &mut sent, &mut seq, millis);
        heard.take(part, &payload, retained, now);
        if let Some((value, Quality::Good, sampled_at)) = shown(&heard) {
            good += 1;
            let dated_ms = sampled_at.since(at(0)).as_secs_f64() * 1000.0;
            // The value says when it was taken; rounding and the permitted drift are a few milliseconds.
            assert!((dated_ms - value).abs() <= 50.0, "case {case}: {value} dated {dated_ms}, now {millis}");
        }
        heard.flaw();
    }
    assert!(good > CASES / 2, "{good} good of {CASES}");
}

/// The next message. The value of a reading is the millisecond at which it was taken.
fn message(
    random: &mut fastrand::Rng,
    sent: &mut Vec<(u64, Vec<u8>)>,
    seq: &mut u64,
    millis: u64,
) -> (Part, Vec<u8>, bool) {
    let true_one = |seq: u64, taken: u64| {
        let taken = u32::try_from(taken).unwrap();
        reading(SESSION, seq, taken.into(), taken.into())
    };
    let earlier = |random: &mut fastrand::Rng, sent: &[(u64, Vec<u8>)]| {
        let last = sent.len().saturating_sub(1);
        sent.get(random.usize(last.saturating_sub(20)..=last))
            .map(|(_, text)| text.clone())
            .unwrap_or_default()
    };
    let kind = random.u32(0..10);
    let payload = match kind {
        // In time, or held up on the way by up to two seconds.
        0..=3 => {
            *seq += 1;
            let taken = if kind == 3 { millis.saturating_sub(random.u64(0..2000)) } else { millis };
            let newest = sent.last().map_or(0, |(taken, _)| *taken);
            let text = true_one(*seq, taken.max(newest));
            sent.push((taken.max(newest), text.clone()));
            text
        }
        4 => earlier(random, sent),
        5 => {
            let mut text = earlier(random, sent);
            text.truncate(random.usize(0..=text.len()));
            text
        }
        6 => garbage(random),
        7 => reading("other", *seq + random.u64(0..9), 0, 1e9),
        8 => {
            // A reading of the present connection with a value that cannot be.
            *seq += 1;
            let taken = sent.last().map_or(millis, |(taken, _)| *taken);
            String::from_utf8(true_one(*seq, taken)).unwrap().replace("\"W\"", "\"kW\"").into_bytes()
        }
        _ => {
            let text = earlier(random, sent);
            return (Part::Telemetry, text, true);
        }
    };
    (Part::Telemetry, payload, false)
}

fn garbage(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = random.usize(0..64);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}
