//! Policies as clients meet them: many connections at once to a real gateway with two workers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use serde_json::{json, Value};
use stagedoor_dataplane::server::Server;

fn digest(key: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn log() -> PathBuf {
    std::env::temp_dir().join(format!("stagedoor-{:032x}.log", fastrand::u128(..)))
}

fn snapshot(log: &PathBuf, burst: u64) -> Value {
    let observed = json!({
        "request_id": {"header": "x-request-id", "accept": true},
        "access_log": {"path": log, "headers": ["x-api-key"]},
    });
    let mut policies = observed.clone();
    policies["authenticate"] = json!({"any": [{"api_key": {"header": "x-api-key", "query": "key"}}]});
    // One a day: nothing comes back while the test runs.
    policies["rate_limit"] =
        json!([{"id": "items/0", "limit": 1, "per_ms": 86_400_000, "burst": burst, "by": "consumer"}]);
    json!({
        "workers": 2,
        "listeners": {"public": {"bind": "127.0.0.1:0", "trusted_proxies": [], "limits": {
            "head_bytes": 65536, "uri_bytes": 8192, "header_count": 100, "connections": 1000,
            "head_read_ms": 10_000, "idle_ms": 60_000, "body_idle_ms": 10_000, "half_close_ms": 1_000,
        }}},
        "consumers": {"web": {"api_key_sha256": [digest("web-key")], "groups": []}},
        "clusters": {},
        "unrouted": observed,
        "routes": {"items": {
            "match": {"hosts": [], "path": "/items/{id}", "methods": ["GET"], "headers": {}, "query": {}},
            "priority": 0, "policies": policies,
            "target": {"response": {"status": 200, "headers": {}, "body": "item"}},
        }},
    })
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).expect("connected")))
    }

    /// Status and head of the answer to a raw request.
    fn ask(&mut self, request: &str) -> (u16, String, String) {
        self.0.get_mut().write_all(request.as_bytes()).expect("sent");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).expect("a line"), 0, "{head}");
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let mut body = vec![0; length.parse().expect("a length")];
        self.0.read_exact(&mut body).expect("a body");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, head, String::from_utf8(body).expect("text"))
    }
}

fn start(snapshot: &Value) -> (Server, SocketAddr) {
    let server = Server::start(&serde_json::from_value(snapshot.clone()).expect("a snapshot")).expect("started");
    let address = server.addresses()["public"];
    (server, address)
}

#[test]
fn sixty_four_clients_at_once_get_exactly_the_burst_and_no_key_is_logged() {
    let log = log();
    let (server, address) = start(&snapshot(&log, 100));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let client = |number: usize| {
            let mut client = Client::new(address);
            let ask = |turn: usize| match (number + turn) % 2 {
                0 => client.ask("GET /items/7 HTTP/1.1\r\nHost: h\r\nX-API-Key: web-key\r\n\r\n").0,
                _ => client.ask("GET /items/7?key=web-key HTTP/1.1\r\nHost: h\r\n\r\n").0,
            };
            (0..5).map(ask).collect::<Vec<_>>()
        };
        let clients: Vec<_> = (0..64).map(|number| scope.spawn(move || client(number))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("answered")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 100);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 220);
    // An exchange is recorded when its response has ended, which a client may see a little earlier.
    server.stop();
    let metrics = server.metrics();
    for line in [
        "stagedoor_requests_total{route=\"items\",status=\"2xx\"} 100",
        "stagedoor_requests_total{route=\"items\",status=\"4xx\"} 220",
        "stagedoor_rate_limited_total{route=\"items\"} 220",
        "stagedoor_connections_accepted_total 64",
        "stagedoor_connections 0",
    ] {
        assert!(metrics.lines().any(|written| written == line), "{line} is not in\n{metrics}");
    }
    let text = std::fs::read_to_string(&log).expect("a log");
    std::fs::remove_file(&log).expect("removed");
    assert!(!text.contains("web-key"));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 320);
    assert!(lines
        .iter()
        .all(|line| line["consumer"] == "web" && line["route"] == "items" && line["path"] == "/items/7"));
}

