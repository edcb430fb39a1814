//! Every message type before two foreign judges: `simces_messages.py`, which is written from the wire contract, and the
//! Python package jsonschema with the schemas that gridloop ships.
//!
//! The messages are the golden ones, and thousands that are made of them by spoiling some place.

use anyhow::Context;
use gridloop_hil_tests::peers::Peer;
use gridloop_messages::{DecodeError, Decoded, Start, Timestamp, decode, schema, types};
use serde_json::{Value, json};

const GOLDEN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../components/foundation/messages/tests/data/golden");

/// How many spoiled messages the judges see, and in how many portions.
const SPOILED: usize = 6000;
const PORTIONS: usize = 20;

/// The golden messages that belong to SimCES, in the order of their names.
fn golden() -> anyhow::Result<Vec<Value>> {
    let mut paths: Vec<_> =
        std::fs::read_dir(GOLDEN)?.map(|file| Ok(file?.path())).collect::<anyhow::Result<_>>()?;
    paths.sort();
    paths.iter().map(|path| Ok(serde_json::from_slice(&std::fs::read(path)?)?)).collect()
}

const EXTENSIONS: [&str; 4] =
    ["ControlState.TapPosition", "ControlState.VoltageSetpoint", "DeviceState", "EpochOverrun"];

fn is_extension(message: &Value) -> bool {
    EXTENSIONS.iter().any(|extension| message["Type"] == *extension)
}

fn now() -> Timestamp {
    Timestamp::from(chrono::DateTime::UNIX_EPOCH)
}

/// What gridloop sends for a body that it accepts.
fn sent(body: &str) -> Result<Option<String>, DecodeError> {
    let bytes = match decode(body.as_bytes(), now())? {
        Decoded::Message(message) => message.encode(),
        Decoded::General(general) if general.type_name == "Start" => {
            Start::decode(body.as_bytes(), now())?.encode()
        }
        Decoded::General(_) => return Ok(None),
    };
    Ok(bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()))
}

/// What the checker says: why each body is not accepted, and why it should not be sent.
struct Verdicts {
    refused: Vec<Option<String>>,
    not_to_be_sent: Vec<Option<String>>,
}

async fn judge(peer: &mut Peer, bodies: &[String]) -> anyhow::Result<Verdicts> {
    let mut answer = peer.ask("judge", json!({"bodies": bodies})).await?;
    Ok(Verdicts {
        refused: serde_json::from_value(answer["refused"].take())?,
        not_to_be_sent: serde_json::from_value(answer["not_to_be_sent"].take())?,
    })
}

#[tokio::test]
async fn every_golden_message_is_accepted_and_is_in_the_form_to_be_sent() -> anyhow::Result<()> {
    let (mut peer, ready) = Peer::start("simces_messages.py", &[]).await?;
    let known: Vec<String> = serde_json::from_value(ready["types"].clone())?;
    let mut ours: Vec<_> = types().filter(|name| !EXTENSIONS.contains(name)).collect();
    ours.sort_unstable();
    assert_eq!(ours, known, "both know the same types");
    let mut bodies = Vec::new();
    for message in golden()? {
        bodies.push(sent(&message.to_string())?.context("it is not sent")?);
    }
    let verdicts = judge(&mut peer, &bodies).await?;
    for (at, body) in bodies.iter().enumerate() {
        assert_eq!((&verdicts.refused[at], &verdicts.not_to_be_sent[at]), (&None, &None), "{body}");
    }
    Ok(())
}

