//! HTTP/2 from clients: streams are requests like any other, and what a client may not do too often ends its connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use crate::door::{snapshot, until, Door, PATIENCE};
use crate::endpoint::{Endpoint, OK};
use crate::frames::{field, Frame, CANCEL, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS};
use serde_json::json;

const ENHANCE_YOUR_CALM: u32 = 11;
const PRIORITY: u8 = 2;
const CONTINUATION: u8 = 9;

/// A client of HTTP/2 that says what a test tells it to, frame by frame.
struct Client {
    stream: TcpStream,
}

impl Client {
    fn begin(door: &Door) -> Self {
        let stream = TcpStream::connect(door.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self { stream };
        client.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        client.send(SETTINGS, 0, 0, &[]);
        client
    }

    /// False when the gateway takes nothing more.
    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).is_ok()
    }

    fn get(&mut self, stream: u32, path: &str) {
        self.head(stream, END_STREAM, &[(":method", "GET"), (":path", path), (":authority", "shop.example")]);
    }

    fn head(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        let mut block = field(":scheme", "http");
        // Pseudo-fields come first, in whatever order.
        fields.iter().for_each(|(name, value)| block.extend(field(name, value)));
        self.send(HEADERS, flags | END_HEADERS, stream, &block);
    }

    /// The next frame; None at the end.
    fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    fn wait(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.next().expect("the connection has not ended");
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// The status and the content of this stream's answer.
    fn answer(&mut self, stream: u32) -> (String, Vec<u8>) {
        let head = self.wait(|frame| frame.kind == HEADERS && frame.stream == stream);
        let status = match head.payload[0] {
            0x88 => "200".to_owned(),
            0x8b => "304".to_owned(),
            0x8c => "400".to_owned(),
            0x8d => "404".to_owned(),
            // A literal with the indexed name `:status`, its value by Huffman code or plain.
            _ => format!("{:02x?}", &head.payload[..4]),
        };
        let mut content = Vec::new();
        let mut ended = head.flags & END_STREAM != 0;
        while !ended {
            let data = self.wait(|frame| frame.kind == DATA && frame.stream == stream);
            content.extend_from_slice(&data.payload);
            ended = data.flags & END_STREAM != 0;
        }
        (status, content)
    }

    /// Why the gateway ends the connection.
    fn farewell(&mut self) -> u32 {
        let frame = self.wait(|frame| frame.kind == GOAWAY);
        u32::from_be_bytes(frame.payload[4..8].try_into().unwrap())
    }
}

fn door(endpoint: &Endpoint) -> Door {
    let mut snapshot = snapshot(endpoint.address);
    snapshot["listeners"]["public"]["http2"] = json!({"enabled": true, "h2c": true, "max_streams": 8});
    Door::open(snapshot)
}

#[test]
fn streams_are_answered_as_their_endpoints_answer_whatever_the_others_do() {
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let endpoint = Endpoint::start(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            if head.starts_with("GET /slow ") {
                held.lock().unwrap().recv().unwrap();
            }
            connection.send(OK);
        }
    });
    let door = door(&endpoint);
    let mut client = Client::begin(&door);
    client.get(1, "/slow");
    client.get(3, "/fast");
    client.get(5, "/fixed");
    assert_eq!(client.answer(3), ("200".to_owned(), b"ok".to_vec()));
    release.send(()).unwrap();
    assert_eq!(client.answer(1), ("200".to_owned(), b"ok".to_vec()));
    let seen = endpoint.text().to_ascii_lowercase();
    assert!(seen.contains("get /slow http/1.1\r\n") && seen.contains("host: shop.example\r\n"), "{seen}");
    assert!(seen.contains("via: 2.0 stagedoor\r\n"), "{seen}");
}

#[test]
fn both_protocols_are_spoken_on_one_port_and_http_2_only_where_it_is_allowed() {
    let endpoint = Endpoint::answering(OK);
    let both = door(&endpoint);
    assert_eq!(both.client().ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").start, "HTTP/1.1 200 OK");
    let mut cut = TcpStream::connect(both.address).unwrap();
    // A beginning that comes in pieces is waited for.
    for piece in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".chunks(3) {
        cut.write_all(piece).unwrap();
        std::thread::yield_now();
    }
    cut.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = [0; 9];
    cut.read_exact(&mut head).unwrap();
    assert_eq!(head[3], SETTINGS);
    let plain = Door::before(endpoint.address);
    assert_eq!(
        plain.client().ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").start,
        "HTTP/1.1 505 HTTP Version Not Supported"
    );
    let mut snapshot = snapshot(endpoint.address);
    snapshot["listeners"]["public"]["http2"] = json!({"enabled": true, "h2c": true, "max_streams": 8});
    snapshot["listeners"]["public"]["http1"] = json!(false);
    let only = Door::open(snapshot);
    let mut client = only.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.shut();
    assert!(client.is_closed());
}

