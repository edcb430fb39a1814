//! The tables of SunSpec models against pysunspec2's copy of the published definitions.

use gridloop_hil_tests::peers::Peer;
use gridloop_modbus::sunspec::models::{Kind, Model, Point, models};
use serde_json::{Value, json};

/// The models that gridloop is to know.
const KNOWN: [u16; 21] =
    [1, 101, 102, 103, 111, 112, 113, 120, 121, 122, 123, 124, 160, 701, 702, 703, 704, 713, 714, 715, 802];

#[tokio::test]
async fn every_point_of_every_model_is_as_sunspec_publishes_it() -> anyhow::Result<()> {
    let (mut pysunspec2, _) = Peer::start("sunspec_models.py", &[]).await?;
    let known: Vec<u16> = models().iter().map(|model| model.id).collect();
    assert_eq!(known, KNOWN);
    for Model { id, points, group, .. } in models() {
        let answer = pysunspec2.ask("points", json!({ "number": id })).await?;
        compare(*id, points, &answer["points"]);
        let repeated = answer["repeated"].as_object().cloned().unwrap_or_default();
        let names: Vec<&str> = repeated.keys().map(String::as_str).collect();
        assert_eq!(names, group.iter().map(|group| group.name).collect::<Vec<_>>(), "groups of model {id}");
        if let Some(group) = group {
            compare(*id, group.points, &repeated[group.name]);
        }
    }
    Ok(())
}

fn compare(id: u16, points: &[Point], published: &Value) {
    let published = published.as_array().cloned().unwrap_or_default();
    assert_eq!(points.len(), published.len(), "points of model {id}");
    for (point, published) in points.iter().zip(published) {
        assert_eq!(facts(point), published, "{} of model {id}", point.name);
    }
}

fn facts(point: &Point) -> Value {
    json!({
        "name": point.name,
        "offset": point.offset,
        "size": point.kind.registers(),
        "type": spelling(point.kind),
        "scale": point.scale,
        "units": point.unit,
        "writable": point.writable,
    })
}

/// The type as SunSpec spells it.
fn spelling(kind: Kind) -> &'static str {
    match kind {
        Kind::Int16 => "int16",
        Kind::Uint16 => "uint16",
        Kind::Int32 => "int32",
        Kind::Uint32 => "uint32",
        Kind::Uint64 => "uint64",
        Kind::Count => "count",
        Kind::Acc32 => "acc32",
        Kind::Acc64 => "acc64",
        Kind::Enum16 => "enum16",
        Kind::Bitfield16 => "bitfield16",
        Kind::Bitfield32 => "bitfield32",
        Kind::Float32 => "float32",
        Kind::ScaleFactor => "sunssf",
        Kind::Text(_) => "string",
        Kind::Pad => "pad",
    }
}
