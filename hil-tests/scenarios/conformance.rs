//! `docs/conformance.md` names a test for every rule. This test looks whether they exist.

use std::collections::BTreeMap;
use std::path::Path;

/// The tests named in a line of the page: each is `` `path/to/file.rs` `` with `` `test_name` `` behind it; a path
/// counts for all names up to the next path.
fn named(line: &str) -> Vec<(String, String)> {
    let mut tests = Vec::new();
    let mut file = None;
    for code in line.split('`').skip(1).step_by(2) {
        if code.ends_with(".rs") {
            file = Some(code.to_owned());
        } else if let Some(file) = file.as_ref().filter(|_| is_test_name(code)) {
            tests.push((file.clone(), code.to_owned()));
        }
    }
    tests
}

/// A sentence in snake case; short words are names of settings and the like.
fn is_test_name(code: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    code.chars().all(plain) && code.matches('_').count() >= 3
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    std::fs::read_to_string(path).expect("the page")
}

#[test]
fn every_test_that_the_conformance_page_names_exists_where_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources: BTreeMap<String, String> = BTreeMap::new();
    let mut missing = Vec::new();
    let page = page();
    let mut found = 0;
    for (file, test) in page.lines().flat_map(named) {
        let source = sources
            .entry(file.clone())
            .or_insert_with(|| std::fs::read_to_string(root.join(&file)).unwrap_or_default());
        found += 1;
        if !source.contains(&format!("fn {test}(")) {
            missing.push(format!("{file}: {test}"));
        }
    }
    assert!(found > 100, "the page names {found} tests: it is not read as it is written");
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_rule_of_the_conformance_page_names_a_test_or_says_that_there_is_none() {
    let page = page();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule"));
    let empty: Vec<&str> = rows.filter(|row| named(row).is_empty() && !row.contains("no test: ")).collect();
    assert_eq!(empty, [""; 0]);
}

#[test]
fn a_row_is_read_with_all_its_tests() {
    let row =
        "| rule, `max_resends` | `a/b.rs`: `one_two_three_four`, `five_six_seven_eight`; `c.rs`: `x_y_z_w` |";
    let read = named(row);
    let names: Vec<(&str, &str)> = read.iter().map(|(file, test)| (file.as_str(), test.as_str())).collect();
    let expected =
        [("a/b.rs", "one_two_three_four"), ("a/b.rs", "five_six_seven_eight"), ("c.rs", "x_y_z_w")];
    assert_eq!(names, expected);
}
