//! Answers that are made of several, through real sockets. `cases/aggregate.json` is the table: what each target makes of
//! a request and of the services' answers; the rest of this file is what a table cannot say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::door::{self, Door, PATIENCE};
use crate::endpoint::Endpoint;
use crate::table;
use serde_json::{json, Map, Value};
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::shared::Shared;

/// With what a case leaves out.
fn call(name: &str, settings: &Value) -> Value {
    let mut call = json!({
        "name": name, "cluster": "shop", "method": "GET", "path": format!("/{name}"), "query": {}, "headers": {},
        "body": null, "safe": false, "after": [], "if": null, "each": null, "timeout_ms": null, "retry": null,
        "optional": false, "default": null, "format": "json", "body_bytes": 65536,
        "filter": null, "shape": {"pick": [], "deny": [], "rename": {}}, "group": null,
    });
    for (key, value) in settings.as_object().expect("a call") {
        call[key] = match key.as_str() {
            "pick" | "deny" | "rename" => {
                call["shape"][key] = value.clone();
                continue;
            }
            // JSON in the case, its text in the snapshot.
            "default" => value.to_string().into(),
            "each" => {
                json!({"in": value["in"], "parallel": value.get("parallel").unwrap_or(&json!(4)),
                       "most": value.get("most").unwrap_or(&json!(10))})
            }
            _ => value.clone(),
        };
    }
    call
}

fn target(case: &Value) -> Value {
    let calls: Vec<Value> =
        case["calls"].as_object().expect("calls").iter().map(|(name, each)| call(name, each)).collect();
    let response = case.get("response").cloned().unwrap_or(json!({}));
    json!({"aggregate": {
        "calls": calls, "timeout_ms": case.get("timeout_ms").unwrap_or(&json!(20_000)), "body_bytes": case.get("body_bytes").unwrap_or(&json!(65536)),
        "problems": case["problems"],
        "response": {
            "status": response.get("status").unwrap_or(&json!(200)), "headers": response.get("headers").unwrap_or(&json!({})),
            "body": response["body"],
        },
    }})
}

fn route(host: &str, case: &Value) -> Value {
    json!({
        "match": {"hosts": [host], "path": case.get("path").unwrap_or(&json!("/")), "methods": [], "headers": {}, "query": {}},
        "priority": 0, "policies": case.get("policies").unwrap_or(&json!({})), "target": target(case),
    })
}

/// An address that refuses connections for as long as the process lives: a socket that is bound and does not listen.
fn refusing() -> SocketAddr {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}

fn snapshot(shop: SocketAddr, cases: &[(String, Value)]) -> Value {
    let mut snapshot = door::snapshot(shop);
    let mut gone = snapshot["clusters"]["shop"].clone();
    gone["endpoints"][0]["authority"] = refusing().to_string().into();
    snapshot["clusters"]["gone"] = gone;
    snapshot["listeners"]["public"]["limits"]["uri_bytes"] = json!(1024);
    let digest = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"; // of "key"
    snapshot["consumers"] = json!({"web": {"api_key_sha256": [digest], "groups": ["front"]}});
    snapshot["routes"] =
        cases.iter().map(|(host, case)| (host.clone(), route(host, case))).collect::<Map<_, _>>().into();
    snapshot
}

type Asked = Arc<Mutex<BTreeMap<String, Vec<(String, String)>>>>;

/// Answers as its case says, which it knows by the host: the head and body of what it was asked are kept by case.
fn shop(cases: BTreeMap<String, Value>) -> (Endpoint, Asked) {
    let asked = Asked::default();
    let kept = asked.clone();
    let endpoint = Endpoint::start(move |mut connection| {
        while let Some((head, body)) = connection.request() {
            let host = table::host(&head);
            let what = head.split(" HTTP/1.1").next().unwrap();
            let answer = cases[host]["answers"].get(what).cloned().unwrap_or(json!({"status": 404}));
            let body = String::from_utf8(body).unwrap();
            kept.lock().unwrap().entry(host.to_owned()).or_default().push((head.clone(), body));
            let content = match answer.get("text") {
                Some(text) => text.as_str().unwrap().as_bytes().to_vec(),
                None => answer.get("json").map(|json| json.to_string().into_bytes()).unwrap_or_default(),
            };
            let fields = table::fields(&answer["headers"]);
            let status = answer.get("status").and_then(Value::as_u64).unwrap_or(200);
            let head = format!("HTTP/1.1 {status} x\r\n{fields}Content-Length: {}\r\n\r\n", content.len());
            if !connection.send(&[head.as_bytes(), &content].concat()) {
                return;
            }
        }
    });
    (endpoint, asked)
}

