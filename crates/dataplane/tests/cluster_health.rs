//! Endpoints that keep failing are left out for a while and come back by one probe.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{mpsc, Arc};
use std::time::Duration;

use crate::endpoint::*;
use stagedoor_dataplane::error::Kind;
use stagedoor_dataplane::protocol::body::Body;
use stagedoor_dataplane::snapshot;

/// Answers while the switch is on, else resets the connection after the request.
fn switched() -> (Endpoint, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(true));
    let switch = well.clone();
    let server = Endpoint::start(move |mut connection| {
        while connection.request().is_some() {
            if !well.load(SeqCst) {
                return connection.reset();
            }
            connection.send(OK);
        }
    });
    (server, switch)
}

fn ejecting(endpoints: &[std::net::SocketAddr], failures: u32, base_ms: u64) -> snapshot::Cluster {
    let mut settings = settings(endpoints);
    settings.retry.attempts = 0;
    settings.ejection = snapshot::Ejection { failures, base_ms, max_ms: base_ms * 10, keep: 0 };
    settings
}

fn post() -> http::Request<Body> {
    request("POST", "/", Body::full("x"))
}

#[test]
fn an_endpoint_that_keeps_failing_is_left_out_and_the_others_serve_alone() {
    on_worker(async {
        let ((sick, switch), well) = (switched(), Endpoint::answering(OK));
        switch.store(false, SeqCst);
        let worker = Worker::new(&ejecting(&[sick.address, well.address], 3, 3_600_000));
        let mut failed = 0;
        for _ in 0..40 {
            failed += usize::from(worker.fetch(post()).await.is_err());
        }
        assert_eq!((failed, sick.requests(), well.requests()), (3, 3, 37));
    });
}

#[test]
fn when_every_endpoint_is_out_the_answer_is_503_with_the_time_to_come_back() {
    on_worker(async {
        let worker = Worker::new(&ejecting(&[nobody(), nobody()], 1, 30_000));
        for _ in 0..2 {
            assert_eq!(worker.fetch(get("/")).await.unwrap_err().kind, Kind::EndpointUnreachable);
        }
        let (answer, report) = worker.send(get("/")).await;
        let error = answer.err().unwrap();
        assert_eq!((error.kind, error.kind.status()), (Kind::ClusterUnavailable, 503));
        let (name, value) = &error.headers[0];
        let seconds: u64 = value.to_str().unwrap().parse().unwrap();
        assert!(name == "retry-after" && (1..=30).contains(&seconds), "{name} {seconds}");
        assert!(!report.sent);
    });
}

#[test]
fn the_last_endpoints_are_never_left_out_and_another_one_is_when_it_can_be_spared() {
    on_worker(async {
        let ((one, first), (two, second)) = (switched(), switched());
        let mut settings = ejecting(&[one.address, two.address], 1, 3_600_000);
        settings.ejection.keep = 1;
        let mut worker = Worker::new(&settings);
        first.store(false, SeqCst);
        second.store(false, SeqCst);
        for _ in 0..10 {
            assert_eq!(worker.fetch(post()).await.unwrap_err().kind, Kind::BadReply);
        }
        // One of them is out; the other one has seen all the rest and serves as soon as it can.
        let seen = [one.requests(), two.requests()];
        assert!(seen == [1, 9] || seen == [9, 1], "{seen:?}");
        first.store(true, SeqCst);
        second.store(true, SeqCst);
        assert_eq!(worker.fetch(post()).await.unwrap().0, 200);
        // The one that is out is all that there is now.
        let last = if seen[0] == 1 { one.address } else { two.address };
        settings.endpoints.retain(|endpoint| endpoint.authority == last.to_string());
        worker.apply(&settings);
        assert_eq!(worker.fetch(post()).await.unwrap().0, 200);
    });
}

#[test]
fn one_probe_decides_whether_an_endpoint_returns() {
    on_worker(async {
        let (probed, probes) = mpsc::channel();
        let (answer, answers) = mpsc::channel::<bool>();
        let answers = std::sync::Mutex::new(answers);
        let server = Endpoint::start(move |mut connection| {
            while connection.request().is_some() {
                probed.send(()).unwrap();
                if !answers.lock().unwrap().recv().unwrap() {
                    return connection.reset();
                }
                connection.send(OK);
            }
        });
        let worker = Worker::new(&ejecting(&[server.address], 1, 20));
        answer.send(false).unwrap();
        assert_eq!(worker.fetch(post()).await.unwrap_err().kind, Kind::BadReply);
        probes.recv().unwrap();
        // A failing probe, then a good one; while each is under way nobody else is let in.
        for good in [false, true] {
            let mut probe = None;
            until("a probe is sent", || {
                let running = probe.get_or_insert_with(|| {
                    let worker = worker.clone();
                    tokio::task::spawn_local(async move { worker.fetch(post()).await })
                });
                if running.is_finished() {
                    probe = None;
                }
                probes.try_recv().is_ok()
            })
            .await;
            for _ in 0..5 {
                assert_eq!(worker.fetch(get("/")).await.unwrap_err().kind, Kind::ClusterUnavailable);
            }
            answer.send(good).unwrap();
            assert_eq!(probe.unwrap().await.unwrap().is_ok(), good);
        }
        for _ in 0..5 {
            answer.send(true).unwrap();
            worker.fetch(get("/")).await.unwrap();
        }
    });
}

