//! What a caller may do: expressions by a file of cases, conditions and Open Policy Agent through real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{channel, Receiver};
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Request};
use serde_json::{json, Value};
use stagedoor_dataplane::exchange::Exchange;
use stagedoor_dataplane::policy::authenticate::Consumer;
use stagedoor_dataplane::policy::authorize::cel::Cel;
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::route::Found;
use stagedoor_dataplane::server::Server;
use stagedoor_dataplane::shared::Shared;

fn digest(key: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn snapshot(authorize: Value, opa: Option<SocketAddr>) -> Value {
    let mut clusters = json!({});
    if let Some(address) = opa {
        clusters["opa"] = json!({
            "endpoints": [{"authority": address.to_string(), "weight": 1}],
            "balance": "round_robin", "connect_ms": 10_000, "request_ms": 60_000,
            "retry": {"attempts": 0, "connect_failure": false, "statuses": [], "budget_percent": 20},
            "ejection": {"failures": 0, "base_ms": 60_000, "max_ms": 60_000},
            "pool": {"idle": 8, "idle_ms": 60_000, "connections": 8},
        });
    }
    json!({
        "workers": 1,
        "listeners": {"public": {"bind": "127.0.0.1:0", "trusted_proxies": [], "limits": {
            "head_bytes": 65536, "uri_bytes": 8192, "header_count": 100, "connections": 1000,
            "head_read_ms": 10_000, "idle_ms": 60_000, "body_idle_ms": 10_000, "half_close_ms": 1_000,
        }}},
        "plans": {"gold": {}},
        "consumers": {
            "web": {"api_key_sha256": [digest("web-key")], "groups": ["staff"], "scopes": ["read", "write"], "plan": "gold"},
            "app": {"api_key_sha256": [digest("app-key")], "groups": [], "scopes": ["read"]},
        },
        "clusters": clusters,
        "routes": {"orders": {
            "match": {"hosts": [], "path": "/orders/{id}", "methods": [], "headers": {}, "query": {}},
            "priority": 0,
            "policies": {
                "authenticate": {"any": [{"api_key": {"header": "x-api-key", "query": null}}]},
                "authorize": authorize,
            },
            "target": {"response": {"status": 200, "headers": {}, "body": "done"}},
        }},
    })
}

fn start(authorize: Value, opa: Option<SocketAddr>) -> (Server, SocketAddr) {
    let server =
        Server::start(&serde_json::from_value(snapshot(authorize, opa)).expect("a snapshot")).expect("started");
    let address = *server.addresses().get("public").expect("a listener");
    (server, address)
}

fn errors(authorize: Value) -> Vec<String> {
    let snapshot = serde_json::from_value(snapshot(authorize, None)).expect("a snapshot");
    Program::compile(&snapshot, &Shared::new(1)).err().expect("errors")
}

/// Status and whole answer.
fn ask(address: SocketAddr, key: &str, fields: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("connected");
    let request = format!(
        "GET /orders/7 HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nX-Api-Key: {key}\r\n{fields}\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    (answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), answer)
}

#[test]
fn expressions_are_checked_before_any_request_and_decide_on_each() {
    let snapshot = serde_json::from_value(snapshot(json!({"must": {}, "any": [], "none": [], "opa": null}), None));
    let program = Program::compile(&snapshot.expect("a snapshot"), &Shared::new(1)).expect("a program");
    let request = Request::get("/orders/7%20a?page=2&q=a%2Bb&page=3").header("x-tenant", "blue").header("x-many", "1");
    let (head, ()) = request.header("x-many", "2").body(()).expect("a request").into_parts();
    let peer = "192.0.2.7:1".parse().expect("an address");
    let target = head.uri.path_and_query().expect("a target").clone();
    let host = HeaderValue::from_static("shop.example");
    let mut exchange = Exchange::new(Instant::now(), peer, head.method.clone(), host, target);
    let Found::Route { route, params } = program.routes.find("shop.example", exchange.path(), &head) else {
        panic!("there is one route")
    };
    (exchange.route, exchange.params) = (Some(route.clone()), params);
    let mut consumer = Consumer::new("web", &["staff".to_owned(), "beta".to_owned()], "jwt");
    consumer.scopes = vec!["read".into(), "write".into()];
    consumer.plan = Some("gold".into());
    consumer.claims = json!({"sub": "7", "age": 30, "roles": ["admin", "dev"], "deep": {"ok": true}, "none": null});
    exchange.consumer = Some(Arc::new(consumer));
    for line in include_str!("cases/cel.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (source, expected) = line.rsplit_once(" => ").expect("an outcome");
        let outcome = match Cel::new(source) {
            Err(error) => error,
            Ok(cel) => match cel.holds(&exchange, &head) {
                Ok(holds) => holds.to_string(),
                Err(cause) => {
                    assert!(!cause.contains("30x") && !cause.contains("admin"), "{cause}");
                    "fails".to_owned()
                }
            },
        };
        match expected {
            "true" | "false" | "fails" => assert_eq!(outcome, expected, "{source}"),
            error => assert!(outcome.starts_with(error), "{source}\n{outcome}"),
        }
    }
}

#[test]
fn an_expression_is_bounded() {
    let long = format!("request.path == \"{}\"", "a".repeat(5000));
    assert_eq!(Cel::new(&long).err().as_deref(), Some("it is longer than 4096 characters"));
    let many = vec!["true"; 300].join(" && ");
    assert_eq!(Cel::new(&many).err().as_deref(), Some("it has more than 500 parts"));
    let deep = format!("{}true{}", "(".repeat(1000), ")".repeat(1000));
    assert_eq!(Cel::new(&deep).err().as_deref(), Some("more than 64 brackets, '!', '-' or '?' are within each other"));
    for wide in ["a.", "1+", "true?1:", "!", "[", "a(", "\"\"+"] {
        assert!(Cel::new(&wide.repeat(4000 / wide.len())).is_err(), "{wide}");
    }
}

#[test]
fn what_does_not_hold_is_403_that_does_not_say_what() {
    let empty = json!({"must": {}, "any": [], "none": [], "opa": null});
    let must = |conditions: Value| {
        let mut authorize = empty.clone();
        authorize["must"] = conditions;
        authorize
    };
    let mut either = empty.clone();
    either["any"] = json!([{"groups": ["staff"]}, {"consumers": ["app"]}]);
    let mut neither = empty.clone();
    neither["none"] = json!([{"consumers": ["app"], "networks": ["127.0.0.0/8"]}]);
    let mut broken = empty.clone();
    broken["none"] = json!([{"cel": "request.headers['x-none'] == 'a'"}]);
    for (authorize, web, app) in [
        (must(json!({"scopes": ["read"]})), 200, 200),
        (must(json!({"scopes": ["read", "write"]})), 200, 403),
        (must(json!({"any_scope": ["write", "admin"]})), 200, 403),
        (must(json!({"groups": ["staff", "x"]})), 200, 403),
        (must(json!({"consumers": ["app"]})), 403, 200),
        (must(json!({"plans": ["gold"]})), 200, 403),
        (must(json!({"networks": ["127.0.0.0/8"]})), 200, 200),
        (must(json!({"networks": ["::ffff:127.0.0.0/104"]})), 200, 200),
        (must(json!({"networks": ["10.0.0.0/8"]})), 403, 403),
        (must(json!({"time": [{"days": [], "from": 0, "to": 1440, "zone": "UTC"}]})), 200, 200),
        (must(json!({"cel": "consumer.name == 'web' && request.params.id == '7'"})), 200, 403),
        (must(json!({"cel": "request.headers['x-none'] == 'a'"})), 403, 403),
        (must(json!({"scopes": ["read"], "groups": ["staff"], "cel": "true"})), 200, 403),
        (either, 200, 200),
        (neither, 200, 403),
        (broken, 403, 403),
    ] {
        let (server, address) = start(authorize.clone(), None);
        let ((of_web, answer), (of_app, other)) = (ask(address, "web-key", ""), ask(address, "app-key", ""));
        assert_eq!((of_web, of_app), (web, app), "{authorize}\n{answer}");
        for answer in [answer, other] {
            assert!(
                !["scope", "group", "staff", "cel", "network"].iter().any(|word| answer.contains(word)),
                "{answer}"
            );
        }
        assert_eq!(ask(address, "nobody", "").0, 401);
        server.stop();
    }
}

#[test]
fn an_address_that_the_client_claims_is_not_believed() {
    let inside = json!({"must": {"networks": ["10.0.0.0/8"]}, "any": [], "none": [], "opa": null});
    let (server, address) = start(inside, None);
    for fields in ["X-Forwarded-For: 10.0.0.1\r\n", "Forwarded: for=10.0.0.1\r\n", "X-Real-IP: 10.0.0.1\r\n"] {
        assert_eq!(ask(address, "web-key", fields).0, 403, "{fields}");
    }
    server.stop();
}

#[test]
fn no_pattern_makes_a_decision_expensive() {
    // Each takes longer than the test may where a matcher goes back.
    for pattern in ["^(a+)+$", "^(a|aa)+$", "^(.*a){20}$", "(x+x+)+y", "^((a*)*)*b$"] {
        let cel = format!("request.headers['x-long'].matches('{pattern}')");
        let (server, address) = start(json!({"must": {"cel": cel}, "any": [], "none": []}), None);
        let long = format!("X-Long: {}{}!\r\n", "a".repeat(15_000), "x".repeat(15_000));
        assert_eq!(ask(address, "web-key", &long).0, 403, "{pattern}");
        server.stop();
    }
}

#[test]
fn mistakes_are_told_before_any_request() {
    let authorize = json!({
        "must": {"networks": ["10.0.0.0/33"], "cel": "request.methd == 'a'"},
        "any": [{"time": [{"days": [8], "from": 0, "to": 60, "zone": "UTC"}]}, {"cel": "1"}],
        "none": [], "opa": {"cluster": "opa", "path": "/v1/data/a", "timeout_ms": 1000, "headers": [], "cache_ms": 0},
    });
    assert_eq!(
        errors(authorize),
        [
            "route 'orders': authorize: any[0].time: a day is a number from 1 to 7",
            "route 'orders': authorize: any[1].cel: it is int, and has to be true or false",
            "route 'orders': authorize: networks: '10.0.0.0/33' is not an address or network such as 10.0.0.0/8",
            "route 'orders': authorize: cel: 'request' has no field 'methd'; it has method, host, path, scheme, protocol, id, route, query, headers, params, version",
            "route 'orders': authorize: opa: there is no cluster 'opa'",
        ]
    );
}

/// An agent that answers each question with the next of `answers`; what it was asked comes out of the channel.
fn agent(answers: &'static [&'static str]) -> (SocketAddr, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    let (asked, questions) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((stream, _)) = listener.accept() else { return };
            let mut reader = BufReader::new(stream);
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().expect("a length");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            asked.send(serde_json::from_slice(&body).expect("JSON")).expect("heard");
            let (status, body) = answer.split_once(' ').expect("a status");
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            reader.get_mut().write_all(format!("{head}{body}").as_bytes()).expect("answered");
        }
    });
    (address, questions)
}

