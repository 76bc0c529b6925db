//! Compressed responses as clients get them, decoded by the decoders of the same libraries.

use std::io::Read;
use std::sync::{mpsc, Mutex};

use crate::door::{self, snapshot, Door, End};
use crate::endpoint::Endpoint;
use crate::wire::{self, Kind, Message, Taken};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{json, Value};

fn policy() -> Value {
    json!({"algorithms": ["zstd", "br", "gzip"], "min_bytes": 100, "types": ["text/*", "application/*+json"], "streams": true})
}

fn door(endpoint: &Endpoint, policy: Value) -> Door {
    let mut snapshot = snapshot(endpoint.address);
    snapshot["routes"]["all"]["policies"] = json!({ "compress": policy });
    Door::open(snapshot)
}

fn decode(coding: &str, content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        "gzip" => flate2::read::GzDecoder::new(content).read_to_end(&mut plain).unwrap(),
        "br" => brotli::Decompressor::new(content, 4096).read_to_end(&mut plain).unwrap(),
        "zstd" => zstd::stream::read::Decoder::new(content).unwrap().read_to_end(&mut plain).unwrap(),
        _ => panic!("the coding {coding:?}"),
    };
    plain
}

fn plain(answer: &Message) -> Vec<u8> {
    match answer.field("content-encoding") {
        Some(coding) => decode(&coding, &answer.content),
        None => answer.content.clone(),
    }
}

/// Answers with these fields and this content.
fn answer(fields: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", content.len());
    [head.as_bytes(), content].concat()
}

fn always(answer: Vec<u8>) -> Endpoint {
    Endpoint::start(move |mut connection| while connection.request().is_some() && connection.send(&answer) {})
}

fn get(fields: &str) -> Vec<u8> {
    format!("GET /page HTTP/1.1\r\nHost: h\r\n{fields}\r\n").into_bytes()
}

const TEXT: &str = "Content-Type: text/html; charset=utf-8\r\n";

fn page() -> Vec<u8> {
    (0..2000).flat_map(|line| format!("<p>line {line}</p>\n").into_bytes()).collect()
}

#[test]
fn each_coding_decodes_to_what_the_endpoint_sent_and_the_head_says_so() {
    let fields =
        "ETag: \"v1\"\r\nAccept-Ranges: bytes\r\nContent-MD5: x\r\nVary: Origin\r\nRepr-Digest: sha-256=:eA==:\r\n";
    let endpoint = always(answer(&format!("{TEXT}{fields}"), &page()));
    let door = door(&endpoint, policy());
    let mut client = door.client();
    for coding in ["gzip", "br", "zstd"] {
        let got = client.ask(&get(&format!("Accept-Encoding: {coding}\r\n")));
        assert_eq!(got.field("content-encoding").as_deref(), Some(coding));
        assert!(got.content.len() < page().len() / 3, "{coding}: {}", got.content.len());
        assert_eq!(plain(&got), page());
        assert_eq!(got.field("etag").as_deref(), Some("W/\"v1\""), "{coding}");
        assert_eq!(got.field("vary").as_deref(), Some("Origin, accept-encoding"));
        for gone in ["content-length", "accept-ranges", "content-md5", "repr-digest"] {
            assert_eq!(got.field(gone), None, "{gone}");
        }
    }
    let got = client.ask(&get("Accept-Encoding: gzip;q=0.9, br;q=0.8, zstd;q=0\r\n"));
    assert_eq!(got.field("content-encoding").as_deref(), Some("gzip"));
}

