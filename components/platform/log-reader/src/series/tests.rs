//! The rules of wire contract 5.3, one by one.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn start(epoch: i64) -> Option<Moment> {
    (1..=8).contains(&epoch).then(|| Moment::parse(&format!("2023-02-01T{:02}:00Z", epoch - 1)).unwrap())
}

fn message(topic: &str, process: &str, epoch: i64, fields: Value) -> Fields {
    let mut message = fields.as_object().cloned().unwrap();
    message.insert("Topic".into(), topic.into());
    message.insert("SourceProcessId".into(), process.into());
    message.insert("EpochNumber".into(), epoch.into());
    message
}

fn power(process: &str, epoch: i64, kilowatts: f64) -> Fields {
    message("R", process, epoch, json!({"RealPower": {"Value": kilowatts, "UnitOfMeasure": "kW"}}))
}

/// The answer in JSON and the header in CSV.
fn answer(
    attributes: &str,
    by: Option<&str>,
    messages: &[Fields],
) -> Result<(Value, Vec<String>, u64), Dive> {
    let mut series = Series::new(Attributes::parse(attributes), by.map(str::to_owned));
    let mut table = Table::default();
    for message in messages {
        table.add(series.take(message, start)?);
    }
    table.add(series.finish());
    let mut out = Vec::new();
    table.write(series.tree(), |chunk| {
        out.extend(chunk);
        true
    });
    let header = series.tree().header().into_iter().map(|(_, title)| title).collect();
    Ok((serde_json::from_slice(&out).unwrap(), header, series.replaced()))
}

fn shown(attributes: &str, messages: &[Fields]) -> Value {
    answer(attributes, None, messages).unwrap().0
}

fn block(times: &[&str], series: &[(&str, Value)]) -> Value {
    let series: Fields = series
        .iter()
        .map(|(name, values)| ((*name).to_owned(), json!({"UnitOfMeasure": "A", "Values": values})))
        .collect();
    json!({"TimeIndex": times, "Series": series})
}

#[test]
fn a_single_value_stands_at_the_start_of_its_epoch() {
    let told = shown("RealPower", &[power("h", 1, -0.8), power("h", 2, -0.65)]);
    let index = json!([{"epoch": 1, "timestamp": "2023-02-01T00:00:00Z"}, {"epoch": 2, "timestamp": "2023-02-01T01:00:00Z"}]);
    assert_eq!(told, json!({"TimeIndex": index, "R": {"h": {"RealPower": [-0.8, -0.65]}}}));
}

#[test]
fn scalars_of_every_kind_are_values_and_lists_and_dates_are_none() {
    let fields = json!({"a": 1, "b": true, "c": "x", "d": [1], "e": {"f": 2.5}, "g": null, "StartTime": "2023-02-01T00:00:00.000Z"});
    let told = shown("a,b,c,d,e.f,e,g,StartTime,missing", &[message("T", "p", 1, fields)]);
    let expected = json!({"a": [1], "b": [true], "c": ["x"], "d": {}, "e": {"f": [2.5]}, "StartTime": {}});
    assert_eq!(told["T"]["p"], expected);
}

#[test]
fn a_block_gives_all_its_series_or_the_one_that_is_named() {
    let current = block(
        &["2023-02-01T00:00:00Z", "2023-02-01T00:30:00Z"],
        &[("L1", json!([1.0, 2.0])), ("L2", json!([3.0, 4.0]))],
    );
    let messages = [message("T", "p", 1, json!({ "Current": current }))];
    assert_eq!(
        shown("Current", &messages)["T"]["p"],
        json!({"Current": {"L1": [1.0, 2.0], "L2": [3.0, 4.0]}})
    );
    assert_eq!(shown("Current.L2", &messages)["T"]["p"], json!({"Current": {"L2": [3.0, 4.0]}}));
    let missing = shown("Current.L3", &messages);
    assert_eq!(missing["T"]["p"], json!({"Current": {}}));
    assert_eq!(missing["TimeIndex"].as_array().unwrap().len(), 2);
}

