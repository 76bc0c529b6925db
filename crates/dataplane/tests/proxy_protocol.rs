//! The PROXY header in front of connections, by `cases/proxy_protocol`: what each makes of the client, whole, cut
//! anywhere and with each byte in a write of its own; and who must send one.

use crate::case::{self, Case};
use crate::door::{self, until, Client, Door, End};
use crate::witness::{Seen, Witness};
use serde_json::{json, Value};
use stagedoor_dataplane::transport::proxy_protocol::{parse, Parsed};

const REQUEST: &[u8] = b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n";

fn cases() -> Vec<Case> {
    let cases = case::read("proxy_protocol", &[]);
    assert!(cases.len() > 40, "only {} cases were read", cases.len());
    cases
}

#[test]
fn every_header_is_read_as_its_case_says_and_every_beginning_of_one_is_waited_for() {
    case::run_all(&cases(), |case| {
        let (outcome, length) = match parse(&case.sent) {
            Parsed::Whole { source: Some(source), length } => {
                (format!("client {}", source.ip().to_canonical()), length)
            }
            Parsed::Whole { source: None, length } => ("peer".to_owned(), length),
            Parsed::Broken(_) => return if case.is("refused") { Ok(()) } else { Err("refused".into()) },
            Parsed::Partial => return Err("no end".into()),
        };
        if !case.is(&outcome) || length != case.sent.len() {
            return Err(format!("{outcome}, {length} bytes of {}", case.sent.len()));
        }
        for cut in 0..length {
            if parse(&case.sent[..cut]) != Parsed::Partial {
                return Err(format!("{:?} after {cut} bytes", parse(&case.sent[..cut])));
            }
        }
        let longer = [&case.sent, REQUEST].concat();
        match parse(&longer) == parse(&case.sent) {
            true => Ok(()),
            false => Err("what follows makes a difference".into()),
        }
    });
}

#[test]
fn a_request_comes_from_the_client_that_the_header_names_however_its_bytes_arrive() {
    case::run_all(&cases(), |case| {
        arrives(case, usize::MAX)?;
        // Byte by byte only where that is soon done.
        match case.sent.len() < 1000 {
            true => arrives(case, 1).map_err(|reason| format!("byte by byte: {reason}")),
            false => Ok(()),
        }
    });
}

fn arrives(case: &Case, size: usize) -> Result<(), String> {
    let endpoint = Witness::start();
    let door = Door::open(behind_balancers(&endpoint, &["127.0.0.0/8"]));
    let mut client = door.client();
    let bytes = [&case.sent, REQUEST].concat();
    client.send_pieces(&bytes, size.min(bytes.len()));
    if case.is("refused") {
        let (rest, end) = client.rest();
        drop(door);
        return match (rest.is_empty(), end, endpoint.finish().is_empty()) {
            (true, End::Closed | End::Reset, true) => Ok(()),
            other => Err(format!("not refused: {other:?}")),
        };
    }
    let answer = client.answer();
    drop(client);
    drop(door);
    let seen = endpoint.finish();
    let [Seen::Whole(request)] = &seen[..] else { return Err(format!("the endpoint saw {seen:?}")) };
    let from = request.field("x-forwarded-for").unwrap_or_default();
    let right = case.is(&format!("client {from}")) || (case.is("peer") && from == "127.0.0.1");
    match right && answer.status() == 200 {
        true => Ok(()),
        false => Err(format!("{}, from {from}", answer.start)),
    }
}

fn behind_balancers(endpoint: &Witness, from: &[&str]) -> Value {
    let mut snapshot = door::snapshot(endpoint.address);
    snapshot["listeners"]["public"]["proxy_protocol"] = json!({"from": from});
    snapshot
}

#[test]
fn others_than_the_balancers_are_taken_as_they_are() {
    let endpoint = Witness::start();
    let door = Door::open(behind_balancers(&endpoint, &["127.0.0.9", "2001:db8::/32"]));
    assert_eq!(door.client().ask(REQUEST).status(), 200);
    let mut liar = door.client();
    let answer = liar.ask(&[b"PROXY TCP4 192.0.2.9 198.51.100.1 4711 443\r\n", REQUEST].concat());
    assert_eq!(answer.status(), 400);
    drop(door);
    assert_eq!(endpoint.finish().len(), 1);
}

#[test]
fn a_header_that_never_ends_is_waited_for_until_its_time_is_over_and_holds_up_nobody() {
    let endpoint = Witness::start();
    let mut snapshot = behind_balancers(&endpoint, &["127.0.0.1"]);
    snapshot["listeners"]["public"]["limits"]["head_read_ms"] = json!(300);
    let door = Door::open(snapshot);
    let mut slow: Vec<Client> = (0..3).map(|_| door.client()).collect();
    for client in &mut slow {
        client.send(b"PROXY TCP4 192.0.2.9 ");
    }
    let mut other = door.client();
    assert_eq!(other.ask(&[b"PROXY UNKNOWN\r\n", REQUEST].concat()).status(), 200);
    for client in &mut slow {
        assert!(matches!(client.rest(), (rest, End::Closed | End::Reset) if rest.is_empty()));
    }
    until("three are counted", || door.server.metrics().contains("stagedoor_connections_refused_total 3\n"));
}

#[test]
fn a_header_cut_off_by_the_end_of_the_connection_is_not_waited_for() {
    let endpoint = Witness::start();
    let door = Door::open(behind_balancers(&endpoint, &["127.0.0.1"]));
    for beginning in [&b""[..], b"PROXY TCP4", b"\r\n\r\n\0\r\nQUIT\n\x21"] {
        let mut client = door.client();
        client.send(beginning);
        client.shut();
        assert!(matches!(client.rest(), (rest, End::Closed | End::Reset) if rest.is_empty()));
    }
}

#[test]
fn trusted_proxies_are_compared_with_the_address_in_the_header() {
    let endpoint = Witness::start();
    let mut snapshot = behind_balancers(&endpoint, &["127.0.0.1"]);
    snapshot["listeners"]["public"]["trusted_proxies"] = json!(["192.0.2.0/24"]);
    let door = Door::open(snapshot);
    // The client, and what the endpoint gets to see.
    for (client, chain) in [("192.0.2.9", "203.0.113.7, 192.0.2.9"), ("198.51.100.3", "198.51.100.3")] {
        let header = format!("PROXY TCP4 {client} 198.51.100.1 4711 443\r\n");
        let request = "GET /who HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n";
        assert_eq!(door.client().ask((header + request).as_bytes()).status(), 200);
        let Seen::Whole(seen) = endpoint.seen.recv().unwrap() else { panic!("no request") };
        assert_eq!(seen.field("x-forwarded-for").as_deref(), Some(chain));
    }
}

#[test]
fn a_connection_whose_header_is_awaited_counts_among_the_listener_s() {
    let endpoint = Witness::start();
    let mut snapshot = behind_balancers(&endpoint, &["127.0.0.1"]);
    snapshot["listeners"]["public"]["limits"]["connections"] = json!(1);
    let door = Door::open(snapshot);
    let mut first = door.client();
    first.send(b"PROXY ");
    let mut second = door.client();
    assert!(matches!(second.rest(), (_, End::Closed | End::Reset)));
    assert_eq!(first.ask(&[b"UNKNOWN\r\n", REQUEST].concat()).status(), 200);
    drop(first);
    until("its place is free", || {
        let mut next = door.client();
        next.send(&[b"PROXY UNKNOWN\r\n", REQUEST].concat());
        next.read().is_ok()
    });
}
