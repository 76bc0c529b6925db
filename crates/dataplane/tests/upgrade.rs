//! Connections that go over to another protocol: what is asked of them before, what goes through, and how they end.

use std::net::Shutdown;
use std::sync::mpsc;
use std::time::Duration;

use crate::door::{self, until, Client, Door, End};
use crate::endpoint::{Connection, Endpoint, OK};
use serde_json::{json, Value};

const ASK: &[u8] = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Everything goes to the endpoint, under this policy; `/guarded` wants a key.
fn door(endpoint: &Endpoint, policy: Value) -> Door {
    let mut snapshot = door::snapshot(endpoint.address);
    let mut upgrade =
        json!({"protocols": ["websocket", "chat/2"], "idle_ms": 60_000, "drain_ms": 60_000, "connections": 10});
    upgrade.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    for route in ["all", "guarded", "fixed"] {
        snapshot["routes"][route]["policies"]["upgrade"] = upgrade.clone();
    }
    Door::open(snapshot)
}

/// Reads a head that has no content.
fn head(client: &mut Client) -> String {
    until("a head has come", || {
        client.unread.windows(4).any(|end| end == b"\r\n\r\n") || {
            client.read().unwrap();
            false
        }
    });
    let end = client.unread.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    String::from_utf8(client.unread.drain(..end).collect()).unwrap()
}

fn read_exactly(client: &mut Client, count: usize) -> Vec<u8> {
    while client.unread.len() < count {
        client.read().unwrap();
    }
    client.unread.drain(..count).collect()
}

/// An endpoint that switches and then does as told.
fn switching(after: impl Fn(Connection) + Send + Sync + 'static) -> Endpoint {
    Endpoint::start(move |mut connection| {
        if connection.head().is_some() && connection.send(SWITCHED) {
            after(connection);
        }
    })
}

/// Sends back whatever comes, and closes when nothing more does.
fn echoing() -> Endpoint {
    use std::io::{Read, Write};
    switching(|mut connection| {
        let mut buffer = [0; 65536];
        while let Ok(count @ 1..) = connection.stream.read(&mut buffer) {
            if connection.stream.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    })
}

fn open(door: &Door) -> Client {
    let mut client = door.client();
    client.send(ASK);
    assert!(head(&mut client).starts_with("HTTP/1.1 101 "));
    client
}

fn tunnels(door: &Door) -> u64 {
    let metrics = door.server.metrics();
    let line = metrics.lines().find(|line| line.starts_with("stagedoor_tunnels{route=\"all\"}"));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

#[test]
fn the_handshake_reaches_the_endpoint_and_its_answer_the_client() {
    let endpoint = echoing();
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    client.send(ASK);
    let answer = head(&mut client).to_ascii_lowercase();
    for line in ["connection: upgrade", "upgrade: websocket", "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="] {
        assert_eq!(answer.matches(line).count(), 1, "{line} in {answer}");
    }
    assert!(!answer.contains("content-length") && !answer.contains("transfer-encoding"), "{answer}");
    let asked = endpoint.text().to_ascii_lowercase();
    for line in ["connection: upgrade\r\n", "upgrade: websocket\r\n", "sec-websocket-key: dghlihnhbxbszsbub25jzq==\r\n"]
    {
        assert_eq!(asked.matches(line).count(), 1, "{line:?} in {asked}");
    }
    client.send(b"\x81\x02hi");
    assert_eq!(read_exactly(&mut client, 4), b"\x81\x02hi");
    client.shut();
    assert!(client.is_closed());
}

#[test]
fn without_the_policy_the_request_is_a_plain_one() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::before(endpoint.address);
    assert_eq!(door.client().ask(ASK).content, b"ok");
    let asked = endpoint.text().to_ascii_lowercase();
    assert!(!asked.contains("upgrade"), "{asked}");
}

#[test]
fn what_does_not_ask_properly_is_a_plain_request() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint, json!({}));
    let asks: [&[u8]; 7] = [
        // Not said to be for this connection.
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade:\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
    ];
    for ask in asks {
        assert_eq!(door.client().ask(ask).content, b"ok", "{}", String::from_utf8_lossy(ask));
    }
    let asked = endpoint.text().to_ascii_lowercase();
    assert!(!asked.contains("upgrade"), "{asked}");
    assert_eq!(tunnels(&door), 0);
}

