//! What policies do to requests and responses, from a snapshot on: one route, every policy as a user may set it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use serde_json::{json, Value};
use stagedoor_dataplane::error::{Error, Kind};
use stagedoor_dataplane::exchange::Exchange;
use stagedoor_dataplane::policy::Flow;
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::protocol::body::Body;
use stagedoor_dataplane::route::Found;
use stagedoor_dataplane::shared::Shared;
use stagedoor_dataplane::worker::Worker;

struct Gateway {
    program: Arc<ArcSwap<Program>>,
    shared: Arc<Shared>,
    now: Instant,
}

/// What became of a request.
struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    /// Headers and target as they go on; None when the gateway answered itself.
    forwarded: Option<(HeaderMap, String)>,
    exchange: Exchange,
}

fn digest(key: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn snapshot(policies: Value) -> Value {
    json!({
        "workers": 1, "listeners": {}, "clusters": {},
        "consumers": {
            "web": {"api_key_sha256": [digest("web-key"), digest("web key+2")], "groups": []},
            "app": {"api_key_sha256": [digest("app-key")], "groups": []},
        },
        "routes": {"all": {
            "match": {"hosts": [], "path": "/{rest...}", "methods": [], "headers": {}, "query": {}},
            "priority": 0,
            "policies": policies,
            "target": {"response": {"status": 200, "headers": {}, "body": ""}},
        }},
    })
}

fn errors(policies: Value) -> Vec<String> {
    let snapshot = serde_json::from_value(snapshot(policies)).expect("a snapshot");
    Program::compile(&snapshot, &Shared::new(1)).err().expect("errors")
}

impl Gateway {
    fn new(policies: Value) -> Self {
        let snapshot = serde_json::from_value(snapshot(policies)).expect("a snapshot");
        let shared = Arc::new(Shared::new(1));
        let program = Program::compile(&snapshot, &shared).expect("a program");
        let program = Arc::new(ArcSwap::from_pointee(program));
        Self { program, shared, now: Instant::now() }
    }

    fn apply(&mut self, policies: Value) {
        let snapshot = serde_json::from_value(snapshot(policies)).expect("a snapshot");
        self.program.store(Arc::new(Program::compile(&snapshot, &self.shared).expect("a program")));
    }

    fn get(&self, target: &str, headers: &[(&str, &str)]) -> Seen {
        self.ask("GET", target, headers, "192.0.2.1")
    }

    fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], client: &str) -> Seen {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).expect("a request").into_parts();
        let target = head.uri.path_and_query().expect("a target").clone();
        let peer = SocketAddr::new(client.parse().expect("an address"), 1);
        let host = HeaderValue::from_static("h");
        let mut exchange = Exchange::new(self.now, peer, head.method.clone(), host, target);
        let route = match self.program.load().routes.find("h", exchange.path(), &head) {
            Found::Route { route, .. } => route.clone(),
            _ => panic!("there is one route"),
        };
        let worker = Worker::new(0, self.shared.clone(), self.program.clone());
        let mut body = Body::empty();
        let flow = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
            .block_on(route.policies.on_request(&mut exchange, &mut head, &mut body, &worker));
        let (mut response, forwarded) = match flow {
            Ok(Flow::Continue) => {
                let response = Response::builder().header("vary", "accept").header("server", "s");
                let response = response.header("access-control-allow-origin", "https://from.endpoint");
                (
                    response.body(()).expect("a response").into_parts().0,
                    Some((head.headers, exchange.target.to_string())),
                )
            }
            Ok(Flow::Respond(response)) => (response.into_parts().0, None),
            Err(error) => (refused(error), None),
        };
        route.policies.on_response(&exchange, &mut response, Body::empty());
        Seen { status: response.status, headers: response.headers, forwarded, exchange }
    }
}

