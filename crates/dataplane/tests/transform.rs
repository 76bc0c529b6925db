//! Requests and responses made into others, through real sockets. `cases/transform.json` is the table; the rest of this
//! file is what a table cannot say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod door;
mod endpoint;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use door::Door;
use endpoint::Endpoint;
use serde_json::{json, Map, Value};
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::shared::Shared;

/// What a case leaves out.
fn content(policy: &Value) -> Value {
    let given = |key: &str, default: Value| policy.get(key).cloned().unwrap_or(default);
    json!({
        "filter": policy["body"], "write": policy["write"], "body_bytes": given("most", json!(4096)),
        "refuse_other": given("refuse_other", json!(false)),
        "shape": {"pick": given("pick", json!([])), "deny": given("deny", json!([])), "rename": given("rename", json!({})), "mask": given("mask", json!([]))},
    })
}

fn changes(policy: &Value, key: &str) -> Value {
    let given = |part: &str, default: Value| policy[key].get(part).cloned().unwrap_or(default);
    json!({"remove": given("remove", json!([])), "set": given("set", json!({}))})
}

fn policies(case: &Value) -> Value {
    let mut policies = json!({"limits": {"body_bytes": 16_777_216, "request_ms": null}});
    if let Some(policy) = case.get("request_policy") {
        policies["transform_request"] = json!({
            "method": policy["method"], "path": policy["path"], "query": changes(policy, "query"),
            "headers": changes(policy, "headers"), "content": content(policy),
        });
    }
    if let Some(policy) = case.get("response_policy") {
        policies["transform_response"] = json!({
            "statuses": policy.get("statuses").unwrap_or(&json!([])), "status": policy["status"], "headers": changes(policy, "headers"),
            "content": content(policy), "problems": policy.get("problems").unwrap_or(&json!(false)),
        });
    }
    policies
}

fn snapshot(shop: std::net::SocketAddr, cases: &[(String, Value)]) -> Value {
    let mut snapshot = door::snapshot(shop);
    let route = |host: &String, case: &Value| {
        json!({
            "match": {"hosts": [host], "path": case.get("path").unwrap_or(&json!("/{rest...}")), "methods": [], "headers": {}, "query": {}},
            "priority": 0, "policies": policies(case),
            "target": {"cluster": {"cluster": "shop", "path": case["target_path"]}},
        })
    };
    snapshot["routes"] =
        cases.iter().map(|(host, case)| (host.clone(), route(host, case))).collect::<Map<_, _>>().into();
    snapshot
}

type Asked = Arc<Mutex<BTreeMap<String, (String, String)>>>;

/// Answers as its case says, which it knows by the host.
fn shop(cases: BTreeMap<String, Value>) -> (Endpoint, Asked) {
    let asked = Asked::default();
    let kept = asked.clone();
    let endpoint = Endpoint::start(move |mut connection| {
        while let Some((head, body)) = connection.request() {
            let host =
                head.lines().find_map(|line| line.strip_prefix("host: ").or(line.strip_prefix("Host: "))).unwrap();
            let answer = &cases[host]["answer"];
            kept.lock().unwrap().insert(host.to_owned(), (head.clone(), String::from_utf8(body).unwrap()));
            let content = answer.get("text").and_then(Value::as_str).unwrap_or_default();
            let status = answer.get("status").and_then(Value::as_u64).unwrap_or(200);
            let kind = answer.get("type").and_then(Value::as_str).unwrap_or("application/json");
            let fields: String = answer["headers"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap()))
                .collect();
            let sent = if head.starts_with("HEAD") { "" } else { content };
            let head = format!(
                "HTTP/1.1 {status} x\r\n{fields}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{sent}",
                content.len()
            );
            if !connection.send(head.as_bytes()) {
                return;
            }
        }
    });
    (endpoint, asked)
}

#[test]
fn messages_are_made_into_others_as_the_table_says() {
    let cases: Value = serde_json::from_str(include_str!("cases/transform.json")).expect("a table");
    let cases: Vec<(String, Value)> = cases
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(index, case)| (format!("case{index}"), case.clone()))
        .collect();
    let (shop, asked) = shop(cases.iter().cloned().collect());
    let door = Door::open(snapshot(shop.address, &cases));
    for (host, case) in &cases {
        let title = case["so"].as_str().unwrap();
        let request = &case["request"];
        let line = request.get("line").and_then(Value::as_str).unwrap_or("GET /");
        let content = request.get("text").and_then(Value::as_str).unwrap_or_default();
        let mut text = format!("{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n", content.len());
        for (name, value) in request["headers"].as_object().into_iter().flatten() {
            text += &format!("{name}: {}\r\n", value.as_str().unwrap());
        }
        let mut client = door.client();
        assert!(client.send(format!("{text}Connection: close\r\n\r\n{content}").as_bytes()));
        let (raw, _) = client.rest();
        let kind = if line.starts_with("HEAD") { wire::Kind::HeadAnswer } else { wire::Kind::Answer };
        let wire::Taken::Whole(answer, _) = wire::take(&raw, kind, true) else { panic!("{title}: {raw:?}") };
        let told = String::from_utf8_lossy(&answer.content).into_owned();
        let expected = &case["expect"];
        assert_eq!(
            u64::from(answer.status()),
            expected.get("status").and_then(Value::as_u64).unwrap_or(200),
            "{title}: {told}"
        );
        if let Some(text) = expected.get("text") {
            assert_eq!(told, text.as_str().unwrap(), "{title}");
        }
        if let Some(part) = expected.get("part") {
            assert!(told.contains(part.as_str().unwrap()), "{title}: {told}");
        }
        for (name, value) in expected["headers"].as_object().into_iter().flatten() {
            assert_eq!(answer.field(name).as_deref(), value.as_str(), "{title}: {name}");
        }
        let seen = asked.lock().unwrap().get(host).cloned();
        if let Some(sent) = expected.get("sent") {
            let (head, body) = seen.unwrap_or_else(|| panic!("{title}: nothing was sent"));
            if let Some(line) = sent.get("line") {
                assert_eq!(head.split(" HTTP/1.1").next(), line.as_str(), "{title}");
            }
            if let Some(text) = sent.get("text") {
                assert_eq!(body, text.as_str().unwrap(), "{title}");
            }
            let lower = head.to_ascii_lowercase();
            for (name, value) in sent["headers"].as_object().into_iter().flatten() {
                let field = lower.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
                assert_eq!(field, value.as_str(), "{title}: {name} of {head}");
            }
        } else if expected.get("status").and_then(Value::as_u64).is_some_and(|status| (400..500).contains(&status)) {
            let answered = case.get("answer").is_some();
            assert_eq!(seen.is_some(), answered, "{title}: what is refused is not sent");
        }
    }
}

