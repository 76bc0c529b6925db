//! Calls of the engine: a whole answer, or a true word about whether anything was sent.

use std::net::SocketAddr;
use std::time::Duration;

use crate::endpoint::*;
use bytes::Bytes;
use http::{HeaderMap, Method};
use stagedoor_dataplane::cluster::call::{run, Call, Outcome, ANSWER_BYTES};
use stagedoor_dataplane::error::Kind;

fn call(method: Method, body: &'static str) -> Call {
    Call {
        id: 1,
        cluster: "test".into(),
        method,
        path: "/reservations?x=1".into(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
        idempotent: false,
        timeout: Duration::from_secs(10),
    }
}

async fn run_on(endpoints: &[SocketAddr], call: Call) -> Outcome {
    let worker = Worker::new(&settings(endpoints));
    run(call, Some(worker.cluster.clone()), &worker.pools).await
}

fn unanswered(outcome: Outcome) -> (bool, Kind) {
    match outcome {
        Outcome::Unanswered { sent, error } => (sent, error.kind),
        Outcome::Answered { status, .. } => panic!("answered with {status}"),
    }
}

#[test]
fn a_call_yields_the_whole_answer_whatever_its_status() {
    on_worker(async {
        let server = Endpoint::answering(
            b"HTTP/1.1 409 Conflict\r\nX-A: 1\r\nConnection: x-b\r\nX-B: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
              3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
        );
        let mut call = call(Method::POST, "{}");
        call.headers.insert("idempotency-key", "k1".parse().unwrap());
        match run_on(&[server.address], call).await {
            Outcome::Answered { status, headers, body, .. } => {
                assert_eq!((status.as_u16(), &*body), (409, &b"abcdef"[..]));
                assert_eq!(headers["x-a"], "1");
                assert!(!headers.contains_key("x-b"));
            }
            Outcome::Unanswered { error, .. } => panic!("{error}"),
        }
        let text = server.text().to_ascii_lowercase();
        assert!(text.starts_with("post /reservations?x=1 http/1.1\r\n"), "{text}");
        assert!(text.contains(&format!("host: {}\r\n", server.address)));
        assert!(text.contains("idempotency-key: k1\r\n"));
        assert!(text.ends_with("content-length: 2\r\n\r\n{}") || text.ends_with("\r\n\r\n{}"));
    });
}

#[test]
fn sent_is_false_only_when_nothing_can_have_arrived() {
    on_worker(async {
        let post = || call(Method::POST, "{}");
        assert_eq!(unanswered(run_on(&[nobody()], post()).await), (false, Kind::EndpointUnreachable));
        let resetting = Endpoint::start(|mut connection| {
            connection.request();
            connection.reset();
        });
        assert_eq!(unanswered(run_on(&[resetting.address], post()).await), (true, Kind::BadReply));
        assert_eq!(resetting.requests(), 1, "a call without a key is not repeated");
        let silent = Endpoint::start(|connection| connection.wait_closed());
        let hurried = Call { timeout: Duration::from_millis(50), ..post() };
        assert_eq!(unanswered(run_on(&[silent.address], hurried).await), (true, Kind::DeadlineExceeded));
        let cut = Endpoint::start(|mut connection| {
            connection.request();
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf-");
        });
        assert_eq!(unanswered(run_on(&[cut.address], post()).await), (true, Kind::BadReply));
        // The first endpoint had it and the second could not be reached: still unknown.
        let keyed = || {
            let mut call = post();
            call.headers.insert("idempotency-key", "k".parse().unwrap());
            call
        };
        assert!(unanswered(run_on(&[resetting.address, nobody()], keyed()).await).0);
        let worker = Worker::new(&settings(&[nobody()]));
        assert_eq!(unanswered(run(post(), None, &worker.pools).await), (false, Kind::ClusterUnavailable));
    });
}

#[test]
fn a_call_with_an_idempotency_key_is_repeated_with_its_body() {
    on_worker(async {
        let (broken, server) = (
            Endpoint::start(|mut connection| {
                connection.request();
                connection.reset();
            }),
            Endpoint::answering(OK),
        );
        let mut call = call(Method::POST, "{\"sku\": 1}");
        call.headers.insert("idempotency-key", "k".parse().unwrap());
        assert!(matches!(run_on(&[broken.address, server.address], call).await, Outcome::Answered { .. }));
        assert!(server.text().ends_with("{\"sku\": 1}"));
    });
}

#[test]
fn an_answer_over_the_bound_is_a_bad_reply_and_one_at_the_bound_is_not() {
    for (length, declared, fits) in [
        (ANSWER_BYTES, true, true),
        (ANSWER_BYTES + 1, true, false),
        (ANSWER_BYTES, false, true),
        (ANSWER_BYTES + 1, false, false),
    ] {
        on_worker(async move {
            let server = Endpoint::start(move |mut connection| {
                connection.request();
                let content = vec![b'x'; length];
                if declared {
                    connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes());
                    connection.send(&content);
                } else {
                    connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
                    connection.send(&content);
                    connection.close();
                }
            });
            match run_on(&[server.address], call(Method::GET, "")).await {
                Outcome::Answered { body, .. } => assert!(fits && body.len() == length),
                Outcome::Unanswered { sent, error } => {
                    assert!(!fits && sent && error.kind == Kind::BadReply, "{error}");
                }
            }
        });
    }
}