fn refused(error: Error) -> http::response::Parts {
    let mut head = Response::new(()).into_parts().0;
    head.status = StatusCode::from_u16(error.kind.status()).expect("a status");
    head.headers.extend(error.headers.into_iter().map(|(name, value)| (Some(name), value)));
    head
}

impl Seen {
    fn all(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|value| value.to_str().expect("text")).collect()
    }

    fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name}: {all:?}");
        all.first().copied()
    }

    fn sent(&self, name: &str) -> Option<&str> {
        let (headers, _) = self.forwarded.as_ref().expect("forwarded");
        headers.get(name).map(|value| value.to_str().expect("text"))
    }

    fn consumer(&self) -> Option<&str> {
        self.exchange.consumer.as_ref().map(|consumer| &*consumer.name)
    }
}

fn api_key() -> Value {
    json!({"any": [{"api_key": {"header": "x-api-key", "query": "key"}}]})
}

#[test]
fn a_key_in_the_header_or_the_query_names_the_consumer_and_is_not_forwarded() {
    let gateway = Gateway::new(json!({"authenticate": api_key()}));
    for (target, headers, consumer, forwarded) in [
        ("/a?b=1", &[("x-api-key", "web-key")][..], "web", "/a?b=1"),
        ("/a", &[("X-API-Key", "app-key")], "app", "/a"),
        ("/a?key=web-key", &[], "web", "/a"),
        ("/a?b=1&k%65y=app%2Dkey&c", &[], "app", "/a?b=1&c"),
        ("/a?key=web+key%2B2", &[], "web", "/a"),
    ] {
        let seen = gateway.get(target, headers);
        assert_eq!(seen.consumer(), Some(consumer), "{target}");
        let (headers, target) = seen.forwarded.expect("forwarded");
        assert_eq!(target, forwarded);
        assert!(!headers.contains_key("x-api-key"));
    }
}

