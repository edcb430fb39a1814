//! The bus in memory: the contract, and what only it promises.

use crate::contract::{Place, every_case, listen, soon};
use crate::run;
use bytes::Bytes;
use gridloop_bus::{Bus, Event, Subscribe, WhenFull};

#[test]
fn the_memory_bus_keeps_the_contract() {
    run(every_case(|_| Place::memory()));
}

#[test]
fn the_memory_bus_in_plain_order_keeps_the_contract() {
    run(every_case(|_| Place::Memory(Bus::memory(None))));
}

/// What a subscriber sees of three sessions that have published one after the other.
async fn seen(seed: Option<u64>) -> Vec<String> {
    let bus = Bus::memory(seed);
    let mut subscription = listen(&bus, &["#"]).await;
    for who in ["a", "b", "c"] {
        let session = bus.session();
        for number in 0..4 {
            session.publish("Status.Ready", Bytes::from(format!("{who}{number}"))).await.expect("published");
        }
    }
    let mut seen = Vec::new();
    while seen.len() < 12 {
        if let Some(Event::Message(delivery)) = subscription.recv().await {
            seen.push(String::from_utf8_lossy(&delivery.body).into_owned());
        }
    }
    seen
}

#[test]
fn a_seed_shuffles_sessions_repeatably_and_keeps_each_in_order() {
    run(async {
        let plain = seen(None).await;
        let mut orders = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let shuffled = seen(Some(seed)).await;
            assert_eq!(shuffled, seen(Some(seed)).await, "seed {seed}");
            for who in ["a", "b", "c"] {
                let of =
                    |all: &[String]| all.iter().filter(|m| m.starts_with(who)).cloned().collect::<Vec<_>>();
                assert_eq!(of(&shuffled), of(&plain), "seed {seed}");
            }
            orders.insert(shuffled);
        }
        assert!(orders.len() > 10, "only {} orders from 20 seeds", orders.len());
    });
}

/// Components in a ring, each with room for one message, each publishing a lot before it reads anything.
async fn ring(size: usize) {
    const EACH: usize = 200;
    let bus = Bus::memory(None);
    let mut members = Vec::new();
    for number in 0..size {
        let session = bus.session();
        let wanted = Subscribe {
            name: "ring".into(),
            patterns: vec![format!("Status.{number}")],
            capacity: 1,
            when_full: WhenFull::Wait,
        };
        members.push((session.subscribe(wanted).await.expect("a subscription"), session));
    }
    let mut working = Vec::new();
    for (number, (mut subscription, session)) in members.into_iter().enumerate() {
        let next = format!("Status.{}", (number + 1) % size);
        working.push(tokio::spawn(async move {
            for _ in 0..EACH {
                session.publish(&next, Bytes::new()).await.expect("published");
            }
            for _ in 0..EACH {
                assert!(matches!(subscription.recv().await, Some(Event::Message(_))));
            }
        }));
    }
    for member in working {
        soon("a ring", member).await.expect("a member");
    }
}

#[test]
fn components_that_wait_for_one_another_do_not_stop_a_run() {
    run(async {
        for size in 1..=5 {
            ring(size).await;
        }
    });
}

#[test]
fn a_hub_that_nobody_publishes_on_any_more_ends_its_subscriptions() {
    run(async {
        let bus = Bus::memory(None);
        let mut subscription = listen(&bus, &["#"]).await;
        bus.publish("Epoch", Bytes::new()).await.expect("published");
        drop(bus);
        assert!(matches!(soon("a message", subscription.recv()).await, Some(Event::Message(_))));
        assert_eq!(soon("the end", subscription.recv()).await, None);
    });
}
