//! Answers: late, broken, early, interim; and what becomes of the upload meanwhile.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use crate::endpoint::*;
use http::StatusCode;
use stagedoor_dataplane::cluster::InterimSink;
use stagedoor_dataplane::error::Kind;
use stagedoor_dataplane::protocol::body::Body;

#[test]
fn an_endpoint_that_does_not_answer_in_time_is_a_504_and_its_connection_is_closed() {
    on_worker(async {
        let (closed, ends) = mpsc::channel();
        let server = Endpoint::start(move |connection| {
            connection.wait_closed();
            closed.send(()).unwrap();
        });
        let worker = Worker::new(&settings(&[server.address]));
        let (answer, report) = worker.send_within(get("/"), Duration::from_millis(50), None).await;
        let error = answer.err().unwrap();
        assert_eq!((error.kind, error.kind.status()), (Kind::DeadlineExceeded, 504));
        assert!(report.sent);
        until("the connection is closed", || ends.try_recv().is_ok()).await;
    });
}

#[test]
fn the_deadline_covers_the_body_of_the_answer_too() {
    on_worker(async {
        let server = Endpoint::start(|mut connection| {
            connection.request();
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
            connection.wait_closed();
        });
        let worker = Worker::new(&settings(&[server.address]));
        let (answer, _) = worker.send_within(get("/"), Duration::from_millis(100), None).await;
        let error = collect(answer.unwrap().into_body()).await.unwrap_err();
        assert_eq!(error.kind, Kind::DeadlineExceeded);
    });
}

#[test]
fn an_answer_that_breaks_off_is_never_a_clean_end() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf-"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf-\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf-\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf-\r\n",
    ] {
        on_worker(async move {
            let server = Endpoint::start(move |mut connection| {
                connection.request();
                connection.send(answer);
            });
            let worker = Worker::new(&settings(&[server.address]));
            let (head, _) = worker.send(get("/")).await;
            let error = collect(head.unwrap().into_body()).await.unwrap_err();
            assert_eq!(error.kind, Kind::BadReply, "{}", String::from_utf8_lossy(answer));
        });
    }
}

#[test]
fn what_is_not_a_whole_http_head_is_a_bad_reply() {
    let huge = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(80_000)).into_bytes();
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(300)).into_bytes();
    for answer in [
        b"SSH-2.0-OpenSSH\r\n".to_vec(),
        b"HTTP/1.1 2xx OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Len".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello".to_vec(),
        b"HTTP/1.1 200 OK\r\nname with space: x\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx".to_vec(),
        Vec::new(),
        huge,
        many,
    ] {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        on_worker(async move {
            let server = Endpoint::start(move |mut connection| {
                connection.request();
                connection.send(&answer);
                connection.close();
            });
            let mut settings = settings(&[server.address]);
            settings.retry.attempts = 0;
            let (answer, report) = Worker::new(&settings).send(get("/")).await;
            let error = answer.err().unwrap_or_else(|| panic!("accepted: {shown}"));
            assert_eq!((error.kind, error.kind.status()), (Kind::BadReply, 502), "{shown}");
            assert!(report.sent);
        });
    }
}

