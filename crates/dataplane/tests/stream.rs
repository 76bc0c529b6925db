//! Streams of events: they arrive as they are sent, and end when nobody has said anything for too long.

use std::sync::{mpsc, Mutex};

use crate::door::{self, snapshot, Door, End};
use crate::endpoint::{self, Endpoint};
use crate::wire::{self, Kind, Taken};
use serde_json::{json, Value};

const GET: &[u8] = b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n";

/// Sends each event that the channel tells it, as a chunk, until that ends.
fn told(kind: &'static str) -> (mpsc::Sender<String>, Endpoint) {
    let (tell, told) = mpsc::channel();
    let told = Mutex::new(told);
    let endpoint = Endpoint::start(move |mut connection| {
        connection.request();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
        connection.send(head.as_bytes());
        for event in told.lock().unwrap().iter() {
            let event: String = event;
            connection.send(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
        }
        connection.send(b"0\r\n\r\n");
    });
    (tell, endpoint)
}

/// `limits` of the route; the cluster gives an answer `request_ms`.
fn door(endpoint: &Endpoint, request_ms: u64, limits: Value) -> Door {
    let mut snapshot = snapshot(endpoint.address);
    snapshot["clusters"]["shop"]["request_ms"] = json!(request_ms);
    snapshot["routes"]["all"]["policies"] = json!({ "limits": limits });
    Door::open(snapshot)
}

fn limits(request_ms: Option<u64>, stream_idle_ms: Option<u64>) -> Value {
    json!({"body_bytes": 1000, "request_ms": request_ms, "stream_idle_ms": stream_idle_ms})
}

/// Reads until `text` has come.
fn wait_for(client: &mut door::Client, text: &str) {
    while !String::from_utf8_lossy(&client.unread).contains(text) {
        client.read().unwrap();
    }
}

/// The answer has been broken off.
fn is_cut(client: &mut door::Client) -> bool {
    let (bytes, end) = client.rest();
    end != End::Silent && !matches!(wire::take(&bytes, Kind::Answer, false), Taken::Whole(..))
}

#[test]
fn each_of_many_events_arrives_before_the_endpoint_sends_the_next() {
    let (tell, endpoint) = told("text/event-stream");
    let door = door(&endpoint, 60_000, limits(None, Some(60_000)));
    let mut client = door.client();
    client.send(GET);
    for number in 0..500 {
        tell.send(format!("data: {number}\n\n")).unwrap();
        wait_for(&mut client, &format!("data: {number}\n\n"));
    }
    drop(tell);
    let whole: String = (0..500).map(|number| format!("data: {number}\n\n")).collect();
    assert_eq!(client.answer().content, whole.as_bytes());
}

#[test]
fn a_stream_outlives_the_time_that_its_cluster_gives_an_answer() {
    for kind in ["text/event-stream; charset=utf-8", "application/x-ndjson", "application/json-seq"] {
        let (tell, endpoint) = told(kind);
        let door = door(&endpoint, 1_000, limits(None, None));
        let mut client = door.client();
        client.send(GET);
        tell.send("first".into()).unwrap();
        wait_for(&mut client, "first");
        // A second stream's answer that is none outlives nothing: when it has been cut, the time is over.
        let (hold, other) = told("text/plain");
        let bounded = self::door(&other, 1_500, limits(None, None));
        let mut second = bounded.client();
        second.send(GET);
        assert!(is_cut(&mut second));
        drop(hold);
        tell.send("second".into()).unwrap();
        drop(tell);
        assert_eq!(client.answer().content, b"firstsecond", "{kind}");
    }
}

#[test]
fn a_stream_that_is_silent_for_too_long_is_broken_off() {
    let (tell, endpoint) = told("text/event-stream");
    let door = door(&endpoint, 60_000, limits(None, Some(300)));
    let mut client = door.client();
    client.send(GET);
    tell.send("data: 1\n\n".into()).unwrap();
    wait_for(&mut client, "data: 1\n\n");
    assert!(is_cut(&mut client));
    drop(tell);
}

#[test]
fn a_time_that_the_route_sets_bounds_streams_too() {
    let (tell, endpoint) = told("text/event-stream");
    let door = door(&endpoint, 60_000, limits(Some(500), Some(60_000)));
    let mut client = door.client();
    client.send(GET);
    tell.send("data: 1\n\n".into()).unwrap();
    assert!(is_cut(&mut client));
    drop(tell);
}

#[test]
fn the_head_of_a_stream_must_come_in_the_clusters_time() {
    let endpoint = Endpoint::start(endpoint::Connection::wait_closed);
    let door = door(&endpoint, 200, limits(None, Some(60_000)));
    assert_eq!(door.client().ask(GET).status(), 504);
}
