//! Requests at a fixed rate, whether or not earlier ones were answered: latency counts from when a request was due,
//! so a stall is paid by every request that fell into it ("coordinated omission" does not hide it).
//!
//! `openloop ADDRESS PATH RATE CONNECTIONS SECONDS [HEADER...]` prints one line of JSON; latencies in microseconds.
//! Requests are due at even distances and belong to the connections in turn; one waits while its connection's last is
//! under way. One that is still waiting at the end is `missed`, and counts with the time that it has waited.

mod exchange;
mod poll;

use std::collections::VecDeque;
use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use std::{env, process};

use exchange::{PATIENCE, answer_length};
use poll::Poll;

struct Client {
    stream: TcpStream,
    /// When the request under way was due.
    sent: Option<Instant>,
    /// When the requests behind it were due.
    waiting: VecDeque<Instant>,
    buffer: Vec<u8>,
    held: usize,
}

impl Client {
    fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, sent: None, waiting: VecDeque::new(), buffer: vec![0; 16 * 1024], held: 0 })
    }

    /// Sends the next request that is due, if none is under way.
    fn send(&mut self, head: &[u8]) -> io::Result<()> {
        if self.sent.is_none() {
            if let Some(due) = self.waiting.pop_front() {
                self.stream.write_all(head)?;
                self.sent = Some(due);
            }
        }
        Ok(())
    }

    /// When the request was due whose answer is whole now.
    fn receive(&mut self) -> io::Result<Option<Instant>> {
        match self.stream.read(&mut self.buffer[self.held..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(some) => self.held += some,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        match answer_length(&self.buffer[..self.held])? {
            Some(length) if length == self.held => {
                self.held = 0;
                self.sent.take().map(Some).ok_or_else(|| Error::other("an answer to no request"))
            }
            Some(length) if length < self.held => Err(Error::other("the answer is longer than it said")),
            _ => Ok(None),
        }
    }
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [address, path, rate, connections, seconds, headers @ ..] = words.as_slice() else {
        eprintln!("usage: openloop ADDRESS PATH RATE CONNECTIONS SECONDS [HEADER...]");
        process::exit(2);
    };
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n");
    let (rate, connections, seconds) = (number(rate), number(connections) as usize, number(seconds));
    let mut latencies = Vec::with_capacity((rate * seconds) as usize + connections);
    let (missed, failed, reason) = match run(address, head.as_bytes(), rate, connections, seconds, &mut latencies) {
        Ok(missed) => (missed, 0, String::new()),
        Err(error) => (0, 1, error.to_string()),
    };
    let done = latencies.len() - missed;
    latencies.sort_unstable();
    let at = |part: f64| latencies.get((latencies.len() as f64 * part) as usize).copied().unwrap_or(0);
    let (p50, p99, p999) = (at(0.50), at(0.99), at(0.999));
    println!(
        r#"{{"requests": {done}, "failed": {failed}, "missed": {missed}, "seconds": {seconds}, "p50_us": {p50}, "p99_us": {p99}, "p999_us": {p999}, "reason": {reason:?}}}"#
    );
}

/// How many requests were due but never sent; the first failure of any connection ends it.
fn run(
    address: &str,
    head: &[u8],
    rate: f64,
    connections: usize,
    seconds: f64,
    latencies: &mut Vec<u64>,
) -> io::Result<usize> {
    let poll = Poll::new()?;
    let mut clients = Vec::new();
    for key in 0..connections {
        let client = Client::open(address)?;
        poll.add(&client.stream, key)?;
        clients.push(client);
    }
    let begin = Instant::now();
    let end = begin + Duration::from_secs_f64(seconds);
    let last = (rate * seconds) as usize;
    let due = |turn: usize| begin + Duration::from_secs_f64(turn as f64 / rate);
    let (mut turn, mut under_way) = (0, true);
    while turn < last || under_way {
        let now = Instant::now();
        while turn < last && due(turn) <= now {
            let client = &mut clients[turn % connections];
            client.waiting.push_back(due(turn));
            client.send(head)?;
            turn += 1;
        }
        let next = if turn < last { due(turn) } else { end + PATIENCE };
        if now > end + PATIENCE {
            return Err(Error::new(ErrorKind::TimedOut, "an answer did not come in time"));
        }
        for key in poll.wait(next.saturating_duration_since(now))? {
            let client = &mut clients[key];
            if let Some(due) = client.receive()? {
                latencies.push(micros(due.elapsed()));
                if Instant::now() < end {
                    client.send(head)?;
                }
            }
        }
        under_way = clients.iter().any(|client| client.sent.is_some());
    }
    let missed: Vec<_> = clients.iter().flat_map(|client| &client.waiting).map(|due| micros(end - *due)).collect();
    latencies.extend(&missed);
    Ok(missed.len())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn number(word: &str) -> f64 {
    word.parse().unwrap_or_else(|_| {
        eprintln!("{word:?} is no number");
        process::exit(2);
    })
}
