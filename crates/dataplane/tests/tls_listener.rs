//! TLS with clients: which certificate they are shown, what they must show, and what a reload changes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::door::{self, snapshot, Door};
use crate::endpoint::{Endpoint, OK};
use crate::pki::{self, Authority, Folder, Pair, BOTH};
use serde_json::{json, Value};
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::shared::Shared;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

const FIXED: &[u8] = b"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n";

type Session = StreamOwned<ClientConnection, TcpStream>;

fn tls(certificates: Vec<Value>) -> Value {
    json!({"certificates": certificates, "min_version": "1.2", "clients": null, "handshake_ms": 10_000})
}

fn secured(endpoint: &Endpoint, tls: Value) -> Value {
    let mut snapshot = snapshot(endpoint.address);
    snapshot["listeners"]["public"]["tls"] = tls;
    snapshot
}

fn apply(door: &Door, snapshot: &Value) -> Result<(), String> {
    door.server.apply(&serde_json::from_value(snapshot.clone()).unwrap()).map_err(|error| error.to_string())
}

fn connect(door: &Door, config: &Arc<ClientConfig>, name: &str) -> Session {
    let stream = TcpStream::connect(door.address).unwrap();
    stream.set_read_timeout(Some(door::PATIENCE)).unwrap();
    StreamOwned::new(pki::session(config, name), stream)
}

/// Asks for `/fixed`; an error where the handshake or the connection fails.
fn ask(session: &mut Session) -> std::io::Result<()> {
    session.write_all(FIXED)?;
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\nfixed") {
        let mut bytes = [0; 4096];
        match session.read(&mut bytes)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => got.extend_from_slice(&bytes[..count]),
        }
    }
    Ok(())
}

/// What a client is shown when it asks for `name` and believes anything.
fn shown(door: &Door, authority: &Authority, name: &str) -> CertificateDer<'static> {
    let config = Arc::new(authority.client(None, BOTH));
    let mut session = connect(door, &config, name);
    // A certificate for another name is refused by the client, which has seen it then.
    let _refused = session.conn.complete_io(&mut session.sock);
    session.conn.peer_certificates().map(|chain| chain[0].clone().into_owned()).expect("a certificate")
}

