//! Calls of gRPC through the front door: statuses of the gateway's own, deadlines, and gRPC-Web.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use crate::endpoint::{nobody, Connection, Endpoint};
use crate::frames;
use crate::frames::*;
use serde_json::{json, Value};
use stagedoor_dataplane::server::Server;

struct Gateway {
    server: Server,
    address: SocketAddr,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.stop();
    }
}

fn gateway(endpoint: SocketAddr) -> Gateway {
    let route = |path: &str, policies: Value, target: Value| {
        json!({
            "match": {"hosts": [], "path": path, "methods": [], "headers": {}, "query": {}},
            "priority": 0, "policies": policies, "target": target,
        })
    };
    let shop = json!({"cluster": {"cluster": "shop", "path": null}});
    let key = json!({"authenticate": {"any": [{"api_key": {"header": "x-api-key", "query": null}}]}});
    let once = json!({"rate_limit": [{"id": "once", "limit": 1, "per_ms": 3_600_000, "burst": 1, "by": "route"}]});
    let small = json!({"limits": {"body_bytes": 5, "request_ms": null}});
    let snapshot = json!({
        "workers": 1,
        "listeners": {"public": {
            "bind": "127.0.0.1:0", "trusted_proxies": [],
            "limits": {"head_bytes": 16384, "uri_bytes": 8192, "header_count": 100, "connections": 100,
                "head_read_ms": 10000, "idle_ms": 60000, "body_idle_ms": 10000, "half_close_ms": 1000},
        }},
        "consumers": {},
        "clusters": {"shop": {
            "endpoints": [{"authority": endpoint.to_string(), "weight": 1}], "protocol": "h2c",
            "balance": "round_robin", "connect_ms": 1000, "request_ms": 10_000,
            "retry": {"attempts": 0, "connect_failure": true, "statuses": [], "budget_percent": 20},
            "ejection": {"failures": 0, "base_ms": 60000, "max_ms": 60000},
            "pool": {"idle": 8, "idle_ms": 60000, "connections": 8},
        }},
        "routes": {
            "plain": route("/shop.Stock/{method}", json!({}), shop.clone()),
            "web": route("/web.Stock/{method}", json!({"grpc_web": {}}), shop.clone()),
            "mine": route("/mine.Stock/{method}", key, shop.clone()),
            "once": route("/once.Stock/{method}", once, json!({"response": {"status": 503, "headers": {}, "body": ""}})),
            "small": route("/small.Stock/{method}", small, shop),
        },
    });
    let server = Server::start(&serde_json::from_value(snapshot).unwrap()).unwrap();
    let address = *server.addresses().get("public").unwrap();
    Gateway { server, address }
}

/// An answer as it came: head, content out of its chunks, and what comes after them.
#[derive(Debug)]
struct Reply {
    head: String,
    content: Vec<u8>,
    trailers: String,
}

impl Gateway {
    /// Sends these fields and this content to the path, and reads until the gateway closes.
    fn call(&self, path: &str, fields: &str, content: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nContent-Length: {}\r\n{fields}\r\n",
            content.len()
        );
        stream.write_all(&[head.as_bytes(), content].concat()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut bytes = Vec::new();
        let _reset = stream.read_to_end(&mut bytes);
        parse(&bytes)
    }

    /// As gRPC: HTTP status, `grpc-status` and `grpc-message`, wherever they are.
    fn status(&self, path: &str, fields: &str) -> (String, String, String) {
        let reply = self.call(path, &format!("Content-Type: application/grpc\r\n{fields}"), b"\0\0\0\0\x01m");
        let all = format!("{}{}", reply.head, reply.trailers);
        let status = all.split(' ').nth(1).unwrap().to_owned();
        (status, field(&all, "grpc-status"), field(&all, "grpc-message"))
    }
}

fn field(head: &str, name: &str) -> String {
    let line = head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    });
    line.unwrap_or_default()
}

