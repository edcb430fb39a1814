//! What can be wrong with a plant's settings, and why it refuses a command.

/// A setting that no such plant can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct SettingsError {
    /// The field of the settings, as it is spelt there.
    pub field: &'static str,
    /// What is wrong with its value, and what it may be.
    pub reason: String,
}

/// Checks that a setting lies in `lowest..=highest` (which no number that is not finite does).
pub(crate) fn check(field: &'static str, value: f64, lowest: f64, highest: f64) -> Result<(), SettingsError> {
    if (lowest..=highest).contains(&value) {
        return Ok(());
    }
    Err(SettingsError { field, reason: format!("{value} is not from {lowest} to {highest}") })
}

/// Why a plant refused a command. It goes on as before.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CommandError {
    /// The value lies outside what this plant can do, or is not a number.
    #[error("{value} is not from {lowest} to {highest} {unit}")]
    OutOfRange {
        /// What was asked for.
        value: f64,
        /// The least that can be asked for.
        lowest: f64,
        /// The most that can be asked for.
        highest: f64,
        /// The unit of all three.
        unit: &'static str,
    },
    /// The tap changer is in a mode in which it takes no tap commands from outside.
    #[error("not in external control")]
    NotRemote,
    /// The tap changer still carries out an earlier command.
    #[error("still moving")]
    Moving,
    /// The motor rests after a movement.
    #[error("the motor rests for {remaining_s:.1} s more")]
    Pausing {
        /// How long it will still rest, in s.
        remaining_s: f64,
    },
}

/// Checks that a commanded value lies in `lowest..=highest`.
pub(crate) fn within(value: f64, lowest: f64, highest: f64, unit: &'static str) -> Result<(), CommandError> {
    if (lowest..=highest).contains(&value) {
        return Ok(());
    }
    Err(CommandError::OutOfRange { value, lowest, highest, unit })
}
