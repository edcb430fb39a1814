//! What any bus must do, whatever carries it. Each case is given a [`Place`] of its own.

use bytes::Bytes;
use gridloop_bus::{Bus, BusError, Connect, Delivery, Event, Exchange, Subscribe, Subscription, WhenFull};
use gridloop_clock::{SharedClock, WallClock, until};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Nothing in a test takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An exchange, or a hub in memory, on which sessions meet.
pub(crate) enum Place {
    Memory(Bus),
    Broker { connect: Box<Connect>, clock: SharedClock },
}

impl Place {
    /// A hub in this process.
    pub(crate) fn memory() -> Self {
        Self::Memory(Bus::memory(Some(7)))
    }

    /// An exchange on the broker at `url`.
    pub(crate) fn broker(url: &str, exchange: &str) -> Self {
        let url = url.parse().expect("a bus URL");
        Self::at(Connect::new(url, Exchange::run(exchange), "a place"))
    }

    /// An exchange on a broker that is reached in a way of its own.
    pub(crate) fn at(connect: Connect) -> Self {
        Self::Broker { connect: Box::new(connect), clock: clock() }
    }

    /// Another session here.
    pub(crate) async fn session(&self, name: &str) -> Bus {
        match self {
            Self::Memory(bus) => bus.session(),
            Self::Broker { connect, clock } => {
                let connect = Connect { name: name.into(), ..(**connect).clone() };
                Bus::connect(&connect, Arc::clone(clock)).await.expect("a session")
            }
        }
    }
}

/// The system's clock.
pub(crate) fn clock() -> SharedClock {
    Arc::new(WallClock::start().expect("a clock"))
}

/// `work`, within [`PATIENCE`].
pub(crate) async fn soon<F: Future>(what: &str, work: F) -> F::Output {
    let clock = clock();
    let deadline = clock.now() + PATIENCE;
    until(&*clock, deadline, work).await.unwrap_or_else(|| panic!("{what}: takes too long"))
}

/// A subscription that waits, with room for everything in a test.
pub(crate) async fn listen(bus: &Bus, patterns: &[&str]) -> Subscription {
    subscribe(bus, patterns, 10_000, WhenFull::Wait).await
}

async fn subscribe(bus: &Bus, patterns: &[&str], capacity: usize, when_full: WhenFull) -> Subscription {
    let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    let wanted = Subscribe { name: "test".into(), patterns, capacity, when_full };
    bus.subscribe(wanted).await.expect("a subscription")
}

/// The next message. An undisturbed session must give nothing else.
async fn message(subscription: &mut Subscription) -> Delivery {
    match soon("a message", subscription.recv()).await {
        Some(Event::Message(delivery)) => delivery,
        other => panic!("expected a message, got {other:?}"),
    }
}

async fn send(bus: &Bus, topic: &str, body: impl Into<Bytes>) {
    soon("publishing", bus.publish(topic, body.into())).await.expect("published");
}

/// Runs every case, each in the place that `place` makes for its name.
pub(crate) async fn every_case(place: impl Fn(&str) -> Place) {
    each_publisher_keeps_its_order_at_every_subscriber(place("order")).await;
    patterns_choose_what_arrives(place("patterns")).await;
    a_message_that_matches_twice_arrives_once(place("once")).await;
    a_subscriber_gets_what_its_own_session_publishes(place("own")).await;
    what_was_published_before_subscribing_does_not_arrive(place("late")).await;
    bodies_arrive_byte_for_byte(place("bodies")).await;
    many_subscribers_get_everything(place("many")).await;
    a_subscriber_with_little_room_gets_everything_in_time(place("little-room")).await;
    a_shedding_subscriber_delays_nobody_and_its_losses_are_counted(place("shed")).await;
    a_cancelled_wait_loses_nothing(place("cancelled")).await;
    a_dropped_subscription_disturbs_nobody(place("dropped")).await;
    a_closed_session_refuses_work_and_ends_its_subscriptions(place("closed")).await;
    what_does_not_fit_amqp_is_refused(place("long")).await;
    a_prepared_message_is_sent_from_any_thread_after_what_came_before(place("prepared")).await;
    only_one_has_a_lease_until_it_is_given_back(place("lease")).await;
}