fn parse(bytes: &[u8]) -> Reply {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head") + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut rest = &bytes[end..];
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return Reply { head, content: rest.to_vec(), trailers: String::new() };
    }
    let mut content = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        rest = &rest[line + 2..];
        if size == 0 {
            break;
        }
        content.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
    Reply { head, content, trailers: String::from_utf8_lossy(rest).into_owned() }
}

/// Reads one request: its stream and whether it had `text` in its head.
fn answering(script: impl Fn(&mut Frames, u32) + Send + Sync + 'static) -> Endpoint {
    Endpoint::start(move |connection: Connection| {
        let mut frames = Frames::begin(connection, &[]);
        while let Some(head) = frames.wait(HEADERS) {
            script(&mut frames, head.stream);
        }
    })
}

fn grpc_head() -> Vec<u8> {
    [OK, &frames::field("content-type", "application/grpc")].concat()
}

const MESSAGE: &[u8] = b"\0\0\0\0\x05hello";

#[test]
fn what_the_gateway_has_to_say_is_a_grpc_status() {
    let gateway = gateway(nobody());
    let table = [
        ("/shop.Stock/Get", "", "14"),
        ("/no.Such/Get", "", "12"),
        ("/mine.Stock/Get", "", "16"),
        ("/once.Stock/Get", "", "14"),
        ("/once.Stock/Get", "", "8"),
        ("/small.Stock/Get", "", "8"),
        ("/shop.Stock/Get", "grpc-timeout: soon\r\n", "13"),
    ];
    for (path, fields, expected) in table {
        let (status, code, message) = gateway.status(path, fields);
        assert_eq!((status.as_str(), code.as_str()), ("200", expected), "{path} {fields}");
        assert!(!message.is_empty(), "{path} has no message");
    }
    let refused = gateway.call("/mine.Stock/Get", "Content-Type: application/grpc\r\n", b"");
    assert_eq!(field(&refused.head, "content-type"), "application/grpc");
    assert_eq!(refused.content, b"");
    assert!(!field(&refused.head, "www-authenticate").is_empty(), "what the standard asks for is metadata");
    let other = gateway.call("/mine.Stock/Get", "Content-Type: application/json\r\n", b"{}");
    assert!(other.head.starts_with("HTTP/1.1 401"));
}

#[test]
fn an_answer_that_is_not_grpc_has_the_status_that_its_http_status_stands_for() {
    for (http, expected) in [("400", "13"), ("404", "12"), ("429", "14"), ("503", "14"), ("500", "2"), ("200", "2")] {
        let endpoint = answering(move |frames, stream| {
            let head = [frames::field(":status", http), frames::field("content-type", "text/html")].concat();
            frames.send(HEADERS, END_HEADERS, stream, &head);
            frames.send(DATA, END_STREAM, stream, b"<h1>no</h1>");
        });
        let (status, code, message) = gateway(endpoint.address).status("/shop.Stock/Get", "");
        assert_eq!((status.as_str(), code.as_str()), ("200", expected), "{http}");
        assert!(message.contains(http), "{message}");
    }
}

#[test]
fn a_call_passes_with_its_trailers_and_a_status_of_the_service_stays() {
    let endpoint = answering(|frames, stream| {
        frames.send(HEADERS, END_HEADERS, stream, &grpc_head());
        frames.send(DATA, 0, stream, MESSAGE);
        let end = [frames::field("grpc-status", "9"), frames::field("grpc-message", "not yet")].concat();
        frames.send(HEADERS, END_HEADERS | END_STREAM, stream, &end);
    });
    let gateway = gateway(endpoint.address);
    let fields = "Content-Type: application/grpc\r\nTE: trailers\r\n";
    let reply = gateway.call("/shop.Stock/Get", fields, MESSAGE);
    assert_eq!(reply.content, MESSAGE);
    assert_eq!(
        (field(&reply.trailers, "grpc-status"), field(&reply.trailers, "grpc-message")),
        ("9".into(), "not yet".into())
    );
}

