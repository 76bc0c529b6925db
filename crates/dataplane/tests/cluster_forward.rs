//! From a client's bytes to an endpoint's and back, through the front door.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::endpoint::{nobody, Endpoint, OK};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use stagedoor_dataplane::server::Server;

const KEY: &str = "the-key-of-web";

struct Gateway {
    server: Server,
    address: SocketAddr,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.stop();
    }
}

fn gateway(endpoints: &[SocketAddr], trusted: &[&str]) -> Gateway {
    let endpoints: Vec<Value> =
        endpoints.iter().map(|address| json!({"authority": address.to_string(), "weight": 1})).collect();
    let digest: String = Sha256::digest(KEY).iter().map(|byte| format!("{byte:02x}")).collect();
    let route = |path: &str, policies: Value, target: Option<&str>| {
        json!({
            "match": {"hosts": [], "path": path, "methods": [], "headers": {}, "query": {}},
            "priority": 0, "policies": policies,
            "target": {"cluster": {"cluster": "shop", "path": target}},
        })
    };
    let key = json!({"authenticate": {"any": [{"api_key": {"header": "x-api-key", "query": null}}]}});
    let id = json!({
        "request_id": {"header": "x-request-id", "accept": true},
        "headers": {"request": {"set": {"x-tenant": "gold"}}},
    });
    let snapshot = json!({
        "workers": 1,
        "listeners": {"public": {
            "bind": "127.0.0.1:0", "trusted_proxies": trusted,
            "limits": {"head_bytes": 16384, "uri_bytes": 8192, "header_count": 100, "connections": 100,
                "head_read_ms": 10000, "idle_ms": 60000, "body_idle_ms": 10000, "half_close_ms": 1000},
        }},
        "consumers": {"web": {"api_key_sha256": [digest], "groups": ["storefront", "eu"]}},
        "clusters": {"shop": {
            "endpoints": endpoints, "balance": "round_robin", "connect_ms": 1000, "request_ms": 2000,
            "retry": {"attempts": 0, "connect_failure": true, "statuses": [], "budget_percent": 20},
            "ejection": {"failures": 2, "base_ms": 60000, "max_ms": 60000, "keep": 0},
            "pool": {"idle": 8, "idle_ms": 60000, "connections": 8},
        }},
        "routes": {
            "all": route("/{rest...}", id, None),
            "item": route("/v1/items/{id}", json!({}), Some("/items/{id}")),
            "pair": route("/pair/{a}/{b}", json!({}), Some("/pairs/{a}{b}/x")),
            "mine": route("/mine", key, None),
        },
    });
    let server = Server::start(&serde_json::from_value(snapshot).unwrap()).unwrap();
    let address = *server.addresses().get("public").unwrap();
    Gateway { server, address }
}

impl Gateway {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Sends these bytes and reads until the gateway closes.
    fn ask(&self, bytes: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_bytes()).unwrap();
        rest(&mut stream)
    }
}

fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// Reads until what has come holds this text.
fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(text) {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => seen.extend_from_slice(&buffer[..count]),
            end => panic!("{end:?} before `{text}` in: {}", String::from_utf8_lossy(&seen)),
        }
    }
    String::from_utf8(seen).unwrap()
}

fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn fields(text: &str) -> Vec<String> {
    let head = text.split("\r\n\r\n").next().unwrap();
    let mut fields: Vec<String> = head
        .lines()
        .skip(1)
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            format!("{}: {}", name.to_ascii_lowercase(), value.trim())
        })
        .collect();
    fields.sort();
    fields
}

