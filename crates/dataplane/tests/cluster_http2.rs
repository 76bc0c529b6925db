//! HTTP/2 to endpoints: many exchanges on one connection, and what becomes of them when one side ends it.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{mpsc, Arc, Mutex};
use std::time::Duration;

use crate::endpoint::{
    collect, data, get, nobody, on_worker, request, settings, streamed, until, Connection, Endpoint, Worker,
};
use crate::frames::*;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body as _, Frame as BodyFrame};
use stagedoor_dataplane::error::{Error, Kind, Retry};
use stagedoor_dataplane::protocol::body::Body;
use stagedoor_dataplane::snapshot;

const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW: usize = 65_535;

fn h2c(endpoints: &[SocketAddr]) -> snapshot::Cluster {
    snapshot::Cluster { protocol: snapshot::Protocol::H2c, ..settings(endpoints) }
}

fn frames(script: impl Fn(Frames, usize) + Send + Sync + 'static) -> Endpoint {
    with_settings(&[], script)
}

fn with_settings(settings: &'static [(u16, u32)], script: impl Fn(Frames, usize) + Send + Sync + 'static) -> Endpoint {
    Endpoint::start(move |connection: Connection| {
        let index = connection.index;
        script(Frames::begin(connection, settings), index);
    })
}

/// Answers each request with the number of its connection and the length of its content.
fn counting() -> Endpoint {
    frames(|mut frames, index| {
        let mut length = 0;
        while let Some(frame) = frames.next() {
            length += if frame.kind == DATA { frame.payload.len() } else { 0 };
            if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
                frames.answer(frame.stream, format!("{index} {length}").as_bytes());
                length = 0;
            }
        }
    })
}

/// A server of the `h2` crate that remembers heads, and echoes content and trailers.
fn echo() -> (SocketAddr, Arc<Mutex<Vec<http::request::Parts>>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::<Mutex<Vec<http::request::Parts>>>::default();
    let seen = heads.clone();
    std::thread::spawn(move || {
        on_worker(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let seen = seen.clone();
                tokio::task::spawn_local(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let (head, content) = request.into_parts();
                        seen.lock().unwrap().push(head);
                        tokio::task::spawn_local(echo_one(content, respond));
                    }
                });
            }
        });
    });
    (address, heads)
}

async fn echo_one(mut content: h2::RecvStream, mut respond: h2::server::SendResponse<Bytes>) {
    let mut send = respond.send_response(http::Response::new(()), false).unwrap();
    while let Some(Ok(data)) = content.data().await {
        content.flow_control().release_capacity(data.len()).unwrap();
        send.reserve_capacity(data.len());
        if send.send_data(data, false).is_err() {
            return;
        }
    }
    let mut trailers = content.trailers().await.unwrap().unwrap_or_default();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let _ = send.send_trailers(trailers);
}

fn post(body: impl Into<Bytes>) -> http::Request<Body> {
    request("POST", "/", Body::full(body))
}

fn failed(outcome: (Result<http::Response<Body>, Error>, stagedoor_dataplane::cluster::SendReport)) -> Error {
    outcome.0.err().expect("an answer came")
}