#[test]
fn of_several_protocols_only_the_first_that_is_allowed_is_asked_for() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint, json!({}));
    let ask = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c, Chat/2\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(door.client().ask(ask).content, b"ok");
    let asked = endpoint.text().to_ascii_lowercase();
    assert!(asked.contains("\r\nupgrade: chat/2\r\n") && asked.matches("upgrade:").count() == 1, "{asked}");
}

#[test]
fn policies_see_the_handshake() {
    let endpoint = echoing();
    let door = door(&endpoint, json!({}));
    let ask = String::from_utf8_lossy(ASK).replace("/chat", "/guarded");
    assert_eq!(door.client().ask(ask.as_bytes()).status(), 401);
    assert_eq!(endpoint.connections(), 0);
}

#[test]
fn a_target_that_is_no_cluster_answers_as_ever() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint, json!({}));
    let ask = String::from_utf8_lossy(ASK).replace("/chat", "/fixed");
    assert_eq!(door.client().ask(ask.as_bytes()).content, b"fixed");
}

#[test]
fn another_answer_than_101_is_an_answer_like_any_other() {
    let endpoint =
        Endpoint::answering(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: chat/3\r\nContent-Length: 2\r\n\r\nno");
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    for _ in 0..2 {
        let answer = client.ask(ASK);
        assert_eq!((answer.status(), answer.content.as_slice()), (426, &b"no"[..]));
    }
    assert_eq!((endpoint.connections(), tunnels(&door)), (1, 0));
}

#[test]
fn a_101_that_nobody_asked_for_or_for_something_else_is_502() {
    let wrong: [&'static [u8]; 4] = [
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat/2\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket, chat/2\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat/2\r\nUpgrade: websocket\r\n\r\n",
    ];
    for answer in wrong {
        let endpoint = Endpoint::answering(answer);
        let door = door(&endpoint, json!({}));
        let mut client = door.client();
        assert_eq!(client.ask(ASK).status(), 502, "{}", String::from_utf8_lossy(answer));
        assert_eq!(client.ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 502);
        assert_eq!((endpoint.connections(), tunnels(&door)), (2, 0), "such a connection is never used again");
    }
}

#[test]
fn what_the_client_sends_ahead_waits_for_the_101() {
    let (go, hold) = mpsc::channel::<()>();
    let hold = std::sync::Mutex::new(hold);
    let endpoint = Endpoint::start(move |mut connection| {
        connection.head();
        let _gone = hold.lock().unwrap().recv();
        assert!(connection.received_text().ends_with("\r\n\r\n"), "sent ahead");
        connection.send(&[SWITCHED, b"early answer"].concat());
        while connection.read() {}
        connection.send(b"!");
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    client.send(&[ASK, b"early"].concat());
    client.send(b" bird");
    until("the endpoint has the request", || endpoint.requests() == 1);
    go.send(()).unwrap();
    assert!(head(&mut client).starts_with("HTTP/1.1 101 "));
    assert_eq!(read_exactly(&mut client, 12), b"early answer");
    until("what was sent ahead has come", || endpoint.text().ends_with("early bird"));
    client.shut();
    assert_eq!(client.rest(), (b"!".to_vec(), End::Closed));
}

#[test]
fn what_was_sent_ahead_is_a_request_where_the_answer_is_not_101() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    client.send(&[ASK, b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    assert_eq!((client.answer().content, client.answer().content), (b"ok".to_vec(), b"ok".to_vec()));
    assert!(endpoint.text().contains("GET /next "));
}

#[test]
fn a_side_that_has_said_all_still_hears_the_other() {
    let endpoint = switching(|mut connection| {
        while connection.read() {}
        connection.send(b"heard all");
    });
    let door = door(&endpoint, json!({}));
    let mut client = open(&door);
    client.send(b"all");
    client.shut();
    assert_eq!(client.rest(), (b"heard all".to_vec(), End::Closed));

    let endpoint = switching(|mut connection| {
        connection.stream.shutdown(Shutdown::Write).unwrap();
        while connection.read() {}
    });
    let door = self::door(&endpoint, json!({}));
    let mut client = open(&door);
    assert_eq!(client.read(), Err(End::Closed));
    client.send(b"still here");
    until("it has come", || endpoint.text().ends_with("still here"));
    client.shut();
    until("the tunnel is over", || tunnels(&door) == 0);
}

#[test]
fn large_amounts_go_both_ways_at_once_and_wait_for_a_side_that_does_not_take_them() {
    let endpoint = echoing();
    let door = door(&endpoint, json!({}));
    let mut client = open(&door);
    let sent: Vec<u8> = (0..16 * 1024 * 1024u32).map(|number| (number % 251) as u8).collect();
    let mut sending = client.stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write;
            sending.write_all(&sent).unwrap();
            sending.shutdown(Shutdown::Write).unwrap();
        });
        let (back, end) = client.rest();
        assert!(back == sent && end == End::Closed);
    });
}

