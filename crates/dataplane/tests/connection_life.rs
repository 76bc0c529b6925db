//! How connections of clients end, and that one of them does not harm the others.

use std::sync::{mpsc, Mutex};
use std::time::Duration;

use crate::door::{self, until, Client, Door, End};
use crate::endpoint::{Endpoint, OK};
use serde_json::json;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const FIXED: &[u8] = b"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n";

/// An endpoint that answers each request when it is told to. The test ends it by dropping the sender.
fn held() -> (Endpoint, mpsc::Sender<()>) {
    let (go, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let endpoint = Endpoint::start(move |mut connection| {
        while connection.request().is_some() {
            if hold.lock().unwrap().recv().is_err() {
                return;
            }
            connection.send(OK);
        }
    });
    (endpoint, go)
}

#[test]
fn a_connection_serves_many_requests_one_after_another_and_so_does_the_endpoint_s() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    for _ in 0..500 {
        assert_eq!(client.ask(GET).content, b"ok");
    }
    assert_eq!((endpoint.requests(), endpoint.connections()), (500, 1));
}

#[test]
fn many_requests_in_one_go_are_all_answered_in_their_order() {
    let endpoint = Endpoint::start(|mut connection| {
        while let Some((head, _)) = connection.request() {
            let target = head.split(' ').nth(1).unwrap();
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len()).as_bytes());
        }
    });
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    let target = |number: usize| if number % 7 == 0 { "/fixed".to_owned() } else { format!("/{number}") };
    let all: String = (0..500).map(|number| format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", target(number))).collect();
    std::thread::scope(|scope| {
        let mut stream = client.stream.try_clone().unwrap();
        scope.spawn(move || std::io::Write::write_all(&mut stream, all.as_bytes()).unwrap());
        for number in 0..500 {
            let content = String::from_utf8(client.answer().content).unwrap();
            assert_eq!(content.trim_start_matches('/'), target(number).trim_start_matches('/'));
        }
    });
}

#[test]
fn a_client_that_sends_requests_and_reads_no_answers_is_read_only_so_far() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    client.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let many = FIXED.repeat(1000);
    let mut sent = 0;
    // Its answers, which nobody takes, fill the buffers on the way back; then its requests fill those on the way here.
    while sent < 64 << 20 && client.send(&many) {
        sent += many.len();
    }
    assert!(sent < 64 << 20, "{sent} bytes of requests are taken");
    let mut other = door.client();
    assert_eq!(other.ask(FIXED).content, b"fixed");
}

#[test]
fn a_listener_takes_only_as_many_connections_as_it_may_and_more_when_one_has_gone() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::with_limits(endpoint.address, json!({"connections": 2}));
    let (mut first, mut second) = (door.client(), door.client());
    assert_eq!(first.ask(FIXED).content, b"fixed");
    assert_eq!(second.ask(FIXED).content, b"fixed");
    assert_eq!(door.client().rest().0, b"", "a third one is closed without a byte");
    assert_eq!(first.ask(FIXED).content, b"fixed");
    drop(first);
    until("a place is free", || {
        let mut next = door.client();
        next.send(FIXED);
        next.rest_is_an_answer()
    });
    assert!(door.server.metrics().contains("stagedoor_connections_refused_total"));
}

impl Client {
    fn rest_is_an_answer(&mut self) -> bool {
        while self.read().is_ok() {
            if self.unread.ends_with(b"fixed") {
                return true;
            }
        }
        false
    }
}

#[test]
fn a_connection_that_never_begins_a_request_is_closed_without_a_word() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::with_limits(endpoint.address, json!({"head_read_ms": 100}));
    assert!(door.client().is_closed());
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::with_limits(endpoint.address, json!({"idle_ms": 100}));
    let mut client = door.client();
    assert_eq!(client.ask(GET).content, b"ok");
    assert!(client.is_closed());
}

