//! HTTP/2 from clients under pressure: sides that do not read, bodies that stop, and trailers both ways, with a client of
//! the `h2` crate.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::Arc;
use std::time::Duration;

use crate::door::{snapshot, Door};
use crate::endpoint::{on_worker, until, Endpoint, OK};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::Reason;
use http::{HeaderMap, HeaderValue, Request};
use serde_json::{json, Value};

/// What a side may have sent that the other one has not read: the windows, and the buffers of the systems in between.
const AHEAD: usize = 64 * 1024 * 1024;

fn door(endpoint: &Endpoint, change: impl FnOnce(&mut Value)) -> Door {
    let mut snapshot = snapshot(endpoint.address);
    snapshot["listeners"]["public"]["http2"] = json!({"enabled": true, "h2c": true, "max_streams": 8});
    snapshot["routes"]["all"]["policies"] = json!({"limits": {"body_bytes": 1u64 << 40, "request_ms": null}});
    change(&mut snapshot);
    Door::open(snapshot)
}

async fn client(door: &Door) -> SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(door.address).await.unwrap();
    // A stream that is not read takes up no more than its own part of the connection's window.
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(65_535).initial_connection_window_size(1 << 20);
    let (client, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
    tokio::task::spawn_local(connection);
    client.ready().await.unwrap()
}

fn ask(method: &str, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("http://shop.example{path}")).body(()).unwrap()
}

async fn get(client: &mut SendRequest<Bytes>, path: &str) -> Bytes {
    let answer = client.send_request(ask("GET", path), true).unwrap().0.await.unwrap();
    answer.into_body().data().await.unwrap().unwrap()
}

/// Answers `/endless` without end, and counts what is taken of it; anything else is answered at once.
fn endless() -> (Endpoint, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let endpoint = Endpoint::start(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            if !head.starts_with("GET /endless ") {
                connection.send(OK);
                continue;
            }
            connection.send(b"HTTP/1.1 200 OK\r\n\r\n");
            while connection.stream.write_all(&[b'x'; 16384]).is_ok() {
                count.fetch_add(16384, SeqCst);
            }
            // Its reader has gone.
            count.fetch_add(AHEAD, SeqCst);
            return;
        }
    });
    (endpoint, taken)
}

/// The number stands still.
async fn settled(taken: &AtomicUsize) -> usize {
    let (mut last, mut since) = (0, std::time::Instant::now());
    until("it stands still", || {
        let now = taken.load(SeqCst);
        if now != last {
            (last, since) = (now, std::time::Instant::now());
        }
        now > 0 && since.elapsed() > Duration::from_millis(200)
    })
    .await;
    last
}

#[test]
fn a_client_that_does_not_read_a_stream_holds_its_endpoint_back_and_no_other_stream() {
    let (endpoint, taken) = endless();
    let door = door(&endpoint, |_| {});
    on_worker(async {
        let mut client = client(&door).await;
        let answer = client.send_request(ask("GET", "/endless"), true).unwrap().0.await.unwrap();
        let ahead = settled(&taken).await;
        assert!(ahead < AHEAD, "{ahead}");
        for _ in 0..20 {
            assert_eq!(get(&mut client, "/other").await, "ok");
        }
        drop(answer);
        until("the endpoint is let go", || taken.load(SeqCst) >= AHEAD).await;
    });
}

#[test]
fn a_client_that_never_reads_loses_its_stream_when_the_time_is_over_and_the_endpoint_is_free() {
    let (endpoint, taken) = endless();
    let door = door(&endpoint, |snapshot| snapshot["clusters"]["shop"]["request_ms"] = json!(500));
    on_worker(async {
        let mut client = client(&door).await;
        let answer = client.send_request(ask("GET", "/endless"), true).unwrap().0.await.unwrap();
        until("the endpoint is let go", || taken.load(SeqCst) >= AHEAD).await;
        let mut body = answer.into_body();
        let error = loop {
            match body.data().await {
                Some(Ok(data)) => body.flow_control().release_capacity(data.len()).unwrap(),
                Some(Err(error)) => break error,
                None => panic!("an answer that was cut off ended in order"),
            }
        };
        assert!(error.is_reset(), "{error}");
        assert_eq!(get(&mut client, "/other").await, "ok");
    });
}

