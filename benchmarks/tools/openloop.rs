//! Requests at a fixed rate, whether or not earlier ones were answered: latency counts from when a request was due,
//! so a stall is paid by every request that fell into it ("coordinated omission" does not hide it).
//!
//! `openloop ADDRESS PATH RATE CONNECTIONS SECONDS [HEADER...]` prints one line of JSON; latencies in microseconds.
//! Each connection has its own thread and its own evenly spaced turns; the turns of all are spread over the interval.

mod exchange;

use std::time::{Duration, Instant};
use std::{env, process, thread};

use exchange::Connection;

unsafe extern "C" {
    fn prctl(option: i32, value: u64, ...) -> i32;
}
const PR_SET_TIMERSLACK: i32 = 29;

#[derive(Default)]
struct Tally {
    latencies: Vec<u64>,
    failed: u64,
    missed: u64,
    reason: String,
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [address, path, rate, connections, seconds, headers @ ..] = words.as_slice() else {
        eprintln!("usage: openloop ADDRESS PATH RATE CONNECTIONS SECONDS [HEADER...]");
        process::exit(2);
    };
    let (rate, seconds): (f64, f64) = (number(rate), number(seconds));
    let connections = number(connections) as u32;
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n");
    // SAFETY: takes no pointer; it makes sleeps end within microseconds rather than within 50 of them.
    unsafe { prctl(PR_SET_TIMERSLACK, 1_u64) };

    let every = Duration::from_secs_f64(f64::from(connections) / rate);
    let begin = Instant::now() + Duration::from_millis(200);
    let end = begin + Duration::from_secs_f64(seconds);
    let clients: Vec<_> = (0..connections)
        .map(|turn| {
            let (address, head) = (address.clone(), head.clone().into_bytes());
            thread::spawn(move || run(&address, &head, begin + every * turn / connections, every, end))
        })
        .collect();
    let mut all = Tally::default();
    for client in clients {
        let one = client.join().expect("a client ended by a panic");
        all.latencies.extend(one.latencies);
        all.failed += one.failed;
        all.missed += one.missed;
        all.reason = if one.reason.is_empty() { all.reason } else { one.reason };
    }
    let done = all.latencies.len() as u64 - all.missed;
    all.latencies.sort_unstable();
    let at = |part: f64| all.latencies.get((all.latencies.len() as f64 * part) as usize).copied().unwrap_or(0);
    println!(
        r#"{{"requests": {done}, "failed": {}, "missed": {}, "seconds": {seconds}, "p50_us": {}, "p99_us": {}, "p999_us": {}, "reason": {:?}}}"#,
        all.failed,
        all.missed,
        at(0.50),
        at(0.99),
        at(0.999),
        all.reason
    );
}

/// One connection's turns; a request that was due but never sent counts with the time it had waited by the end.
fn run(address: &str, head: &[u8], first: Instant, every: Duration, end: Instant) -> Tally {
    let mut tally = Tally::default();
    let mut connection = match Connection::open(address, 64 * 1024) {
        Ok(connection) => connection,
        Err(error) => return Tally { failed: 1, reason: error.to_string(), ..tally },
    };
    let mut due = first;
    while due < end {
        let now = Instant::now();
        if now >= end {
            tally.latencies.push(micros(end - due));
            tally.missed += 1;
        } else {
            thread::sleep(due.saturating_duration_since(now));
            if let Err(error) = connection.exchange(head, b"") {
                tally.failed += 1;
                tally.reason = error.to_string();
                return tally;
            }
            tally.latencies.push(micros(due.elapsed()));
        }
        due += every;
    }
    tally
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