#[test]
fn the_time_that_a_client_allows_ends_the_call_also_in_the_middle_of_its_answer() {
    for begun in [false, true] {
        let (seen, resets) = mpsc::channel();
        let endpoint = answering(move |frames, stream| {
            if begun {
                frames.send(HEADERS, END_HEADERS, stream, &grpc_head());
                frames.send(DATA, 0, stream, MESSAGE);
            }
            seen.send(frames.wait(RST_STREAM).map(|reset| reset.payload)).unwrap();
        });
        let (status, code, _) =
            gateway(endpoint.address).status("/shop.Stock/Get", "grpc-timeout: 200m\r\nTE: trailers\r\n");
        assert_eq!((status.as_str(), code.as_str()), ("200", "4"), "begun: {begun}");
        let reset = resets.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(reset.unwrap(), CANCEL.to_be_bytes());
    }
}

#[test]
fn an_answer_that_breaks_off_ends_in_a_status() {
    let endpoint = answering(|frames, stream| {
        frames.send(HEADERS, END_HEADERS, stream, &grpc_head());
        frames.send(DATA, 0, stream, MESSAGE);
        frames.reset(stream, INTERNAL_ERROR);
    });
    let gateway = gateway(endpoint.address);
    let (_, code, message) = gateway.status("/shop.Stock/Get", "TE: trailers\r\n");
    assert_eq!((code.as_str(), message.as_str()), ("14", "the service's response broke off"));
    let web = gateway.call("/web.Stock/Get", "Content-Type: application/grpc-web\r\n", MESSAGE);
    assert!(web.content.starts_with(MESSAGE));
    assert!(String::from_utf8_lossy(&web.content).contains("grpc-status: 14\r\n"), "{web:?}");
}

#[test]
fn grpc_web_reaches_the_service_as_grpc_and_its_trailers_end_the_body() {
    let (seen, contents) = mpsc::channel();
    let endpoint = answering(move |frames, stream| {
        let mut content = Vec::new();
        loop {
            let frame = frames.wait(DATA).unwrap();
            content.extend_from_slice(&frame.payload);
            if frame.flags & END_STREAM != 0 {
                break;
            }
        }
        seen.send(content).unwrap();
        frames.send(HEADERS, END_HEADERS, stream, &grpc_head());
        frames.send(DATA, 0, stream, MESSAGE);
        frames.send(HEADERS, END_HEADERS | END_STREAM, stream, &frames::field("grpc-status", "0"));
    });
    let gateway = gateway(endpoint.address);
    let reply = gateway.call("/web.Stock/Get", "Content-Type: application/grpc-web+proto\r\n", MESSAGE);
    assert_eq!(contents.recv().unwrap(), MESSAGE);
    assert_eq!(field(&reply.head, "content-type"), "application/grpc-web");
    assert_eq!(reply.content, [MESSAGE, b"\x80\0\0\0\x10grpc-status: 0\r\n"].concat());
    assert_eq!(reply.trailers.trim(), "");
    let text = gateway.call("/web.Stock/Get", "Content-Type: application/grpc-web-text\r\n", b"AAAAAAVoZWxsbw==");
    assert_eq!(contents.recv().unwrap(), MESSAGE);
    assert_eq!(text.content, b"AAAAAAVoZWxsbw==gAAAABBncnBjLXN0YXR1czogMA0K");
    let wrong = gateway.call("/web.Stock/Get", "Content-Type: application/grpc-web-text\r\n", b"!");
    assert_eq!(field(&wrong.head, "content-type"), "application/grpc-web-text+proto");
}

#[test]
fn a_client_of_grpc_web_finds_the_gateways_errors_in_the_body() {
    let gateway = gateway(nobody());
    let reply = gateway.call("/no.Such/Get", "Content-Type: application/grpc-web\r\n", MESSAGE);
    assert!(reply.head.starts_with("HTTP/1.1 200"));
    assert_eq!(reply.content[0], 0x80);
    assert!(String::from_utf8_lossy(&reply.content).contains("grpc-status: 12\r\n"));
}
