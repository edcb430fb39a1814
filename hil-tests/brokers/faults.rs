//! Faults F1 to F3: the broker restarts, is killed, is frozen, or the way to it is cut, in the middle of traffic.
//!
//! A publisher numbers its messages and a subscriber collects the numbers. What the broker had confirmed may be gone
//! with its queues: as the SimCES state machines do, the publisher repeats its last messages whenever either side
//! learns of a loss. In the end every number must have arrived, and nothing may hang.

use crate::contract::{PATIENCE, Place, clock, listen, soon};
use crate::run;
use bytes::Bytes;
use gridloop_bus::{Bus, Event, Subscription};
use gridloop_clock::{SharedClock, sleep};
use gridloop_hil_tests::proxy::Proxy;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Between two messages.
const PACE: Duration = Duration::from_millis(5);
/// What is repeated after a loss: more than is published from the beginning of any loss here to its end.
const REPEATED: u64 = 4000;

/// A publisher and a subscriber at work.
struct Traffic {
    publisher: Bus,
    subscriber: Bus,
    sent: Arc<AtomicU64>,
    arrived: Arc<Mutex<BTreeSet<u64>>>,
    losses: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    publishing: JoinHandle<()>,
    collecting: JoinHandle<()>,
    watching: JoinHandle<()>,
    clock: SharedClock,
}

impl Traffic {
    async fn start(publisher: &Place, subscriber: &Place) -> Self {
        let clock = clock();
        let (publisher, subscriber) =
            (publisher.session("publisher").await, subscriber.session("subscriber").await);
        let numbers = listen(&subscriber, &["Status.Ready"]).await;
        let own = listen(&publisher, &["SimState"]).await;
        let sent = Arc::new(AtomicU64::new(0));
        let arrived = Arc::new(Mutex::new(BTreeSet::new()));
        let losses = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let collecting = tokio::spawn(collect(numbers, Arc::clone(&arrived), Arc::clone(&losses)));
        let watching = tokio::spawn(collect(own, Arc::default(), Arc::clone(&losses)));
        let publishing = tokio::spawn(publish(
            publisher.clone(),
            Arc::clone(&sent),
            Arc::clone(&losses),
            Arc::clone(&stop),
            Arc::clone(&clock),
        ));
        Self { publisher, subscriber, sent, arrived, losses, stop, publishing, collecting, watching, clock }
    }

    /// Until `more` further messages have been published and something has arrived that was published after now.
    async fn flows(&self, more: u64) {
        let target = self.sent.load(Ordering::Relaxed) + more;
        self.wait("traffic", || {
            self.sent.load(Ordering::Relaxed) >= target
                && self.arrived.lock().expect("numbers").last().is_some_and(|last| *last >= target)
        })
        .await;
    }