#[test]
fn a_client_that_accepts_none_gets_what_the_endpoint_sent_and_a_cache_is_told() {
    let endpoint = always(answer(&format!("{TEXT}ETag: \"v1\"\r\nDigest: x\r\n"), &page()));
    let door = door(&endpoint, policy());
    let mut client = door.client();
    for accept in [
        "",
        "Accept-Encoding: deflate\r\n",
        "Accept-Encoding: gzip;q=0\r\n",
        "Cache-Control: no-transform\r\nAccept-Encoding: gzip\r\n",
    ] {
        let got = client.ask(&get(accept));
        assert_eq!(got.content, page());
        for (name, value) in [
            ("content-encoding", None),
            ("etag", Some("\"v1\"")),
            ("digest", Some("x")),
            ("vary", Some("accept-encoding")),
            ("content-length", Some(page().len().to_string().as_str())),
        ] {
            assert_eq!(got.field(name).as_deref(), value, "{name} with {accept:?}");
        }
    }
}

#[test]
fn what_may_not_be_compressed_passes_as_it_is() {
    let long = page();
    let cases: &[(&str, &[u8], &str, bool)] = &[
        ("Content-Type: image/png\r\n", &long, "200 OK", false),
        ("", &long, "200 OK", false),
        ("Content-Type: text/html\r\nContent-Encoding: gzip\r\n", &long, "200 OK", false),
        ("Content-Type: text/html\r\nContent-Encoding: identity, br\r\n", &long, "200 OK", false),
        ("Content-Type: text/html\r\nCache-Control: public, no-transform\r\n", &long, "200 OK", false),
        ("Content-Type: text/html\r\n", b"short", "200 OK", true),
        ("Content-Type: text/html\r\n", b"", "200 OK", true),
        ("Content-Type: text/html\r\nContent-Range: bytes 0-9/100\r\n", &long, "206 Partial Content", true),
        ("Content-Type: text/html\r\nContent-Range: bytes */100\r\n", &long, "416 Range Not Satisfiable", true),
        ("Content-Type: application/grpc\r\n", &long, "200 OK", false),
    ];
    for (fields, content, status, varies) in cases {
        let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", content.len());
        let endpoint = always([head.as_bytes(), content].concat());
        let door = door(&endpoint, policy());
        let got = door.client().ask(&get("Accept-Encoding: gzip, br, zstd\r\n"));
        assert_eq!(got.content, *content, "{fields}");
        assert_eq!(got.field("content-length"), Some(content.len().to_string()), "{fields}");
        assert_eq!(got.field("vary").as_deref(), varies.then_some("accept-encoding"), "{fields}");
    }
}

#[test]
fn short_content_is_compressed_for_a_client_that_takes_nothing_else() {
    let endpoint = always(answer(TEXT, b"short"));
    let door = door(&endpoint, policy());
    let got = door.client().ask(&get("Accept-Encoding: gzip, *;q=0\r\n"));
    assert_eq!((got.field("content-encoding").as_deref(), &*plain(&got)), (Some("gzip"), &b"short"[..]));
}

#[test]
fn a_coding_named_identity_is_none() {
    let endpoint = always(answer(&format!("{TEXT}Content-Encoding: identity\r\n"), &page()));
    let door = door(&endpoint, policy());
    let got = door.client().ask(&get("Accept-Encoding: zstd\r\n"));
    assert_eq!((got.field("content-encoding").as_deref(), plain(&got)), (Some("zstd"), page()));
}

#[test]
fn a_head_keeps_the_length_and_says_that_the_content_varies() {
    let endpoint = Endpoint::start(|mut connection| {
        let head = format!("HTTP/1.1 200 OK\r\n{TEXT}Content-Length: 5000\r\n\r\n");
        while connection.request().is_some() && connection.send(head.as_bytes()) {}
    });
    let door = door(&endpoint, policy());
    let mut client = door.client();
    client.send(b"HEAD /page HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n");
    let (bytes, end) = client.rest();
    assert_eq!(end, End::Closed);
    let Taken::Whole(got, _) = wire::take(&bytes, Kind::HeadAnswer, true) else { panic!("no answer") };
    assert_eq!((got.field("content-length").as_deref(), got.field("content-encoding")), (Some("5000"), None));
    assert_eq!(got.field("vary").as_deref(), Some("accept-encoding"));
}

