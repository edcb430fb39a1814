//! A bridge whose device follows the network model: the voltage of an epoch is the device's from the moment it comes,
//! and so in the results of the next.

use super::{Bridge, Origin};
use crate::follows::{FollowBy, Heard};
use gridloop_clock::MonoTime;
use gridloop_component::Refusal;
use gridloop_device::Command;
use gridloop_messages::{Message, WarningKind};

impl Bridge {
    /// Takes a message of the network, if it is one that the device follows.
    pub(super) fn hear_network(&mut self, topic: &str, message: &Message, arrived_at: MonoTime) {
        let Some(following) = &mut self.equipment.following else { return };
        let by = following.by();
        match following.hear(topic, message) {
            Heard::Nothing => {}
            Heard::Ignored(why) => self.ignored(&why),
            Heard::Doubted(why) => self.doubted(&why),
            Heard::Voltage(voltage_v) => {
                let follows = match by {
                    FollowBy::Setpoint => {
                        self.command(Command::Voltage { voltage_v }, &Origin::of(message), arrived_at)
                    }
                    FollowBy::Terminals => {
                        for terminals in &self.equipment.terminals {
                            terminals.set_voltage_v(voltage_v, self.published_position);
                        }
                        true
                    }
                };
                if follows {
                    self.equipment.journal.followed();
                    if std::mem::take(&mut self.ignores_network) {
                        tracing::info!(device = %self.settings.name, "the network is followed again");
                    }
                } else {
                    self.equipment.journal.network_state_ignored();
                }
            }
        }
    }

    /// A message of the network was refused before it got here: it came late, or cannot be read.
    pub(super) fn network_refused(&mut self, topic: &str, refusal: &Refusal) -> bool {
        let concerns = self.equipment.following.as_ref().is_some_and(|following| following.concerns(topic));
        if concerns {
            self.ignored(&refusal.to_string());
        }
        concerns
    }

    pub(super) fn network_epoch_opens(&mut self) {
        if let Some(why) = self.equipment.following.as_mut().and_then(crate::follows::Following::opens) {
            self.ignored(&why);
        }
    }

    pub(super) fn warn_of_missing_network(&mut self, epoch: u64) {
        let missing = self.equipment.following.as_ref().and_then(|following| following.missing(epoch));
        let before = std::mem::replace(&mut self.without_network, missing.is_some());
        if let Some(missing) = missing {
            self.equipment.journal.epoch_without_network();
            self.warn_on_the_bus(WarningKind::Other, &missing);
            if !before {
                tracing::warn!(device = %self.settings.name, "{missing}");
            }
        }
    }

    /// People are told when it begins and when it is over; every result says it.
    fn ignored(&mut self, why: &str) {
        if !std::mem::replace(&mut self.ignores_network, true) {
            tracing::warn!(device = %self.settings.name, "the network is not followed: {why}");
        }
        self.doubted(why);
    }

    /// The warning is not one of inputs: a network that passes those on would doubt its own next result, which would not
    /// be followed for that reason, and so on for ever. That the network doubts itself is told for all devices together.
    fn doubted(&mut self, why: &str) {
        self.equipment.journal.network_state_ignored();
        self.warn_on_the_bus(WarningKind::Other, &format!("the network is not followed: {why}"));
    }
}
