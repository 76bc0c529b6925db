//! Parts of responses: stored, joined, completed; and ranges of what is fetched whole.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use stagedoor_dataplane::policy::cache::Purge;

use super::{answer, ask, configured, door, ok, service, status, text};
use crate::door::{until, Client, Door};
use crate::endpoint::Endpoint;
use crate::wire::Message;

const WHOLE: &str = "0123456789";

fn field(head: &str, name: &str) -> Option<String> {
    head.lines()
        .find_map(|line| line.split_once(": ").filter(|(each, _)| each.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value.trim().to_owned())
}

/// Serves `WHOLE` in parts, as `fields` describe it; `If-Range` with another tag gets the whole.
fn parts(fields: &'static str) -> Endpoint {
    service(move |head, _| {
        let holds = field(head, "if-range").is_none_or(|tag| fields.contains(&format!("ETag: {tag}")));
        let Some(range) = field(head, "range").filter(|_| holds) else { return ok(fields, WHOLE) };
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let first: usize = first.parse().unwrap();
        let end = last.parse::<usize>().map_or(10, |last| last + 1);
        let fields = format!("{fields}|Content-Range: bytes {first}-{}/10", end - 1);
        answer("206 Partial Content", &fields, &WHOLE[first..end])
    })
}

fn range(client: &mut Client, range: &str) -> Message {
    ask(client, "GET /a", &format!("Range: bytes={range}"))
}

/// Its part has come in as well.
fn stored(door: &Door, client: &mut Client, wanted: &str) {
    let got = range(client, wanted);
    assert!(got.status() == 206 && status(&got).contains("; stored"), "{}", status(&got));
    until("it is a hit", || status(&range(client, wanted)).contains("; hit"));
    assert_eq!(door.server.shared.cache.level().entries, 1);
}

const STRONG: &str = "Cache-Control: max-age=60|ETag: \"v1\"|X-A: 1";

#[test]
fn a_stored_part_answers_for_ranges_within_and_for_nothing_else() {
    let endpoint = parts(STRONG);
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    stored(&door, &mut client, "2-6");
    for (wanted, content, told) in
        [("2-6", "23456", "bytes 2-6/10"), ("3-4", "34", "bytes 3-4/10"), ("6-6", "6", "bytes 6-6/10")]
    {
        let got = range(&mut client, wanted);
        assert_eq!(
            (got.status(), text(&got).as_str(), got.field("content-range").as_deref()),
            (206, content, Some(told))
        );
        assert!(status(&got).contains("; hit"), "{wanted}: {}", status(&got));
        assert_eq!(got.field("x-a").as_deref(), Some("1"));
    }
    let several = range(&mut client, "2-2, 4-5");
    assert!(status(&several).contains("; hit") && text(&several).contains("bytes 4-5/10\r\n\r\n45\r\n"));
    assert_eq!(ask(&mut client, "GET /a", "Range: bytes=3-4|If-None-Match: \"v1\"").status(), 304);
    assert!(status(&ask(&mut client, "GET /a", "Range: bytes=3-4|If-Range: \"v1\"")).contains("; hit"));
    assert!(status(&range(&mut client, "1-3")).contains("fwd=partial"));
    assert_eq!(status(&ask(&mut client, "GET /a", "Range: bytes=0-1|Cache-Control: only-if-cached")), "");
    let other = ask(&mut client, "GET /a", "Range: bytes=3-4|If-Range: \"v0\"");
    assert_eq!((other.status(), text(&other).as_str(), status(&other).contains("; hit")), (200, WHOLE, false));
    assert_eq!(text(&ask(&mut client, "GET /a", "")), WHOLE);
}

/// Many services do not.
#[test]
fn a_service_that_serves_no_parts_is_asked_once() {
    let endpoint = service(|_, _| ok("Cache-Control: max-age=60", WHOLE));
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    let first = range(&mut client, "2-3");
    assert_eq!((first.status(), text(&first).as_str()), (206, "23"), "{}", status(&first));
    assert!(status(&first).contains("fwd=uri-miss; fwd-status=200; ttl=60; stored"), "{}", status(&first));
    until("the whole is stored", || status(&ask(&mut client, "GET /a", "")).contains("; hit"));
    assert_eq!(text(&range(&mut client, "-1")), "9");
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn what_is_not_to_be_stored_passes_whole_where_the_service_serves_no_parts() {
    let endpoint = service(|_, _| ok("Cache-Control: no-store", WHOLE));
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    for asked in 1..=2 {
        let got = range(&mut client, "2-3");
        assert!(text(&got).contains("23") && !status(&got).contains("stored"), "{}", status(&got));
        assert_eq!(endpoint.requests(), asked);
    }
}

#[test]
fn parts_of_the_same_are_joined_and_the_rest_alone_is_asked_for() {
    let endpoint = parts(STRONG);
    let door = door(&endpoint, json!({}));
    let mut client = door.client();
    stored(&door, &mut client, "0-3");
    stored(&door, &mut client, "4-6");
    assert!(status(&range(&mut client, "2-5")).contains("; hit"));
    let whole = ask(&mut client, "GET /a", "");
    assert_eq!(
        (whole.status(), text(&whole).as_str(), whole.field("content-length").as_deref()),
        (200, WHOLE, Some("10"))
    );
    assert_eq!((whole.field("content-range"), whole.field("etag").as_deref()), (None, Some("\"v1\"")));
    let seen = endpoint.text();
    let last = &seen[seen.rfind("GET /a").unwrap()..];
    assert!(last.contains("range: bytes=7-\r\n") && last.contains("if-range: \"v1\"\r\n"), "{last}");
    until("the whole is stored", || status(&ask(&mut client, "GET /a", "")).contains("; hit"));
    assert_eq!(text(&ask(&mut client, "GET /a", "")), WHOLE);
    assert_eq!(endpoint.requests(), 3);
    // And by parts alone.
    door.server.purge(&Purge::All, false).unwrap();
    stored(&door, &mut client, "5-9");
    stored(&door, &mut client, "0-5");
    let whole = ask(&mut client, "GET /a", "");
    assert!(status(&whole).contains("; hit") && text(&whole) == WHOLE, "{}", status(&whole));
}

/// RFC 9110 §15.3.7.3: only a strong validator says that two parts are of one.
#[test]
fn parts_that_may_be_of_something_else_are_never_joined() {
    for fields in ["Cache-Control: max-age=60", "Cache-Control: max-age=60|ETag: W/\"v1\""] {
        let endpoint = parts(fields);
        let door = door(&endpoint, json!({}));
        let mut client = door.client();
        stored(&door, &mut client, "0-3");
        stored(&door, &mut client, "4-6");
        assert!(!status(&range(&mut client, "2-5")).contains("; hit"), "{fields}");
        let whole = ask(&mut client, "GET /a", "");
        let seen = endpoint.text();
        assert!(!seen[seen.rfind("GET /a").unwrap()..].to_ascii_lowercase().contains("range:"), "{fields}");
        assert_eq!(text(&whole), WHOLE);
    }
}

/// The service has something else by now, or does not answer what it was asked for.
#[test]
fn a_rest_that_does_not_fit_is_not_used() {
    let fits = |tag: &str, told: &str, content: &str| {
        answer(
            "206 Partial Content",
            &format!("Cache-Control: max-age=60|ETag: {tag}|Content-Range: bytes {told}"),
            content,
        )
    };
    let part = fits("\"v1\"", "0-3/10", "0123");
    let rests = [
        ("another tag", fits("\"v2\"", "4-9/10", "xxxxxx")),
        ("a weak tag", fits("W/\"v1\"", "4-9/10", "xxxxxx")),
        ("another length", fits("\"v1\"", "4-10/11", "xxxxxxx")),
        ("a gap", fits("\"v1\"", "5-9/10", "xxxxx")),
        ("not the end", fits("\"v1\"", "4-8/10", "xxxxx")),
        ("fewer bytes than told", fits("\"v1\"", "4-9/10", "xxx")),
        ("no length", fits("\"v1\"", "4-9/*", "xxxxxx")),
        ("nothing to be had", answer("416 Range Not Satisfiable", "Content-Range: bytes */3", "")),
    ];
    for (what, rest) in rests {
        let script = vec![part.clone(), rest, ok("Cache-Control: max-age=60|ETag: \"v2\"", "new")];
        let endpoint = super::scripted(script);
        let door = door(&endpoint, json!({}));
        let mut client = door.client();
        assert_eq!(text(&range(&mut client, "0-3")), "0123");
        until("the part is stored", || door.server.shared.cache.level().entries == 1);
        assert_eq!(text(&ask(&mut client, "GET /a", "")), "new", "{what}");
        assert_eq!(endpoint.requests(), 3, "{what}");
        assert_eq!(text(&ask(&mut client, "GET /a", "")), "new", "{what}");
    }
}

#[test]
fn parts_are_stored_by_the_same_rules_and_only_as_they_are_told() {
    for (fields, content) in [
        ("Cache-Control: no-store|Content-Range: bytes 0-3/10", "0123"),
        ("Cache-Control: private|Content-Range: bytes 0-3/10", "0123"),
        ("Cache-Control: max-age=60|Vary: *|Content-Range: bytes 0-3/10", "0123"),
        ("Cache-Control: max-age=60|Set-Cookie: a=b|Content-Range: bytes 0-3/10", "0123"),
        ("Cache-Control: max-age=60|Content-Range: bytes 0-3/*", "0123"),
        ("Cache-Control: max-age=60|Content-Range: bytes 0-4/10", "0123"),
        ("Cache-Control: max-age=60|Content-Range: bytes 0-3/3", "0123"),
        ("Cache-Control: max-age=60|Content-Range: bytes 0-3/10|Content-Range: bytes 0-3/11", "0123"),
        ("Cache-Control: max-age=60|Content-Range: lines 0-3/10", "0123"),
        ("Cache-Control: max-age=60|Content-Type: multipart/byteranges; boundary=x", "--x--"),
    ] {
        let endpoint = super::scripted(vec![answer("206 Partial Content", fields, content)]);
        let door = door(&endpoint, json!({}));
        let mut client = door.client();
        for _ in 0..2 {
            let got = range(&mut client, "0-3");
            assert_eq!(
                (got.status(), text(&got).as_str(), status(&got).contains("; hit")),
                (206, content, false),
                "{fields}"
            );
        }
        assert_eq!(door.server.shared.cache.level().entries, 0, "{fields}");
    }
    // Also where it is invalidated while it comes in.
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let endpoint = Endpoint::start(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            if head.starts_with("GET") {
                gate.lock().unwrap().recv().unwrap();
            }
            connection.send(&answer(
                "206 Partial Content",
                "Cache-Control: max-age=60|Content-Range: bytes 0-3/10",
                "0123",
            ));
        }
    });
    let door = door(&endpoint, json!({}));
    let mut reader = door.client();
    assert!(reader.send(b"GET /a HTTP/1.1\r\nHost: shop.example\r\nRange: bytes=0-3\r\n\r\n"));
    until("it is asked for", || endpoint.requests() == 1);
    ask(&mut door.client(), "PUT /a", "Content-Length: 0");
    release.send(()).unwrap();
    assert_eq!(text(&reader.answer()), "0123");
    assert_eq!(door.server.shared.cache.level().entries, 0);
}

