//! The wall-clock-paced SimCES Simulation Manager.
//!
//! [`ManagerCore`] is the rules of wire contract 3.1 to 3.4 as a state machine: an [`Input`] and the [`Present`] go in,
//! [`Action`]s come out. [`run`] is the dull loop around it: bus, timer and [`Pace`] are its hands, [`Report`] is what
//! it leaves behind. A [`PacerThread`] waits for the epoch instants on an operating system thread of its own and says
//! what that system [`Granted`] it. A [`Journal`] has every epoch before the bus has it, so that a manager that is killed
//! can be followed by another. [`doctor`] looks at a host before anything runs on it.
//!
//! Architecture invariants: the core knows neither bus nor clock nor thread; this crate knows no device adapter.

mod alarm;
mod clocks;
mod core;
pub mod doctor;
mod ending;
mod journal;
mod measures;
mod pace;
mod progress;
mod report;
mod rivals;
mod roster;
mod rt;
mod runner;
mod settings;

pub use crate::core::{Action, EpochStart, Input, ManagerCore, NUMBERED_APART, Present};
pub use clocks::{Change, ClockChange, ClockReport};
pub use ending::{ComponentError, Ending, Outcome};
pub use journal::{Disk, Journal, JournalError, Past};
pub use pace::{Pace, PacerSettings, PacerThread};
pub use progress::{Note, Progress};
pub use report::{EpochCounts, LateEpoch, Lateness, Pacing, Report, Resumed};
pub use rivals::Rival;
pub use rt::{Granted, Refusal, Scheduler, Synchronisation, clock_synchronisation};
pub use runner::{Equipment, RunError, run};
pub use settings::{Overrun, Settings, SettingsError, Speed, StartAt};