#[test]
fn answers_are_put_together_as_the_table_says() {
    let cases = table::read(include_str!("cases/aggregate.json"));
    let (shop, asked) = shop(cases.iter().cloned().collect());
    let door = Door::open(snapshot(shop.address, &cases));
    for (host, case) in &cases {
        let (title, request, expected) = (case["so"].as_str().unwrap(), &case["request"], &case["expect"]);
        let content = request.get("json").map(Value::to_string).unwrap_or_default();
        let answer = table::ask(&door, host, request, &content);
        let told = table::hold(title, expected, &answer);
        if let Some(json) = expected.get("json") {
            let mut found: Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{title}: {told}"));
            if let (Some(found), Some(json)) = (found.as_object_mut(), json.as_object()) {
                // Of a problem only what the case names.
                found.retain(|key, _| {
                    answer.field("content-type").unwrap() != "application/problem+json" || json.contains_key(key)
                });
            }
            assert_eq!(&found, json, "{title}");
        }
        let mut made: Vec<String> = Vec::new();
        for (head, body) in asked.lock().unwrap().get(host).into_iter().flatten() {
            table::hold_sent(title, &json!({"headers": expected["sent"]}), head, body);
            let what = head.split(" HTTP/1.1").next().unwrap();
            made.push(if body.is_empty() { what.to_owned() } else { format!("{what} {body}") });
        }
        if let Some(calls) = expected.get("calls") {
            made.sort();
            let mut calls: Vec<&str> = calls.as_array().unwrap().iter().map(|call| call.as_str().unwrap()).collect();
            calls.sort_unstable();
            assert_eq!(made, calls, "{title}");
        }
    }
}

#[test]
fn mistakes_are_found_before_any_request() {
    let cases: Value = serde_json::from_str(include_str!("cases/aggregate_wrong.json")).expect("a table");
    for case in cases.as_array().unwrap() {
        let snapshot = snapshot(refusing(), &[("case".to_owned(), case.clone())]);
        let snapshot = serde_json::from_value(snapshot).expect("a snapshot");
        let errors = Program::compile(&snapshot, &Shared::new(1)).err().unwrap_or_default();
        let expected = case["wrong"].as_array().unwrap();
        assert_eq!(errors.len(), expected.len(), "{errors:#?}");
        for (error, expected) in errors.iter().zip(expected) {
            let rest = error.strip_prefix("route 'case': target: ").expect(error);
            assert!(rest.starts_with(expected.as_str().unwrap()), "{rest}\nis not\n{expected}");
        }
    }
}

/// Holds answers back until it is let go.
#[derive(Default)]
struct Gate(Mutex<(usize, bool)>, Condvar);

impl Gate {
    /// Waits with the others; how many have come is counted.
    fn wait(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 += 1;
        self.1.notify_all();
        let _state = self.1.wait_timeout_while(state, PATIENCE, |state| !state.1).unwrap();
    }

    fn await_count(&self, count: usize) {
        let state = self.0.lock().unwrap();
        let (state, late) = self.1.wait_timeout_while(state, PATIENCE, |state| state.0 < count).unwrap();
        assert!(!late.timed_out(), "only {} of {count} came", state.0);
    }

    fn open(&self) {
        self.0.lock().unwrap().1 = true;
        self.1.notify_all();
    }

    fn came(&self) -> usize {
        self.0.lock().unwrap().0
    }
}

/// Answers once the gate is open, except for `/at-once` (500).
fn gated() -> (Endpoint, Arc<Gate>, mpsc::Receiver<String>) {
    let gate = Arc::new(Gate::default());
    let (gone, closed) = mpsc::channel();
    let held = gate.clone();
    let endpoint = Endpoint::start(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            if head.starts_with("GET /at-once") {
                held.await_count(1);
                connection.send(b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n");
                continue;
            }
            held.wait();
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
        }
        gone.send(connection.received_text()).ok();
    });
    (endpoint, gate, closed)
}

fn open(shop: &Endpoint, case: Value) -> Door {
    Door::open(snapshot(shop.address, &[("case".to_owned(), case)]))
}

const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: case\r\n\r\n";

#[test]
fn calls_run_side_by_side() {
    let (shop, gate, _closed) = gated();
    let door = open(&shop, json!({"calls": {"a": {}, "b": {}, "c": {}}}));
    let mut client = door.client();
    assert!(client.send(ASK));
    gate.await_count(3);
    gate.open();
    assert_eq!(client.answer().content, b"{\"a\":1,\"b\":1,\"c\":1}");
}

