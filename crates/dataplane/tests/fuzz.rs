//! The raw cases, damaged at random: whatever comes of them, nobody may read it in two ways. Runs for two seconds each,
//! or for `FUZZ_SECONDS` (`make fuzz`). A failure names the seed; `FUZZ_SEED` runs it again.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{mpsc, Arc, Mutex};
use std::time::{Duration, Instant};

use crate::case;
use crate::door::{self, Client, Door, End};
use crate::wire::{self, Kind, Message, Taken};
use crate::witness::{Seen, Witness};
use fastrand::Rng;
use stagedoor_dataplane::route::path::normalise;

/// What parsers stumble over.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\x0B",
    b"\0",
    b":",
    b",",
    b";",
    b"0",
    b"\x80",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Host: b\r\n",
    b"Expect: 100-continue\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"http://b",
    b"GET /word HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /word HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nword",
    b"HTTP/1.1 103 Early Hints\r\n\r\n",
];

struct Fuzz {
    random: Rng,
    seed: u64,
    corpus: Vec<Vec<u8>>,
    until: Instant,
    rounds: usize,
}

impl Fuzz {
    fn new(corpus: Vec<Vec<u8>>) -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|value| value.parse().expect("a number"));
        let seed = number("FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
        let seconds = number("FUZZ_SECONDS").unwrap_or(2);
        let corpus = corpus.into_iter().filter(|bytes| (1..3000).contains(&bytes.len())).collect();
        let until = Instant::now() + Duration::from_secs(seconds);
        Self { random: Rng::with_seed(seed), seed, corpus, until, rounds: 0 }
    }

    fn choose(&mut self) -> Vec<u8> {
        self.random.choice(&self.corpus).unwrap().clone()
    }

    /// The next damaged bytes, until time is up.
    fn next(&mut self) -> Option<Vec<u8>> {
        if Instant::now() > self.until {
            return None;
        }
        self.rounds += 1;
        let mut bytes = self.choose();
        for _ in 0..self.random.usize(1..5) {
            let at = self.random.usize(0..=bytes.len());
            let end = (at + self.random.usize(0..20)).min(bytes.len());
            match self.random.u8(0..8) {
                0..=2 => {
                    let word = *self.random.choice(WORDS).unwrap();
                    bytes.splice(at..at, word.iter().copied());
                }
                3 => drop(bytes.drain(at..end)),
                4 => {
                    let part = bytes[at..end].to_vec();
                    bytes.splice(end..end, part);
                }
                5 if at < bytes.len() => bytes[at] = self.random.u8(..),
                6 if at < bytes.len() => bytes[at] ^= 1 << self.random.u8(0..8),
                _ => {
                    let other = self.choose();
                    let from = self.random.usize(0..=other.len());
                    bytes.splice(at.., other[from..].iter().copied());
                }
            }
        }
        Some(bytes)
    }

    /// Sizes of pieces to send.
    fn pieces(&mut self, length: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        let mut left = length;
        while left > 0 {
            sizes.push(self.random.usize(1..=left.min(40)));
            left -= sizes[sizes.len() - 1];
        }
        sizes
    }

    fn fail(&self, bytes: &[u8], reason: &str) -> ! {
        panic!("FUZZ_SEED={} round {}: {reason}\n{}", self.seed, self.rounds, bytes.escape_ascii());
    }
}

#[test]
fn a_damaged_request_is_read_in_one_way_by_everybody_and_however_it_is_cut() {
    let endpoint = Witness::start();
    let door = Door::before(endpoint.address);
    let mut fuzz = Fuzz::new(case::read("requests", &[]).into_iter().map(|case| case.sent).collect());
    while let Some(bytes) = fuzz.next() {
        let sizes = fuzz.pieces(bytes.len());
        let whole = requests(&door, &endpoint, &bytes, &[bytes.len()]);
        let whole = whole.unwrap_or_else(|reason| fuzz.fail(&bytes, &reason));
        let cut = requests(&door, &endpoint, &bytes, &sizes);
        let cut = cut.unwrap_or_else(|reason| fuzz.fail(&bytes, &format!("cut into {sizes:?}: {reason}")));
        if !is_one(&whole, &cut) {
            fuzz.fail(&bytes, &format!("whole it gives {whole:?}, cut into {sizes:?} {cut:?}"));
        }
    }
    println!("{} damaged requests", fuzz.rounds);
}

