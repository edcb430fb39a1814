//! The re-send timer's hand. [`Alarm`] moves with every epoch but almost never rings, so moving it later must cost
//! nothing: it keeps the wait it has and looks again when that is over.

use gridloop_clock::{MonoTime, SharedClock, Sleep};
use std::future::pending;

/// Rings at an instant that may be moved at any time.
pub(crate) struct Alarm {
    clock: SharedClock,
    due: Option<MonoTime>,
    wait: Option<(MonoTime, Sleep)>,
}

impl Alarm {
    pub(crate) fn new(clock: SharedClock) -> Self {
        Self { clock, due: None, wait: None }
    }

    /// Rings at `due` instead of whenever it was to ring before.
    pub(crate) fn set(&mut self, due: MonoTime) {
        self.due = Some(due);
        if self.wait.as_ref().is_none_or(|(instant, _)| *instant > due) {
            self.wait = Some((due, self.clock.sleep_until(due)));
        }
    }

    /// Does not ring.
    pub(crate) fn stop(&mut self) {
        self.due = None;
    }

    /// Completes when it rings, which it does once. May be dropped and asked for again.
    pub(crate) async fn rings(&mut self) {
        loop {
            let Some((_, wait)) = &mut self.wait else { return pending().await };
            wait.await;
            self.wait = None;
            match self.due {
                Some(due) if due <= self.clock.now() => {
                    self.due = None;
                    return;
                }
                Some(due) => self.set(due),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridloop_clock::{Clock, SimulatedClock};
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    const fn at(seconds: u64) -> MonoTime {
        MonoTime::from_nanos(seconds * 1_000_000_000)
    }

    fn rings(alarm: &mut Alarm) -> bool {
        let ringing = std::pin::pin!(alarm.rings());
        ringing.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    fn alarm() -> (SimulatedClock, Alarm) {
        let clock = SimulatedClock::new(gridloop_clock::Utc::default());
        (clock.clone(), Alarm::new(Arc::new(clock)))
    }

    #[test]
    fn an_alarm_moved_later_rings_at_the_later_instant_only() {
        let (clock, mut alarm) = alarm();
        alarm.set(at(1));
        alarm.set(at(3));
        assert!(!rings(&mut alarm));
        assert!(clock.advance());
        assert_eq!(clock.now(), at(1));
        assert!(!rings(&mut alarm), "it only looks again");
        assert!(clock.advance());
        assert_eq!(clock.now(), at(3));
        assert!(rings(&mut alarm));
        assert!(!rings(&mut alarm), "it rings once");
    }

    #[test]
    fn an_alarm_moved_earlier_rings_earlier() {
        let (clock, mut alarm) = alarm();
        alarm.set(at(3));
        alarm.set(at(1));
        assert!(!rings(&mut alarm));
        assert!(clock.advance());
        assert!(rings(&mut alarm));
        assert_eq!(clock.now(), at(1));
    }

    #[test]
    fn a_stopped_alarm_does_not_ring() {
        let (clock, mut alarm) = alarm();
        alarm.set(at(1));
        assert!(!rings(&mut alarm));
        alarm.stop();
        assert!(clock.advance());
        assert!(!rings(&mut alarm));
        assert!(!clock.advance());
    }
}
