//! Requests and responses made into others, through real sockets. `cases/transform.json` is the table; the rest of this
//! file is what a table cannot say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::door::{self, Door};
use crate::endpoint::{self, Endpoint};
use crate::{changes, table, wire};
use serde_json::{json, Map, Value};
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::shared::Shared;

fn policies(case: &Value) -> Value {
    let mut policies = json!({"limits": {"body_bytes": 16_777_216, "request_ms": null}});
    if let Some(policy) = case.get("request_policy") {
        policies["transform_request"] = changes::request(policy);
    }
    if let Some(policy) = case.get("response_policy") {
        policies["transform_response"] = changes::response(policy);
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
            let host = table::host(&head);
            kept.lock().unwrap().insert(host.to_owned(), (head.clone(), String::from_utf8(body).unwrap()));
            let answer = table::answer(&cases[host]["answer"], head.starts_with("HEAD"));
            if !connection.send(answer.as_bytes()) {
                return;
            }
        }
    });
    (endpoint, asked)
}

#[test]
fn messages_are_made_into_others_as_the_table_says() {
    let cases = table::read(include_str!("cases/transform.json"));
    let (shop, asked) = shop(cases.iter().cloned().collect());
    let door = Door::open(snapshot(shop.address, &cases));
    for (host, case) in &cases {
        let (title, request, expected) = (case["so"].as_str().unwrap(), &case["request"], &case["expect"]);
        let content = request.get("text").and_then(Value::as_str).unwrap_or_default();
        let told = table::hold(title, expected, &table::ask(&door, host, request, content));
        if let Some(part) = expected.get("part") {
            assert!(told.contains(part.as_str().unwrap()), "{title}: {told}");
        }
        let seen = asked.lock().unwrap().get(host).cloned();
        if let Some(sent) = expected.get("sent") {
            let (head, body) = seen.unwrap_or_else(|| panic!("{title}: nothing was sent"));
            table::hold_sent(title, sent, &head, &body);
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

/// However its pieces come: here all at once.
#[test]
fn no_event_beyond_the_bound_passes() {
    for (kind, small, large) in [
        ("application/x-ndjson", "{\"a\":1}\n", "{\"b\":123456789}\n"),
        ("text/event-stream", "data: {\"a\":1}\n\n", "data: {\"b\":1}\nid: 1\n\n"),
    ] {
        let shop = Endpoint::start(move |mut connection| {
            if connection.request().is_some() {
                let content = format!("{small}{large}{small}");
                let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", content.len());
                connection.send(format!("{head}\r\n{content}").as_bytes());
            }
        });
        let case = json!({"response_policy": {"deny": ["c"], "most": 15}});
        let door = Door::open(snapshot(shop.address, &[("case".to_owned(), case)]));
        let mut client = door.client();
        assert!(client.send(b"GET / HTTP/1.1\r\nHost: case\r\n\r\n"));
        let (raw, _) = client.rest();
        let text = String::from_utf8_lossy(&raw);
        assert!(text.contains("{\"a\":1}\n") && !text.contains("\"b\"") && !text.ends_with("0\r\n\r\n"), "{text}");
    }
}

#[test]
fn the_log_says_why_a_stream_was_broken_off() {
    let shop = Endpoint::start(move |mut connection| {
        if connection.request().is_some() {
            connection.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 12\r\n\r\n{\"a\":1}\n[2]\n",
            );
        }
    });
    let log = std::env::temp_dir().join(format!("stagedoor-{:032x}.log", fastrand::u128(..)));
    let mut snapshot = snapshot(shop.address, &[("case".to_owned(), json!({"response_policy": {"body": ".a"}}))]);
    snapshot["routes"]["case"]["policies"]["access_log"] = json!({"path": log, "headers": []});
    let door = Door::open(snapshot);
    let mut client = door.client();
    assert!(client.send(b"GET / HTTP/1.1\r\nHost: case\r\n\r\n"));
    client.rest();
    door::until("a line is written", || {
        door.server.shared.sinks.flush(std::time::Duration::from_secs(10))
            && std::fs::read_to_string(&log).is_ok_and(|text| !text.is_empty())
    });
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&log).expect("a log")).expect("one line");
    std::fs::remove_file(&log).expect("removed");
    assert_eq!(line["error"], "expression-failed");
    assert!(line["cause"].as_str().is_some_and(|cause| cause.contains("index")), "{line}");
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

/// What a case's host answers, in these codings, each decoded before it is changed.
fn coded(coding: &str, text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    match coding {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "raw" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "br" => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 4, 18);
            encoder.write_all(text).unwrap();
            encoder.into_inner()
        }
        "zstd" => zstd::encode_all(text, 3).unwrap(),
        _ => text.to_vec(),
    }
}

fn send(client: &mut door::Client, head: &str, content: &[u8]) -> (u16, String, wire::Message) {
    let head = format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n", content.len());
    assert!(client.send(&[head.as_bytes(), content].concat()));
    let (raw, _) = client.rest();
    let wire::Taken::Whole(answer, _) = wire::take(&raw, wire::Kind::Answer, true) else { panic!("{raw:?}") };
    (answer.status(), String::from_utf8_lossy(&answer.content).into_owned(), *answer)
}

