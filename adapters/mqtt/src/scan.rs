//! What is to be heard at a broker: [`scan`] listens for a while and gives a [`ScanReport`].
//!
//! It publishes nothing. Devices of the `gridloop` profile are known by their nameplate; all other topics are listed
//! with the last thing that was said there, which is what a mapped profile is written from.

use crate::broker::BrokerSettings;
use crate::heard::Heard;
use crate::session::{Hello, Peer, Publication, Session};
use crate::wire::{Part, Topics};
use gridloop_clock::{MonoTime, SharedClock, until};
use gridloop_device::{DeviceError, FailSafe, Quality};
use rumqttc::mqttbytes::v4::Publish;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Topics that are remembered; further ones are counted only.
const MOST_TOPICS: usize = 1000;

/// What is shown of a message, in characters.
const MOST_SHOWN: usize = 120;

/// Longest wait for the broker itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where to listen.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanSettings {
    /// The broker.
    pub broker: BrokerSettings,
    /// What the topics begin with; empty for all topics.
    pub prefix: String,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScanReport {
    /// The broker.
    pub broker: String,
    /// How long it was listened to, in s.
    pub heard_for_s: f64,
    /// Devices of the `gridloop` profile.
    pub devices: Vec<ScannedDevice>,
    /// All other topics, in their order.
    pub topics: Vec<ScannedTopic>,
    /// Topics beyond those.
    pub left_out: usize,
    /// Why it ended before its time, if it did.
    pub ended: Option<String>,
}

/// A device of the `gridloop` profile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScannedDevice {
    /// What its topics begin with.
    pub prefix: String,
    /// Its own name.
    pub device_id: String,
    /// Manufacturer, model, serial number.
    pub identity: String,
    /// Whether it says that it is there.
    pub online: bool,
    /// Lowest and highest real power in W, and the most reactive power in var, if it takes any.
    pub power: Option<(f64, f64, f64)>,
    /// What it does by itself when commands cease, in words.
    pub fail_safe: String,
    /// Its newest values.
    pub points: Vec<ScannedPoint>,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScannedPoint {
    /// Its name.
    pub name: String,
    /// The number.
    pub value: f64,
    /// The unit's UCUM code.
    pub unit: &'static str,
    /// How good it is.
    pub quality: Quality,
}

/// A topic that belongs to no device of the `gridloop` profile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScannedTopic {
    /// The topic.
    pub topic: String,
    /// Messages heard.
    pub messages: u64,
    /// Whether the broker keeps its last message.
    pub retained: bool,
    /// What was said last, cut and without control characters.
    pub last: String,
}

/// Listens to a broker for a while.
///
/// # Errors
/// When the broker cannot be reached, or does not permit it.
pub async fn scan(
    settings: ScanSettings,
    clock: SharedClock,
    for_how_long: Duration,
) -> Result<ScanReport, DeviceError> {
    let filter = if settings.prefix.is_empty() { "#".to_owned() } else { format!("{}/#", settings.prefix) };
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let client_id = format!("gridloop-{:014x}", fastrand::u64(..) >> 8);
    let hello = Hello { client_id, will: None, filters: vec![filter] };
    let address = settings.broker.address.to_string();
    let begun = clock.now();
    let session = Session::open(&settings.broker, hello, Ear(Arc::clone(&ledger)), &clock, PATIENCE).await;
    let session = session.map_err(|error| error.during(&format!("listen to {address}")))?;
    let ended = until(&*clock, clock.now() + for_how_long, session.ended()).await;
    drop(session);
    let heard_for = clock.now().since(begun);
    let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(ledger.report(address, heard_for, ended.map(|error| error.to_string())))
}

struct Ear(Arc<Mutex<Ledger>>);

impl Peer for Ear {
    fn heard(&mut self, message: &Publish, now: MonoTime) -> Vec<Publication> {
        let mut ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.take(&message.topic, &message.payload, message.retain, now);
        Vec::new()
    }
}

/// Everything that was said, by topic.
#[derive(Debug, Default)]
struct Ledger {
    topics: BTreeMap<String, Entry>,
    left_out: usize,
}

#[derive(Debug)]
struct Entry {
    messages: u64,
    retained: bool,
    last: Vec<u8>,
    last_retained: bool,
    at: MonoTime,
}

