//! Who may ask, and the record of it.

use crate::client::ask;
use crate::rig::{Folder, RUN, Rig, small};
use gridloop_log_reader::{Role, ServerError, TlsFiles, TokenFile};
use gridloop_messages::Timestamp;
use std::net::SocketAddr;

struct Guarded {
    rig: Rig,
    tokens: TokenFile,
    viewer: String,
    operator: String,
    expired: String,
}

fn guarded() -> Guarded {
    let folder = Folder::new();
    folder.store(RUN, small());
    let path = folder.path("tokens.toml");
    let tokens = TokenFile::new(path.clone());
    let viewer = tokens.add("alice", Role::Viewer, None).unwrap().token;
    let operator =
        tokens.add("bob", Role::Operator, Some(Timestamp::parse("9000-01-01").unwrap())).unwrap().token;
    let expired =
        tokens.add("carol", Role::Operator, Some(Timestamp::parse("2020-01-01").unwrap())).unwrap().token;
    let mut settings = folder.settings();
    settings.tokens = Some(path);
    Guarded { rig: folder.serve(settings), tokens, viewer, operator, expired }
}

fn status(server: SocketAddr, target: &str, authorization: Option<&str>) -> u16 {
    let header = authorization.map(|value| ("Authorization", value));
    ask(server, "GET", target, header.as_slice()).status
}

#[test]
fn each_token_opens_what_its_role_says_and_nothing_opens_without_one() {
    let guarded = guarded();
    let bearer = |token: &str| format!("Bearer {token}");
    let (valid, invalid) =
        (format!("/simulations/{RUN}/messages"), format!("/simulations/{RUN}/messages/invalid"));
    let (viewer, operator, expired) =
        (bearer(&guarded.viewer), bearer(&guarded.operator), bearer(&guarded.expired));
    let wrong = bearer("gridloop_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for (who, authorization, run, apart) in [
        ("nobody", None, 401, 401),
        ("a wrong token", Some(wrong.as_str()), 401, 401),
        ("an empty token", Some("Bearer "), 401, 401),
        ("another scheme", Some("Digest x"), 401, 401),
        ("a token without its scheme", Some(guarded.viewer.as_str()), 401, 401),
        ("bytes", Some("Basic !!!"), 401, 401),
        ("an expired operator", Some(expired.as_str()), 401, 401),
        ("a viewer", Some(viewer.as_str()), 200, 403),
        ("an operator", Some(operator.as_str()), 200, 200),
    ] {
        for target in [
            "/",
            "/simulations",
            &format!("/simulations/{RUN}"),
            &valid,
            &format!("/simulations/{RUN}/timeseries?attrs=RealPower"),
        ] {
            assert_eq!(status(guarded.rig.address, target, authorization), run, "{who}: {target}");
        }
        assert_eq!(status(guarded.rig.address, &invalid, authorization), apart, "{who}");
        assert_eq!(status(guarded.rig.address, "/health", authorization), 200, "{who}");
    }
    // What is not there is not told to strangers either.
    assert_eq!(status(guarded.rig.address, "/nowhere", None), 401);
    assert_eq!(status(guarded.rig.address, "/nowhere", Some(&viewer)), 404);
}

#[test]
fn browsers_send_the_token_as_a_password() {
    use base64::Engine as _;
    let guarded = guarded();
    let refused = ask(guarded.rig.address, "GET", "/", &[]);
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").unwrap().contains("Basic realm"));
    let login = base64::engine::general_purpose::STANDARD.encode(format!("me:{}", guarded.viewer));
    assert_eq!(status(guarded.rig.address, "/", Some(&format!("Basic {login}"))), 200);
}

