//! What components found out, in the closing words of a run: a state monitoring in sentences, any other kind by the names
//! of its fields, which carry their units.

use gridloop_platform_manager::{Findings, not_seen};
use serde_json::{Map, Value};

/// Where the text behind a name begins.
const INDENT: usize = 12;
/// Lines break before this column.
const WIDTH: usize = 110;
/// Elements of a list that are shown.
const MOST_ELEMENTS: usize = 4;
/// What the name of a field may end with, and the unit that it is.
const UNITS: [(&str, &str); 18] = [
    ("_kwh", "kWh"),
    ("_kvarh", "kvarh"),
    ("_kw", "kW"),
    ("_kvar", "kvar"),
    ("_kva", "kVA"),
    ("_kv", "kV"),
    ("_wh", "Wh"),
    ("_eur_per_kwh", "EUR/kWh"),
    ("_eur", "EUR"),
    ("_percent", "%"),
    ("_pu", "pu"),
    ("_deg", "deg"),
    ("_ms", "ms"),
    ("_us", "us"),
    ("_w", "W"),
    ("_v", "V"),
    ("_a", "A"),
    ("_s", "s"),
];

/// Some lines for each component.
pub(crate) fn lines(components: &Findings) -> Vec<String> {
    components.iter().flat_map(|(name, findings)| of_component(name, findings)).collect()
}

fn of_component(name: &str, findings: &Value) -> Vec<String> {
    let Some(fields) = findings.as_object() else { return vec![labelled(name, &short(findings))] };
    let kind = fields.get("kind").and_then(Value::as_str).unwrap_or("findings");
    let told = if kind == "state-monitoring" { of_state_monitoring(findings, fields) } else { None };
    let parts = told.unwrap_or_else(|| plain(fields));
    let mut lines = Vec::new();
    for (index, part) in parts.into_iter().enumerate() {
        let text = if index == 0 { format!("{kind}: {part}") } else { part };
        let label = if index == 0 { name } else { "" };
        lines.extend(wrapped(label, &text));
    }
    if lines.is_empty() {
        lines.push(labelled(name, kind));
    }
    lines
}

/// The worst bus with its instant, the time outside the limits, the most loaded branch, and what was not seen. `None` where
/// it does not say.
fn of_state_monitoring(findings: &Value, fields: &Map<String, Value>) -> Option<Vec<String>> {
    let not_seen = not_seen(findings).map(|told| format!("IT {told}"));
    let worst = fields.get("worst")?;
    if worst.is_null() {
        return Some(vec![not_seen?]);
    }
    let mut lines = vec![format!(
        "worst bus {} phase {}, {:.4} pu {}",
        short(worst.get("bus")?),
        short(worst.get("node")?),
        worst.get("voltage_pu")?.as_f64()?,
        instant(worst)?
    )];
    if let Some(most) = fields.get("most_loaded").filter(|most| most.is_object()) {
        lines.push(format!(
            "most loaded branch {} phase {}, {:.1} % {}",
            short(most.get("branch")?),
            short(most.get("phase")?),
            most.get("loading")?.as_f64()? * 100.0,
            instant(most)?
        ));
    }
    let seconds = |name: &str| fields.get(name)?.get("seconds")?.as_f64();
    if let (Some(amber), Some(red)) = (seconds("amber"), seconds("red")) {
        lines.push(match (amber > 0.0, red > 0.0) {
            (false, false) if not_seen.is_some() => "inside its limits as far as it was seen".to_owned(),
            (false, false) => "inside its limits all the time".to_owned(),
            (true, false) => format!("close to its limits for {} s, never beyond them", number(amber)),
            (_, true) => {
                format!("BEYOND ITS LIMITS for {} s, close to them for {} s", number(red), number(amber))
            }
        });
    }
    lines.extend(not_seen);
    if let Some(unrated) =
        fields.get("unrated_branches").and_then(Value::as_array).filter(|it| !it.is_empty())
    {
        lines.push(format!("currents of {} branches are not judged: nobody has rated them", unrated.len()));
    }
    Some(lines)
}

