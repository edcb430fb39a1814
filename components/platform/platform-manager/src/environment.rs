//! What a process of a SimCES run is told by its environment variables (wire contract 1.7 and section 6), instead of by
//! a configuration.
//!
//! [`Variables`] is the environment; a [`Reader`] takes values out of it, notes everything that is wrong and goes on,
//! so that [`Reader::finish`] tells every error at once. [`Common`], [`ManagerVariables`], [`Kind::read`] and
//! [`GatewayVariables`] say what there is to take. Nothing here looks at the process's own environment, at files or at
//! the network: tests hand in a map.
//!
//! The Python platform writes values with Python's `str()`. So `True`, `False` and `None` are understood in any case,
//! blanks around a value do not count, and an empty value of anything but a text is one that is not given.

mod bus;
mod common;
mod component;
mod dispatch;
mod energy;
mod gateway;
mod iteration;
mod log_writer;
mod manager;
mod market;
mod network;
mod reader;
mod store;

pub use bus::BusVariables;
pub use common::{Common, LogVariables};
pub use component::Kind;
pub use gateway::GatewayVariables;
pub use log_writer::LogWriterVariables;
pub use manager::ManagerVariables;
pub use reader::{EnvironmentErrors, Reader, VariableError, Variables};
pub use store::{UsualMongo, read_store};