#[test]
fn a_revoked_token_and_a_spoilt_file_close_the_door_of_a_running_server() {
    let guarded = guarded();
    let (viewer, operator) = (format!("Bearer {}", guarded.viewer), format!("Bearer {}", guarded.operator));
    assert_eq!(status(guarded.rig.address, "/simulations", Some(&viewer)), 200);
    guarded.tokens.revoke("alice").unwrap();
    assert_eq!(status(guarded.rig.address, "/simulations", Some(&viewer)), 401);
    assert_eq!(status(guarded.rig.address, "/simulations", Some(&operator)), 200);
    let new = guarded.tokens.add("dave", Role::Viewer, None).unwrap().token;
    assert_eq!(status(guarded.rig.address, "/simulations", Some(&format!("Bearer {new}"))), 200);
    std::fs::write(guarded.rig.folder.path().join("tokens.toml"), "[token").unwrap();
    assert_eq!(status(guarded.rig.address, "/simulations", Some(&operator)), 401);
}

#[test]
fn every_access_is_recorded_with_who_what_and_the_outcome_and_without_the_token() {
    let guarded = guarded();
    let viewer = format!("Bearer {}", guarded.viewer);
    let valid = format!("/simulations/{RUN}/messages?topic=%0Aforged");
    status(guarded.rig.address, "/simulations", None);
    status(guarded.rig.address, &valid, Some(&viewer));
    status(guarded.rig.address, &format!("/simulations/{RUN}/messages/invalid"), Some(&viewer));
    let lines = guarded.rig.accesses(3);
    let told: Vec<(Option<&str>, Option<&str>, &str, u64)> = lines
        .iter()
        .map(|line| {
            (
                line["user"].as_str(),
                line["role"].as_str(),
                line["target"].as_str().unwrap(),
                line["status"].as_u64().unwrap(),
            )
        })
        .collect();
    assert!(told.contains(&(None, None, "/simulations", 401)), "{told:?}");
    assert!(told.contains(&(Some("alice"), Some("viewer"), &valid, 400)), "{told:?}");
    assert!(told.iter().any(|line| (line.0, line.3) == (Some("alice"), 403)), "{told:?}");
    for line in &lines {
        assert!(line["from"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
        assert_eq!((&line["method"], &line["complete"]), (&"GET".into(), &true.into()), "{line}");
    }
    let text = std::fs::read_to_string(guarded.rig.folder.path().join("access.log")).unwrap();
    assert!(!text.contains(&guarded.viewer[9..]));
    let now = Timestamp::from(guarded.rig.clock.utc()).to_string();
    assert!(lines[0]["time"].as_str().unwrap() <= now.as_str());
}

#[test]
fn other_machines_are_not_served_without_both_tokens_and_tls_unless_that_is_meant() {
    let folder = Folder::new();
    let tokens = folder.path("tokens.toml");
    TokenFile::new(tokens.clone()).add("alice", Role::Viewer, None).unwrap();
    let tls = TlsFiles { certificate: folder.path("c.pem"), key: folder.path("k.pem") };
    for (tokens, tls, missing) in [
        (None, None, "neither tokens nor a certificate"),
        (Some(tokens.clone()), None, "no certificate"),
        (None, Some(tls), "no tokens"),
    ] {
        for listen in ["0.0.0.0:0", "[::]:0"] {
            let mut settings = folder.settings();
            (settings.listen, settings.tokens, settings.tls) = (listen.into(), tokens.clone(), tls.clone());
            let error = folder.refused(settings).to_string();
            assert!(error.contains(missing) && error.contains("--insecure"), "{error}");
        }
    }
    let mut settings = folder.settings();
    (settings.listen, settings.insecure) = ("0.0.0.0:0".into(), true);
    let rig = folder.serve(settings);
    assert_eq!(status(SocketAddr::from(([127, 0, 0, 1], rig.address.port())), "/health", None), 200);
}

#[test]
fn a_server_does_not_start_with_something_wrong() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.tokens = Some(folder.path("none.toml"));
    assert!(matches!(folder.refused(settings), ServerError::Tokens(_)));
    let mut settings = folder.settings();
    settings.listen = "127.0.0.1:notaport".into();
    assert!(matches!(folder.refused(settings), ServerError::Listen { .. }));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = folder.settings();
    settings.listen = taken.local_addr().unwrap().to_string();
    let error = folder.refused(settings);
    assert!(error.to_string().contains(&taken.local_addr().unwrap().to_string()), "{error}");
}
