//! A controller of a SimCES run: [`SimcesController`] finds its dispatchers in the Start message (wire contract 6.6).

use crate::controller::ControllerSettings;
use gridloop_messages::{DecodeError, Start, Timestamp};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// The largest Start file that is read: 64 MiB.
const MAX_START_BYTES: u64 = 64 * 1024 * 1024;

/// What the environment of a process says of its controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimcesController {
    /// The file with the Start message; without one there are no dispatchers, as in SimCES.
    pub start_file: Option<PathBuf>,
    /// The topic of plans.
    pub dispatch_topic: String,
    /// The beginning of the topics of setpoints.
    pub setpoint_topic: String,
}

/// Why a Start message tells no dispatchers.
#[derive(Debug, thiserror::Error)]
pub enum StartFileError {
    /// The operating system does not give the file.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no Start message.
    #[error("{}: expected at most {MAX_START_BYTES} bytes, found more", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is no Start message.
    #[error("{}: no Start message", path.display())]
    Undecodable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The dispatches of the run are not told by name.
    #[error("{}: expected an object with a name for each EconomicDispatch", path.display())]
    Content {
        /// The file.
        path: PathBuf,
    },
}

impl SimcesController {
    /// The dispatchers that the Start message names, and the topics of the environment. It commands whatever the plans
    /// name.
    ///
    /// # Errors
    /// When the file cannot be read or is no Start message.
    pub fn settings(&self) -> Result<ControllerSettings, StartFileError> {
        let dispatchers = self.start_file.as_ref().map_or_else(|| Ok(Vec::new()), dispatchers)?;
        Ok(self.obeying(dispatchers))
    }

    /// The settings of one that waits for these dispatchers.
    #[must_use]
    pub fn obeying(&self, dispatchers: Vec<String>) -> ControllerSettings {
        ControllerSettings {
            dispatchers,
            resources: None,
            dispatch_topic: self.dispatch_topic.clone(),
            setpoint_topic: self.setpoint_topic.clone(),
        }
    }
}

fn dispatchers(path: &PathBuf) -> Result<Vec<String>, StartFileError> {
    let unreadable = |source| StartFileError::Unreadable { path: path.clone(), source };
    let mut bytes = Vec::new();
    let mut input = File::open(path).map_err(unreadable)?.take(MAX_START_BYTES + 1);
    let length = input.read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(length).unwrap_or(u64::MAX) > MAX_START_BYTES {
        return Err(StartFileError::TooLarge { path: path.clone() });
    }
    let start = Start::decode(&bytes, Timestamp::from(chrono::DateTime::UNIX_EPOCH))
        .map_err(|source| StartFileError::Undecodable { path: path.clone(), source })?;
    match start.announcement.parameters.components.get("EconomicDispatch") {
        None | Some(serde_json::Value::Null) => Ok(Vec::new()),
        Some(serde_json::Value::Object(dispatches)) => Ok(dispatches.keys().cloned().collect()),
        Some(_) => Err(StartFileError::Content { path: path.clone() }),
    }
}