#[test]
fn an_endpoint_that_does_not_read_stops_the_clients_stream_and_no_other_one() {
    let endpoint = Endpoint::start(|mut connection| {
        while let Some(head) = connection.head() {
            if head.starts_with("POST ") {
                // Reads nothing.
                std::thread::park();
            }
            connection.send(OK);
        }
    });
    let door = door(&endpoint, |_| {});
    on_worker(async {
        let mut client = client(&door).await;
        let (_answer, mut sending) = client.send_request(ask("POST", "/up"), false).unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let count = sent.clone();
        tokio::task::spawn_local(async move {
            loop {
                sending.reserve_capacity(16384);
                let Some(Ok(room)) = std::future::poll_fn(|context| sending.poll_capacity(context)).await else {
                    return;
                };
                sending.send_data(Bytes::from(vec![b'x'; room]), false).unwrap();
                count.fetch_add(room, SeqCst);
            }
        });
        let ahead = settled(&sent).await;
        assert!(ahead < AHEAD, "{ahead}");
        for _ in 0..20 {
            assert_eq!(get(&mut client, "/other").await, "ok");
        }
    });
}

#[test]
fn a_body_that_stops_coming_is_answered_with_408_and_never_whole_at_the_endpoint() {
    let endpoint = Endpoint::start(|mut connection| {
        connection.request();
    });
    let door = door(&endpoint, |snapshot| snapshot["listeners"]["public"]["limits"]["body_idle_ms"] = json!(200));
    on_worker(async {
        let mut client = client(&door).await;
        let (answer, mut sending) = client.send_request(ask("POST", "/up"), false).unwrap();
        sending.send_data(Bytes::from_static(b"begun"), false).unwrap();
        assert_eq!(answer.await.unwrap().status(), 408);
        assert_eq!(get(&mut client, "/fixed").await, "fixed");
    });
    let seen = endpoint.text();
    assert!(seen.contains("begun") && !seen.ends_with("0\r\n\r\n"), "{seen}");
}

#[test]
fn trailers_go_both_ways() {
    let endpoint = Endpoint::start(|mut connection| {
        while connection.request().is_some() {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n";
            connection.send(format!("{head}2\r\nok\r\n0\r\nx-sum: 7\r\nauthorization: none\r\n\r\n").as_bytes());
        }
    });
    let door = door(&endpoint, |_| {});
    on_worker(async {
        let mut client = client(&door).await;
        let (answer, mut sending) = client.send_request(ask("POST", "/up"), false).unwrap();
        sending.send_data(Bytes::from_static(b"hello"), false).unwrap();
        sending
            .send_trailers(HeaderMap::from_iter([("x-up".parse().unwrap(), HeaderValue::from_static("5"))]))
            .unwrap();
        let mut body = answer.await.unwrap().into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "ok");
        assert!(body.data().await.is_none());
        let trailers = body.trailers().await.unwrap().unwrap();
        assert_eq!((&trailers["x-sum"], trailers.contains_key("authorization")), (&"7".parse().unwrap(), false));
    });
    assert!(
        endpoint.text().to_ascii_lowercase().ends_with("5\r\nhello\r\n0\r\nx-up: 5\r\n\r\n"),
        "{}",
        endpoint.text()
    );
}

#[test]
fn a_stream_that_the_client_resets_while_it_sends_is_never_a_whole_request() {
    let endpoint = Endpoint::start(|mut connection| {
        connection.request();
    });
    let door = door(&endpoint, |_| {});
    on_worker(async {
        let mut client = client(&door).await;
        let (answer, mut sending) = client.send_request(ask("POST", "/up"), false).unwrap();
        sending.send_data(Bytes::from_static(b"begun"), false).unwrap();
        until("the endpoint has it", || endpoint.text().contains("begun")).await;
        sending.send_reset(Reason::CANCEL);
        drop(answer);
        assert_eq!(get(&mut client, "/fixed").await, "fixed");
    });
    assert!(!endpoint.text().ends_with("0\r\n\r\n"), "{}", endpoint.text());
}
