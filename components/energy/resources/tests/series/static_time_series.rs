//! [`StaticTimeSeries`]: wire contract 6.1.

use crate::{File, step};
use gridloop_component::{Component, Fault};
use gridloop_messages::{Body, ResourceState};
use gridloop_resources::{
    MAX_FILE_BYTES, RESOURCE_STATE_TOPIC, ResourceType, SeriesError, SeriesFile, StaticTimeSeries,
    StaticTimeSeriesSettings,
};
use proptest::prelude::*;
use std::error::Error;
use std::path::PathBuf;

fn load_from(file: PathBuf, delimiter: char) -> Result<StaticTimeSeries, SeriesError> {
    let topic = RESOURCE_STATE_TOPIC.into();
    let series = SeriesFile { delimiter, ..SeriesFile::new(file) };
    let settings = StaticTimeSeriesSettings { resource_type: ResourceType::Load, series, topic };
    StaticTimeSeries::new("home1", &settings)
}

fn load(file: &File) -> Result<StaticTimeSeries, SeriesError> {
    load_from(file.path(), ',')
}

fn states(series: &mut StaticTimeSeries, epochs: u64) -> Vec<ResourceState> {
    let state = |number| match step(series, number).unwrap().remove(0).body {
        Body::ResourceState(state) => state,
        other => panic!("{other:?}"),
    };
    (1..=epochs).map(state).collect()
}

fn flaws_of(content: &str) -> String {
    let file = File::new(content);
    file.short(&load(&file).unwrap_err())
}

#[test]
fn each_epoch_publishes_its_row_with_the_sign_unchanged() {
    let file =
        File::new("Epoch,RealPower,ReactivePower,Node,CustomerId\n1,-0.80,-0.10,2,c7\n2,0.65,1e-1,,c8\n");
    let mut series = load(&file).unwrap();
    let output = step(&mut series, 1).unwrap().remove(0);
    assert_eq!((output.topic.as_str(), output.warnings.len()), ("ResourceState.Load.home1", 0));
    let states = states(&mut series, 2);
    let state = ResourceState {
        customer_id: "c7".into(),
        real_power_kw: -0.8,
        reactive_power_kvar: -0.1,
        node: Some(2),
        state_of_charge_percent: None,
    };
    assert_eq!(states[0], state);
    assert_eq!((states[1].customer_id.as_str(), states[1].node), ("c8", None));
    assert_eq!((states[1].real_power_kw, states[1].reactive_power_kvar), (0.65, 0.1));
    assert_eq!(series.epochs(), 2);
}

#[test]
fn a_generator_has_its_own_topic_and_its_beginning_can_be_another() {
    let file = File::new("RealPower,ReactivePower,CustomerId\n3,0,7\n");
    let settings = StaticTimeSeriesSettings {
        resource_type: ResourceType::Generator,
        series: SeriesFile::new(file.path()),
        topic: "Measured.State".into(),
    };
    let mut series = StaticTimeSeries::new("pv", &settings).unwrap();
    assert_eq!(step(&mut series, 1).unwrap()[0].topic, "Measured.State.Generator.pv");
}

#[test]
fn a_byte_order_mark_other_columns_blanks_and_windows_line_ends_are_taken() {
    let file = File::new(
        "\u{feff}RealPower,Remark, ReactivePower ,CustomerId\r\n -1 ,\"no, really\",0,7\r\n\r\n-2,,0,7\r\n",
    );
    let states = states(&mut load(&file).unwrap(), 2);
    assert_eq!(states.iter().map(|state| state.real_power_kw).collect::<Vec<_>>(), [-1.0, -2.0]);
}