/// Answers with what it was sent, and in the coding that the request asks for by name.
fn coding_echo() -> (Endpoint, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = heads.clone();
    let endpoint = Endpoint::start(move |mut connection| {
        while let Some((head, body)) = connection.request() {
            let head = head.to_ascii_lowercase();
            let field = |name: &str| {
                head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned()
            };
            let (coding, kind) = (field("x-coding"), field("x-kind"));
            let named = if coding == "raw" { "deflate" } else { &coding };
            let mut content = coded(&coding, &body);
            if field("x-cut") == "1" {
                content.truncate(content.len() - 3);
            }
            kept.lock().unwrap().push(head.clone());
            let kind = if kind.is_empty() { "application/json".to_owned() } else { kind };
            let fields = format!(
                "Content-Type: {kind}\r\nContent-Encoding: {named}\r\nETag: \"1\"\r\nRepr-Digest: sha-256=:x:\r\n"
            );
            let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", content.len());
            if !connection.send(&[head.as_bytes(), &content].concat()) {
                return;
            }
        }
    });
    (endpoint, heads)
}

#[test]
fn compressed_contents_are_decoded_within_the_bound() {
    let (shop, heads) = coding_echo();
    let request = json!({"request_policy": {"deny": ["secret"], "refuse_other": true}});
    let answer = json!({"response_policy": {"deny": ["secret"]}});
    let cases = [("request".to_owned(), request), ("answer".to_owned(), answer)];
    let door = Door::open(snapshot(shop.address, &cases));
    let text = br#"{"a":1.50,"secret":2}"#;
    for coding in ["gzip", "deflate", "raw", "br", "zstd"] {
        let named = if coding == "raw" { "deflate" } else { coding };
        let head = format!("POST / HTTP/1.1\r\nHost: request\r\nContent-Type: application/json\r\nContent-Encoding: {named}\r\nContent-Digest: x\r\n");
        let (status, told, _) = send(&mut door.client(), &head, &coded(coding, text));
        assert_eq!((status, told.as_str()), (200, r#"{"a":1.50}"#), "{coding}");
        let sent = heads.lock().unwrap().pop().unwrap();
        assert!(!sent.contains("content-encoding") && !sent.contains("content-digest"), "{sent}");
        assert!(sent.contains("content-length: 10\r"), "{sent}");

        let damaged = &coded(coding, text)[..12];
        let (status, told, _) = send(&mut door.client(), &head, damaged);
        assert_eq!(status, 400, "{coding}: {told}");
        let mut bomb = b"{\"a\":\"".to_vec();
        bomb.resize(1 << 20, b' ');
        let (status, told, _) = send(&mut door.client(), &head, &coded(coding, &bomb));
        assert_eq!(status, 413, "{coding}: {told}");
        assert!(heads.lock().unwrap().is_empty(), "{coding}: what is refused is not sent");

        let head = format!("POST / HTTP/1.1\r\nHost: answer\r\nX-Coding: {coding}\r\nAccept-Encoding: gzip, br\r\n");
        let (status, told, answer) = send(&mut door.client(), &head, text);
        assert_eq!((status, told.as_str()), (200, r#"{"a":1.50}"#), "{coding}");
        assert_eq!((answer.field("content-encoding"), answer.field("repr-digest")), (None, None));
        assert_eq!(
            (answer.field("etag").as_deref(), answer.field("content-length").as_deref()),
            (Some("W/\"1\""), Some("10"))
        );
        assert!(heads.lock().unwrap().pop().unwrap().contains("accept-encoding: identity"));
        let (status, _, _) = send(&mut door.client(), &head, &bomb);
        assert_eq!(status, 502, "{coding}");
        let (status, told, _) = send(&mut door.client(), &format!("{head}X-Cut: 1\r\n"), text);
        assert_eq!(status, 502, "{coding}: {told}");
        heads.lock().unwrap().clear();
    }
    let head = "POST / HTTP/1.1\r\nHost: request\r\nContent-Type: application/json\r\nContent-Encoding: gzip, br\r\n";
    assert_eq!(send(&mut door.client(), head, text).0, 415, "several codings are not taken apart");
}

#[test]
fn compressed_streams_are_decoded_as_they_come() {
    let (shop, _heads) = coding_echo();
    let case = json!({"response_policy": {"deny": ["secret"]}});
    let door = Door::open(snapshot(shop.address, &[("case".to_owned(), case)]));
    let line = "{\"a\":1,\"secret\":2}\n";
    for coding in ["gzip", "deflate", "raw", "br", "zstd"] {
        let head = format!("POST / HTTP/1.1\r\nHost: case\r\nX-Coding: {coding}\r\nX-Kind: application/x-ndjson\r\n");
        let (status, told, answer) = send(&mut door.client(), &head, line.repeat(500).as_bytes());
        assert_eq!((status, answer.field("content-encoding")), (200, None), "{coding}");
        assert_eq!(told, "{\"a\":1}\n".repeat(500), "{coding}");
        let mut client = door.client();
        let text = line.repeat(50);
        assert!(client.send(format!("{head}X-Cut: 1\r\nContent-Length: {}\r\n\r\n{text}", text.len()).as_bytes()));
        let (raw, _) = client.rest();
        assert!(!raw.ends_with(b"0\r\n\r\n"), "{coding}: a stream that ends too early is not told as whole");
    }
}