/// `in epoch 20 at 2026-06-21 19:00:00 UTC`
fn instant(place: &Value) -> Option<String> {
    let epoch = place.get("epoch")?;
    let time = place.get("time").and_then(Value::as_str);
    let time = time.map(|time| {
        let time = time.trim_end_matches('Z').replacen('T', " ", 1);
        format!(" at {} UTC", time.strip_suffix(".000").unwrap_or(&time))
    });
    Some(format!("in epoch {}{}", short(epoch), time.unwrap_or_default()))
}

/// Single values together, and a line for each table.
fn plain(fields: &Map<String, Value>) -> Vec<String> {
    let mut single = Vec::new();
    let mut tables = Vec::new();
    for (key, value) in fields.iter().filter(|(key, _)| *key != "kind") {
        match value {
            Value::Null => {}
            Value::Object(inner) if inner.is_empty() => {}
            // One for each bus or device: the report has them.
            Value::Object(inner) if inner.len() > MOST_ELEMENTS && inner.values().all(is_large) => {
                single.push(format!("{} {}", inner.len(), words(key)));
            }
            Value::Object(inner) => {
                let values: Vec<String> = inner.iter().map(|(key, value)| named(key, value)).collect();
                tables.push(format!("{}: {}", words(key), values.join(", ")));
            }
            value => single.push(named(key, value)),
        }
    }
    let single = (!single.is_empty()).then(|| single.join(", "));
    single.into_iter().chain(tables).collect()
}

/// `energy_out_kwh` and 3.25 as `energy out 3.25 kWh`.
fn named(key: &str, value: &Value) -> String {
    let unit = UNITS.iter().find_map(|(ending, unit)| Some((key.strip_suffix(ending)?, *unit)));
    match (unit, value) {
        (Some((name, unit)), Value::Number(_)) => format!("{} {} {unit}", words(name), short(value)),
        (_, Value::Bool(true)) => words(key),
        (_, Value::Bool(false)) => format!("not {}", words(key)),
        _ => format!("{} {}", words(key), short(value)),
    }
}

fn words(key: &str) -> String {
    key.replace('_', " ")
}

/// A value in a few characters.
fn short(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::Number(whole) if !whole.is_f64() => whole.to_string(),
        Value::Number(real) => number(real.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => text.clone(),
        Value::Array(elements) if elements.len() > MOST_ELEMENTS || elements.iter().any(is_large) => {
            elements.len().to_string()
        }
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(short).collect();
            if elements.is_empty() { "none".to_owned() } else { elements.join(" ") }
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(key, value)| named(key, value)).collect();
            format!("({})", fields.join(", "))
        }
    }
}

fn is_large(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

/// Four digits that count, without zeros behind them.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals: usize = match size {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        size if size >= 1.0 => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn labelled(label: &str, text: &str) -> String {
    // A long name pushes the text away, never into itself.
    if label.chars().count() < INDENT {
        format!("{label:<INDENT$}{text}")
    } else {
        format!("{label}  {text}")
    }
}

