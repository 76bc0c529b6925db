//! Raw requests from `cases/requests`: what each gets for an answer, what of it reaches the endpoint, and whether its
//! connection serves on. Every case runs whole and with each byte in a write of its own.
//!
//! Words of a case: `open` (a further request on the connection is answered), `close` (the gateway closes), `either` (one of both), `shut` (the
//! client says after its bytes that nothing more comes); of a request: `begun` (it may be seen, but never whole); of an
//! answer: `head` (it answers HEAD), `maybe` (it may be missing). `< 4xx` stands for any status of that class.

use crate::case::{self, Case, Expected};
use crate::door::{Client, Door, End};
use crate::wire::{self, Kind, Message, Taken};
use crate::witness::{Seen, Witness};

const WORDS: &[&str] = &["open", "close", "either", "shut"];

const AFTER: &[u8] = b"GET /after HTTP/1.1\r\nHost: after\r\n\r\n";

#[test]
fn every_request_is_answered_and_forwarded_as_its_case_says_however_its_bytes_arrive() {
    let cases = case::read("requests", WORDS);
    assert!(cases.len() > 200, "only {} cases were read", cases.len());
    case::run_all(&cases, |case| {
        run(case, case.sent.len().max(1))?;
        run(case, 1).map_err(|reason| format!("byte by byte: {reason}"))
    });
}

fn run(case: &Case, size: usize) -> Result<(), String> {
    let endpoint = Witness::start();
    let door = Door::before(endpoint.address);
    let answered = converse(case, &door, size);
    drop(door);
    let seen = endpoint.finish();
    answered?;
    received(case, seen)
}

/// The client's side.
fn converse(case: &Case, door: &Door, size: usize) -> Result<(), String> {
    let mut client = door.client();
    client.send_pieces(&case.sent, size);
    if case.is("shut") {
        client.shut();
    }
    let mut last = None;
    for expected in &case.answers {
        let kind = if expected.is("head") { Kind::HeadAnswer } else { Kind::Answer };
        let answer = match answer(&mut client, kind)? {
            Some(answer) => answer,
            None if expected.is("maybe") => break,
            None => return Err(format!("a close where {} was expected", expected.start)),
        };
        let status = answer.status().to_string();
        if expected.start != status && expected.start != format!("{}xx", &status[..1]) {
            return Err(format!("answered {:?} and not {}", answer.start, expected.start));
        }
        expected.compare(&answer)?;
        last = Some(answer);
    }
    if case.is("open") {
        if last.is_some_and(|answer| answer.says_close()) {
            return Err("the last answer says that the connection closes".into());
        }
        client.send(AFTER);
        let after = answer(&mut client, Kind::Answer)?;
        if after.as_ref().is_none_or(|after| after.content != b"/after") {
            return Err(format!("a further request got {after:?}"));
        }
        client.shut();
    } else if case.is("either") {
        client.shut();
    } else if !case.is("shut") {
        let said = last.is_none_or(|answer| answer.says_close());
        if !said {
            return Err("the last answer does not say that the connection closes (RFC 9112 §9.6)".into());
        }
    }
    match client.rest() {
        (rest, _) if !rest.is_empty() => Err(format!("more came: {:?}", String::from_utf8_lossy(&rest))),
        (_, End::Closed) => Ok(()),
        (_, end) => Err(format!("{end:?} instead of a close")),
    }
}

/// None: the connection has ended before the first byte.
fn answer(client: &mut Client, kind: Kind) -> Result<Option<Message>, String> {
    let mut end = None;
    loop {
        match wire::take(&client.unread, kind, end == Some(End::Closed)) {
            Taken::Whole(message, taken) => {
                client.unread.drain(..taken);
                return Ok(Some(*message));
            }
            Taken::Partial if end == Some(End::Closed) && client.unread.is_empty() => return Ok(None),
            Taken::Partial if end.is_none() => end = client.read().err(),
            Taken::Partial => {
                let unread = String::from_utf8_lossy(&client.unread);
                return Err(format!("{end:?} where an answer was expected, after {unread:?}"));
            }
            Taken::Broken(reason) => return Err(format!("an answer with {reason}")),
        }
    }
}

/// The endpoint's side.
fn received(case: &Case, seen: Vec<Seen>) -> Result<(), String> {
    let mut expected: Vec<&Expected> = case.requests.iter().collect();
    for seen in seen {
        match seen {
            Seen::Garbage(reason) => return Err(format!("the endpoint got {reason}")),
            Seen::Begun(start) => {
                let found = expected.iter().position(|expected| {
                    expected.is("begun") && (start.starts_with(&expected.start) || expected.start.starts_with(&start))
                });
                expected.remove(found.ok_or(format!("the endpoint got the beginning of {start:?}"))?);
            }
            Seen::Whole(message) if message.start == "GET /after HTTP/1.1" => {}
            Seen::Whole(message) => {
                let next = expected.iter().position(|expected| !expected.is("begun"));
                let next = next.ok_or(format!("the endpoint got {:?} beyond what was expected", message.start))?;
                let next = expected.remove(next);
                if message.start != format!("{} HTTP/1.1", next.start) {
                    return Err(format!("the endpoint got {:?} and not {:?}", message.start, next.start));
                }
                next.compare(&message).map_err(|reason| format!("{reason} in {message:?}"))?;
            }
        }
    }
    match expected.iter().find(|expected| !expected.is("begun")) {
        Some(missing) => Err(format!("the endpoint did not get {:?}", missing.start)),
        None => Ok(()),
    }
}
