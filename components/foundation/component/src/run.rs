//! The loop between a [`ComponentCore`] and the bus. It waits, hands over and carries out; the core decides.

use crate::memo::message_in;
use crate::{Action, Component, ComponentCore, Identity, Input, Poke};
use gridloop_bus::{Bus, Event, Subscribe, Subscription, WhenFull};
use gridloop_clock::{MonoTime, SharedClock};
use gridloop_messages::Timestamp;
use std::pin::pin;
use tokio_util::sync::CancellationToken;

/// Messages that may wait for a component while it publishes. Publishers wait for it beyond that.
const CAPACITY: usize = 4_096;

/// How a component's work came to its regular end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The manager sent SimState `stopped`.
    Stopped,
    /// The process was asked to end.
    Cancelled,
}

/// Why a component's work came to an end before its time.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The bus did not take the subscription.
    #[error("component {name} cannot subscribe")]
    Subscribe {
        /// The component.
        name: String,
        /// What the bus says.
        source: gridloop_bus::BusError,
    },
    /// The bus did not take a message.
    #[error("component {name} cannot publish on {topic}")]
    Publish {
        /// The component.
        name: String,
        /// The routing key.
        topic: String,
        /// What the bus says.
        source: gridloop_bus::BusError,
    },
    /// The bus gave no more messages, and none said that the run is over.
    #[error("component {name} lost the bus for good")]
    BusClosed {
        /// The component.
        name: String,
    },
}

/// What the loop woke up for.
enum Woken {
    Cancelled,
    Poked,
    Bus(Option<Event>),
    Alarm,
}

/// A component that has its subscriptions: whatever is published from now on reaches it.
pub struct Joined<C> {
    runner: Runner<C>,
    subscription: Subscription,
}

/// Starts `component` and subscribes for it. The manager must not begin before its components have joined; who runs
/// both in one process calls this for all of them first.
///
/// A component whose construction may fail is passed as the `Result` of it; see the implementations of [`Component`].
///
/// # Errors
/// When the bus does not take the subscription. The component has been [`stopped`](Component::stopped) then.
pub async fn join<C: Component>(
    component: C,
    identity: Identity,
    bus: Bus,
    clock: SharedClock,
) -> Result<Joined<C>, RunError> {
    let mut runner = Runner::new(component, identity, bus, clock);
    match runner.subscribe().await {
        Ok(subscription) => Ok(Joined { runner, subscription }),
        Err(error) => {
            runner.handle(Input::Stop);
            Err(error)
        }
    }
}

impl<C: Component> Joined<C> {
    /// Waits by this clock for the instants of epochs whose messages come before them: one that wakes sharply at them.
    #[must_use]
    pub fn opening_by(mut self, clock: SharedClock) -> Self {
        self.runner.openings = clock;
        self
    }

    /// Has `tell` called with the component's [`findings`](Component::findings) when its work is over, if it has any.
    #[must_use]
    pub fn telling(mut self, tell: impl FnOnce(serde_json::Value) + Send + 'static) -> Self {
        self.runner.tell = Some(Box::new(tell));
        self
    }

    /// Runs the component until the run is over or `cancel` is. `poke` is the handle whose clones other tasks have.
    ///
    /// # Errors
    /// When the bus fails for good. The component has been [`stopped`](Component::stopped) in any case.
    pub async fn run(self, poke: Poke, cancel: CancellationToken) -> Result<Ended, RunError> {
        let Self { mut runner, mut subscription } = self;
        let ended = runner.run(&mut subscription, &poke, &cancel).await;
        if ended.is_err() {
            runner.handle(Input::Stop);
        }
        if let (Some(tell), Some(findings)) = (runner.tell.take(), runner.core.findings()) {
            tell(findings);
        }
        ended
    }
}

/// [`join`] and [`Joined::run`] in one.
///
/// # Errors
/// As those two.
pub async fn run<C: Component>(
    component: C,
    identity: Identity,
    bus: Bus,
    clock: SharedClock,
    poke: Poke,
    cancel: CancellationToken,
) -> Result<Ended, RunError> {
    let mut runner = Runner::new(component, identity, bus, clock);
    let subscribed = cancel.run_until_cancelled(runner.subscribe()).await;
    match subscribed {
        Some(Ok(subscription)) => Joined { runner, subscription }.run(poke, cancel).await,
        Some(Err(error)) => {
            runner.handle(Input::Stop);
            Err(error)
        }
        None => {
            runner.handle(Input::Stop);
            Ok(Ended::Cancelled)
        }
    }
}