impl Ledger {
    fn take(&mut self, topic: &str, payload: &[u8], retained: bool, at: MonoTime) {
        if !self.topics.contains_key(topic) && self.topics.len() >= MOST_TOPICS {
            self.left_out += 1;
            return;
        }
        let (messages, was) = self.topics.get(topic).map_or((0, false), |it| (it.messages, it.retained));
        let last = payload.get(..crate::wire::MOST_TEXT).unwrap_or(payload).to_vec();
        let entry =
            Entry { messages: messages + 1, retained: retained || was, last, last_retained: retained, at };
        self.topics.insert(topic.to_owned(), entry);
    }

    fn report(&self, broker: String, heard_for: Duration, ended: Option<String>) -> ScanReport {
        let roots: Vec<&str> = self.topics.keys().filter_map(|topic| topic.strip_suffix("/about")).collect();
        let devices: Vec<ScannedDevice> = roots.iter().filter_map(|root| self.device(root)).collect();
        let known = |topic: &str| {
            devices.iter().any(|it| Topics::new(&it.prefix, &it.device_id).part(topic).is_some())
        };
        let others = self.topics.iter().filter(|(topic, _)| !known(topic));
        let topics = others.map(|(topic, entry)| ScannedTopic {
            topic: shown(topic.as_bytes()),
            messages: entry.messages,
            retained: entry.retained,
            last: shown(&entry.last),
        });
        let topics = topics.collect();
        let heard_for_s = heard_for.as_secs_f64();
        ScanReport { broker, heard_for_s, devices, topics, left_out: self.left_out, ended }
    }

    /// The device with these topics, if it is one.
    fn device(&self, root: &str) -> Option<ScannedDevice> {
        let (prefix, device_id) = root.rsplit_once('/')?;
        let topics = Topics::new(prefix, device_id);
        let mut heard = Heard::default();
        for part in [Part::About, Part::Status, Part::Telemetry] {
            if let Some(entry) = self.topics.get(&topics.of(part)) {
                heard.take(part, &entry.last, entry.last_retained, entry.at);
            }
        }
        let about = heard.about()?;
        let points = heard.taken().map(|taken| taken.snapshot(taken.sampled_at)).unwrap_or_default();
        Some(ScannedDevice {
            prefix: prefix.to_owned(),
            device_id: device_id.to_owned(),
            identity: shown(about.identity.as_bytes()),
            online: heard.online() == Some(true),
            power: about.power.map(|power| (power.min_w, power.max_w, power.max_var)),
            fail_safe: match about.fail_safe() {
                FailSafe::None => "keeps the last command for ever".to_owned(),
                FailSafe::RevertsToFree { after } => {
                    format!("drops a command after {} s", after.as_secs_f64())
                }
                FailSafe::RevertsToValue { after, .. } => {
                    format!("goes to a value of its own after {} s", after.as_secs_f64())
                }
            },
            points: points
                .points
                .iter()
                .map(|(name, sample)| ScannedPoint {
                    name: name.to_string(),
                    value: sample.value,
                    unit: sample.unit.ucum(),
                    quality: sample.quality,
                })
                .collect(),
        })
    }
}

