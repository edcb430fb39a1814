//! The `[device.NAME]` tables of the configuration.

use crate::drivers::{DRIVERS, Opener};
use crate::fallback::FallbackPolicy;
use crate::follows::{FollowSettings, read_follows};
use crate::safety::effect::EffectSettings;
use crate::safety::guard::SafetySettings;
use crate::safety::interlock::{ENTER_SERVICE_DELAY_S, InterlockSettings};
use crate::safety::limits::{Limits, WhenOutside};
use crate::safety::total::TotalLimits;
use crate::twin::{TwinSettings, read_twin};
use gridloop_device::{Command, Mode, SafeState, Source};
use gridloop_service::Section;
use std::time::Duration;

/// One device of the configuration.
#[derive(Debug)]
pub struct DeviceSettings {
    /// Name of the device, of its SimCES component and of its resource.
    pub name: String,
    /// Name of the driver.
    pub driver: &'static str,
    /// The driver with its own settings.
    pub opener: Box<dyn Opener>,
    /// Where the device is.
    pub address: Address,
    /// `Generator`, `Load` or `Storage` for devices with a power; the middle of their ResourceState topic.
    pub category: Option<String>,
    /// `CustomerId` of the ResourceState.
    pub customer_id: String,
    /// Phase 1, 2 or 3; absent for all three.
    pub node: Option<u8>,
    /// Whether it may be written to.
    pub mode: Mode,
    /// How long it stays armed without being armed anew; absent: as long as the gateway runs.
    pub armed_for: Option<Duration>,
    /// Least time between the writes of two different commands.
    pub write_interval: Duration,
    /// What protects it.
    pub safety: SafetySettings,
    /// How long a setpoint holds when no newer one comes; absent: three epochs, but 3 s at least.
    pub dead_man: Option<Duration>,
    /// What it is left in.
    pub safe_state: SafeState,
    /// Time between readings.
    pub poll_interval: Duration,
    /// Longest wait for one answer.
    pub request_timeout: Duration,
    /// How long the start of a run waits for the device.
    pub start_within: Duration,
    /// When the twin stands in.
    pub fallback: FallbackPolicy,
    /// How long the device has to be good before it takes over from its twin.
    pub back_after: Duration,
    /// The twin.
    pub twin: Option<TwinSettings>,
    /// The voltage of the network that it follows.
    pub follows: Option<FollowSettings>,
}

/// Where a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// gridloop serves it itself, on a free port of 127.0.0.1.
    Simulated,
    /// As the driver understands it, such as `tcp://192.0.2.10:502`.
    At(String),
}

impl Address {
    /// Where values of a device at this address come from.
    #[must_use]
    pub fn source(&self) -> Source {
        match self {
            Self::Simulated => Source::Simulated,
            Self::At(_) => Source::Field,
        }
    }
}

/// Reads the `[gateway]` table: what all devices have in common.
#[must_use]
pub fn read_total(root: &Section<'_>) -> TotalLimits {
    let section = root.section("gateway", "What all field devices have in common.");
    let limit = |key: &str, which: &str| {
        let about = format!("{which} sum of the real powers of all devices in W, positive towards the grid.");
        section.number(key, &about).optional()
    };
    let min_real_power_w = limit("min_total_real_power_w", "Lowest");
    let max_real_power_w = limit("max_total_real_power_w", "Highest");
    if min_real_power_w.zip(max_real_power_w).is_some_and(|(lowest, highest)| lowest > highest) {
        section.error(Some("min_total_real_power_w"), "no more than max_total_real_power_w", None);
    }
    TotalLimits { min_real_power_w, max_real_power_w }
}

/// Reads every `[device.NAME]` of the configuration, in its order.
#[must_use]
pub fn read_devices(root: &Section<'_>) -> Vec<DeviceSettings> {
    let devices = root.named_sections("device", "Field devices, each a SimCES component of that name.");
    devices.iter().filter_map(read_device).collect()
}

const ABOUT_FOLLOWS: &str = "The voltage of the network model that the device follows.";

const ABOUT_TWIN: &str = "The plant behind the simulated device and behind the fallback.";

