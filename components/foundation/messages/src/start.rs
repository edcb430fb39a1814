//! Start (wire contract 2.3): what the Platform Manager announces on the management exchange and writes to a file.
//!
//! It is no [`Message`](crate::Message): it has no sender and no id. For [`decode`](crate::decode) it is a type like
//! any other unknown one, as it is for SimCES, so that whoever records everything records it as it came; who wants to
//! know what it says calls [`Start::decode`].

use serde_json::{Map, Value};

use crate::codec::number::Number;
use crate::codec::{Count, Name, Text, Time, list, nested};
use crate::decode::{field_error, parse_object, shortened, type_of};
use crate::describe::Shape;
use crate::encode::USUAL_BYTES;
use crate::record::{Members, Record, all_but, optional, record, required};
use crate::{DecodeError, EncodeError, SimulationId, Timestamp, header};

/// `Type` on the wire.
pub(crate) const TYPE: &str = "Start";

/// A run has been started.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The run.
    pub simulation_id: SimulationId,
    /// When it was announced, wall-clock UTC.
    pub timestamp: Timestamp,
    /// What is announced.
    pub announcement: Announcement,
}

record! {
    /// What Start says of the run.
    pub struct Announcement {
        /// The exchange that the run's messages go over.
        exchange: String = required("SimulationSpecificExchange", Name),
        /// Name of the run.
        name: String = required("SimulationName", Text),
        /// What the run is about; may be empty.
        description: String = required("SimulationDescription", Text),
        /// The parameters of every process.
        parameters: ProcessParameters = required("ProcessParameters", nested::<ProcessParameters>()),
    }
}

record! {
    /// The parameters of the processes of a run.
    pub struct ProcessParameters {
        /// Those of the Simulation Manager.
        manager: ManagerParameters = required("SimulationManager", nested::<ManagerParameters>()),
        /// Those of the Log Writer.
        log_writer: Option<LogWriterParameters> = optional("LogWriter", nested::<LogWriterParameters>()),
        /// By component type an object that has, by process name, the attributes of each process as an object; null for
        /// a process that lacks a required one. Values are as in the run configuration.
        components: Map<String, Value> = all_but(&["SimulationManager", "LogWriter"]),
    }
}

record! {
    /// Parameters of the Simulation Manager.
    pub struct ManagerParameters {
        /// Start of the first epoch, in simulated time.
        initial_start_time: Timestamp = required("InitialStartTime", Time),
        /// Length of every epoch in seconds.
        epoch_length_s: u64 = required("EpochLength", Count),
        /// How many epochs there are at most.
        max_epoch_count: u64 = required("MaxEpochCount", Count),
        /// The manager's name, which is its SourceProcessId.
        manager_name: String = required("ManagerName", Name),
        /// Seconds until the manager repeats what was not answered.
        epoch_timer_interval_s: f64 = required("EpochTimerInterval", Number),
        /// Who takes part, external components included.
        components: Vec<String> = required("Components", list(Name)),
        /// How often the manager repeats before it gives up.
        max_epoch_resend_count: u64 = required("MaxEpochResendCount", Count),
    }
}

record! {
    /// Parameters of the Log Writer.
    pub struct LogWriterParameters {
        /// How many messages it gathers at most before it writes them.
        message_buffer_max_document_count: u64 = required("MessageBufferMaxDocumentCount", Count),
        /// How many seconds it waits at most before it writes what it has.
        message_buffer_max_interval_s: f64 = required("MessageBufferMaxInterval", Number),
    }
}

impl Start {
    /// The announcement in `body`; `now` is when it was made if it does not say so itself.
    ///
    /// # Errors
    /// The bytes are no message, or one of another type, or a field breaks a rule.
    pub fn decode(body: &[u8], now: Timestamp) -> Result<Self, DecodeError> {
        parse_object(body, |object| {
            let type_name = type_of(&object)?;
            if type_name != TYPE {
                return Err(DecodeError::NotStart { type_name: shortened(type_name) });
            }
            let read = header::read_base(&object, now).and_then(|(simulation_id, timestamp)| {
                Ok(Self { simulation_id, timestamp, announcement: Announcement::read(&object)? })
            });
            read.map_err(|error| field_error(TYPE, error))
        })
    }

    /// The announcement as it goes over the bus and into the file: UTF-8 JSON.
    ///
    /// # Errors
    /// A field breaks a rule of the wire contract; it must not be sent.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::with_capacity(4 * USUAL_BYTES);
        Members::object(&mut bytes, |members| {
            members.literal("Type", TYPE)?;
            header::write_base(&self.simulation_id, self.timestamp, members)?;
            self.announcement.write(members)
        })
        .map_err(|error| EncodeError::field(TYPE, error))?;
        Ok(bytes)
    }
}

pub(crate) fn shapes() -> Vec<Shape> {
    Announcement::shapes()
}
