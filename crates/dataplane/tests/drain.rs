//! Drain with a connection in each state: what is under way ends, what is idle closes, nothing new comes in.

use std::net::TcpStream;
use std::sync::{mpsc, Mutex};
use std::time::Duration;

use crate::door::{self, until, Client, Door};
use crate::endpoint::{Endpoint, OK};
use serde_json::json;

const FIXED: &[u8] = b"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n";

/// Runs `during` while the gateway drains, and expects that it ends in time.
fn drained(door: &Door, during: impl FnOnce()) {
    // An idle connection shows when the worker has been told.
    let mut idle = door.client();
    assert_eq!(idle.ask(FIXED).content, b"fixed");
    std::thread::scope(|scope| {
        let draining = scope.spawn(|| door.server.drain(door::PATIENCE));
        assert!(idle.is_closed());
        assert!(TcpStream::connect(door.address).is_err(), "new connections are accepted");
        during();
        assert!(draining.join().unwrap(), "the drain ran out of time");
    });
}

#[test]
fn idle_connections_close_without_a_word() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::before(endpoint.address);
    let (mut used, mut fresh) = (door.client(), door.client());
    assert_eq!(used.ask(FIXED).content, b"fixed");
    // Both have been accepted when the second one has: there is one worker.
    assert_eq!(fresh.ask(FIXED).content, b"fixed");
    drained(&door, || assert!(used.is_closed() && fresh.is_closed()));
}

#[test]
fn an_exchange_that_waits_for_its_endpoint_is_finished_and_its_connection_closed() {
    let (go, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let endpoint = Endpoint::start(move |mut connection| {
        connection.request();
        let _gone = hold.lock().unwrap().recv();
        connection.send(OK);
        connection.wait_closed();
    });
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the endpoint has the request", || endpoint.requests() == 1);
    drained(&door, || {
        go.send(()).unwrap();
        let answer = client.answer();
        assert!(answer.content == b"ok" && answer.says_close(), "{answer:?}");
        assert!(client.is_closed());
    });
}

#[test]
fn an_answer_that_is_being_written_is_finished() {
    let (go, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let endpoint = Endpoint::start(move |mut connection| {
        connection.request();
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbefore\r\n");
        let _gone = hold.lock().unwrap().recv();
        connection.send(b"5\r\nafter\r\n0\r\n\r\n");
        connection.wait_closed();
    });
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the answer has begun", || client.read().is_ok() && client.unread.ends_with(b"before\r\n"));
    drained(&door, || {
        go.send(()).unwrap();
        assert_eq!(client.answer().content, b"beforeafter");
        assert!(client.is_closed());
    });
}

#[test]
fn an_upload_is_taken_to_its_end_and_answered() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nbefore");
    until("the body has begun", || endpoint.text().ends_with("before"));
    drained(&door, || {
        client.send(b"after");
        let answer = client.answer();
        assert!(answer.content == b"ok" && answer.says_close(), "{answer:?}");
        assert!(client.is_closed());
    });
    assert!(endpoint.text().ends_with("beforeafter"));
}

#[test]
fn a_request_whose_head_has_begun_is_answered_or_its_connection_closed_without_a_byte() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    assert_eq!(client.ask(FIXED).content, b"fixed");
    client.send(b"GET /fixed HTTP/1.1\r\nHo");
    drained(&door, || {
        client.send(b"st: a\r\n\r\n");
        let (rest, _) = client.rest();
        assert!(rest.is_empty() || (rest.starts_with(b"HTTP/1.1 200 ") && rest.ends_with(b"fixed")));
    });
}

#[test]
fn requests_that_were_sent_ahead_are_answered_or_not_begun() {
    let (go, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let endpoint = Endpoint::start(move |mut connection| {
        while connection.request().is_some() {
            let _gone = hold.lock().unwrap().recv();
            connection.send(OK);
        }
    });
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    client.send(&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3));
    until("the endpoint has the first request", || endpoint.requests() == 1);
    drained(&door, || {
        drop(go);
        let mut answers = 0;
        let closing = loop {
            let answer = client.answer();
            assert_eq!(answer.content, b"ok");
            answers += 1;
            if answer.says_close() {
                break answers;
            }
        };
        assert!(client.is_closed());
        assert_eq!(endpoint.requests(), closing, "what the endpoint got was answered");
    });
}

#[test]
fn a_client_that_does_not_read_holds_a_drain_up_only_until_its_time_is_over() {
    let endpoint = Endpoint::start(|mut connection| {
        connection.request();
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        while connection.send(&[b'x'; 65536]) {}
    });
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the answer has begun", || client.read().is_ok());
    assert!(!door.server.drain(Duration::from_millis(100)), "the drain cannot have ended");
    door.server.stop();
}

#[test]
fn what_has_not_ended_in_time_is_cut_by_the_stop() {
    let endpoint = Endpoint::start(|mut connection| {
        connection.request();
        connection.wait_closed();
    });
    let door = Door::with_limits(endpoint.address, json!({}));
    let mut clients: Vec<Client> = (0..5).map(|_| door.client()).collect();
    for client in &mut clients {
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    until("the endpoint has all", || endpoint.requests() == 5);
    assert!(!door.server.drain(Duration::from_millis(50)));
    door.server.stop();
    for client in &mut clients {
        assert!(client.rest().0.is_empty());
    }
}
