//! `TRACE` (RFC 9110 §9.3.8): refused unless a route names it, and never a way to see what is secret.

use crate::door::{self, Door};
use crate::endpoint::{Endpoint, OK};
use serde_json::{json, Value};

const SECRETS: &str = "Authorization: Bearer s3cret\r\nCookie: session=s3cret\r\nProxy-Authorization: Basic s3cret\r\n\
    X-Api-Key: s3cret\r\nX-Whatever: s3cret\r\n";

/// A route of its own for `/traced`, with these policies.
fn door(endpoint: &Endpoint, policies: Value) -> Door {
    let mut snapshot = door::snapshot(endpoint.address);
    let mut route = snapshot["routes"]["all"].clone();
    route["match"]["path"] = json!("/traced/{rest...}");
    route["match"]["methods"] = json!(["GET", "TRACE"]);
    route["policies"] = policies;
    snapshot["routes"]["traced"] = route;
    Door::open(snapshot)
}

#[test]
fn a_route_that_does_not_name_it_refuses_it() {
    let endpoint = Endpoint::answering(OK);
    let door = door(&endpoint, json!({}));
    for path in ["/", "/fixed", "*", "http://shop.example/a"] {
        let answer = door.client().ask(format!("TRACE {path} HTTP/1.1\r\nHost: h\r\n{SECRETS}\r\n").as_bytes());
        let expected = if path == "*" { 400 } else { 501 };
        assert_eq!(answer.status(), expected, "{path}");
        assert!(!String::from_utf8_lossy(&answer.content).contains("s3cret"));
    }
    assert_eq!(endpoint.connections(), 0);
}

#[test]
fn where_it_is_named_the_gateway_answers_it_without_what_may_be_secret() {
    let endpoint = Endpoint::answering(OK);
    let policies = json!({"headers": {"request": {"set": {"user-agent": "changed", "x-added": "s3cret"}, "add": {}, "remove": []},
        "response": {"set": {}, "add": {}, "remove": []}}});
    let door = door(&endpoint, policies);
    let mut client = door.client();
    for forwards in ["", "Max-Forwards: 0\r\n", "Max-Forwards: 7\r\n"] {
        let ask = format!(
            "TRACE /traced/%7Ea?key=s3cret HTTP/1.1\r\nHost: shop.example\r\nVia: 1.1 one, 1.1 two\r\n{forwards}{SECRETS}\r\n"
        );
        let answer = client.ask(ask.as_bytes());
        let content = String::from_utf8(answer.content.clone()).unwrap();
        assert_eq!(
            (answer.status(), answer.field("content-type").as_deref()),
            (200, Some("message/http")),
            "{content}"
        );
        assert!(content.starts_with("TRACE /traced/%7Ea HTTP/1.1\r\nhost: shop.example\r\nvia: 1.1 one, 1.1 two\r\n"));
        assert!(content.contains(&forwards.to_ascii_lowercase()) && content.ends_with("\r\n\r\n"), "{content}");
        assert!(content.contains("x-forwarded-for: 127.0.0.1\r\n"), "{content}");
        assert!(!content.contains("s3cret") && content.contains("user-agent: changed"), "{content}");
        assert_eq!(answer.field("cache-control").as_deref(), Some("no-store"));
    }
    assert_eq!(endpoint.connections(), 0);
}

#[test]
fn policies_come_first_and_content_is_refused() {
    let endpoint = Endpoint::answering(OK);
    let key = json!({"authenticate": {"any": [{"api_key": {"header": "x-api-key", "query": null}}]}});
    let guarded = door(&endpoint, key).client().ask(b"TRACE /traced/a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(guarded.status(), 401);
    let door = door(&endpoint, json!({}));
    for content in ["Content-Length: 2\r\n\r\nhi", "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"] {
        let answer = door.client().ask(format!("TRACE /traced/a HTTP/1.1\r\nHost: h\r\n{content}").as_bytes());
        assert_eq!(answer.status(), 400);
    }
}