#[test]
fn a_side_that_does_not_read_stops_the_other_one() {
    use std::io::Write;
    let endpoint = switching(|connection| {
        // Reads nothing.
        let _held = connection;
        std::thread::park();
    });
    let door = door(&endpoint, json!({}));
    let mut client = open(&door);
    client.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let piece = vec![0; 64 * 1024];
    let mut taken = 0;
    // The system's own buffers are some megabytes.
    while client.stream.write_all(&piece).is_ok() {
        taken += piece.len();
        assert!(taken < 256 * 1024 * 1024, "the gateway takes in whatever comes");
    }
}

#[test]
fn a_client_that_breaks_off_takes_the_endpoints_connection_along() {
    let (ended, end) = mpsc::channel();
    let ended = std::sync::Mutex::new(ended);
    let endpoint = switching(move |connection| {
        connection.wait_closed();
        ended.lock().unwrap().send(()).unwrap();
    });
    let door = door(&endpoint, json!({}));
    let client = open(&door);
    socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    end.recv_timeout(door::PATIENCE).expect("the endpoint's connection is closed");
    until("the tunnel is over", || tunnels(&door) == 0);
}

#[test]
fn an_endpoint_that_breaks_off_is_passed_on_as_such() {
    let endpoint = switching(|mut connection| {
        connection.send(b"half a mess");
        while !connection.received_text().ends_with("go") && connection.read() {}
        connection.reset();
    });
    let door = door(&endpoint, json!({}));
    let mut client = open(&door);
    assert_eq!(read_exactly(&mut client, 11), b"half a mess");
    client.send(b"go");
    assert_eq!(client.rest(), (Vec::new(), End::Reset));
}

#[test]
fn a_tunnel_without_a_byte_is_closed_on_both_sides() {
    let (ended, end) = mpsc::channel();
    let ended = std::sync::Mutex::new(ended);
    let endpoint = switching(move |connection| {
        connection.wait_closed();
        ended.lock().unwrap().send(()).unwrap();
    });
    let door = door(&endpoint, json!({"idle_ms": 50}));
    let mut client = open(&door);
    assert!(client.is_closed());
    end.recv_timeout(door::PATIENCE).expect("the endpoint's connection is closed");
}

