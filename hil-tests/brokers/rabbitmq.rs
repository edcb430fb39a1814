//! The bus over RabbitMQ: the contract, what the broker and a foreign peer see of us, and what people are told when the
//! broker cannot be used. One broker for each test.

use crate::contract::{Place, clock, every_case, listen, soon};
use crate::foreign::Foreign;
use crate::run;
use bytes::Bytes;
use gridloop_bus::{Bus, BusError, Connect, Event, Exchange};
use gridloop_hil_tests::rabbitmq::RabbitMq;
use std::time::Duration;
use tokio::net::TcpListener;

#[test]
fn the_bus_over_rabbitmq_keeps_the_contract() {
    let broker = RabbitMq::start().expect("a broker");
    run(every_case(|case| Place::broker(&broker.url(), &format!("procem.{case}"))));
}

#[test]
fn a_broker_and_foreign_peers_see_what_simces_shows_them() {
    let broker = RabbitMq::start().expect("a broker");
    run(async {
        exchange_and_queue_have_the_flags_of_simces(&broker).await;
        messages_carry_the_properties_of_simces_and_nothing_else(&broker).await;
        messages_without_any_property_are_received(&broker).await;
        an_exchange_with_other_flags_is_explained(&broker).await;
        a_refused_login_is_explained(&broker).await;
        an_unusable_exchange_is_explained(&broker).await;
        messages_to_nobody_are_counted_and_control_messages_repeated(&broker).await;
        nothing_is_left_at_the_broker_after_closing(&broker).await;
    });
}

async fn exchange_and_queue_have_the_flags_of_simces(broker: &RabbitMq) {
    let bus = Place::broker(&broker.url(), "procem.flags").session("flags").await;
    let _subscription = listen(&bus, &["Epoch", "SimState"]).await;
    let exchanges =
        broker.ctl(&["list_exchanges", "name", "type", "durable", "auto_delete", "internal", "arguments"]);
    let exchanges = exchanges.expect("exchanges");
    let ours = exchanges.lines().find(|line| line.starts_with("procem.flags")).expect("our exchange");
    assert_eq!(ours, "procem.flags\ttopic\tfalse\ttrue\tfalse\t[]");
    let queues = broker.ctl(&["list_queues", "name", "durable", "auto_delete", "exclusive", "arguments"]);
    let queues = queues.expect("queues");
    let ours: Vec<_> = queues.lines().filter(|line| line.starts_with("gridloop-")).collect();
    let [ours] = ours[..] else { panic!("expected one queue: {queues}") };
    let (name, flags) = ours.split_once('\t').expect("columns");
    assert_eq!(flags, "false\ttrue\ttrue\t[]");
    assert!(name.starts_with("gridloop-test-") && name.len() == "gridloop-test-".len() + 26, "{name}");
    let mut peer = Foreign::connect(broker.port());
    peer.declare("procem.flags", false, true).expect("the flags that upstream components declare");
    bus.close().await;
}

async fn messages_carry_the_properties_of_simces_and_nothing_else(broker: &RabbitMq) {
    let bus = Place::broker(&broker.url(), "procem.properties").session("properties").await;
    let mut peer = Foreign::connect(broker.port());
    peer.listen("procem.properties", "#");
    let mut ids = std::collections::BTreeSet::new();
    for body in [r#"{"Type": "Epoch"}"#, ""] {
        bus.publish("Epoch", Bytes::from_static(body.as_bytes())).await.expect("published");
        let received = peer.receive();
        assert_eq!((received.routing_key.as_str(), received.body.as_slice()), ("Epoch", body.as_bytes()));
        let (fixed, id) = received.properties.split_at(5);
        // Delivery mode 1, priority 0 and a message id of 32 characters: bits 12, 11 and 7, and no other.
        assert_eq!(fixed, [0x18, 0x80, 1, 0, 32]);
        assert!(id.len() == 32 && id.iter().all(|c| b"0123456789abcdef".contains(c)), "{id:?}");
        ids.insert(id.to_vec());
    }
    assert_eq!(ids.len(), 2);
    bus.close().await;
}

async fn messages_without_any_property_are_received(broker: &RabbitMq) {
    let bus = Place::broker(&broker.url(), "procem.bare").session("bare").await;
    let mut subscription = listen(&bus, &["#"]).await;
    Foreign::connect(broker.port()).publish("procem.bare", "Status.Ready", b"{}");
    let Some(Event::Message(delivery)) = soon("the message", subscription.recv()).await else {
        panic!("no message")
    };
    assert_eq!((&*delivery.topic, &delivery.body[..]), ("Status.Ready", &b"{}"[..]));
    bus.close().await;
}

