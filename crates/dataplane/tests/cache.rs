//! The cache as clients and services see it, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod door;
mod endpoint;
mod wire;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use door::{snapshot, until, Client, Door};
use endpoint::Endpoint;
use serde_json::{json, Value};
use stagedoor_dataplane::policy::cache::Purge;
use wire::{Kind, Message, Taken};

fn policy(changes: Value) -> Value {
    let mut policy = json!({
        "query": "all", "vary_by": [], "forward": [], "share_consumers": false, "ttl_s": {}, "heuristic": false,
        "set_cookies": false, "object_bytes": 1_048_576, "variants": 8, "stale_while_revalidate_s": 0,
        "stale_if_error_s": 0, "client_control": true, "groups": [], "invalidates": [], "status": true,
    });
    for (name, value) in changes.as_object().unwrap() {
        policy[name] = value.clone();
    }
    policy
}

fn configured(endpoint: &Endpoint, changes: Value, workers: usize) -> Value {
    let mut snapshot = snapshot(endpoint.address);
    snapshot["workers"] = json!(workers);
    snapshot["listeners"]["public"]["limits"]["connections"] = json!(5000);
    snapshot["routes"]["all"]["policies"]["cache"] = policy(changes);
    snapshot
}

fn door(endpoint: &Endpoint, changes: Value) -> Door {
    Door::open(configured(endpoint, changes, 1))
}

/// Answers each request by the function of its head and its number.
fn service(answer: impl Fn(&str, usize) -> Vec<u8> + Send + Sync + 'static) -> Endpoint {
    let number = AtomicUsize::new(0);
    Endpoint::start(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            let bytes = answer(&head, number.fetch_add(1, Ordering::SeqCst));
            if bytes.is_empty() || !connection.send(&bytes) {
                return;
            }
        }
    })
}

/// The answers in their order, the last for ever.
fn scripted(answers: Vec<Vec<u8>>) -> Endpoint {
    service(move |_, number| answers[number.min(answers.len() - 1)].clone())
}

fn answer(status: &str, fields: &str, content: &str) -> Vec<u8> {
    let fields: String =
        fields.split('|').filter(|field| !field.is_empty()).map(|field| format!("{field}\r\n")).collect();
    let length =
        if status.starts_with("304") { String::new() } else { format!("Content-Length: {}\r\n", content.len()) };
    format!("HTTP/1.1 {status}\r\n{fields}{length}\r\n{content}").into_bytes()
}

fn ok(fields: &str, content: &str) -> Vec<u8> {
    answer("200 OK", fields, content)
}

fn ask(client: &mut Client, start: &str, fields: &str) -> Message {
    let fields: String =
        fields.split('|').filter(|field| !field.is_empty()).map(|field| format!("{field}\r\n")).collect();
    let host = if fields.to_ascii_lowercase().contains("host:") && !fields.contains("X-") {
        ""
    } else {
        "Host: shop.example\r\n"
    };
    let head = start.starts_with("HEAD");
    assert!(client.send(format!("{start} HTTP/1.1\r\n{host}{fields}\r\n").as_bytes()));
    loop {
        match wire::take(&client.unread, if head { Kind::HeadAnswer } else { Kind::Answer }, false) {
            Taken::Whole(message, taken) => {
                client.unread.drain(..taken);
                return *message;
            }
            Taken::Partial => client.read().unwrap(),
            Taken::Broken(reason) => panic!("{reason}"),
        }
    }
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.content).into_owned()
}

fn status(message: &Message) -> String {
    message.field("cache-status").unwrap_or_default()
}