#[test]
fn the_time_for_an_exchange_is_for_the_handshake_alone() {
    let endpoint = echoing();
    let mut snapshot = door::snapshot(endpoint.address);
    snapshot["routes"]["all"]["policies"] = json!({
        "limits": {"body_bytes": 3, "request_ms": 100},
        "upgrade": {"protocols": ["websocket"], "idle_ms": 60_000, "drain_ms": 0, "connections": 10},
    });
    let door = Door::open(snapshot);
    let mut client = open(&door);
    let late = std::time::Instant::now() + Duration::from_millis(400);
    while std::time::Instant::now() < late {
        client.send(b"ping");
        assert_eq!(read_exactly(&mut client, 4), b"ping");
    }
    client.shut();
    assert!(client.is_closed());

    let silent = Endpoint::start(|connection| connection.wait_closed());
    let mut snapshot = door::snapshot(silent.address);
    snapshot["routes"]["all"]["policies"] = json!({
        "limits": {"body_bytes": 3, "request_ms": 100},
        "upgrade": {"protocols": ["websocket"], "idle_ms": 60_000, "drain_ms": 0, "connections": 10},
    });
    assert_eq!(Door::open(snapshot).client().ask(ASK).status(), 504);
}

#[test]
fn no_more_tunnels_are_open_than_the_route_allows() {
    let endpoint = echoing();
    let door = door(&endpoint, json!({"connections": 2}));
    let mut first = open(&door);
    let _second = open(&door);
    assert_eq!(tunnels(&door), 2);
    let mut third = door.client();
    assert_eq!(third.ask(ASK).status(), 503);
    first.shut();
    assert!(first.is_closed());
    until("the first is over", || tunnels(&door) == 1);
    third.send(ASK);
    assert!(head(&mut third).starts_with("HTTP/1.1 101 "));
}

#[test]
fn a_tunnel_takes_its_place_in_the_pool_and_its_connection_never_comes_back() {
    let endpoint = Endpoint::start(|mut connection| loop {
        let Some(head) = connection.head() else { return };
        if head.contains("pgrade") {
            connection.send(SWITCHED);
            return connection.wait_closed();
        }
        connection.send(OK);
    });
    let mut snapshot = door::snapshot(endpoint.address);
    snapshot["clusters"]["shop"]["pool"]["connections"] = json!(1);
    snapshot["clusters"]["shop"]["request_ms"] = json!(300);
    snapshot["routes"]["all"]["policies"]["upgrade"] =
        json!({"protocols": ["websocket"], "idle_ms": 60_000, "drain_ms": 0, "connections": 10});
    let door = Door::open(snapshot);
    let plain: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(door.client().ask(plain).content, b"ok");
    let client = open(&door);
    assert_eq!(endpoint.connections(), 1, "a connection that was kept may become a tunnel");
    assert_eq!(door.client().ask(plain).status(), 504, "there is no other place");
    client.shut();
    drop(client);
    until("the tunnel is over", || tunnels(&door) == 0);
    assert_eq!(door.client().ask(plain).content, b"ok");
    assert_eq!(endpoint.connections(), 2);
}

#[test]
fn a_drain_lets_tunnels_live_for_as_long_as_the_policy_says() {
    let endpoint = echoing();
    let door = door(&endpoint, json!({"drain_ms": 200}));
    let mut client = open(&door);
    std::thread::scope(|scope| {
        let draining = scope.spawn(|| door.server.drain(door::PATIENCE));
        until("the gateway drains", || std::net::TcpStream::connect(door.address).is_err());
        client.send(b"still");
        assert_eq!(read_exactly(&mut client, 5), b"still");
        assert!(client.is_closed());
        assert!(draining.join().unwrap());
    });
}

const GOING_AWAY: &[u8] = b"\x88\x02\x03\xe9";