#[test]
fn a_head_is_said_as_http2_has_it_and_trailers_go_both_ways() {
    let (address, heads) = echo();
    on_worker(async {
        let worker = Worker::new(&h2c(&[address]));
        let (feed, body) = streamed();
        let mut ask = request("POST", "/a/b?c=d", body);
        for (name, value) in [("te", "trailers"), ("connection", "te"), ("x-many", "1"), ("cookie", "a=b")] {
            ask.headers_mut().append(name, HeaderValue::from_static(value));
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("5"));
        trailers.insert("authorization", HeaderValue::from_static("none"));
        feed.send(data(b"hello")).unwrap();
        feed.send(Ok(BodyFrame::trailers(trailers))).unwrap();
        drop(feed);
        let (head, body) = worker.send(ask).await.0.unwrap().into_parts();
        assert_eq!(head.status, 200);
        let (content, trailers) = collect(body).await.unwrap();
        let trailers = trailers.unwrap();
        assert_eq!(content, b"hello");
        assert_eq!((&trailers["x-sum"], &trailers["grpc-status"]), (&"5".parse().unwrap(), &"0".parse().unwrap()));
        assert!(!trailers.contains_key("authorization"));
        let heads = heads.lock().unwrap();
        assert_eq!(
            (heads[0].method.as_str(), heads[0].uri.to_string()),
            ("POST", "http://shop.example/a/b?c=d".into())
        );
        assert_eq!(heads[0].headers["te"], "trailers");
        for name in ["host", "connection", "transfer-encoding", "content-length"] {
            assert!(!heads[0].headers.contains_key(name), "{name}");
        }
    });
}

#[test]
fn a_length_is_said_where_the_body_has_one_and_a_missing_host_is_the_endpoint() {
    let (address, heads) = echo();
    on_worker(async {
        let worker = Worker::new(&h2c(&[address]));
        let mut ask = post("12345");
        ask.headers_mut().remove("host");
        assert_eq!(worker.fetch(ask).await.unwrap(), (200, "12345".into()));
        assert_eq!(worker.fetch(get("/")).await.unwrap(), (200, String::new()));
        let heads = heads.lock().unwrap();
        assert_eq!(heads[0].headers["content-length"], "5");
        assert_eq!(heads[0].uri.authority().unwrap().as_str(), address.to_string());
        assert!(!heads[1].headers.contains_key("content-length"));
    });
}

#[test]
fn exchanges_share_one_connection() {
    let endpoint = counting();
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        let all: Vec<_> = (0..50)
            .map(|_| {
                let worker = worker.clone();
                tokio::task::spawn_local(async move { worker.fetch(get("/")).await.unwrap() })
            })
            .collect();
        for task in all {
            assert_eq!(task.await.unwrap(), (200, "0 0".into()));
        }
        assert_eq!(endpoint.connections(), 1);
    });
}

#[test]
fn more_exchanges_than_a_connection_allows_open_more_connections_and_then_wait() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let endpoint = with_settings(&[(MAX_CONCURRENT_STREAMS, 1)], move |mut frames, index| {
        while let Some(head) = frames.wait(HEADERS) {
            released.lock().unwrap().recv().unwrap();
            frames.answer(head.stream, index.to_string().as_bytes());
        }
    });
    on_worker(async {
        let mut settings = h2c(&[endpoint.address]);
        settings.pool.connections = 2;
        let worker = Worker::new(&settings);
        let all: Vec<_> = (0..5)
            .map(|_| {
                let worker = worker.clone();
                tokio::task::spawn_local(async move { worker.fetch(get("/")).await.unwrap().0 })
            })
            .collect();
        until("two connections", || endpoint.connections() == 2).await;
        for _ in 0..5 {
            release.send(()).unwrap();
        }
        for task in all {
            assert_eq!(task.await.unwrap(), 200);
        }
        assert_eq!(endpoint.connections(), 2);
    });
}

#[test]
fn what_waits_for_a_stream_waits_no_longer_than_its_deadline() {
    let endpoint = with_settings(&[(MAX_CONCURRENT_STREAMS, 0)], |frames, _| frames.rest());
    on_worker(async {
        let mut settings = h2c(&[endpoint.address]);
        settings.pool.connections = 1;
        let worker = Worker::new(&settings);
        let (outcome, report) = worker.send_within(get("/"), Duration::from_millis(50), None).await;
        assert_eq!(outcome.err().unwrap().kind, Kind::DeadlineExceeded);
        assert!(!report.sent);
    });
}