fn failed_handshakes(door: &Door) -> String {
    let metrics = door.server.metrics();
    let line = metrics.lines().find(|line| line.starts_with("stagedoor_tls_handshakes_total{result=\"failed\"}"));
    line.unwrap().rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn the_certificate_is_the_one_for_the_name_asked_for_and_the_first_for_others() {
    let (folder, authority, endpoint) = (Folder::new(), Authority::new("ca"), Endpoint::answering(OK));
    let pairs = [
        authority.issue(&["first.example"]),
        authority.issue(&["shop.example", "www.shop.example"]),
        authority.issue(&["*.shop.example"]),
    ];
    let files = pairs.iter().enumerate().map(|(index, pair)| folder.store(&index.to_string(), pair)).collect();
    let door = Door::open(secured(&endpoint, tls(files)));
    for (name, expected) in [
        ("first.example", 0),
        ("shop.example", 1),
        ("SHOP.example", 1),
        ("www.shop.example", 1),
        ("other.shop.example", 2),
        ("a.b.shop.example", 0),
        ("example", 0),
        ("127.0.0.1", 0),
    ] {
        let config = Arc::new(authority.client(None, BOTH));
        let mut session = connect(&door, &config, name);
        let answered = ask(&mut session);
        let certificate = session.conn.peer_certificates().map(|chain| chain[0].clone());
        if let Some(certificate) = certificate {
            assert_eq!(certificate, pairs[expected].certificate(), "{name}");
        }
        assert_eq!(answered.is_ok(), expected != 0 || name == "first.example", "{name}: {answered:?}");
    }
}

#[test]
fn the_scheme_that_endpoints_are_told_is_https() {
    let (folder, authority) = (Folder::new(), Authority::new("ca"));
    let (told, heard) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let endpoint = Endpoint::start(move |mut connection| {
        let request = connection.request();
        told.lock().unwrap().send(format!("{request:?}").to_ascii_lowercase()).unwrap();
        connection.send(OK);
    });
    let door = Door::open(secured(&endpoint, tls(vec![folder.store("a", &authority.issue(&["a"]))])));
    let mut session = connect(&door, &Arc::new(authority.client(None, BOTH)), "a");
    session.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // In order: an end without close_notify would be an error.
    session.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    let request = heard.recv().unwrap();
    assert!(request.contains("x-forwarded-proto") && request.contains("https"), "{request}");
}

#[test]
fn a_reload_leaves_connections_alone_and_shows_new_ones_the_new_certificate() {
    let (folder, authority, endpoint) = (Folder::new(), Authority::new("ca"), Endpoint::answering(OK));
    let snapshot = secured(&endpoint, tls(vec![folder.store("a", &authority.issue(&["a"]))]));
    let door = Door::open(snapshot.clone());
    let config = Arc::new(authority.client(None, BOTH));
    let mut sessions: Vec<_> = (0..4).map(|_| connect(&door, &config, "a")).collect();
    sessions.iter_mut().for_each(|session| ask(session).unwrap());
    for _ in 0..20 {
        let renewed = authority.issue(&["a"]);
        folder.store("a", &renewed);
        apply(&door, &snapshot).unwrap();
        assert_eq!(shown(&door, &authority, "a"), renewed.certificate());
        sessions.iter_mut().for_each(|session| ask(session).unwrap());
    }
    assert_eq!(failed_handshakes(&door), "0");
}

#[test]
fn a_session_is_resumed_by_any_worker_and_across_a_reload() {
    let (folder, authority, endpoint) = (Folder::new(), Authority::new("ca"), Endpoint::answering(OK));
    let mut snapshot = secured(&endpoint, tls(vec![folder.store("a", &authority.issue(&["a"]))]));
    snapshot["workers"] = json!(2);
    let door = Door::open(snapshot.clone());
    for versions in [[&TLS13], [&TLS12]] {
        let config = Arc::new(authority.client(None, &versions));
        ask(&mut connect(&door, &config, "a")).unwrap();
        for _ in 0..4 {
            folder.store("a", &authority.issue(&["a"]));
            apply(&door, &snapshot).unwrap();
            let mut session = connect(&door, &config, "a");
            ask(&mut session).unwrap();
            assert_eq!(session.conn.handshake_kind(), Some(HandshakeKind::Resumed));
        }
    }
}

#[test]
fn one_bad_certificate_is_named_and_the_others_are_served() {
    let (folder, authority, endpoint) = (Folder::new(), Authority::new("ca"), Endpoint::answering(OK));
    let (good, other) = (authority.issue(&["good"]), authority.issue(&["other"]));
    let mixed = Pair { chain: other.chain.clone(), key: good.key.clone() };
    let cut = Pair { chain: other.chain.replace("-----END", "----"), key: other.key.clone() };
    let keyless = Pair { chain: other.chain.clone(), key: other.chain.clone() };
    let noise = Pair { chain: other.chain.clone(), key: other.key.replace('M', "!") };
    for (name, bad, reason) in [
        ("mixed", Some(mixed), "mixed.key' is not the key of the first certificate"),
        ("cut", Some(cut), "cut.pem' is not PEM"),
        ("keyless", Some(keyless), "keyless.key' holds no unencrypted private key"),
        ("noise", Some(noise), "noise.key' "),
        ("missing", None, "missing.pem' does not exist"),
    ] {
        let bad = match bad {
            Some(bad) => folder.store(name, &bad),
            None => json!({"chain": folder.path("missing.pem"), "key": folder.path("missing.key")}),
        };
        let snapshot = secured(&endpoint, tls(vec![bad.clone(), folder.store("good", &good)]));
        let program = Program::compile(&serde_json::from_value(snapshot.clone()).unwrap(), &Shared::new(1));
        let faults = program.unwrap_or_else(|errors| panic!("{errors:?}")).faults.join("\n");
        assert!(faults.contains("listener 'public': tls.certificates[0]: ") && faults.contains(reason), "{faults}");
        assert!(!faults.contains("BEGIN") && !faults.contains(&good.key[40..60]), "{faults}");
        let door = Door::open(snapshot);
        assert_eq!(shown(&door, &authority, "good"), good.certificate());
        // Alone it leaves nothing to serve.
        let alone = serde_json::from_value(secured(&endpoint, tls(vec![bad]))).unwrap();
        let refused = stagedoor_dataplane::server::Server::start(&alone).err().expect("refused").to_string();
        assert!(refused.contains(reason) && refused.contains("no certificate that can be used"), "{refused}");
    }
}

#[test]
fn a_certificate_that_has_become_bad_stays_as_it_was_while_the_others_are_renewed() {
    let (folder, authority, endpoint) = (Folder::new(), Authority::new("ca"), Endpoint::answering(OK));
    let (first, second) = (authority.issue(&["first"]), authority.issue(&["second"]));
    let snapshot = secured(&endpoint, tls(vec![folder.store("first", &first), folder.store("second", &second)]));
    let door = Door::open(snapshot.clone());
    for round in 0..3 {
        folder.write("first.key", "-----BEGIN PRIVATE KEY-----\nnonsense");
        let renewed = authority.issue(&["second"]);
        folder.store("second", &renewed);
        apply(&door, &snapshot).unwrap();
        assert_eq!(shown(&door, &authority, "first"), first.certificate(), "round {round}");
        assert_eq!(shown(&door, &authority, "second"), renewed.certificate(), "round {round}");
    }
    let repaired = authority.issue(&["first"]);
    folder.store("first", &repaired);
    apply(&door, &snapshot).unwrap();
    assert_eq!(shown(&door, &authority, "first"), repaired.certificate());
}

#[test]
fn clients_show_certificates_as_the_listener_asks() {
    let (folder, authority, endpoint) = (Folder::new(), Authority::new("ca"), Endpoint::answering(OK));
    let (people, strangers) = (Authority::new("people"), Authority::new("strangers"));
    let server = folder.store("a", &authority.issue(&["a"]));
    let ca = folder.write("people.pem", &people.pem());
    let (known, stranger) = (people.issue(&["ann"]), strangers.issue(&["ann"]));
    let expired = people.issue_until(&["ann"], 2002);
    for (clients, shown, admitted) in [
        (Value::Null, None, true),
        (Value::Null, Some(&stranger), true),
        (json!({"ca": ca, "required": false}), None, true),
        (json!({"ca": ca, "required": false}), Some(&known), true),
        (json!({"ca": ca, "required": false}), Some(&stranger), false),
        (json!({"ca": ca, "required": false}), Some(&expired), false),
        (json!({"ca": ca, "required": true}), None, false),
        (json!({"ca": ca, "required": true}), Some(&known), true),
        (json!({"ca": ca, "required": true}), Some(&stranger), false),
        (json!({"ca": ca, "required": true}), Some(&expired), false),
    ] {
        let mut settings = tls(vec![server.clone()]);
        settings["clients"] = clients.clone();
        let door = Door::open(secured(&endpoint, settings));
        for versions in [[&TLS13], [&TLS12]] {
            let config = Arc::new(authority.client(shown, &versions));
            // Twice: a session that is resumed must not get around the question.
            for _ in 0..2 {
                let mut session = connect(&door, &config, "a");
                assert_eq!(ask(&mut session).is_ok(), admitted, "{clients} {versions:?}");
                if admitted && clients != Value::Null {
                    assert_eq!(session.conn.handshake_kind(), Some(HandshakeKind::Full));
                }
            }
        }
        door::until("all are counted", || failed_handshakes(&door) == if admitted { "0" } else { "4" });
    }
}

#[test]
fn without_the_authorities_of_its_clients_a_listener_does_not_start() {
    let (folder, authority, endpoint) = (Folder::new(), Authority::new("ca"), Endpoint::answering(OK));
    let mut settings = tls(vec![folder.store("a", &authority.issue(&["a"]))]);
    settings["clients"] = json!({"ca": folder.path("people.pem"), "required": false});
    let snapshot = serde_json::from_value(secured(&endpoint, settings)).unwrap();
    let refused = stagedoor_dataplane::server::Server::start(&snapshot).err().expect("refused").to_string();
    assert!(refused.contains("tls.client: ca: ") && refused.contains("people.pem' does not exist"), "{refused}");
}

#[test]
fn an_older_version_than_the_least_is_refused() {
    let (folder, authority, endpoint) = (Folder::new(), Authority::new("ca"), Endpoint::answering(OK));
    let mut settings = tls(vec![folder.store("a", &authority.issue(&["a"]))]);
    settings["min_version"] = json!("1.3");
    let door = Door::open(secured(&endpoint, settings));
    for (versions, admitted) in [([&TLS13], true), ([&TLS12], false)] {
        let config = Arc::new(authority.client(None, &versions));
        assert_eq!(ask(&mut connect(&door, &config, "a")).is_ok(), admitted);
    }
}

#[test]
fn http_without_tls_is_answered_with_an_alert_and_closed() {
    let (folder, authority, endpoint) = (Folder::new(), Authority::new("ca"), Endpoint::answering(OK));
    let door = Door::open(secured(&endpoint, tls(vec![folder.store("a", &authority.issue(&["a"]))])));
    let mut client = door.client();
    assert!(client.send(FIXED));
    let (alert, end) = client.rest();
    assert_eq!((alert.first(), end), (Some(&21), door::End::Closed), "{alert:?}");
    door::until("it is counted", || failed_handshakes(&door) == "1");
}

#[test]
fn a_handshake_that_takes_too_long_is_cut_off_and_holds_nobody_up() {
    let (folder, authority, endpoint) = (Folder::new(), Authority::new("ca"), Endpoint::answering(OK));
    let mut settings = tls(vec![folder.store("a", &authority.issue(&["a"]))]);
    settings["handshake_ms"] = json!(300);
    let door = Door::open(secured(&endpoint, settings));
    let mut silent = door.client();
    let mut half = door.client();
    half.send(&[22, 3, 1, 2, 0, 1]);
    ask(&mut connect(&door, &Arc::new(authority.client(None, BOTH)), "a")).unwrap();
    assert!(silent.is_closed());
    assert!(half.is_closed());
    door::until("both are counted", || failed_handshakes(&door) == "2");
}

#[test]
fn an_expired_certificate_is_served_with_a_warning() {
    let (folder, authority, endpoint) = (Folder::new(), Authority::new("ca"), Endpoint::answering(OK));
    let snapshot = secured(&endpoint, tls(vec![folder.store("a", &authority.issue_until(&["a"], 2002))]));
    let program = Program::compile(&serde_json::from_value(snapshot).unwrap(), &Shared::new(1));
    let program = program.unwrap_or_else(|errors| panic!("{errors:?}"));
    assert!(program.faults.is_empty());
    assert!(program.warnings.iter().any(|warning| warning.contains("a.pem' has expired")), "{:?}", program.warnings);
}