async fn an_exchange_with_other_flags_is_explained(broker: &RabbitMq) {
    Foreign::connect(broker.port()).declare("procem-management", true, false).expect("another exchange");
    let error = refusal(&broker.url(), "procem-management").await;
    assert!(matches!(error, BusError::Exchange { .. }), "{error:?}");
    let told = error.to_string();
    assert!(told.contains("procem-management") && told.contains("durable=false"), "{told}");
}

async fn a_refused_login_is_explained(broker: &RabbitMq) {
    let url = broker.url();
    let error = refusal(&url.replace("guest:guest", "guest:wrong"), "e").await;
    let told = format!("{error} {error:?}");
    assert!(matches!(error, BusError::Login { .. }) && told.contains("`guest`"), "{told}");
    assert!(!told.contains("wrong"), "{told}");
    let error = refusal(&url.replace("%2f", "nowhere"), "e").await;
    let told = error.to_string();
    assert!(matches!(error, BusError::VirtualHost { .. }) && told.contains("`nowhere`"), "{told}");
}

async fn an_unusable_exchange_is_explained(broker: &RabbitMq) {
    let error = refusal(&broker.url(), "").await;
    assert!(matches!(error, BusError::Permission { .. }), "{error:?}");
    let error = refusal(&broker.url(), &"e".repeat(256)).await;
    assert!(matches!(error, BusError::NameTooLong { bytes: 256 }), "{error:?}");
}

async fn messages_to_nobody_are_counted_and_control_messages_repeated(broker: &RabbitMq) {
    let place = Place::broker(&broker.url(), "procem.nobody");
    let bus = place.session("nobody").await;
    for topic in ["ResourceState.Load.house1", "Epoch", "DeviceState.pv1"] {
        bus.publish(topic, Bytes::from_static(b"first")).await.expect("published");
    }
    bus.flush().await.expect("answered");
    assert_eq!((bus.statistics().returned, bus.statistics().confirmed), (3, 3));
    let late = place.session("late").await;
    let mut subscription = listen(&late, &["#"]).await;
    let Some(Event::Message(delivery)) = soon("the repetition", subscription.recv()).await else {
        panic!("nothing")
    };
    assert_eq!((&*delivery.topic, &delivery.body[..]), ("Epoch", &b"first"[..]));
    assert!(bus.statistics().resent > 0);
    bus.close().await;
    late.close().await;
}

async fn nothing_is_left_at_the_broker_after_closing(broker: &RabbitMq) {
    let bus = Place::broker(&broker.url(), "procem.left").session("left").await;
    let mut subscription = listen(&bus, &["#"]).await;
    let dropped = listen(&bus, &["#"]).await;
    drop(dropped);
    soon("unsubscribing", async {
        while broker.ctl(&["list_queues", "name"]).expect("queues").matches("gridloop-").count() != 1 {}
    })
    .await;
    bus.close().await;
    assert_eq!(soon("the end", subscription.recv()).await, None);
    soon("leaving", async {
        while broker.ctl(&["list_connections", "pid"]).expect("connections").contains('<')
            || broker.ctl(&["list_queues", "name"]).expect("queues").contains("gridloop-")
        {}
    })
    .await;
    let exchanges = broker.ctl(&["list_exchanges", "name"]).expect("exchanges");
    assert!(!exchanges.contains("procem.left"), "{exchanges}");
}

#[test]
fn a_port_on_which_nobody_listens_is_explained() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let error = refusal(&format!("amqp://{address}"), "e").await;
        assert!(matches!(error, BusError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    });
}

#[test]
fn a_server_that_never_answers_is_explained() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let error = refusal(&format!("amqp://{address}"), "e").await;
        assert!(matches!(error, BusError::NoAnswer { .. }), "{error:?}");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
        // The connection that was given up is closed too.
        let (stream, _) = listener.accept().await.expect("the connection");
        soon("the end of the connection", async {
            let mut buffer = [0; 64];
            loop {
                stream.readable().await.expect("readable");
                match stream.try_read(&mut buffer) {
                    Ok(0) => break,
                    Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => break,
                    _ => {}
                }
            }
        })
        .await;
    });
}

/// Why no session can be had, which must be said within a bounded time.
async fn refusal(url: &str, exchange: &str) -> BusError {
    let url = url.parse().expect("a bus URL");
    let clock = clock();
    let begun = clock.now();
    let connect = Connect::new(url, Exchange::run(exchange), "refused");
    let connecting = Bus::connect(&connect, std::sync::Arc::clone(&clock));
    let error = soon("connecting", connecting).await.err().expect("a refusal");
    assert!(clock.now().since(begun) < Duration::from_secs(15), "{error}");
    error
}
