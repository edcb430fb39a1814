//! The OpenAPI document: [`openapi()`]. It is made from the same table of parameters by which requests are read, so
//! that the two cannot disagree.

use super::answer;
use crate::format::json as pretty;
use crate::query::{ATTRIBUTES, INVALID, Kind, LIMIT_MAX, MESSAGES, Parameter, SIMULATIONS, TIME_SERIES};
use axum::response::Response;
use serde_json::{Map, Value, json};

const ABOUT: &str = "Stored simulation runs: what the Log Reader of the SimCES platform serves, and more. Every \
                     resource is read with GET. Large answers can be read page by page with `limit`.";

/// What can be asked of a Log Reader, as an OpenAPI 3.1 document.
#[must_use]
pub fn openapi() -> Value {
    let documents =
        || json!({"application/json": {"schema": {"type": "array", "items": reference("Document")}}});
    let series = json!({
        "application/json": {"schema": reference("TimeSeries")},
        "text/csv": {"schema": {"type": "string"}},
    });
    let run = json!({"application/json": {"schema": reference("Document")}});
    let invalid = "What broke the wire contract in a run, by Timestamp (role operator)";
    json!({
        "openapi": "3.1.0",
        "info": {"title": "gridloop Log Reader", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT},
        "paths": {
            "/simulations": get("runs", "Runs", SIMULATIONS, documents()),
            "/simulations/{id}": get("run", "One run", &[], run),
            "/simulations/{id}/messages": get("messages", "The messages of a run, by Timestamp", MESSAGES, documents()),
            "/simulations/{id}/messages/invalid": get("invalidMessages", invalid, INVALID, documents()),
            "/simulations/{id}/timeseries":
                get("timeSeries", "Parts of the messages of a run as time series", TIME_SERIES, series),
        },
        "components": {
            "schemas": {"Problem": problem(), "Document": document_schema(), "TimeSeries": time_series()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "A token of `gridloop token add`."}},
        },
        // A server without tokens asks for none.
        "security": [{}, {"token": []}],
    })
}

pub(super) async fn document() -> Response {
    answer::whole(|out| pretty::value(out, &openapi(), 0))
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn get(id: &str, about: &str, parameters: &[Parameter], content: Value) -> Value {
    let of_one_run = id != "runs";
    let path = json!({
        "name": "id", "in": "path", "required": true, "description": "The SimulationId.",
        "schema": {"type": "string"}, "example": "2024-03-01T08:00:00.000Z",
    });
    let described = of_one_run.then_some(path).into_iter().chain(parameters.iter().map(described));
    let mut done = json!({"description": about, "content": content});
    if parameters.iter().any(|parameter| parameter.name == "limit") {
        done["headers"] = json!({"Link": {"description": "Where the next page is, if there is one.", "schema": {"type": "string"}}});
    }
    let mut responses = Map::new();
    responses.insert("200".into(), done);
    for (status, about) in [
        ("400", "A parameter is wrong."),
        ("401", "A token is needed."),
        ("403", "This token does not open this."),
        ("404", "There is no such run."),
        ("503", "The store cannot be read, or too much is being read."),
    ] {
        if of_one_run || status != "404" {
            let content = json!({"application/json": {"schema": reference("Problem")}});
            responses.insert(status.into(), json!({"description": about, "content": content}));
        }
    }
    json!({"get": {
        "operationId": id, "summary": about, "parameters": described.collect::<Vec<_>>(), "responses": responses,
    }})
}

fn described(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name, "in": "query", "required": parameter.name == ATTRIBUTES,
        "description": parameter.about, "schema": schema_of(parameter),
    })
}

/// An empty value counts as none.
fn schema_of(parameter: &Parameter) -> Value {
    match parameter.kind {
        Kind::Integer => {
            json!({"type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX})
        }
        Kind::Limit => json!({"type": "integer", "minimum": 1, "maximum": LIMIT_MAX}),
        // More is read than the format date-time has: a year, a day, an empty value.
        Kind::Moment => json!({"type": "string", "examples": ["2023-02-01T00:15:00Z"]}),
        Kind::List if parameter.name == ATTRIBUTES => json!({"type": "string", "minLength": 1}),
        Kind::List => json!({"type": "string"}),
        Kind::Topic => json!({"type": "string", "maxLength": 255}),
        Kind::Text => json!({"type": "string"}),
        Kind::Boolean => json!({"type": "string", "enum": ["true", "false", ""]}),
        Kind::Format => json!({"type": "string", "enum": ["json", "csv", ""], "default": "json"}),
    }
}

fn document_schema() -> Value {
    json!({"type": "object", "description": "A stored message or run."})
}

fn problem() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "description": "What is wrong, and what to do about it.",
        "properties": {"title": text, "description": text},
        "required": ["title", "description"],
    })
}

fn time_series() -> Value {
    let point = json!({
        "type": "object",
        "properties": {"epoch": {"type": "integer"}, "timestamp": {"type": ["string", "null"]}},
        "required": ["epoch", "timestamp"],
    });
    json!({
        "type": "object",
        "description": "Beside TimeIndex: topics with processes with attributes, each as long as TimeIndex.",
        "properties": {"TimeIndex": {"type": "array", "items": point}},
        "additionalProperties": {"type": "object"},
        "required": ["TimeIndex"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_resource_with_every_parameter() {
        let document = openapi();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 5);
        for (path, parameters) in [
            ("/simulations", SIMULATIONS),
            ("/simulations/{id}/messages", MESSAGES),
            ("/simulations/{id}/messages/invalid", INVALID),
            ("/simulations/{id}/timeseries", TIME_SERIES),
        ] {
            let told = paths[path]["get"]["parameters"].as_array().unwrap();
            for parameter in parameters {
                assert!(told.iter().any(|it| it["name"] == parameter.name), "{path} {}", parameter.name);
            }
        }
    }
}