#[test]
fn the_endpoint_sees_the_request_without_what_was_for_the_gateway_alone() {
    let server = Endpoint::answering(OK);
    let gateway = gateway(&[server.address], &[]);
    let answer = gateway.ask(
        "GET /a/../b/%7eme?q=%2F&x HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nX-Request-Id: req-1\r\n\
         Connection: close, x-request-id, x-tenant, x-hop\r\nX-Hop: 1\r\nTE: gzip, trailers\r\nKeep-Alive: x\r\n\
         Proxy-Authorization: Basic x\r\nX-Consumer-ID: root\r\nX_Consumer_Groups: admins\r\nx-stagedoor-admin: 1\r\n\
         X-Forwarded-For: 198.51.100.1\r\nForwarded: for=198.51.100.1\r\nUpgrade: websocket\r\n\
         traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
    let text = server.text();
    assert!(text.starts_with("GET /b/~me?q=%2F&x HTTP/1.1\r\n"), "{text}");
    let mut seen = fields(&text);
    // Named by the client's own Connection, so it was removed before the policy made a new one.
    let id = seen.iter().position(|field| field.starts_with("x-request-id: ")).unwrap();
    assert_ne!(seen.remove(id), "x-request-id: req-1");
    let expected = [
        "accept: */*",
        "connection: te",
        "host: shop.example",
        "te: trailers",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "via: 1.1 stagedoor",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: shop.example",
        "x-forwarded-proto: http",
        "x-tenant: gold",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_trusted_proxy_is_believed_and_a_consumer_made_known() {
    let server = Endpoint::answering(OK);
    let gateway = gateway(&[server.address], &["127.0.0.0/8"]);
    gateway.ask(&format!(
        "GET /mine HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Api-Key: {KEY}\r\nX-Consumer-ID: root\r\n\
         X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n\r\n"
    ));
    let seen = fields(&server.text());
    for field in [
        "x-consumer-id: web",
        "x-consumer-groups: storefront,eu",
        "x-forwarded-for: 198.51.100.1, 127.0.0.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: shop.example",
    ] {
        assert!(seen.iter().any(|line| line == field), "{field} is not in {seen:?}");
    }
    assert!(!server.text().contains(KEY) && !server.text().contains("root"));
}

#[test]
fn a_value_in_a_path_template_stays_in_its_segment() {
    let server = Endpoint::answering(OK);
    let gateway = gateway(&[server.address], &[]);
    for (asked, sent) in [
        ("/v1/items/a%2Fb?x=1", "/items/a%2Fb?x=1"),
        ("/v1/items/%2e%2e%2Fadmin", "/items/..%2Fadmin"),
        ("/v1/items/a%20b%3Fc", "/items/a%20b%3Fc"),
        ("/pair/a/b", "/pairs/ab/x"),
        ("/pair/.%2e/b", "/b"),
        ("//double", "//double"),
    ] {
        let before = server.text().len();
        gateway.ask(&format!("GET {asked} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
        let seen = server.text().split_off(before);
        assert!(seen.starts_with(&format!("GET {sent} HTTP/1.1\r\n")), "{asked}: {seen}");
    }
}

#[test]
fn the_endpoint_never_sees_more_requests_than_the_client_framed() {
    const INNER: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    let length = INNER.len();
    for (what, head, body, framed) in [
        ("a body that looks like a request", format!("Content-Length: {length}\r\n"), INNER.to_owned(), 1),
        (
            "a chunk that looks like a request",
            "Transfer-Encoding: chunked\r\n".to_owned(),
            format!("{length:x}\r\n{INNER}\r\n0\r\n\r\n"),
            1,
        ),
        (
            "both framings",
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n".to_owned(),
            format!("0\r\n\r\n{INNER}"),
            0,
        ),
        ("two lengths", "Content-Length: 0\r\nContent-Length: 5\r\n".to_owned(), INNER.to_owned(), 0),
        ("a coding that hides", "Transfer-Encoding: \u{b}chunked\r\n".to_owned(), format!("0\r\n\r\n{INNER}"), 0),
        ("no body and a rest", "Connection: close\r\n".to_owned(), INNER.to_owned(), 1),
    ] {
        let server = Endpoint::answering(OK);
        let gateway = gateway(&[server.address], &[]);
        let mut stream = gateway.connect();
        stream.write_all(format!("POST / HTTP/1.1\r\nHost: h\r\n{head}\r\n{body}").as_bytes()).unwrap();
        let _ = stream.shutdown(Shutdown::Write);
        rest(&mut stream);
        let heads = server.received.lock().unwrap().iter().filter(|bytes| !bytes.is_empty()).count();
        let text = server.text();
        let lines =
            text.lines().filter(|line| line.ends_with(" HTTP/1.1") && !line.starts_with("GET /smuggled")).count();
        assert_eq!(lines, framed, "{what}: {text}");
        assert!(heads <= 1, "{what}");
    }
}

#[test]
fn failures_of_the_cluster_are_problems_with_the_right_status() {
    let refused = gateway(&[nobody()], &[]);
    let ask = |gateway: &Gateway| gateway.ask("GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    for _ in 0..2 {
        let answer = ask(&refused);
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("endpoint-unreachable"), "{answer}");
        assert!(!answer.contains("127.0.0.1"), "no internal addresses");
    }
    let answer = ask(&refused);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("cluster-unavailable"), "{answer}");
    assert!(fields(&answer).iter().any(|field| field.starts_with("retry-after: ")), "{answer}");
    let silent = Endpoint::start(|connection| connection.wait_closed());
    let answer = ask(&gateway(&[silent.address], &[]));
    assert!(answer.starts_with("HTTP/1.1 504 ") && answer.contains("deadline-exceeded"), "{answer}");
    let nonsense = Endpoint::answering(b"nonsense\r\n\r\n");
    let answer = ask(&gateway(&[nonsense.address], &[]));
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("bad-reply"), "{answer}");
}

#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_client_too() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf-"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf-\r\n",
    ] {
        let server = Endpoint::start(move |mut connection| {
            connection.request();
            connection.send(answer);
        });
        let gateway = gateway(&[server.address], &[]);
        let seen = gateway.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(seen.contains("half-"), "{seen}");
        let clean = seen.contains("\r\n0\r\n")
            || !seen.to_ascii_lowercase().contains("content-length: 10")
                && !seen.to_ascii_lowercase().contains("chunked");
        assert!(!clean, "{seen}");
    }
}