#[test]
fn after_goaway_what_was_not_looked_at_is_sent_on_a_new_connection_and_the_rest_completes() {
    let endpoint = frames(|mut frames, index| {
        if index > 0 {
            let head = frames.wait(HEADERS).unwrap();
            frames.answer(head.stream, b"new");
            return frames.rest();
        }
        frames.wait(HEADERS).unwrap();
        frames.wait(HEADERS).unwrap();
        frames.go_away(1);
        frames.answer(1, b"old");
        frames.rest();
    });
    on_worker(async {
        let mut settings = h2c(&[endpoint.address]);
        // Not a retry: the policy has nothing to say.
        settings.retry.attempts = 0;
        let worker = Worker::new(&settings);
        let (first, second) = tokio::join!(worker.fetch(post("a")), worker.fetch(post("b")));
        let mut answers = [first.unwrap().1, second.unwrap().1];
        answers.sort_unstable();
        assert_eq!(answers, ["new", "old"]);
        until("the old connection is closed", || endpoint.connections() == 2).await;
    });
}

#[test]
fn a_refused_request_is_tried_again_whatever_its_method() {
    let endpoint = frames(|mut frames, _| {
        let head = frames.wait(HEADERS).unwrap();
        frames.reset(head.stream, REFUSED_STREAM);
        let head = frames.wait(HEADERS).unwrap();
        frames.answer(head.stream, b"then");
        frames.rest();
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        let (outcome, report) = worker.send(post("a")).await;
        assert_eq!(collect(outcome.unwrap().into_body()).await.unwrap().0, b"then");
        assert_eq!(report.retries, 1);
    });
}

#[test]
fn a_body_that_has_begun_is_sent_again_from_its_beginning_as_far_as_it_is_kept() {
    const LARGE: &[u8] = &[7; 70_000];
    for (pieces, trailers, served) in [
        (&[&b"be"[..], b"gun"][..], false, true),
        (&[&b"be"[..], b"gun"][..], true, true),
        (&[&LARGE[..60_000], b"more"], false, true),
        (&[&LARGE[..60_000], &LARGE[..10_000]], false, false),
    ] {
        let first: usize = pieces.iter().map(|piece| piece.len()).sum();
        let endpoint = with_settings(&[(4, 1 << 20)], move |mut frames, _| {
            frames.send(WINDOW_UPDATE, 0, 0, &(1u32 << 20).to_be_bytes());
            let refused = frames.wait(HEADERS).unwrap();
            let mut length = 0;
            while length < first {
                length += frames.wait(DATA).unwrap().payload.len();
            }
            if trailers {
                frames.wait(HEADERS).unwrap();
            }
            frames.reset(refused.stream, REFUSED_STREAM);
            let Some(head) = frames.wait(HEADERS) else { return };
            let mut content = Vec::new();
            let ended = loop {
                let frame = frames.next().unwrap();
                if frame.stream == head.stream && frame.kind == DATA {
                    content.extend_from_slice(&frame.payload);
                }
                if frame.stream == head.stream && frame.flags & END_STREAM != 0 {
                    break frame.kind;
                }
            };
            assert_eq!(ended == HEADERS, trailers);
            frames.answer(head.stream, content.len().to_string().as_bytes());
            frames.rest();
        });
        on_worker(async {
            let worker = Worker::new(&h2c(&[endpoint.address]));
            let (feed, body) = streamed();
            for piece in pieces {
                feed.send(data(piece)).unwrap();
            }
            if trailers {
                feed.send(Ok(BodyFrame::trailers(HeaderMap::from_iter([(
                    "x-sum".parse().unwrap(),
                    HeaderValue::from_static("5"),
                )]))))
                .unwrap();
                drop(feed);
            } else {
                tokio::task::spawn_local(async move {
                    // The rest comes when the endpoint has refused what there was.
                    tokio::task::yield_now().await;
                    let _failed = feed.send(data(b"end"));
                });
            }
            let (outcome, report) = worker.send(request("POST", "/", body)).await;
            if served {
                let content = collect(outcome.unwrap().into_body()).await.unwrap().0;
                let expected = first + if trailers { 0 } else { 3 };
                assert_eq!(String::from_utf8(content).unwrap(), expected.to_string());
            } else {
                assert_eq!(outcome.err().unwrap().kind, Kind::EndpointUnreachable);
            }
            assert_eq!(report.retries, u32::from(served));
        });
    }
}

