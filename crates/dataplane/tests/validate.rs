//! Requests and responses as OpenAPI and JSON Schema describe them, through real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use serde_json::{json, Value};
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::server::Server;
use stagedoor_dataplane::shared::Shared;

fn policy(more: Value) -> Value {
    let mut policy = json!({
        "openapi": "api", "schema": null, "base_path": null, "content_types": [], "unknown": false,
        "body_bytes": 1_048_576, "responses": null,
    });
    for (key, value) in more.as_object().expect("an object") {
        policy[key] = value.clone();
    }
    policy
}

fn snapshot(document: &Value, policy: &Value, response: &Value) -> Value {
    json!({
        "workers": 1,
        "listeners": {"public": {"bind": "127.0.0.1:0", "trusted_proxies": [], "limits": {
            "head_bytes": 65536, "uri_bytes": 8192, "header_count": 100, "connections": 1000,
            "head_read_ms": 10_000, "idle_ms": 60_000, "body_idle_ms": 10_000, "half_close_ms": 1_000,
        }}},
        "consumers": {}, "clusters": {},
        "documents": {"api": document},
        "routes": {"all": {
            "match": {"hosts": [], "path": "/{rest...}", "methods": [], "headers": {}, "query": {}},
            "priority": 0,
            "policies": {
                "limits": {"body_bytes": 16_777_216, "request_ms": null}, "validate": policy,
            },
            "target": {"response": response},
        }},
    })
}

struct Gateway {
    _server: Server,
    address: SocketAddr,
}

fn start(document: &Value, policy: &Value, response: &Value) -> Gateway {
    let snapshot = serde_json::from_value(snapshot(document, policy, response)).expect("a snapshot");
    let server = Server::start(&snapshot).expect("started");
    let address = *server.addresses().get("public").expect("a listener");
    Gateway { _server: server, address }
}

fn done() -> Value {
    json!({"status": 200, "headers": {}, "body": "done"})
}

fn errors(document: &Value, policy: &Value) -> Vec<String> {
    let snapshot = serde_json::from_value(snapshot(document, policy, &done())).expect("a snapshot");
    Program::compile(&snapshot, &Shared::new(1)).err().expect("errors")
}

impl Gateway {
    /// Status, head and content.
    fn ask(&self, line: &str, fields: &str, content: &[u8]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).expect("connected");
        let length = match content.is_empty() && !line.starts_with("POST") {
            true => String::new(),
            false => format!("Content-Length: {}\r\n", content.len()),
        };
        let head = format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{length}{fields}\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(content).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let (head, content) = answer.split_once("\r\n\r\n").expect("a head");
        (status, head.to_ascii_lowercase(), content.to_owned())
    }

    fn post(&self, path: &str, content: &Value) -> (u16, Value) {
        let (status, _, answer) =
            self.ask(&format!("POST {path}"), "Content-Type: application/json\r\n", content.to_string().as_bytes());
        (status, serde_json::from_str(&answer).unwrap_or(Value::Null))
    }
}

fn faults(answer: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(answer).expect("a problem");
    let text = |fault: &Value, key: &str| fault[key].as_str().unwrap_or_default().to_owned();
    let list = answer["errors"].as_array().expect("errors").iter();
    list.map(|fault| {
        let place = format!("{} {}", text(fault, "in"), text(fault, "name"));
        format!("{} {}: {}", place.trim(), text(fault, "pointer"), text(fault, "detail"))
    })
    .collect()
}

