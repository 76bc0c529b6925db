//! What protects the users of browsers, as browsers and attackers meet it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{json, Value};
use stagedoor_dataplane::server::Server;

fn start(policies: Value) -> (Server, SocketAddr) {
    let snapshot = json!({
        "workers": 1,
        "listeners": {"public": {"bind": "127.0.0.1:0", "trusted_proxies": [], "limits": {
            "head_bytes": 65536, "uri_bytes": 8192, "header_count": 100, "connections": 1000,
            "head_read_ms": 10_000, "idle_ms": 60_000, "body_idle_ms": 10_000, "half_close_ms": 1_000,
        }}},
        "consumers": {}, "clusters": {},
        "routes": {"all": {
            "match": {"hosts": [], "path": "/{rest...}", "methods": [], "headers": {}, "query": {}},
            "priority": 0, "policies": policies,
            "target": {"response": {"status": 200, "body": "done", "headers": {
                "server": "gunicorn", "x-powered-by": "Zope", "x-frame-options": "SAMEORIGIN",
            }}},
        }},
    });
    let server = Server::start(&serde_json::from_value(snapshot).expect("a snapshot")).expect("started");
    let address = *server.addresses().get("public").expect("a listener");
    (server, address)
}

/// Status and head of the answer.
fn ask(address: SocketAddr, method: &str, fields: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("connected");
    let request = format!("{method} /a HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer)
}

#[test]
fn only_pages_of_the_site_and_of_named_origins_change_anything() {
    let (server, address) = start(json!({"csrf": {"origins": ["https://admin.example"], "unknown": false}}));
    for line in include_str!("cases/csrf.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut parts = line.split(" | ");
        let (status, method) = (parts.next().expect("a status"), parts.next().expect("a method").trim());
        let fields: String = parts.map(|field| format!("{}\r\n", field.trim())).collect();
        let (answered, whole) = ask(address, method, &fields);
        assert_eq!(answered.to_string(), status.trim(), "{line}\n{whole}");
        if answered == 403 {
            assert!(!whole.contains("csrf") && !whole.contains("admin.example"), "{whole}");
        }
    }
    server.stop();
}

#[test]
fn what_says_nothing_passes_where_that_is_allowed() {
    let (server, address) = start(json!({"csrf": {"origins": [], "unknown": true}}));
    assert_eq!(ask(address, "POST", "Cookie: a=b\r\nContent-Length: 0\r\n").0, 200);
    assert_eq!(ask(address, "POST", "Cookie: a=b\r\nOrigin: https://evil.example\r\nContent-Length: 0\r\n").0, 403);
    server.stop();
}

#[test]
fn security_headers_are_on_answers_and_errors_and_leave_the_target_its_own() {
    let settings = |overrule: bool| {
        json!({"security_headers": {
            "set": {"x-content-type-options": "nosniff", "x-frame-options": "DENY"},
            "remove": ["server", "x-powered-by"], "override": overrule,
        }, "csrf": {"origins": [], "unknown": false}})
    };
    let (server, address) = start(settings(false));
    let (_, answer) = ask(address, "GET", "");
    assert!(answer.contains("x-content-type-options: nosniff\r\n"), "{answer}");
    assert!(answer.contains("x-frame-options: SAMEORIGIN\r\n") && !answer.contains("DENY"), "{answer}");
    assert!(!answer.contains("gunicorn") && !answer.contains("Zope"), "{answer}");
    let (status, refused) = ask(address, "POST", "Origin: null\r\nContent-Length: 0\r\n");
    assert!(status == 403 && refused.contains("x-frame-options: DENY\r\n"), "{refused}");
    server.stop();
    let (server, address) = start(settings(true));
    let (_, answer) = ask(address, "GET", "");
    assert!(answer.contains("x-frame-options: DENY\r\n") && !answer.contains("SAMEORIGIN"), "{answer}");
    server.stop();
}
