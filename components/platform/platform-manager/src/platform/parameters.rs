//! From the attributes of a run configuration to what a process is told: its environment variables and its block of
//! the Start message (wire contract 4.3). Pure functions of a [`Manifest`] and the configured [`Given`] attributes.

use super::manifest::Manifest;
use super::yaml::Node;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;

/// Attributes as configured: name and value, in order.
pub(crate) type Given<'a> = [(&'a str, &'a Node)];

/// The environment variables of the attributes: the configured ones under the names of the manifest or, where it does
/// not know them, their own; then the defaults of optional ones that are not configured.
pub(crate) fn variables(manifest: &Manifest, given: &Given<'_>) -> Vec<(String, String)> {
    let configured = given.iter().map(|(name, value)| {
        let variable = manifest.attribute(name).map_or(*name, |attribute| &attribute.environment);
        (variable.to_owned(), value.variable())
    });
    let defaults =
        defaults(manifest, given).map(|(_, variable, value)| (variable.to_owned(), value.variable()));
    configured.chain(defaults).collect()
}

/// The block of the Start message, or null when a required attribute that belongs into it is missing.
pub(crate) fn block(manifest: &Manifest, given: &Given<'_>) -> Json {
    let told = |name: &str| manifest.attribute(name).is_none_or(|attribute| attribute.include_in_start);
    let missing = missing(manifest, given).any(&told);
    if missing {
        return Json::Null;
    }
    let configured = given.iter().map(|(name, value)| (*name, value.json()));
    let defaults = defaults(manifest, given).map(|(name, _, value)| (name, value.json()));
    let members = configured.chain(defaults).filter(|(name, _)| told(name));
    Json::Object(members.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// The required attributes that are not configured.
pub(crate) fn missing<'a>(manifest: &'a Manifest, given: &'a Given<'_>) -> impl Iterator<Item = &'a str> {
    let required = manifest.attributes.iter().filter(|attribute| !attribute.optional);
    required.map(|attribute| attribute.name.as_str()).filter(|name| !is_given(given, name))
}

fn defaults<'a>(
    manifest: &'a Manifest,
    given: &'a Given<'_>,
) -> impl Iterator<Item = (&'a str, &'a str, &'a Node)> {
    manifest.attributes.iter().filter(|attribute| !is_given(given, &attribute.name)).filter_map(|attribute| {
        let value = attribute.default.as_ref()?;
        Some((attribute.name.as_str(), attribute.environment.as_str(), value))
    })
}

fn is_given(given: &Given<'_>, name: &str) -> bool {
    given.iter().any(|(given, _)| *given == name)
}

/// Each variable once, at its first place, with its last value.
pub(crate) fn last_wins(variables: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut unique: Vec<(String, String)> = Vec::with_capacity(variables.len());
    for (name, value) in variables {
        match places.get(&name) {
            Some(place) => unique[*place].1 = value,
            None => {
                places.insert(name.clone(), unique.len());
                unique.push((name, value));
            }
        }
    }
    unique
}