/// Statuses of the answers, and the requests that the endpoint saw.
type Outcome = (Vec<u16>, Vec<(String, Vec<u8>)>);

/// With which status a head is refused, and whether before its client gives up, may depend on how much of it is there when
/// it is looked at; nothing else may.
fn is_one(whole: &Outcome, cut: &Outcome) -> bool {
    let answered = |statuses: &[u16]| match statuses.split_last() {
        Some((400..=499, before)) => before.to_vec(),
        _ => statuses.to_vec(),
    };
    whole.1 == cut.1 && answered(&whole.0) == answered(&cut.0)
}

fn requests(door: &Door, endpoint: &Witness, bytes: &[u8], sizes: &[usize]) -> Result<Outcome, String> {
    let mut client = door.client();
    let mut rest = bytes;
    for size in sizes {
        let (piece, after) = rest.split_at(*size);
        client.send(piece);
        rest = after;
    }
    client.shut();
    let (answered, end) = client.rest();
    if end == End::Silent {
        return Err("the gateway neither answers nor closes".into());
    }
    let read = by_the_letter(bytes);
    let statuses = statuses(&answered, &read)?;
    let mut seen = Vec::new();
    let mut expected = read.iter();
    for message in endpoint.seen.try_iter() {
        match message {
            Seen::Begun(_) => {}
            Seen::Garbage(reason) => return Err(format!("the endpoint got {reason}")),
            Seen::Whole(message) => {
                if !expected.any(|given| is_same(given, &message)) {
                    return Err(format!("the endpoint got {message:?}, which was not sent"));
                }
                seen.push((message.start, message.content));
            }
        }
    }
    Ok((statuses, seen))
}

/// The requests that a strict reader finds.
fn by_the_letter(mut bytes: &[u8]) -> Vec<Message> {
    let mut read = Vec::new();
    while let Taken::Whole(message, taken) = wire::take(bytes, Kind::ClientRequest, true) {
        bytes = &bytes[taken..];
        read.push(*message);
    }
    read
}

fn statuses(mut answered: &[u8], read: &[Message]) -> Result<Vec<u16>, String> {
    let (mut statuses, mut finals) = (Vec::new(), 0);
    while !answered.is_empty() {
        let head = read.get(finals).is_some_and(|request| request.start.starts_with("HEAD "));
        match wire::take(answered, if head { Kind::HeadAnswer } else { Kind::Answer }, true) {
            Taken::Whole(message, taken) => {
                answered = &answered[taken..];
                finals += usize::from(message.status() >= 200);
                // No one of these has a place here: the endpoint is well.
                if matches!(message.status(), 500 | 502 | 503 | 504) {
                    return Err(format!("answered {message:?}"));
                }
                if message.status() != 100 {
                    statuses.push(message.status());
                }
            }
            other => return Err(format!("answered {other:?}: {}", answered.escape_ascii())),
        }
    }
    Ok(statuses)
}

fn is_same(given: &Message, seen: &Message) -> bool {
    let mut given_parts = given.start.split(' ');
    let mut seen_parts = seen.start.split(' ');
    let target = |text: &str| {
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        normalise(path).ok().map(|path| (path.into_owned(), query.map(str::to_owned)))
    };
    let same_method = given_parts.next() == seen_parts.next();
    let (given_target, seen_target) = (given_parts.next().unwrap_or("/"), seen_parts.next().unwrap_or("/"));
    let same_target = !given_target.starts_with('/') || target(given_target) == target(seen_target);
    same_method && same_target && given.content == seen.content
}

