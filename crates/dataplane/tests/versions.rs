//! Versions of APIs, through real sockets. `cases/versions.json` is the table; the rest of this file is what a table cannot
//! say. Of times only those are used that are long over or far ahead.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::door::{self, Door};
use crate::endpoint::{self, Endpoint};
use crate::{changes, table, wire};
use serde_json::{json, Map, Value};

/// An API as cases write it, with what they leave out.
fn api(case: &Value) -> Value {
    let step = |changes: &Value| {
        let some = |part: &str, made: fn(&Value) -> Value| changes.get(part).map(made);
        json!({
            "up": some("up", changes::request), "down": some("down", changes::response),
            "down_errors": some("down_errors", changes::response),
        })
    };
    let versions = case["versions"].as_array().unwrap().iter().map(|version| {
        let mut version = version.clone();
        if let Some(changes) = version.get("step").cloned() {
            version["step"] = json!({"to": changes["to"], "changes": step(&changes)});
        }
        version
    });
    let given = |key: &str, default: Value| case.get(key).cloned().unwrap_or(default);
    json!({
        "marker": case["marker"], "strip": given("strip", json!(false)), "default": case["default"],
        "fallback": case["fallback"], "unknown": given("unknown", json!(400)),
        "marker_over_pin": given("marker_over_pin", json!(true)), "versions": versions.collect::<Vec<_>>(),
    })
}

fn route(host: &str, case: &Value) -> Value {
    let given = |key: &str, default: Value| case.get(key).cloned().unwrap_or(default);
    let steps = case["steps"].as_object().into_iter().flatten().map(|(name, changes)| {
        let made = json!({
            "up": changes.get("up").map(changes::request), "down": changes.get("down").map(changes::response),
        });
        (name.clone(), made)
    });
    let policies = json!({"limits": {"body_bytes": 16_777_216, "request_ms": null}});
    let mut policies = policies.as_object().unwrap().clone();
    policies.extend(case["policies"].as_object().cloned().unwrap_or_default());
    if let Some(policy) = case.get("request_policy") {
        policies.insert("transform_request".to_owned(), changes::request(policy));
    }
    let target = json!({"cluster": {"cluster": "shop", "path": case["target_path"]}});
    json!({
        "match": {
            "hosts": [host], "path": given("path", json!("/items/{id}")), "methods": given("methods", json!([])),
            "headers": {}, "query": {}, "versions": given("versions", json!([])),
        },
        "priority": 0, "policies": policies, "target": given("target", target),
        "api": {"api": host, "steps": steps.collect::<Map<_, _>>()},
    })
}