#[test]
fn a_head_that_does_not_come_in_time_is_answered_with_408_also_on_a_used_connection() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::with_limits(endpoint.address, json!({"head_read_ms": 100}));
    for used in [false, true] {
        let mut client = door.client();
        if used {
            assert_eq!(client.ask(GET).content, b"ok");
        }
        client.send(b"GET / HTTP/1.1\r\nHo");
        let answer = client.answer();
        assert!(answer.status() == 408 && answer.says_close(), "{answer:?}");
        assert!(client.is_closed());
    }
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn a_head_has_one_time_for_all_of_its_bytes() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::with_limits(endpoint.address, json!({"head_read_ms": 300}));
    let mut client = door.client();
    client.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    client.send(b"GET / HTTP/1.1\r\nX-Slow: ");
    // A byte in each time that a read waits.
    until("the head is given up", || {
        client.send(b"x");
        client.read() != Err(End::Silent)
    });
    assert!(client.unread.starts_with(b"HTTP/1.1 408 "));
}

#[test]
fn a_body_that_stops_coming_is_answered_with_408_and_never_whole_at_the_endpoint() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let endpoint = Endpoint::start(move |mut connection| {
        tell.lock().unwrap().send(connection.request().is_some()).unwrap();
    });
    let door = Door::with_limits(endpoint.address, json!({"body_idle_ms": 100}));
    for framing in ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let mut client = door.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes());
        let answer = client.answer();
        assert!(answer.status() == 408 && answer.says_close(), "{answer:?}");
        assert!(client.is_closed());
        assert!(!told.recv_timeout(door::PATIENCE).unwrap(), "the endpoint saw a whole request");
    }
}

#[test]
fn a_body_that_comes_slowly_is_taken_as_long_as_it_comes() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::with_limits(endpoint.address, json!({"body_idle_ms": 2000}));
    let mut client = door.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    for received in 0..100 {
        client.send(b"~");
        until("the byte has arrived", || endpoint.text().matches('~').count() == received + 1);
    }
    assert_eq!(client.answer().content, b"ok");
}

#[test]
fn clients_that_send_a_byte_at_a_time_do_not_keep_others_waiting() {
    let endpoint = Endpoint::answering(OK);
    let door = Door::before(endpoint.address);
    let mut slow: Vec<Client> = (0..50).map(|_| door.client()).collect();
    let mut fast = door.client();
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    for byte in request {
        for client in &mut slow {
            client.send(&[*byte]);
        }
        assert_eq!(fast.ask(FIXED).content, b"fixed");
    }
    for client in &mut slow {
        assert_eq!(client.answer().content, b"ok");
    }
}

#[test]
fn a_client_that_has_shut_its_side_gets_a_late_answer() {
    let (endpoint, go) = held();
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    client.send(GET);
    client.shut();
    until("the endpoint has the request", || endpoint.requests() == 1);
    go.send(()).unwrap();
    assert_eq!(client.answer().content, b"ok");
    assert!(client.is_closed());
}

#[test]
fn a_client_that_has_shut_its_side_is_waited_for_only_so_long_and_the_endpoint_is_let_go() {
    let (closed, ends) = mpsc::channel();
    let closed = Mutex::new(closed);
    let endpoint = Endpoint::start(move |mut connection| {
        connection.request();
        connection.wait_closed();
        closed.lock().unwrap().send(()).unwrap();
    });
    let door = Door::with_limits(endpoint.address, json!({"half_close_ms": 100}));
    let mut client = door.client();
    client.send(GET);
    client.shut();
    assert_ne!(client.rest().1, End::Silent);
    ends.recv_timeout(door::PATIENCE).unwrap();
}

#[test]
fn a_client_that_goes_in_the_middle_of_its_answer_lets_the_endpoint_go() {
    let (closed, ends) = mpsc::channel();
    let closed = Mutex::new(closed);
    let endpoint = Endpoint::start(move |mut connection| {
        connection.request();
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        connection.wait_closed();
        closed.lock().unwrap().send(()).unwrap();
    });
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    client.send(GET);
    until("the answer has begun", || client.read().is_ok() && client.unread.ends_with(b"hello\r\n"));
    socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    ends.recv_timeout(door::PATIENCE).unwrap();
}

#[test]
fn a_client_that_goes_in_the_middle_of_its_upload_is_never_a_whole_request() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let endpoint = Endpoint::start(move |mut connection| {
        tell.lock().unwrap().send(connection.request().is_some()).unwrap();
    });
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    until("the body has begun", || endpoint.text().contains("hello"));
    socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert!(!told.recv_timeout(door::PATIENCE).unwrap());
}
