//! The JSON Schema (draft 2020-12) of a configuration, generated from the calls that read it.

use crate::document::Document;
use crate::ledger::{Asked, Ledger, ScopeId};
use crate::section::Section;
use serde_json::{Map, Value, json};

/// Runs `declare`, the function that reads a configuration, over a document without values, and turns what it asked for
/// into a JSON Schema titled `title`.
///
/// Tables count as present, named tables as having one member, and [`Section::variants`] runs every variant, so that
/// everything that could be read is in the schema. Values are absent: what is read in a branch on a value must go
/// through [`Section::variants`] to be seen.
pub fn schema(title: &str, declare: impl FnOnce(&Section<'_>)) -> Value {
    let document = Document::recording();
    declare(&document.root());
    let mut schema = table(&document.ledger.borrow(), 0, None);
    schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".to_owned(), title.into());
    Value::Object(schema)
}

fn table(ledger: &Ledger, scope: ScopeId, about: Option<&str>) -> Map<String, Value> {
    let mut schema = keys(ledger, scope);
    schema.insert("type".to_owned(), "object".into());
    if let Some(about) = about {
        schema.insert("description".to_owned(), about.into());
    }
    // Only `unevaluatedProperties` sees the keys that the variants below declare.
    let closed = if has_variants(ledger, scope) { "unevaluatedProperties" } else { "additionalProperties" };
    schema.insert(closed.to_owned(), false.into());
    schema
}

fn has_variants(ledger: &Ledger, scope: ScopeId) -> bool {
    ledger.scopes[scope].variants.is_some()
}

/// `properties`, `required` and `oneOf` of a table.
fn keys(ledger: &Ledger, scope: ScopeId) -> Map<String, Value> {
    let scope = &ledger.scopes[scope];
    let mut properties = Map::new();
    let mut required: Vec<Value> = Vec::new();
    for (key, asked) in &scope.asked {
        let (schema, must) = match asked {
            Asked::Value(declaration) => (declaration.schema(), declaration.required),
            Asked::Table { about, required, scope } => {
                (Value::Object(table(ledger, *scope, Some(about))), *required)
            }
            Asked::Named { about, members } => (named(ledger, about, members), false),
            Asked::Listed { about, members } => (listed(ledger, about, members), false),
        };
        properties.insert(key.clone(), schema);
        if must {
            required.push(key.clone().into());
        }
    }
    let mut schema = Map::new();
    if let Some(variants) = &scope.variants {
        let kinds = variants.kinds.iter().map(|(word, scope)| variant(ledger, &variants.key, word, *scope));
        schema.insert("oneOf".to_owned(), Value::Array(kinds.collect()));
        let words: Vec<&str> = variants.kinds.iter().map(|(word, _)| word.as_str()).collect();
        let choice = json!({ "type": "string", "enum": words, "description": variants.about });
        properties.insert(variants.key.clone(), choice);
        required.push(variants.key.clone().into());
    }
    schema.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), Value::Array(required));
    }
    schema
}

/// What a table of one kind has besides the keys common to all.
fn variant(ledger: &Ledger, key: &str, word: &str, scope: ScopeId) -> Value {
    let mut schema = keys(ledger, scope);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert(key.to_owned(), json!({ "const": word }));
    }
    Value::Object(schema)
}

fn named(ledger: &Ledger, about: &str, members: &[(String, ScopeId)]) -> Value {
    let member = members.first().map(|(_, scope)| Value::Object(table(ledger, *scope, None)));
    json!({ "type": "object", "description": about, "additionalProperties": member.unwrap_or(true.into()) })
}

fn listed(ledger: &Ledger, about: &str, members: &[ScopeId]) -> Value {
    let member = members.first().map(|scope| Value::Object(table(ledger, *scope, None)));
    json!({ "type": "array", "description": about, "items": member.unwrap_or(true.into()) })
}