#[test]
fn the_limit_goes_on_under_a_new_program_and_the_log_under_a_new_file() {
    let log = log();
    let snapshot = snapshot(&log, 2);
    let (server, address) = start(&snapshot);
    let mut client = Client::new(address);
    let ask = "GET /items/7 HTTP/1.1\r\nHost: h\r\nX-API-Key: web-key\r\n\r\n";
    let (status, head, body) = client.ask(ask);
    assert_eq!((status, &*body), (200, "item"));
    assert!(head.contains("ratelimit: \"items/0\";r=1;t="), "{head}");
    assert!(server.shared.sinks.flush(std::time::Duration::from_secs(10)));
    server.apply(&serde_json::from_value(snapshot).expect("a snapshot")).expect("applied");
    let (status, head, _) = client.ask(ask);
    assert_eq!(status, 200);
    assert!(head.contains("ratelimit: \"items/0\";r=0;t="), "{head}");
    let (status, head, body) = client.ask(ask);
    assert_eq!(status, 429);
    assert!(head.contains("ratelimit: \"items/0\";r=0;t=") && head.contains("retry-after: "), "{head}");
    let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect("an id");
    let problem: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&problem["status"], &problem["request_id"]), (&json!(429), &json!(id)));
    server.stop();
    std::fs::remove_file(&log).expect("a log");
}

#[test]
fn what_no_route_or_parser_takes_is_logged_and_answered_under_one_id() {
    let log = log();
    let (server, address) = start(&snapshot(&log, 1));
    let asks = [
        ("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n", 404, "route-not-found"),
        ("DELETE /items/7 HTTP/1.1\r\nHost: h\r\n\r\n", 405, "method-not-allowed"),
        ("GET /items/%00 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bad-request"),
        ("GET /items/7 HTTP/1.1\r\nHost: h\r\n\r\n", 401, "unauthorized"),
        ("GET /items/7 HTTP/1.1\r\nHost : h\r\n\r\n", 400, "bad-request"),
    ];
    let mut ids = Vec::new();
    for (ask, expected, code) in asks {
        let (status, _, body) = Client::new(address).ask(ask);
        assert_eq!(status, expected, "{ask}");
        let problem: Value = serde_json::from_str(&body).expect("JSON");
        assert!(problem["type"].as_str().expect("a type").ends_with(code), "{problem}");
        ids.push(problem["request_id"].as_str().expect("an id").to_owned());
    }
    server.stop();
    let text = std::fs::read_to_string(&log).expect("a log");
    std::fs::remove_file(&log).expect("removed");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for ((_, status, code), id) in asks.iter().zip(&ids) {
        let line = lines.iter().find(|line| line["request_id"] == **id).expect("a line with that id");
        assert_eq!((&line["status"], &line["error"]), (&json!(status), &json!(code)));
    }
    assert_eq!(lines.len(), asks.len());
}

#[test]
fn browsers_are_told_to_come_over_https_only_where_they_have() {
    let log = log();
    let mut snapshot = snapshot(&log, 1);
    snapshot["listeners"]["public"]["trusted_proxies"] = json!(["127.0.0.0/8"]);
    let policies = &mut snapshot["routes"]["items"]["policies"];
    policies["hsts"] = json!({"max_age_s": 86_400, "include_subdomains": true, "preload": false});
    let (server, address) = start(&snapshot);
    let mut client = Client::new(address);
    for (fields, told) in [
        ("X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.1\r\nX-API-Key: web-key\r\n", true),
        // An error of the gateway's own: the key is missing.
        ("X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.1\r\n", true),
        ("X-Forwarded-Proto: http\r\nX-Forwarded-For: 192.0.2.1\r\n", false),
        ("", false),
    ] {
        let (_, head, _) = client.ask(&format!("GET /items/7 HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
        let line = "\r\nstrict-transport-security: max-age=86400; includesubdomains\r\n";
        assert_eq!(head.contains(line), told, "{head}");
        assert_eq!(head.contains("strict-transport-security"), told, "{head}");
    }
    server.stop();
    std::fs::remove_file(&log).expect("a log");
}