#[tokio::test]
async fn the_checker_sees_planted_mistakes() -> anyhow::Result<()> {
    let golden = golden()?;
    let planted = |type_name: &str, change: fn(&mut Value)| {
        let mut message = golden.iter().find(|message| message["Type"] == type_name).expect("known").clone();
        change(&mut message);
        message.to_string()
    };
    let refused = [
        planted("Epoch", |it| it["EpochNumber"] = json!(1.0)),
        planted("Epoch", |it| it["EndTime"] = it["StartTime"].clone()),
        planted("Status", |it| it["TriggeringMessageIds"] = json!([])),
        planted("Simple", |it| it["SimpleValue"] = json!(5)),
        planted("ResourceState", |it| it["RealPower"] = json!(5)),
        planted("ResourceState", |it| it["RealPower"]["UnitOfMeasure"] = json!("MW")),
        planted("ResourceForecastState.Power", |it| it["Forecast"]["Note"] = json!(1)),
        planted("ResourceForecastState.Dispatch", |it| drop(it["Dispatch"]["grid"]["Series"].take())),
        planted("Init.NIS.NetworkBusInfo", |it| it["BusType"][1] = json!("root")),
        planted("DMSNetworkStatus.Voltage", |it| it["VoltageStatus"][0]["Status"] = json!("fine")),
        planted("SelectedOffer", |it| it["OfferIds"] = json!([])),
        planted("Start", |it| drop(it["ProcessParameters"]["SimulationManager"].take())),
    ];
    let not_to_be_sent = [
        planted("Status", |it| it["Description"] = json!(" ")),
        planted("Epoch", |it| it["StartTime"] = json!("2024-02-29T23:45:00Z")),
        planted("ResourceState", |it| it["RealPower"]["Value"] = json!(5)),
        planted("ResourceState", |it| it["Node"] = Value::Null),
        planted("ResourceForecastState.Power", |it| {
            it["Forecast"]["Series"]["RealPower"]["Values"][0] = json!(1)
        }),
        planted("Init.NIS.NetworkBusInfo", |it| it["BusVoltageBase"] = json!([20.0, 0.4, 0.4])),
        planted("LFMOffering", |it| drop(it.as_object_mut().and_then(|it| it.remove("Price")))),
        planted("Offer", |it| it["OfferCount"] = json!(2.0)),
    ];
    let (mut peer, _) = Peer::start("simces_messages.py", &[]).await?;
    for (body, why) in refused.iter().zip(judge(&mut peer, &refused).await?.refused) {
        assert!(why.is_some(), "accepted: {body}");
    }
    let verdicts = judge(&mut peer, &not_to_be_sent).await?;
    for (at, body) in not_to_be_sent.iter().enumerate() {
        assert_eq!(verdicts.refused[at], None, "{body}");
        assert!(verdicts.not_to_be_sent[at].is_some(), "to be sent: {body}");
    }
    Ok(())
}

/// Puts values in, takes members out and repeats items, at places that a seeded generator chooses.
fn spoiled(golden: &[Value], random: &mut fastrand::Rng) -> String {
    let strange = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(2.5),
        json!(-1.0),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("1"),
        json!(" 2.5 "),
        json!("nan"),
        json!("neutral"),
        json!("root"),
        json!("kW"),
        json!([]),
        json!({}),
        json!([1.0]),
        json!([1]),
        json!(["a"]),
        json!({"Value": 1, "UnitOfMeasure": "kW"}),
        json!("2024-03-01"),
        json!("2024-03-01T07:15:00.000001+01:00"),
        json!("2024-03-01T06:15:00.1Z"),
    ];
    let mut message = golden[random.usize(..golden.len())].clone();
    for _ in 0..random.usize(1..=3) {
        let mut places = Vec::new();
        pointers(&message, "", &mut places);
        let place = &places[random.usize(..places.len())];
        let value = strange[random.usize(..strange.len())].clone();
        // The type stays, so that a spoiled message is judged as what it was.
        match (random.u8(..3), message.pointer_mut(place)) {
            (0, Some(Value::Object(members))) => {
                let names: Vec<_> = members.keys().filter(|name| *name != "Type").cloned().collect();
                names.get(random.usize(..names.len().max(1))).map(|name| members.remove(name));
            }
            (1, Some(Value::Object(members))) => drop(members.insert("Extra".to_owned(), value)),
            (0, Some(Value::Array(items))) => drop(items.pop()),
            (1, Some(Value::Array(items))) => items.push(items.first().cloned().unwrap_or(value)),
            (_, Some(member)) if !place.is_empty() && place != "/Type" => *member = value,
            _ => {}
        }
    }
    message.to_string()
}

/// JSON pointers to a value and to everything inside it.
fn pointers(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, inner)| pointers(inner, &format!("{here}/{name}"), all));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, inner)| pointers(inner, &format!("{here}/{at}"), all));
        }
        _ => {}
    }
}