#[test]
fn the_delimiter_can_be_any_ascii_character_that_can_stand_between_cells() {
    for delimiter in [';', '\t', '|'] {
        let content = "RealPower,ReactivePower,CustomerId\n1,0,7\n".replace(',', &delimiter.to_string());
        let file = File::new(content);
        assert_eq!(load_from(file.path(), delimiter).unwrap().epochs(), 1);
    }
    for delimiter in ['"', '\n', '\r', '\0', 'ä', '→'] {
        let file = File::new("RealPower,ReactivePower,CustomerId\n1,0,7\n");
        let error = file.short(&load_from(file.path(), delimiter).unwrap_err());
        let expected = "x.csv: expected one ASCII character other than `\"` and line ends as the delimiter";
        assert_eq!(error, format!("{expected}, found {delimiter:?}"));
    }
}

#[test]
fn an_epoch_without_a_row_is_a_fault_that_says_where_the_file_ends() {
    let file = File::new("RealPower,ReactivePower,CustomerId\n1,0,7\n\n2,0,7\n");
    let mut series = load(&file).unwrap();
    let fault = step(&mut series, 3).unwrap_err();
    let expected = "x.csv:5:1: expected a row for epoch 3, found the end of the file after 2 rows";
    assert_eq!(file.short(&fault), expected);
    assert!(step(&mut series, u64::MAX).is_err());
    let empty = File::new("RealPower,ReactivePower,CustomerId\n");
    let fault = step(&mut load(&empty).unwrap(), 1).unwrap_err();
    let expected = "x.csv:2:1: expected a row for epoch 1, found the end of the file after 0 rows";
    assert_eq!(empty.short(&fault), expected);
}

#[test]
fn an_epoch_that_was_passed_over_does_not_shift_the_rows() {
    let file = File::new("RealPower,ReactivePower,CustomerId\n1,0,7\n2,0,7\n3,0,7\n");
    let mut series = load(&file).unwrap();
    step(&mut series, 1).unwrap();
    let output = step(&mut series, 3).unwrap().remove(0);
    assert!(matches!(output.body, Body::ResourceState(state) if state.real_power_kw == 3.0));
}

#[test]
fn every_missing_column_is_named() {
    let expected = "\
x.csv:1:1: expected a column ReactivePower in the header row, found RealPower, reactivePower
x.csv:1:1: expected a column CustomerId in the header row, found RealPower, reactivePower";
    assert_eq!(flaws_of("RealPower,reactivePower\n1,2\n"), expected);
}

#[test]
fn an_empty_file_is_no_series() {
    assert_eq!(flaws_of(""), "x.csv:1:1: expected a header row, found an empty file");
}

#[test]
fn a_column_that_is_there_twice_is_a_flaw() {
    let expected = "x.csv:1:36: expected one column RealPower, found a second one";
    assert_eq!(flaws_of("RealPower,ReactivePower,CustomerId,RealPower\n"), expected);
}

#[test]
fn every_flaw_of_the_rows_is_told_with_its_place() {
    let content = "\
RealPower,ReactivePower,CustomerId,Node
1,NaN,7,1
abc,0,,4

inf,\"1
\",7,
1,2
\"a,b\",,7,1e0
";
    let expected = "\
x.csv:2:3: expected a finite number with a decimal point (kV.A{r}) in column ReactivePower, found `NaN`
x.csv:3:1: expected a finite number with a decimal point (kW) in column RealPower, found `abc`
x.csv:3:7: expected a name in column CustomerId, found an empty cell
x.csv:3:8: expected 1, 2, 3 or an empty cell in column Node, found `4`
x.csv:5:1: expected a finite number with a decimal point (kW) in column RealPower, found `inf`
x.csv:7:1: expected 4 cells as in the header row, found 2
x.csv:8:1: expected a finite number with a decimal point (kW) in column RealPower, found `a,b`
x.csv:8:7: expected a finite number with a decimal point (kV.A{r}) in column ReactivePower, found an empty cell
x.csv:8:10: expected 1, 2, 3 or an empty cell in column Node, found `1e0`";
    assert_eq!(flaws_of(content), expected);
    let windows = content.replace('\n', "\r\n");
    assert_eq!(flaws_of(&windows), expected);
}

