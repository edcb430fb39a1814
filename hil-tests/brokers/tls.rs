//! F25, F26: the bus over TLS, with everything that may be wrong with certificates and logins on either side.
//!
//! The broker is a real one; its certificate is replaced on disk between cases.

use crate::contract::{Place, clock, every_case, listen, soon};
use crate::run;
use bytes::Bytes;
use gridloop_bus::{Access, AmqpUrl, Authentication, Bus, BusUrl, Connect, Event, Exchange, Identity, Tls};
use gridloop_hil_tests::certificates::{Authority, Issued, Request};
use gridloop_hil_tests::proxy::Proxy;
use gridloop_hil_tests::rabbitmq::{ClientCertificates, Options, Permissions, RabbitMq, TlsListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A broker with a TLS listener, the authority behind its certificates, and a folder for ours.
struct Rig {
    broker: RabbitMq,
    authority: Authority,
    folder: TempDir,
}

impl Rig {
    fn start(clients: ClientCertificates) -> Self {
        let authority = Authority::new("laboratory").expect("an authority");
        let own = authority.issue(Request::BROKER).expect("a certificate");
        let tls = TlsListener { authority: authority.certificate(), own: &own, clients };
        let options = Options { tls: Some(tls), plugins: &["rabbitmq_auth_mechanism_ssl"] };
        let broker = RabbitMq::start_with(options).expect("a broker");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), authority.certificate()).expect("a file");
        Self { broker, authority, folder }
    }

    /// The broker shows another certificate from now on.
    fn broker_shows(&self, shown: &Issued) {
        self.broker.certify(self.authority.certificate(), shown).expect("another certificate");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a client needs that trusts the authority and has no certificate.
    fn connect(&self, host: &str) -> Connect {
        self.connect_at(host, self.broker.tls_port())
    }

    fn connect_at(&self, host: &str, port: u16) -> Connect {
        let url = BusUrl::Amqp(AmqpUrl::new(true, host, port));
        let tls = Tls { ca_file: Some(self.file("ca.pem")), identity: None };
        let access = Access { tls, ..Access::default() };
        Connect { access, ..Connect::new(url, Exchange::run("procem.tls"), "tls") }
    }

    /// As [`Rig::connect`], with a certificate.
    fn connect_as(&self, name: &str, issued: &Issued) -> Connect {
        let (certificate_file, key_file) = issued.write(self.folder.path(), name).expect("files");
        let mut connect = self.connect("localhost");
        connect.access.tls.identity = Some(Identity { certificate_file, key_file });
        connect
    }
}

async fn refused(connect: &Connect) -> String {
    let error = soon("a refusal", Bus::connect(connect, clock())).await.err().expect("a refusal");
    let causes: Vec<String> =
        std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect();
    causes.join(": ")
}

fn assert_told(told: &str, words: &[&str]) {
    for word in words {
        assert!(told.contains(word), "`{word}` is missing in: {told}");
    }
}

async fn works(connect: &Connect) {
    let bus = soon("a session", Bus::connect(connect, clock())).await.expect("a session");
    let mut subscription = listen(&bus, &["Epoch"]).await;
    bus.publish("Epoch", Bytes::from_static(b"1")).await.expect("published");
    let Some(Event::Message(delivery)) = soon("a message", subscription.recv()).await else {
        panic!("nothing")
    };
    assert_eq!(delivery.body, "1");
    bus.close().await;
}

#[test]
fn the_bus_over_tls_keeps_the_contract() {
    let rig = Rig::start(ClientCertificates::Welcome);
    run(every_case(|case| {
        let connect =
            Connect { exchange: Exchange::run(format!("procem.{case}")), ..rig.connect("127.0.0.1") };
        Place::at(connect)
    }));
}

#[test]
fn a_broker_that_cannot_be_trusted_is_refused_with_what_is_wrong_and_what_to_do() {
    let rig = Rig::start(ClientCertificates::Welcome);
    run(async {
        works(&rig.connect("localhost")).await;
        what_is_wrong_with_a_certificate_is_told(&rig).await;
        files_that_cannot_be_used_are_named(&rig).await;
        the_wrong_scheme_for_a_port_is_told(&rig).await;
    });
}

async fn what_is_wrong_with_a_certificate_is_told(rig: &Rig) {
    let sound = Request::BROKER;
    let stranger = Authority::new("somebody else").expect("an authority");
    let cases = [
        (&rig.authority, Request { days: (-20, -2), ..sound }, &["expired on", "renew it"][..]),
        (&rig.authority, Request { days: (2, 20), ..sound }, &["not valid before", "clock"]),
        (
            &rig.authority,
            Request { hosts: &["broker.example"], ..sound },
            &["for broker.example", "not for `localhost`"],
        ),
        (&stranger, sound, &["not signed by an authority in", "ca.pem", "ca_file"]),
    ];
    for (authority, request, words) in cases {
        rig.broker_shows(&authority.issue(request).expect("a certificate"));
        assert_told(&refused(&rig.connect("localhost")).await, words);
    }
    rig.broker_shows(&rig.authority.issue(sound).expect("a certificate"));
    let mut connect = rig.connect("localhost");
    connect.access.tls.ca_file = None;
    assert_told(&refused(&connect).await, &["ca_file"]);
    works(&rig.connect("localhost")).await;
}