/// Text that does no harm to a terminal.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text.chars().take(MOST_SHOWN).flat_map(tame).collect();
    if text.chars().nth(MOST_SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

fn tame(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

impl ScanReport {
    /// A block for the configuration for every device of the `gridloop` profile. Devices start read-only.
    #[must_use]
    pub fn config_block(&self) -> String {
        self.devices.iter().map(|device| device.config_block(&self.broker)).collect::<Vec<_>>().join("\n")
    }
}

impl ScannedDevice {
    fn config_block(&self, broker: &str) -> String {
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let name: String = self.device_id.chars().map(|c| if bare(c) { c } else { '_' }).collect();
        // A string of JSON is one of TOML.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut lines = vec![
            format!("# {}; {}", self.identity, self.fail_safe),
            format!("[device.{name}]"),
            "driver = \"mqtt\"".to_owned(),
            format!("address = {}", quoted(broker)),
            format!("topic_prefix = {}", quoted(&self.prefix)),
        ];
        if name != self.device_id {
            lines.push(format!("device_id = {}", quoted(&self.device_id)));
        }
        lines.push("mode = \"read-only\"               # dry-run | armed".to_owned());
        if let Some((min_w, _, _)) = self.power {
            let category = if min_w < 0.0 { "Storage" } else { "Generator" };
            lines.push(format!("category = \"{category}\""));
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

impl fmt::Display for ScanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, listened to for {:.1} s", self.broker, self.heard_for_s)?;
        if let Some(ended) = &self.ended {
            writeln!(f, "the connection broke off: {ended}")?;
        }
        for device in &self.devices {
            let presence = if device.online { "online" } else { "offline" };
            writeln!(f, "\n{}/{}: {}, {presence}", device.prefix, device.device_id, device.identity)?;
            if let Some((min_w, max_w, max_var)) = device.power {
                writeln!(f, "  takes {min_w} to {max_w} W, up to {max_var} var; {}", device.fail_safe)?;
            }
            for ScannedPoint { name, value, unit, quality } in &device.points {
                let quality = if *quality == Quality::Good { String::new() } else { format!("{quality:?}") };
                writeln!(f, "{}", format!("  {name:<20} {value} {unit} {quality}").trim_end())?;
            }
        }
        if !self.topics.is_empty() {
            writeln!(f, "\nother topics")?;
        }
        for ScannedTopic { topic, messages, retained, last } in &self.topics {
            let kept = if *retained { ", retained" } else { "" };
            writeln!(f, "  {topic} ({messages}{kept}): {last}")?;
        }
        if self.left_out > 0 {
            writeln!(f, "  and {} messages on further topics", self.left_out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: &str = r#"{"gridloop":1,"identity":"ACME B5","power":{"min_w":-1,"max_w":2,"max_var":0,"released_w":0},"fail_safe":{"after_s":10,"to":"value"}}"#;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        let at = MonoTime::from_nanos(1);
        ledger.take("hall/north/bat 1/about", ABOUT.as_bytes(), true, at);
        ledger.take("hall/north/bat 1/status", br#"{"status":"online","session":"s"}"#, true, at);
        let telemetry = r#"{"ts":"2026-06-21T12:00:00Z","session":"s","seq":1,"held":null,"points":{"real_power":{"value":1.5,"unit":"W"}}}"#;
        ledger.take("hall/north/bat 1/telemetry", telemetry.as_bytes(), false, at);
        ledger.take("hall/other/about", b"no nameplate\x1b[2J", true, at);
        ledger
    }

    #[test]
    fn a_device_is_known_by_its_nameplate_and_everything_else_is_listed() {
        let report = ledger().report("mqtt://h:1883".into(), Duration::from_secs(3), None);
        let [device] = &report.devices[..] else { panic!("{report:?}") };
        assert_eq!((device.prefix.as_str(), device.device_id.as_str()), ("hall/north", "bat 1"));
        assert!(device.online && device.points.len() == 1);
        let [topic] = &report.topics[..] else { panic!("{report:?}") };
        assert_eq!(topic.last, "no nameplate\\u{1b}[2J");
        let told = report.to_string();
        assert!(told.contains("ACME B5, online") && told.contains("real_power"), "{told}");
    }

    #[test]
    fn the_block_for_the_configuration_is_toml_and_starts_read_only() {
        let report = ledger().report("mqtt://h:1883".into(), Duration::from_secs(3), None);
        let block: toml::Table = report.config_block().parse().unwrap();
        let device = &block["device"]["bat_1"];
        assert_eq!(device["device_id"].as_str(), Some("bat 1"));
        assert_eq!(device["mode"].as_str(), Some("read-only"));
        assert_eq!(device["category"].as_str(), Some("Storage"));
    }

    #[test]
    fn a_broker_full_of_topics_is_listed_in_part_and_that_is_told() {
        let mut ledger = Ledger::default();
        for n in 0..MOST_TOPICS + 5 {
            ledger.take(&format!("t/{n}"), b"x", false, MonoTime::default());
        }
        let report = ledger.report("b".into(), Duration::ZERO, None);
        assert_eq!((report.topics.len(), report.left_out), (MOST_TOPICS, 5));
    }
}