#[test]
fn a_required_call_that_fails_ends_the_others() {
    let (shop, _gate, closed) = gated();
    let door = open(&shop, json!({"calls": {"slow": {}, "broken": {"path": "/at-once"}}}));
    let answer = door.client().ask(ASK);
    assert_eq!(answer.status(), 502);
    assert!(String::from_utf8_lossy(&answer.content).contains("The call 'broken': the service answered with 500"));
    drop(door);
    let _ = closed;
}

#[test]
fn calls_end_when_the_client_goes() {
    let (shop, gate, closed) = gated();
    let door = open(&shop, json!({"calls": {"slow": {}}}));
    let mut client = door.client();
    assert!(client.send(ASK));
    gate.await_count(1);
    // A reset: whoever only ends its sending side may still wait for the answer.
    socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    // The call's connection is closed while its answer is still held back.
    door::until("the exchange is over", || {
        let metrics = door.server.shared.metrics.render(&door.server.shared.sinks);
        metrics.contains("stagedoor_errors_total{code=\"client-gone\"} 1")
    });
    gate.open();
    assert!(closed.recv_timeout(PATIENCE).unwrap().starts_with("GET /slow"));
}

#[test]
fn items_are_called_for_no_more_at_once_than_allowed() {
    let (shop, gate, _closed) = gated();
    let each = json!({"in": "${ [1, 2, 3, 4, 5] }", "parallel": 2});
    let door = open(&shop, json!({"calls": {"parts": {"path": "/{item}", "each": each}}}));
    let mut client = door.client();
    assert!(client.send(ASK));
    gate.await_count(2);
    assert_eq!(gate.came(), 2);
    gate.open();
    assert_eq!(client.answer().content, b"{\"parts\":[1,1,1,1,1]}");
    assert_eq!(gate.came(), 5);
}

#[test]
fn all_calls_share_one_deadline_and_optional_ones_do_not_outlive_it() {
    let (shop, gate, _closed) = gated();
    let door = open(&shop, json!({"timeout_ms": 50, "calls": {"slow": {}}}));
    assert_eq!(door.client().ask(ASK).status(), 504);
    let optional =
        json!({"timeout_ms": 50, "problems": "failed", "calls": {"slow": {"optional": true, "default": []}}});
    let door = open(&shop, optional);
    let answer = door.client().ask(ASK);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.field("x-stagedoor-failed-calls").as_deref(), Some("slow;error=deadline-exceeded"));
    assert_eq!(answer.field("cache-control").as_deref(), Some("no-store"));
    let body: Value = serde_json::from_slice(&answer.content).unwrap();
    assert_eq!((&body["slow"], &body["failed"]["slow"]["status"]), (&json!([]), &json!(504)));
    gate.open();
}

#[test]
fn each_call_is_logged_and_counted() {
    let path = std::env::temp_dir().join(format!("stagedoor-{:032x}.log", fastrand::u128(..)));
    let case = json!({
        "policies": {"access_log": {"path": path, "headers": []}},
        "calls": {"a": {}, "b": {"path": "/none", "optional": true}, "c": {"if": "${ false }"}},
        "answers": {"GET /a": {"json": 1}},
    });
    let (shop, _asked) = shop(BTreeMap::from([("case".to_owned(), case.clone())]));
    let door = open(&shop, case);
    assert_eq!(door.client().ask(ASK).status(), 200);
    let shared = &door.server.shared;
    door::until("a line is written", || {
        shared.sinks.flush(PATIENCE) && std::fs::read_to_string(&path).is_ok_and(|text| !text.is_empty())
    });
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(line["calls"]["a"]["status"], 200);
    assert_eq!(line["calls"]["a"]["endpoint"], shop.address.to_string());
    assert!(line["calls"]["a"]["duration_ms"].is_number());
    assert_eq!((&line["calls"]["b"]["status"], &line["calls"]["b"]["error"]), (&json!(404), &json!("call-failed")));
    assert_eq!(line["calls"]["c"], json!({}));
    let metrics = shared.metrics.render(&shared.sinks);
    for (call, outcome) in [("a", "answered"), ("b", "failed"), ("c", "skipped")] {
        let wanted =
            format!("stagedoor_aggregate_calls_total{{route=\"case\",call=\"{call}\",outcome=\"{outcome}\"}} 1");
        assert!(metrics.contains(&wanted), "{metrics}");
    }
}

/// What a call's `cache` leaves out.
fn kept(settings: Value) -> Value {
    let mut cache = json!({
        "query": "all", "vary_by": [], "forward": [], "share_consumers": false, "ttl_s": {}, "heuristic": false,
        "set_cookies": false, "object_bytes": 65536, "variants": 8, "stale_while_revalidate_s": 0, "stale_if_error_s": 0,
        "client_control": true, "groups": [], "invalidates": [], "status": true,
    });
    settings.as_object().into_iter().flatten().for_each(|(key, value)| cache[key] = value.clone());
    cache
}