fn shop() -> Value {
    json!({
        "openapi": "3.1.0", "info": {"title": "shop", "version": "1"},
        "servers": [{"url": "https://shop.example/v1/"}],
        "paths": {
            "/orders": {
                "post": {
                    "parameters": [{"$ref": "#/components/parameters/Tenant"}],
                    "requestBody": {"required": true, "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Order"}},
                        "application/x-www-form-urlencoded": {
                            "schema": {"type": "object", "required": ["sku"], "additionalProperties": false, "properties": {
                                "sku": {"type": "string"}, "count": {"type": "integer"},
                                "tags": {"type": "array", "items": {"type": "string"}},
                            }},
                            "encoding": {"tags": {"explode": false}},
                        },
                        "text/plain": {"schema": {"type": "string", "maxLength": 4}},
                        "application/octet-stream": {},
                    }},
                    "responses": {
                        "201": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}},
                    },
                },
                "get": {
                    "parameters": [
                        {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}},
                        {"name": "filter", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}},
                        {"name": "session", "in": "cookie", "required": true, "schema": {"type": "string", "minLength": 4}},
                    ],
                    "responses": {"2XX": {"description": "", "headers": {"X-Count": {"required": true, "schema": {"type": "integer"}}},
                        "content": {"application/json": {"schema": {"type": "array"}}}}},
                },
            },
            "/orders/{id}": {
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}],
                "get": {"responses": {"default": {"description": ""}}},
            },
            "/orders/latest": {"get": {}},
            "/files/{name}.{kind}": {"get": {"parameters": [
                {"name": "kind", "in": "path", "required": true, "schema": {"enum": ["pdf", "txt"]}},
            ]}},
        },
        "components": {
            "parameters": {"Tenant": {"name": "X-Tenant", "in": "header", "required": true, "schema": {"pattern": "^[a-z]+$"}}},
            "schemas": {
                "Order": {
                    "type": "object", "required": ["id", "lines"], "additionalProperties": false,
                    "properties": {
                        "id": {"type": "string", "readOnly": true},
                        "secret": {"type": "string", "writeOnly": true},
                        "mail": {"type": "string", "format": "email"},
                        "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Line"}},
                    },
                },
                "Line": {"type": "object", "required": ["sku"], "properties": {
                    "sku": {"type": "string"}, "count": {"type": "integer", "format": "int32", "minimum": 1},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
                }},
            },
        },
    })
}