/// Whether the client ends in 1001 and whether the endpoint does, when a drain of this time ends a tunnel in which either
/// side has said this.
fn told(drain: Duration, drain_ms: u64, said: &'static [u8], answered: &'static [u8], ask: &[u8]) -> (bool, bool) {
    let protocol = if ask == ASK { "websocket" } else { "chat/2" };
    let endpoint = Endpoint::start(move |mut connection| {
        connection.head();
        let switched = format!("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        connection.send(&[switched.as_bytes(), answered].concat());
        connection.wait_closed();
    });
    let door = door(&endpoint, json!({"drain_ms": drain_ms}));
    let mut client = door.client();
    client.send(ask);
    head(&mut client);
    client.send(said);
    assert_eq!(read_exactly(&mut client, answered.len()), answered);
    let sent = || {
        let all = endpoint.received.lock().unwrap()[0].clone();
        let end = all.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        all[end..].to_vec()
    };
    until("the endpoint has heard it", || sent() == said);
    let last = std::thread::scope(|scope| {
        let draining = scope.spawn(|| door.server.drain(drain));
        let (last, end) = client.rest();
        assert_eq!(end, End::Closed);
        client.shut();
        assert!(draining.join().unwrap(), "the tunnel has ended in time");
        last
    });
    let told = &sent()[said.len()..];
    let masked = matches!(told, [0x88, 0x82, a, b, _, _, c, d] if [a ^ c, b ^ d] == GOING_AWAY[2..]);
    assert!((last.is_empty() || last == GOING_AWAY) && (told.is_empty() || masked), "{last:x?} {told:x?}");
    (!last.is_empty(), masked)
}

/// What the client has said, and the endpoint, and whether each is told.
type Farewell = (&'static [u8], &'static [u8], (bool, bool));

#[test]
fn a_drain_ends_a_websocket_with_1001_where_a_frame_may_stand() {
    let cases: [Farewell; 6] = [
        (b"\x81\x82abcd\x09\x0b", b"\x81\x02hi", (true, true)),
        (b"", b"", (true, true)),
        (b"\x81\x82abcd\x09\x0b", b"\x81\x05hi", (false, true)),
        (b"\x81\x85abcd\x09", b"\x01\x02hi", (true, false)),
        (b"\x88\x82abcd\x62\x8b", b"\x88\x02\x03\xe8", (false, false)),
        (b"no frames", b"nor here", (false, false)),
    ];
    for (said, answered, expected) in cases {
        let got = told(door::PATIENCE, 0, said, answered, ASK);
        assert_eq!(got, expected, "{said:x?} {answered:x?}");
    }
    let other = String::from_utf8_lossy(ASK).replace("Upgrade: WebSocket", "Upgrade: chat/2");
    assert_eq!(told(door::PATIENCE, 0, b"", b"", other.as_bytes()), (false, false), "another protocol");
}

#[test]
fn a_shutdown_that_is_over_before_the_tunnels_time_says_1001_too() {
    assert_eq!(told(Duration::from_millis(800), 60_000, b"", b"\x81\x00", ASK), (true, true));
}

#[test]
fn a_tunnel_is_logged_once_when_it_is_over() {
    let log = std::env::temp_dir().join(format!("stagedoor-upgrade-{:032x}.log", fastrand::u128(..)));
    let endpoint = echoing();
    let mut snapshot = door::snapshot(endpoint.address);
    snapshot["routes"]["all"]["policies"] = json!({
        "access_log": {"path": log, "headers": []},
        "upgrade": {"protocols": ["websocket"], "idle_ms": 60_000, "drain_ms": 0, "connections": 10},
    });
    let door = Door::open(snapshot);
    let mut client = open(&door);
    client.send(b"12345");
    assert_eq!(read_exactly(&mut client, 5), b"12345");
    client.shut();
    assert!(client.is_closed());
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    until("the line is written", || read().ends_with('\n'));
    let lines: Vec<Value> = read().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let fields = ["status", "bytes_in", "bytes_out", "tunnel", "error"].map(|field| lines[0][field].clone());
    assert_eq!(fields, [json!(101), json!(5), json!(5), json!("finished"), json!(null)]);
    std::fs::remove_file(log).unwrap();
}
