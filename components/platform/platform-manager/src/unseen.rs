//! What a state monitoring did not see of its network: [`not_seen`]. A network that nobody saw was not within its limits.

use crate::parts::Findings;
use serde_json::Value;

/// Names that are told; the report has all of them.
const NAMES_TOLD: usize = 5;

/// What the findings of a component say that it should have seen and did not; `None`: nothing, or it is no state
/// monitoring.
#[must_use]
pub fn not_seen(findings: &Value) -> Option<String> {
    if findings.get("kind")? != "state-monitoring" {
        return None;
    }
    let count = |name: &str| findings.get(name).and_then(Value::as_u64).unwrap_or(0);
    let (epochs, incomplete, unseen) =
        (findings.get("epochs")?, count("incomplete_epochs"), count("unseen_epochs"));
    if epochs == 0 {
        return Some("judged no epoch".to_owned());
    }
    if incomplete == 0 {
        return None;
    }
    let mut told = if unseen == incomplete {
        format!("saw nothing of its network in {unseen} of {epochs} epochs")
    } else {
        format!("did not see all of its network in {incomplete} of {epochs} epochs")
    };
    if unseen > 0 && unseen != incomplete {
        told.push_str(&format!(", in {unseen} nothing of it"));
    }
    if epochs != unseen {
        for (key, what) in [("buses_never_seen", "bus"), ("branches_never_seen", "branch")] {
            told.extend(names(findings, key).map(|names| format!("; never {what} {names}")));
        }
    }
    told.extend(
        names(findings, "not_in_network")
            .map(|names| format!("; states came of {names}, which its network does not have")),
    );
    Some(told)
}

/// The same of all components, each with its name.
pub(crate) fn all_not_seen(components: &Findings) -> impl Iterator<Item = String> {
    components.iter().filter_map(|(name, findings)| Some(format!("{name} {}", not_seen(findings)?)))
}

fn names(findings: &Value, key: &str) -> Option<String> {
    let all: Vec<&str> = findings.get(key)?.as_array()?.iter().filter_map(Value::as_str).collect();
    let told = all.iter().take(NAMES_TOLD).copied().collect::<Vec<_>>().join(", ");
    match all.len() {
        0 => None,
        count if count > NAMES_TOLD => Some(format!("{told} and {} more", count - NAMES_TOLD)),
        _ => Some(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_came_whole_was_seen() {
        assert_eq!(
            not_seen(&json!({"kind": "state-monitoring", "epochs": 24, "incomplete_epochs": 0})),
            None
        );
        assert_eq!(not_seen(&json!({"kind": "storage", "epochs": 0, "incomplete_epochs": 3})), None);
    }

    #[test]
    fn what_was_missing_is_named_and_so_is_what_came_instead() {
        let findings = json!({"kind": "state-monitoring", "epochs": 24, "incomplete_epochs": 24, "unseen_epochs": 0,
            "buses_never_seen": ["B"], "branches_never_seen": [], "not_in_network": ["b"]});
        let expected = "did not see all of its network in 24 of 24 epochs; never bus B; states came of b, which its network \
                        does not have";
        assert_eq!(not_seen(&findings).as_deref(), Some(expected));
    }

    #[test]
    fn a_network_of_which_nothing_came_is_not_listed_bus_by_bus() {
        let findings = json!({"kind": "state-monitoring", "epochs": 2, "incomplete_epochs": 2, "unseen_epochs": 2,
            "buses_never_seen": ["a", "b"], "branches_never_seen": ["ab"], "not_in_network": []});
        assert_eq!(not_seen(&findings).as_deref(), Some("saw nothing of its network in 2 of 2 epochs"));
        let none = json!({"kind": "state-monitoring", "epochs": 0});
        assert_eq!(not_seen(&none).as_deref(), Some("judged no epoch"));
    }

    #[test]
    fn of_many_names_the_first_are_told() {
        let findings = json!({"kind": "state-monitoring", "epochs": 2, "incomplete_epochs": 1, "unseen_epochs": 0,
            "buses_never_seen": ["a", "b", "c", "d", "e", "f", "g"]});
        let told = not_seen(&findings).unwrap_or_default();
        assert!(told.ends_with("never bus a, b, c, d, e and 2 more"), "{told}");
    }
}
