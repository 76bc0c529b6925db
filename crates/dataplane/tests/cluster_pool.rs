//! Connections: kept, bounded, never lent again when anything about them is doubtful.

use std::sync::mpsc;
use std::time::Duration;

use crate::endpoint::*;
use stagedoor_dataplane::error::Kind;
use stagedoor_dataplane::protocol::body::Body;

#[test]
fn a_connection_is_used_again_once_its_exchange_is_over() {
    on_worker(async {
        let server = Endpoint::answering(OK);
        let worker = Worker::new(&settings(&[server.address]));
        for _ in 0..5 {
            assert_eq!(worker.fetch(get("/a")).await.unwrap(), (200, "ok".into()));
            let post = request("POST", "/b", Body::full("body"));
            assert_eq!(worker.fetch(post).await.unwrap(), (200, "ok".into()));
        }
        assert_eq!(server.connections(), 1);
        assert_eq!(server.requests(), 10);
    });
}

#[test]
fn a_connection_whose_answer_was_not_read_to_its_end_is_not_used_again() {
    on_worker(async {
        let server = Endpoint::start(|mut connection| {
            while connection.request().is_some() {
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf-");
            }
        });
        let worker = Worker::new(&settings(&[server.address]));
        let (answer, _) = worker.send(get("/1")).await;
        drop(answer.unwrap());
        let (answer, _) = worker.send(get("/2")).await;
        drop(answer.unwrap());
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn bytes_that_nobody_asked_for_are_never_taken_for_an_answer() {
    const POISON: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for together in [true, false] {
        on_worker(async move {
            let (sent, poisoned) = mpsc::channel();
            let server = Endpoint::start(move |mut connection| {
                while connection.request().is_some() {
                    if connection.index > 0 {
                        connection.send(OK);
                        continue;
                    }
                    if together {
                        connection.send(&[OK, POISON].concat());
                    } else {
                        connection.send(OK);
                        connection.send(POISON);
                    }
                    sent.send(()).unwrap();
                }
            });
            let worker = Worker::new(&settings(&[server.address]));
            assert_eq!(worker.fetch(get("/1")).await.unwrap().1, "ok");
            poisoned.recv().unwrap();
            for _ in 0..3 {
                assert_eq!(worker.fetch(get("/2")).await.unwrap().1, "ok");
            }
            assert_eq!(server.connections(), 2);
        });
    }
}

#[test]
fn a_kept_connection_that_the_endpoint_closed_is_replaced_without_the_caller_noticing() {
    on_worker(async {
        let (closed, gone) = mpsc::channel();
        let server = Endpoint::start(move |mut connection| {
            connection.request();
            connection.send(OK);
            drop(connection);
            closed.send(()).unwrap();
        });
        let worker = Worker::new(&settings(&[server.address]));
        for round in 0..4 {
            // Not idempotent, so it must not have been written to a dead connection first.
            let post = request("POST", "/", Body::full(format!("body {round}")));
            assert_eq!(worker.fetch(post).await.unwrap().1, "ok");
            gone.recv().unwrap();
        }
        assert_eq!(server.connections(), 4);
        assert_eq!(server.requests(), 4);
    });
}

#[test]
fn requests_above_the_bound_wait_their_turn_and_no_longer_than_their_deadline() {
    on_worker(async {
        let (release, waiting) = mpsc::channel::<()>();
        let waiting = std::sync::Mutex::new(waiting);
        let server = Endpoint::start(move |mut connection| {
            while connection.request().is_some() {
                waiting.lock().unwrap().recv().unwrap();
                connection.send(OK);
            }
        });
        let mut settings = settings(&[server.address]);
        settings.pool.connections = 1;
        let worker = Worker::new(&settings);
        let order = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 0..3 {
            let (worker, order) = (worker.clone(), order.clone());
            tasks.push(tokio::task::spawn_local(async move {
                let answer = worker.fetch(get("/")).await.unwrap();
                order.borrow_mut().push(number);
                answer
            }));
            tokio::task::yield_now().await;
        }
        let (late, report) = worker.send_within(get("/late"), Duration::from_millis(30), None).await;
        assert_eq!(late.err().unwrap().kind, Kind::DeadlineExceeded);
        assert!(!report.sent, "it never left the queue");
        for _ in 0..3 {
            release.send(()).unwrap();
        }
        for task in tasks {
            assert_eq!(task.await.unwrap().1, "ok");
        }
        assert_eq!(*order.borrow(), [0, 1, 2]);
        assert_eq!(server.connections(), 1);
        assert!(!server.text().contains("/late"));
    });
}

#[test]
fn a_place_in_the_queue_goes_to_the_next_when_its_holder_or_the_connection_fails() {
    on_worker(async {
        // Each connection serves one request and breaks.
        let server = Endpoint::start(|mut connection| {
            connection.request();
            connection.reset();
        });
        let mut settings = settings(&[server.address]);
        settings.pool.connections = 1;
        settings.retry.attempts = 0;
        let worker = Worker::new(&settings);
        let mut tasks = Vec::new();
        for number in 0..6 {
            let worker = worker.clone();
            let task = tokio::task::spawn_local(async move { worker.fetch(get("/")).await });
            if number % 2 == 1 {
                tokio::task::yield_now().await;
                task.abort();
            } else {
                tasks.push(task);
            }
        }
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap_err().kind, Kind::BadReply);
        }
    });
}

#[test]
fn a_burst_makes_only_so_many_connections_at_once_and_who_waits_for_one_learns_that_there_is_none() {
    on_worker(async {
        // Takes connections and never answers the handshake.
        let silent = Endpoint::start(Connection::wait_closed);
        let mut settings = settings(&[silent.address]);
        settings.endpoints[0].tls = true;
        settings.tls.verify = false;
        settings.retry.attempts = 0;
        settings.pool.connections = 1000;
        settings.connect_ms = 300;
        let worker = Worker::new(&settings);
        let exchanges: Vec<_> = (0..100)
            .map(|_| {
                let worker = worker.clone();
                tokio::task::spawn_local(async move { worker.fetch(get("/")).await })
            })
            .collect();
        until("connections are being made", || silent.connections() == 8).await;
        for exchange in exchanges {
            assert_eq!(exchange.await.unwrap().unwrap_err().kind, Kind::EndpointUnreachable);
        }
        assert_eq!(silent.connections(), 8);
    });
}

#[test]
fn idle_connections_above_the_bound_and_beyond_their_time_are_closed() {
    on_worker(async {
        let (closed, ends) = mpsc::channel();
        let server = Endpoint::start(move |mut connection| {
            while connection.request().is_some() {
                connection.send(OK);
            }
            closed.send(()).unwrap();
        });
        let mut settings = settings(&[server.address]);
        settings.pool.idle = 2;
        settings.pool.idle_ms = 50;
        let worker = Worker::new(&settings);
        let fetches: Vec<_> = (0..4)
            .map(|_| {
                let worker = worker.clone();
                tokio::task::spawn_local(async move { worker.fetch(get("/")).await.unwrap() })
            })
            .collect();
        for fetch in fetches {
            fetch.await.unwrap();
        }
        let mut count = 0;
        until("all four connections closed", || {
            count += ends.try_iter().count();
            count == 4
        })
        .await;
    });
}

#[test]
fn a_new_program_keeps_the_connections_of_endpoints_that_stay_and_closes_those_of_endpoints_that_left() {
    on_worker(async {
        let (closed, ends) = mpsc::channel();
        let leaving = Endpoint::start(move |mut connection| {
            while connection.request().is_some() {
                connection.send(OK);
            }
            closed.send(()).unwrap();
        });
        let staying = Endpoint::answering(OK);
        let mut worker = Worker::new(&settings(&[leaving.address, staying.address]));
        for _ in 0..4 {
            worker.fetch(get("/")).await.unwrap();
        }
        assert_eq!((leaving.connections(), staying.connections()), (1, 1));
        worker.apply(&settings(&[staying.address]));
        until("the connection to the endpoint that left is closed", || ends.try_recv().is_ok()).await;
        for _ in 0..4 {
            worker.fetch(get("/")).await.unwrap();
        }
        assert_eq!((leaving.connections(), staying.connections()), (1, 1));
    });
}

#[test]
fn an_answer_in_http_1_0_is_passed_on_and_its_connection_not_used_again() {
    on_worker(async {
        let server = Endpoint::answering(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok");
        let worker = Worker::new(&settings(&[server.address]));
        for _ in 0..2 {
            let (feed, body) = streamed();
            feed.send(data(b"content")).unwrap();
            drop(feed);
            assert_eq!(worker.fetch(request("POST", "/", body)).await.unwrap().1, "ok");
        }
        assert_eq!(server.connections(), 2);
        assert_eq!(server.text().matches("content\r\n0\r\n\r\n").count(), 2);
    });
}

#[test]
fn a_caller_that_goes_away_closes_the_connection_to_the_endpoint() {
    on_worker(async {
        let (closed, ends) = mpsc::channel();
        let server = Endpoint::start(move |mut connection| {
            connection.request();
            connection.wait_closed();
            closed.send(()).unwrap();
        });
        let worker = Worker::new(&settings(&[server.address]));
        let task = tokio::task::spawn_local({
            let worker = worker.clone();
            async move { worker.send(get("/")).await.1 }
        });
        until("the endpoint has the request", || server.requests() == 1).await;
        task.abort();
        until("the endpoint sees the end", || ends.try_recv().is_ok()).await;
    });
}
