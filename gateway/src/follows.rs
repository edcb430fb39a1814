//! Which voltage of the network model a device follows: [`FollowSettings`] from the configuration, and [`Following`],
//! which hears NetworkState messages and says what voltage they make at the device.
//!
//! A network publishes one message for each conductor of a bus (wire contract 2.5), in kV. A device with a
//! `node` follows that phase, any other the mean of the three, as soon as all three are there. What is late, incomplete,
//! implausible or doubted by its own sender is not followed, and the reason is told.

use crate::follows::doubts::NetworkDoubts;
use crate::twin::TwinSettings;
use gridloop_messages::{Body, Conductor, Message, NetworkState, Warning, topic};
use gridloop_service::Section;

pub(crate) mod doubts;

/// What a device follows, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowSettings {
    /// The grid; absent: the first that speaks of the bus.
    pub grid: Option<String>,
    /// The bus.
    pub bus: String,
    /// What the voltage does.
    pub by: FollowBy,
    /// Line-to-neutral voltage of the device in V.
    pub nominal_voltage_v: f64,
    /// Line-to-neutral voltage of the bus in V. The voltage of the bus comes to the device in the proportion of the two.
    pub bus_nominal_voltage_v: f64,
    /// The voltages that are followed, in parts of the nominal one.
    pub plausible_pu: (f64, f64),
    /// Epochs without a voltage before results carry a warning.
    pub warn_after_epochs: u64,
    /// Whether a voltage is followed although its sender warns that it may not be right.
    pub despite_warnings: bool,
}

/// What the voltage of the network does to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowBy {
    /// It is what the simulated device, or the twin of a real one, has at its terminals.
    Terminals,
    /// The device is told it, as a voltage setpoint.
    Setpoint,
}

/// Reads `follows = { ... }` of a device; `None` where there is none, or a wrong one, which has been reported then.
pub(crate) fn read_follows(section: &Section<'_>, twin: Option<&TwinSettings>) -> Option<FollowSettings> {
    if !section.is_present() {
        return None;
    }
    let name = |text: &String| match text.as_str() {
        "" => Err("a name".to_owned()),
        text if text.contains(['*', '#']) => Err("a name without `*` and `#`".to_owned()),
        _ => Ok(()),
    };
    let grid = section.text("grid", "Name of the grid component. Absent: the first that speaks of the bus.");
    let grid = grid.matching(name).optional();
    let bus = section.text("bus", "The bus whose voltage is followed.").matching(name).required();
    let by = read_by(section, twin);
    let about = "Line-to-neutral voltage of the device in V. Default: that of its twin.";
    let nominal = section.number("nominal_voltage_v", about).within(1.0..=1e6).optional();
    let nominal_voltage_v = nominal.or_else(|| twin.map(TwinSettings::nominal_voltage_v));
    if nominal_voltage_v.is_none() {
        let help = Some("there is no twin that would say it".to_owned());
        section.error(Some("nominal_voltage_v"), "the voltage of the device", help);
    }
    let about = "Line-to-neutral voltage of the bus in V, where it is not that of the device.";
    let of_bus = section.number("bus_nominal_voltage_v", about).within(1.0..=1e6).optional();
    let about = "Lowest voltage followed, in parts of the nominal one. Default: 0, a dip reaches the plant; 0.5 where the \
                 device is told it.";
    let told = by == Some(FollowBy::Setpoint);
    let lowest = section.number("min_voltage_pu", about).within(0.0..=1.0).or(if told { 0.5 } else { 0.0 });
    let highest = section.number("max_voltage_pu", "Highest voltage followed, in parts of the nominal one.");
    let highest = highest.within(1.0..=3.0).or(1.5);
    let about = "Epochs without a voltage before results carry a warning.";
    let warn_after_epochs = section.integer("warn_after_epochs", about).within(1..=1_000_000).fits().or(2);
    let about = "Whether a voltage is followed although the network warns of its inputs or of convergence.";
    let despite_warnings = section.boolean("despite_warnings", about).or(false);
    let nominal_voltage_v = nominal_voltage_v?;
    Some(FollowSettings {
        grid,
        bus,
        by: by?,
        nominal_voltage_v,
        bus_nominal_voltage_v: of_bus.unwrap_or(nominal_voltage_v),
        plausible_pu: (lowest, highest),
        warn_after_epochs,
        despite_warnings,
    })
}