/// Where gridloop refuses on purpose what a Python class lets pass, because its users would fail on it.
fn stricter_on_purpose(error: &DecodeError) -> bool {
    let DecodeError::Field { expected, found, .. } = error else { return false };
    // Arrays that belong together have one length (NIS, CIS), and named series are numbers. Nobody counts beyond 2^53,
    // and a bare number beyond 2^63 may have been an integer, which is no quantity.
    let beyond =
        found == "the number 1e300" && (expected == "an integer from 0" || expected.contains("quantity"));
    expected.starts_with("as many elements as") || expected == "numbers" || beyond
}

#[tokio::test]
async fn a_spoiled_message_is_refused_by_both_or_by_neither() -> anyhow::Result<()> {
    let golden: Vec<_> = golden()?.into_iter().filter(|message| !is_extension(message)).collect();
    let (mut peer, _) = Peer::start("simces_messages.py", &[]).await?;
    let mut random = fastrand::Rng::with_seed(20_250_601);
    let (mut accepted, mut refused, mut stricter, mut resent) = (0, 0, 0, 0);
    let mut disputed = Vec::new();
    for _ in 0..PORTIONS {
        let bodies: Vec<_> = (0..SPOILED / PORTIONS).map(|_| spoiled(&golden, &mut random)).collect();
        let verdicts = judge(&mut peer, &bodies).await?;
        let mut again = Vec::new();
        for (body, why) in bodies.iter().zip(verdicts.refused) {
            match (sent(body), why) {
                (Ok(body), None) => {
                    accepted += 1;
                    again.extend(body);
                }
                (Err(_), Some(_)) => refused += 1,
                (Err(error), None) if stricter_on_purpose(&error) => stricter += 1,
                (Ok(_), Some(why)) => disputed.push(format!("accepted though {why}: {body}")),
                (Err(error), None) => disputed.push(format!("refused though sound, {error}: {body}")),
            }
        }
        resent += again.len();
        for (body, why) in again.iter().zip(judge(&mut peer, &again).await?.not_to_be_sent) {
            assert_eq!(why, None, "sent: {body}");
        }
    }
    assert!(
        disputed.is_empty(),
        "{} disputed, such as:\n{}",
        disputed.len(),
        disputed[..disputed.len().min(9)].join("\n")
    );
    let figures = [accepted, refused, stricter, resent];
    assert!(figures.iter().all(|figure| *figure > 30), "too few to tell: {figures:?}");
    Ok(())
}

#[tokio::test]
async fn the_schemas_take_every_golden_message_and_no_planted_mistake() -> anyhow::Result<()> {
    let schemas: serde_json::Map<_, _> =
        types().filter_map(|name| Some((name.to_owned(), schema(name)?))).collect();
    let (mut peer, _) = Peer::start("simces_messages.py", &[]).await?;
    let golden = golden()?;
    let bodies: Vec<_> = golden.iter().map(Value::to_string).collect();
    let answer = peer.ask("validate", json!({"schemas": schemas, "bodies": bodies})).await?;
    assert_eq!(answer["refused"], json!(vec![Value::Null; bodies.len()]));
    // Every field of every message with a value that no field has, and every message without what it must have.
    let mut wrong = Vec::new();
    for message in &golden {
        let free = message["Type"] == "Result";
        for name in message.as_object().into_iter().flat_map(serde_json::Map::keys) {
            let mut changed = message.clone();
            changed[name] = json!([[{"?": 1}]]);
            let known = name != "Type" && !(free && ["Note", "Watts", "Deep"].contains(&name.as_str()));
            wrong.extend(known.then(|| changed.to_string()));
        }
        let mut nameless = message.clone();
        nameless.as_object_mut().and_then(|members| members.remove("SimulationId")).context("no id")?;
        wrong.push(nameless.to_string());
    }
    let answer = peer.ask("validate", json!({"schemas": schemas, "bodies": wrong})).await?;
    let refused: Vec<Option<String>> = serde_json::from_value(answer["refused"].clone())?;
    for (body, why) in wrong.iter().zip(refused) {
        assert!(why.is_some(), "taken: {body}");
    }
    Ok(())
}