#[test]
fn heads_that_http_1_would_refuse_are_refused() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint);
    let mut client = Client::begin(&door);
    let get = [(":method", "GET"), (":path", "/a")];
    client.head(1, END_STREAM, &get);
    assert_eq!(client.answer(1).0, "400", "without an authority");
    client.head(3, END_STREAM, &[get[0], get[1], (":authority", "a"), ("host", "b")]);
    assert_eq!(client.answer(3).0, "400", "with two authorities");
    client.head(5, END_STREAM, &[get[0], get[1], (":authority", "a b")]);
    assert_eq!(client.wait(|frame| frame.stream == 5).kind, RST_STREAM, "an authority that is none is malformed");
    let many: Vec<(String, &str)> = (0..20).map(|number| (format!("x-{number}"), "1")).collect();
    let mut fields = vec![get[0], get[1], (":authority", "a")];
    fields.extend(many.iter().map(|(name, value)| (name.as_str(), *value)));
    client.head(7, END_STREAM, &fields);
    let (_, problem) = client.answer(7);
    assert!(String::from_utf8_lossy(&problem).contains("\"status\":431"), "{}", String::from_utf8_lossy(&problem));
    assert_eq!(endpoint.requests(), 0);
    client.get(9, "/a");
    assert_eq!(client.answer(9).0, "200", "the connection serves on");
}

#[test]
fn a_stream_that_the_client_resets_ends_its_call() {
    let (closed, ends) = mpsc::channel();
    let endpoint = Endpoint::start(move |mut connection| {
        connection.request();
        connection.wait_closed();
        closed.send(()).unwrap();
    });
    let door = door(&endpoint);
    let mut client = Client::begin(&door);
    client.get(1, "/a");
    until("the endpoint has the request", || endpoint.requests() == 1);
    client.send(RST_STREAM, 0, 1, &CANCEL.to_be_bytes());
    ends.recv_timeout(PATIENCE).expect("the endpoint sees the end");
    client.get(3, "/fixed");
    assert_eq!(client.answer(3).1, b"fixed");
}

#[test]
fn a_body_beyond_its_bound_is_refused_and_a_short_one_never_looks_whole() {
    let endpoint = Endpoint::start(|mut connection| {
        connection.request();
        connection.wait_closed();
    });
    let mut settings = snapshot(endpoint.address);
    settings["listeners"]["public"]["http2"] = json!({"enabled": true, "h2c": true, "max_streams": 8});
    settings["routes"]["all"]["policies"] = json!({"limits": {"body_bytes": 1000, "request_ms": null}});
    let door = Door::open(settings);
    let mut client = Client::begin(&door);
    let post = [(":method", "POST"), (":path", "/up"), (":authority", "a")];
    client.head(1, 0, &post);
    client.send(DATA, 0, 1, &[b'x'; 900]);
    client.send(DATA, 0, 1, &[b'x'; 900]);
    let (_, problem) = client.answer(1);
    assert!(String::from_utf8_lossy(&problem).contains("body-too-large"), "{}", String::from_utf8_lossy(&problem));
    client.head(3, 0, &[post[0], post[1], post[2], ("content-length", "10")]);
    client.send(DATA, END_STREAM, 3, b"short");
    assert_eq!(client.wait(|frame| frame.stream == 3).kind, RST_STREAM);
}

#[test]
fn a_drain_lets_streams_finish_and_takes_no_more() {
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let endpoint = Endpoint::start(move |mut connection| {
        connection.request();
        held.lock().unwrap().recv().unwrap();
        connection.send(OK);
    });
    let door = door(&endpoint);
    let mut client = Client::begin(&door);
    client.get(1, "/a");
    until("the endpoint has the request", || endpoint.requests() == 1);
    std::thread::scope(|scope| {
        let drained = scope.spawn(|| door.server.drain(Duration::from_secs(20)));
        assert_eq!(client.farewell(), 0);
        release.send(()).unwrap();
        assert_eq!(client.answer(1).1, b"ok");
        assert!(drained.join().unwrap());
    });
    while client.next().is_some() {}
}

/// Sends until the gateway has had enough, and says why it had.
fn flood(door: &Door, mut send: impl FnMut(&mut Client, u32) -> bool) -> u32 {
    let mut client = Client::begin(door);
    for number in 0..20_000 {
        if !send(&mut client, 2 * number + 1) {
            break;
        }
    }
    client.farewell()
}

#[test]
fn a_client_that_floods_is_told_to_calm_down_and_others_are_served() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint);
    let mut other = Client::begin(&door);
    type Flood<'a> = (&'a str, &'a dyn Fn(&mut Client, u32) -> bool);
    let floods: [Flood<'_>; 6] = [
        ("ping", &|client, _| client.send(PING, 0, 0, &[0; 8])),
        ("settings", &|client, _| client.send(SETTINGS, 0, 0, &[])),
        ("priority", &|client, stream| client.send(PRIORITY, 0, stream, &[0, 0, 0, 0, 1])),
        ("rapid reset", &|client, stream| {
            client.get(stream, "/fixed");
            client.send(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
        }),
        ("empty data", &|client, stream| {
            if stream == 1 {
                client.head(1, 0, &[(":method", "POST"), (":path", "/up"), (":authority", "a")]);
            }
            client.send(DATA, 0, 1, &[])
        }),
        ("continuation", &|client, stream| match stream {
            1 => client.send(HEADERS, 0, 1, &field(":method", "GET")),
            _ => client.send(CONTINUATION, 0, 1, &field("x-more", "of the same")),
        }),
    ];
    for (number, (name, send)) in (0u32..).zip(floods) {
        let reason = flood(&door, send);
        assert!(reason == ENHANCE_YOUR_CALM || (name == "continuation" && reason != 0), "{name}: {reason}");
        other.get(2 * number + 1, "/fixed");
        assert_eq!(other.answer(2 * number + 1).1, b"fixed", "after {name}");
    }
}