#[test]
fn a_request_refused_to_the_end_was_never_sent() {
    let endpoint = frames(|mut frames, _| {
        while let Some(head) = frames.wait(HEADERS) {
            frames.reset(head.stream, REFUSED_STREAM);
        }
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        let (outcome, report) = worker.send(post("a")).await;
        let error = outcome.err().unwrap();
        assert_eq!((error.kind, error.retry), (Kind::EndpointUnreachable, Retry::Safe));
        assert!(!report.sent);
        assert_eq!(report.retries, 2);
    });
}

#[test]
fn a_reset_before_the_answer_is_tried_again_only_where_the_method_allows() {
    let endpoint = frames(|mut frames, _| {
        let mut answered = false;
        while let Some(head) = frames.wait(HEADERS) {
            if std::mem::replace(&mut answered, true) && head.flags & END_STREAM != 0 {
                frames.answer(head.stream, b"again");
            } else {
                frames.reset(head.stream, INTERNAL_ERROR);
            }
        }
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        assert_eq!(worker.fetch(get("/")).await.unwrap(), (200, "again".into()));
        assert_eq!(failed(worker.send(post("a")).await).kind, Kind::BadReply);
    });
}

#[test]
fn an_answer_that_breaks_off_ends_in_an_error() {
    let endpoint = frames(|mut frames, _| {
        while let Some(head) = frames.wait(HEADERS) {
            frames.send(HEADERS, END_HEADERS, head.stream, OK);
            frames.send(DATA, 0, head.stream, b"half");
            frames.reset(head.stream, INTERNAL_ERROR);
        }
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        let answer = worker.send(get("/")).await.0.unwrap();
        assert_eq!(collect(answer.into_body()).await.err().unwrap().kind, Kind::BadReply);
    });
}

#[test]
fn an_endpoint_that_does_not_speak_http2_is_not_reached() {
    let endpoint = Endpoint::answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        let (outcome, report) = worker.send(post("a")).await;
        let error = outcome.err().unwrap();
        assert_eq!(error.kind, Kind::EndpointUnreachable);
        assert!(error.cause.unwrap().contains("HTTP/2"), "the log must say why");
        assert!(!report.sent);
        let worker = Worker::new(&h2c(&[nobody()]));
        assert_eq!(failed(worker.send(post("a")).await).kind, Kind::EndpointUnreachable);
    });
}

#[test]
fn a_deadline_and_a_client_that_goes_away_cancel_the_stream() {
    let (seen, resets) = mpsc::channel();
    let endpoint = frames(move |mut frames, _| {
        let reset = |frames: &mut Frames| {
            let reset = frames.wait(RST_STREAM).unwrap();
            (reset.stream, u32::from_be_bytes(reset.payload.try_into().unwrap()))
        };
        frames.wait(HEADERS).unwrap();
        seen.send(reset(&mut frames)).unwrap();
        let next = frames.wait(HEADERS).unwrap();
        frames.send(HEADERS, END_HEADERS, next.stream, OK);
        frames.send(DATA, 0, next.stream, b"begun");
        seen.send(reset(&mut frames)).unwrap();
        frames.rest();
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        let (outcome, _) = worker.send_within(post("a"), Duration::from_millis(100), None).await;
        assert_eq!(outcome.err().unwrap().kind, Kind::DeadlineExceeded);
        until("the first is cancelled", || resets.try_recv().is_ok_and(|reset| reset == (1, CANCEL))).await;
        drop(worker.send(get("/")).await.0.unwrap());
        until("the second is cancelled", || resets.try_recv().is_ok_and(|reset| reset == (3, CANCEL))).await;
        assert_eq!(endpoint.connections(), 1);
    });
}