/// The text behind its label, in lines that are not too long.
fn wrapped(label: &str, text: &str) -> Vec<String> {
    let mut lines = vec![labelled(label, "")];
    let mut empty = true;
    for word in text.split(' ') {
        let full = lines.last().is_some_and(|line| line.chars().count() + word.chars().count() >= WIDTH);
        if full && !empty {
            lines.push(" ".repeat(INDENT));
            empty = true;
        }
        if let Some(line) = lines.last_mut() {
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(name: &str, findings: Value) -> Vec<String> {
        lines(&Findings::from([(name.to_owned(), findings)]))
    }

    #[test]
    fn a_state_monitoring_names_the_worst_bus_its_minute_and_the_most_loaded_branch() {
        let findings = json!({"kind": "state-monitoring", "grid": "grid",
            "limits": {"min_voltage_pu": 0.9, "max_voltage_pu": 1.1},
            "worst": {"bus": "10", "node": 2, "voltage_pu": 0.88104, "epoch": 20, "time": "2026-06-21T19:00:00.000Z"},
            "most_loaded": {"branch": "L9", "phase": 2, "loading": 1.0402, "epoch": 20,
                "time": "2026-06-21T19:00:00.500Z"},
            "amber": {"epochs": 2, "seconds": 7200.0}, "red": {"epochs": 1, "seconds": 3600.0}});
        assert_eq!(
            told("monitor", findings),
            [
                "monitor     state-monitoring: worst bus 10 phase 2, 0.8810 pu in epoch 20 at 2026-06-21 19:00:00 UTC",
                "            most loaded branch L9 phase 2, 104.0 % in epoch 20 at 2026-06-21 19:00:00.500 UTC",
                "            BEYOND ITS LIMITS for 3600 s, close to them for 7200 s",
            ]
        );
    }

    #[test]
    fn a_network_that_was_not_seen_whole_is_not_called_inside_its_limits_all_the_time() {
        let mut findings = json!({"kind": "state-monitoring", "epochs": 2, "incomplete_epochs": 2, "unseen_epochs": 0,
            "buses_never_seen": ["B"], "not_in_network": ["b"], "unrated_branches": ["L1"],
            "worst": {"bus": "s", "node": 2, "voltage_pu": 1.0, "epoch": 1, "time": "2026-06-21T19:00:00.000Z"},
            "amber": {"epochs": 0, "seconds": 0.0}, "red": {"epochs": 0, "seconds": 0.0}});
        let text = told("monitor", findings.clone()).join("\n");
        assert!(text.contains("inside its limits as far as it was seen"), "{text}");
        assert!(text.contains("IT did not see all of its network in 2 of 2 epochs"), "{text}");
        assert!(text.contains("currents of 1 branches are not judged"), "{text}");
        findings["worst"] = Value::Null;
        findings["unseen_epochs"] = json!(2);
        let text = told("monitor", findings).join("\n");
        assert!(
            text.starts_with("monitor     state-monitoring: IT saw nothing of its network in 2 of 2 epochs"),
            "{text}"
        );
    }

    #[test]
    fn other_kinds_are_told_by_the_names_of_their_fields() {
        let findings = json!({"kind": "storage", "energy_charged_kwh": 12.3456, "cycles": 3, "empty": false,
            "last_fault": null, "limits": {"power_kw": 4.0, "names": ["a", "b"]}, "steps": [1, 2, 3, 4, 5]});
        assert_eq!(
            told("battery", findings),
            [
                "battery     storage: cycles 3, not empty, energy charged 12.35 kWh, steps 5",
                "            limits: names a b, power 4 kW",
            ]
        );
    }

    #[test]
    fn whatever_a_component_says_is_told_somehow() {
        assert_eq!(told("a", json!({})), ["a           findings"]);
        assert_eq!(
            told("a_component_with_a_long_name", json!("word")),
            ["a_component_with_a_long_name  word"]
        );
        assert_eq!(
            told("a", json!({"kind": "state-monitoring", "x_s": 1})),
            ["a           state-monitoring: x 1 s"]
        );
        let long = told("a", json!({"kind": "k", "text": "word ".repeat(60).trim()}));
        assert!(long.len() > 2 && long.iter().all(|line| line.len() <= WIDTH), "{long:#?}");
    }

    #[test]
    fn numbers_have_four_digits_that_count() {
        let shown = [0.0, 1.0, 0.5, 12.3456, 1234.6, 1e9, 1e-7, -0.00001].map(number);
        assert_eq!(shown, ["0", "1", "0.5", "12.35", "1235", "1.000e9", "1.000e-7", "-1.000e-5"]);
    }
}
