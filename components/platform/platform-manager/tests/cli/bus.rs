//! `[bus]`: what does not fit together is said by `gridloop check`, and a run over TLS shows nobody its password.

use crate::{Done, entries, folder, gridloop, runs_in};
use gridloop_hil_tests::certificates::{Authority, Issued, Request};
use gridloop_hil_tests::rabbitmq::{ClientCertificates, Options, Permissions, RabbitMq, TlsListener};
use std::path::Path;

const RUN: &str = r#"[simulation]
initial_start_time = "2026-06-21T12:00:00.000Z"
epoch_length_s = 60
epochs = 3

[manager]
speed = "max"

[device.pv1]
driver = "simulated"
category = "Generator"

[device.pv1.twin]
plant = "pv-inverter"
rated_power_w = 8000

[bus]
"#;

fn gateway(authority: &Authority) -> Issued {
    authority.issue(Request { common_name: "gateway", hosts: &[], days: (-1, 365) }).expect("a certificate")
}

/// A folder with certificates, sound and otherwise.
fn files(folder: &Path, authority: &Authority) {
    std::fs::write(folder.join("ca.pem"), authority.certificate()).expect("a file");
    std::fs::write(folder.join("nonsense.pem"), "nonsense").expect("a file");
    std::fs::write(folder.join("empty"), "").expect("a file");
    gateway(authority).write(folder, "gateway").expect("files");
    gateway(authority).write(folder, "other").expect("files");
}

fn checked(folder: &Path, bus: &str) -> Done {
    std::fs::write(folder.join("run.toml"), format!("{RUN}{bus}")).expect("the file");
    gridloop(folder, &["check", "run.toml"])
}

#[test]
fn what_does_not_fit_together_is_said_with_its_place() {
    let folder = folder();
    files(folder.path(), &Authority::new("laboratory").expect("an authority"));
    let encrypted = "url = \"amqps://localhost\"\n";
    let cases = [
        (
            "url = \"amqp://localhost\"\nca_file = \"ca.pem\"",
            "19:11",
            &["amqps://", "nothing is encrypted"][..],
        ),
        ("certificate_file = \"gateway.pem\"\nkey_file = \"missing\"", "20:12", &["missing"]),
        ("certificate_file = \"gateway.pem\"", "19:20", &["`key_file`"]),
        ("key_file = \"gateway.key.pem\"", "19:12", &["`certificate_file`"]),
        ("ca_file = \"nonsense.pem\"", "19:11", &["no certificate", "PEM"]),
        (
            "certificate_file = \"gateway.pem\"\nkey_file = \"other.key.pem\"",
            "20:12",
            &["not the key of the certificate"],
        ),
        ("certificate_file = \"gateway.pem\"\nkey_file = \"ca.pem\"", "20:12", &["no private key"]),
        ("authentication = \"external\"", "19:18", &["`certificate_file` and `key_file`"]),
        ("authentication = \"anonymous\"", "19:18", &["plain", "external"]),
        ("password_file = \"empty\"", "19:17", &["empty"]),
        (
            "password = \"secret\"\npassword_file = \"ca.pem\"",
            "20:17",
            &["either `password` or `password_file`"],
        ),
        ("password = \"${env:GRIDLOOP_TEST_UNSET}\"", "19:12", &["no variable GRIDLOOP_TEST_UNSET"]),
        ("heartbeat_s = 0", "19:15", &["heartbeat_s"]),
    ];
    for (bus, place, words) in cases {
        let bus = if bus.starts_with("url") { bus.to_owned() } else { format!("{encrypted}{bus}") };
        let done = checked(folder.path(), &bus);
        assert_eq!(done.code, 2, "{bus}: {}{}", done.stdout, done.stderr);
        assert_eq!(done.stderr.matches("error: ").count(), 1, "{bus}: {}", done.stderr);
        assert!(done.stderr.contains(&format!("run.toml:{place}: ")), "{place}: {}", done.stderr);
        for word in words {
            assert!(done.stderr.contains(word), "`{word}`: {}", done.stderr);
        }
    }
    let sound = "ca_file = \"ca.pem\"\ncertificate_file = \"gateway.pem\"\nkey_file = \"gateway.key.pem\"\n\
                 authentication = \"external\"\nuser = \"gateway\"\npassword = \"secret\"\nheartbeat_s = 10";
    let done = checked(folder.path(), &format!("{encrypted}{sound}"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!done.stdout.contains("secret"), "{}", done.stdout);
}

#[test]
fn a_run_over_tls_with_certificates_on_both_sides_shows_nobody_its_password() {
    let authority = Authority::new("laboratory").expect("an authority");
    let own = authority.issue(Request::BROKER).expect("a certificate");
    let clients = ClientCertificates::Required;
    let tls = TlsListener { authority: authority.certificate(), own: &own, clients };
    let broker = RabbitMq::start_with(Options { tls: Some(tls), ..Options::default() }).expect("a broker");
    let everything = Permissions { configure: ".*", write: ".*", read: ".*" };
    broker.add_user("gateway", "hunter2", everything).expect("a user");
    let folder = folder();
    files(folder.path(), &authority);
    std::fs::write(folder.path().join("password"), "hunter2\n").expect("a file");
    let url = format!("amqps://localhost:{}", broker.tls_port());
    let bus = format!(
        "url = \"{url}\"\nuser = \"gateway\"\nca_file = \"ca.pem\"\n\
         certificate_file = \"gateway.pem\"\nkey_file = \"gateway.key.pem\"\n"
    );
    for (id, password, arguments) in [
        ("2026-06-21T12:00:00.000Z", "password_file = \"password\"", &[][..]),
        ("2026-06-21T13:00:00.000Z", "", &["--set", "bus.password=hunter2"][..]),
    ] {
        assert_eq!(checked(folder.path(), &format!("{bus}{password}")).code, 0);
        let done =
            gridloop(folder.path(), &[&["run", "run.toml", "--simulation-id", id], arguments].concat());
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        assert!(!format!("{}{}", done.stdout, done.stderr).contains("hunter2"), "{}", done.stdout);
    }
    let runs = folder.path().join("runs");
    for run in runs_in(&runs) {
        let kept = runs.join(run);
        for file in entries(&kept).iter().filter(|name| !name.contains("sqlite")) {
            let text = std::fs::read_to_string(kept.join(file)).expect("a text");
            assert!(!text.contains("hunter2"), "{file}: {text}");
        }
    }
    assert_eq!(runs_in(&runs).len(), 2);
}