#[test]
fn a_fresh_response_is_fetched_once_and_says_how_old_it_is() {
    let endpoint = scripted(vec![ok("Cache-Control: max-age=60|Age: 7|X-A: 1", "hello"), ok("", "never")]);
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let first = ask(&mut client, "GET /a?b=1", "");
    assert_eq!(
        (text(&first).as_str(), status(&first).as_str()),
        ("hello", "stagedoor; fwd=uri-miss; fwd-status=200; ttl=53; stored")
    );
    let second = ask(&mut client, "GET /a?b=1", "");
    assert_eq!(text(&second), "hello");
    assert!(status(&second).starts_with("stagedoor; hit; ttl=5"), "{}", status(&second));
    assert!(["7", "8"].contains(&second.field("age").unwrap().as_str()));
    assert_eq!(second.field("x-a").as_deref(), Some("1"));
    let head = ask(&mut client, "HEAD /a?b=1", "");
    assert_eq!((head.field("content-length").as_deref(), text(&head).as_str()), (Some("5"), ""));
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn what_is_streamed_is_stored_while_it_goes_through() {
    let endpoint = Endpoint::start(|mut connection| {
        while connection.request().is_some() {
            connection.send(
                b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            );
            connection.send(b"6\r\n world\r\n0\r\n\r\n");
        }
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    assert_eq!(text(&ask(&mut client, "GET /a", "")), "hello world");
    until("it is stored", || door.server.shared.cache.level().entries == 1);
    let again = ask(&mut client, "GET /a", "");
    assert_eq!((text(&again).as_str(), again.field("content-length").as_deref()), ("hello world", Some("11")));
    assert_eq!(endpoint.requests(), 1);
}

/// What a response or its request says, and whether the second request is answered from the store.
#[test]
fn responses_are_stored_and_used_by_the_rules_of_rfc_9111() {
    let date =
        |seconds: u64| httpdate::fmt_http_date(std::time::SystemTime::now() + std::time::Duration::from_secs(seconds));
    let (soon, past) = (date(3600), "Thu, 01 Jan 1970 00:00:01 GMT");
    let cases: &[(&str, &str, &str, &str, bool)] = &[
        // status, response, first request, second request, stored
        ("200 OK", "", "", "", false),
        ("200 OK", "Cache-Control: max-age=60", "", "", true),
        ("200 OK", "Cache-Control: max-age=0", "", "", false),
        ("200 OK", "Cache-Control: max-age=60|Age: 61", "", "", false),
        ("200 OK", "Cache-Control: max-age=60|Age: x", "", "", false),
        ("200 OK", "Cache-Control: max-age=99999999999999999999", "", "", true),
        ("200 OK", "Cache-Control: max-age=0, s-maxage=60", "", "", true),
        ("200 OK", "Cache-Control: s-maxage=0, max-age=60", "", "", false),
        ("200 OK", "Cache-Control: max-age=60, no-store", "", "", false),
        ("200 OK", "Cache-Control: max-age=60, no-cache", "", "", false),
        ("200 OK", "Cache-Control: max-age=60, private", "", "", false),
        ("200 OK", "Cache-Control: x=\"max-age=60, public\"", "", "", false),
        ("200 OK", "Cache-Control: max-age=60, no-store, must-understand", "", "", true),
        ("299 Odd", "Cache-Control: max-age=60, no-store, must-understand", "", "", false),
        ("299 Odd", "Cache-Control: max-age=60, must-understand", "", "", false),
        ("299 Odd", "Cache-Control: max-age=60", "", "", true),
        ("404 Not Found", "Cache-Control: max-age=60", "", "", true),
        ("500 Oops", "Cache-Control: max-age=60", "", "", true),
        ("200 OK", "CDN-Cache-Control: max-age=60|Cache-Control: no-store", "", "", true),
        ("200 OK", "CDN-Cache-Control: no-store|Cache-Control: max-age=60", "", "", false),
        ("200 OK", "CDN-Cache-Control: max-age=0|Stagedoor-Cache-Control: max-age=60", "", "", true),
        ("200 OK", "CDN-Cache-Control: max-age=\"60|Cache-Control: max-age=60", "", "", true),
        ("200 OK", "CDN-Cache-Control: max-age=x|Cache-Control: max-age=60", "", "", false),
        ("200 OK", "Cache-Control: max-age=60", "Authorization: Basic x", "", false),
        ("200 OK", "Cache-Control: max-age=60, public", "Authorization: Basic x", "", true),
        ("200 OK", "Cache-Control: s-maxage=60", "Authorization: Basic x", "", true),
        ("200 OK", "Cache-Control: max-age=60, must-revalidate", "Authorization: Basic x", "", true),
        ("200 OK", "Cache-Control: max-age=60", "Cookie: a=b", "", false),
        ("200 OK", "Cache-Control: max-age=60, public", "Cookie: a=b", "", false),
        ("200 OK", "Cache-Control: max-age=60|Vary: Cookie", "Cookie: a=b", "Cookie: a=b", true),
        ("200 OK", "Cache-Control: max-age=60|Vary: Cookie", "Cookie: a=b", "Cookie: a=c", false),
        ("200 OK", "Cache-Control: max-age=60", "", "Cookie: a=b", true),
        ("200 OK", "Cache-Control: max-age=60|Set-Cookie: a=b", "", "", false),
        ("200 OK", "Cache-Control: max-age=60, public|Set-Cookie: a=b", "", "", true),
        ("200 OK", "Cache-Control: max-age=60|Vary: *", "", "", false),
        ("200 OK", "Cache-Control: max-age=60|Vary: X-A", "X-A: 1", "X-A: 1", true),
        ("200 OK", "Cache-Control: max-age=60|Vary: X-A", "X-A: 1", "X-A: 2", false),
        ("200 OK", "Cache-Control: max-age=60|Vary: X-A", "", "X-A: 2", false),
        ("200 OK", "Cache-Control: max-age=60|Vary: X-A", "X-A: 1,  2", "X-A: 1|X-A: 2", true),
        (
            "200 OK",
            "Cache-Control: max-age=60|Vary: Accept-Encoding",
            "Accept-Encoding: gzip, br;q=0.5",
            "Accept-Encoding: BR, x, gzip",
            true,
        ),
        (
            "200 OK",
            "Cache-Control: max-age=60|Vary: Accept-Encoding",
            "Accept-Encoding: gzip",
            "Accept-Encoding: gzip;q=0",
            false,
        ),
        ("200 OK", "Cache-Control: max-age=60|Content-Type: text/event-stream", "", "", false),
        ("200 OK", "Cache-Control: max-age=60", "Cache-Control: no-store", "", false),
        ("200 OK", "Cache-Control: max-age=60", "", "Cache-Control: no-store", false),
        ("200 OK", "Cache-Control: max-age=60", "", "Cache-Control: no-cache", false),
        ("200 OK", "Cache-Control: max-age=60", "", "Pragma: no-cache", false),
        ("200 OK", "Cache-Control: max-age=60|Age: 30", "", "Cache-Control: max-age=10", false),
        ("200 OK", "Cache-Control: max-age=60|Age: 30", "", "Cache-Control: max-age=59", true),
        ("200 OK", "Cache-Control: max-age=60|Age: 30", "", "Cache-Control: min-fresh=40", false),
        ("200 OK", "Cache-Control: max-age=60|Age: 90", "", "Cache-Control: max-stale=10", false),
        ("200 OK", "Cache-Control: max-age=60|Age: 90|ETag: \"a\"", "", "Cache-Control: max-stale=40", true),
        ("200 OK", "Cache-Control: max-age=60|Age: 90|ETag: \"a\"", "", "Cache-Control: max-stale", true),
        (
            "200 OK",
            "Cache-Control: max-age=60, must-revalidate|Age: 90|ETag: \"a\"",
            "",
            "Cache-Control: max-stale",
            false,
        ),
        ("200 OK", "Cache-Control: max-age=60, immutable", "", "Cache-Control: max-age=0", true),
        ("200 OK", "Cache-Control: max-age=60", "", "If-Match: \"a\"", false),
        ("200 OK", &format!("Expires: {soon}"), "", "", true),
        ("200 OK", &format!("Expires: {past}"), "", "", false),
        ("200 OK", "Expires: 0", "", "", false),
        ("200 OK", &format!("Expires: {soon}|Expires: {soon}"), "", "", false),
        ("200 OK", &format!("Date: {soon}|Expires: {soon}"), "", "", false),
        ("200 OK", &format!("Last-Modified: {past}"), "", "", false),
    ];
    let answers: Vec<Vec<u8>> = cases.iter().map(|case| answer(case.0, case.1, "hello")).collect();
    let endpoint = service(move |head, _| {
        let case: usize = head["GET /".len()..].split(' ').next().unwrap().parse().unwrap();
        answers[case].clone()
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let wrong: Vec<String> = cases
        .iter()
        .enumerate()
        .filter_map(|(index, case)| {
            ask(&mut client, &format!("GET /{index}"), case.2);
            let second = ask(&mut client, &format!("GET /{index}"), case.3);
            let hit = status(&second).contains("; hit");
            (hit != case.4).then(|| format!("{case:?}: {}", status(&second)))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_route_says_what_responses_do_not_say() {
    let modified = "Last-Modified: Thu, 01 Jan 1970 00:00:01 GMT";
    let endpoint = service(move |head, _| match head {
        head if head.starts_with("GET /old") => ok(modified, "old"),
        head if head.starts_with("GET /cookie") => ok("Set-Cookie: a=b|Cache-Control: max-age=60", "cookie"),
        head if head.starts_with("GET /missing") => answer("404 Not Found", "", "missing"),
        _ => ok("", "plain"),
    });
    let door =
        door(&endpoint, json!({"ttl_s": {"404": 60}, "heuristic": true, "set_cookies": true, "client_control": false}));
    let mut client = door.client();
    for (path, stored) in [("/old", true), ("/cookie", true), ("/missing", true), ("/plain", false)] {
        ask(&mut client, &format!("GET {path}"), "");
        let second = ask(&mut client, &format!("GET {path}"), "Cache-Control: no-cache");
        assert_eq!(status(&second).contains("; hit"), stored, "{path}: {}", status(&second));
    }
}

#[test]
fn a_stale_response_is_asked_for_again_and_freshened() {
    let endpoint = service(|head, number| match number {
        0 => ok("Cache-Control: max-age=60|Age: 90|ETag: \"v1\"|X-A: 1|Content-Type: text/plain", "hello"),
        1 => {
            assert!(head.contains("if-none-match: \"v1\"\r\n"), "{head}");
            answer("304 Not Modified", "Cache-Control: max-age=60|ETag: \"v1\"|X-A: 2", "")
        }
        _ => ok("", "never"),
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    ask(&mut client, "GET /", "");
    let second = ask(&mut client, "GET /", "");
    assert_eq!((second.status(), text(&second).as_str(), second.field("x-a").as_deref()), (200, "hello", Some("2")));
    assert!(status(&second).starts_with("stagedoor; fwd=stale; fwd-status=304; ttl="), "{}", status(&second));
    for (fields, expected) in [
        ("If-None-Match: \"v0\", W/\"v1\"", 304),
        ("If-None-Match: *", 304),
        ("If-None-Match: \"v0\"|If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT", 200),
        ("If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT", 304),
        ("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT", 200),
    ] {
        let got = ask(&mut client, "GET /", fields);
        assert_eq!(got.status(), expected, "{fields}");
        assert_eq!(got.field("etag").as_deref(), Some("\"v1\""));
        assert_eq!(got.field("content-type").is_none(), expected == 304);
    }
    assert_eq!(endpoint.requests(), 2);
}

#[test]
fn ranges_come_from_what_is_stored_whole() {
    let endpoint = service(|head, _| match head.to_ascii_lowercase().contains("\r\nrange: ") {
        true => answer("206 Partial Content", "Cache-Control: max-age=60|Content-Range: bytes 0-0/10", "0"),
        false => ok("Cache-Control: max-age=60|ETag: \"a\"|Content-Type: text/plain", "0123456789"),
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let miss = ask(&mut client, "GET /", "Range: bytes=0-0");
    assert_eq!((miss.status(), status(&miss).contains("stored")), (206, false));
    ask(&mut client, "GET /", "");
    for (fields, code, content, range) in [
        ("Range: bytes=2-3", 206, "23", Some("bytes 2-3/10")),
        ("Range: bytes=7-", 206, "789", Some("bytes 7-9/10")),
        ("Range: bytes=-2", 206, "89", Some("bytes 8-9/10")),
        ("Range: bytes=8-99999999999999999999999", 206, "89", Some("bytes 8-9/10")),
        ("Range: bytes=10-", 416, "", Some("bytes */10")),
        ("Range: bytes=-0", 416, "", Some("bytes */10")),
        ("Range: bytes=3-2", 200, "0123456789", None),
        ("Range: lines=1-2", 200, "0123456789", None),
        ("Range: bytes=0-9,0-9", 200, "0123456789", None),
        ("Range: bytes=1-1|If-Range: \"a\"", 206, "1", Some("bytes 1-1/10")),
        ("Range: bytes=1-1|If-Range: W/\"a\"", 200, "0123456789", None),
        ("Range: bytes=1-1|If-None-Match: \"a\"", 304, "", None),
    ] {
        let got = ask(&mut client, "GET /", fields);
        assert_eq!(
            (got.status(), text(&got).as_str(), got.field("content-range").as_deref()),
            (code, content, range),
            "{fields}"
        );
    }
    let parts = ask(&mut client, "GET /", "Range: bytes=0-1, 8-8");
    assert!(parts.field("content-type").unwrap().starts_with("multipart/byteranges; boundary="));
    assert!(
        text(&parts).contains("content-range: bytes 0-1/10\r\n\r\n01\r\n")
            && text(&parts).contains("bytes 8-8/10\r\n\r\n8\r\n")
    );
    assert_eq!(endpoint.requests(), 2);
}

#[test]
fn stale_responses_serve_while_they_are_asked_for_again_and_when_the_service_fails() {
    let endpoint = service(|head, number| match (head.contains(" /while"), number) {
        (true, 0) => ok("Cache-Control: max-age=60, stale-while-revalidate=60|Age: 90", "old"),
        (true, _) => ok("Cache-Control: max-age=60", "new"),
        (false, _) if head.contains(" /error") && number < 4 => {
            ok("Cache-Control: max-age=60, stale-if-error=60|Age: 90", "kept")
        }
        (false, _) if head.contains(" /must") && number < 4 => {
            ok("Cache-Control: max-age=60, stale-if-error=60, must-revalidate|Age: 90", "kept")
        }
        _ => answer("503 Service Unavailable", "", "broken"),
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    ask(&mut client, "GET /while", "");
    let stale = ask(&mut client, "GET /while", "");
    assert_eq!((text(&stale).as_str(), status(&stale).contains("stale-while-revalidate")), ("old", true));
    until("the new one is stored", || text(&ask(&mut client, "GET /while", "")) == "new");
    assert_eq!(endpoint.requests(), 2);
    ask(&mut client, "GET /error", "");
    ask(&mut client, "GET /must", "");
    let kept = ask(&mut client, "GET /error", "");
    assert_eq!((kept.status(), text(&kept).as_str(), status(&kept).contains("stale-if-error")), (200, "kept", true));
    assert_eq!(ask(&mut client, "GET /must", "").status(), 503);
}

#[test]
fn only_if_cached_never_reaches_the_service() {
    let endpoint = scripted(vec![ok("Cache-Control: max-age=60", "hello")]);
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let miss = ask(&mut client, "GET /", "Cache-Control: only-if-cached");
    assert_eq!(miss.status(), 504);
    assert!(text(&miss).contains("not-cached"));
    assert_eq!(endpoint.requests(), 0);
    ask(&mut client, "GET /", "");
    assert_eq!(ask(&mut client, "GET /", "Cache-Control: only-if-cached").status(), 200);
}

#[test]
fn writes_invalidate_what_they_name_and_only_of_their_own_origin() {
    let endpoint = service(|head, _| match head.split(' ').next().unwrap() {
        "GET" => ok("Cache-Control: max-age=60|Vary: X-A|Cache-Groups: \"g\"", "hello"),
        _ if head.contains(" /fail") => answer("500 Oops", "Location: /other", ""),
        _ if head.contains(" /group") => ok("Cache-Group-Invalidation: \"g\", \"h\"", ""),
        _ if head.contains(" /foreign") => ok("Location: http://elsewhere.example/other", ""),
        _ => ok("Location: other|Content-Location: http://SHOP.example:80/third?x=1", ""),
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let mut is_hit =
        |path: &str, fields: &str| status(&ask(&mut client, &format!("GET {path}"), fields)).contains("; hit");
    let mut writer = door.client();
    let all = [("/page", ""), ("/page", "X-A: 1"), ("/other", ""), ("/third?x=1", "")];
    for (write, gone) in [("POST /fail", 0), ("POST /foreign", 0), ("M-SEARCH /page", 4), ("DELETE /group", 4)] {
        for (path, fields) in all {
            is_hit(path, fields);
            assert!(is_hit(path, fields), "{path}");
        }
        ask(&mut writer, write, "Content-Length: 0");
        let hits = all.iter().filter(|(path, fields)| is_hit(path, fields)).count();
        assert_eq!(hits, 4 - gone, "{write}");
    }
}

#[test]
fn purges_reach_every_variant_by_url_prefix_and_group() {
    let endpoint = service(|_, _| ok("Cache-Control: max-age=60, stale-while-revalidate=60|Vary: X-A", "hello"));
    let door = door(&endpoint, json!({"groups": ["shop"], "query": {"names": ["a"]}}));
    let mut client = door.client();
    let asks = [("/x/1?a=1", ""), ("/x/1?a=1", "X-A: 1"), ("/x/2", ""), ("/y", "")];
    for (purge, count) in [
        (Purge::Url("http://shop.example/x/1?a=1&unknown=1"), 2),
        (Purge::Prefix("HTTP://shop.EXAMPLE:80/x/"), 3),
        (Purge::Group("shop"), 4),
        (Purge::Group("other"), 0),
        (Purge::All, 4),
    ] {
        for (path, fields) in asks {
            ask(&mut client, &format!("GET {path}"), fields);
        }
        assert_eq!(door.server.purge(&purge, false), Ok(count));
        assert_eq!(door.server.shared.cache.level().entries, 4 - count);
    }
    ask(&mut client, "GET /y", "");
    assert_eq!(door.server.purge(&Purge::Url("http://shop.example/y"), true), Ok(1));
    let soft = ask(&mut client, "GET /y", "");
    assert!(status(&soft).contains("stale-while-revalidate"), "{}", status(&soft));
    for wrong in ["shop.example/y", "ftp://a/b", "http:///x"] {
        assert!(door.server.purge(&Purge::Url(wrong), false).is_err());
    }
}

#[test]
fn a_route_declares_what_its_writes_invalidate() {
    let endpoint = scripted(vec![ok("Cache-Control: max-age=60", "hello")]);
    let mut snapshot = configured(&endpoint, json!({"groups": ["items"]}), 1);
    let mut write = snapshot["routes"]["all"].clone();
    write["match"] = json!({"hosts": [], "path": "/write", "methods": ["POST"], "headers": {}, "query": {}});
    write["policies"]["cache"] = policy(json!({"invalidates": ["items"]}));
    snapshot["routes"]["write"] = write;
    let door = Door::open(snapshot);
    let mut client = door.client();
    ask(&mut client, "GET /items", "");
    assert!(status(&ask(&mut client, "GET /items", "")).contains("; hit"));
    ask(&mut client, "POST /write", "Content-Length: 0");
    assert!(!status(&ask(&mut client, "GET /items", "")).contains("; hit"));
}

/// Fields that a service may make its answer of, none of them in the key: none reaches it.
#[test]
fn nothing_that_is_not_in_the_key_reaches_the_service() {
    let endpoint = scripted(vec![ok("Cache-Control: max-age=60", "hello")]);
    let door = door(
        &endpoint,
        json!({"query": {"names": ["page"]}, "vary_by": [{"header": "x-tenant"}], "forward": ["x-known"]}),
    );
    let mut client = door.client();
    let evil = "X-Forwarded-Host: evil|X-Forwarded-Scheme: evil|X-Forwarded-Port: 1|X-Forwarded-Prefix: /evil|X-Original-URL: /evil|\
        X-Rewrite-URL: /evil|X-HTTP-Method-Override: POST|X-HTTP-Method: evil|X-Host: evil|Forwarded: host=evil|Origin: http://evil|\
        User-Agent: evil|Referer: evil|X-Tenant: good|X-Known: good";
    let got = ask(&mut client, "GET /a?utm=evil&page=1", evil);
    assert_eq!(got.status(), 200);
    let seen = endpoint.text();
    assert!(!seen.contains("evil"), "{seen}");
    assert!(seen.starts_with("GET /a?page=1 HTTP/1.1\r\n"), "{seen}");
    for there in [
        "x-tenant: good",
        "x-known: good",
        "host: shop.example",
        "x-forwarded-host: shop.example",
        "x-forwarded-proto: http",
    ] {
        assert!(seen.contains(there), "{there} in {seen}");
    }
    assert!(!seen.contains("x-forwarded-for"), "{seen}");
    assert!(status(&ask(&mut client, "GET /a?page=1", "X-Tenant: good")).contains("; hit"));
    assert!(!status(&ask(&mut client, "GET /a?page=1", "X-Tenant: other")).contains("; hit"));
    assert!(!status(&ask(&mut client, "GET /a?page=1", "")).contains("; hit"));
    // Content could make the answer, too: such a request goes past the cache.
    client.send(b"GET /b HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\n\r\nevil");
    assert_eq!(status(&client.answer()), "stagedoor; fwd=bypass");
    assert!(status(&ask(&mut client, "GET /b", "")).contains("uri-miss"));
}

#[test]
fn what_an_answer_varies_by_is_told_to_the_service_after_all() {
    let endpoint = service(|head, _| {
        let tenant = head.lines().find_map(|line| line.strip_prefix("x-tenant: ")).unwrap_or("nobody").to_owned();
        ok("Cache-Control: max-age=60|Vary: X-Tenant", &tenant)
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    for (tenant, asks) in [("a", 2), ("b", 3), ("a", 3), ("b", 3)] {
        assert_eq!(text(&ask(&mut client, "GET /", &format!("X-Tenant: {tenant}"))), tenant);
        assert_eq!(endpoint.requests(), asks);
    }
    assert_eq!(text(&ask(&mut client, "GET /", "")), "nobody");
}

/// Every pair is told apart, however its parts are cut.
#[test]
fn keys_do_not_collide() {
    let endpoint = service(|head, _| {
        let line = head.lines().next().unwrap().to_owned();
        let host = head.lines().find(|line| line.to_ascii_lowercase().starts_with("host:")).unwrap().to_owned();
        let fields: Vec<&str> = head.lines().filter(|line| line.starts_with("x-")).collect();
        ok("Cache-Control: max-age=60", &format!("{line} {host} {}", fields.join(";")))
    });
    let door = door(&endpoint, json!({"vary_by": [{"header": "x-a"}, {"header": "x-b"}], "query": "sorted"}));
    let mut client = door.client();
    let asks = [
        ("/a", "Host: b"),
        ("/b", "Host: a"),
        ("/", "Host: b:81"),
        ("/a?", "Host: b"),
        ("/a?b", "Host: b"),
        ("/a?b=", "Host: b"),
        ("/a%3Fb", "Host: b"),
        ("/a%3fb=", "Host: b"),
        ("/?x-a=1", "Host: b"),
        ("/v", "X-A: 1"),
        ("/v", "X-B: 1"),
        ("/v", "X-A: 1|X-B: 1"),
        ("/v", "X-A: 1, 1"),
        ("/v", "X-A: \"1, 1\""),
        ("/v", "X-A: 1\\, 1"),
        ("/v", "X-A: "),
        ("/v", "X-A: 1; X-B: 1"),
        ("/?a=1&a=2", "Host: b"),
        ("/?a=2&a=1", "Host: b"),
    ];
    for (path, fields) in asks {
        let got = ask(&mut client, &format!("GET {path}"), fields);
        assert!(status(&got).contains("uri-miss"), "{path} {fields}: {}", status(&got));
        assert!(status(&ask(&mut client, &format!("GET {path}"), fields)).contains("; hit"), "{path} {fields}");
    }
    assert!(status(&ask(&mut client, "GET /a", "Host: B:80")).contains("; hit"));
}

#[test]
fn consumers_go_past_the_cache_unless_they_are_told_apart_or_not_told() {
    let endpoint = service(|head, _| {
        let who = head.lines().find_map(|line| line.strip_prefix("x-consumer-id: ")).unwrap_or("nobody").to_owned();
        ok("Cache-Control: max-age=60", &who)
    });
    let key = |text: &str| {
        use sha2::Digest;
        sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    for (changes, answers) in [
        (json!({}), ["one", "two", "one"]),
        (json!({"vary_by": ["consumer"]}), ["one", "two", "one"]),
        (json!({"share_consumers": true}), ["nobody", "nobody", "nobody"]),
    ] {
        let mut snapshot = configured(&endpoint, changes.clone(), 1);
        for name in ["one", "two"] {
            snapshot["consumers"][name] = json!({"api_key_sha256": [key(name)], "groups": []});
        }
        snapshot["routes"]["all"]["policies"]["authenticate"] =
            json!({"any": [{"api_key": {"header": "x-api-key", "query": null}}]});
        let door = Door::open(snapshot);
        let mut client = door.client();
        let mut hits = 0;
        for (who, expected) in ["one", "two", "one"].iter().zip(answers) {
            let got = ask(&mut client, "GET /", &format!("X-API-Key: {who}"));
            assert_eq!(text(&got), expected, "{changes}");
            hits += usize::from(status(&got).contains("; hit"));
        }
        assert_eq!(
            hits,
            usize::from(changes.get("vary_by").is_some()) + 2 * usize::from(changes.get("share_consumers").is_some()),
            "{changes}"
        );
    }
}

#[test]
fn a_thousand_clients_are_one_fetch() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let endpoint = Endpoint::start(move |mut connection| {
        while connection.request().is_some() {
            connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\n01234");
            gate.lock().unwrap().recv().unwrap();
            connection.send(b"56789");
        }
    });
    let door = Door::open(configured(&endpoint, json!({}), 2));
    let mut clients: Vec<Client> = (0..1000).map(|_| door.client()).collect();
    for client in &mut clients {
        assert!(client.send(b"GET /page HTTP/1.1\r\nHost: shop.example\r\n\r\n"));
    }
    // Each has the first half before there is a second.
    for client in &mut clients {
        while !client.unread.ends_with(b"01234") {
            client.read().unwrap();
        }
    }
    release.send(()).unwrap();
    let collapsed = clients.iter_mut().map(Client::answer).filter(|answer| {
        assert_eq!(answer.content, b"0123456789");
        status(answer).contains("collapsed")
    });
    assert_eq!(collapsed.count(), 999);
    assert_eq!(endpoint.requests(), 1);
    assert!(door.server.metrics().contains("stagedoor_cache_requests_total{route=\"all\",result=\"collapsed\"} 999"));
}

#[test]
fn an_answer_for_one_alone_releases_all_at_once() {
    let arrived = Arc::new(AtomicUsize::new(0));
    let seen = arrived.clone();
    let endpoint = Endpoint::start(move |mut connection| {
        while connection.request().is_some() {
            let number = seen.fetch_add(1, Ordering::SeqCst);
            // The first answers only when its clients all wait; of the others each waits for all others.
            if number > 0 {
                until("all have been let go", || seen.load(Ordering::SeqCst) == 8);
            }
            connection.send(&ok("Cache-Control: no-store", "mine"));
        }
    });
    let door = Door::open(configured(&endpoint, json!({}), 1));
    let mut clients: Vec<Client> = (0..8).map(|_| door.client()).collect();
    clients.iter_mut().for_each(|client| assert!(client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")));
    for client in &mut clients {
        assert_eq!(text(&client.answer()), "mine");
    }
    assert_eq!(arrived.load(Ordering::SeqCst), 8);
}

#[test]
fn a_leader_that_goes_passes_on_the_lead() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let endpoint = Endpoint::start(move |mut connection| {
        while connection.request().is_some() {
            if connection.index == 0 {
                while connection.read() {}
                return;
            }
            gate.lock().unwrap().recv().unwrap();
            connection.send(&ok("Cache-Control: max-age=60", "hello"));
        }
    });
    let mut snapshot = configured(&endpoint, json!({}), 1);
    snapshot["listeners"]["public"]["limits"]["half_close_ms"] = json!(1);
    let door = Door::open(snapshot);
    let mut leader = door.client();
    leader.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    until("it leads", || endpoint.requests() == 1);
    let mut followers: Vec<Client> = (0..5).map(|_| door.client()).collect();
    followers.iter_mut().for_each(|client| assert!(client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")));
    drop(leader);
    until("another one leads", || endpoint.requests() == 2);
    release.send(()).unwrap();
    for client in &mut followers {
        assert_eq!(text(&client.answer()), "hello");
    }
    assert_eq!(endpoint.requests(), 2);
}

#[test]
fn followers_share_the_failure_of_the_service() {
    let endpoint = Endpoint::start(|mut connection| {
        connection.request();
    });
    let door = Door::open(configured(&endpoint, json!({}), 1));
    let mut clients: Vec<Client> = (0..5).map(|_| door.client()).collect();
    clients.iter_mut().for_each(|client| assert!(client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")));
    for client in &mut clients {
        assert_eq!(client.answer().status(), 502);
    }
}

#[test]
fn content_that_is_too_long_goes_through_and_is_not_kept() {
    let long = "x".repeat(300_000);
    let content = long.clone();
    let endpoint = service(move |head, _| {
        match head.contains(" /told") {
        true => ok("Cache-Control: max-age=60", &content),
        false => format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{content}\r\n0\r\n\r\n", content.len()).into_bytes(),
    }
    });
    let door = door(&endpoint, json!({"object_bytes": 100_000}));
    let mut client = door.client();
    for path in ["/told", "/untold"] {
        for _ in 0..2 {
            let got = ask(&mut client, &format!("GET {path}"), "");
            assert_eq!(text(&got).len(), long.len());
        }
    }
    assert_eq!((endpoint.requests(), door.server.shared.cache.level().entries), (4, 0));
}

#[test]
fn the_store_keeps_its_bound_and_every_answer_is_right_under_pressure() {
    let endpoint = service(|head, _| {
        let path = head.split(' ').nth(1).unwrap().to_owned();
        ok("Cache-Control: max-age=60", &format!("{path}{}", "x".repeat(2000)))
    });
    let mut snapshot = configured(&endpoint, json!({}), 2);
    snapshot["cache"] = json!({"memory_bytes": 100_000});
    let door = Door::open(snapshot);
    std::thread::scope(|scope| {
        for seed in 0..4usize {
            let door = &door;
            scope.spawn(move || {
                let mut client = door.client();
                for step in 0..300usize {
                    let path = format!("/{}", (step * 7919 + seed * 104_729) % 97);
                    let got = ask(&mut client, &format!("GET {path}"), "");
                    assert!(text(&got).starts_with(&format!("{path}x")), "{path}");
                    assert!(door.server.shared.cache.level().bytes <= 110_000);
                }
            });
        }
    });
    let level = door.server.shared.cache.level();
    assert!(level.bytes <= 100_000 && level.evicted > 0 && level.entries > 10, "{level:?}");
}

#[test]
fn variants_of_a_key_are_bounded() {
    let endpoint = scripted(vec![ok("Cache-Control: max-age=60|Vary: X-A", "hello")]);
    let door = door(&endpoint, json!({"variants": 3}));
    let mut client = door.client();
    for value in 0..10 {
        ask(&mut client, "GET /", &format!("X-A: {value}"));
    }
    assert_eq!(door.server.shared.cache.level().entries, 3);
    assert!(status(&ask(&mut client, "GET /", "X-A: 9")).contains("; hit"));
    assert!(status(&ask(&mut client, "GET /", "X-A: 1")).contains("vary-miss"));
}

#[test]
fn stored_responses_survive_a_new_program_unless_the_route_leads_elsewhere() {
    let endpoint = scripted(vec![ok("Cache-Control: max-age=60", "hello")]);
    let mut snapshot = configured(&endpoint, json!({}), 1);
    let door = Door::open(snapshot.clone());
    let mut client = door.client();
    ask(&mut client, "GET /a", "");
    snapshot["routes"]["all"]["policies"]["request_id"] = json!({"header": "x-request-id", "accept": true});
    door.server.apply(&serde_json::from_value(snapshot.clone()).unwrap()).unwrap();
    assert!(status(&ask(&mut client, "GET /a", "")).contains("; hit"));
    snapshot["routes"]["all"]["target"]["cluster"]["path"] = json!("/other");
    door.server.apply(&serde_json::from_value(snapshot).unwrap()).unwrap();
    assert!(!status(&ask(&mut client, "GET /a", "")).contains("; hit"));
}

#[test]
fn a_hit_is_compressed_and_its_tag_still_validates() {
    let page = "<p>line</p>\n".repeat(500);
    let content = page.clone();
    let endpoint = service(move |_, _| ok("Cache-Control: max-age=60|Content-Type: text/html|ETag: \"v1\"", &content));
    let mut snapshot = configured(&endpoint, json!({}), 1);
    snapshot["routes"]["all"]["policies"]["compress"] =
        json!({"algorithms": ["br", "gzip"], "min_bytes": 100, "types": ["text/*"], "streams": false});
    let door = Door::open(snapshot);
    let mut client = door.client();
    for coding in ["br", "gzip", "br"] {
        let got = ask(&mut client, "GET /", &format!("Accept-Encoding: {coding}"));
        assert_eq!(got.field("content-encoding").as_deref(), Some(coding));
        assert_eq!(got.field("etag").as_deref(), Some("W/\"v1\""));
        assert_eq!(got.field("vary").as_deref(), Some("accept-encoding"));
        let again = ask(&mut client, "GET /", &format!("Accept-Encoding: {coding}|If-None-Match: W/\"v1\""));
        assert_eq!((again.status(), again.field("etag").as_deref()), (304, Some("W/\"v1\"")));
    }
    let plain = ask(&mut client, "GET /", "");
    assert_eq!((text(&plain), plain.field("etag")), (page, Some("\"v1\"".to_owned())));
    let part = ask(&mut client, "GET /", "Accept-Encoding: br|Range: bytes=0-1");
    assert_eq!((part.status(), text(&part).as_str(), part.field("content-encoding")), (206, "<p", None));
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn a_write_during_a_fetch_keeps_its_answer_out_of_the_store() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let endpoint = Endpoint::start(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            if head.starts_with("GET") {
                gate.lock().unwrap().recv().unwrap();
            }
            connection.send(&ok("Cache-Control: max-age=60", "hello"));
        }
    });
    let door = door(&endpoint, json!({}));
    let mut reader = door.client();
    assert!(reader.send(b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n"));
    until("it is asked for", || endpoint.requests() == 1);
    ask(&mut door.client(), "PUT /a", "Content-Length: 0");
    release.send(()).unwrap();
    assert_eq!(text(&reader.answer()), "hello");
    assert_eq!(door.server.shared.cache.level().entries, 0);
}

#[test]
fn head_freshens_what_is_stored() {
    let endpoint = service(|head, _| match head.starts_with("HEAD") {
        true => b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nX-A: 2\r\nContent-Length: 5\r\n\r\n".to_vec(),
        false => ok("Cache-Control: max-age=60|Age: 90|ETag: \"a\"|X-A: 1", "hello"),
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    ask(&mut client, "GET /", "");
    ask(&mut client, "HEAD /", "");
    let got = ask(&mut client, "GET /", "");
    assert_eq!((text(&got).as_str(), got.field("x-a").as_deref()), ("hello", Some("2")));
    assert!(status(&got).contains("; hit"), "{}", status(&got));
}

#[test]
fn a_client_cannot_keep_others_from_sharing_a_response() {
    let endpoint = service(|head, _| match head.to_ascii_lowercase().contains("\r\ncookie: ") {
        true => ok("Cache-Control: no-store", "mine"),
        false => ok("Cache-Control: max-age=60", "ours"),
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    assert_eq!(text(&ask(&mut client, "GET /", "Cookie: a=b")), "mine");
    assert!(status(&ask(&mut client, "GET /", "")).contains("; stored"));
    assert!(status(&ask(&mut client, "GET /", "Cookie: a=b")).contains("; hit"));
}

#[test]
fn a_key_whose_answers_were_for_one_alone_is_shared_again() {
    let endpoint = scripted(vec![answer("500 Oops", "", "oops"), ok("Cache-Control: max-age=60", "hello")]);
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    assert_eq!(ask(&mut client, "GET /", "").status(), 500);
    assert!(status(&ask(&mut client, "GET /", "")).contains("; stored"));
    assert!(status(&ask(&mut client, "GET /", "")).contains("; hit"));
}

#[test]
fn interim_answers_and_fields_of_the_gateway_alone() {
    let early = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
    let endpoint = service(move |_, _| {
        [
            &early[..],
            &ok("Stagedoor-Cache-Control: max-age=60|Cache-Control: private|Connection: x-hop|X-Hop: 1|TE: x", "hello"),
        ]
        .concat()
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    for expected in [vec![103, 200], vec![200]] {
        let mut statuses = vec![ask(&mut client, "GET /", "")];
        while statuses.last().unwrap().status() < 200 {
            statuses.push(client.answer());
        }
        let last = statuses.last().unwrap();
        assert_eq!(statuses.iter().map(Message::status).collect::<Vec<_>>(), expected);
        assert_eq!((last.field("stagedoor-cache-control"), last.field("x-hop")), (None, None));
        assert_eq!(last.field("cache-control").as_deref(), Some("private"));
    }
}

#[test]
fn fields_that_are_for_one_client_are_not_stored() {
    let endpoint = scripted(vec![ok(
        "Cache-Control: max-age=60, private=\"x-mine\", no-cache=\"x-asked\"|X-Mine: 1|X-Asked: 1|X-All: 1",
        "hello",
    )]);
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let first = ask(&mut client, "GET /", "");
    assert_eq!(first.field("x-mine").as_deref(), Some("1"));
    let second = ask(&mut client, "GET /", "");
    assert_eq!(
        (second.field("x-mine"), second.field("x-asked"), second.field("x-all").as_deref()),
        (None, None, Some("1"))
    );
}