async fn each_publisher_keeps_its_order_at_every_subscriber(place: Place) {
    const EACH: u32 = 300;
    let listener = place.session("listener").await;
    let mut subscriptions = Vec::new();
    for _ in 0..3 {
        subscriptions.push(listen(&listener, &["Status.#"]).await);
    }
    let mut publishing = Vec::new();
    for who in 0..3 {
        let bus = place.session("publisher").await;
        publishing.push(tokio::spawn(async move {
            for number in 0..EACH {
                send(&bus, &format!("Status.{}", number % 2), format!("{who} {number}")).await;
            }
            bus.flush().await.expect("flushed");
            bus
        }));
    }
    for subscription in &mut subscriptions {
        let mut next = BTreeMap::new();
        for _ in 0..3 * EACH {
            let body = message(subscription).await.body;
            let text = std::str::from_utf8(&body).expect("text");
            let (who, number) = text.split_once(' ').expect("two words");
            let expected = next.entry(who.to_owned()).or_insert(0_u32);
            assert_eq!(number, expected.to_string(), "publisher {who}");
            *expected += 1;
        }
    }
    for publisher in publishing {
        let statistics = publisher.await.expect("a publisher").statistics();
        let counts = (statistics.published, statistics.confirmed, statistics.resent, statistics.reconnects);
        assert_eq!(counts, (EACH.into(), EACH.into(), 0, 0));
        assert!(statistics.connected);
    }
}

async fn patterns_choose_what_arrives(place: Place) {
    let bus = place.session("bus").await;
    let mut exact = listen(&bus, &["Epoch", "SimState"]).await;
    let mut star = listen(&bus, &["Status.*"]).await;
    let mut hash = listen(&bus, &["ResourceState.#"]).await;
    let topics = [
        "Epoch",
        "Status.Ready",
        "Status",
        "ResourceState",
        "ResourceState.Load.a",
        "Status.Error",
        "SimState",
    ];
    for topic in topics {
        send(&bus, topic, topic).await;
    }
    for (subscription, expected) in [
        (&mut exact, ["Epoch", "SimState"]),
        (&mut star, ["Status.Ready", "Status.Error"]),
        (&mut hash, ["ResourceState", "ResourceState.Load.a"]),
    ] {
        for topic in expected {
            let delivery = message(subscription).await;
            assert_eq!((&*delivery.topic, &delivery.body[..]), (topic, topic.as_bytes()));
        }
    }
}

async fn a_message_that_matches_twice_arrives_once(place: Place) {
    let bus = place.session("bus").await;
    let mut subscription = listen(&bus, &["Epoch", "#", "*"]).await;
    send(&bus, "Epoch", "1").await;
    send(&bus, "Epoch", "2").await;
    assert_eq!(message(&mut subscription).await.body, "1");
    assert_eq!(message(&mut subscription).await.body, "2");
}

async fn a_subscriber_gets_what_its_own_session_publishes(place: Place) {
    let bus = place.session("bus").await;
    let mut subscription = listen(&bus, &["Epoch"]).await;
    send(&bus.clone(), "Epoch", "mine").await;
    assert_eq!(message(&mut subscription).await.body, "mine");
}

async fn what_was_published_before_subscribing_does_not_arrive(place: Place) {
    let bus = place.session("bus").await;
    let mut early = listen(&bus, &["DeviceState.#"]).await;
    send(&bus, "DeviceState.pv1", "before").await;
    bus.flush().await.expect("flushed");
    let mut late = listen(&bus, &["DeviceState.#"]).await;
    send(&bus, "DeviceState.pv1", "after").await;
    assert_eq!(message(&mut early).await.body, "before");
    assert_eq!(message(&mut late).await.body, "after");
}

