//! Raw answers of an endpoint from `cases/responses`: what the client sees of them, whether its connection serves on, and
//! whether the endpoint's connection is used again. Every case runs whole and with each byte in a write of its own.
//!
//! Words of a case: `reused` / `not reused` (the endpoint's connection takes the next request), `open` / `close` /
//! `either` (the client's connection serves on, the gateway closes it, one of both), `fails` (the last answer is 502 or
//! breaks off, and never ends as if it were whole); `endpoint closes`, `endpoint resets` (after its bytes, else it goes
//! on), `after the head` (they come when the body has not been read); of an
//! answer: `head` (it answers HEAD). Without `>` the client sends a plain GET.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{mpsc, Arc};
use std::time::Duration;

use crate::case::{self, Case};
use crate::door::{self, Client, Door, End};
use crate::wire::{self, Kind, Message, Taken};

const WORDS: &[&str] = &[
    "reused",
    "not reused",
    "open",
    "close",
    "either",
    "fails",
    "endpoint closes",
    "endpoint resets",
    "after the head",
];

const GET: &[u8] = b"GET /case HTTP/1.1\r\nHost: a\r\n\r\n";
const AFTER: &[u8] = b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn every_answer_reaches_the_client_as_its_case_says_however_its_bytes_arrive() {
    let cases = case::read("responses", WORDS);
    assert!(cases.len() > 80, "only {} cases were read", cases.len());
    let cases: Vec<Arc<Case>> = cases.into_iter().map(Arc::new).collect();
    case::run_all(&cases, |case| {
        run(case, case.answer.len().max(1))?;
        run(case, 1).map_err(|reason| format!("byte by byte: {reason}"))
    });
}

fn run(case: &Arc<Case>, size: usize) -> Result<(), String> {
    let endpoint = Endpoint::start(case.clone(), size);
    let door = Door::before(endpoint.address);
    let mut client = door.client();
    client.send(if case.sent.is_empty() { GET } else { &case.sent });
    answers(case, &mut client)?;
    if case.is("close") {
        match client.rest() {
            (rest, End::Closed) if rest.is_empty() => {}
            (rest, end) => return Err(format!("{end:?} after {:?}", String::from_utf8_lossy(&rest))),
        }
    }
    // Whatever the endpoint still had to say is there before the next request.
    if endpoint.written.recv_timeout(door::PATIENCE).is_err() {
        return Err("the endpoint did not get to its answer".into());
    }
    let mut client = if case.is("open") { client } else { door.client() };
    client.send(AFTER);
    match message(&mut client, Kind::Answer)? {
        Outcome::Whole(after) if after.content == b"after" => {}
        other => return Err(format!("a further request got {other:?}")),
    }
    let connection = endpoint.after.recv_timeout(door::PATIENCE).map_err(|_| "the further request was not seen")?;
    match (connection == 0, case.is("reused"), case.is("not reused")) {
        (true, _, true) => Err("the endpoint's connection was used again".into()),
        (false, true, _) => Err("the endpoint's connection was not used again".into()),
        _ => Ok(()),
    }
}

fn answers(case: &Case, client: &mut Client) -> Result<(), String> {
    for expected in &case.answers {
        let kind = if expected.is("head") { Kind::HeadAnswer } else { Kind::Answer };
        let Outcome::Whole(answer) = message(client, kind)? else {
            return Err(format!("an answer that breaks off where {} was expected", expected.start));
        };
        if answer.status().to_string() != expected.start {
            return Err(format!("answered {:?} and not {}", answer.start, expected.start));
        }
        expected.compare(&answer).map_err(|reason| format!("{reason} in {answer:?}"))?;
        if case.is("open") && answer.says_close() {
            return Err("the answer says that the connection closes".into());
        }
    }
    if case.is("fails") {
        match message(client, Kind::Answer)? {
            Outcome::Whole(answer) if answer.status() == 502 => {}
            Outcome::Whole(answer) => return Err(format!("a whole answer {answer:?}")),
            Outcome::Broken => {}
        }
    }
    Ok(())
}

#[derive(Debug)]
enum Outcome {
    Whole(Box<Message>),
    /// It began, or should have, and the connection ended.
    Broken,
}

fn message(client: &mut Client, kind: Kind) -> Result<Outcome, String> {
    let mut end = None;
    loop {
        match wire::take(&client.unread, kind, end == Some(End::Closed)) {
            Taken::Whole(message, taken) => {
                client.unread.drain(..taken);
                return Ok(Outcome::Whole(message));
            }
            Taken::Partial if end.is_none() => end = client.read().err(),
            Taken::Partial if end == Some(End::Silent) => return Err("nothing came any more".into()),
            Taken::Partial => return Ok(Outcome::Broken),
            Taken::Broken(reason) => return Err(format!("an answer with {reason}")),
        }
    }
}

/// Answers the first request of its first connection as the case says, and every other one with `after`.
struct Endpoint {
    address: SocketAddr,
    written: mpsc::Receiver<()>,
    /// On which connection a further request came.
    after: mpsc::Receiver<usize>,
}

impl Endpoint {
    fn start(case: Arc<Case>, size: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (told, written) = mpsc::channel();
        let (tell, after) = mpsc::channel();
        std::thread::spawn(move || {
            for (index, stream) in listener.incoming().enumerate() {
                let connection =
                    Connection { stream: stream.unwrap(), index, case: case.clone(), size, unread: Vec::new() };
                let (told, tell) = (told.clone(), tell.clone());
                std::thread::spawn(move || connection.serve(&told, &tell));
            }
        });
        Self { address, written, after }
    }
}

struct Connection {
    stream: TcpStream,
    index: usize,
    case: Arc<Case>,
    size: usize,
    unread: Vec<u8>,
}

impl Connection {
    fn serve(mut self, told: &mpsc::Sender<()>, tell: &mpsc::Sender<usize>) {
        if self.index == 0 {
            if self.case.is("after the head") {
                while !self.unread.windows(4).any(|window| window == b"\r\n\r\n") && self.read() {}
                self.answer();
                self.request();
            } else if self.request() {
                self.answer();
            } else {
                return;
            }
            let _nobody_asks = told.send(());
            if self.case.is("endpoint resets") {
                socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
            if self.case.is("endpoint closes") {
                let _gone = self.stream.shutdown(Shutdown::Write);
                while self.read() {}
                return;
            }
        }
        while self.request() {
            let _nobody_asks = tell.send(self.index);
            let _gone = self.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter");
        }
    }

    fn answer(&mut self) {
        self.stream.set_nodelay(true).unwrap();
        for piece in self.case.answer.chunks(self.size) {
            if self.stream.write_all(piece).is_err() {
                return;
            }
            std::thread::yield_now();
        }
    }

    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(count) if count > 0 => {
                self.unread.extend_from_slice(&buffer[..count]);
                true
            }
            _ => false,
        }
    }

    /// Reads a whole request.
    fn request(&mut self) -> bool {
        loop {
            match wire::take(&self.unread, Kind::Request, false) {
                Taken::Whole(_, taken) => {
                    self.unread.drain(..taken);
                    return true;
                }
                Taken::Partial if self.read() => {}
                _ => return false,
            }
        }
    }
}