/// What a cluster was sent last: its name, head and content.
type Asked = Arc<Mutex<Option<(&'static str, String, String)>>>;
/// What it answers next.
type Answers = Arc<Mutex<Value>>;

fn service(name: &'static str, asked: &Asked, answers: &Answers) -> Endpoint {
    let (asked, answers) = (asked.clone(), answers.clone());
    Endpoint::start(move |mut connection| {
        while let Some((head, body)) = connection.request() {
            let text = String::from_utf8(body).unwrap();
            *asked.lock().unwrap() = Some((name, head.clone(), text));
            let answer = answers.lock().unwrap().clone();
            let head = table::answer(&answer, head.starts_with("HEAD"));
            if !connection.send(head.as_bytes()) {
                return;
            }
        }
    })
}

fn snapshot(shop: SocketAddr, old: SocketAddr, cases: &[(String, Value)]) -> Value {
    let mut snapshot = door::snapshot(shop);
    snapshot["clusters"]["old"] = snapshot["clusters"]["shop"].clone();
    snapshot["clusters"]["old"]["endpoints"][0]["authority"] = json!(old.to_string());
    snapshot["listeners"]["public"]["limits"]["uri_bytes"] = json!(2048);
    snapshot["apis"] = cases.iter().map(|(host, case)| (host.clone(), api(&case["api"]))).collect::<Map<_, _>>().into();
    let mut routes = Map::new();
    for (host, case) in cases {
        for (name, each) in case["routes"].as_object().unwrap() {
            routes.insert(format!("{host}-{name}"), route(host, each));
        }
    }
    snapshot["routes"] = routes.into();
    snapshot["consumers"] = json!({
        // The keys are "key-of-web-1" and "key-of-app-1".
        "web": {"api_key_sha256": [sha256("key-of-web-1")], "groups": [], "versions": pins(cases)},
        "app": {"api_key_sha256": [sha256("key-of-app-1")], "groups": []},
    });
    snapshot
}

/// The consumer `web` is pinned where a case says so.
fn pins(cases: &[(String, Value)]) -> Value {
    let pins = cases.iter().filter_map(|(host, case)| Some((host.clone(), case.get("pin")?.clone())));
    pins.collect::<Map<_, _>>().into()
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

struct World {
    asked: Asked,
    answers: Answers,
    door: Door,
}

impl World {
    fn new(cases: &[(String, Value)]) -> Self {
        let (asked, answers) = (Asked::default(), Answers::default());
        let (shop, old) = (service("shop", &asked, &answers), service("old", &asked, &answers));
        let door = Door::open(snapshot(shop.address, old.address, cases));
        Self { asked, answers, door }
    }

    /// The answer to one request, and what a cluster was sent for it.
    fn ask(&self, host: &str, ask: &Value) -> (wire::Message, Option<(&'static str, String, String)>) {
        *self.answers.lock().unwrap() = ask["answer"].clone();
        *self.asked.lock().unwrap() = None;
        let content = ask.get("text").and_then(Value::as_str).unwrap_or_default();
        let answer = table::ask(&self.door, host, ask, content);
        (answer, self.asked.lock().unwrap().take())
    }
}

#[test]
fn versions_are_told_apart_and_made_into_others_as_the_table_says() {
    let cases = table::read(include_str!("cases/versions.json"));
    let world = World::new(&cases);
    for (host, case) in &cases {
        for ask in case["asks"].as_array().unwrap() {
            let title =
                format!("{}: {} {}", case["so"].as_str().unwrap(), ask["line"].as_str().unwrap(), ask["headers"]);
            let (answer, sent) = world.ask(host, ask);
            hold(&title, &ask["expect"], &answer, sent);
        }
    }
}

fn hold(title: &str, expected: &Value, answer: &wire::Message, sent: Option<(&'static str, String, String)>) {
    let told = table::hold(title, expected, answer);
    if let Some(members) = expected["members"].as_object() {
        let problem: Value = serde_json::from_str(&told).unwrap();
        for (name, value) in members {
            assert_eq!(&problem[name], value, "{title}: {name} of {told}");
        }
    }
    let Some(wanted) = expected.get("sent") else {
        assert!(sent.is_none() || answer.status() < 400, "{title}: what is refused is not sent");
        return;
    };
    let (cluster, head, body) = sent.unwrap_or_else(|| panic!("{title}: nothing was sent"));
    assert_eq!(cluster, wanted.get("cluster").and_then(Value::as_str).unwrap_or("shop"), "{title}");
    table::hold_sent(title, wanted, &head, &body);
}

/// The one case of a test, by the host `case`.
fn world(case: Value) -> World {
    World::new(&[("case".to_owned(), case)])
}

fn ask(world: &World, version: &str, more: Value) -> (wire::Message, bool) {
    let mut headers = json!({"Shop-Version": version});
    headers.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let (answer, sent) =
        world.ask("case", &json!({"line": "GET /items/7", "headers": headers, "answer": {"text": "{\"name\":1}"}}));
    (answer, sent.is_some())
}

fn text(answer: &wire::Message) -> String {
    String::from_utf8_lossy(&answer.content).into_owned()
}

#[test]
fn what_is_kept_is_of_one_version_however_it_is_asked_for() {
    let cache = json!({
        "query": "all", "vary_by": [], "forward": [], "share_consumers": true, "ttl_s": {"200": 60}, "heuristic": false,
        "set_cookies": false, "object_bytes": 1_048_576, "variants": 8, "stale_while_revalidate_s": 0,
        "stale_if_error_s": 0, "client_control": true, "groups": [], "invalidates": [], "status": false,
    });
    let key = json!({"any": [{"api_key": {"header": "x-api-key", "query": null}}]});
    let world = world(json!({
        "pin": "v1",
        "api": {"marker": {"header": "Shop-Version"}, "default": "v2", "fallback": "v2", "versions": [
            {"name": "v1", "step": {"to": "v2", "down": {"rename": {"name": "title"}}}}, {"name": "v2"}]},
        "routes": {"items": {"policies": {"cache": cache, "authenticate": key}}},
    }));
    let app = json!({"X-Api-Key": "key-of-app-1"});
    let (first, sent) = ask(&world, "v1", app.clone());
    assert_eq!((text(&first).as_str(), sent), ("{\"title\":1}", true));
    let (second, sent) = ask(&world, "v2", app.clone());
    assert_eq!((text(&second).as_str(), sent), ("{\"name\":1}", true));
    for (version, expected) in [("v1", &first), ("v2", &second), ("v9", &second)] {
        let (again, sent) = ask(&world, version, app.clone());
        assert_eq!((text(&again), sent), (text(expected), false), "{version}");
        assert_eq!(again.field("vary").as_deref(), Some(if version == "v9" { "*" } else { "shop-version" }));
    }
    // Without a marker it is who asks that decides.
    for (key, expected) in [("key-of-web-1", &first), ("key-of-app-1", &second)] {
        let question = json!({"line": "GET /items/7", "headers": {"X-Api-Key": key}, "answer": {}});
        let (answer, sent) = world.ask("case", &question);
        assert_eq!((text(&answer), sent.is_some()), (text(expected), false), "{key}");
    }
}

#[test]
fn who_uses_which_version_is_counted_reported_and_kept_over_a_reload() {
    let key = json!({"any": [{"api_key": {"header": "x-api-key", "query": null}}], "anonymous": {"groups": [], "scopes": [], "plan": null}});
    let case = json!({
        "api": {"marker": {"header": "Shop-Version"}, "versions": [
            {"name": "old", "sunset": 1, "successor": "v1"}, {"name": "v1", "deprecated": 1, "step": {"to": "v2"}}, {"name": "v2"}]},
        "routes": {"items": {"policies": {"authenticate": key}}},
    });
    let cases = [("case".to_owned(), case)];
    let world = World::new(&cases);
    for (version, key, status) in [
        ("v1", json!({"X-Api-Key": "key-of-web-1"}), 200),
        ("v1", json!({"X-Api-Key": "key-of-web-1"}), 200),
        ("v1", json!({}), 200),
        ("old", json!({"X-Api-Key": "key-of-app-1"}), 410),
        ("v9", json!({"X-Api-Key": "key-of-app-1"}), 400),
    ] {
        assert_eq!(ask(&world, version, key).0.status(), status);
    }
    let counts = [
        "stagedoor_api_requests_total{api=\"case\",version=\"v1\",consumer=\"web\",result=\"served\"} 2",
        "stagedoor_api_requests_total{api=\"case\",version=\"v1\",consumer=\"\",result=\"served\"} 1",
        "stagedoor_api_requests_total{api=\"case\",version=\"old\",consumer=\"app\",result=\"refused\"} 1",
        "stagedoor_api_unknown_versions_total{api=\"case\"} 1",
    ];
    let told = || world.door.server.metrics();
    for line in counts {
        assert!(told().lines().any(|told| told == line), "{line} is not in\n{}", told());
    }
    let report = world.door.server.versions();
    let versions = report[0]["versions"].as_array().unwrap();
    let brief: Vec<_> =
        versions.iter().map(|one| (one["version"].clone(), one["state"].clone(), one["chain"].clone())).collect();
    assert_eq!(
        brief,
        [
            (json!("old"), json!("retired"), json!([])),
            (json!("v1"), json!("deprecated"), json!(["v2"])),
            (json!("v2"), json!("current"), json!([])),
        ]
    );
    let used = &versions[1]["used"];
    assert_eq!(
        (&used[0]["consumer"], &used[1]["consumer"], &used[1]["served"]),
        (&json!(""), &json!("web"), &json!(2))
    );
    assert!(used[1]["last"].as_u64().unwrap() > 1_700_000_000);
    let (shop, old) = (endpoint::nobody(), endpoint::nobody());
    let next = serde_json::from_value(snapshot(shop, old, &cases)).unwrap();
    world.door.server.apply(&next).expect("applied");
    assert!(told().contains(counts[0]));
}

#[test]
fn a_brown_out_of_a_share_lets_the_others_through() {
    let brownout =
        json!({"start": 1, "for_s": 4_000_000_000_u64, "every_s": null, "until": null, "percent": 50, "status": 503});
    let world = world(json!({
        "api": {"marker": {"header": "Shop-Version"}, "versions": [{"name": "v1", "brownouts": [brownout]}]},
        "routes": {"items": {}},
    }));
    let answers: Vec<_> = (0..80).map(|_| ask(&world, "v1", json!({})).0).collect();
    let refused = answers.iter().filter(|answer| answer.status() == 503).count();
    assert!(0 < refused && refused < answers.len(), "{refused}");
    let refused = answers.iter().find(|answer| answer.status() == 503).unwrap();
    assert_eq!(refused.field("retry-after").as_deref(), Some("1"));
}

/// An event of the last version is there as one of the first before the next has been sent.
#[test]
fn events_come_down_every_step_as_they_come() {
    let (next, waits) = std::sync::mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let shop = Endpoint::start(move |mut connection| {
        if connection.request().is_some() {
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"c\":1}\n\n");
            let _ = waits.lock().unwrap().recv();
            connection.send(b"data: {\"c\":2}\n\n");
        }
    });
    let case = json!({
        "api": {"marker": {"header": "Shop-Version"}, "versions": [
            {"name": "v1", "step": {"to": "v2", "down": {"rename": {"b": "a"}}}},
            {"name": "v2", "step": {"to": "v3", "down": {"body": "{b: .c}"}}},
            {"name": "v3"}]},
        "routes": {"items": {}},
    });
    let door = Door::open(snapshot(shop.address, endpoint::nobody(), &[("case".to_owned(), case)]));
    let mut client = door.client();
    assert!(client.send(b"GET /items/7 HTTP/1.1\r\nHost: case\r\nShop-Version: v1\r\nConnection: close\r\n\r\n"));
    while !String::from_utf8_lossy(&client.unread).contains("data: {\"a\":1}\n\n") {
        client.read().expect("the first event comes alone");
    }
    next.send(()).unwrap();
    let (raw, _) = client.rest();
    assert!(String::from_utf8_lossy(&raw).contains("data: {\"a\":2}\n\n"));
}
