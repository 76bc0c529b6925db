//! The PROXY header to endpoints: it goes before everything else, names the client of the exchange, and no connection
//! serves a client that its header does not name.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

use crate::door::{self, Client, Door};
use crate::wire::{self, Kind, Taken};
use serde_json::{json, Value};
use stagedoor_dataplane::transport::proxy_protocol::{parse, Parsed};

/// One request: the connection that it came on, counted from 0, the header of that, and `X-Forwarded-For`.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    connection: usize,
    header: Vec<u8>,
    forwarded: String,
}

/// Wants a header before the first request of a connection.
struct Endpoint {
    address: SocketAddr,
    seen: mpsc::Receiver<Seen>,
}

impl Endpoint {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, seen) = mpsc::channel();
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let tell = tell.clone();
                std::thread::spawn(move || serve(stream.unwrap(), connection, &tell));
            }
        });
        Self { address, seen }
    }

    /// The source that the next request's connection names, and which connection that is.
    fn next(&self) -> (Option<SocketAddr>, usize) {
        let seen = self.seen.recv_timeout(door::PATIENCE).unwrap();
        match parse(&seen.header) {
            Parsed::Whole { source, .. } => (source, seen.connection),
            other => panic!("{other:?}: {:?}", seen.header),
        }
    }
}

fn serve(mut stream: TcpStream, connection: usize, tell: &mpsc::Sender<Seen>) {
    let (mut unread, mut buffer, mut header) = (Vec::new(), [0; 4096], None);
    loop {
        if header.is_none() {
            if let Parsed::Whole { length, .. } = parse(&unread) {
                header = Some(unread.drain(..length).collect::<Vec<u8>>());
            }
        }
        if let Some(header) = &header {
            if let Taken::Whole(message, taken) = wire::take(&unread, Kind::Request, false) {
                unread.drain(..taken);
                let forwarded = message.field("x-forwarded-for").unwrap_or_default();
                let _over = tell.send(Seen { connection, header: header.clone(), forwarded });
                let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                continue;
            }
        }
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => unread.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
}

fn snapshot(endpoint: &Endpoint, version: &str) -> Value {
    let mut snapshot = door::snapshot(endpoint.address);
    snapshot["clusters"]["shop"]["proxy_protocol"] = json!(version);
    snapshot
}

fn ask(client: &mut Client) {
    assert_eq!(client.ask(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
}

#[test]
fn every_new_connection_begins_with_the_address_of_its_client() {
    for version in ["v1", "v2"] {
        let endpoint = Endpoint::start();
        let door = Door::open(snapshot(&endpoint, version));
        let mut client = door.client();
        ask(&mut client);
        let (source, _) = endpoint.next();
        assert_eq!(source, Some(client.stream.local_addr().unwrap()), "{version}");
    }
}

#[test]
fn the_header_of_version_1_names_the_client_and_the_endpoint() {
    let endpoint = Endpoint::start();
    let door = Door::open(snapshot(&endpoint, "v1"));
    let mut client = door.client();
    ask(&mut client);
    let seen = endpoint.seen.recv_timeout(door::PATIENCE).unwrap();
    let (from, to) = (client.stream.local_addr().unwrap().port(), endpoint.address.port());
    let line = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {from} {to}\r\n");
    assert_eq!(String::from_utf8(seen.header).unwrap(), line);
    assert_eq!(seen.forwarded, "127.0.0.1");
}

#[test]
fn a_connection_is_kept_for_its_own_client_and_never_serves_another() {
    let endpoint = Endpoint::start();
    let door = Door::open(snapshot(&endpoint, "v2"));
    let (mut one, mut other) = (door.client(), door.client());
    let mut connections = Vec::new();
    for _ in 0..3 {
        for client in [&mut one, &mut other] {
            ask(client);
            let (source, connection) = endpoint.next();
            assert_eq!(source, Some(client.stream.local_addr().unwrap()));
            connections.push(connection);
        }
    }
    assert_eq!(connections, [0, 1, 0, 1, 0, 1]);
}

#[test]
fn another_client_s_idle_connection_makes_room_and_does_not_serve() {
    let endpoint = Endpoint::start();
    let mut snapshot = snapshot(&endpoint, "v1");
    snapshot["clusters"]["shop"]["pool"]["connections"] = json!(1);
    let door = Door::open(snapshot);
    let (mut one, mut other) = (door.client(), door.client());
    for client in [&mut one, &mut other] {
        ask(client);
        assert_eq!(endpoint.next().0, Some(client.stream.local_addr().unwrap()));
    }
    ask(&mut one);
    assert_eq!(endpoint.next(), (Some(one.stream.local_addr().unwrap()), 2));
}

#[test]
fn clients_that_wait_for_the_only_connection_are_each_named() {
    let endpoint = Endpoint::start();
    let mut snapshot = snapshot(&endpoint, "v2");
    snapshot["clusters"]["shop"]["pool"]["connections"] = json!(1);
    let door = Door::open(snapshot);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = door.client();
                (0..5).for_each(|_| ask(&mut client));
            });
        }
    });
    let seen: Vec<Seen> = endpoint.seen.try_iter().collect();
    assert_eq!(seen.len(), 40);
    let mut headers: Vec<_> = seen.iter().map(|seen| &seen.header).collect();
    headers.sort();
    headers.dedup();
    assert_eq!(headers.len(), 8);
    for request in &seen {
        let together = seen.iter().filter(|other| other.connection == request.connection);
        assert!(together.map(|other| &other.header).all(|header| *header == request.header), "{seen:?}");
    }
}

#[test]
fn the_client_is_the_one_that_trusted_proxies_name() {
    let endpoint = Endpoint::start();
    let mut snapshot = snapshot(&endpoint, "v1");
    snapshot["listeners"]["public"]["trusted_proxies"] = json!(["127.0.0.1"]);
    let door = Door::open(snapshot);
    let mut proxy = door.client();
    for (client, connection) in [("192.0.2.9", 0), ("2001:db8::9", 1), ("192.0.2.9", 0)] {
        let request = format!("GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n");
        assert_eq!(proxy.ask(request.as_bytes()).status(), 200);
        assert_eq!(endpoint.next(), (Some(SocketAddr::new(client.parse().unwrap(), 0)), connection));
    }
}

#[test]
fn http2_to_endpoints_and_a_header_do_not_go_together() {
    let endpoint = Endpoint::start();
    let mut snapshot = snapshot(&endpoint, "v2");
    snapshot["clusters"]["shop"]["protocol"] = json!("h2c");
    let snapshot = serde_json::from_value(snapshot).unwrap();
    let error = stagedoor_dataplane::server::Server::start(&snapshot).err().unwrap().to_string();
    assert!(error.contains("cluster 'shop': proxy_protocol"), "{error}");
}
