//! The rules of wire contract 5.2 about parameters, one by one.

use super::*;
use gridloop_messages::Timestamp;
use proptest::prelude::*;

fn epochs(query: &str) -> Epochs {
    messages(Some(query)).unwrap().select.epochs
}

fn limits(first: impl Into<Option<i64>>, last: impl Into<Option<i64>>) -> Epochs {
    Epochs { first: first.into(), last: last.into() }
}

#[test]
fn epochs_are_limited_on_both_sides_inclusively_and_start_epoch_takes_the_place_of_epoch() {
    assert_eq!(epochs(""), limits(None, None));
    assert_eq!(epochs("epoch=3"), limits(3, 3));
    assert_eq!(epochs("startEpoch=2"), limits(2, None));
    assert_eq!(epochs("endEpoch=%20-4"), limits(None, -4));
    assert_eq!(epochs("startEpoch=2&endEpoch=4"), limits(2, 4));
    assert_eq!(epochs("epoch=9&startEpoch=2"), limits(2, None));
    assert_eq!(epochs("epoch="), limits(None, None));
}

#[test]
fn simulated_dates_take_the_place_of_all_limits_of_epochs() {
    let question = messages(Some("epoch=1&endEpoch=2&startEpoch=3&toSimDate=2023-02-01")).unwrap();
    assert_eq!(question.select.epochs, Epochs::default());
    assert!(question.dates.is_limited());
}

#[test]
fn what_the_python_log_reader_answers_with_500_is_a_400_that_says_why() {
    for (query, title) in [
        ("epochs=1", "Unknown parameter"),
        ("epoch=1&endEpoch=2", "Conflicting parameters"),
        ("epoch=1&epoch=2", "Repeated parameter"),
        ("topic=a&topic=b", "Repeated parameter"),
        ("epoch=99999999999999999999", "Invalid integer value"),
        ("topic=%00", "Invalid topic"),
    ] {
        let problem = messages(Some(query)).unwrap_err();
        assert_eq!((problem.status(), problem.title()), (400, title), "{query}");
    }
}

#[test]
fn what_is_wrong_is_a_400_that_names_the_parameter() {
    for (query, title) in [
        ("epoch=x", "Invalid integer value"),
        ("startEpoch=1.5", "Invalid integer value"),
        ("fromSimDate=yesterday", "Invalid datetime value"),
        ("toSimDate=2023-02-01T00:00:00+02:00", "Invalid datetime value"),
        ("onlyWarnings=yes", "Invalid boolean value"),
        ("limit=0", "Invalid integer value"),
        ("limit=10001", "Invalid integer value"),
        ("limit=-1", "Invalid integer value"),
        ("after=here", "Invalid place"),
    ] {
        let problem = messages(Some(query)).unwrap_err();
        assert_eq!((problem.status(), problem.title()), (400, title), "{query}");
        let name = query.split('=').next().unwrap();
        assert!(problem.description().contains(name), "{query}: {}", problem.description());
    }
    assert_eq!(
        time_series(Some("attrs=a&format=xml")).unwrap_err().title(),
        "Invalid time series result format"
    );
    for query in ["", "attrs=", "format=csv"] {
        assert_eq!(time_series(Some(query)).unwrap_err().title(), "Missing parameter");
    }
    assert_eq!(runs(Some("fromDate=1")).unwrap_err().title(), "Invalid datetime value");
}

#[test]
fn processes_come_with_commas_or_repeated() {
    let processes = |query| messages(Some(query)).unwrap().select.processes;
    assert_eq!(processes("process=a,b&process=c"), ["a", "b", "c"]);
    assert_eq!(processes("process=a%2Cb%20c"), ["a", "b c"]);
    assert!(processes("process=").is_empty());
}

#[test]
fn a_time_series_accepts_only_warnings_without_effect() {
    let question = time_series(Some("attrs=A.b,C&onlyWarnings=true&format=csv&by=Node")).unwrap();
    assert!(!question.messages.select.only_warnings);
    assert_eq!(question.attributes, Attributes::Named(vec![vec!["A".into(), "b".into()], vec!["C".into()]]));
    assert_eq!((question.format, question.by.as_deref()), (Format::Csv, Some("Node")));
}

#[test]
fn the_epochs_of_dates_are_those_that_contain_them() {
    let at = |hour: u32| Timestamp::parse(&format!("2023-02-01T{hour:02}:00Z")).unwrap();
    let spans: Vec<EpochSpan> = (1..=3)
        .map(|number| EpochSpan {
            number: i64::from(number),
            start: Some(at(number)),
            end: Some(at(number + 1)),
        })
        .collect();
    let chosen = |from: Option<&str>, to: Option<&str>| {
        let moment = |text: &str| Moment::parse(&format!("2023-02-01T{text}Z")).unwrap();
        Dates { from: from.map(moment), to: to.map(moment) }.epochs(&spans)
    };
    assert_eq!(chosen(Some("02:00"), None), limits(2, None));
    assert_eq!(chosen(Some("01:59:59.999"), None), limits(1, None));
    assert_eq!(chosen(None, Some("02:00")), limits(None, 1));
    assert_eq!(chosen(None, Some("02:00:00.001")), limits(None, 2));
    assert_eq!(chosen(Some("02:30"), Some("03:30")), limits(2, 3));
    // Outside of every epoch: no limit.
    assert_eq!(chosen(Some("00:30"), Some("09:00")), limits(None, None));
    assert_eq!(chosen(Some("04:00"), Some("01:00")), limits(None, None));
}

#[test]
fn a_place_is_read_as_it_was_written() {
    let question = messages(Some("limit=5&after=2023-02-01T00%3A00%3A00.000Z~17")).unwrap();
    let cursor = question.select.after.unwrap();
    assert_eq!((cursor.to_string().as_str(), cursor.key.as_str()), ("2023-02-01T00:00:00.000Z~17", "17"));
    assert_eq!(question.select.limit, Some(5));
}

proptest! {
    #[test]
    fn any_query_is_a_question_or_a_400(query in r"[ -~é\x00]{0,60}") {
        let answers = [
            runs(Some(&query)).err(),
            messages(Some(&query)).err(),
            invalid(Some(&query)).err(),
            time_series(Some(&query)).err(),
        ];
        for problem in answers.into_iter().flatten() {
            prop_assert_eq!(problem.status(), 400);
            prop_assert!(!problem.description().is_empty());
        }
    }

    #[test]
    fn any_value_of_a_known_parameter_is_taken_or_refused(
        parameter in prop::sample::select(MESSAGES.iter().chain(TIME_SERIES).chain(SIMULATIONS).collect::<Vec<_>>()),
        value in ".{0,30}",
    ) {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair(parameter.name, &value).finish();
        let _ = (runs(Some(&query)), messages(Some(&query)), time_series(Some(&query)));
    }
}