fn read_device(section: &Section<'_>) -> Option<DeviceSettings> {
    let kinds: Vec<_> = DRIVERS
        .iter()
        .map(|&driver| (driver.name(), move |section: &Section<'_>| (driver.name(), driver.read(section))))
        .collect();
    let kinds: Vec<_> =
        kinds.iter().map(|(name, read)| (*name, read as gridloop_service::ReadKind<'_, '_, _>)).collect();
    let chosen: Option<(&'static str, Box<dyn Opener>)> =
        section.variants("driver", "How to talk to the device.", &kinds);
    let address = section
        .text("address", "`tcp://host:port`, or `simulated` for a device that gridloop serves itself.")
        .or("simulated".into());
    let source = section
        .text("source", "`simulated` puts a simulated device in the place of the one at the address.")
        .one_of(&["field", "simulated"])
        .or("field".into());
    let address = if source == "simulated" || address == "simulated" {
        Address::Simulated
    } else {
        Address::At(address)
    };
    let twin_table = section.section("twin", ABOUT_TWIN);
    let twin = if twin_table.is_present() { read_twin(&twin_table) } else { None };
    if address == Address::Simulated && !twin_table.is_present() {
        section.error(
            Some("address"),
            "an address, or a [twin] table to simulate",
            Some(format!("add a [{}.twin] table", section.path())),
        );
    }
    if let (Address::Simulated, Some(twin), Some((driver, opener))) = (&address, &twin, &chosen)
        && !opener.plants().contains(&twin.kind())
    {
        let expected = format!("a plant that driver {driver} can serve: {}", opener.plants().join(", "));
        twin_table.error(Some("plant"), expected, None);
    }
    let fallback = read_fallback(section);
    if fallback != FallbackPolicy::Never && !twin_table.is_present() {
        let help = format!("add a [{}.twin] table, or set fallback = \"never\"", section.path());
        section.error(Some("fallback"), "a twin that can stand in", Some(help));
    }
    let follows = read_follows(&section.section("follows", ABOUT_FOLLOWS), twin.as_ref());
    let mode = read_mode(section, &address);
    let category = section
        .text("category", "Publishes ResourceState.<category>.<name>. Absent: DeviceState only.")
        .one_of(&["Load", "Generator", "Storage"])
        .optional();
    let customer_id =
        section.text("customer_id", "CustomerId of the ResourceState.").or(section.name().to_owned());
    let node =
        section.integer("node", "Phase 1, 2 or 3. Absent: all three.").within(1..=3).fits::<u8>().optional();
    let seconds = |key: &str, about: &str, default: f64| {
        section.duration_s(key, about).within(0.001..=86_400.0).or(Duration::from_secs_f64(default))
    };
    let about = "A setpoint holds this long; without a newer one the device is released. Default: three epochs, \
                 but 3 s at least.";
    let dead_man = section.duration_s("dead_man_s", about).within(0.001..=86_400.0).optional();
    let safety = read_safety(section, category.as_deref());
    let about = "How long an armed device stays armed; `gridloop device arm` renews it. Default: 8 hours for \
                 hardware, no end for simulated devices.";
    let armed_for = section.duration_s("armed_for_s", about).within(1.0..=31_536_000.0).optional();
    let armed_for = armed_for.or((address != Address::Simulated).then_some(A_WORKING_DAY));
    let about = "Least time between the writes of two different commands, for registers that wear out.";
    let write_interval =
        section.duration_s("write_interval_s", about).within(0.0..=86_400.0).or(Duration::ZERO);
    let about = "How long a device that was lost has to be good before it takes over from its twin.";
    let back_after =
        section.duration_s("back_after_s", about).within(0.0..=86_400.0).or(Duration::from_secs(5));
    let poll_interval = seconds("poll_interval_s", "Time between readings.", 0.2);
    let request_timeout = seconds("request_timeout_s", "Longest wait for one answer.", 1.0);
    let start_within = seconds("start_within_s", "How long the start of a run waits for the device.", 5.0);
    let safe_state = read_safe_state(section);
    let (driver, opener) = chosen?;
    Some(DeviceSettings {
        name: section.name().to_owned(),
        driver,
        opener,
        address,
        category,
        customer_id,
        node,
        mode,
        armed_for,
        write_interval,
        safety,
        dead_man,
        safe_state,
        poll_interval,
        request_timeout,
        start_within,
        fallback,
        back_after,
        twin,
        follows,
    })
}

/// How long hardware stays armed unless somebody says so again.
const A_WORKING_DAY: Duration = Duration::from_hours(8);

fn read_safe_state(section: &Section<'_>) -> SafeState {
    let about = "What the device is left in: `release` (its own control, no limits), `hold`, `power`, which is \
                 safe_real_power_w, or `voltage`, which is safe_voltage_v.";
    let words = ["release", "hold", "power", "voltage"];
    let word = section.text("safe_state", about).one_of(&words).or("release".into());
    let about = "With safe_state = \"voltage\": the line-to-neutral voltage in V.";
    let voltage = section.number("safe_voltage_v", about).at_least(0.0).optional();
    let power =
        section.number("safe_real_power_w", "With safe_state = \"power\": the real power in W.").optional();
    match (word.as_str(), power) {
        ("hold", _) => SafeState::Hold,
        ("voltage", _) => match voltage {
            Some(voltage_v) => SafeState::Command(Command::Voltage { voltage_v }),
            None => {
                let help = "say which voltage is safe: safe_voltage_v = 230".to_owned();
                section.error(Some("safe_state"), "a safe_voltage_v beside it", Some(help));
                SafeState::Release
            }
        },
        ("power", Some(real_power_w)) => {
            SafeState::Command(Command::Power { real_power_w, reactive_power_var: 0.0 })
        }
        ("power", None) => {
            let help = "say which power is safe: safe_real_power_w = 0".to_owned();
            section.error(Some("safe_state"), "a safe_real_power_w beside it", Some(help));
            SafeState::Release
        }
        _ => SafeState::Release,
    }
}

fn read_safety(section: &Section<'_>, category: Option<&str>) -> SafetySettings {
    let about = "The most steps of a tap changer in a UTC day, whoever asks for them. Default: no limit.";
    SafetySettings {
        limits: read_limits(&section.section("limits", "What the device may be told.")),
        interlock: read_interlock(&section.section("interlock", "On what grid the device may be driven.")),
        effect: read_effect(
            &section.section("effect", "How it is judged whether the device obeys."),
            category,
        ),
        operations_per_day: section
            .integer("operations_per_day", about)
            .within(0..=100_000)
            .fits()
            .optional(),
    }
}

fn read_interlock(section: &Section<'_>) -> InterlockSettings {
    let about =
        "How long all has to be in range before the device is driven again. Default: 300 s, as IEEE 1547.";
    InterlockSettings {
        voltage_v: read_pair(section, "min_voltage_v", "max_voltage_v", "line-to-neutral voltage in V"),
        frequency_hz: read_pair(section, "min_frequency_hz", "max_frequency_hz", "frequency in Hz"),
        back_after: section
            .duration_s("back_after_s", about)
            .within(0.0..=86_400.0)
            .or(Duration::from_secs_f64(ENTER_SERVICE_DELAY_S)),
    }
}

fn read_effect(section: &Section<'_>, category: Option<&str>) -> EffectSettings {
    let about = "How long the device may take to do what it holds.";
    let within = section.duration_s("within_s", about).within(0.001..=86_400.0).or(Duration::from_secs(10));
    let about = "How far its real power may be off, in W. Default: a tenth of the setpoint and 50 W.";
    let tolerance_w = section.number("tolerance_w", about).at_least(0.0).optional();
    EffectSettings { within, tolerance_w, follows: category.is_some_and(|it| it != "Generator") }
}

fn read_mode(section: &Section<'_>, address: &Address) -> Mode {
    let about =
        "Whether the device may be written to. Default: read-only for hardware, armed for simulated devices.";
    let words = [("read-only", Mode::ReadOnly), ("dry-run", Mode::DryRun), ("armed", Mode::Armed)];
    let default = if *address == Address::Simulated { Mode::Armed } else { Mode::ReadOnly };
    section.text("mode", about).choice(&words).optional().unwrap_or(default)
}

fn read_fallback(section: &Section<'_>) -> FallbackPolicy {
    let about = "When the twin stands in: never, on-start (device absent at the start) or on-loss.";
    let words = [
        ("never", FallbackPolicy::Never),
        ("on-start", FallbackPolicy::OnStart),
        ("on-loss", FallbackPolicy::OnLoss),
    ];
    section.text("fallback", about).choice(&words).or(FallbackPolicy::Never)
}

fn read_limits(section: &Section<'_>) -> Limits {
    let tap = read_pair(section, "min_tap_position", "max_tap_position", "tap position");
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and so does a tap changer's range")]
    let tap_position = tap.map(|(lowest, highest)| (lowest.ceil() as i32, highest.floor() as i32));
    let voltage_v = read_pair(section, "min_voltage_v", "max_voltage_v", "voltage setpoint in V");
    let when_outside = section
        .text("when_outside", "What happens to a setpoint outside: clamp (with a warning) or refuse.")
        .choice(&[("clamp", WhenOutside::Clamp), ("refuse", WhenOutside::Refuse)])
        .or(WhenOutside::Clamp);
    let max_real_power_w = section.number("max_real_power_w", "Highest real power in W.").optional();
    let min_real_power_w = section.number("min_real_power_w", "Lowest real power in W.").optional();
    if min_real_power_w.zip(max_real_power_w).is_some_and(|(lowest, highest)| lowest > highest) {
        section.error(Some("min_real_power_w"), "no more than max_real_power_w", None);
    }
    Limits {
        max_real_power_w,
        min_real_power_w,
        max_reactive_power_var: section
            .number("max_reactive_power_var", "Largest reactive power either way in var.")
            .at_least(0.0)
            .optional(),
        ramp_w_per_s: section
            .number("ramp_w_per_s", "Largest change of the real power setpoint in W/s.")
            .positive()
            .optional(),
        tap_position,
        voltage_v,
        when_outside,
    }
}

/// Two bounds that come together or not at all.
fn read_pair(section: &Section<'_>, low: &str, high: &str, what: &str) -> Option<(f64, f64)> {
    let lowest = section.number(low, &format!("Lowest {what}.")).optional();
    let highest = section.number(high, &format!("Highest {what}.")).optional();
    match (lowest, highest) {
        (Some(lowest), Some(highest)) if lowest <= highest => Some((lowest, highest)),
        (None, None) => None,
        (Some(_), Some(_)) => {
            section.error(Some(low), format!("no more than {high}"), None);
            None
        }
        _ => {
            section.error(None, format!("both {low} and {high}, or neither"), None);
            None
        }
    }
}
