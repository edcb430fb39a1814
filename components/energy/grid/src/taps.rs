//! The tap changers of a network: [`Taps`] knows where each stands, from a device or because it plays the tap changer
//! itself.

use gridloop_component::{Fault, Output};
use gridloop_messages::{
    Body, DeviceState, PointQuality, PointSource, PointState, Warning, WarningKind, topic,
};
use gridloop_power_flow::{TapRange, Topology};
use gridloop_service::Section;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The point of a device that tells its tap position.
pub(crate) const TAP_POSITION: &str = "tap_position";

/// What the tables of taps are.
pub(crate) const ABOUT_TAPS: &str = "Who moves the taps of a branch, by its name.";

/// Who moves the taps of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TapChanger {
    /// A device: the position is the one of its DeviceState.
    Device(String),
    /// Nobody else: the network takes `ControlState.TapPosition.<branch>` itself.
    Commanded,
}

/// What `[taps.NAME]` of a component say.
#[derive(Debug, Default)]
pub(crate) struct ReadTaps {
    /// Who moves them, by branch.
    pub(crate) changers: BTreeMap<String, TapChanger>,
    /// Range and position of those that the network itself does not tell.
    pub(crate) ranges: BTreeMap<String, (TapRange, i32)>,
}

/// Reads who moves taps; `commands` says whether the component itself may.
pub(crate) fn read(section: &Section<'_>, commands: bool) -> ReadTaps {
    let mut taps = ReadTaps::default();
    for section in section.named_sections("taps", ABOUT_TAPS) {
        let name = section.name().to_owned();
        let device = section
            .text("device", "The tap changer: its position is that of `DeviceState.<device>`.")
            .optional();
        let commanded = commands
            && section
                .boolean(
                    "commanded",
                    "true: no device; the network obeys `ControlState.TapPosition.<branch>` itself.",
                )
                .or(false);
        let range = section.section("range", "Where they can stand, for a network that does not tell it.");
        if range.is_present() {
            taps.ranges.extend(read_range(&range).map(|range| (name.clone(), range)));
        }
        match (device, commanded) {
            (Some(device), false) => drop(taps.changers.insert(name, TapChanger::Device(device))),
            (None, true) => drop(taps.changers.insert(name, TapChanger::Commanded)),
            (None, false) if !commands => {
                section.error(Some("device"), "the device that tells the position", None)
            }
            _ => section.error(Some("device"), "either `device` or `commanded = true`", None),
        }
    }
    taps
}

/// Reads where taps can stand, and where they do.
pub(crate) fn read_range(section: &Section<'_>) -> Option<(TapRange, i32)> {
    let about = "By how much one position up raises the voltage of the bus where it ends, in %.";
    read_range_of(section, about, LEAST_STEP_PERCENT..=20.0)
}

/// The least by which one position may change the voltage, in %.
const LEAST_STEP_PERCENT: f64 = 0.001;

/// The same with steps in this range, and what they mean.
pub(crate) fn read_range_of(
    section: &Section<'_>,
    about_step: &str,
    steps_percent: RangeInclusive<f64>,
) -> Option<(TapRange, i32)> {
    let position = |key: &str, about: &str| section.integer(key, about).within(-1000..=1000).fits::<i32>();
    let lowest = position("lowest", "Lower end stop, in the tap changer's own counting.").required_option();
    let highest = position("highest", "Upper end stop.").required_option();
    let neutral = position("neutral", "The position of nominal ratio.").required_option();
    let now = position("position", "Where it stands unless somebody moves it. Default: neutral.").optional();
    let step = section.number("step_percent", about_step).within(steps_percent).required_option();
    let (lowest, highest, neutral) = (lowest?, highest?, neutral?);
    let (step, now) = (step? / 100.0, now.unwrap_or(neutral));
    let range = lowest..=highest;
    let expected = format!("from {lowest} to {highest}");
    let reversed = lowest > highest;
    let ratio = |position: i32| 1.0 + f64::from(position - neutral) * step;
    for (key, wrong, expected) in [
        ("highest", reversed, format!("{lowest} or more")),
        ("neutral", !reversed && !range.contains(&neutral), expected.clone()),
        ("position", !reversed && !range.contains(&now), expected),
        (
            "step_percent",
            step.abs() < LEAST_STEP_PERCENT / 100.0,
            format!("{LEAST_STEP_PERCENT} or more, up or down"),
        ),
        (
            "step_percent",
            ratio(lowest).min(ratio(highest)) <= 0.1,
            "less: at an end stop next to nothing would be left of the voltage".to_owned(),
        ),
    ] {
        if wrong {
            section.error(Some(key), expected, None);
            return None;
        }
    }
    Some((TapRange { lowest, highest, neutral, step }, now))
}

/// Where the tap changers stand.
#[derive(Debug)]
pub(crate) struct Taps {
    by_branch: BTreeMap<usize, Tap>,
}

#[derive(Debug)]
struct Tap {
    branch: String,
    changer: TapChanger,
    range: TapRange,
    position: i32,
    /// Where it will stand from the next epoch.
    ordered: Option<i32>,
    /// Whether the device has told its position in this epoch.
    told: bool,
    /// Why the position that it told cannot be relied on.
    doubt: Option<String>,
    /// What of the orders of this epoch it did not obey.
    refused: Vec<String>,
    refused_orders: u64,
    operations: u64,
}