#[test]
fn answers_without_content_keep_their_head_and_their_connection() {
    on_worker(async {
        let server = Endpoint::start(|mut connection| {
            while let Some((head, _)) = connection.request() {
                connection.send(match head.split(' ').next() {
                    Some("HEAD") => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                    Some("DELETE") => b"HTTP/1.1 204 No Content\r\n\r\n",
                    _ => b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 55\r\n\r\n",
                });
            }
        });
        let worker = Worker::new(&settings(&[server.address]));
        for (method, status) in [("HEAD", 200), ("DELETE", 204), ("GET", 304), ("HEAD", 200)] {
            let (answer, _) = worker.send(request(method, "/", Body::empty())).await;
            let (head, body) = answer.unwrap().into_parts();
            assert_eq!(head.status.as_u16(), status);
            assert_eq!(head.headers.get("content-length").is_some_and(|length| length == "1000"), method == "HEAD");
            assert!(collect(body).await.unwrap().0.is_empty());
        }
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn an_answer_leaves_with_the_one_length_by_which_it_was_read() {
    for (answer, length) in [
        (
            &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"[..],
            vec![],
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", vec!["2"]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", vec!["2"]),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", vec![]),
    ] {
        on_worker(async move {
            let server = Endpoint::answering(answer);
            let (head, body) = Worker::new(&settings(&[server.address])).send(get("/")).await.0.unwrap().into_parts();
            let lengths: Vec<_> = head.headers.get_all("content-length").iter().collect();
            assert_eq!(lengths, length, "{}", String::from_utf8_lossy(answer));
            assert!(!head.headers.contains_key("transfer-encoding"));
            assert!(matches!(&collect(body).await.unwrap().0[..], b"ok" | b""));
        });
    }
}

#[test]
fn hop_by_hop_fields_of_an_answer_are_not_passed_on() {
    on_worker(async {
        let server = Endpoint::answering(
            b"HTTP/1.1 200 Fine\r\nConnection: x-hop, content-type\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
              Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok",
        );
        let (answer, _) = Worker::new(&settings(&[server.address])).send(get("/")).await;
        let answer = answer.unwrap();
        let mut names: Vec<_> = answer.headers().keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "content-type"]);
    });
}

#[test]
fn an_early_answer_reaches_the_caller_and_the_upload_is_cut() {
    // Closing with unread data makes a reset; staying open without reading makes a full buffer.
    for closing in [true, false] {
        on_worker(async move {
            let server = Endpoint::start(move |mut connection| {
                connection.head();
                connection.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
                if !closing {
                    let mut byte = [0];
                    while connection.stream.peek(&mut byte).is_ok_and(|count| count > 0) {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            });
            let worker = Worker::new(&settings(&[server.address]));
            let (feed, body) = streamed();
            feed.send(data(&[b'x'; 100_000])).unwrap();
            let feeder = tokio::task::spawn_local({
                let feed = feed.clone();
                async move {
                    while feed.send(data(&[b'x'; 100_000])).is_ok() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            });
            assert_eq!(worker.fetch(request("POST", "/", body)).await.unwrap(), (413, "big".into()));
            feeder.await.unwrap();
            assert!(feed.is_closed(), "the rest of the upload is not wanted any more");
        });
    }
}

#[test]
fn both_bodies_may_stream_at_the_same_time() {
    on_worker(async {
        let server = Endpoint::start(|mut connection| {
            connection.head();
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
            connection.read();
            connection.send(b"6\r\nsecond\r\n0\r\n\r\n");
            connection.wait_closed();
        });
        let worker = Worker::new(&settings(&[server.address]));
        let (feed, body) = streamed();
        let (answer, _) = worker.send(request("POST", "/", body)).await;
        feed.send(data(b"only now")).unwrap();
        drop(feed);
        assert_eq!(collect(answer.unwrap().into_body()).await.unwrap().0, b"firstsecond");
    });
}

#[test]
fn a_body_that_waits_for_100_continue_is_sent_only_after_it_and_not_after_a_refusal() {
    on_worker(async {
        let (go, hold) = mpsc::channel::<()>();
        let hold = std::sync::Mutex::new(hold);
        let server = Endpoint::start(move |mut connection| {
            let head = connection.head().unwrap();
            if head.starts_with("POST /refused") {
                connection.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
                connection.wait_closed();
                return;
            }
            hold.lock().unwrap().recv().unwrap();
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n");
            while !connection.received_text().contains("0\r\n\r\n") && connection.read() {}
            connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
            connection.close();
        });
        let worker = Worker::new(&settings(&[server.address]));
        let expecting = |path: &str| {
            let (feed, body) = streamed();
            feed.send(data(b"content")).unwrap();
            let mut post = request("POST", path, body);
            post.headers_mut().insert("expect", "100-continue".parse().unwrap());
            (feed, post)
        };
        let (feed, post) = expecting("/granted");
        drop(feed);
        let task = tokio::task::spawn_local({
            let worker = worker.clone();
            async move { worker.fetch(post).await.unwrap() }
        });
        until("the head has arrived", || server.requests() == 1).await;
        assert!(server.text().to_ascii_lowercase().contains("expect: 100-continue"));
        assert!(!server.text().contains("content\r\n"), "the body waits");
        go.send(()).unwrap();
        assert_eq!(task.await.unwrap().1, "ok");
        let before = server.text();
        assert!(before.contains("content\r\n0\r\n\r\n"));
        let (feed, post) = expecting("/refused");
        assert_eq!(worker.fetch(post).await.unwrap(), (417, "no".into()));
        until("the upload is given up", || feed.is_closed()).await;
        assert!(!server.text()[before.len()..].contains("content\r\n"));
    });
}

#[test]
fn an_endpoint_that_never_says_continue_gets_the_body_after_a_while() {
    on_worker(async {
        let server = Endpoint::answering(OK);
        let worker = Worker::new(&settings(&[server.address]));
        let (feed, body) = streamed();
        feed.send(data(b"content")).unwrap();
        drop(feed);
        let mut post = request("POST", "/", body);
        post.headers_mut().insert("expect", "100-continue".parse().unwrap());
        assert_eq!(worker.fetch(post).await.unwrap().1, "ok");
    });
}

#[test]
fn interim_answers_that_come_in_pieces_are_put_together_and_the_final_answer_stays_whole() {
    on_worker(async {
        let server = Endpoint::start(|mut connection| {
            connection.stream.set_nodelay(true).unwrap();
            while connection.request().is_some() {
                let content = "x".repeat(3000);
                let answer = format!(
                    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
                     HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n{content}"
                );
                for piece in answer.as_bytes().chunks(7) {
                    connection.send(piece);
                }
            }
        });
        let worker = Worker::new(&settings(&[server.address]));
        for _ in 0..3 {
            let seen = Rc::new(RefCell::new(0));
            let sink: InterimSink = Rc::new({
                let seen = seen.clone();
                move |_, _| *seen.borrow_mut() += 1
            });
            let (answer, _) = worker.send_within(get("/"), Duration::from_secs(10), Some(sink)).await;
            assert_eq!(collect(answer.unwrap().into_body()).await.unwrap().0, [b'x'; 3000]);
            assert_eq!(*seen.borrow(), 1);
        }
        // Without anybody to tell they are dropped.
        assert_eq!(worker.fetch(get("/")).await.unwrap().1.len(), 3000);
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn interim_answers_are_passed_on_in_order_without_hop_by_hop_fields_and_in_bounds() {
    on_worker(async {
        let server = Endpoint::start(|mut connection| {
            connection.request();
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n");
            connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x-a\r\nX-A: 1\r\n\r\n");
            connection.send(&b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100));
            connection.send(OK);
            connection.wait_closed();
        });
        let seen = Rc::new(RefCell::new(Vec::new()));
        let sink: InterimSink = Rc::new({
            let seen = seen.clone();
            move |status: StatusCode, headers: http::HeaderMap| {
                let link = headers.get("link").map(|link| link.to_str().unwrap().to_owned());
                seen.borrow_mut().push((status.as_u16(), headers.len(), link));
            }
        });
        let worker = Worker::new(&settings(&[server.address]));
        let (answer, _) = worker.send_within(get("/"), Duration::from_secs(10), Some(sink)).await;
        assert_eq!(collect(answer.unwrap().into_body()).await.unwrap().0, b"ok");
        let seen = seen.borrow();
        assert_eq!(seen[..2], [(102, 0, None), (103, 1, Some("</a.css>".to_owned()))]);
        assert_eq!(seen.len(), 16);
    });
}