#[test]
fn a_client_asks_with_its_weak_tag_and_is_told_that_it_has_not_changed() {
    let endpoint = always(b"HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n".to_vec());
    let door = door(&endpoint, policy());
    let mut client = door.client();
    let got = client.ask(&get("Accept-Encoding: br\r\nIf-None-Match: W/\"v1\"\r\n"));
    assert_eq!((got.status(), got.field("etag").as_deref()), (304, Some("W/\"v1\"")));
    assert!(endpoint.text().contains("W/\"v1\""), "the endpoint compares: {}", endpoint.text());
    let got = client.ask(&get("If-None-Match: \"v1\"\r\n"));
    assert_eq!((got.status(), got.field("etag").as_deref()), (304, Some("\"v1\"")));
}

#[test]
fn trailers_come_after_the_last_compressed_byte() {
    let endpoint = always(
        format!("HTTP/1.1 200 OK\r\n{TEXT}Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n4\r\nword\r\n0\r\nX-Sum: 4\r\nContent-Digest: x\r\n\r\n")
            .into_bytes(),
    );
    let door = door(&endpoint, policy());
    let got = door.client().ask(&get("Accept-Encoding: gzip\r\nTE: trailers\r\n"));
    assert_eq!(plain(&got), b"word");
    assert_eq!((got.trailer("x-sum").as_deref(), got.trailer("content-digest")), (Some("4"), None));
}

#[test]
fn an_answer_that_breaks_off_never_ends_cleanly() {
    let endpoint = Endpoint::start(|mut connection| {
        connection.request();
        connection.send(format!("HTTP/1.1 200 OK\r\n{TEXT}Content-Length: 50000\r\n\r\n").as_bytes());
        connection.send(&page());
        connection.close();
    });
    for coding in ["gzip", "br", "zstd"] {
        let door = door(&endpoint, policy());
        let mut client = door.client();
        client.send(&get(&format!("Accept-Encoding: {coding}\r\n")));
        let (bytes, end) = client.rest();
        assert_ne!(end, End::Silent);
        assert!(!matches!(wire::take(&bytes, Kind::Answer, false), Taken::Whole(..)), "{coding}");
    }
}

/// Sends each of what the channel tells it, as a chunk, until that ends.
fn told() -> (mpsc::Sender<&'static str>, Endpoint) {
    told_as("text/event-stream")
}

fn told_as(kind: &'static str) -> (mpsc::Sender<&'static str>, Endpoint) {
    let (tell, told) = mpsc::channel();
    let told = Mutex::new(told);
    let endpoint = Endpoint::start(move |mut connection| {
        connection.request();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
        connection.send(head.as_bytes());
        for piece in told.lock().unwrap().iter() {
            let piece: &str = piece;
            connection.send(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
        }
        connection.send(b"0\r\n\r\n");
    });
    (tell, endpoint)
}

/// What the chunks that have come so far decode to.
fn decoded_so_far(client: &door::Client, coding: &str) -> String {
    let Some(start) = client.unread.windows(4).position(|window| window == b"\r\n\r\n") else {
        return String::new();
    };
    let (mut rest, mut content) = (&client.unread[start + 4..], Vec::new());
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        let Some(chunk) = rest.get(end + 2..end + 2 + size) else { break };
        content.extend_from_slice(chunk);
        rest = rest.get(end + 4 + size..).unwrap_or_default();
    }
    let mut reader: Box<dyn Read> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(&*content)),
        "br" => Box::new(brotli::Decompressor::new(&*content, 4096)),
        _ => Box::new(zstd::stream::read::Decoder::new(&*content).unwrap()),
    };
    // The stream is not over, so reading it ends in an error after all that there is.
    let (mut plain, mut byte) = (Vec::new(), [0]);
    while matches!(reader.read(&mut byte), Ok(1)) {
        plain.push(byte[0]);
    }
    String::from_utf8(plain).unwrap()
}

