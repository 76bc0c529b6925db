//! HTTP/2 to endpoints over TLS, which choose it in the handshake (RFC 7301) or do not.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::endpoint::{get, on_worker, settings, Worker};
use crate::pki::{Authority, Folder};
use bytes::Bytes;
use stagedoor_dataplane::error::Kind;
use stagedoor_dataplane::snapshot::{self, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::server::TlsStream;

type Stream = TlsStream<tokio::net::TcpStream>;

/// An endpoint that chooses from these, and says in which it answers and by what scheme it was asked.
struct Choosing {
    address: SocketAddr,
    /// What was chosen for each connection.
    chosen: Arc<Mutex<Vec<Option<String>>>>,
}

impl Choosing {
    fn start(protocols: &[&str], authority: &Authority) -> Self {
        let mut config = Arc::unwrap_or_clone(Authority::server(&authority.issue(&["localhost"]), None));
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let chosen = Arc::<Mutex<Vec<Option<String>>>>::default();
        let known = chosen.clone();
        thread::spawn(move || on_worker(serve(listener, config, known)));
        Self { address, chosen }
    }

    fn chosen(&self) -> Vec<Option<String>> {
        self.chosen.lock().unwrap().clone()
    }
}

async fn serve(
    listener: TcpListener,
    config: tokio_rustls::rustls::ServerConfig,
    chosen: Arc<Mutex<Vec<Option<String>>>>,
) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(stream) = acceptor.accept(stream).await else { continue };
        let protocol = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
        chosen.lock().unwrap().push(protocol.clone());
        if protocol.as_deref() == Some("h2") {
            tokio::task::spawn_local(http2(stream));
        } else {
            tokio::task::spawn_local(http1(stream));
        }
    }
}

async fn http2(stream: Stream) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let said = format!("h2 {}", request.uri().scheme_str().unwrap());
        let mut send = respond.send_response(http::Response::new(()), false).unwrap();
        send.send_data(Bytes::from(said), true).unwrap();
    }
}

async fn http1(mut stream: Stream) {
    let (mut got, mut bytes) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
        got.extend_from_slice(&bytes[..count]);
        if got.ends_with(b"\r\n\r\n") {
            got.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhttp/1.1").await.unwrap();
            stream.flush().await.unwrap();
        }
    }
}

fn cluster(endpoint: &Choosing, protocol: Protocol, folder: &Folder, ca: &Authority) -> snapshot::Cluster {
    let mut settings = settings(&[]);
    let authority = format!("localhost:{}", endpoint.address.port());
    settings.endpoints = vec![snapshot::Endpoint { authority, tls: true, weight: 1 }];
    settings.protocol = protocol;
    settings.tls.ca = Some(folder.write("ca.pem", &ca.pem()));
    settings
}

/// Asks three times; the answers and what was chosen for each connection.
fn ask(protocols: &[&str], protocol: Protocol) -> (Vec<Result<String, Kind>>, Vec<Option<String>>) {
    let (folder, ca) = (Folder::new(), Authority::new("ca"));
    let endpoint = Choosing::start(protocols, &ca);
    on_worker(async {
        let worker = Worker::new(&cluster(&endpoint, protocol, &folder, &ca));
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(worker.fetch(get("/")).await.map(|(_, content)| content).map_err(|error| error.kind));
        }
        (answers, endpoint.chosen())
    })
}

fn all(answer: &str) -> Vec<Result<String, Kind>> {
    vec![Ok(answer.to_owned()); 3]
}

#[test]
fn an_endpoint_that_can_is_spoken_to_in_http2_on_one_connection() {
    for protocol in [Protocol::H2, Protocol::Auto] {
        let (answers, chosen) = ask(&["h2", "http/1.1"], protocol);
        assert_eq!(answers, all("h2 https"));
        assert_eq!(chosen, [Some("h2".to_owned())]);
    }
}

#[test]
fn auto_speaks_http1_where_that_is_chosen_and_remembers_it() {
    for (protocols, chosen) in [(&["http/1.1"][..], Some("http/1.1".to_owned())), (&[], None)] {
        let (answers, connections) = ask(protocols, Protocol::Auto);
        assert_eq!(answers, all("http/1.1"));
        // The one that has told, and the one that is kept.
        assert_eq!(connections, [chosen.clone(), chosen]);
    }
}

#[test]
fn h2_is_nothing_else() {
    let (answers, _) = ask(&[], Protocol::H2);
    assert_eq!(answers, vec![Err(Kind::EndpointUnreachable); 3]);
    let (answers, _) = ask(&["http/1.1"], Protocol::H2);
    assert_eq!(answers, vec![Err(Kind::EndpointUnreachable); 3]);
}

#[test]
fn http1_is_asked_for_where_nothing_else_is_configured() {
    let (answers, chosen) = ask(&["h2", "http/1.1"], Protocol::Http1);
    assert_eq!(answers, all("http/1.1"));
    assert_eq!(chosen, [Some("http/1.1".to_owned())]);
}

#[test]
fn what_is_chosen_over_tls_needs_tls_and_what_is_not_encrypted_has_none() {
    for (protocol, tls) in [(Protocol::H2, false), (Protocol::Auto, false), (Protocol::H2c, true)] {
        let mut settings = settings(&[]);
        settings.endpoints = vec![snapshot::Endpoint { authority: "localhost:1".to_owned(), tls, weight: 1 }];
        settings.protocol = protocol;
        settings.tls.verify = false;
        let shared = stagedoor_dataplane::shared::Shared::new(1);
        let wrong = stagedoor_dataplane::cluster::Cluster::build("test", &settings, &shared).err().unwrap();
        assert!(wrong.iter().any(|message| message.contains("protocol: ")), "{wrong:?}");
    }
}