#[test]
fn points_in_time_of_one_epoch_are_merged_in_order_and_gaps_are_null() {
    let a = block(&["2023-02-01T00:00:00Z", "2023-02-01T00:30:00Z"], &[("L1", json!([1, 2]))]);
    let b = block(&["2023-02-01T02:15:00+02:00", "2023-02-01T02:30:00+02:00"], &[("L1", json!([3, 4]))]);
    let messages = [
        message("T", "a", 1, json!({ "C": a })),
        message("T", "b", 1, json!({ "C": b })),
        power("h", 2, 1.5),
    ];
    let told = shown("C,RealPower", &messages);
    let times: Vec<&str> =
        told["TimeIndex"].as_array().unwrap().iter().filter_map(|row| row["timestamp"].as_str()).collect();
    let expected =
        ["2023-02-01T00:00:00Z", "2023-02-01T02:15:00+02:00", "2023-02-01T00:30:00Z", "2023-02-01T01:00:00Z"];
    assert_eq!(times, expected);
    assert_eq!(told["T"]["a"]["C"]["L1"], json!([1, null, 2, null]));
    assert_eq!(told["T"]["b"]["C"]["L1"], json!([null, 3, 4, null]));
    assert_eq!(told["R"]["h"]["RealPower"], json!([null, null, null, 1.5]));
}

#[test]
fn a_process_that_lacks_the_attribute_is_shown_empty() {
    let status = message("Status.Ready", "h", 1, json!({"Value": "ready"}));
    assert_eq!(shown("RealPower", &[status])["Status.Ready"], json!({"h": {}}));
    assert_eq!(shown("RealPower", &[]), json!({"TimeIndex": []}));
}

#[test]
fn columns_stand_in_the_order_of_first_appearance_topic_by_topic() {
    let messages = [
        power("b", 1, 1.0),
        message("Q", "z", 1, json!({"RealPower": 2.0})),
        power("a", 1, 3.0),
        power("b", 2, 4.0),
    ];
    let (_, header, _) = answer("RealPower", None, &messages).unwrap();
    assert_eq!(header, ["R:b.RealPower", "R:a.RealPower", "Q:z.RealPower"]);
}

#[test]
fn of_several_messages_of_an_epoch_the_last_one_counts_and_the_others_are_counted() {
    let messages = [power("h", 1, 1.0), power("h", 1, 2.0), power("h", 1, 3.0), power("h", 2, 4.0)];
    let (told, _, replaced) = answer("RealPower", None, &messages).unwrap();
    assert_eq!(told["R"]["h"]["RealPower"], json!([3.0, 4.0]));
    assert_eq!(replaced, 2);
}

#[test]
fn the_last_block_comes_with_its_own_points_in_time() {
    let first = block(&["2023-02-01T00:00:00Z"], &[("L1", json!([1]))]);
    let last = block(&["2023-02-01T00:10:00Z", "2023-02-01T00:20:00Z"], &[("L1", json!([2, 3]))]);
    let messages = [message("T", "p", 1, json!({ "C": first })), message("T", "p", 1, json!({ "C": last }))];
    let told = shown("C", &messages);
    assert_eq!(told["T"]["p"]["C"]["L1"], json!([2, 3]));
    assert_eq!(told["TimeIndex"][0]["timestamp"], "2023-02-01T00:10:00Z");
}

#[test]
fn messages_of_one_process_can_be_told_apart_by_a_field() {
    let phase = |node: Value, volts: f64| message("V", "grid", 1, json!({"Node": node, "Magnitude": volts}));
    let messages = [phase(json!(1), 230.0), phase(json!(2), 231.0), phase(json!("N"), 0.5)];
    let (told, header, replaced) = answer("Magnitude", Some("Node"), &messages).unwrap();
    let expected = json!({"grid Node=1": {"Magnitude": [230.0]}, "grid Node=2": {"Magnitude": [231.0]}, "grid Node=N": {"Magnitude": [0.5]}});
    assert_eq!((&told["V"], replaced), (&expected, 0));
    assert_eq!(header[0], "V:grid Node=1.Magnitude");
}

#[test]
fn a_value_of_an_epoch_without_a_start_has_no_time_and_is_not_lost() {
    let told = shown("RealPower", &[power("h", 0, 1.0), power("h", 1, 2.0)]);
    assert_eq!(told["TimeIndex"][0], json!({"epoch": 0, "timestamp": null}));
    assert_eq!(told["R"]["h"]["RealPower"], json!([1.0, 2.0]));
}

#[test]
fn a_path_below_a_single_value_is_refused() {
    for path in ["RealPower.Value", "RealPower.UnitOfMeasure"] {
        let dive = answer(path, None, &[power("h", 1, 1.0)]).unwrap_err();
        assert_eq!(dive, Dive { at: "RealPower".into(), topic: "R".into() });
    }
    assert!(answer("Value.x", None, &[message("S", "p", 1, json!({"Value": "ready"}))]).is_err());
}

