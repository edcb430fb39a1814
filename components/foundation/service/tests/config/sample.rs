//! A configuration like gridloop's own, in small: what the tests read, and a file that is right.

use gridloop_service::{Diagnostics, Document, NumberOrWord, Section};
use std::time::Duration;

/// A file without a mistake.
pub(crate) const SAMPLE: &str = r#"# a comment
[simulation]
name = "A sunny afternoon"
epochs = 60

[manager]
speed = "max"
overrun = "skip"

[device.pv1]
driver = "sunspec"
address = "tcp://127.0.0.1:502"
limits = { max_real_power_w = 8000, dead_man_s = 2.5 }

[device.oltc1]
driver = "register-map"
profile = "tap-changer.toml"
units = ["a", "b"]
"#;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Overrun {
    Stretch,
    Skip,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Driver {
    SunSpec { address: String },
    RegisterMap { profile: std::path::PathBuf, units: Vec<String> },
}

#[derive(Debug, PartialEq)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) enabled: bool,
    pub(crate) driver: Option<Driver>,
    pub(crate) max_real_power_w: Option<f64>,
    pub(crate) dead_man: Duration,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) epochs: u32,
    pub(crate) speed: NumberOrWord,
    pub(crate) overrun: Overrun,
    pub(crate) devices: Vec<Device>,
}

pub(crate) fn read(root: &Section<'_>) -> Settings {
    let simulation = root.required_section("simulation", "the run");
    let manager = root.section("manager", "how epochs are paced");
    Settings {
        name: simulation.text("name", "what people call the run").required(),
        epochs: simulation.integer("epochs", "how many epochs are run").at_least(1).fits().or(60),
        speed: manager
            .number_or_word("speed", &["max"], "1 is wall clock")
            .positive()
            .or(NumberOrWord::Number(1.0)),
        overrun: manager
            .text("overrun", "what to do when somebody is late")
            .choice(&[("stretch", Overrun::Stretch), ("skip", Overrun::Skip)])
            .or(Overrun::Stretch),
        devices: root.named_sections("device", "field devices").iter().map(device).collect(),
    }
}

fn device(section: &Section<'_>) -> Device {
    let limits = section.section("limits", "what the device may be asked for");
    Device {
        id: section.name().to_owned(),
        enabled: section.boolean("enabled", "whether the device takes part").or(true),
        driver: section.variants(
            "driver",
            "what the device speaks",
            &[("sunspec", &sunspec), ("register-map", &register_map)],
        ),
        max_real_power_w: limits
            .number("max_real_power_w", "highest real power")
            .within(0.0..=1e6)
            .optional(),
        dead_man: limits.duration_s("dead_man_s", "silence before release").or(Duration::from_secs(3)),
    }
}

fn sunspec(section: &Section<'_>) -> Driver {
    Driver::SunSpec {
        address: section
            .text("address", "where the device listens")
            .matching(|address| match address.starts_with("tcp://") {
                true => Ok(()),
                false => Err("an address starts with tcp://".to_owned()),
            })
            .such_as("tcp://192.0.2.10:502")
            .required(),
    }
}

fn register_map(section: &Section<'_>) -> Driver {
    Driver::RegisterMap {
        profile: section.file("profile", "the register map").required(),
        units: section.texts("units", "units of the points").or(Vec::new()),
    }
}

/// Reads `text` as far as it can be read.
pub(crate) fn check(text: &str) -> Result<Settings, Diagnostics> {
    check_with(text, &[])
}

/// Reads `text` with overrides.
pub(crate) fn check_with(text: &str, overrides: &[&str]) -> Result<Settings, Diagnostics> {
    let mut document = Document::parse("demo.toml", text)?;
    for assignment in overrides {
        document.set(assignment)?;
    }
    let settings = read(&document.root());
    document.finish()?;
    Ok(settings)
}