/// Nothing real is commanded unless the configuration says `setpoint`.
fn read_by(section: &Section<'_>, twin: Option<&TwinSettings>) -> Option<FollowBy> {
    let about = "terminals: the voltage at the simulated device or the twin; setpoint: the device is told it. Default: \
                 terminals, and setpoint for a grid-emulator.";
    let words = [("terminals", FollowBy::Terminals), ("setpoint", FollowBy::Setpoint)];
    let said = section.text("by", about).choice(&words).optional();
    let makes_voltage = matches!(twin, Some(TwinSettings::GridEmulator(_)));
    match (said, twin) {
        (Some(FollowBy::Terminals), Some(_)) if makes_voltage => {
            let help = "a grid emulator makes the voltage at its terminals".to_owned();
            section.error(Some("by"), "setpoint", Some(help));
            None
        }
        (None, Some(_)) if makes_voltage => Some(FollowBy::Setpoint),
        (Some(FollowBy::Setpoint), _) => Some(FollowBy::Setpoint),
        (_, Some(_)) => Some(FollowBy::Terminals),
        (_, None) => {
            let help = "a device without a twin can only be told the voltage: by = \"setpoint\"".to_owned();
            section.error(Some("by"), "a [twin] whose terminals can follow, or setpoint", Some(help));
            None
        }
    }
}

/// What a message of the network comes to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    /// Nothing yet, or nothing that concerns the device.
    Nothing,
    /// This voltage at the device, in V.
    Voltage(f64),
    /// It is not followed, for this reason.
    Ignored(String),
    /// It is not followed because its sender says that it may not be right.
    Doubted(String),
}

/// A device that follows a bus.
#[derive(Debug, Clone)]
pub(crate) struct Following {
    settings: FollowSettings,
    /// Which phase; absent: the mean of all three.
    node: Option<u8>,
    /// The grid that is listened to.
    grid: Option<String>,
    /// What the phases of the open epoch have, in V of the bus.
    phases_v: [Option<f64>; 3],
    /// The newest epoch whose voltage was followed; 0 before the first.
    followed_epoch: u64,
    /// Where it is told for all devices together what networks doubt.
    doubts: NetworkDoubts,
}

impl Following {
    pub(crate) fn new(settings: FollowSettings, node: Option<u8>, doubts: NetworkDoubts) -> Self {
        let grid = settings.grid.clone();
        Self { settings, node, grid, phases_v: [None; 3], followed_epoch: 0, doubts }
    }

    pub(crate) fn by(&self) -> FollowBy {
        self.settings.by
    }

    /// The topic to listen to; a pattern where the grid is not named.
    pub(crate) fn topic(&self) -> String {
        topic::network_voltage(self.settings.grid.as_deref().unwrap_or("*"), &self.settings.bus)
    }

