//! Time series over HTTP.

use crate::rig::Rig;
use serde_json::json;

#[test]
fn csv_has_semicolons_and_crlf_and_json_has_columns() {
    let rig = Rig::small();
    let csv = rig.of_run("/timeseries?attrs=RealPower&format=csv&topic=ResourceState.%23");
    assert_eq!((csv.status, csv.header("content-type")), (200, Some("text/csv")));
    let expected = "epoch;timestamp;ResourceState.Load.home1:home1.RealPower;ResourceState.Load.home2:home2.RealPower\r\n\
                    1;2023-02-01T00:00:00Z;-0.8;-1.25\r\n2;2023-02-01T00:15:00Z;-0.8;-1.25\r\n3;2023-02-01T00:30:00Z;-0.8;-1.25\r\n";
    assert_eq!(csv.text(), expected);
    let told = rig.of_run("/timeseries?attrs=RealPower&process=home1&epoch=2");
    let expected = "{\n    \"ResourceState.Load.home1\": {\n        \"home1\": {\n            \"RealPower\": [\n                \
                    -0.8\n            ]\n        }\n    },\n    \"TimeIndex\": [\n        {\n            \"epoch\": 2,\n            \
                    \"timestamp\": \"2023-02-01T00:15:00Z\"\n        }\n    ]\n}";
    assert_eq!(told.text(), expected);
    assert_eq!(told.header("x-replaced-values"), None);
}

#[test]
fn an_empty_series_is_told_as_such() {
    let rig = Rig::small();
    assert_eq!(rig.of_run("/timeseries?attrs=RealPower&epoch=9").text(), "{\n    \"TimeIndex\": []\n}");
    assert_eq!(rig.of_run("/timeseries?attrs=RealPower&epoch=9&format=csv").text(), "epoch;timestamp\r\n");
}

#[test]
fn epoch_zero_has_no_time_but_is_told() {
    let rig = Rig::small();
    let told = rig.of_run("/timeseries?attrs=Value").json();
    assert_eq!(told["TimeIndex"], json!([{"epoch": 0, "timestamp": null}]));
    assert_eq!(told["Status.Ready"]["home1"]["Value"], json!(["ready"]));
    assert_eq!(told["Epoch"]["manager"], json!({}));
    assert_eq!(
        rig.of_run("/timeseries?attrs=Value&format=csv").text(),
        "epoch;timestamp;Status.Ready:home1.Value\r\n0;;ready\r\n"
    );
}

#[test]
fn values_that_gave_way_are_counted_and_can_be_told_apart() {
    let rig = Rig::small();
    for format in ["json", "csv"] {
        let told = rig.of_run(&format!("/timeseries?attrs=Volts&format={format}"));
        assert_eq!(told.header("x-replaced-values"), Some("6"));
    }
    let told = rig.of_run("/timeseries?attrs=Volts&by=Node");
    assert_eq!(told.header("x-replaced-values"), None);
    assert_eq!(told.json()["Measured.b1"]["grid Node=2"]["Volts"], json!([232.5, 232.5, 232.5]));
}

#[test]
fn a_series_is_told_page_by_page() {
    let rig = Rig::small();
    let whole = rig.of_run("/timeseries?attrs=RealPower&format=csv&process=home1").text();
    let mut rows = Vec::new();
    let mut next = Some(
        "/simulations/2024-03-01T08:00:00.000Z/timeseries?attrs=RealPower&format=csv&process=home1&limit=2"
            .to_owned(),
    );
    while let Some(target) = next {
        let page = rig.get(&target);
        rows.extend(page.text().split("\r\n").skip(1).filter(|row| !row.is_empty()).map(str::to_owned));
        next = page.next();
    }
    let expected: Vec<&str> = whole.split("\r\n").skip(1).filter(|row| !row.is_empty()).collect();
    assert_eq!(rows, expected);
    // Epoch 0 has a row of its own in a series of everything; pages begin with it.
    let first = rig.of_run("/timeseries?attrs=Value&limit=1");
    assert_eq!(first.json()["TimeIndex"][0]["epoch"], 0);
}