#[test]
fn an_endpoint_that_does_not_read_holds_the_client_back() {
    let endpoint = frames(|mut frames, _| {
        frames.wait(HEADERS).unwrap();
        let mut received = 0;
        while received < INITIAL_WINDOW {
            received += frames.wait(DATA).unwrap().payload.len();
        }
        // The window is used up: an answer that is complete ends the exchange without the rest.
        frames.answer(1, received.to_string().as_bytes());
        frames.rest();
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        let taken = std::rc::Rc::new(std::cell::Cell::new(0));
        let (status, content) = worker.fetch(request("POST", "/", endless(taken.clone()))).await.unwrap();
        assert_eq!((status, content), (200, INITIAL_WINDOW.to_string()));
        assert!(taken.get() <= INITIAL_WINDOW + 3 * PIECE, "{} bytes were taken from the client", taken.get());
    });
}

const PIECE: usize = 16 * 1024;

/// A body without an end, and how much of it was asked for.
fn endless(taken: std::rc::Rc<std::cell::Cell<usize>>) -> Body {
    struct Endless(std::rc::Rc<std::cell::Cell<usize>>);
    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = Error;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<BodyFrame<Bytes>, Error>>> {
            self.0.set(self.0.get() + PIECE);
            std::task::Poll::Ready(Some(Ok(BodyFrame::data(Bytes::from(vec![0; PIECE])))))
        }
    }
    Body::stream(Endless(taken))
}

#[test]
fn a_client_that_does_not_read_holds_the_endpoint_back_and_nobody_else() {
    let (sent, count) = mpsc::channel();
    let endpoint = frames(move |mut frames, _| {
        let window = 128 * 1024;
        frames.wait(HEADERS).unwrap();
        frames.send(HEADERS, END_HEADERS, 1, OK);
        for _ in 0..window / PIECE {
            frames.send(DATA, 0, 1, &[0; PIECE]);
        }
        sent.send(()).unwrap();
        // Another stream is not held up by this one; no more room comes before somebody reads.
        let other = loop {
            let frame = frames.next().unwrap();
            assert!(frame.kind != WINDOW_UPDATE || frame.stream == 0, "room was made for what nobody took");
            if frame.kind == HEADERS {
                break frame;
            }
        };
        frames.answer(other.stream, b"other");
        while frames.wait(WINDOW_UPDATE).unwrap().stream != 1 {}
        frames.send(DATA, END_STREAM, 1, b"");
        frames.rest();
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        let slow = worker.send(get("/slow")).await.0.unwrap();
        until("the window is used up", || count.try_recv().is_ok()).await;
        assert_eq!(worker.fetch(get("/other")).await.unwrap(), (200, "other".into()));
        assert_eq!(collect(slow.into_body()).await.unwrap().0.len(), 128 * 1024);
    });
}

#[test]
fn both_sides_speak_at_once() {
    let (address, _) = echo();
    on_worker(async {
        let worker = Worker::new(&h2c(&[address]));
        let (feed, body) = streamed();
        let mut answer = worker.send(request("POST", "/", body)).await.0.unwrap().into_body();
        for _ in 0..100 {
            feed.send(data(b"ping")).unwrap();
            let frame = poll_fn(|context| Pin::new(&mut answer).poll_frame(context)).await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), "ping");
        }
        drop(feed);
        assert_eq!(collect(answer).await.unwrap().0, b"");
    });
}

#[test]
fn a_client_of_http2_that_does_not_read_its_answer_may_go_on_sending() {
    let (seen, all) = mpsc::channel();
    let endpoint = frames(move |mut frames, _| {
        let head = frames.wait(HEADERS).unwrap();
        frames.send(HEADERS, END_HEADERS, head.stream, OK);
        while frames.wait(DATA).unwrap().flags & END_STREAM == 0 {}
        seen.send(()).unwrap();
        frames.send(DATA, END_STREAM, head.stream, b"all of it");
        frames.rest();
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        let (feed, body) = streamed();
        let mut ask = request("POST", "/", body);
        *ask.version_mut() = http::Version::HTTP_2;
        feed.send(data(b"begun")).unwrap();
        let answer = worker.send(ask).await.0.unwrap();
        feed.send(data(b"more")).unwrap();
        drop(feed);
        until("the endpoint has it all", || all.try_recv().is_ok()).await;
        assert_eq!(collect(answer.into_body()).await.unwrap().0, b"all of it");
    });
}