#[test]
fn a_client_that_goes_away_ends_the_call_to_the_endpoint() {
    let (closed, ends) = mpsc::channel();
    let server = Endpoint::start(move |mut connection| {
        connection.request();
        connection.wait_closed();
        closed.send(()).unwrap();
    });
    let gateway = gateway(&[server.address], &[]);
    let mut stream = gateway.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    wait("the endpoint has the request", || server.requests() == 1);
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    ends.recv_timeout(Duration::from_secs(1)).expect("the endpoint sees the end before the deadline");
}

#[test]
fn a_client_that_does_not_read_cannot_hold_an_endpoint_beyond_the_deadline() {
    let (closed, ends) = mpsc::channel();
    let server = Endpoint::start(move |mut connection| {
        connection.request();
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        while connection.send(&[b'x'; 100_000]) {}
        closed.send(()).unwrap();
    });
    let gateway = gateway(&[server.address], &[]);
    let mut stream = gateway.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    ends.recv_timeout(Duration::from_secs(10)).expect("the endpoint's connection ends");
    drop(stream);
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_uploading() {
    let server = Endpoint::start(|mut connection| {
        connection.head();
        connection.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    });
    let gateway = gateway(&[server.address], &[]);
    let mut stream = gateway.connect();
    stream.write_all(b"POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n").unwrap();
    let mut upload = stream.try_clone().unwrap();
    let uploading = std::thread::spawn(move || while upload.write_all(&[b'x'; 10_000]).is_ok() {});
    let seen = read_until(&mut stream, "\r\n\r\nbig");
    assert!(seen.starts_with("HTTP/1.1 413 "), "{seen}");
    uploading.join().unwrap();
}

#[test]
fn expectations_interim_answers_and_trailers_go_through() {
    let server = Endpoint::start(|mut connection| {
        connection.head();
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n");
        while !connection.received_text().ends_with("0\r\nsum: 1\r\n\r\n") && connection.read() {}
        connection.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: check\r\n\r\n2\r\nok\r\n0\r\ncheck: 2\r\n\r\n",
        );
        connection.close();
    });
    let gateway = gateway(&[server.address], &[]);
    let mut stream = gateway.connect();
    stream
        .write_all(
            b"POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: close, te\r\nTransfer-Encoding: chunked\r\n\
              Trailer: sum\r\nExpect: 100-continue\r\n\r\n",
        )
        .unwrap();
    let interim = read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(interim.starts_with("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n"), "{interim}");
    assert!(!server.text().contains("4\r\nbody"));
    stream.write_all(b"4\r\nbody\r\n0\r\nsum: 1\r\n\r\n").unwrap();
    let answer = rest(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("2\r\nok\r\n0\r\ncheck: 2\r\n\r\n"), "{answer}");
}

#[test]
fn a_head_answer_keeps_its_length_and_has_no_content() {
    let server = Endpoint::start(|mut connection| {
        while let Some((head, _)) = connection.request() {
            let content = if head.starts_with("HEAD") { "" } else { "0123456789" };
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{content}").as_bytes());
        }
    });
    let gateway = gateway(&[server.address], &[]);
    let answer =
        gateway.ask("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.to_ascii_lowercase().matches("content-length: 10\r\n").count(), 2, "{answer}");
    assert_eq!(answer.matches("0123456789").count(), 1);
    assert_eq!(server.connections(), 1);
}