async fn files_that_cannot_be_used_are_named(rig: &Rig) {
    let mut connect = rig.connect("localhost");
    connect.access.tls.ca_file = Some(rig.file("missing.pem"));
    assert_told(&refused(&connect).await, &["missing.pem"]);
    std::fs::write(rig.file("empty.pem"), "nothing here").expect("a file");
    connect.access.tls.ca_file = Some(rig.file("empty.pem"));
    assert_told(&refused(&connect).await, &["empty.pem", "no certificate"]);
    let request = Request { common_name: "guest", hosts: &[], days: (-1, 1) };
    let (one, other) = (rig.authority.issue(request), rig.authority.issue(request));
    let mixed = Issued { key: other.expect("issued").key, ..one.expect("issued") };
    assert_told(
        &refused(&rig.connect_as("mixed", &mixed)).await,
        &["mixed.key.pem", "not the key of the certificate"],
    );
}

async fn the_wrong_scheme_for_a_port_is_told(rig: &Rig) {
    let encrypted = rig.connect_at("localhost", rig.broker.port());
    assert_told(&refused(&encrypted).await, &["TLS", "amqp://"]);
    let url = BusUrl::Amqp(AmqpUrl::new(false, "localhost", rig.broker.tls_port()));
    let plain = Connect::new(url.clone(), Exchange::run("procem.tls"), "plain");
    assert_told(&refused(&plain).await, &["amqps://"]);
    let confused = Connect { url, ..rig.connect("localhost") };
    assert_told(&refused(&confused).await, &["not encrypted", "amqps://"]);
}

#[test]
fn a_broker_that_asks_for_a_certificate_gets_one_and_takes_it_as_a_login() {
    let rig = Rig::start(ClientCertificates::Required);
    let everything = Permissions { configure: ".*", write: ".*", read: ".*" };
    rig.broker.add_user("gateway1", "", everything).expect("a user");
    let client = Request { common_name: "gateway1", hosts: &[], days: (-1, 365) };
    run(async {
        assert_told(
            &refused(&rig.connect("localhost")).await,
            &["client certificate", "certificate_file", "key_file"],
        );

        let sound = rig.connect_as("gateway1", &rig.authority.issue(client).expect("issued"));
        works(&sound).await;
        let mut external = sound.clone();
        external.access.authentication = Authentication::External;
        works(&external).await;

        let expired = rig.authority.issue(Request { days: (-20, -2), ..client }).expect("issued");
        assert_told(
            &refused(&rig.connect_as("expired", &expired)).await,
            &["does not accept our certificate", "expired.pem"],
        );
        let stranger = Authority::new("somebody else").expect("an authority");
        let foreign = rig.connect_as("foreign", &stranger.issue(client).expect("issued"));
        assert_told(&refused(&foreign).await, &["does not accept our certificate", "foreign.pem"]);

        let unknown = rig.authority.issue(Request { common_name: "nobody", ..client }).expect("issued");
        let mut unknown = rig.connect_as("nobody", &unknown);
        unknown.access.authentication = Authentication::External;
        assert_told(&refused(&unknown).await, &["refused the login", "nobody.pem"]);

        let mut pointless = rig.connect("localhost");
        pointless.access.authentication = Authentication::External;
        assert_told(&refused(&pointless).await, &["external", "certificate_file"]);
    });
}

#[test]
fn certificates_renewed_on_disk_are_used_from_the_next_connection_on() {
    let rig = Rig::start(ClientCertificates::Welcome);
    run(async {
        let proxy = Proxy::start(rig.broker.tls_port()).await.expect("a proxy");
        let bus = Bus::connect(&rig.connect_at("localhost", proxy.port()), clock()).await.expect("a session");
        let mut subscription = listen(&bus, &["Epoch"]).await;
        let successor = Authority::new("laboratory, second edition").expect("an authority");
        let renewed = successor.issue(Request::BROKER).expect("a certificate");
        rig.broker.certify(successor.certificate(), &renewed).expect("another certificate");
        std::fs::write(rig.file("ca.pem"), successor.certificate()).expect("a file");
        proxy.reset();
        assert_eq!(soon("the reconnection", subscription.recv()).await, Some(Event::Restored));
        bus.publish("Epoch", Bytes::from_static(b"1")).await.expect("published");
        assert!(matches!(soon("a message", subscription.recv()).await, Some(Event::Message(_))));
        bus.close().await;
    });
}

#[test]
fn a_certificate_that_will_soon_expire_is_warned_of() {
    let rig = Rig::start(ClientCertificates::Welcome);
    let warned = |days: i64| {
        rig.broker_shows(
            &rig.authority.issue(Request { days: (-1, days), ..Request::BROKER }).expect("issued"),
        );
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
        // On one thread, so that the handshake tells this subscriber.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tracing::subscriber::with_default(subscriber, || runtime.block_on(works(&rig.connect("localhost"))));
        log.text()
    };
    assert_eq!(warned(40), "");
    let told = warned(20);
    assert_told(&told, &["WARN", "expires soon", "days=", "expires=", "renew it"]);
    assert_eq!(told.matches("expires soon").count(), 1, "{told}");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let text = String::from_utf8(self.0.lock().expect("the log").clone()).expect("text");
        text.lines().filter(|line| line.contains("WARN")).map(|line| format!("{line}\n")).collect()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