#[test]
fn a_body_that_fails_after_the_answer_has_begun_ends_it_with_its_own_reason() {
    for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
        let endpoint = frames(|mut frames, _| {
            let head = frames.wait(HEADERS).unwrap();
            frames.send(HEADERS, END_HEADERS, head.stream, OK);
            frames.rest();
        });
        on_worker(async {
            let worker = Worker::new(&h2c(&[endpoint.address]));
            let (feed, body) = streamed();
            let mut ask = request("POST", "/", body);
            *ask.version_mut() = version;
            let answer = worker.send(ask).await.0.unwrap();
            feed.send(Err(Error::new(Kind::BodyTooLarge, "too much"))).unwrap();
            assert_eq!(collect(answer.into_body()).await.err().unwrap().kind, Kind::BodyTooLarge, "{version:?}");
        });
    }
}

#[test]
fn a_body_that_fails_resets_the_stream_and_says_why() {
    let (seen, resets) = mpsc::channel();
    let endpoint = frames(move |mut frames, _| {
        seen.send(frames.wait(RST_STREAM).unwrap().payload).unwrap();
        frames.rest();
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        let (feed, body) = streamed();
        feed.send(data(b"begun")).unwrap();
        feed.send(Err(Error::new(Kind::BodyTooLarge, "too much"))).unwrap();
        assert_eq!(failed(worker.send(request("POST", "/", body)).await).kind, Kind::BodyTooLarge);
        until("the stream is reset", || resets.try_recv().is_ok_and(|reason| reason == CANCEL.to_be_bytes())).await;
    });
}

#[test]
fn interim_answers_are_passed_on_and_100_opens_a_body_that_waits_for_it() {
    let endpoint = frames(|mut frames, _| {
        let head = frames.wait(HEADERS).unwrap();
        frames.send(HEADERS, END_HEADERS, head.stream, &[field(":status", "103"), field("link", "</a>")].concat());
        frames.send(HEADERS, END_HEADERS, head.stream, &field(":status", "100"));
        let content = frames.wait(DATA).unwrap();
        frames.answer(head.stream, &content.payload);
        frames.rest();
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let sink = seen.clone();
        let (feed, body) = streamed();
        let mut ask = request("POST", "/", body);
        ask.headers_mut().insert("expect", HeaderValue::from_static("100-continue"));
        feed.send(data(b"asked for")).unwrap();
        drop(feed);
        let sink: stagedoor_dataplane::cluster::InterimSink =
            std::rc::Rc::new(move |status, headers| sink.borrow_mut().push((status.as_u16(), headers)));
        let (outcome, _) = worker.send_within(ask, Duration::from_secs(10), Some(sink)).await;
        assert_eq!(collect(outcome.unwrap().into_body()).await.unwrap().0, b"asked for");
        let seen = seen.borrow();
        assert_eq!(seen.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [103, 100]);
        assert_eq!(seen[0].1["link"], "</a>");
    });
}

#[test]
fn interim_answers_without_end_are_a_bad_reply() {
    let endpoint = frames(|mut frames, _| {
        let head = frames.wait(HEADERS).unwrap();
        while frames.send(HEADERS, END_HEADERS, head.stream, &field(":status", "103")) {}
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        let seen = std::rc::Rc::new(std::cell::Cell::new(0));
        let count = seen.clone();
        let sink: stagedoor_dataplane::cluster::InterimSink = std::rc::Rc::new(move |_, _| count.set(count.get() + 1));
        let (outcome, _) = worker.send_within(post("a"), Duration::from_secs(10), Some(sink)).await;
        assert_eq!(outcome.err().unwrap().kind, Kind::BadReply);
        assert_eq!(seen.get(), 16);
    });
}

