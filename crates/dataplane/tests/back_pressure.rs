//! Who reads slowly is sent slowly: the gateway holds no more of a body than its buffers and those of the kernel.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use crate::door::{self, Door};
use crate::endpoint::{self, Endpoint};

/// Far more than the kernel holds for the four sockets on the way, whose buffers it lets grow to some MiB each.
const WHOLE: usize = 96 << 20;
const AHEAD: usize = 48 << 20;

/// Writes until nobody takes more for a while. A while that is too short only makes the result smaller.
fn write_until_stuck(stream: &mut TcpStream) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let piece = [b'x'; 64 * 1024];
    let mut written = 0;
    while written < WHOLE {
        match stream.write(&piece[..piece.len().min(WHOLE - written)]) {
            Ok(count) => written += count,
            Err(_) => break,
        }
    }
    stream.set_write_timeout(None).unwrap();
    written
}

fn write_rest(stream: &mut TcpStream, mut left: usize) {
    let piece = [b'x'; 64 * 1024];
    while left > 0 {
        let count = stream.write(&piece[..piece.len().min(left)]).unwrap();
        left -= count;
    }
}

fn read_exactly(stream: &mut TcpStream, mut left: usize) {
    let mut buffer = [0; 64 * 1024];
    while left > 0 {
        let most = buffer.len().min(left);
        let count = stream.read(&mut buffer[..most]).unwrap();
        assert!(count > 0, "{left} bytes are missing");
        assert!(buffer[..count].iter().all(|byte| *byte == b'x'));
        left -= count;
    }
}

#[test]
fn an_endpoint_can_send_only_so_far_ahead_of_a_client_that_does_not_read() {
    let (tell, told) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let endpoint = Endpoint::start(move |mut connection| {
        connection.request();
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {WHOLE}\r\n\r\n").as_bytes());
        let ahead = write_until_stuck(&mut connection.stream);
        tell.lock().unwrap().send(ahead).unwrap();
        write_rest(&mut connection.stream, WHOLE - ahead);
        connection.wait_closed();
    });
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let ahead = told.recv_timeout(door::PATIENCE).unwrap();
    assert!(ahead < AHEAD, "{ahead} bytes are held");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.stream.read_exact(&mut byte).unwrap();
        head.extend_from_slice(&byte);
    }
    read_exactly(&mut client.stream, WHOLE);
}

#[test]
fn a_client_can_send_only_so_far_ahead_of_an_endpoint_that_does_not_read() {
    let (go, hold) = mpsc::channel::<()>();
    let hold = std::sync::Mutex::new(hold);
    let endpoint = Endpoint::start(move |mut connection| {
        hold.lock().unwrap().recv().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.stream.read_exact(&mut byte).unwrap();
            head.extend_from_slice(&byte);
        }
        read_exactly(&mut connection.stream, WHOLE);
        connection.send(endpoint::OK);
        connection.wait_closed();
    });
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {WHOLE}\r\n\r\n").as_bytes());
    let ahead = write_until_stuck(&mut client.stream);
    assert!(ahead < AHEAD, "{ahead} bytes are held");
    go.send(()).unwrap();
    write_rest(&mut client.stream, WHOLE - ahead);
    assert_eq!(client.answer().content, b"ok");
}

#[test]
fn an_endpoint_that_never_reads_an_upload_is_given_up_at_the_deadline() {
    let (closed, ends) = mpsc::channel();
    let closed = std::sync::Mutex::new(closed);
    let endpoint = Endpoint::start(move |connection| {
        // Reads nothing until the gateway has gone.
        let mut byte = [0];
        let _looked = connection.stream.peek(&mut byte);
        let socket = socket2::SockRef::from(&connection.stream);
        door::until("the gateway closes", || socket.send(b"x").is_err());
        closed.lock().unwrap().send(()).unwrap();
    });
    let mut snapshot = door::snapshot(endpoint.address);
    snapshot["clusters"]["shop"]["request_ms"] = 500.into();
    let door = Door::open(snapshot);
    let mut client = door.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {WHOLE}\r\n\r\n").as_bytes());
    // What the endpoint sends to find out whether anybody is there is no answer either.
    write_until_stuck(&mut client.stream);
    let answer = client.answer();
    assert!(matches!(answer.status(), 502 | 504), "{answer:?}");
    ends.recv_timeout(door::PATIENCE).unwrap();
}

#[test]
fn an_endpoint_that_only_ever_says_103_is_given_up_and_holds_nobody_up() {
    let endpoint = Endpoint::start(|mut connection| {
        connection.request();
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".repeat(1000);
        while connection.send(&hints) {}
    });
    let door = Door::before(endpoint.address);
    let (mut client, mut other) = (door.client(), door.client());
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..50 {
        assert_eq!(other.ask(b"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n").content, b"fixed");
    }
    let last = std::iter::repeat_with(|| client.answer().status()).take(100).find(|status| *status != 103);
    assert_eq!(last, Some(502));
}

#[test]
fn an_endpoint_that_sends_without_end_holds_nobody_up() {
    let endpoint = Endpoint::start(|mut connection| {
        connection.request();
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n");
        while connection.send(&[b'x'; 256 * 1024]) {}
    });
    let door = Door::before(endpoint.address);
    let client = door.client();
    let mut stream = client.stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut buffer = vec![0; 256 * 1024];
        while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
    });
    let mut client = client;
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut other = door.client();
    for _ in 0..50 {
        assert_eq!(other.ask(b"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n").content, b"fixed");
    }
    drop(door);
    reading.join().unwrap();
}