#[test]
fn every_event_of_a_compressed_stream_arrives_before_the_next_is_sent() {
    for (kind, coding) in [
        ("text/event-stream", "gzip"),
        ("text/event-stream", "br"),
        ("text/event-stream", "zstd"),
        // No stream by its type; but nobody knows its length, so it may be one.
        ("text/html", "br"),
    ] {
        let (tell, endpoint) = told_as(kind);
        let door = door(&endpoint, policy());
        let mut client = door.client();
        client.send(&get(&format!("Accept-Encoding: {coding}\r\n")));
        let mut expected = String::new();
        for event in ["data: one\n\n", "data: two\n\n", "data: three\n\n"] {
            tell.send(event).unwrap();
            expected.push_str(event);
            while decoded_so_far(&client, coding) != expected {
                client.read().unwrap();
            }
        }
        drop(tell);
        assert_eq!(plain(&client.answer()), expected.as_bytes());
    }
}

#[test]
fn streams_of_events_pass_as_they_are_unless_asked_for() {
    let (tell, endpoint) = told();
    let mut policy = policy();
    policy["streams"] = json!(false);
    let door = door(&endpoint, policy);
    let mut client = door.client();
    client.send(&get("Accept-Encoding: gzip, br, zstd\r\n"));
    tell.send("data: one\n\n").unwrap();
    drop(tell);
    let got = client.answer();
    assert_eq!((got.field("content-encoding"), &*got.content), (None, &b"data: one\n\n"[..]));
}

#[test]
fn the_access_log_counts_what_the_client_got() {
    let path = std::env::temp_dir().join(format!("stagedoor-{:032x}.log", fastrand::u128(..)));
    let endpoint = always(answer(TEXT, &page()));
    let mut snapshot = snapshot(endpoint.address);
    snapshot["routes"]["all"]["policies"] = json!({"compress": policy(), "access_log": {"path": path, "headers": []}});
    let door = Door::open(snapshot);
    let got = door.client().ask(&get("Accept-Encoding: zstd\r\n"));
    assert_eq!(got.field("content-encoding").as_deref(), Some("zstd"));
    door.server.stop();
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(line["bytes_out"], got.content.len());
}

/// Bytes that compress in different ways, and where they are cut.
fn body() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let part = prop_oneof![
        (any::<u8>(), 1..60_000_usize).prop_map(|(byte, count)| vec![byte; count]),
        proptest::collection::vec(any::<u8>(), 1..3000),
        "[a-e ]{1,200}".prop_map(String::into_bytes),
    ];
    let whole = proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat());
    (whole, proptest::collection::vec(1..20_000_usize, 1..12))
}

#[test]
fn whatever_is_sent_in_whatever_pieces_is_what_the_client_decodes() {
    let (tell, told) = mpsc::channel::<Vec<u8>>();
    let told = Mutex::new(told);
    let endpoint = Endpoint::start(move |mut connection| {
        while connection.request().is_some() {
            let Ok(bytes) = told.lock().unwrap().recv() else { return };
            connection.send(&bytes);
        }
    });
    let door = door(&endpoint, policy());
    let client = std::cell::RefCell::new(door.client());
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    let check = |(whole, cuts): (Vec<u8>, Vec<usize>)| {
        let mut message = format!("HTTP/1.1 200 OK\r\n{TEXT}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        let (mut rest, mut cuts) = (&*whole, cuts.iter().cycle());
        while !rest.is_empty() {
            let (chunk, more) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            message.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            message.extend_from_slice(chunk);
            message.extend_from_slice(b"\r\n");
            rest = more;
        }
        message.extend_from_slice(b"0\r\n\r\n");
        for coding in ["gzip", "br", "zstd"] {
            tell.send(message.clone()).unwrap();
            let got = client.borrow_mut().ask(&get(&format!("Accept-Encoding: {coding}\r\n")));
            prop_assert_eq!(got.field("content-encoding"), Some(coding.to_owned()));
            prop_assert!(plain(&got) == whole, "{}: {} bytes", coding, whole.len());
        }
        Ok(())
    };
    if let Err(failure) = TestRunner::new(config).run(&body(), check) {
        panic!("{failure}");
    }
}