#[test]
fn a_missing_wrong_or_repeated_key_is_401_with_a_challenge() {
    let gateway = Gateway::new(json!({"authenticate": api_key()}));
    for (target, headers) in [
        ("/", &[][..]),
        ("/", &[("x-api-key", "")]),
        ("/", &[("x-api-key", "web-key ")]),
        ("/", &[("x-api-key", "WEB-KEY")]),
        ("/", &[("x-api-key", "web-key"), ("x-api-key", "web-key")]),
        ("/?key=web-key", &[("x-api-key", "web-key")]),
        ("/?key=web-key&key=web-key", &[]),
        ("/?key=nobody", &[]),
        ("/?key", &[]),
    ] {
        let seen = gateway.get(target, headers);
        assert_eq!(seen.status, StatusCode::UNAUTHORIZED, "{target} {headers:?}");
        assert_eq!(seen.one("www-authenticate"), Some(r#"ApiKey realm="stagedoor", header="x-api-key", query="key""#));
        assert!(seen.exchange.consumer.is_none());
    }
}

#[test]
fn a_wrong_key_never_falls_through_to_another_way() {
    let any = json!([{"api_key": {"header": "x-one", "query": null}}, {"api_key": {"header": "x-two", "query": null}}]);
    let gateway = Gateway::new(json!({"authenticate": {"any": any}}));
    assert_eq!(gateway.get("/", &[("x-one", "no"), ("x-two", "web-key")]).status, 401);
    let seen = gateway.get("/", &[("x-one", "web-key"), ("x-two", "app-key")]);
    assert_eq!((seen.consumer(), seen.sent("x-one"), seen.sent("x-two")), (Some("web"), None, None));
    assert_eq!(gateway.get("/", &[("x-two", "app-key")]).consumer(), Some("app"));
}

fn rule(id: &str, limit: u64, burst: u64, by: Value) -> Value {
    json!({"id": id, "limit": limit, "per_ms": 60_000, "burst": burst, "by": by})
}

#[test]
fn a_rate_limit_tells_what_is_left_and_refuses_with_429() {
    let mut gateway = Gateway::new(json!({"rate_limit": [rule("all", 60, 3, json!("route"))]}));
    for (remaining, reset) in [(2, 1), (1, 2), (0, 3)] {
        let seen = gateway.get("/", &[]);
        assert_eq!(seen.status, 200);
        assert_eq!(seen.one("ratelimit-policy"), Some(r#""all";q=60;w=60"#));
        assert_eq!(seen.one("ratelimit"), Some(&*format!(r#""all";r={remaining};t={reset}"#)));
    }
    let seen = gateway.get("/", &[]);
    assert_eq!((seen.status.as_u16(), seen.one("retry-after")), (429, Some("1")));
    assert_eq!(seen.one("ratelimit"), Some(r#""all";r=0;t=1"#));
    gateway.now += Duration::from_secs(1);
    assert_eq!(gateway.get("/", &[]).status, 200);
    assert_eq!(gateway.get("/", &[]).status, 429);
}

#[test]
fn callers_are_counted_apart_by_what_the_rule_says() {
    let gateway = Gateway::new(json!({
        "authenticate": api_key(), "rate_limit": [rule("c", 1, 1, json!("consumer"))],
    }));
    let ask = |key: &str| gateway.get("/", &[("x-api-key", key)]).status.as_u16();
    assert_eq!(
        [ask("web-key"), ask("app-key"), ask("web-key"), ask("web key+2"), ask("no")],
        [200, 200, 429, 429, 401]
    );

    let gateway = Gateway::new(json!({"rate_limit": [rule("a", 1, 1, json!("address"))]}));
    let ask = |client: &str| gateway.ask("GET", "/", &[], client).status.as_u16();
    let clients = ["192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"];
    assert_eq!(clients.map(ask), [200, 200, 429, 200, 429, 200]);

    let gateway = Gateway::new(json!({"rate_limit": [rule("h", 1, 1, json!({"header": "x-tenant"}))]}));
    let ask = |headers: &[(&str, &str)]| gateway.get("/", headers).status.as_u16();
    assert_eq!([ask(&[]), ask(&[]), ask(&[("x-tenant", "a")]), ask(&[("x-tenant", "b")])], [200, 429, 200, 200]);
}

#[test]
fn several_rules_count_together_or_not_at_all() {
    let policies =
        json!({"rate_limit": [rule("wide", 60, 10, json!("route")), rule("narrow", 60, 1, json!("address"))]});
    let gateway = Gateway::new(policies);
    let seen = gateway.ask("GET", "/", &[], "192.0.2.1");
    assert_eq!(seen.one("ratelimit-policy"), Some(r#""wide";q=60;w=60, "narrow";q=60;w=60"#));
    assert_eq!(seen.one("ratelimit"), Some(r#""wide";r=9;t=1, "narrow";r=0;t=1"#));
    for _ in 0..20 {
        let seen = gateway.ask("GET", "/", &[], "192.0.2.1");
        assert_eq!(seen.status, 429);
        assert_eq!(seen.one("ratelimit"), Some(r#""wide";r=9;t=1, "narrow";r=0;t=1"#), "nothing is taken");
    }
    let seen = gateway.ask("GET", "/", &[], "192.0.2.2");
    assert_eq!(seen.one("ratelimit"), Some(r#""wide";r=8;t=2, "narrow";r=0;t=1"#));
}

#[test]
fn sixty_four_clients_at_once_get_exactly_the_burst_of_several_rules() {
    let policies = json!({
        "authenticate": api_key(),
        "rate_limit": [rule("one", 1000, 300, json!("route")), rule("two", 1000, 200, json!("consumer"))],
    });
    let gateway = Gateway::new(policies);
    let admitted = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let status = gateway.get("/", &[("x-api-key", "web-key")]).status;
                    admitted.fetch_add(u64::from(status == 200), std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    let admitted = admitted.into_inner();
    assert!(admitted <= 200, "{admitted}");
    // A lost race gives back what it took, so nothing is lost for good: whoever comes next gets the rest.
    let rest = (0..300).filter(|_| gateway.get("/", &[("x-api-key", "web-key")]).status == 200).count() as u64;
    assert_eq!(admitted + rest, 200);
    assert_eq!(
        gateway.get("/", &[("x-api-key", "app-key")]).one("ratelimit").expect("told").split(';').nth(1),
        Some("r=99")
    );
}

#[test]
fn what_is_used_up_stays_so_in_the_next_program() {
    let mut gateway = Gateway::new(json!({"rate_limit": [rule("all", 60, 1, json!("route"))]}));
    assert_eq!(gateway.get("/", &[]).status, 200);
    gateway.apply(json!({"request_id": null, "rate_limit": [rule("all", 60, 1, json!("route"))]}));
    assert_eq!(gateway.get("/", &[]).status, 429);
    gateway.apply(json!({"rate_limit": [rule("another", 60, 1, json!("route"))]}));
    assert_eq!(gateway.get("/", &[]).status, 200);
}

fn cors(origins: &[&str], headers: &[&str], credentials: bool) -> Value {
    json!({"cors": {
        "origins": origins, "methods": ["GET", "PUT"], "headers": headers, "expose": ["x-total"],
        "credentials": credentials, "max_age_s": 600,
    }})
}

#[test]
fn a_preflight_is_answered_by_the_gateway() {
    let gateway = Gateway::new(cors(&["https://a.example", "https://b.example"], &["x-one", "content-type"], true));
    let ask = |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "x-one"),
        ];
        gateway.ask("OPTIONS", "/", &headers, "192.0.2.1")
    };
    let seen = ask("https://b.example");
    assert_eq!(seen.status, 204);
    assert_eq!(seen.one("access-control-allow-origin"), Some("https://b.example"));
    assert_eq!(seen.one("access-control-allow-credentials"), Some("true"));
    assert_eq!(seen.one("access-control-allow-methods"), Some("GET, PUT"));
    assert_eq!(seen.one("access-control-allow-headers"), Some("x-one, content-type"));
    assert_eq!(seen.one("access-control-max-age"), Some("600"));
    assert_eq!(seen.one("access-control-expose-headers"), None);
    assert_eq!(seen.one("vary"), Some("origin"));
    for origin in ["https://b.example.evil.org", "http://b.example", "null", "https://B.example"] {
        let seen = ask(origin);
        assert_eq!(seen.status, 204);
        assert!(!seen.headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{origin}");
        assert_eq!(seen.one("vary"), Some("origin"));
    }
}

#[test]
fn a_private_network_is_opened_to_the_origins_that_are_named_and_only_where_that_is_asked() {
    let mut policies = cors(&["https://*.a.example"], &[], false);
    policies["cors"]["private_network"] = json!(true);
    let gateway = Gateway::new(policies);
    let ask = |origin: &str, asked: &str| {
        let mut headers = vec![("origin", origin), ("access-control-request-method", "GET")];
        headers.extend(Some(("access-control-request-private-network", asked)).filter(|_| !asked.is_empty()));
        let seen = gateway.ask("OPTIONS", "/", &headers, "192.0.2.1");
        assert_eq!(seen.all("vary"), ["origin", "access-control-request-private-network"]);
        seen.one("access-control-allow-private-network").map(str::to_owned)
    };
    assert_eq!(ask("https://www.a.example", "true").as_deref(), Some("true"));
    assert_eq!(ask("https://www.a.example", ""), None);
    assert_eq!(ask("https://www.a.example", "false"), None);
    assert_eq!(ask("https://a.example", "true"), None);
    let gateway = Gateway::new(cors(&["https://www.a.example"], &[], false));
    let headers = [
        ("origin", "https://www.a.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-private-network", "true"),
    ];
    let seen = gateway.ask("OPTIONS", "/", &headers, "192.0.2.1");
    assert_eq!(seen.one("access-control-allow-private-network"), None);
}

#[test]
fn a_wildcard_of_names_reflects_what_is_asked_for() {
    let gateway = Gateway::new(cors(&["https://a.example"], &["*"], true));
    let headers = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-any, authorization"),
    ];
    let seen = gateway.ask("OPTIONS", "/", &headers, "192.0.2.1");
    assert_eq!(seen.one("access-control-allow-headers"), Some("x-any, authorization"));
    assert_eq!(seen.all("vary"), ["origin", "access-control-request-headers"]);
}

#[test]
fn a_response_is_shared_with_the_origins_that_the_policy_names() {
    let gateway = Gateway::new(cors(&["https://a.example"], &[], true));
    let seen = gateway.get("/", &[("origin", "https://a.example")]);
    assert_eq!(seen.one("access-control-allow-origin"), Some("https://a.example"));
    assert_eq!(seen.one("access-control-allow-credentials"), Some("true"));
    assert_eq!(seen.one("access-control-expose-headers"), Some("x-total"));
    assert_eq!(seen.all("vary"), ["accept", "origin"]);
    for headers in [&[("origin", "https://evil.example")][..], &[]] {
        let seen = gateway.get("/", headers);
        assert!(seen.forwarded.is_some(), "CORS protects browsers, it does not refuse");
        assert_eq!(seen.one("access-control-allow-origin"), None);
        assert_eq!(seen.all("vary"), ["accept", "origin"]);
    }
    let gateway = Gateway::new(cors(&["*"], &[], false));
    let seen = gateway.get("/", &[("origin", "https://anyone.example")]);
    assert_eq!(seen.one("access-control-allow-origin"), Some("*"));
    assert_eq!(seen.all("vary"), ["accept"]);
}

#[test]
fn an_error_is_told_to_the_origin_too() {
    let mut policies = cors(&["https://a.example"], &[], false);
    policies["authenticate"] = api_key();
    policies["request_id"] = json!({"header": "x-request-id", "accept": true});
    let seen = Gateway::new(policies).get("/", &[("origin", "https://a.example")]);
    assert_eq!(seen.status, 401);
    assert_eq!(seen.one("access-control-allow-origin"), Some("https://a.example"));
    assert_eq!(seen.one("x-request-id").map(str::len), Some(32));
}

#[test]
fn an_options_request_that_is_no_preflight_goes_on() {
    let gateway = Gateway::new(cors(&["https://a.example"], &[], false));
    for (method, headers) in [
        ("OPTIONS", &[][..]),
        ("OPTIONS", &[("origin", "https://a.example")]),
        ("OPTIONS", &[("access-control-request-method", "GET")]),
        ("POST", &[("origin", "https://a.example"), ("access-control-request-method", "GET")]),
    ] {
        assert!(gateway.ask(method, "/", headers, "192.0.2.1").forwarded.is_some(), "{method} {headers:?}");
    }
}

#[test]
fn a_valid_request_id_is_taken_over_and_any_other_replaced() {
    let gateway = Gateway::new(json!({"request_id": {"header": "x-request-id", "accept": true}}));
    let seen = gateway.get("/", &[("x-request-id", "Client-1.2_3")]);
    assert_eq!(seen.sent("x-request-id"), Some("Client-1.2_3"));
    assert_eq!(seen.one("x-request-id"), Some("Client-1.2_3"));
    let long = "x".repeat(129);
    for headers in [
        &[][..],
        &[("x-request-id", "")],
        &[("x-request-id", "a b")],
        &[("x-request-id", "a\"b")],
        &[("x-request-id", &long)],
        &[("x-request-id", "one"), ("x-request-id", "two")],
    ] {
        let seen = gateway.get("/", headers);
        let id = seen.one("x-request-id").expect("an id");
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(seen.sent("x-request-id"), Some(id));
    }
    let gateway = Gateway::new(json!({"request_id": {"header": "x-request-id", "accept": false}}));
    assert_ne!(gateway.get("/", &[("x-request-id", "mine")]).one("x-request-id"), Some("mine"));
}

#[test]
fn headers_are_removed_set_and_added_both_ways() {
    let gateway = Gateway::new(json!({"headers": {
        "request": {"remove": ["x-secret"], "set": {"x-one": "1"}, "add": {"x-many": "b"}},
        "response": {"remove": ["server"], "set": {"x-frame-options": "DENY"}, "add": {"vary": "x-one"}},
    }}));
    let seen = gateway.get("/", &[("x-secret", "s"), ("x-one", "0"), ("x-one", "00"), ("x-many", "a")]);
    let (headers, _) = seen.forwarded.as_ref().expect("forwarded");
    assert!(!headers.contains_key("x-secret"));
    assert_eq!(headers.get_all("x-one").iter().collect::<Vec<_>>(), ["1"]);
    assert_eq!(headers.get_all("x-many").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(seen.one("server"), None);
    assert_eq!(seen.one("x-frame-options"), Some("DENY"));
    assert_eq!(seen.all("vary"), ["accept", "x-one"]);
}

#[test]
fn a_body_that_declares_too_much_is_413_before_it_is_read() {
    let gateway = Gateway::new(json!({"limits": {"body_bytes": 10, "request_ms": 250}}));
    let ask = |length: &str| gateway.ask("POST", "/", &[("content-length", length)], "192.0.2.1");
    assert_eq!(ask("10").status, 200);
    assert_eq!(ask("11").status, 413);
    assert_eq!(ask("18446744073709551615").status, 413);
    let seen = gateway.get("/", &[]);
    assert_eq!(seen.exchange.deadline - seen.exchange.received, Duration::from_millis(250));
}

#[test]
fn a_line_tells_the_exchange_and_no_secret() {
    let path = std::env::temp_dir().join(format!("stagedoor-{:032x}.log", fastrand::u128(..)));
    let gateway = Gateway::new(json!({
        "access_log": {"path": path, "headers": ["x-api-key", "authorization", "cookie", "referer", "x-absent"]},
        "authenticate": api_key(),
    }));
    let headers = [
        ("x-api-key", "web-key"),
        ("authorization", "Bearer top-secret"),
        ("cookie", "session=top-secret"),
        ("referer", "https://a.example/\"quoted\""),
        ("user-agent", "curl/8\t"),
    ];
    for (target, headers) in [("/a%20b?token=top-secret", &headers[..]), ("/x?key=wrong-key", &[])] {
        let mut seen = gateway.get(target, headers);
        let program = gateway.program.load();
        let Found::Route { route, .. } = program.routes.find("h", "/", &request_head()) else { panic!("one route") };
        seen.exchange.route = Some(route.clone());
        seen.exchange.error = (seen.status == 401).then_some(Kind::Unauthorized);
        seen.exchange.bytes_out = 7;
        let status = seen.status.as_u16();
        stagedoor_dataplane::telemetry::finish(0, &gateway.shared, &route.policies, &seen.exchange, status);
    }
    assert!(gateway.shared.sinks.flush(Duration::from_secs(10)));
    let text = std::fs::read_to_string(&path).expect("a log");
    std::fs::remove_file(&path).expect("removed");
    for secret in ["web-key", "top-secret", "wrong-key"] {
        assert!(!text.contains(secret), "{text}");
    }
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let expected = json!({
        "client": "192.0.2.1", "method": "GET", "host": "h", "path": "/a%20b", "route": "all", "consumer": "web",
        "status": 200, "bytes_in": 0, "bytes_out": 7, "cluster": null, "endpoint": null, "retries": 0, "error": null,
        "user_agent": "curl/8\t",
        "headers": {
            "x-api-key": "[redacted]", "authorization": "[redacted]", "cookie": "[redacted]",
            "referer": "https://a.example/\"quoted\"", "x-absent": null,
        },
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&lines[0][name], value, "{name}");
    }
    assert!(lines[0]["duration_ms"].as_f64().is_some() && lines[0]["time"].as_str().is_some());
    assert_eq!(
        (&lines[1]["status"], &lines[1]["error"], &lines[1]["consumer"]),
        (&json!(401), &json!("unauthorized"), &Value::Null)
    );
    let metrics = gateway.shared.metrics.render(&gateway.shared.sinks);
    assert!(metrics.contains("stagedoor_requests_total{route=\"all\",status=\"4xx\"} 1"), "{metrics}");
    assert!(metrics.contains("stagedoor_errors_total{code=\"unauthorized\"} 1"), "{metrics}");
}

fn request_head() -> http::request::Parts {
    Request::new(()).into_parts().0
}

#[test]
fn every_mistake_in_a_policy_is_told_with_its_place_and_no_secret() {
    let wrong = json!({
        "request_id": {"header": "connection", "accept": true},
        "access_log": {"path": "stdout", "headers": ["bad name"]},
        "limits": {"body_bytes": 1, "request_ms": 0},
        "cors": {"origins": ["*", "null"], "methods": ["GET"], "headers": ["x y"], "expose": ["*"], "credentials": true, "max_age_s": 1},
        "authenticate": {"any": [{"api_key": {"header": "te", "query": null}}, {"api_key": {"header": null, "query": null}}]},
        "rate_limit": [rule("a\u{e9}", 1, 1, json!("route")), rule("b", 0, 1, json!("route")), rule("c", 1, 1, json!("address")), rule("c", 1, 1, json!("address")), rule("c", 2, 1, json!("address"))],
        "headers": {
            "request": {"remove": ["Host"], "set": {"Content-Length": "1", "x-a": "top-secret\n"}, "add": {"bad name": "1"}},
            "response": {"set": {"Transfer-Encoding": "chunked"}},
        },
    });
    let expected = [
        "request_id: the header 'connection' belongs to the protocol and cannot carry the id",
        "access_log: 'bad name' is not a header name",
        "limits: a request time of 0 ms lets nothing through",
        "cors: credentials are never allowed for the origin '*'; name the origins",
        "cors: the origin '*' stands alone",
        "cors: credentials are never allowed for the origin 'null': every page can make itself that",
        "cors: headers: 'x y' is not a name",
        "cors: expose: '*' is not a name with credentials",
        "authenticate: api_key: the header 'te' belongs to the protocol and cannot carry a key",
        "authenticate: api_key: neither a header nor a query parameter is named",
        "rate_limit: rule 'a\u{e9}': its name holds characters that are not printable ASCII",
        "rate_limit: rule 'b': limit, per and burst are at least 1",
        "rate_limit: rule 'c': its name is used twice",
        "rate_limit: rule 'c': another route has a rule of that name with other settings; they would share counters",
        "headers: request.remove: the header 'host' belongs to the protocol and cannot be changed",
        "headers: request.set: the header 'content-length' belongs to the protocol and cannot be changed",
        "headers: request.add: 'bad name' is not a header name",
        "headers: request.set: the value of 'x-a' holds a character that no header may",
        "headers: response.set: the header 'transfer-encoding' belongs to the protocol and cannot be changed",
    ];
    assert_eq!(errors(wrong), expected.map(|message| format!("route 'all': {message}")));
    let told = errors(cors(&["https://a.example/path", "https://*.com"], &[], false));
    assert_eq!(
        told,
        [
            "route 'all': cors: 'https://a.example/path' is not an origin as browsers send it, such as 'https://example.com'",
            "route 'all': cors: 'https://*.com': '*.' stands before a name of at least two parts",
        ]
    );
    assert_eq!(
        errors(json!({"rate_limit": [rule("c", 1, 1, json!("consumer"))]})),
        ["route 'all': rate_limit: rule 'c': by consumer needs the policy 'authenticate', else nobody is known"]
    );
}