async fn bodies_arrive_byte_for_byte(place: Place) {
    let bus = place.session("bus").await;
    let mut subscription = listen(&bus, &["Epoch"]).await;
    let pattern = |size: usize| Bytes::from((0..=u8::MAX).cycle().take(size).collect::<Vec<u8>>());
    // Around the largest frame body, and 1 MiB.
    let sizes = [0, 1, 8 * 1024 - 9, 8 * 1024 - 8, 8 * 1024 - 7, 1 << 20];
    for size in sizes {
        send(&bus, "Epoch", pattern(size)).await;
    }
    for size in sizes {
        assert!(message(&mut subscription).await.body == pattern(size), "a body of {size} bytes");
    }
}

async fn many_subscribers_get_everything(place: Place) {
    let publisher = place.session("publisher").await;
    let listener = place.session("listener").await;
    let mut subscriptions = Vec::new();
    for _ in 0..50 {
        subscriptions.push(listen(&listener, &["Epoch"]).await);
    }
    for number in 0..20 {
        send(&publisher, "Epoch", number.to_string()).await;
    }
    for subscription in &mut subscriptions {
        for number in 0..20 {
            assert_eq!(message(subscription).await.body, number.to_string());
        }
    }
}

async fn a_subscriber_with_little_room_gets_everything_in_time(place: Place) {
    let publisher = place.session("publisher").await;
    let listener = place.session("listener").await;
    for capacity in [1, 4] {
        let mut subscription = subscribe(&listener, &["Epoch"], capacity, WhenFull::Wait).await;
        let publisher = publisher.clone();
        let publishing = tokio::spawn(async move {
            for number in 0..500 {
                send(&publisher, "Epoch", number.to_string()).await;
            }
        });
        for number in 0..500 {
            assert_eq!(message(&mut subscription).await.body, number.to_string());
        }
        publishing.await.expect("published");
    }
}

