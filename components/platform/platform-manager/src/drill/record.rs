//! The record of a drill: a [`Record`] as JSON and as a page to be signed, and whether one is as it was written.
//!
//! `sha256` is over `content` with its keys in order and no white space. It shows that a number was touched later by
//! mistake; who wants to deceive can compute it anew, so that the printed and signed page is what counts.

use crate::context::FAILED;
use anyhow::{Context as _, bail};
use gridloop_clock::{Anchor, MonoTime};
use gridloop_device::{Left, Source};
use gridloop_gateway::DeviceSettings;
use gridloop_gateway::drill::{Drilled, FallsBack};
use gridloop_messages::Timestamp;
use gridloop_platform_manager::Configuration;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

const KIND: &str = "gridloop drill record, version 1";

/// Larger than any record: a drill has a few dozen steps.
const MAX_BYTES: u64 = 1 << 20;

/// What a drill was done with.
pub(super) struct Circumstances<'c> {
    pub(super) device: &'c DeviceSettings,
    pub(super) address: &'c str,
    pub(super) configuration: &'c Configuration,
    pub(super) file: &'c Path,
    pub(super) operator: Option<&'c str>,
    pub(super) reading_interval: Duration,
    pub(super) began: Anchor,
}

/// A drill and everything that was so when it was done.
pub(super) struct Record {
    pub(super) drilled: Drilled,
    content: Value,
}

impl Record {
    pub(super) fn new(drilled: &Drilled, circumstances: &Circumstances<'_>) -> Self {
        let Circumstances { device, address, configuration, file, operator, reading_interval, began } =
            circumstances;
        let description = drilled.description.clone().unwrap_or_default();
        let utc = |at: MonoTime| {
            let since = chrono::Duration::nanoseconds(at.nanos_since(began.at));
            Timestamp::from(began.utc + since).to_string()
        };
        let steps: Vec<Value> = drilled
            .steps
            .iter()
            .map(|step| json!({ "at": utc(step.at), "after_s": seconds(step.at.since(began.at)), "what": step.what }))
            .collect();
        let plan = drilled.plan.map(|plan| {
            let (kind, to_w) = match plan.falls_back {
                FallsBack::ToFree => ("drops its command", None),
                FallsBack::ToValue(value) => ("goes to a value", Some(rounded(value))),
            };
            json!({
                "power_before_w": rounded(plan.baseline_w),
                "commanded_w": rounded(plan.command_w),
                "watched_for_s": seconds(plan.within),
                "device_states": { "what": kind, "to_w": to_w, "after_s": seconds(plan.after) },
                "expected_power_w": rounded(plan.expected_w),
                "tolerance_s": seconds(plan.tolerance()),
            })
        });
        let measured = drilled.measured;
        let (not_before, not_after) = measured.fell_back_after.unzip();
        let content = json!({
            "gridloop": env!("CARGO_PKG_VERSION"),
            "verdict": drilled.verdict.as_str(),
            "reason": drilled.reason,
            "device": {
                "name": device.name,
                "identity": description.identity,
                "profile": description.profile,
                "driver": device.driver,
                "address": address,
                "source": if device.address.source() == Source::Simulated { "simulated" } else { "field" },
            },
            "configuration": {
                "file": file.display().to_string(),
                "sha256": hexadecimal(configuration.text.as_bytes()),
                "overrides": configuration.overrides,
            },
            "operator": operator,
            "begun": utc(began.at),
            "plan": plan,
            "measured": {
                "reading_interval_s": seconds(*reading_interval),
                "fell_back_not_before_s": not_before.map(seconds),
                "fell_back_not_after_s": not_after.map(seconds),
                "held_after_w": measured.held_w.map(rounded),
                "power_followed_after_s": measured.followed_after.map(seconds),
                "power_at_the_end_w": measured.power_w.map(rounded),
            },
            "left": match &drilled.left {
                Left::Untouched => "untouched".to_owned(),
                Left::Released => "released".to_owned(),
                Left::Unknown(why) => format!("unknown: {why}"),
            },
            "steps": steps,
        });
        Self { drilled: drilled.clone(), content }
    }

