//! The start page: what there is, with links. No scripts, no styles, no framework.

use super::Reader;
use super::answer;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use gridloop_logging::archive::{Fields, Started};
use std::sync::Arc;

/// How many runs are shown, the latest first.
const SHOWN: usize = 100;

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>gridloop Log Reader</title>
<h1>gridloop Log Reader</h1>
<p><a href=\"/simulations\">All runs</a> as JSON. <a href=\"/openapi.json\">Everything that can be asked</a> (OpenAPI).</p>
";

pub(super) async fn start(State(reader): State<Arc<Reader>>) -> Result<Response, Problem> {
    let _turn = reader.turn().await?;
    let mut runs = reader.archive.runs(&Started::default()).await?;
    runs.sort_by_cached_key(|run| std::cmp::Reverse(text(run, "SimulationId").to_owned()));
    let mut page = String::from(HEAD);
    match runs.len() {
        0 => page += "<p>No run is stored yet.</p>\n",
        count if count > SHOWN => page += &format!("<p>The latest {SHOWN} of {count} runs:</p>\n"),
        _ => {}
    }
    page += "<ul>\n";
    for run in runs.iter().take(SHOWN) {
        page += &line(run);
    }
    page += "</ul>\n";
    Ok(answer::of_type("text/html; charset=utf-8", Body::from(page)))
}

fn text<'a>(run: &'a Fields, name: &str) -> &'a str {
    run.get(name).and_then(|value| value.as_str()).unwrap_or_default()
}

fn line(run: &Fields) -> String {
    let (id, name, about) = (text(run, "SimulationId"), text(run, "Name"), text(run, "Description"));
    let path = format!("/simulations/{}", escaped_path(id));
    let (id, name, about) = (escaped(id), escaped(name), escaped(about));
    format!(
        "<li><a href=\"{path}\">{id}</a> {name} <small>{about}</small>: <a href=\"{path}/messages?limit=100\">messages</a>, \
         <a href=\"{path}/timeseries?attrs=RealPower&amp;format=csv\">RealPower</a></li>\n"
    )
}

/// Text that is only text in HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// One segment of a path.
fn escaped_path(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b':' => out.push(char::from(byte)),
            other => out += &format!("%{other:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_text_and_never_markup() {
        let run = json!({"SimulationId": "x\"/?#<", "Name": "<script>alert('&')</script>", "Description": "\"><img>"});
        let line = line(run.as_object().unwrap());
        assert!(line.contains("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;"), "{line}");
        assert!(line.contains("href=\"/simulations/x%22%2F%3F%23%3C\""), "{line}");
        assert_eq!(line.matches('<').count(), 10, "{line}");
    }
}