#[test]
fn a_decimal_comma_is_never_read_as_two_cells() {
    let expected = "x.csv:2:1: expected 3 cells as in the header row, found 4";
    assert_eq!(flaws_of("RealPower,ReactivePower,CustomerId\n1,5,0,7\n"), expected);
}

#[test]
fn a_number_too_large_for_a_double_is_not_finite() {
    assert!(flaws_of("RealPower,ReactivePower,CustomerId\n1e999,0,7\n").contains("found `1e999`"));
}

#[test]
fn a_number_that_no_power_has_is_refused_for_means_of_it_would_be_none() {
    let told = flaws_of("RealPower,ReactivePower,CustomerId\n-1e15,0,c\n1.1e15,0,c\n");
    assert_eq!(
        told,
        "x.csv:3:1: expected a number from -1e15 to 1e15 (kW) in column RealPower, found `1.1e15`"
    );
}

#[test]
fn a_header_of_more_columns_than_any_series_has_is_refused() {
    let told = flaws_of(&format!("RealPower,ReactivePower,CustomerId{}\n", ",x".repeat(20_000)));
    assert_eq!(told, "x.csv:1:1: expected at most 20000 columns, found 20003");
}

#[test]
fn of_many_flaws_the_first_hundred_are_told_and_the_others_counted() {
    let content = format!("RealPower,ReactivePower,CustomerId\n{}", "x,0,7\n".repeat(250));
    let file = File::new(content);
    let error = load(&file).unwrap_err();
    assert!(error.to_string().ends_with("\nand 150 more"));
    let SeriesError::Content(flaws) = error else { panic!("{error:?}") };
    assert_eq!((flaws.listed().len(), flaws.unlisted()), (100, 150));
    assert_eq!((flaws.listed()[99].line, flaws.listed()[99].column), (101, 1));
}

#[test]
fn other_bytes_than_utf_8_are_found_with_their_place() {
    let file = File::new(b"RealPower,ReactivePower,CustomerId\n1,0,M\xfcller\n");
    let expected = "x.csv:2:6: expected UTF-8 text, found other bytes";
    assert_eq!(file.short(&load(&file).unwrap_err()), expected);
}

#[test]
fn a_file_that_is_not_there_is_named_with_the_reason() {
    let file = File::new("");
    let error = load_from(file.folder.path().join("none.csv"), ',').unwrap_err();
    assert_eq!(file.short(&error), "none.csv: cannot be read");
    assert!(error.source().is_some());
    let mut component = Err::<StaticTimeSeries, _>(Fault::from(error));
    let fault = component.start().unwrap_err();
    assert!(fault.description().contains("none.csv: cannot be read: No such file"), "{fault}");
}

#[test]
fn a_file_beyond_the_bound_is_not_read() {
    let file = File::new("");
    std::fs::File::options().write(true).open(file.path()).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    let error = load(&file).unwrap_err();
    assert!(matches!(&error, SeriesError::TooLarge { .. }));
    assert_eq!(file.short(&error), "x.csv: expected at most 67108864 bytes, found more");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_file_holds_it_is_read_or_refused_with_places_in_it(
        rows in "(RealPower|ReactivePower|CustomerId|[0-9a-z.,;\"\r\n -]|\u{feff}|ä){0,120}",
        header in any::<bool>(),
    ) {
        let header = if header { "RealPower,ReactivePower,CustomerId\n" } else { "" };
        let content = format!("{header}{rows}");
        let lines = u64::try_from(content.matches('\n').count()).unwrap() + 1;
        let file = File::new(&content);
        match load(&file) {
            Ok(mut series) => {
                let epochs = u64::try_from(series.epochs()).unwrap();
                prop_assert_eq!(states(&mut series, epochs).len(), series.epochs());
            }
            Err(SeriesError::Content(flaws)) => {
                prop_assert!(!flaws.listed().is_empty());
                prop_assert!(flaws.listed().iter().all(|it| it.line <= lines && it.line > 0 && it.column > 0));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