    /// As a file.
    pub(super) fn json(&self) -> String {
        let record = json!({
            "record": KIND,
            "content": self.content,
            "sha256": digest(&self.content),
            "signature": { "name": null, "date": null, "signed": null },
        });
        format!("{record:#}\n")
    }

    /// As a page for people.
    pub(super) fn text(&self) -> String {
        let content = &self.content;
        let mut page = format!(
            "Drill of {}: {}\n{}\n\n",
            word(&content["device"]["name"]),
            word(&content["verdict"]).to_uppercase(),
            word(&content["reason"])
        );
        let mut line = |name: &str, value: String| {
            let _ = writeln!(page, "{name:<16}{value}");
        };
        let device = &content["device"];
        line("device", format!("{} ({})", word(&device["identity"]), word(&device["source"])));
        line("", word(&device["profile"]));
        line("reached", format!("{} {}", word(&device["driver"]), word(&device["address"])));
        let configuration = &content["configuration"];
        line(
            "configuration",
            format!("{}, sha256 {}", word(&configuration["file"]), word(&configuration["sha256"])),
        );
        for set in configuration["overrides"].as_array().into_iter().flatten() {
            line("", format!("with {}", word(set)));
        }
        line("begun", word(&content["begun"]));
        line("operator", word(&content["operator"]));
        if let Some(plan) = self.drilled.plan {
            line("plan", plan.to_string());
            line("tolerance", format!("{} s", plan.tolerance().as_secs_f64()));
        }
        line("measured", format!("every {} s", content["measured"]["reading_interval_s"]));
        line("", self.drilled.measured.to_string());
        line("left", word(&content["left"]));
        page.push('\n');
        for step in content["steps"].as_array().into_iter().flatten() {
            let after = step["after_s"].as_f64().unwrap_or_default();
            let _ = writeln!(page, "{}  {after:>9.3} s  {}", word(&step["at"]), word(&step["what"]));
        }
        let _ = write!(
            page,
            "\nsha256 of the record  {}\n\n\nsigned ______________________________   date ________________\n",
            digest(content)
        );
        page
    }
}

/// `gridloop drill --verify`
pub(super) fn verify(file: &Path) -> anyhow::Result<ExitCode> {
    let name = file.display();
    let mut text = String::new();
    let opened = std::fs::File::open(file).with_context(|| name.to_string())?;
    opened.take(MAX_BYTES + 1).read_to_string(&mut text).with_context(|| name.to_string())?;
    if text.len() as u64 > MAX_BYTES {
        bail!("{name}: too long for a record of a drill");
    }
    let record: Value =
        serde_json::from_str(&text).with_context(|| format!("{name}: no record of a drill"))?;
    if record["record"] != KIND || !record["content"].is_object() {
        bail!("{name}: no record of a drill: `record` is not \"{KIND}\"");
    }
    let content = &record["content"];
    let told = format!(
        "{}, {} on {}",
        word(&content["device"]["name"]),
        word(&content["verdict"]),
        word(&content["begun"])
    );
    if record["sha256"] == digest(content) {
        println!("{name}: as it was written: {told}");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{name}: CHANGED since it was written: {told}");
    Ok(ExitCode::from(FAILED))
}

/// A text as it is, nothing for nothing.
fn word(value: &Value) -> String {
    value.as_str().map(str::to_owned).unwrap_or_default()
}

/// Milliseconds and thousandths of a watt: what has no more digits is written and read back the same.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn seconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64())
}

fn digest(content: &Value) -> String {
    let mut text = String::new();
    canonical(content, &mut text);
    hexadecimal(text.as_bytes())
}

fn hexadecimal(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One text for one content, whatever the order of its keys in the file.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort();
            for (place, key) in keys.into_iter().enumerate() {
                let _ = write!(text, "{}{}:", if place == 0 { '{' } else { ',' }, Value::from(key.as_str()));
                canonical(&object[key], text);
            }
            text.push_str(if object.is_empty() { "{}" } else { "}" });
        }
        Value::Array(values) => {
            text.push('[');
            for value in values {
                canonical(value, text);
                text.push(',');
            }
            text.push(']');
        }
        other => {
            let _ = write!(text, "{other}");
        }
    }
}
