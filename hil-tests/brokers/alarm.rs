//! F4, F5: a broker that is short of memory, and subscribers that do not read.

use crate::contract::{Place, clock, listen, soon};
use crate::run;
use bytes::Bytes;
use gridloop_bus::{Access, Bus, BusError, Connect, Event, Exchange, Subscribe, Subscription, WhenFull};
use gridloop_clock::sleep;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use std::time::Duration;

/// Room in the outbox of a session, sent and not sent, and some for what is under way.
const OUTBOX_MAX: u64 = 1024 + 2048 + 64;

async fn number(subscription: &mut Subscription) -> u64 {
    let Some(Event::Message(delivery)) = soon("a number", subscription.recv()).await else {
        panic!("no message")
    };
    std::str::from_utf8(&delivery.body).expect("text").parse().expect("a number")
}

async fn send(bus: &Bus, topic: &str, number: u64) -> Result<(), BusError> {
    bus.publish(topic, Bytes::from(number.to_string())).await
}

async fn reaches(what: &str, state: impl Fn() -> bool) {
    let clock = clock();
    soon(what, async {
        while !state() {
            sleep(&*clock, Duration::from_millis(10)).await;
        }
    })
    .await;
}

async fn small(bus: &Bus, topic: &str) -> Subscription {
    let (name, patterns) = ("small".to_owned(), vec![topic.to_owned()]);
    let wanted = Subscribe { name, patterns, capacity: 10, when_full: WhenFull::Wait };
    bus.subscribe(wanted).await.expect("a subscription")
}

#[test]
fn an_alarm_of_the_broker_stops_publishing_visibly_and_nothing_else() {
    const WAITING: u64 = 500;
    let broker = RabbitMq::start().expect("a broker");
    run(async {
        let url = broker.url().parse().expect("a URL");
        // Quick heartbeats: a session that neglected them would not outlive the alarm.
        let access = Access { heartbeat: Duration::from_secs(1), ..Access::default() };
        let connect = Connect { access, ..Connect::new(url, Exchange::run("procem.alarm"), "publisher") };
        let bus = Bus::connect(&connect, clock()).await.expect("a session");
        let mut behind = small(&bus, "ResourceState.#").await;
        let mut control = listen(&bus, &["Epoch"]).await;
        for at in 0..WAITING {
            send(&bus, "ResourceState.Load.house1", at).await.expect("published");
        }
        bus.flush().await.expect("flushed");

        broker.memory_alarm(true).expect("an alarm");
        let mut taken = 0;
        let refused = loop {
            match send(&bus, "Epoch", taken).await {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, BusError::Blocked { .. }), "{refused:?}");
        assert!(refused.to_string().contains("memory"), "{refused}");
        assert!((1000..OUTBOX_MAX).contains(&taken), "{taken} messages were taken over");
        let statistics = bus.statistics();
        assert_eq!((statistics.blocked, statistics.blocks, statistics.reconnects), (true, 1, 0));
        assert!(statistics.connected);

        // What waits at the broker is more than it sends ahead: it comes only if acknowledgements get through.
        for at in 0..WAITING {
            assert_eq!(number(&mut behind).await, at);
        }

        broker.memory_alarm(false).expect("no alarm");
        for at in 0..taken {
            assert_eq!(number(&mut control).await, at);
        }
        reaches("the end of the alarm", || !bus.statistics().blocked).await;
        assert_eq!((bus.statistics().reconnects, bus.statistics().resent), (0, 0));
        bus.close().await;
    });
}

#[test]
fn a_session_closes_in_spite_of_an_alarm() {
    let broker = RabbitMq::start().expect("a broker");
    run(async {
        let bus = Place::broker(&broker.url(), "procem.alarm").session("closing").await;
        broker.memory_alarm(true).expect("an alarm");
        send(&bus, "Epoch", 1).await.expect("taken over");
        reaches("the alarm", || bus.statistics().blocked).await;
        soon("closing", bus.close()).await;
        assert!(matches!(send(&bus, "Epoch", 2).await, Err(BusError::Closed)));
    });
}

#[test]
fn a_subscriber_that_does_not_read_holds_up_nobody_and_is_sent_little() {
    const SENT: u64 = 20_000;
    let broker = RabbitMq::start().expect("a broker");
    run(async {
        let place = Place::broker(&broker.url(), "procem.slow");
        let (publisher, other) = (place.session("publisher").await, place.session("other").await);
        let mut slow = small(&publisher, "#").await;
        let mut fast = listen(&other, &["Status.Ready"]).await;
        let mut control = listen(&publisher, &["Epoch"]).await;
        let publishing = publisher.clone();
        let published = tokio::spawn(async move {
            for at in 0..SENT {
                send(&publishing, "Status.Ready", at).await.expect("published");
            }
            send(&publishing, "Epoch", SENT).await.expect("published");
        });
        for at in 0..SENT {
            assert_eq!(number(&mut fast).await, at);
        }
        assert_eq!(number(&mut control).await, SENT);
        published.await.expect("the publisher");
        let queues = broker.ctl(&["list_queues", "name", "messages_unacknowledged", "messages_ready"]);
        let queues = queues.expect("queues");
        let line = queues.lines().find(|line| line.starts_with("gridloop-small-")).expect("the slow queue");
        let counts: Vec<u64> =
            line.split('\t').skip(1).map(|count| count.parse().expect("a count")).collect();
        assert_eq!(counts, [10, SENT + 1 - 10]);
        // It has lost nothing by it.
        for at in 0..=SENT {
            assert_eq!(number(&mut slow).await, at);
        }
        publisher.close().await;
        other.close().await;
    });
}
