//! The bus in memory: the contract, and what only it promises.

use crate::contract::{Place, every_case, listen};
use crate::run;
use bytes::Bytes;
use gridloop_bus::{Bus, Event};

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