    /// The grid, if this is a topic of the bus.
    fn grid_of<'t>(&self, topic: &'t str) -> Option<&'t str> {
        let (grid, bus) = topic.strip_prefix("NetworkState.")?.split_once(".Voltage.")?;
        let named = self.settings.grid.as_deref().is_none_or(|named| named == grid);
        (bus == self.settings.bus && named).then_some(grid)
    }

    /// Whether the topic is the one that is listened to.
    pub(crate) fn concerns(&self, topic: &str) -> bool {
        self.grid_of(topic).is_some()
    }

    /// An epoch opens. What was incomplete in the one before is told.
    pub(crate) fn opens(&mut self) -> Option<String> {
        let phases_v = std::mem::take(&mut self.phases_v);
        let there = phases_v.iter().flatten().count();
        let incomplete = self.node.is_none() && (1..3).contains(&there);
        incomplete.then(|| {
            let bus = &self.settings.bus;
            format!("the network gave {there} of the 3 phases of bus {bus}; set `node` to follow one alone")
        })
    }

    /// Takes a message of the open epoch, or of the one that has just been completed.
    pub(crate) fn hear(&mut self, topic: &str, message: &Message) -> Heard {
        let Some(grid) = self.grid_of(topic) else { return Heard::Nothing };
        let Body::NetworkState(NetworkState::Voltage(voltage)) = &message.body else {
            return Heard::Ignored("the message says no voltage".into());
        };
        let phase = match voltage.node {
            Conductor::Phase1 => 0,
            Conductor::Phase2 => 1,
            Conductor::Phase3 => 2,
            Conductor::Neutral => return Heard::Nothing,
        };
        if self.node.is_some_and(|node| usize::from(node) != phase + 1) {
            return Heard::Nothing;
        }
        if let Err(why) = self.acceptable(grid, &voltage.bus, voltage.magnitude_kv * 1000.0) {
            return Heard::Ignored(why);
        }
        let (doubt, epoch) = (message.doubt().map(Warning::as_str), message.epoch_number().unwrap_or(0));
        self.doubts.hears(grid, epoch, doubt);
        if let Some(doubt) = doubt.filter(|_| !self.settings.despite_warnings) {
            return Heard::Doubted(format!("grid {grid} warns: {doubt}"));
        }
        self.grid.get_or_insert_with(|| grid.to_owned());
        if let Some(slot) = self.phases_v.get_mut(phase) {
            *slot = Some(voltage.magnitude_kv * 1000.0);
        }
        let bus_v = match (self.node, self.phases_v) {
            (Some(_), _) => voltage.magnitude_kv * 1000.0,
            (None, [Some(a), Some(b), Some(c)]) => (a + b + c) / 3.0,
            (None, _) => return Heard::Nothing,
        };
        self.followed_epoch = self.followed_epoch.max(epoch);
        Heard::Voltage(bus_v * (self.settings.nominal_voltage_v / self.settings.bus_nominal_voltage_v))
    }

    fn acceptable(&self, grid: &str, bus: &str, bus_v: f64) -> Result<(), String> {
        let settings = &self.settings;
        if let Some(listened) = self.grid.as_deref().filter(|listened| *listened != grid) {
            return Err(format!(
                "grids {listened} and {grid} both have a bus {bus}; only {listened} is followed"
            ));
        }
        if bus != settings.bus {
            return Err(format!("the message on the topic of bus {} is about bus {bus}", settings.bus));
        }
        let voltage_pu = bus_v / settings.bus_nominal_voltage_v;
        let (lowest, highest) = settings.plausible_pu;
        if !(lowest..=highest).contains(&voltage_pu) {
            return Err(format!(
                "{bus_v:.1} V at bus {bus} is {voltage_pu:.3} of the nominal voltage, outside {lowest} to {highest}"
            ));
        }
        Ok(())
    }

    /// What is missing as the results of an epoch are published. The voltage of that epoch comes only after them.
    pub(crate) fn missing(&self, epoch: u64) -> Option<String> {
        let without = epoch.saturating_sub(1).saturating_sub(self.followed_epoch);
        let bus = &self.settings.bus;
        (without >= self.settings.warn_after_epochs).then(|| match self.followed_epoch {
            0 => format!("no voltage of bus {bus} has come: the nominal one stands in its place"),
            followed => {
                format!("no voltage of bus {bus} for {without} epochs; that of epoch {followed} is kept")
            }
        })
    }
}

#[cfg(test)]
mod tests;