/// Calls count their own answers; what the whole says of its freshness is what the kept answer has left.
#[test]
fn a_call_has_a_cache_of_its_own() {
    let fresh =
        |version: &str| json!({"json": {"v": version}, "headers": {"Cache-Control": "max-age=60", "Vary": "x-tenant"}});
    let case = json!({
        "path": "/{id}",
        "calls": {
            "kept": {"path": "/kept/{id}", "query": {"q": "{query.q}"}, "headers": {"x-version": "{headers.x-version}"}, "cache": kept(json!({}))},
            "asked": {"path": "/asked", "cache": null},
            "stored": {"path": "/stored", "cache": kept(json!({"ttl_s": {"200": 60}}))},
        },
        "answers": {
            "GET /kept/1?q=a": fresh("1a"), "GET /kept/1?q=b": fresh("1b"), "GET /kept/2?q=a": fresh("2a"),
            "GET /asked": {"json": 1, "headers": {"Cache-Control": "max-age=30"}},
            "GET /stored": {"json": 2},
        },
    });
    let cases = [("case".to_owned(), case)];
    let (shop, asked) = shop(cases.iter().cloned().collect());
    let door = Door::open(snapshot(shop.address, &cases));
    let ask = |path: &str, headers: &str| {
        let mut client = door.client();
        client.ask(format!("GET {path} HTTP/1.1\r\nHost: case\r\nX-Secret: 1\r\n{headers}\r\n").as_bytes())
    };
    let count = |what: &str| {
        let asked = asked.lock().unwrap();
        asked["case"].iter().filter(|(head, _)| head.split(" HTTP/1.1").next() == Some(what)).count()
    };
    for _ in 0..2 {
        let answer = ask("/1?q=a", "");
        assert_eq!(answer.content, br#"{"kept":{"v":"1a"},"asked":1,"stored":2}"#);
        assert_eq!(answer.field("vary").as_deref(), Some("x-tenant, x-version"));
    }
    assert_eq!((count("GET /kept/1?q=a"), count("GET /asked"), count("GET /stored")), (1, 2, 1));
    // Its key is the call's own request: path, query, what it says in headers, and what its answers vary by.
    assert_eq!(ask("/1?q=b", "").content, br#"{"kept":{"v":"1b"},"asked":1,"stored":2}"#);
    assert_eq!(ask("/2?q=a", "").content, br#"{"kept":{"v":"2a"},"asked":1,"stored":2}"#);
    ask("/1?q=a", "X-Version: 2\r\n");
    ask("/1?q=a", "X-Version: 2\r\n");
    assert_eq!(count("GET /kept/1?q=a"), 2);
    ask("/1?q=a", "X-Tenant: t\r\n");
    ask("/1?q=a", "X-Tenant: t\r\n");
    assert_eq!(count("GET /kept/1?q=a"), 3);
    let heads: Vec<String> = asked.lock().unwrap()["case"].iter().map(|(head, _)| head.to_ascii_lowercase()).collect();
    let of = |path: &str| heads.iter().filter(|head| head.contains(path)).cloned().collect::<Vec<_>>();
    assert!(of("/kept/").iter().all(|head| !head.contains("x-secret")), "what is not in the key does not reach it");
    assert!(of("/asked").iter().all(|head| head.contains("x-secret")));
    assert!(of("/kept/").iter().any(|head| head.contains("x-version: 2")));
    assert!(of("/kept/").iter().all(|head| head.contains("accept: application/json")), "{heads:?}");
}

#[test]
fn a_call_that_fails_is_answered_by_what_was_kept() {
    let case = json!({
        "calls": {"a": {"cache": kept(json!({"ttl_s": {"200": 0}, "stale_if_error_s": 60}))}},
        "answers": {"GET /a": {"json": 7}},
    });
    let (fail, shop_case) = (Arc::new(Mutex::new(false)), case.clone());
    let failing = fail.clone();
    let endpoint = Endpoint::start(move |mut connection| {
        while connection.request().is_some() {
            let head = if *failing.lock().unwrap() { "HTTP/1.1 503 x" } else { "HTTP/1.1 200 x" };
            connection.send(format!("{head}\r\nETag: \"1\"\r\nContent-Length: 1\r\n\r\n7").as_bytes());
        }
    });
    let door = Door::open(snapshot(endpoint.address, &[("case".to_owned(), shop_case)]));
    let ask = || door.client().ask(b"GET / HTTP/1.1\r\nHost: case\r\n\r\n");
    assert_eq!(ask().content, br#"{"a":7}"#);
    *fail.lock().unwrap() = true;
    assert_eq!(ask().content, br#"{"a":7}"#);
}
