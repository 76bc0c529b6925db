//! An answer that comes before its request's body has been read, and the connection after it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::endpoint::{Endpoint, OK};
use serde_json::json;
use stagedoor_dataplane::server::Server;

fn gateway(endpoint: &Endpoint) -> (Server, TcpStream) {
    let route = |path: &str, target| {
        json!({
            "match": {"hosts": [], "path": path, "methods": [], "headers": {}, "query": {}},
            "priority": 0, "policies": {}, "target": target,
        })
    };
    let snapshot = json!({
        "workers": 1,
        "listeners": {"public": {
            "bind": "127.0.0.1:0", "trusted_proxies": [],
            "limits": {"head_bytes": 16384, "uri_bytes": 8192, "header_count": 100, "connections": 100,
                "head_read_ms": 10000, "idle_ms": 60000, "body_idle_ms": 10000, "half_close_ms": 1000},
        }},
        "consumers": {},
        "clusters": {"shop": {
            "endpoints": [{"authority": endpoint.address.to_string(), "weight": 1}],
            "balance": "round_robin", "connect_ms": 1000, "request_ms": 10000,
            "retry": {"attempts": 0, "connect_failure": true, "statuses": [], "budget_percent": 20},
            "ejection": {"failures": 0, "base_ms": 60000, "max_ms": 60000},
            "pool": {"idle": 8, "idle_ms": 60000, "connections": 8},
        }},
        "routes": {
            "fixed": route("/fixed", json!({"response": {"status": 200, "headers": {}, "body": "fixed"}})),
            "all": route("/{rest...}", json!({"cluster": {"cluster": "shop", "path": null}})),
        },
    });
    let server = Server::start(&serde_json::from_value(snapshot).unwrap()).unwrap();
    let stream = TcpStream::connect(server.addresses()["public"]).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (server, stream)
}

/// Reads until what has come ends with `end`.
fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0; 1];
    while !text.ends_with(end.as_bytes()) {
        match stream.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            ended => panic!("{ended:?} after {:?}", String::from_utf8_lossy(&text)),
        }
    }
    String::from_utf8(text).unwrap()
}

fn ask_again(stream: &mut TcpStream) {
    stream.write_all(b"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(read_until(stream, "fixed").starts_with("HTTP/1.1 200"), "the connection serves on");
}

#[test]
fn a_body_that_comes_after_an_early_answer_does_not_cost_the_connection() {
    let endpoint = Endpoint::start(|mut connection| {
        while connection.head().is_some() {
            connection.send(OK);
        }
    });
    let (server, mut stream) = gateway(&endpoint);
    for _ in 0..20 {
        stream.write_all(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").unwrap();
        assert!(read_until(&mut stream, "ok").starts_with("HTTP/1.1 200"));
        stream.write_all(b"hello").unwrap();
        ask_again(&mut stream);
    }
    server.stop();
}

#[test]
fn a_body_that_no_target_reads_does_not_cost_the_connection() {
    let (server, mut stream) = gateway(&Endpoint::answering(OK));
    for framing in ["Content-Length: 5\r\n\r\n|hello", "Transfer-Encoding: chunked\r\n\r\n|5\r\nhello\r\n0\r\n\r\n"] {
        let (head, body) = framing.split_once('|').unwrap();
        stream.write_all(format!("POST /fixed HTTP/1.1\r\nHost: a\r\n{head}").as_bytes()).unwrap();
        assert!(read_until(&mut stream, "fixed").starts_with("HTTP/1.1 200"));
        stream.write_all(body.as_bytes()).unwrap();
        ask_again(&mut stream);
    }
    server.stop();
}

#[test]
fn a_large_body_that_nobody_will_read_closes_the_connection_and_the_answer_says_so() {
    let (server, mut stream) = gateway(&Endpoint::answering(OK));
    stream.write_all(b"POST /fixed HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n").unwrap();
    let answer = read_until(&mut stream, "fixed");
    assert!(answer.contains("connection: close"), "{answer}");
    server.stop();
}

#[test]
fn a_body_that_waits_for_a_100_is_not_asked_for_when_nobody_reads_it() {
    let (server, mut stream) = gateway(&Endpoint::answering(OK));
    let head = b"POST /fixed HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head).unwrap();
    let answer = read_until(&mut stream, "fixed");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    server.stop();
}
