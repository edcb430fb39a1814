//! Pages and packing.

use crate::client::ask;
use crate::rig::{Folder, RUN, Rig, message};
use serde_json::{Value, json};

/// Everything, page by page.
fn walk(rig: &Rig, first: String) -> (Vec<Value>, usize) {
    let (mut all, mut pages, mut next) = (Vec::new(), 0, Some(first));
    while let Some(target) = next {
        let page = rig.get(&target);
        assert_eq!(page.status, 200, "{}", page.text());
        all.extend(page.json().as_array().unwrap().clone());
        next = page.next();
        pages += 1;
        assert!(pages < 100, "pages without end");
    }
    (all, pages)
}

#[test]
fn pages_together_are_the_whole_whatever_their_size_and_filter() {
    let rig = Rig::small();
    for filter in
        ["", "&topic=ResourceState.%23", "&process=grid&startEpoch=2", "&onlyWarnings=true", "&epoch=7"]
    {
        let whole = rig.of_run(&format!("/messages?{}", filter.trim_start_matches('&'))).json();
        let whole = whole.as_array().unwrap();
        for limit in [1, 3, 7, 21, 100] {
            let (all, pages) = walk(&rig, format!("/simulations/{RUN}/messages?limit={limit}{filter}"));
            assert_eq!(&all, whole, "limit {limit}{filter}");
            assert_eq!(pages, whole.len().div_ceil(limit).max(1), "limit {limit}{filter}");
        }
    }
    let (invalid, pages) = walk(&rig, format!("/simulations/{RUN}/messages/invalid?limit=1"));
    assert_eq!((invalid.len(), pages), (2, 2));
}

#[test]
fn messages_of_one_millisecond_are_neither_lost_nor_repeated_between_pages() {
    let folder = Folder::new();
    let twins = (0..50).map(|number| {
        let mut twin = message("Measured", "grid", number, Some(1), json!({"Number": number}));
        twin["Timestamp"] = "2024-03-01T08:00:01.000Z".into();
        ("Measured".to_owned(), twin.to_string().into_bytes())
    });
    folder.store(RUN, twins);
    let settings = folder.settings();
    let rig = folder.serve(settings);
    let (all, _) = walk(&rig, format!("/simulations/{RUN}/messages?limit=7"));
    let numbers: Vec<i64> = all.iter().filter_map(|message| message["Number"].as_i64()).collect();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
}

#[test]
fn runs_come_page_by_page_too() {
    let folder = Folder::new();
    for day in 1..=5 {
        let run = format!("2024-03-{day:02}T08:00:00.000Z");
        let mut state = message("SimState", "manager", 1, None, json!({"SimulationState": "running"}));
        state["SimulationId"] = run.as_str().into();
        folder.store(&run, [("SimState".to_owned(), state.to_string().into_bytes())]);
    }
    let settings = folder.settings();
    let rig = folder.serve(settings);
    let whole = rig.get("/simulations").json();
    let (all, pages) = walk(&rig, "/simulations?limit=2".into());
    assert_eq!((&Value::from(all), pages), (&whole, 3));
}

#[test]
fn whoever_accepts_gzip_gets_the_same_in_less() {
    let rig = Rig::small();
    for target in ["/messages", "/timeseries?attrs=RealPower", "/timeseries?attrs=RealPower&format=csv"] {
        let plain = rig.of_run(target);
        assert_eq!(plain.header("content-encoding"), None);
        let packed =
            ask(rig.address, "GET", &format!("/simulations/{RUN}{target}"), &[("Accept-Encoding", "gzip")]);
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        assert_eq!(packed.unpacked(), plain.body);
        assert!(packed.body.len() < plain.body.len());
    }
}