#[test]
fn mistakes_are_found_before_any_request() {
    let case = json!({
        "request_policy": {"method": "A B", "path": "x", "body": ".a[", "headers": {"set": {"x y": "1", "content-length": "1", "x": "${ nope }"}}, "query": {"set": {"a": "${ $status }"}}},
        "response_policy": {"status": "${ $request.", "body": "$nothing", "pick": ["a"], "rename": {"b": "c"}, "headers": {"remove": ["x-consumer-id"]}},
    });
    let snapshot =
        serde_json::from_value(snapshot(endpoint::nobody(), &[("case".to_owned(), case)])).expect("a snapshot");
    let errors = Program::compile(&snapshot, &Shared::new(1)).err().expect("errors");
    let expected = [
        "transform_request: method: it is no method",
        "transform_request: path: it does not begin with '/'",
        "transform_request: query: 'a': there is no variable '$status'",
        "transform_request: headers: 'content-length': the gateway sets it itself",
        "transform_request: headers: 'x': there is no filter 'nope'",
        "transform_request: headers: 'x y' is not a header's name",
        "transform_request: body: ",
        "transform_response: status: ",
        "transform_response: headers: 'x-consumer-id': the gateway sets it itself",
        "transform_response: body: there is no variable '$nothing'",
        "transform_response: rename: 'b' is not taken",
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(&format!("route 'case': {expected}")), "{error}\nis not\n{expected}");
    }
}

/// An event reaches the client before the next has been sent.
#[test]
fn events_are_changed_as_they_come() {
    let (next, waits) = std::sync::mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let shop = Endpoint::start(move |mut connection| {
        if connection.request().is_some() {
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 1\ndata: {\"a\":1,\"b\":2}\n\n: ping\n\n");
            let _ = waits.lock().unwrap().recv();
            connection.send(b"data: {\"a\":null}\n\ndata: [DO");
            connection.send(b"NE]\n\ndata: {\"a\":3}");
        }
    });
    let case = json!({"response_policy": {"body": "if .a then {n: .a} else null end"}});
    let door = Door::open(snapshot(shop.address, &[("case".to_owned(), case)]));
    let mut client = door.client();
    assert!(client.send(b"GET / HTTP/1.1\r\nHost: case\r\nConnection: close\r\n\r\n"));
    while !String::from_utf8_lossy(&client.unread).contains(": ping\n\n") {
        client.read().expect("the first event comes alone");
    }
    next.send(()).unwrap();
    let (raw, _) = client.rest();
    let wire::Taken::Whole(answer, _) = wire::take(&raw, wire::Kind::Answer, true) else { panic!("{raw:?}") };
    assert_eq!(
        String::from_utf8_lossy(&answer.content),
        "id: 1\ndata: {\"n\":1}\n\n: ping\n\ndata: [DONE]\n\ndata: {\"n\":3}\n\n"
    );
}

#[test]
fn an_event_that_is_too_large_ends_the_stream() {
    let shop = Endpoint::start(move |mut connection| {
        if connection.request().is_some() {
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{\"a\":1}\n");
            // Bounded, should nobody stop it.
            let _cut = (0..1000).all(|_| connection.send(&[b' '; 4096]));
        }
    });
    let case = json!({"response_policy": {"deny": ["a"]}});
    let door = Door::open(snapshot(shop.address, &[("case".to_owned(), case)]));
    let mut client = door.client();
    assert!(client.send(b"GET / HTTP/1.1\r\nHost: case\r\n\r\n"));
    let (raw, _) = client.rest();
    let text = String::from_utf8_lossy(&raw);
    assert!(text.contains("{}\n") && !text.ends_with("0\r\n\r\n"), "{text}");
}

#[test]
fn what_needs_no_change_streams_through() {
    let shop = Endpoint::start(move |mut connection| {
        if connection.request().is_some() {
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 6\r\n\r\nfir");
            connection.wait_closed();
        }
    });
    let case = json!({"response_policy": {"body": ".", "most": 2, "headers": {"set": {"x-status": "${ $status }"}}}});
    let door = Door::open(snapshot(shop.address, &[("case".to_owned(), case)]));
    let mut client = door.client();
    assert!(client.send(b"GET / HTTP/1.1\r\nHost: case\r\nConnection: close\r\n\r\n"));
    while !client.unread.ends_with(b"fir") {
        client.read().expect("the first half comes alone");
    }
    drop(client);
}
