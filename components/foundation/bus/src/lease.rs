//! The right to be the only one of its kind: [`Lease`].

use crate::BusError;
use std::sync::Arc;
use tokio::sync::watch;

/// The right to be the only one of its kind on an exchange, such as the manager of a run. Given back when it is
/// dropped and when its session ends.
///
/// A session that loses its broker takes its leases again before anything else. If somebody else has one by then, the
/// session is over: it publishes nothing more, and [`Lease::lost`] says why.
#[derive(Debug)]
pub struct Lease {
    name: Arc<str>,
    state: watch::Receiver<State>,
    _give_back: GiveBack,
}

/// What has become of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Held,
    /// Somebody else has it.
    Taken,
}

/// Does what has to be done when a lease is dropped.
pub(crate) struct GiveBack(Option<Box<dyn FnOnce() + Send + Sync>>);

impl GiveBack {
    pub(crate) fn by(work: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(work)))
    }
}

impl Drop for GiveBack {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work();
        }
    }
}

impl std::fmt::Debug for GiveBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GiveBack")
    }
}

impl Lease {
    pub(crate) fn new(name: &str, state: watch::Receiver<State>, give_back: GiveBack) -> Self {
        Self { name: name.into(), state, _give_back: give_back }
    }

    /// What it was asked for as.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is held, as far as known.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state.has_changed().is_ok() && *self.state.borrow() == State::Held
    }

    /// Completes when the lease is lost, with the reason: [`BusError::LeaseTaken`] when somebody else took it while the
    /// broker was away, [`BusError::Closed`] when the session ended. Nothing is lost when the wait is cancelled.
    pub async fn lost(&mut self) -> BusError {
        let state = self.state.wait_for(|state| *state == State::Taken).await.map(|state| *state);
        match state {
            Ok(_) => BusError::LeaseTaken { name: self.name.to_string() },
            Err(_) => BusError::Closed,
        }
    }
}
