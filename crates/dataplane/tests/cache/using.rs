//! What a stored response is good for: conditions, ranges, HEAD, stale ones.

use serde_json::json;

use super::{answer, ask, configured, door, ok, service, status, text};
use crate::door::{until, Door};

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
    assert_eq!((miss.status(), status(&miss).contains("stored")), (206, true));
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

/// RFC 9211: what became of a request, behind what a cache nearer to the service has said of itself.
#[test]
fn every_response_says_what_became_of_its_request() {
    let endpoint = service(|head, _| match head.split(' ').nth(1).unwrap() {
        "/stale" if head.contains("if-none-match") => answer("304 Not Modified", "Cache-Control: max-age=60", ""),
        "/stale" => ok("Cache-Control: max-age=60|Age: 90|ETag: \"a\"", "hello"),
        "/part" => answer("206 Partial Content", "Cache-Control: max-age=60|Content-Range: bytes 0-3/9", "0123"),
        "/none" => ok("Cache-Control: no-store", "hello"),
        _ => ok("Cache-Control: max-age=60|Vary: X-A|Cache-Status: inner; hit; ttl=9", "hello"),
    });
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    for (request, fields, told) in [
        ("GET /a", "", "inner; hit; ttl=9, stagedoor; fwd=uri-miss; fwd-status=200; ttl=60; stored"),
        ("GET /a", "X-A: 1", "inner; hit; ttl=9, stagedoor; fwd=vary-miss; fwd-status=200; ttl=60; stored"),
        (
            "GET /a",
            "Cache-Control: no-cache",
            "inner; hit; ttl=9, stagedoor; fwd=request; fwd-status=200; ttl=60; stored",
        ),
        ("GET /a", "Cache-Control: no-store", "inner; hit; ttl=9, stagedoor; fwd=request"),
        ("POST /a", "Content-Length: 0", "inner; hit; ttl=9, stagedoor; fwd=method"),
        ("GET /stale", "", "stagedoor; fwd=uri-miss; fwd-status=200; ttl=-30; stored"),
        ("GET /stale", "Cache-Control: max-stale", "stagedoor; hit; ttl=-30; detail=max-stale"),
        ("GET /stale", "", "stagedoor; fwd=stale; fwd-status=304; ttl=60; stored"),
        ("GET /stale", "", "stagedoor; hit; ttl=60"),
        ("GET /part", "Range: bytes=0-3", "stagedoor; fwd=uri-miss; fwd-status=206; ttl=60; stored"),
        ("GET /part", "Range: bytes=0-4", "stagedoor; fwd=partial; fwd-status=206; ttl=60; stored"),
        ("GET /none", "", "stagedoor; fwd=uri-miss; fwd-status=200"),
    ] {
        let got = status(&ask(&mut client, request, fields));
        // A second may pass meanwhile.
        let later = told.replace("ttl=60", "ttl=59").replace("ttl=-30", "ttl=-31");
        assert!(got == told || got == later, "{request} {fields}: {got}");
    }
}

/// What comes with a 304, or with an answer to HEAD, is held to what an answer is held to: it may be for one alone.
#[test]
fn what_freshens_a_response_for_one_alone_reaches_nobody_else() {
    let stale = "Cache-Control: max-age=60|Age: 90|ETag: \"v1\"";
    for (fields, kept) in [
        ("Cache-Control: max-age=60|Set-Cookie: session=of-one", false),
        ("Cache-Control: private, max-age=60|X-Who: one", false),
        ("Cache-Control: no-store|X-Who: one", false),
        ("Cache-Control: public, max-age=60|Set-Cookie: theme=dark", true),
        ("Cache-Control: max-age=60|X-Who: all", true),
    ] {
        for method in ["GET", "HEAD"] {
            let endpoint = service(move |head, number| match number {
                0 => ok(stale, "hello"),
                1 if method == "HEAD" => head_of(ok(&format!("{fields}|ETag: \"v1\""), "hello")),
                1 => answer("304 Not Modified", &format!("{fields}|ETag: \"v1\""), ""),
                _ if head.contains("if-none-match") => answer("304 Not Modified", "ETag: \"v1\"", ""),
                _ => ok("Cache-Control: no-store", "anew"),
            });
            let door = door(&endpoint, json!({}));
            let mut client = door.client();
            ask(&mut client, "GET /", "");
            let first = ask(&mut client, &format!("{method} /"), "");
            let (mark, value) = fields.rsplit('|').next().unwrap().split_once(": ").unwrap();
            // The one that asked is told.
            assert_eq!(first.field(&mark.to_lowercase()).as_deref(), Some(value), "{method} {fields}");
            let second = ask(&mut client, "GET /", "");
            assert_eq!(second.field(&mark.to_lowercase()).is_some(), kept, "{method} {fields}");
            assert_eq!(status(&second).contains("; hit"), kept, "{method} {fields}: {}", status(&second));
        }
    }
}

/// Without its content, whose length stays.
fn head_of(mut answer: Vec<u8>) -> Vec<u8> {
    answer.truncate(answer.len() - "hello".len());
    answer
}
