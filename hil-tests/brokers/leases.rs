//! F32: leases over a broker that is lost in the middle.

use crate::contract::{Place, clock, listen, soon};
use crate::run;
use bytes::Bytes;
use gridloop_bus::{Access, Bus, BusError, Connect, Event, Exchange};
use gridloop_hil_tests::proxy::Proxy;
use gridloop_hil_tests::rabbitmq::RabbitMq;
use std::time::Duration;

/// A session with a quick heartbeat, through a proxy.
async fn quick(broker: &RabbitMq, proxy: &Proxy, exchange: &str) -> Bus {
    let url = broker.url_at(proxy.port()).parse().expect("a URL");
    let access = Access { heartbeat: Duration::from_secs(1), ..Access::default() };
    let connect = Connect { access, ..Connect::new(url, Exchange::run(exchange), "quick") };
    Bus::connect(&connect, clock()).await.expect("a session")
}

#[test]
fn a_lease_is_taken_again_after_a_loss_and_lost_only_to_somebody_else() {
    let mut broker = RabbitMq::start().expect("a broker");
    run(async {
        a_lease_outlives_a_restart_of_the_broker(&mut broker).await;
        a_lease_waits_until_the_broker_has_missed_the_old_connection(&broker).await;
        who_finds_the_lease_taken_publishes_nothing_more(&broker).await;
    });
}

async fn a_lease_outlives_a_restart_of_the_broker(broker: &mut RabbitMq) {
    let place = Place::broker(&broker.url(), "procem.lease-restart");
    let bus = place.session("bus").await;
    let mut subscription = listen(&bus, &["#"]).await;
    let lease = bus.lease("manager").await.expect("a lease");
    broker.term().expect("stopped");
    broker.restart().expect("restarted");
    assert_eq!(soon("the reconnection", subscription.recv()).await, Some(Event::Restored));
    assert!(lease.is_held());
    let taken = place.session("other").await.lease("manager").await;
    assert!(matches!(taken, Err(BusError::LeaseTaken { .. })), "{taken:?}");
    bus.close().await;
}

async fn a_lease_waits_until_the_broker_has_missed_the_old_connection(broker: &RabbitMq) {
    let proxy = Proxy::start(broker.port()).await.expect("a proxy");
    let bus = quick(broker, &proxy, "procem.lease-cut").await;
    let mut subscription = listen(&bus, &["#"]).await;
    let lease = bus.lease("manager").await.expect("a lease");
    proxy.cut();
    bus.publish("Epoch", Bytes::from_static(b"1")).await.expect("taken over");
    assert_eq!(soon("the reconnection", subscription.recv()).await, Some(Event::Restored));
    assert!(lease.is_held());
    assert!(matches!(soon("the message", subscription.recv()).await, Some(Event::Message(_))));
    bus.close().await;
}

async fn who_finds_the_lease_taken_publishes_nothing_more(broker: &RabbitMq) {
    let proxy = Proxy::start(broker.port()).await.expect("a proxy");
    let bus = quick(broker, &proxy, "procem.lease-taken").await;
    let mut subscription = listen(&bus, &["#"]).await;
    let mut lease = bus.lease("manager").await.expect("a lease");
    let successor = Place::broker(&broker.url(), "procem.lease-taken").session("successor").await;
    let mut seen = listen(&successor, &["#"]).await;
    proxy.stall();
    proxy.reset();
    let _taken = soon("the lease", async {
        loop {
            if let Ok(lease) = successor.lease("manager").await {
                return lease;
            }
        }
    })
    .await;
    bus.publish("Epoch", Bytes::from_static(b"too late")).await.expect("taken over");
    proxy.resume();
    let why = soon("the news", lease.lost()).await;
    assert!(matches!(why, BusError::LeaseTaken { .. }), "{why:?}");
    assert!(!lease.is_held());
    assert_eq!(soon("the end", subscription.recv()).await, None);
    let refused = bus.publish("Epoch", Bytes::new()).await;
    assert!(matches!(refused, Err(BusError::LeaseTaken { .. })), "{refused:?}");
    successor.publish("Epoch", Bytes::from_static(b"mine")).await.expect("published");
    let Some(Event::Message(first)) = soon("a message", seen.recv()).await else { panic!("nothing") };
    assert_eq!(first.body, "mine");
    successor.close().await;
}
