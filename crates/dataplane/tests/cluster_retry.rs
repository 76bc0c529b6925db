//! What is tried again, what is not, and that nothing of the request is lost on the way.

use std::time::Duration;

use crate::endpoint::*;
use bytes::Bytes;
use http_body::Frame;
use stagedoor_dataplane::error::{Error, Kind};
use stagedoor_dataplane::protocol::body::Body;

const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

fn resetting() -> Endpoint {
    Endpoint::start(|mut connection| {
        connection.request();
        connection.reset();
    })
}

#[test]
fn a_request_that_could_not_connect_goes_whole_to_another_endpoint_whatever_its_method() {
    on_worker(async {
        let server = Endpoint::answering(OK);
        let worker = Worker::new(&settings(&[nobody(), server.address]));
        for _ in 0..2 {
            let post = request("POST", "/whole", Body::full("all of it"));
            assert_eq!(worker.fetch(post).await.unwrap().1, "ok");
        }
        // Nothing of a streamed body has been read before there is a connection.
        for _ in 0..2 {
            let (feed, body) = streamed();
            feed.send(data(b"streamed")).unwrap();
            drop(feed);
            assert_eq!(worker.fetch(request("POST", "/streamed", body)).await.unwrap().1, "ok");
        }
        let text = server.text();
        assert_eq!((text.matches("all of it").count(), text.matches("8\r\nstreamed\r\n0\r\n\r\n").count()), (2, 2));
    });
}

#[test]
fn an_idempotent_request_that_was_reset_goes_to_another_endpoint_with_its_whole_body() {
    on_worker(async {
        let (broken, server) = (resetting(), Endpoint::answering(OK));
        let worker = Worker::new(&settings(&[broken.address, server.address]));
        let put = request("PUT", "/item?x=1", Body::full("0123456789"));
        let (answer, report) = worker.send(put).await;
        assert_eq!(answer.unwrap().status(), 200);
        assert_eq!((report.retries, report.endpoint.as_deref()), (1, Some(server.address.to_string().as_str())));
        assert_eq!(broken.text(), server.text(), "the same request, byte for byte");
        assert!(server.text().ends_with("\r\n\r\n0123456789"));
    });
}

#[test]
fn a_request_that_is_not_idempotent_is_never_sent_twice() {
    on_worker(async {
        let (broken, server) = (resetting(), Endpoint::answering(OK));
        let worker = Worker::new(&settings(&[broken.address, server.address]));
        let (answer, report) = worker.send(request("POST", "/order", Body::full("once"))).await;
        assert_eq!(answer.err().unwrap().kind, Kind::BadReply);
        assert!(report.sent, "its outcome is unknown");
        assert_eq!((broken.requests(), server.requests()), (1, 0));
    });
}

#[test]
fn a_streamed_body_that_has_begun_is_never_sent_again_even_if_the_method_is_idempotent() {
    on_worker(async {
        let (broken, server) = (resetting(), Endpoint::answering(OK));
        let worker = Worker::new(&settings(&[broken.address, server.address]));
        let (feed, body) = streamed();
        feed.send(data(b"part")).unwrap();
        drop(feed);
        let (answer, _) = worker.send(request("PUT", "/", body)).await;
        assert_eq!(answer.err().unwrap().kind, Kind::BadReply);
        assert_eq!(server.requests(), 0);
    });
}

#[test]
fn a_configured_status_is_tried_again_with_the_body_and_passed_on_when_attempts_end() {
    on_worker(async {
        let (busy, server) = (Endpoint::answering(UNAVAILABLE), Endpoint::answering(OK));
        let mut both = settings(&[busy.address, server.address]);
        both.retry.statuses = vec![503];
        let worker = Worker::new(&both);
        for _ in 0..2 {
            let put = request("PUT", "/", Body::full("again"));
            assert_eq!(worker.fetch(put).await.unwrap(), (200, "ok".into()));
        }
        assert_eq!(server.text().matches("again").count(), 2);
        let mut one = settings(&[busy.address]);
        one.retry.statuses = vec![503];
        let before = busy.requests();
        let worker = Worker::new(&one);
        assert_eq!(worker.fetch(get("/")).await.unwrap(), (503, "busy".into()));
        assert_eq!(busy.requests() - before, 3);
        assert_eq!(worker.fetch(request("POST", "/", Body::full("x"))).await.unwrap(), (503, "busy".into()));
        assert_eq!(busy.requests() - before, 4);
    });
}

#[test]
fn a_reset_of_a_kept_connection_is_repeated_once_even_where_retries_are_off() {
    on_worker(async {
        // Reads the second request of each connection and drops it without an answer: the keep-alive race.
        let server = Endpoint::start(|mut connection| {
            connection.request();
            connection.send(OK);
            connection.request();
            connection.reset();
        });
        let mut settings = settings(&[server.address]);
        settings.retry.attempts = 0;
        let worker = Worker::new(&settings);
        for _ in 0..3 {
            assert_eq!(worker.fetch(get("/")).await.unwrap().1, "ok");
        }
        let (answer, report) = worker.send(request("POST", "/", Body::full("once"))).await;
        assert_eq!(answer.err().unwrap().kind, Kind::BadReply);
        assert!(report.sent);
        assert_eq!(server.text().matches("once").count(), 1);
    });
}

#[test]
fn the_budget_ends_retries_when_everything_fails() {
    on_worker(async {
        let server = Endpoint::answering(UNAVAILABLE);
        let mut settings = settings(&[server.address]);
        settings.retry.statuses = vec![503];
        settings.retry.attempts = 10;
        let worker = Worker::new(&settings);
        for _ in 0..8 {
            worker.fetch(get("/")).await.unwrap();
        }
        // 8 calls, and the least of 3 retries a second over ten seconds.
        assert_eq!(server.requests(), 8 + 30);
    });
}

