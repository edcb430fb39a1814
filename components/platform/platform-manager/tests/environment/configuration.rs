//! Dummies and simple components in a configuration.

use gridloop_platform_manager::{ComponentKind, Configuration};
use std::time::Duration;

const RUN: &str = r#"
[simulation]
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 1
epochs = 3
"#;

fn parse(components: &str) -> Result<Configuration, String> {
    Configuration::parse("run.toml", &format!("{RUN}{components}"), &[]).map_err(|error| error.to_string())
}

#[test]
fn a_configuration_has_dummies_and_simple_components_too() {
    let configuration = parse(
        r#"
[component.pacer]
kind = "dummy"
min_sleep_s = 0
max_sleep_s = 0.5
send_miss_chance = 0.1
seed = 7
[component.C1]
kind = "simple"
value = 1
[component.C3]
kind = "simple"
value = 7.0
inputs = ["C1", "C2"]
output_delay_s = 0.25
"#,
    )
    .unwrap();
    let [pacer, c1, c3] = &configuration.components[..] else { panic!("{:?}", configuration.components) };
    let ComponentKind::Dummy(pacer) = &pacer.kind else { panic!("{pacer:?}") };
    assert_eq!((pacer.min_sleep, pacer.max_sleep), (Duration::ZERO, Duration::from_millis(500)));
    assert_eq!((pacer.send_miss_chance, pacer.seed, pacer.topic.as_str()), (0.1, 7, "Result"));
    let ComponentKind::Simple(c1) = &c1.kind else { panic!("{c1:?}") };
    assert_eq!((c1.value, c1.inputs.len(), c1.output_delay), (1.0, 0, Duration::ZERO));
    let ComponentKind::Simple(c3) = &c3.kind else { panic!("{c3:?}") };
    assert_eq!((c3.inputs.join("+"), c3.output_delay), ("C1+C2".into(), Duration::from_millis(250)));
}

#[test]
fn what_they_cannot_be_is_told_with_its_place() {
    let told = parse(
        r#"
[component.pacer]
kind = "dummy"
min_sleep_s = 20
error_chance = 1.5
[component.C1]
kind = "simple"
inputs = ["C1"]
"#,
    )
    .unwrap_err();
    for expected in
        ["shortest sleep, 20s, is longer than the longest, 15s", "error_chance", "value", "wait for itself"]
    {
        assert!(told.contains(expected), "{expected} is not in {told}");
    }
    assert!(told.contains("run.toml:"), "{told}");
}