#[test]
fn a_damaged_answer_reaches_only_its_own_client_and_only_in_good_form() {
    let endpoint = Mouthpiece::start();
    let closing = Door::before(endpoint.address);
    // Where the endpoint keeps its connection, half an answer ends with the deadline only.
    let mut snapshot = door::snapshot(endpoint.address);
    snapshot["clusters"]["shop"]["request_ms"] = 1000.into();
    let keeping = Door::open(snapshot);
    let mut fuzz = Fuzz::new(case::read("responses", &[]).into_iter().map(|case| case.answer).collect());
    while let Some(bytes) = fuzz.next() {
        let head = fuzz.random.u8(0..8) == 0;
        let closes = fuzz.random.u8(0..32) != 0;
        let door = if closes { &closing } else { &keeping };
        *endpoint.says.lock().unwrap() = (bytes.clone(), closes);
        if let Err(reason) = answers(door, &endpoint, &bytes, head, closes) {
            fuzz.fail(&bytes, &format!("{reason} (HEAD: {head}, closes: {closes})"));
        }
    }
    println!("{} damaged answers", fuzz.rounds);
}

fn answers(door: &Door, endpoint: &Mouthpiece, bytes: &[u8], head: bool, closes: bool) -> Result<(), String> {
    let mut client = door.client();
    let method = if head { "HEAD" } else { "GET" };
    client.send(format!("{method} /case HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
    let (answered, end) = client.rest();
    if end == End::Silent {
        return Err("the gateway neither answers nor closes".into());
    }
    let kind = if head { Kind::HeadAnswer } else { Kind::Answer };
    let answer = last(&answered, kind, true)?;
    let said = last(bytes, kind, closes);
    if let (Some(answer), Ok(Some(said))) = (answer, said) {
        if answer.status() == said.status() && answer.content != said.content {
            return Err(format!("{said:?} became {answer:?}"));
        }
    }
    endpoint.said.recv_timeout(door::PATIENCE).map_err(|_| "the endpoint was not asked")?;
    let after = Client::new(door.address).ask(b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n");
    match after.content == b"after" {
        true => Ok(()),
        false => Err(format!("the next client got {after:?}")),
    }
}

/// The final answer, if it is whole.
fn last(mut bytes: &[u8], kind: Kind, ended: bool) -> Result<Option<Message>, String> {
    loop {
        match wire::take(bytes, kind, ended) {
            Taken::Whole(message, taken) if message.status() >= 200 => return Ok((taken > 0).then_some(*message)),
            Taken::Whole(_, taken) => bytes = &bytes[taken..],
            Taken::Partial => return Ok(None),
            Taken::Broken(reason) => return Err(format!("the client got {reason}: {}", bytes.escape_ascii())),
        }
    }
}

/// An endpoint that says what it is told to, and `after` to everything but `/case`.
struct Mouthpiece {
    address: SocketAddr,
    /// The bytes, and whether it closes after them.
    says: Arc<Mutex<(Vec<u8>, bool)>>,
    said: mpsc::Receiver<()>,
}

impl Mouthpiece {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let says: Arc<Mutex<(Vec<u8>, bool)>> = Arc::default();
        let (tell, said) = mpsc::channel();
        let heard = says.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (says, tell) = (heard.clone(), tell.clone());
                std::thread::spawn(move || speak(stream.unwrap(), &says, &tell));
            }
        });
        Self { address, says, said }
    }
}

fn speak(mut stream: TcpStream, says: &Mutex<(Vec<u8>, bool)>, tell: &mpsc::Sender<()>) {
    let mut unread = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match wire::take(&unread, Kind::Request, false) {
            Taken::Whole(message, taken) => {
                unread.drain(..taken);
                if !message.start.contains(" /case ") {
                    let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter");
                    continue;
                }
                let (bytes, closes) = says.lock().unwrap().clone();
                let _gone = stream.write_all(&bytes);
                if closes {
                    let _gone = stream.shutdown(Shutdown::Write);
                }
                let _over = tell.send(());
                if closes {
                    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
                    return;
                }
            }
            _ => match stream.read(&mut buffer) {
                Ok(count) if count > 0 => unread.extend_from_slice(&buffer[..count]),
                _ => return,
            },
        }
    }
}