#[test]
fn no_endpoint_at_all_is_unreachable_and_certainly_not_sent() {
    on_worker(async {
        let worker = Worker::new(&settings(&[nobody()]));
        let (answer, report) = worker.send(request("POST", "/", Body::full("x"))).await;
        assert_eq!(answer.err().unwrap().kind, Kind::EndpointUnreachable);
        assert!(!report.sent);
        assert_eq!(report.retries, 2);
    });
}

#[test]
fn names_are_looked_up_and_every_address_tried() {
    on_worker(async {
        let server = Endpoint::answering(OK);
        let mut settings = settings(&[server.address]);
        settings.endpoints[0].authority = format!("localhost:{}", server.address.port());
        assert_eq!(Worker::new(&settings).fetch(get("/")).await.unwrap().1, "ok");
        settings.endpoints[0].authority = format!("does-not-exist.invalid:{}", server.address.port());
        assert_eq!(Worker::new(&settings).fetch(get("/")).await.unwrap_err().kind, Kind::EndpointUnreachable);
    });
}

#[test]
fn a_request_body_that_fails_is_the_callers_fault_and_the_endpoint_never_sees_a_clean_end() {
    on_worker(async {
        let server = Endpoint::start(|connection| connection.wait_closed());
        let mut settings = settings(&[server.address]);
        settings.ejection.failures = 1;
        let worker = Worker::new(&settings);
        for _ in 0..2 {
            let (feed, body) = streamed();
            feed.send(data(b"begun")).unwrap();
            feed.send(Err(Error::new(Kind::BodyTooLarge, "too large"))).unwrap();
            let (answer, _) = worker.send(request("POST", "/", body)).await;
            assert_eq!(answer.err().unwrap().kind, Kind::BodyTooLarge);
        }
        assert!(!server.text().contains("0\r\n\r\n"));
    });
}

#[test]
fn framing_follows_from_the_body_and_not_from_what_the_head_claims() {
    on_worker(async {
        let server = Endpoint::answering(OK);
        let worker = Worker::new(&settings(&[server.address]));
        let mut claims = request("POST", "/", Body::full("12345"));
        claims.headers_mut().append("content-length", "3".parse().unwrap());
        claims.headers_mut().append("content-length", "99".parse().unwrap());
        claims.headers_mut().insert("transfer-encoding", "gzip".parse().unwrap());
        worker.fetch(claims).await.unwrap();
        let mut empty = request("POST", "/", Body::empty());
        empty.headers_mut().insert("content-length", "7".parse().unwrap());
        worker.fetch(empty).await.unwrap();
        // A client may send content with GET; hyper alone would drop it.
        let (feed, body) = streamed();
        feed.send(data(b"query")).unwrap();
        drop(feed);
        let mut streamed = request("GET", "/", body);
        streamed.headers_mut().insert("content-length", "1".parse().unwrap());
        worker.fetch(streamed).await.unwrap();
        worker.fetch(get("/")).await.unwrap();
        let text = server.text().to_ascii_lowercase();
        let lengths: Vec<_> = text.lines().filter(|line| line.starts_with("content-length")).collect();
        assert_eq!(lengths, ["content-length: 5", "content-length: 0"]);
        assert!(!text.contains("gzip"));
        assert!(text.contains("5\r\nquery\r\n0\r\n\r\n"));
        assert_eq!((server.connections(), server.requests()), (1, 4));
    });
}

#[test]
fn trailers_go_both_ways_without_what_a_trailer_must_not_carry() {
    on_worker(async {
        let server = Endpoint::answering(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: sum, content-length\r\n\r\n\
              2\r\nok\r\n0\r\nsum: 7\r\ncontent-length: 9\r\n\r\n",
        );
        let worker = Worker::new(&settings(&[server.address]));
        let (feed, body) = streamed();
        feed.send(data(b"abc")).unwrap();
        let trailers = [("digest", "d"), ("x-consumer-id", "root")]
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        feed.send(Ok(Frame::<Bytes>::trailers(trailers.into_iter().collect()))).unwrap();
        drop(feed);
        let mut post = request("POST", "/", body);
        post.headers_mut().insert("trailer", "digest, x-consumer-id".parse().unwrap());
        let (answer, _) = worker.send(post).await;
        let (content, trailers) = collect(answer.unwrap().into_body()).await.unwrap();
        assert_eq!(content, b"ok");
        let trailers = trailers.unwrap();
        assert_eq!((trailers.len(), trailers["sum"].as_bytes()), (1, &b"7"[..]));
        assert!(server.text().ends_with("3\r\nabc\r\n0\r\ndigest: d\r\n\r\n"), "{}", server.text());
        // And the connection is still good.
        assert_eq!(worker.fetch(get("/")).await.unwrap().1, "ok");
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn a_connect_that_hangs_ends_with_the_connect_timeout() {
    on_worker(async {
        // A listener whose queue is full swallows further connections.
        let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        full.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
        full.listen(0).unwrap();
        let address = full.local_addr().unwrap().as_socket().unwrap();
        let fillers: Vec<_> = (0..4)
            .map(|_| {
                let filler = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
                filler.set_nonblocking(true).unwrap();
                let _ = filler.connect(&address.into());
                filler
            })
            .collect();
        let server = Endpoint::answering(OK);
        let mut settings = settings(&[address, server.address]);
        settings.connect_ms = 50;
        let worker = Worker::new(&settings);
        let (answer, report) = worker.send_within(get("/"), Duration::from_secs(10), None).await;
        assert_eq!(answer.unwrap().status(), 200);
        assert_eq!(report.retries, 1);
        drop(fillers);
    });
}
