//! The tables of SunSpec models against pysunspec2's copy of the published definitions.

use gridloop_hil_tests::peers::Peer;
use gridloop_modbus::sunspec::models::{Kind, Model, Point, models};
use serde_json::{Value, json};

#[tokio::test]
async fn every_point_of_every_model_is_as_sunspec_publishes_it() -> anyhow::Result<()> {
    let (mut pysunspec2, _) = Peer::start("sunspec_models.py", &[]).await?;
    for Model { id, points, .. } in models() {
        let answer = pysunspec2.ask("points", json!({ "number": id })).await?;
        let published: Vec<Value> = answer["points"].as_array().cloned().unwrap_or_default();
        assert_eq!(points.len(), published.len(), "points of model {id}");
        for (point, published) in points.iter().zip(published) {
            assert_eq!(facts(point), published, "{} of model {id}", point.name);
        }
    }
    Ok(())
}

fn facts(point: &Point) -> Value {
    json!({
        "name": point.name,
        "offset": point.offset,
        "size": point.kind.registers(),
        "type": spelling(point.kind),
        "scale": point.scale,
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