struct Runner<C> {
    core: ComponentCore<C>,
    name: String,
    bus: Bus,
    clock: SharedClock,
    openings: SharedClock,
    actions: Vec<Action>,
    tell: Option<Box<dyn FnOnce(serde_json::Value) + Send>>,
}

impl<C: Component> Runner<C> {
    fn new(component: C, identity: Identity, bus: Bus, clock: SharedClock) -> Self {
        let name = identity.name.clone();
        let mut core = ComponentCore::new(component, identity);
        core.anchor(clock.anchor());
        Self { core, name, bus, openings: clock.clone(), clock, actions: Vec::new(), tell: None }
    }

    async fn run(
        &mut self,
        subscription: &mut Subscription,
        poke: &Poke,
        cancel: &CancellationToken,
    ) -> Result<Ended, RunError> {
        let mut cancelled = pin!(cancel.cancelled());
        loop {
            let (wake_at, opens_at) = (self.core.wake_at(), self.core.opens_at());
            // The end of the process comes before everything. A poke is one permit however often it is given, so it
            // cannot keep messages waiting. The alarms may be last: whatever the core handles makes it look at the
            // time as well.
            let woken = tokio::select! {
                biased;
                () = &mut cancelled => Woken::Cancelled,
                () = poke.poked() => Woken::Poked,
                event = subscription.recv() => Woken::Bus(event),
                () = alarm(&self.openings, opens_at) => Woken::Alarm,
                () = alarm(&self.clock, wake_at) => Woken::Alarm,
            };
            match woken {
                Woken::Cancelled => self.handle(Input::Stop),
                Woken::Poked => self.handle(Input::Poke),
                Woken::Bus(event) => {
                    let event = event.ok_or_else(|| RunError::BusClosed { name: self.name.clone() })?;
                    self.event(&event);
                }
                Woken::Alarm => {
                    self.handle(Input::WakeUp);
                    // A component that asks for instants of the past again and again must not keep the thread.
                    tokio::task::yield_now().await;
                }
            }
            if let Some(ended) = self.perform(cancel).await? {
                return Ok(ended);
            }
        }
    }

    async fn subscribe(&mut self) -> Result<Subscription, RunError> {
        let subscribe = Subscribe {
            name: self.name.clone(),
            patterns: self.core.patterns().to_vec(),
            capacity: CAPACITY,
            when_full: WhenFull::Wait,
        };
        self.bus
            .subscribe(subscribe)
            .await
            .map_err(|source| RunError::Subscribe { name: self.name.clone(), source })
    }

    fn handle(&mut self, input: Input<'_>) {
        let (now, utc) = (self.clock.now(), Timestamp::from(self.clock.utc()));
        self.core.handle(input, now, utc, &mut self.actions);
    }

    fn event(&mut self, event: &Event) {
        let Event::Message(delivery) = event else { return self.handle(Input::BusRestored) };
        match message_in(&delivery.body, Timestamp::from(self.clock.utc())) {
            Ok(Some(message)) => {
                let (topic, body) = (&delivery.topic, &delivery.body);
                self.handle(Input::Message { topic, message: &message, body });
            }
            Ok(None) => {}
            Err(reason) => self.handle(Input::Undecodable { topic: &delivery.topic, reason }),
        }
    }

    /// Does what the core asked for. While the bus keeps it waiting, the end of the process is still heard; the next
    /// turn of the loop sees to it.
    async fn perform(&mut self, cancel: &CancellationToken) -> Result<Option<Ended>, RunError> {
        for action in self.actions.drain(..) {
            match action {
                Action::Publish { topic, body } => {
                    let published = cancel.run_until_cancelled(self.bus.publish(&topic, body)).await;
                    if let Some(Err(source)) = published {
                        let (name, topic) = (self.name.clone(), topic.to_string());
                        return Err(RunError::Publish { name, topic, source });
                    }
                }
                Action::End(Ended::Cancelled) => return Ok(Some(Ended::Cancelled)),
                Action::End(Ended::Stopped) => {
                    let flushed = cancel.run_until_cancelled(self.bus.flush()).await;
                    if let Some(Err(error)) = flushed {
                        tracing::warn!(component = %self.name, "last messages unconfirmed: {error}");
                    }
                    return Ok(Some(Ended::Stopped));
                }
            }
        }
        Ok(None)
    }
}

/// Completes at `instant`; never without one.
async fn alarm(clock: &SharedClock, instant: Option<MonoTime>) {
    match instant {
        Some(instant) => clock.sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