#[test]
fn heads_and_trailers_without_an_end_are_refused() {
    let endpoint = frames(|mut frames, index| {
        let head = frames.wait(HEADERS).unwrap();
        if index == 0 {
            frames.send(HEADERS, 0, head.stream, OK);
            while frames.send(CONTINUATION, 0, head.stream, &field("x-more", &"a".repeat(100)).repeat(50)) {}
        }
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        assert_eq!(failed(worker.send(post("a")).await).kind, Kind::BadReply);
    });
}

#[test]
fn a_head_that_is_too_large_costs_its_own_stream_alone() {
    let endpoint = frames(|mut frames, _| {
        let head = frames.wait(HEADERS).unwrap();
        let large = field("x-large", &"a".repeat(100)).repeat(140);
        frames.send(HEADERS, 0, head.stream, OK);
        for _ in 0..4 {
            frames.send(CONTINUATION, 0, head.stream, &large);
        }
        frames.send(CONTINUATION, END_HEADERS, head.stream, &large);
        let head = frames.wait(HEADERS).unwrap();
        frames.answer(head.stream, b"small");
        frames.rest();
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        assert_eq!(failed(worker.send(post("a")).await).kind, Kind::BadReply);
        assert_eq!(worker.fetch(post("a")).await.unwrap(), (200, "small".into()));
        assert_eq!(endpoint.connections(), 1);
    });
}

#[test]
fn an_idle_connection_is_closed_in_order_after_its_time() {
    let (ended, ends) = mpsc::channel();
    let endpoint = frames(move |mut frames, _| {
        let head = frames.wait(HEADERS).unwrap();
        frames.answer(head.stream, b"ok");
        let away = frames.wait(GOAWAY);
        ended.send(away.is_some()).unwrap();
        frames.rest();
    });
    on_worker(async {
        let mut settings = h2c(&[endpoint.address]);
        settings.pool.idle_ms = 20;
        let worker = Worker::new(&settings);
        assert_eq!(worker.fetch(get("/")).await.unwrap().0, 200);
        until("it is closed", || ends.try_recv().is_ok_and(|orderly| orderly)).await;
    });
}

#[test]
fn a_cluster_that_leaves_or_changes_its_protocol_closes_its_connections_after_their_exchanges() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let (ended, ends) = mpsc::channel();
    let endpoint = frames(move |mut frames, _| {
        let head = frames.wait(HEADERS).unwrap();
        frames.send(HEADERS, END_HEADERS, head.stream, OK);
        released.lock().unwrap().recv().unwrap();
        frames.send(DATA, END_STREAM, head.stream, b"late");
        frames.rest();
        ended.send(()).unwrap();
    });
    on_worker(async {
        let mut worker = Worker::new(&h2c(&[endpoint.address]));
        let answer = worker.send(get("/")).await.0.unwrap();
        worker.apply(&settings(&[endpoint.address]));
        release.send(()).unwrap();
        assert_eq!(collect(answer.into_body()).await.unwrap().0, b"late");
        until("it is closed", || ends.try_recv().is_ok()).await;
    });
}

#[test]
fn a_connection_that_the_endpoint_closed_while_idle_is_not_used_again() {
    let endpoint = frames(|mut frames, index| {
        let head = frames.wait(HEADERS).unwrap();
        frames.answer(head.stream, index.to_string().as_bytes());
        if index > 0 {
            frames.rest();
        }
    });
    on_worker(async {
        let worker = Worker::new(&h2c(&[endpoint.address]));
        assert_eq!(worker.fetch(get("/")).await.unwrap(), (200, "0".into()));
        assert_eq!(worker.fetch(get("/")).await.unwrap(), (200, "1".into()));
    });
}
