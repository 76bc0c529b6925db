//! Large bodies in a closed loop, read and written in large pieces so that the client is cheap.
//!
//! `bodies ADDRESS down|up BYTES CONNECTIONS SECONDS` prints one line of JSON.
//! `down` asks for `/bytes/BYTES`; `up` posts BYTES to `/`.

mod exchange;

use std::time::{Duration, Instant};
use std::{env, process, thread};

use exchange::Connection;

const PIECE: usize = 256 * 1024;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [address, direction, bytes, connections, seconds] = words.as_slice() else {
        eprintln!("usage: bodies ADDRESS down|up BYTES CONNECTIONS SECONDS");
        process::exit(2);
    };
    let (bytes, connections, seconds) = (number(bytes), number(connections), number(seconds) as u64);
    let (head, body) = match direction.as_str() {
        "down" => (format!("GET /bytes/{bytes} HTTP/1.1\r\nHost: bench\r\n\r\n"), Vec::new()),
        _ => (format!("POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: {bytes}\r\n\r\n"), vec![b'x'; bytes]),
    };
    let begin = Instant::now();
    let end = begin + Duration::from_secs(seconds);
    let clients: Vec<_> = (0..connections)
        .map(|_| {
            let (address, head, body) = (address.clone(), head.clone(), body.clone());
            thread::spawn(move || run(&address, head.as_bytes(), &body, end))
        })
        .collect();
    let (mut requests, mut failed, mut reason) = (0, 0, String::new());
    for client in clients {
        match client.join().expect("a client ended by a panic") {
            (done, None) => requests += done,
            (done, Some(why)) => {
                requests += done;
                failed += 1;
                reason = why;
            }
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!(r#"{{"requests": {requests}, "failed": {failed}, "seconds": {seconds}, "reason": {reason:?}}}"#);
}

/// How many exchanges were whole, and why it ended early if it did.
fn run(address: &str, head: &[u8], body: &[u8], end: Instant) -> (u64, Option<String>) {
    let mut done = 0;
    let mut connection = match Connection::open(address, PIECE) {
        Ok(connection) => connection,
        Err(error) => return (done, Some(error.to_string())),
    };
    while Instant::now() < end {
        if let Err(error) = connection.exchange(head, body) {
            return (done, Some(error.to_string()));
        }
        done += 1;
    }
    (done, None)
}

fn number(word: &str) -> usize {
    word.parse().unwrap_or_else(|_| {
        eprintln!("{word:?} is no number");
        process::exit(2);
    })
}
