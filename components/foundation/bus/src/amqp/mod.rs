//! AMQP.
use crate::*;
#[derive(Clone)]
pub(crate) struct Session;
pub(crate) struct Inbox;
impl Session {
    pub(crate) async fn connect(_: &AmqpUrl, _: &str, _: &str, _: SharedClock) -> Result<Self, BusError> { Err(BusError::Closed) }
    pub(crate) async fn publish(&self, _: &str, _: Bytes) -> Result<(), BusError> { Err(BusError::Closed) }
    pub(crate) async fn subscribe(&self, _: Subscribe) -> Result<Inbox, BusError> { Err(BusError::Closed) }
    pub(crate) async fn flush(&self) -> Result<(), BusError> { Err(BusError::Closed) }
    pub(crate) fn statistics(&self) -> Statistics { Statistics::default() }
    pub(crate) async fn close(&self) {}
}
impl Inbox { pub(crate) async fn recv(&mut self) -> Option<Event> { None } }