#[test]
fn messages_without_an_epoch_or_a_sender_break_nothing() {
    let without_epoch = json!({"Topic": "SimState", "RealPower": 1.0}).as_object().cloned().unwrap();
    let mut nobody = power("h", 1, 1.0);
    nobody.remove("SourceProcessId");
    let told = shown("RealPower", &[without_epoch, nobody]);
    assert_eq!(told["R"], json!({"": {"RealPower": [1.0]}}));
    assert_eq!(told.get("SimState"), None);
}

#[test]
fn an_attribute_that_is_single_here_and_a_block_there_keeps_both() {
    let current = block(&["2023-02-01T01:00:00Z"], &[("L1", json!([2]))]);
    let messages = [message("T", "p", 1, json!({"C": 1})), message("T", "p", 2, json!({ "C": current }))];
    assert_eq!(shown("C", &messages)["T"]["p"], json!({"C": {"C": [1, null], "L1": [null, 2]}}));
}

#[test]
fn blocks_with_holes_and_nonsense_give_null_where_nothing_is() {
    let short = block(&["2023-02-01T00:00:00Z", "2023-02-01T00:30:00Z"], &[("L1", json!([1]))]);
    let no_dates = block(&["soon"], &[("L1", json!([1]))]);
    let messages =
        [message("T", "p", 1, json!({ "C": short })), message("T", "q", 1, json!({ "C": no_dates }))];
    let told = shown("C", &messages);
    assert_eq!(
        (&told["T"]["p"]["C"]["L1"], &told["T"]["q"]["C"]["L1"]),
        (&json!([1, null]), &json!([null, null]))
    );
}

#[test]
fn everything_but_the_header_can_be_asked_for_at_once() {
    let current = block(&["2023-02-01T00:00:00Z"], &[("L1", json!([2]))]);
    let fields = json!({"Type": "X", "MessageId": "p-1", "TriggeringMessageIds": ["a"], "Value": 1,
        "Points": {"tap": {"Value": 3, "Quality": "Good"}}, "Current": current, "Customers": ["c"]});
    let mut series = Series::new(Attributes::All, None);
    series.take(&message("T", "p", 1, fields), start).unwrap();
    let mut header: Vec<String> = series.tree().header().into_iter().map(|(_, title)| title).collect();
    header.sort();
    assert_eq!(header, ["T:p.Current.L1", "T:p.Points.tap.Quality", "T:p.Points.tap.Value", "T:p.Value"]);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z0-9:TZ-]{0,12}".prop_map(Value::from),
        Just(json!("2023-02-01T00:00:00Z")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key =
            prop::sample::select(vec!["Series", "TimeIndex", "Values", "Value", "UnitOfMeasure", "A", "B"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.prop_map(str::to_owned), inner, 0..5)
                .prop_map(|map| map.into_iter().collect::<Fields>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_messages_hold_every_column_is_as_long_as_the_index(
        bodies in prop::collection::vec((0_i64..3, any_value()), 0..8),
        path in "[AB](\\.(A|B|Series|Value)){0,2}",
    ) {
        let mut messages: Vec<Fields> =
            bodies.into_iter().map(|(epoch, body)| message("T", "p", epoch, json!({"A": body}))).collect();
        messages.sort_by_key(|message| message["EpochNumber"].as_i64());
        if let Ok((told, ..)) = answer(&path, None, &messages) {
            let rows = told["TimeIndex"].as_array().unwrap().len();
            let mut stack = vec![told.get("T").cloned().unwrap_or_default()];
            while let Some(next) = stack.pop() {
                match next {
                    Value::Array(cells) => prop_assert_eq!(cells.len(), rows),
                    Value::Object(below) => stack.extend(below.into_iter().map(|(_, value)| value)),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn a_point_of_a_device_that_is_not_good_is_no_value() {
    let point = |epoch: i64, quality: &str| {
        let power = json!({"Value": 7.5, "UnitOfMeasure": "W", "Quality": quality});
        message("D", "pv1", epoch, json!({"Power": power}))
    };
    let told = shown("Power", &[point(1, "Good"), point(2, "CommLost")]);
    assert_eq!(told["D"]["pv1"]["Power"], json!([7.5, null]));
}