#[test]
fn every_style_reads_what_it_writes() {
    let schema = |kind: &str| match kind {
        "s" => json!({"type": "string"}),
        "i" => json!({"type": "integer"}),
        "b" => json!({"type": "boolean"}),
        "n" => json!({"type": ["integer", "null"]}),
        "a" => json!({"type": "array", "items": {"type": "string"}}),
        "ai" => json!({"type": "array", "items": {"type": "integer"}}),
        "oa" => json!({"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "string"}}}}),
        _ => json!({"type": "object", "properties": {
            "R": {"type": "integer"}, "G": {"type": "integer"}, "B": {"type": "integer"},
        }}),
    };
    let lines = include_str!("cases/styles.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let (case, expected) = line.rsplit_once(" => ").expect("an outcome");
        let [place, style, explode, kind, written] = case.splitn(5, '|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let mut parts = vec![schema(kind)];
        // What was read is told by a schema that takes that one value only.
        if let Ok(value) = serde_json::from_str::<Value>(expected) {
            parts.push(json!({"const": value}));
        }
        let parameter = json!({
            "name": "color", "in": place, "required": true, "style": style, "explode": explode == "true",
            "schema": {"allOf": parts},
        });
        let path = if place == "path" { "/x/{color}" } else { "/x" };
        let document = json!({"openapi": "3.1.0", "paths": {path: {"get": {"parameters": [parameter]}}}});
        let gateway = start(&document, &policy(json!({})), &done());
        let (target, fields) = match place {
            "path" => (format!("/x/{written}"), String::new()),
            "query" => (format!("/x?{written}"), String::new()),
            "header" => ("/x".to_owned(), format!("color: {written}\r\n")),
            _ => ("/x".to_owned(), format!("Cookie: a=b; color={written}\r\n")),
        };
        let (status, _, answer) = gateway.ask(&format!("GET {target}"), &fields, b"");
        match serde_json::from_str::<Value>(expected) {
            Ok(_) => assert_eq!(status, 200, "{line}\n{answer}"),
            Err(_) => {
                assert_eq!(status, 400, "{line}\n{answer}");
                assert!(answer.contains(expected), "{line}\n{answer}");
            }
        }
    }
}

#[test]
fn all_faults_are_told_at_once_and_none_tells_what_was_sent() {
    let gateway = start(&shop(), &policy(json!({})), &done());
    let content = json!({"id": "7", "mail": "hunter2", "lines": [{"sku": "a"}, {"count": 0}], "colour": "hunter2"});
    let (status, _, answer) = gateway.ask(
        "POST /v1/orders",
        "Content-Type: application/json\r\nX-Tenant: HUNTER2\r\n",
        content.to_string().as_bytes(),
    );
    assert_eq!(status, 400);
    assert!(answer.contains("errors#request-invalid"), "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("hunter2"), "{answer}");
    let mut found = faults(&answer);
    found.sort();
    assert_eq!(
        found,
        [
            "body /id: must not be given here",
            "body /lines/1/count: must be at least 1",
            "body /lines/1: needs the member \"sku\"",
            "body /mail: must be of the format email",
            "body : has members that are not known: \"colour\"",
            "header X-Tenant : must match the pattern ^[a-z]+$",
        ]
        .map(str::to_owned)
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
    let tenant = "Content-Type: application/json; charset=utf-8\r\nX-Tenant: blue\r\n";
    let right = json!({"secret": "s", "lines": [{"sku": "a", "parts": [{"sku": "b"}]}]}).to_string();
    assert_eq!(gateway.ask("POST /v1/orders", tenant, right.as_bytes()).0, 200);
}

#[test]
fn faults_are_bounded() {
    let gateway = start(&shop(), &policy(json!({})), &done());
    let lines: Vec<Value> = (0..500).map(|_| json!({})).collect();
    let content = json!({"lines": lines}).to_string();
    let fields = "Content-Type: application/json\r\nX-Tenant: a\r\n";
    let (status, _, answer) = gateway.ask("POST /v1/orders", fields, content.as_bytes());
    assert_eq!((status, faults(&answer).len()), (400, 32));
    assert!(answer.contains("the first 32 faults"), "{answer}");
    let long = format!("{{\"lines\": [{{\"sku\": \"a\"}}], \"{}\": 1}}", "k".repeat(100_000));
    let (status, _, answer) = gateway.ask("POST /v1/orders", fields, long.as_bytes());
    assert_eq!(status, 400);
    assert!(answer.len() < 2000, "{}", answer.len());
}

#[test]
fn paths_methods_and_media_types_that_the_api_has_not_are_refused_or_pass_by_rule() {
    let strict = start(&shop(), &policy(json!({})), &done());
    let lenient = start(&shop(), &policy(json!({"unknown": true})), &done());
    for (line, fields, status, word) in [
        ("GET /v1/nothing", "", 404, "route-not-found"),
        ("GET /orders/7", "", 404, "route-not-found"),
        ("GET /v1x/orders/7", "", 404, "route-not-found"),
        ("DELETE /v1/orders", "", 405, "allow: get, post"),
    ] {
        let (found, head, answer) = strict.ask(line, fields, b"");
        assert_eq!(found, status, "{line} {answer}");
        assert!(head.contains(word) || answer.contains(word) || head.contains("allow: post, get"), "{head} {answer}");
        assert_eq!(lenient.ask(line, fields, b"").0, 200, "{line}");
    }
    for (fields, status) in [
        ("X-Tenant: a\r\nContent-Type: application/xml\r\n", 415),
        ("X-Tenant: a\r\n", 415),
        ("X-Tenant: a\r\nContent-Type: application/json\r\nContent-Type: text/plain\r\n", 415),
        ("X-Tenant: a\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n", 415),
        ("X-Tenant: a\r\nContent-Type: application/octet-stream\r\n", 200),
    ] {
        assert_eq!(strict.ask("POST /v1/orders", fields, b"{}").0, status, "{fields}");
        assert_eq!(lenient.ask("POST /v1/orders", fields, b"{}").0, status, "{fields}");
    }
    let other = start(&shop(), &policy(json!({"base_path": "/shop/"})), &done());
    assert_eq!(other.ask("GET /shop/orders/7", "", b"").0, 200);
    assert_eq!(other.ask("GET /v1/orders/7", "", b"").0, 404);
}

#[test]
fn a_concrete_path_goes_before_a_template() {
    let gateway = start(&shop(), &policy(json!({})), &done());
    for (path, status) in [
        ("/v1/orders/7", 200),
        ("/v1/orders/latest", 200),
        ("/v1/orders/oldest", 400),
        ("/v1/files/a.b.pdf", 400),
        ("/v1/files/a.pdf", 200),
        ("/v1/files/a.exe", 400),
        ("/v1/files/.pdf", 404),
    ] {
        assert_eq!(gateway.ask(&format!("GET {path}"), "", b"").0, status, "{path}");
        assert_eq!(gateway.ask(&format!("HEAD {path}"), "", b"").0, status, "{path}");
    }
}

#[test]
fn parameters_may_be_json_and_cookies_and_may_be_missing() {
    let gateway = start(&shop(), &policy(json!({})), &done());
    for (query, cookie, expected) in [
        ("?limit=10&filter=%7B%22a%22%3A1%7D&other=1", "Cookie: session=abcd\r\n", ""),
        ("?limit=101", "Cookie: session=abcd\r\n", "query limit : must be at most 100"),
        ("?filter=%7B", "Cookie: session=abcd\r\n", "query filter : is not JSON: it ends too early"),
        ("?filter=1", "Cookie: session=abcd\r\n", "query filter : must be of the type object"),
        ("", "", "cookie session : is required"),
        ("", "Cookie: session=abc\r\n", "cookie session : must have at least 4 characters"),
        ("", "Cookie: session=abcd; session=efgh\r\n", "cookie session : is given more than once"),
    ] {
        let (status, _, answer) = gateway.ask(&format!("GET /v1/orders{query}"), cookie, b"");
        match expected {
            "" => assert_eq!(status, 200, "{answer}"),
            fault => assert_eq!(faults(&answer), [fault], "{query}"),
        }
    }
}

#[test]
fn bodies_are_read_strictly() {
    let gateway = start(&shop(), &policy(json!({"body_bytes": 4096})), &done());
    let deep = format!("{{\"lines\": {}{}}}", "[".repeat(100), "]".repeat(100));
    for (content, expected) in [
        ("", "body : is required"),
        ("{", "body : is not JSON: it ends too early"),
        ("{} {}", "body : is not JSON: line 1, column 4"),
        ("{\"lines\": [{\"sku\": \"a\"}], \"lines\": []}", "body : has a member twice"),
        (&deep, "body : is nested deeper than 64 levels"),
        ("null", "body : must be of the type object"),
    ] {
        let fields = "Content-Type: application/json\r\nX-Tenant: a\r\n";
        let (status, _, answer) = gateway.ask("POST /v1/orders", fields, content.as_bytes());
        assert_eq!(status, 400, "{answer}");
        let found = faults(&answer);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{content}: {found:?}");
    }
    let large = format!("\"{}\"", "a".repeat(5000));
    let fields = "Content-Type: application/json\r\nX-Tenant: a\r\n";
    assert_eq!(gateway.ask("POST /v1/orders", fields, large.as_bytes()).0, 413);
    let (status, _, answer) = gateway.ask("GET /v1/orders/7", "", b"surprise");
    assert_eq!((status, faults(&answer)), (400, vec!["body : must not be given here".to_owned()]));
    let chunked = "Content-Type: application/json\r\nX-Tenant: a\r\nTransfer-Encoding: chunked\r\n";
    let mut stream = TcpStream::connect(gateway.address).expect("connected");
    let head = format!("POST /v1/orders HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{chunked}\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(b"9\r\n{\"lines\":\r\n10\r\n [{\"sku\":\"a\"}] }\r\n0\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn forms_and_text_are_validated_too() {
    let gateway = start(&shop(), &policy(json!({})), &done());
    for (media, content, expected) in [
        ("application/x-www-form-urlencoded", "sku=a+b&count=3&tags=x,y", ""),
        ("application/x-www-form-urlencoded", "count=3", "body : needs the member \"sku\""),
        ("application/x-www-form-urlencoded", "sku=a&count=many", "body /count: must be of the type integer"),
        ("application/x-www-form-urlencoded", "sku=a&sku[b]=c", "body : has members that are not known: \"sku[b]\""),
        ("application/x-www-form-urlencoded", "sku=a&sku=b", "body : the field 'sku' is given more than once"),
        ("text/plain", "four", ""),
        ("text/plain", "fives", "body : must have at most 4 characters"),
    ] {
        let fields = format!("Content-Type: {media}\r\nX-Tenant: a\r\n");
        let (status, _, answer) = gateway.ask("POST /v1/orders", &fields, content.as_bytes());
        match expected {
            "" => assert_eq!(status, 200, "{answer}"),
            fault => assert_eq!(faults(&answer), [fault], "{content}"),
        }
    }
}

#[test]
fn a_schema_alone_is_for_json_and_media_types_alone_look_into_nothing() {
    let schema = json!({"type": "object", "required": ["a"], "$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n"}}});
    let gateway = start(&schema, &policy(json!({"openapi": null, "schema": "api"})), &done());
    assert_eq!(gateway.post("/any", &json!({"a": 1})).0, 200);
    let (status, problem) = gateway.post("/any", &json!({"a": "x"}));
    assert_eq!((status, problem["errors"][0]["pointer"].as_str()), (400, Some("/a")));
    assert_eq!(gateway.ask("POST /any", "Content-Type: text/plain\r\n", b"{}").0, 415);
    assert_eq!(gateway.ask("GET /any", "", b"").0, 400);
    let types = json!({"openapi": null, "content_types": ["application/json", "image/*"]});
    let gateway = start(&json!({}), &policy(types), &done());
    for (fields, status) in [
        ("Content-Type: application/json\r\n", 200),
        ("Content-Type: image/png\r\n", 200),
        ("Content-Type: text/plain\r\n", 415),
        ("", 415),
    ] {
        let (found, head, _) = gateway.ask("POST /any", fields, b"not json");
        assert_eq!(found, status, "{fields}");
        assert_eq!(head.contains("accept: application/json, image/*"), status == 415);
        assert_eq!(head.contains("accept-post: application/json, image/*"), status == 415);
    }
    assert_eq!(gateway.ask("GET /any", "", b"").0, 200);
}

#[test]
fn openapi_3_0_has_a_dialect_of_its_own() {
    let document = json!({"openapi": "3.0.3", "paths": {"/x": {"post": {"requestBody": {"content": {"application/json": {"schema": {
        "type": "object", "properties": {
            "maybe": {"type": "string", "nullable": true},
            "never": {"type": "string"},
            "above": {"type": "number", "minimum": 0, "exclusiveMinimum": true},
            "below": {"type": "number", "maximum": 10, "exclusiveMaximum": false},
            "raw": {"type": "string", "format": "byte"},
            "beside": {"$ref": "#/components/schemas/Any", "maxLength": 1},
        },
    }}}}}}}, "components": {"schemas": {"Any": {}}}});
    let gateway = start(&document, &policy(json!({})), &done());
    for (content, status) in [
        (json!({"maybe": null}), 200),
        (json!({"never": null}), 400),
        (json!({"above": 0}), 400),
        (json!({"above": 0.1}), 200),
        (json!({"below": 10}), 200),
        (json!({"below": 11}), 400),
        (json!({"raw": "aGk="}), 200),
        (json!({"raw": "a?"}), 400),
        (json!({"beside": "longer"}), 200),
    ] {
        assert_eq!(gateway.post("/x", &content).0, status, "{content}");
    }
}

#[test]
fn mistakes_of_a_document_are_found_before_any_request() {
    let operation = |schema: Value| json!({"openapi": "3.1.0", "paths": {"/x": {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}}}});
    for (document, expected) in [
        (json!({}), "validate: openapi: it is no OpenAPI document"),
        (json!({"openapi": "2.0"}), "validate: openapi: it is no OpenAPI document"),
        (operation(json!({"type": "strin"})), "it is not a valid schema"),
        (operation(json!({"$ref": "#/components/schemas/None"})), "points at nothing"),
        (operation(json!({"$ref": "https://elsewhere.example/a"})), "is not a JSON Pointer"),
        (operation(json!({"pattern": "(?=a)b"})), "cannot be matched in linear time"),
        (operation(json!({"pattern": "(a)\\1"})), "cannot be matched in linear time"),
        (operation(json!({"pattern": "("})), "pattern"),
        (operation(json!({"pattern": "(a{1000}){1000}"})), "pattern"),
        (
            json!({"openapi": "3.1.0", "paths": {"/x": {"get": {"parameters": [{"name": "a", "in": "query", "style": "simple"}]}}}}),
            "does not have this style",
        ),
        (
            json!({"openapi": "3.1.0", "paths": {"/x": {"get": {"parameters": [{"$ref": "#/a"}]}}}, "a": {"$ref": "#/a"}}),
            "circle",
        ),
    ] {
        let found = errors(&document, &policy(json!({})));
        assert!(
            found.len() == 1 && found[0].contains(expected)
                || found[0].contains("linear time") && expected == "pattern",
            "{expected}: {found:?}"
        );
        assert!(found[0].starts_with("route 'all': validate: openapi: "), "{found:?}");
    }
    let two = json!({"openapi": "3.1.0", "paths": {
        "/x": {"get": {"parameters": [{"name": "a", "in": "query", "schema": {"type": 1}}]}, "put": {"parameters": [{"in": "query"}]}},
    }});
    let found = errors(&two, &policy(json!({})));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|error| error.contains("/paths/~1x/put/parameters/0: it has no name")), "{found:?}");
}

#[test]
fn no_pattern_makes_a_request_expensive() {
    let schema = json!({"type": "string", "pattern": "^(a+)+$"});
    let gateway = start(&schema, &policy(json!({"openapi": null, "schema": "api"})), &done());
    let begin = Instant::now();
    let (status, _) = gateway.post("/x", &json!(format!("{}!", "a".repeat(100_000))));
    assert_eq!(status, 400);
    // What goes back does not end within the age of the universe.
    assert!(begin.elapsed().as_secs() < 60);
}

#[test]
fn answers_are_told_of_or_enforced() {
    let enforce = |larger: bool| policy(json!({"responses": {"enforce": true, "body_bytes": 1000, "larger": larger}}));
    let report = policy(json!({"responses": {"enforce": false, "body_bytes": 1000, "larger": true}}));
    let json_answer = |headers: Value, body: &str| json!({"status": 200, "headers": headers, "body": body});
    let right = json!({"x-count": "1", "content-type": "application/json"});
    let long = format!("[\"{}\"]", "a".repeat(2000));
    for (answer, refused) in [
        (json_answer(right.clone(), "[]"), false),
        (json_answer(right.clone(), "{}"), true),
        (json_answer(right.clone(), "no json"), true),
        (json_answer(json!({"content-type": "application/json"}), "[]"), true),
        (json_answer(json!({"x-count": "many", "content-type": "application/json"}), "[]"), true),
        (json_answer(json!({"x-count": "1", "content-type": "text/html"}), "[]"), true),
        (json!({"status": 404, "headers": {}, "body": ""}), true),
        (json_answer(right.clone(), &long), true),
    ] {
        let line = "GET /v1/orders";
        let cookie = "Cookie: session=abcd\r\n";
        let (status, _, content) = start(&shop(), &enforce(false), &answer).ask(line, cookie, b"");
        assert_eq!(status == 502, refused, "{answer} {content}");
        assert_eq!(content.contains("response-invalid"), refused, "{content}");
        let (status, _, content) = start(&shop(), &report, &answer).ask(line, cookie, b"");
        assert_eq!(json!(status), answer["status"]);
        assert_eq!(content, answer["body"].as_str().expect("text"));
    }
    let large = start(&shop(), &enforce(true), &json_answer(right, &long));
    assert_eq!(large.ask("GET /v1/orders", "Cookie: session=abcd\r\n", b"").0, 200);
    let leak = json!({"status": 201, "headers": {"content-type": "application/json"}, "body": "{\"id\": \"7\", \"secret\": \"s\", \"lines\": [{\"sku\": \"a\"}]}"});
    let order = json!({"lines": [{"sku": "a"}]}).to_string();
    let fields = "Content-Type: application/json\r\nX-Tenant: a\r\n";
    let gateway = start(&shop(), &enforce(false), &leak);
    assert_eq!(gateway.ask("POST /v1/orders", fields, order.as_bytes()).0, 502, "what is write-only is not answered");
}

#[test]
fn responses_have_one_of_the_types_that_are_listed_or_are_told_of_or_refused() {
    let policy = |enforce: bool| {
        policy(json!({
            "openapi": null, "response_types": ["application/json", "image/*"],
            "responses": {"enforce": enforce, "body_bytes": 0, "larger": false},
        }))
    };
    for (response, status) in [
        (json!({"status": 200, "headers": {"content-type": "application/json; charset=utf-8"}, "body": "{}"}), 200),
        (json!({"status": 200, "headers": {"content-type": "image/png"}, "body": "x"}), 200),
        (json!({"status": 204, "headers": {}, "body": ""}), 204),
        (json!({"status": 200, "headers": {}, "body": ""}), 200),
        (json!({"status": 200, "headers": {"content-type": "text/html"}, "body": "<html>"}), 502),
        (json!({"status": 404, "headers": {"content-type": "text/html"}, "body": "<html>"}), 502),
        (json!({"status": 200, "headers": {"content-type": "application/json-seq"}, "body": "x"}), 502),
        (json!({"status": 200, "headers": {}, "body": "x"}), 502),
    ] {
        let (answered, head, content) = start(&shop(), &policy(true), &response).ask("GET /a", "", b"");
        assert_eq!(answered, status, "{response}\n{head}");
        assert!(!content.contains("<html>"), "{content}");
        let told = start(&shop(), &policy(false), &response).ask("GET /a", "", b"").0;
        assert_eq!(Value::from(told), response["status"]);
    }
    let response = json!({"status": 200, "headers": {"content-type": "text/html"}, "body": "<html>"});
    assert_eq!(start(&shop(), &policy(true), &response).ask("HEAD /a", "", b"").0, 502);
}
