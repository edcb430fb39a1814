//! F25: what a user who lacks a permission is told, and that it ends only what it has to.

use crate::contract::{clock, listen, soon};
use crate::run;
use bytes::Bytes;
use gridloop_bus::{Bus, BusError, Connect, Exchange, Password, Subscribe, WhenFull};
use gridloop_hil_tests::rabbitmq::{Permissions, RabbitMq};

const ALL: Permissions<'_> = Permissions { configure: ".*", write: ".*", read: ".*" };

fn connect(broker: &RabbitMq, user: &str) -> Connect {
    let url = broker.url_for(user, "secret").parse().expect("a URL");
    Connect::new(url, Exchange::run("procem.permissions"), user)
}

async fn session(broker: &RabbitMq, user: &str) -> Bus {
    soon("a session", Bus::connect(&connect(broker, user), clock())).await.expect("a session")
}

fn assert_refused<T>(result: Result<T, BusError>, about: &str) {
    let Err(BusError::Permission { said }) = &result else {
        panic!("expected a missing permission, got {:?}", result.err());
    };
    assert!(said.contains(about), "`{about}` is missing in: {said}");
}

#[test]
fn each_missing_permission_is_told_where_it_is_missed() {
    let broker = RabbitMq::start().expect("a broker");
    run(async {
        who_may_not_declare_the_exchange_gets_no_session(&broker).await;
        who_may_not_declare_queues_gets_no_subscription_and_may_publish(&broker).await;
        who_may_not_read_the_exchange_gets_no_subscription(&broker).await;
        who_may_not_publish_is_told_and_ends(&broker).await;
        who_may_not_publish_a_topic_is_told_which(&broker).await;
        a_password_file_is_as_good_as_the_url(&broker).await;
    });
}

async fn who_may_not_declare_the_exchange_gets_no_session(broker: &RabbitMq) {
    broker.add_user("stranger", "secret", Permissions { configure: "^gridloop-", ..ALL }).expect("a user");
    let refused = soon("a refusal", Bus::connect(&connect(broker, "stranger"), clock())).await;
    let told = refused.as_ref().err().map(ToString::to_string).unwrap_or_default();
    assert!(told.contains("docs/how-to/rabbitmq.md"), "{told}");
    assert_refused(refused.map(drop), "procem.permissions");
}

async fn who_may_not_declare_queues_gets_no_subscription_and_may_publish(broker: &RabbitMq) {
    broker.add_user("speaker", "secret", Permissions { configure: "^procem\\.", ..ALL }).expect("a user");
    let bus = session(broker, "speaker").await;
    assert_refused(subscribe(&bus, "Epoch").await, "gridloop-");
    bus.publish("Epoch", Bytes::new()).await.expect("taken over");
    soon("the confirmation", bus.flush()).await.expect("published");
    bus.close().await;
}

async fn who_may_not_read_the_exchange_gets_no_subscription(broker: &RabbitMq) {
    broker.add_user("deaf", "secret", Permissions { read: "^gridloop-", ..ALL }).expect("a user");
    let bus = session(broker, "deaf").await;
    assert_refused(subscribe(&bus, "Epoch").await, "procem.permissions");
    bus.close().await;
}

async fn who_may_not_publish_is_told_and_ends(broker: &RabbitMq) {
    broker.add_user("viewer", "secret", Permissions { write: "^gridloop-", ..ALL }).expect("a user");
    let bus = session(broker, "viewer").await;
    let mut subscription = listen(&bus, &["#"]).await;
    bus.publish("SimState", Bytes::from_static(b"stopped")).await.expect("taken over");
    assert_refused(soon("the answer", bus.flush()).await, "procem.permissions");
    assert_eq!(soon("the end", subscription.recv()).await, None);
    assert_refused(bus.publish("Epoch", Bytes::new()).await, "procem.permissions");
    assert_eq!(bus.statistics().reconnects, 0);
}

async fn who_may_not_publish_a_topic_is_told_which(broker: &RabbitMq) {
    broker.add_user("component", "secret", ALL).expect("a user");
    let topics =
        ["set_topic_permissions", "-p", "/", "component", "procem.permissions", "^(?!SimState$)", ".*"];
    broker.ctl(&topics).expect("topic permissions");
    let bus = session(broker, "component").await;
    let mut subscription = listen(&bus, &["#"]).await;
    bus.publish("Status.Ready", Bytes::new()).await.expect("taken over");
    soon("the confirmation", bus.flush()).await.expect("published");
    assert!(soon("the message", subscription.recv()).await.is_some());
    bus.publish("SimState", Bytes::from_static(b"stopped")).await.expect("taken over");
    assert_refused(soon("the answer", bus.flush()).await, "SimState");
}

async fn a_password_file_is_as_good_as_the_url(broker: &RabbitMq) {
    broker.add_user("careful", "from a file", ALL).expect("a user");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("password");
    std::fs::write(&path, "wrong\n").expect("a file");
    let mut connect = connect(broker, "nobody");
    connect.access.user = Some("careful".into());
    connect.access.password = Password::File(path.clone());
    let refused = soon("a refusal", Bus::connect(&connect, clock())).await.err().expect("a refusal");
    let told = format!("{refused} {refused:?}");
    assert!(
        matches!(refused, BusError::Login { .. }) && told.contains("careful") && !told.contains("wrong"),
        "{told}"
    );
    std::fs::write(&path, "from a file\n").expect("a file");
    let bus = soon("a session", Bus::connect(&connect, clock())).await.expect("a session");
    assert!(!format!("{connect:?}").contains("from a file"));
    bus.close().await;
}

async fn subscribe(bus: &Bus, pattern: &str) -> Result<(), BusError> {
    let patterns = vec![pattern.to_owned()];
    let wanted = Subscribe { name: "test".into(), patterns, capacity: 10, when_full: WhenFull::Wait };
    soon("an answer", bus.subscribe(wanted)).await.map(drop)
}
