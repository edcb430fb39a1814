//! [`SetpointSeries`]: which commands are published when.

use crate::{File, step};
use gridloop_component::Output;
use gridloop_messages::Body;
use gridloop_resources::{SeriesError, SetpointSeries, SetpointSeriesSettings};

fn series(file: &File) -> Result<SetpointSeries, SeriesError> {
    SetpointSeries::new(&SetpointSeriesSettings { file: file.path(), delimiter: ',' })
}

fn flaws_of(content: &str) -> String {
    let file = File::new(content);
    file.short(&series(&file).unwrap_err())
}

/// `topic value`, one for each output of the epoch.
fn published(series: &mut SetpointSeries, epoch: u64) -> Vec<String> {
    let text = |output: Output| match output.body {
        Body::PowerSetpoint(it) => {
            format!("{} {} {}", output.topic, it.real_power_kw, it.reactive_power_kvar)
        }
        Body::TapPosition(it) => format!("{} {}", output.topic, it.tap_position),
        Body::VoltageSetpoint(it) => format!("{} {}", output.topic, it.voltage_kv),
        other => panic!("{other:?}"),
    };
    step(series, epoch).unwrap().into_iter().map(text).collect()
}

#[test]
fn a_command_is_published_from_its_epoch_on_until_it_is_replaced_or_released() {
    let file = File::new(
        "Epoch,Resource,RealPower,ReactivePower,TapPosition,Voltage\n\
         2,pv1,3.5,-1,,\n\
         2,oltc1,,,-4,\n\
         3,pv1,2,,,\n\
         4,oltc1,,,,0.235\n\
         5,pv1,,,,\n",
    );
    let mut series = series(&file).unwrap();
    assert_eq!(series.resources(), ["oltc1", "pv1"]);
    assert!(published(&mut series, 1).is_empty());
    let tap = "ControlState.TapPosition.oltc1 -4";
    assert_eq!(published(&mut series, 2), [tap, "ControlState.PowerSetpoint.pv1 3.5 -1"]);
    assert_eq!(published(&mut series, 3), [tap, "ControlState.PowerSetpoint.pv1 2 0"]);
    let voltage = "ControlState.VoltageSetpoint.oltc1 0.235";
    assert_eq!(published(&mut series, 4), [voltage, "ControlState.PowerSetpoint.pv1 2 0"]);
    assert_eq!(published(&mut series, 5), [voltage]);
    assert_eq!(published(&mut series, 1_000), [voltage]);
}

#[test]
fn a_command_that_is_published_again_says_since_which_epoch_it_holds() {
    let file = File::new("Epoch,Resource,RealPower\n2,pv1,3.5\n5,pv1,2\n");
    let mut series = series(&file).unwrap();
    let since: Vec<_> =
        (2..=6).map(|epoch| step(&mut series, epoch).unwrap()[0].last_updated_in_epoch).collect();
    assert_eq!(since, [None, Some(2), Some(2), None, Some(5)]);
}

#[test]
fn rows_may_stand_in_any_order_and_columns_that_are_not_needed_may_be_absent() {
    let file = File::new("Resource,TapPosition,Epoch\noltc1,2,7\noltc1,1,3\n");
    let mut series = series(&file).unwrap();
    assert_eq!(published(&mut series, 3), ["ControlState.TapPosition.oltc1 1"]);
    assert_eq!(published(&mut series, 7), ["ControlState.TapPosition.oltc1 2"]);
}

#[test]
fn commands_of_epochs_that_were_passed_over_count() {
    let file = File::new("Epoch,Resource,RealPower\n1,a,1\n2,a,2\n2,b,5\n3,b,\n");
    assert_eq!(published(&mut series(&file).unwrap(), 4), ["ControlState.PowerSetpoint.a 2 0"]);
}

#[test]
fn every_flaw_of_the_rows_is_told_with_its_place() {
    let content = "\
Epoch,Resource,RealPower,ReactivePower,TapPosition,Voltage
0,pv1,1,,,
x,pv.1,1,,,
1,,1,,,
1,pv1,1,,2,
1,pv1,,5,,
1,pv1,1,x,,
1,oltc1,,,2.5,
1,oltc1,,,9999999999,
1,oltc1,,,,NaN
";
    let expected = "\
x.csv:2:1: expected a whole number from 1 in column Epoch, found `0`
x.csv:3:1: expected a whole number from 1 in column Epoch, found `x`
x.csv:3:3: expected a name without blanks and `.`, `,`, `#`, `*` in column Resource, found `pv.1`
x.csv:4:3: expected a name without blanks and `.`, `,`, `#`, `*` in column Resource, found an empty cell
x.csv:5:1: expected one of power, TapPosition and Voltage, found more than one
x.csv:6:7: expected a finite number with a decimal point (kW) in column RealPower, found an empty cell
x.csv:7:9: expected a finite number with a decimal point (kV.A{r}) in column ReactivePower, found `x`
x.csv:8:11: expected a whole number of 32 bits in column TapPosition, found `2.5`
x.csv:9:11: expected a whole number of 32 bits in column TapPosition, found `9999999999`
x.csv:10:12: expected a finite number with a decimal point (kV) in column Voltage, found `NaN`";
    assert_eq!(flaws_of(content), expected);
}

#[test]
fn missing_columns_are_named() {
    let expected = "\
x.csv:1:1: expected a column Epoch in the header row, found Voltage
x.csv:1:1: expected a column Resource in the header row, found Voltage";
    assert_eq!(flaws_of("Voltage\n"), expected);
}

#[test]
fn reactive_power_needs_a_column_of_real_power() {
    let expected = "x.csv:2:1: expected a RealPower beside the ReactivePower, found no such column";
    assert_eq!(flaws_of("Epoch,Resource,ReactivePower\n1,pv1,2\n"), expected);
}

#[test]
fn a_misspelled_command_column_is_no_release_of_everything() {
    let expected = "x.csv:2:1: expected a command for pv1, found a release of what has no command";
    assert_eq!(flaws_of("Epoch,Resource,Realpower\n1,pv1,2\n"), expected);
}

#[test]
fn two_rows_for_one_resource_in_one_epoch_are_a_flaw() {
    let expected = "x.csv:4:1: expected one row for pv1 in epoch 1, found another in line 2";
    assert_eq!(flaws_of("Epoch,Resource,RealPower\n1,pv1,2\n1,pv2,2\n1,pv1,3\n"), expected);
}

#[test]
fn a_release_after_a_release_is_a_flaw() {
    let expected = "x.csv:4:1: expected a command for pv1, found a release of what has no command";
    assert_eq!(flaws_of("Epoch,Resource,RealPower\n1,pv1,2\n2,pv1,\n3,pv1,\n"), expected);
}