    async fn wait(&self, what: &str, reached: impl Fn() -> bool) {
        soon(what, async {
            while !reached() {
                sleep(&*self.clock, Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// Ends the traffic and checks that every number has arrived.
    async fn complete(self) {
        self.stop.store(true, Ordering::Relaxed);
        soon("publishing", self.publishing).await.expect("the publisher");
        soon("flushing", self.publisher.flush()).await.expect("flushed");
        let sent = self.sent.load(Ordering::Relaxed);
        let expected: BTreeSet<u64> = (0..sent).collect();
        let missing =
            || -> Vec<u64> { expected.difference(&self.arrived.lock().expect("numbers")).copied().collect() };
        let give_up = self.clock.now() + PATIENCE;
        while !missing().is_empty() && self.clock.now() < give_up {
            sleep(&*self.clock, Duration::from_millis(10)).await;
        }
        assert_eq!(
            missing(),
            [0_u64; 0],
            "of {sent}; {:?}; {:?}",
            self.publisher.statistics(),
            self.subscriber.statistics()
        );
        soon("closing", self.publisher.close()).await;
        soon("closing", self.subscriber.close()).await;
        soon("the end", self.collecting).await.expect("the subscriber");
        soon("the end", self.watching).await.expect("the publisher's subscription");
    }
}

/// Publishes numbers, and the last ones again after each loss.
async fn publish(
    bus: Bus,
    sent: Arc<AtomicU64>,
    losses: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    clock: SharedClock,
) {
    let mut seen = 0;
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        let number = sent.load(Ordering::Relaxed);
        let lost = losses.load(Ordering::Relaxed);
        let repeated = if lost > seen { REPEATED } else { 0 };
        seen = lost;
        for again in number.saturating_sub(repeated)..number {
            bus.publish("Status.Ready", Bytes::from(again.to_string())).await.expect("published again");
        }
        if stopping {
            return;
        }
        bus.publish("Status.Ready", Bytes::from(number.to_string())).await.expect("published");
        sent.store(number + 1, Ordering::Relaxed);
        sleep(&*clock, PACE).await;
    }
}

async fn collect(mut subscription: Subscription, arrived: Arc<Mutex<BTreeSet<u64>>>, losses: Arc<AtomicU64>) {
    while let Some(event) = subscription.recv().await {
        match event {
            Event::Restored => {
                losses.fetch_add(1, Ordering::Relaxed);
            }
            Event::Message(delivery) => {
                let number = std::str::from_utf8(&delivery.body).expect("text").parse().expect("a number");
                arrived.lock().expect("numbers").insert(number);
            }
        }
    }
}

#[test]
fn a_session_survives_everything_that_happens_to_brokers_and_cables() {
    let mut broker = RabbitMq::start().expect("a broker");
    run(async {
        a_broker_that_restarts_loses_nothing(&mut broker).await;
        a_broker_that_is_killed_loses_nothing(&mut broker).await;
        a_reset_connection_loses_nothing(&broker).await;
        a_cut_cable_loses_nothing(&broker).await;
        a_frozen_broker_loses_nothing(&broker).await;
        a_session_can_be_closed_while_its_broker_is_away(&mut broker).await;
        queues_deleted_by_an_operator_come_back(&broker).await;
    });
}

async fn a_broker_that_restarts_loses_nothing(broker: &mut RabbitMq) {
    let place = Place::broker(&broker.url(), "procem.restart");
    let traffic = Traffic::start(&place, &place).await;
    traffic.flows(200).await;
    broker.term().expect("stopped");
    broker.restart().expect("restarted");
    traffic.flows(200).await;
    assert!(traffic.losses.load(Ordering::Relaxed) >= 2);
    assert_eq!(traffic.publisher.statistics().reconnects, 1);
    traffic.complete().await;
}

async fn a_broker_that_is_killed_loses_nothing(broker: &mut RabbitMq) {
    let place = Place::broker(&broker.url(), "procem.kill");
    let traffic = Traffic::start(&place, &place).await;
    traffic.flows(200).await;
    broker.kill9().expect("killed");
    traffic.wait("the loss", || !traffic.publisher.statistics().connected).await;
    broker.restart().expect("restarted");
    traffic.flows(200).await;
    assert!(traffic.losses.load(Ordering::Relaxed) >= 2);
    traffic.complete().await;
}

async fn a_reset_connection_loses_nothing(broker: &RabbitMq) {
    let direct = Place::broker(&broker.url(), "procem.reset");
    let proxy = Proxy::start(broker.port()).await.expect("a proxy");
    let proxied = Place::broker(&broker.url_at(proxy.port()), "procem.reset");
    for (publisher, subscriber) in [(&proxied, &direct), (&direct, &proxied)] {
        let traffic = Traffic::start(publisher, subscriber).await;
        for round in 1..=3 {
            traffic.flows(100).await;
            proxy.reset();
            traffic.wait("the reconnection", || traffic.losses.load(Ordering::Relaxed) >= round).await;
        }
        let reconnects = |bus: &Bus| bus.statistics().reconnects;
        assert_eq!(
            reconnects(&traffic.publisher) + reconnects(&traffic.subscriber),
            3,
            "the other side is untouched"
        );
        traffic.complete().await;
    }
}

async fn a_cut_cable_loses_nothing(broker: &RabbitMq) {
    let direct = Place::broker(&broker.url(), "procem.cable");
    let proxy = Proxy::start(broker.port()).await.expect("a proxy");
    let proxied = Place::broker(&broker.url_at(proxy.port()), "procem.cable");
    let traffic = Traffic::start(&direct, &proxied).await;
    traffic.flows(100).await;
    let cut = traffic.clock.now();
    proxy.stall();
    traffic.wait("the loss", || !traffic.subscriber.statistics().connected).await;
    assert!(traffic.clock.now().since(cut) < Duration::from_secs(12), "a silent cable was noticed too late");
    proxy.resume();
    traffic.flows(100).await;
    traffic.complete().await;
}

async fn a_frozen_broker_loses_nothing(broker: &RabbitMq) {
    let place = Place::broker(&broker.url(), "procem.frozen");
    let traffic = Traffic::start(&place, &place).await;
    traffic.flows(100).await;
    broker.stop_signal().expect("frozen");
    traffic
        .wait("the losses", || {
            !traffic.publisher.statistics().connected && !traffic.subscriber.statistics().connected
        })
        .await;
    broker.continue_signal().expect("going on");
    traffic.flows(200).await;
    traffic.complete().await;
}

async fn a_session_can_be_closed_while_its_broker_is_away(broker: &mut RabbitMq) {
    let place = Place::broker(&broker.url(), "procem.away");
    let bus = place.session("away").await;
    let mut subscription = listen(&bus, &["#"]).await;
    broker.kill9().expect("killed");
    bus.publish("Epoch", Bytes::from_static(b"1")).await.expect("taken over");
    soon("closing", bus.close()).await;
    assert_eq!(soon("the end", subscription.recv()).await, None);
    broker.restart().expect("restarted");
}

async fn queues_deleted_by_an_operator_come_back(broker: &RabbitMq) {
    let place = Place::broker(&broker.url(), "procem.deleted");
    let bus = place.session("deleted").await;
    let mut subscription = listen(&bus, &["Epoch"]).await;
    let queues = broker.ctl(&["list_queues", "name"]).expect("queues");
    let queue = queues.lines().find(|name| name.starts_with("gridloop-")).expect("our queue");
    delete(broker, queue).expect("deleted");
    assert_eq!(soon("the renewal", subscription.recv()).await, Some(Event::Restored));
    bus.publish("Epoch", Bytes::from_static(b"1")).await.expect("published");
    let Some(Event::Message(delivery)) = soon("the message", subscription.recv()).await else {
        panic!("nothing")
    };
    assert_eq!(delivery.body, "1");
    bus.close().await;
}

/// Deletes a queue that belongs to somebody's connection, from inside the broker.
fn delete(broker: &RabbitMq, queue: &str) -> anyhow::Result<String> {
    let expression = format!(
        "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
         rabbit_amqqueue:delete(Q, false, false, <<\"operator\">>)."
    );
    broker.ctl(&["eval", &expression])
}