/// `ranges: whole`: one fetch of all for many clients that want parts of it, each of which gets its part as it comes in.
#[test]
fn a_range_may_be_reason_to_fetch_the_whole() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let ranges = Arc::new(AtomicUsize::new(0));
    let asked = ranges.clone();
    let endpoint = Endpoint::start(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            asked.fetch_add(usize::from(field(&head, "range").is_some()), Ordering::SeqCst);
            connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\n01234");
            gate.lock().unwrap().recv().unwrap();
            connection.send(b"56789");
        }
    });
    let door = Door::open(configured(&endpoint, json!({"ranges": "whole"}), 1));
    let mut clients: Vec<Client> = (0..4).map(|_| door.client()).collect();
    let wanted = ["0-3", "2-7", "8-", "-1"];
    let expected = ["0123", "234567", "89", "9"];
    for (client, wanted) in clients.iter_mut().zip(wanted) {
        assert!(
            client.send(format!("GET /a HTTP/1.1\r\nHost: shop.example\r\nRange: bytes={wanted}\r\n\r\n").as_bytes())
        );
    }
    // What lies within the first half does not wait for the other.
    assert_eq!(text(&clients[0].answer()), "0123");
    release.send(()).unwrap();
    for (client, expected) in clients[1..].iter_mut().zip(&expected[1..]) {
        let got = client.answer();
        assert_eq!((got.status(), text(&got).as_str()), (206, *expected));
    }
    until("it is stored", || status(&ask(&mut clients[0], "GET /a", "")).contains("; hit"));
    assert_eq!((endpoint.requests(), ranges.load(Ordering::SeqCst)), (1, 0));
}
