//! TLS to endpoints: who is believed, what the gateway shows, and whose connections are never lent to whom.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::endpoint::{get, on_worker, settings, Worker};
use crate::pki::{Authority, Folder, Pair};
use stagedoor_dataplane::error::Kind;
use stagedoor_dataplane::snapshot;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Of one connection: the name asked for, and what was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    name: Option<String>,
    certificate: Option<CertificateDer<'static>>,
}

struct Secure {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// An end that says nothing of whether all was sent.
const CUT: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nhalf of";

impl Secure {
    fn start(config: Arc<ServerConfig>, answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::default());
        let known = seen.clone();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (config, seen): (_, Arc<Mutex<Vec<Seen>>>) = (config.clone(), known.clone());
                thread::spawn(move || {
                    let mut session = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                    if session.conn.complete_io(&mut session.sock).is_err() {
                        return;
                    }
                    let certificate = session.conn.peer_certificates().map(|chain| chain[0].clone().into_owned());
                    seen.lock()
                        .unwrap()
                        .push(Seen { name: session.conn.server_name().map(str::to_owned), certificate });
                    serve(&mut session, answer);
                });
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(session: &mut StreamOwned<ServerConnection, std::net::TcpStream>, answer: &[u8]) {
    let mut got = Vec::new();
    loop {
        let mut bytes = [0; 1024];
        match session.read(&mut bytes) {
            Ok(count @ 1..) => got.extend_from_slice(&bytes[..count]),
            _ => return,
        }
        if got.ends_with(b"\r\n\r\n") {
            got.clear();
            session.write_all(answer).unwrap();
            session.flush().unwrap();
            if answer == CUT {
                return;
            }
        }
    }
}

/// A cluster of one endpoint by its name `localhost`, which trusts `ca`.
fn cluster(secure: &Secure, folder: &Folder, ca: &Authority) -> snapshot::Cluster {
    let mut settings = settings(&[]);
    let authority = format!("localhost:{}", secure.address.port());
    settings.endpoints = vec![snapshot::Endpoint { authority, tls: true, weight: 1 }];
    settings.retry.attempts = 0;
    settings.tls.ca = Some(folder.write("ca.pem", &ca.pem()));
    settings
}

fn files(folder: &Folder, name: &str, pair: &Pair) -> Option<snapshot::CertificateFiles> {
    Some(serde_json::from_value(folder.store(name, pair)).unwrap())
}

#[test]
fn a_verified_endpoint_is_called_and_its_connection_kept() {
    let (folder, ca) = (Folder::new(), Authority::new("ca"));
    let secure = Secure::start(Authority::server(&ca.issue(&["localhost"]), None), OK);
    on_worker(async {
        let worker = Worker::new(&cluster(&secure, &folder, &ca));
        // The tickets that the endpoint sends after the handshake are no stray data.
        for _ in 0..10 {
            assert_eq!(worker.fetch(get("/")).await.unwrap(), (200, "ok".to_owned()));
        }
        assert_eq!(secure.seen(), [Seen { name: Some("localhost".to_owned()), certificate: None }]);
    });
}

#[test]
fn an_endpoint_that_cannot_prove_who_it_is_is_not_called() {
    let (folder, ca, other) = (Folder::new(), Authority::new("ca"), Authority::new("other"));
    for (pair, reason) in [
        (other.issue(&["localhost"]), "UnknownIssuer"),
        (ca.issue(&["elsewhere.example"]), "not valid for name"),
        (ca.issue_until(&["localhost"], 2002), "expired"),
    ] {
        let secure = Secure::start(Authority::server(&pair, None), OK);
        on_worker(async {
            let mut settings = cluster(&secure, &folder, &ca);
            let mut worker = Worker::new(&settings);
            let error = worker.fetch(get("/")).await.unwrap_err();
            assert_eq!(error.kind, Kind::EndpointUnreachable);
            let cause = format!("{error:?}");
            assert!(cause.contains("TLS") && cause.contains(reason), "{cause}");
            assert_eq!(secure.seen(), []);
            // Unless that is asked for.
            (settings.tls.verify, settings.tls.ca) = (false, None);
            worker.apply(&settings);
            assert_eq!(worker.fetch(get("/")).await.unwrap().0, 200);
            // Which changes nothing for others that do verify.
            settings.tls.verify = true;
            settings.tls.ca = Some(folder.path("ca.pem"));
            worker.apply(&settings);
            assert_eq!(worker.fetch(get("/")).await.unwrap_err().kind, Kind::EndpointUnreachable);
        });
    }
}

#[test]
fn the_name_that_is_set_is_asked_for_and_verified() {
    let (folder, ca) = (Folder::new(), Authority::new("ca"));
    let secure = Secure::start(Authority::server(&ca.issue(&["inside.example"]), None), OK);
    on_worker(async {
        let mut settings = cluster(&secure, &folder, &ca);
        settings.tls.server_name = Some("inside.example".to_owned());
        settings.endpoints[0].authority = secure.address.to_string();
        assert_eq!(Worker::new(&settings).fetch(get("/")).await.unwrap().0, 200);
        assert_eq!(secure.seen()[0].name.as_deref(), Some("inside.example"));
        settings.tls.server_name = None;
        assert!(Worker::new(&settings).fetch(get("/")).await.is_err());
    });
}

#[test]
fn connections_made_with_one_certificate_are_never_lent_to_who_shows_another() {
    let (folder, ca) = (Folder::new(), Authority::new("ca"));
    let secure = Secure::start(Authority::server(&ca.issue(&["localhost"]), Some(&ca)), OK);
    let (first, second) = (ca.issue(&["first"]), ca.issue(&["second"]));
    on_worker(async {
        let mut settings = cluster(&secure, &folder, &ca);
        let mut worker = Worker::new(&settings);
        assert!(worker.fetch(get("/")).await.is_err(), "none is shown");
        settings.tls.certificate = files(&folder, "own", &first);
        worker.apply(&settings);
        worker.fetch(get("/")).await.unwrap();
        worker.fetch(get("/")).await.unwrap();
        // The same files, with something else in them.
        settings.tls.certificate = files(&folder, "own", &second);
        worker.apply(&settings);
        worker.fetch(get("/")).await.unwrap();
        let shown: Vec<_> = secure.seen().into_iter().map(|seen| seen.certificate.unwrap()).collect();
        assert_eq!(shown, [first.certificate(), second.certificate()]);
        settings.tls.certificate = None;
        worker.apply(&settings);
        assert!(worker.fetch(get("/")).await.is_err(), "none is shown");
    });
}

#[test]
fn an_answer_that_is_cut_off_is_not_taken_for_a_whole_one() {
    let (folder, ca) = (Folder::new(), Authority::new("ca"));
    let secure = Secure::start(Authority::server(&ca.issue(&["localhost"]), None), CUT);
    on_worker(async {
        let worker = Worker::new(&cluster(&secure, &folder, &ca));
        assert!(worker.fetch(get("/")).await.is_err());
    });
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let (folder, ca) = (Folder::new(), Authority::new("ca"));
    let secure = Secure::start(Authority::server(&ca.issue(&["localhost"]), None), OK);
    let shared = stagedoor_dataplane::shared::Shared::new(1);
    let mut settings = cluster(&secure, &folder, &ca);
    settings.tls.ca = Some(folder.path("absent.pem"));
    settings.tls.certificate = files(&folder, "own", &Pair { chain: ca.pem(), key: ca.issue(&["a"]).key });
    let wrong = stagedoor_dataplane::cluster::Cluster::build("shop", &settings, &shared).err().unwrap().join("\n");
    for part in ["cluster 'shop': tls: ca: ", "absent.pem' does not exist", "tls: key: ", "own.key' is not the key of"]
    {
        assert!(wrong.contains(part), "{part}: {wrong}");
    }
}