impl Taps {
    /// The tap changers of a network.
    pub(crate) fn new(changers: &BTreeMap<String, TapChanger>, topology: &Topology) -> Result<Self, Fault> {
        let mut by_branch = BTreeMap::new();
        for (name, changer) in changers {
            let at = topology.branch(name);
            let known = at.and_then(|at| topology.branches.get(at));
            let (Some(at), Some((range, position))) =
                (at, known.and_then(|known| Some((known.taps?, known.tap_position))))
            else {
                return Err(Fault::new(format!("`taps.{name}`: the network has no branch {name} with taps")));
            };
            let tap = Tap {
                branch: name.clone(),
                changer: changer.clone(),
                range,
                position,
                ordered: None,
                told: false,
                doubt: None,
                refused: Vec::new(),
                refused_orders: 0,
                operations: 0,
            };
            by_branch.insert(at, tap);
        }
        Ok(Self { by_branch })
    }

    pub(crate) fn topics(changers: &BTreeMap<String, TapChanger>) -> impl Iterator<Item = String> {
        changers.iter().map(|(branch, changer)| match changer {
            TapChanger::Device(device) => topic::device_state(device),
            TapChanger::Commanded => topic::tap_position(branch),
        })
    }

    /// A new epoch: what was ordered in the one before is done.
    pub(crate) fn open(&mut self) {
        for tap in self.by_branch.values_mut() {
            tap.told = false;
            tap.refused.clear();
            if let Some(position) = tap.ordered.take() {
                tap.move_to(position);
            }
        }
    }

    /// Takes what concerns a tap changer. An order that it cannot obey leaves it where it stands, or goes.
    pub(crate) fn take(&mut self, topic: &str, body: &Body) {
        let mut taps = self.by_branch.values_mut();
        match body {
            Body::DeviceState(state) => {
                let device = TapChanger::Device(state.device_id.clone());
                if let Some(tap) = taps.find(|tap| tap.changer == device) {
                    tap.hear(state);
                }
            }
            Body::TapPosition(order) => {
                let of = |tap: &Tap| {
                    tap.changer == TapChanger::Commanded && topic == topic::tap_position(&tap.branch)
                };
                if let Some(tap) = taps.find(|tap| of(tap)) {
                    tap.order(order.tap_position);
                }
            }
            _ => {}
        }
    }

    /// Devices that have not told their position in this epoch.
    pub(crate) fn missing(&self) -> Vec<String> {
        let silent = self.by_branch.values().filter(|tap| !tap.told);
        silent
            .filter_map(|tap| match &tap.changer {
                TapChanger::Device(device) => Some(format!("DeviceState of {device}")),
                TapChanger::Commanded => None,
            })
            .collect()
    }

    /// Why positions cannot be relied on: of those devices the last good one counts.
    pub(crate) fn doubts(&self) -> impl Iterator<Item = &str> {
        self.by_branch.values().filter_map(|tap| tap.doubt.as_deref())
    }

    /// Orders that could not be obeyed, in the whole run.
    pub(crate) fn refused_orders(&self) -> u64 {
        self.by_branch.values().map(|tap| tap.refused_orders).sum()
    }

    pub(crate) fn positions(&self) -> BTreeMap<usize, i32> {
        self.by_branch.iter().map(|(branch, tap)| (*branch, tap.position)).collect()
    }

    /// Where those stand that nobody else tells of, as a device would tell it.
    pub(crate) fn outputs(&self) -> Vec<Output> {
        let own = self.by_branch.values().filter(|tap| tap.changer == TapChanger::Commanded);
        own.map(|tap| {
            let point = PointState {
                name: TAP_POSITION.to_owned(),
                value: f64::from(tap.position),
                unit: "1".to_owned(),
                quality: PointQuality::Good,
                source: PointSource::Simulated,
                age_s: 0.0,
            };
            let state = DeviceState { device_id: tap.branch.clone(), points: vec![point] };
            let warnings = tap.refused.iter().map(|why| Warning::new(WarningKind::Input, why)).collect();
            Output { warnings, ..Output::new(topic::device_state(&tap.branch), Body::DeviceState(state)) }
        })
        .collect()
    }

    /// By branch: where it stands, and how many steps it has made.
    pub(crate) fn findings(&self) -> Value {
        let each = self.by_branch.values();
        each.map(|tap| (tap.branch.clone(), json!({"position": tap.position, "operations": tap.operations})))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

impl Tap {
    fn move_to(&mut self, position: i32) {
        self.operations += u64::from(self.position.abs_diff(position));
        self.position = position;
    }

    fn order(&mut self, position: i32) {
        let TapRange { lowest, highest, .. } = self.range;
        if (lowest..=highest).contains(&position) {
            self.ordered = Some(position);
        } else {
            self.refused_orders += 1;
            self.refused.push(format!(
                "{} cannot go to position {position}: it has those from {lowest} to {highest}",
                self.branch
            ));
        }
    }

    fn hear(&mut self, state: &DeviceState) {
        self.told = true;
        let point = state.points.iter().find(|point| point.name == TAP_POSITION);
        let position = point.filter(|point| point.quality == PointQuality::Good).and_then(|point| {
            (self.range.lowest..=self.range.highest).find(|position| f64::from(*position) == point.value)
        });
        if let Some(position) = position {
            self.move_to(position);
        }
        let told = || {
            let Some(point) = point else { return format!("{} tells no {TAP_POSITION}", state.device_id) };
            let (value, quality) = (point.value, point.quality.as_str());
            let (device, branch, counted) = (&state.device_id, &self.branch, self.position);
            format!(
                "the tap position of {branch} is not good: {device} tells {value} ({quality}); {counted} counts"
            )
        };
        self.doubt = position.is_none().then(told);
    }
}
