//! How other tasks get a component's attention.

use std::sync::Arc;
use tokio::sync::Notify;

/// Makes the kit call [`step`](crate::Component::step) again, if an epoch is open. Clones poke the same component;
/// pokes that come faster than they are taken count as one.
#[derive(Debug, Clone, Default)]
pub struct Poke {
    notify: Arc<Notify>,
}

impl Poke {
    /// A new handle, for one component.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a step. Never waits.
    pub fn poke(&self) {
        self.notify.notify_one();
    }

    /// Completes once for the pokes since the last completion.
    pub(crate) async fn poked(&self) {
        self.notify.notified().await;
    }
}