#[test]
fn a_probe_whose_client_goes_away_lets_another_one_try() {
    on_worker(async {
        let (server, switch) = switched();
        switch.store(false, SeqCst);
        let worker = Worker::new(&ejecting(&[server.address], 1, 20));
        worker.fetch(post()).await.unwrap_err();
        switch.store(true, SeqCst);
        let silent = Arc::new(AtomicUsize::new(0));
        // Dropped at once, again and again, until the time out is over and well after.
        for _ in 0..30 {
            let future = worker.fetch(post());
            let _ = tokio::time::timeout(Duration::from_millis(1), future).await;
            silent.fetch_add(1, SeqCst);
        }
        let mut good = false;
        for _ in 0..1000 {
            good = worker.fetch(get("/")).await.is_ok();
            if good {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(good, "the endpoint stayed out");
    });
}

#[test]
fn failures_are_gateway_statuses_timeouts_and_broken_answers_but_not_other_errors_of_the_service() {
    for (answer, ejects) in [
        (&b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"[..], true),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", true),
        (b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n", true),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf-", true),
        (b"nonsense\r\n\r\n", true),
        (b"", true),
        (b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", false),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false),
        (b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", false),
    ] {
        on_worker(async move {
            let whole = answer.ends_with(b"Content-Length: 0\r\n\r\n");
            let server = Endpoint::start(move |mut connection| {
                while connection.request().is_some() {
                    connection.send(answer);
                    if !whole {
                        return connection.close();
                    }
                }
            });
            let worker = Worker::new(&ejecting(&[server.address], 2, 3_600_000));
            for _ in 0..4 {
                let _ = worker.fetch(post()).await;
            }
            let expected = if ejects { 2 } else { 4 };
            assert_eq!(server.requests(), expected, "{}", String::from_utf8_lossy(answer));
        });
    }
}

#[test]
fn an_endpoint_that_lets_requests_time_out_is_left_out() {
    on_worker(async {
        let server = Endpoint::start(|connection| connection.wait_closed());
        let worker = Worker::new(&ejecting(&[server.address], 2, 3_600_000));
        for _ in 0..2 {
            let (answer, _) = worker.send_within(get("/"), Duration::from_millis(20), None).await;
            assert_eq!(answer.err().unwrap().kind, Kind::DeadlineExceeded);
        }
        assert_eq!(worker.fetch(get("/")).await.unwrap_err().kind, Kind::ClusterUnavailable);
    });
}

#[test]
fn an_upload_that_is_slow_does_not_count_against_the_endpoint() {
    on_worker(async {
        let server = Endpoint::start(|connection| connection.wait_closed());
        let worker = Worker::new(&ejecting(&[server.address], 1, 3_600_000));
        for _ in 0..3 {
            let (feed, body) = streamed();
            feed.send(data(b"slowly")).unwrap();
            let (answer, _) = worker.send_within(request("POST", "/", body), Duration::from_millis(20), None).await;
            assert_eq!(answer.err().unwrap().kind, Kind::DeadlineExceeded);
        }
    });
}

#[test]
fn an_ejection_survives_a_new_program_and_a_changed_neighbour() {
    on_worker(async {
        let (sick, well) = (nobody(), Endpoint::answering(OK));
        let mut worker = Worker::new(&ejecting(&[sick], 1, 3_600_000));
        worker.fetch(get("/")).await.unwrap_err();
        let other = Endpoint::answering(OK);
        worker.apply(&ejecting(&[sick, well.address], 1, 3_600_000));
        worker.apply(&ejecting(&[other.address, sick], 1, 3_600_000));
        for _ in 0..6 {
            worker.fetch(get("/")).await.unwrap();
        }
        assert_eq!(other.requests(), 6);
    });
}

#[test]
fn requests_are_spread_by_weight() {
    on_worker(async {
        let (light, heavy) = (Endpoint::answering(OK), Endpoint::answering(OK));
        let mut settings = settings(&[light.address, heavy.address]);
        settings.endpoints[1].weight = 3;
        let mut worker = Worker::new(&settings);
        for _ in 0..10 {
            worker.fetch(get("/")).await.unwrap();
            worker.fetch(get("/")).await.unwrap();
            // Reloading does not begin the round anew.
            worker.apply(&settings);
        }
        assert_eq!((light.requests(), heavy.requests()), (5, 15));
    });
}

#[test]
fn answers_failures_retries_ejections_and_connections_are_counted() {
    on_worker(async {
        let server = Endpoint::answering(OK);
        let mut settings = ejecting(&[nobody(), server.address], 1, 3_600_000);
        settings.retry.attempts = 1;
        let mut worker = Worker::new(&settings);
        for _ in 0..3 {
            worker.fetch(get("/")).await.unwrap();
        }
        let alone = ejecting(&[nobody()], 0, 1);
        worker.apply(&alone);
        worker.fetch(get("/")).await.unwrap_err();
        let text = worker.shared.metrics.render(&worker.shared.sinks);
        for line in [
            "stagedoor_cluster_requests_total{cluster=\"test\",status=\"2xx\"} 3",
            "stagedoor_cluster_requests_total{cluster=\"test\",status=\"none\"} 1",
            "stagedoor_cluster_retries_total{cluster=\"test\"} 1",
            "stagedoor_cluster_ejections_total{cluster=\"test\"} 1",
            "stagedoor_cluster_connections{cluster=\"test\"} 0",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
    });
}