#[test]
fn opa_decides_on_what_it_is_told_and_without_its_word_nobody_passes() {
    let (agent, questions) = agent(&[
        r#"200 {"result": true}"#,
        r#"200 {"result": {"allow": true, "why": "staff"}}"#,
        r#"200 {"result": false}"#,
        r#"200 {}"#,
        r#"200 {"result": "true"}"#,
        r#"200 {"result": {"allow": 1}}"#,
        r#"500 {"result": true}"#,
        r#"200 true"#,
        r#"200 not JSON"#,
    ]);
    let opa = json!({"cluster": "opa", "path": "/v1/data/http/allow", "timeout_ms": 5000, "headers": ["x-tenant"], "cache_ms": 0});
    let (server, address) = start(json!({"must": {}, "any": [], "none": [], "opa": opa}), Some(agent));
    for expected in [200, 200, 403, 403, 403, 403, 503, 403, 503] {
        let (status, answer) = ask(address, "web-key", "X-Tenant: blue\r\n");
        assert_eq!(status, expected, "{answer}");
        assert!(!answer.contains("opa"), "{answer}");
    }
    let input = &questions.recv().expect("a question")["input"];
    assert_eq!(input["request"]["path"], json!(["orders", "7"]));
    assert_eq!(input["request"]["headers"], json!({"x-tenant": ["blue"]}));
    assert_eq!(input["consumer"]["name"], "web");
    assert!(!input.to_string().contains("web-key"), "{input}");
    // Nobody listens any more.
    assert_eq!(ask(address, "web-key", "").0, 503);
    server.stop();
}

#[test]
fn a_decision_is_kept_for_the_same_input_only() {
    let (agent, questions) = agent(&[r#"200 {"result": true}"#, r#"200 {"result": false}"#]);
    let opa = json!({"cluster": "opa", "path": "/v1/data/a", "timeout_ms": 5000, "headers": [], "cache_ms": 3_600_000});
    let (server, address) = start(json!({"must": {}, "any": [], "none": [], "opa": opa}), Some(agent));
    assert_eq!([ask(address, "web-key", "").0, ask(address, "web-key", "").0], [200, 200]);
    assert_eq!([ask(address, "app-key", "").0, ask(address, "app-key", "").0], [403, 403]);
    assert_eq!(questions.iter().take(2).count(), 2);
    server.stop();
}