async fn a_shedding_subscriber_delays_nobody_and_its_losses_are_counted(place: Place) {
    const SENT: u64 = 400;
    let publisher = place.session("publisher").await;
    let listener = place.session("listener").await;
    let mut shedding = subscribe(&listener, &["Epoch"], 10, WhenFull::Shed).await;
    let mut waiting = listen(&listener, &["Epoch"]).await;
    for number in 0..SENT {
        send(&publisher, "Epoch", number.to_string()).await;
    }
    for number in 0..SENT {
        assert_eq!(message(&mut waiting).await.body, number.to_string());
    }
    let clock = clock();
    soon("shedding", async {
        while shedding.shed() < SENT - 10 {
            gridloop_clock::sleep(&*clock, Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(shedding.shed(), SENT - 10);
    for number in 0..10 {
        assert_eq!(message(&mut shedding).await.body, number.to_string());
    }
}

async fn a_cancelled_wait_loses_nothing(place: Place) {
    let bus = place.session("bus").await;
    let mut subscription = listen(&bus, &["Epoch"]).await;
    let publisher = bus.clone();
    let publishing = tokio::spawn(async move {
        for number in 0..100 {
            send(&publisher, "Epoch", number.to_string()).await;
            tokio::task::yield_now().await;
        }
    });
    let mut number = 0;
    while number < 100 {
        // Now and then the other branch is ready first and the wait for the event is dropped.
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            event = subscription.recv() => match event {
                Some(Event::Message(delivery)) => {
                    assert_eq!(delivery.body, number.to_string());
                    number += 1;
                }
                other => panic!("expected a message, got {other:?}"),
            }
        }
    }
    publishing.await.expect("published");
}

async fn a_dropped_subscription_disturbs_nobody(place: Place) {
    let bus = place.session("bus").await;
    let mut staying = listen(&bus, &["Epoch"]).await;
    let leaving = subscribe(&bus, &["Epoch"], 1, WhenFull::Wait).await;
    send(&bus, "Epoch", "1").await;
    drop(leaving);
    for number in 2..10 {
        send(&bus, "Epoch", number.to_string()).await;
    }
    for number in 1..10 {
        assert_eq!(message(&mut staying).await.body, number.to_string());
    }
}

async fn a_closed_session_refuses_work_and_ends_its_subscriptions(place: Place) {
    let other = place.session("other").await;
    let mut outlasting = listen(&other, &["Epoch"]).await;
    let bus = place.session("bus").await;
    let mut subscription = listen(&bus, &["Epoch"]).await;
    send(&bus, "Epoch", "last words").await;
    assert_eq!(message(&mut subscription).await.body, "last words");
    soon("closing", bus.close()).await;
    assert_eq!(soon("the end", subscription.recv()).await, None);
    assert!(matches!(bus.publish("Epoch", Bytes::new()).await, Err(BusError::Closed)));
    let again = Subscribe { name: "again".into(), patterns: vec![], capacity: 1, when_full: WhenFull::Wait };
    assert!(matches!(bus.subscribe(again).await, Err(BusError::Closed)));
    assert!(!bus.statistics().connected);
    soon("closing twice", bus.close()).await;
    assert_eq!(message(&mut outlasting).await.body, "last words");
    send(&other, "Epoch", "going on").await;
    assert_eq!(message(&mut outlasting).await.body, "going on");
}

async fn what_does_not_fit_amqp_is_refused(place: Place) {
    let bus = place.session("bus").await;
    let mut subscription = listen(&bus, &["#"]).await;
    let longest = "t".repeat(255);
    let refused = bus.publish(&format!("{longest}t"), Bytes::new()).await;
    assert!(matches!(refused, Err(BusError::NameTooLong { bytes: 256 })));
    let huge = Bytes::from(vec![b' '; (16 << 20) + 1]);
    assert!(matches!(bus.publish("Epoch", huge).await, Err(BusError::BodyTooLarge { .. })));
    send(&bus, &longest, "fits").await;
    assert_eq!(*message(&mut subscription).await.topic, longest);
}

async fn a_prepared_message_is_sent_from_any_thread_after_what_came_before(place: Place) {
    let bus = place.session("bus").await;
    let mut subscription = listen(&bus, &["Epoch", "SimState"]).await;
    let prepared = bus.prepare("Epoch", Bytes::from_static(b"prepared")).await.expect("room");
    let dropped = bus.prepare("Epoch", Bytes::from_static(b"never")).await.expect("room");
    drop(dropped);
    send(&bus, "SimState", "before").await;
    std::thread::spawn(move || prepared.send()).join().expect("no panic").expect("an open session");
    send(&bus, "SimState", "after").await;
    for expected in ["before", "prepared", "after"] {
        assert_eq!(message(&mut subscription).await.body, expected);
    }
    let too_long = bus.prepare(&"t".repeat(256), Bytes::new()).await;
    assert!(matches!(too_long, Err(BusError::NameTooLong { bytes: 256 })));
    soon("closing", bus.close()).await;
    assert!(matches!(bus.prepare("Epoch", Bytes::new()).await, Err(BusError::Closed)));
}

async fn only_one_has_a_lease_until_it_is_given_back(place: Place) {
    let (one, other) = (place.session("one").await, place.session("other").await);
    let held = one.lease("manager").await.expect("a free lease");
    assert!(held.is_held() && held.name() == "manager");
    for bus in [&one, &other] {
        let told = bus.lease("manager").await.expect_err("a lease that is taken").to_string();
        assert!(told.contains("`manager`") && told.contains("already"), "{told}");
    }
    let _unrelated = other.lease("writer").await.expect("another lease");
    drop(held);
    let mut held = other.lease("manager").await.expect("a lease that was given back");
    soon("closing", other.close()).await;
    assert!(matches!(soon("the end of the lease", held.lost()).await, BusError::Closed));
    assert!(!held.is_held());
    assert!(matches!(other.lease("manager").await, Err(BusError::Closed)));
    one.lease("manager").await.expect("a lease whose session has ended");
}
