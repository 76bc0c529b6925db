//! What holds for every path and every head, tried on many that nobody has thought of.

use crate::door::Door;
use crate::witness::{Seen, Witness};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, Index};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use stagedoor_dataplane::route::path::normalise;

fn check<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(strategy, test) {
        panic!("{failure}");
    }
}

const PIECES: &[&str] = &[
    "/", "/", ".", "..", "%2e", "%2E", "%2e%2E", ".%2e", "%2f", "%2F", "%5c", "%00", "%7f", "%25", "%252e", "//",
    "/./", "/../", "~", "%7E", ";", "/..;", ":", "@", "%C3%A9", "\"", "^",
];

/// Paths of pieces that mean something; every escape in them is whole.
fn whole_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => select(PIECES).prop_map(str::to_owned),
        1 => any::<u8>().prop_map(|byte| format!("%{byte:02x}")),
        2 => "[a-z0-9]{1,3}",
    ];
    vec(piece, 0..14).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// Also such that mean nothing.
fn path() -> impl Strategy<Value = String> {
    let odd = prop_oneof![
        select(&["%", "%2", "%zz", "\\", "%%32e", "é"]).prop_map(str::to_owned),
        any::<char>().prop_map(|char| char.to_string()),
    ];
    let piece = prop_oneof![3 => whole_path().prop_map(|path| path[1..].to_owned()), 1 => odd];
    vec(piece, 0..4).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[test]
fn a_normal_path_stays_below_the_root_and_is_its_own_normal_form() {
    check(8_000, &path(), |path| {
        let Ok(normal) = normalise(&path) else { return Ok(()) };
        prop_assert!(normal.starts_with('/'));
        prop_assert!(!normal.split('/').any(|segment| segment == "." || segment == ".."), "{normal:?}");
        prop_assert!(normal.bytes().all(|byte| (0x21..0x7F).contains(&byte) && byte != b'\\' && byte != b'?'));
        prop_assert_eq!(normalise(&normal).unwrap(), normal.as_ref());
        // No escape of an unreserved character is left that a server could decode into something else.
        for (at, _) in normal.match_indices('%') {
            let hex = normal.get(at + 1..at + 3).filter(|hex| *hex == hex.to_ascii_uppercase());
            let value = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
            prop_assert!(
                value.is_some_and(|value| !is_unreserved(value) && value >= 0x20 && value != 0x7F),
                "{normal:?}"
            );
        }
        prop_assert!(http::uri::PathAndQuery::try_from(normal.as_ref()).is_ok());
        Ok(())
    });
}

#[test]
fn a_path_gets_one_verdict_however_its_unreserved_characters_are_escaped() {
    check(8_000, &(whole_path(), vec(any::<(Index, bool)>(), 1..6)), |(path, escapes)| {
        let mut units = units(&path);
        for (index, upper) in escapes {
            let at = index.index(units.len());
            if let [byte] = *units[at].as_bytes() {
                if is_unreserved(byte) {
                    units[at] = if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
                }
            }
        }
        let escaped = units.concat();
        prop_assert_eq!(normalise(&path).ok(), normalise(&escaped).ok(), "{} and {}", path, escaped);
        Ok(())
    });
}

/// Its characters, each escape as one.
fn units(path: &str) -> Vec<String> {
    let mut units = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let end = if path.as_bytes()[at] == b'%' { at + 3 } else { at + 1 };
        units.push(path[at..end].to_owned());
        at = end;
    }
    units
}

#[test]
fn a_normal_path_is_the_one_that_a_simple_reading_of_the_standard_gives() {
    check(8_000, &whole_path(), |path| {
        let Ok(normal) = normalise(&path) else { return Ok(()) };
        prop_assert_eq!(normal.as_ref(), reference(&path));
        Ok(())
    });
}

/// RFC 3986 §6.2.2 and §5.2.4, with no thought of speed.
fn reference(path: &str) -> String {
    let mut plain = String::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let (value, escaped) = match byte {
            b'%' => {
                let hex: String = bytes.by_ref().take(2).map(char::from).collect();
                (u8::from_str_radix(&hex, 16).unwrap(), true)
            }
            byte => (byte, false),
        };
        match is_unreserved(value) || (!escaped && b"!$&'()*+,;=:@/".contains(&value)) {
            true => plain.push(value as char),
            false => plain.push_str(&format!("%{value:02X}")),
        }
    }
    let segments: Vec<&str> = plain[1..].split('/').collect();
    let mut kept: Vec<&str> = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[derive(Debug, Clone)]
struct Head {
    method: String,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    /// Which of the fields `Connection` names.
    hops: Vec<Index>,
}

fn head() -> impl Strategy<Value = Head> {
    // Methods and names are tokens (RFC 9110 §5.6.2); what is known by name has tests of its own.
    let method = prop_oneof![
        select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]).prop_map(str::to_owned),
        "M[!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}"
    ];
    let target = "/[a-zA-Z0-9._~!$&'()*+,;=:@-]{0,20}(\\?[a-zA-Z0-9._~!$&'()*+,;=:@/?%\\[\\]|^`{}-]{0,20})?";
    let name = "[Xx]-[Pp]-[!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}";
    let value = "([!-~\\x{80}-\\x{FF}]([ \\t!-~\\x{80}-\\x{FF}]{0,18}[!-~\\x{80}-\\x{FF}])?)?"
        .prop_map(|text: String| text.chars().map(|char| char as u8).collect::<Vec<u8>>());
    (method, target, vec((name, value), 0..10), vec(any::<Index>(), 0..3))
        .prop_map(|(method, target, fields, hops)| Head { method, target, fields, hops })
}

#[test]
fn a_head_that_is_accepted_reaches_the_endpoint_as_it_is_less_what_is_for_one_hop() {
    let endpoint = Witness::start();
    let door = Door::before(endpoint.address);
    check(500, &(head(), 1usize..200), |(head, cut)| {
        let mut bytes = format!("{} {} HTTP/1.1\r\nHost: shop.example\r\n", head.method, head.target).into_bytes();
        let hops: Vec<String> = match head.fields.len() {
            0 => Vec::new(),
            count => head.hops.iter().map(|hop| head.fields[hop.index(count)].0.clone()).collect(),
        };
        for (name, value) in &head.fields {
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !hops.is_empty() {
            bytes.extend_from_slice(format!("Connection: {}\r\n", hops.join(" ,, ")).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        let mut client = door.client();
        client.send_pieces(&bytes, cut);
        let answer = client.answer();
        prop_assert_eq!(answer.status(), 200, "{:?}", String::from_utf8_lossy(&bytes));
        let Ok(Seen::Whole(seen)) = endpoint.seen.recv() else { panic!("the endpoint saw no whole request") };
        let path = head.target.split('?').next().unwrap();
        let target = head.target.replacen(path, &normalise(path).unwrap(), 1);
        prop_assert_eq!(&seen.start, &format!("{} {target} HTTP/1.1", head.method));
        let expected = sorted(head.fields.iter().filter_map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            let hop = hops.iter().any(|hop| hop.eq_ignore_ascii_case(&name));
            (!hop).then(|| (name, value.iter().map(|byte| *byte as char).collect()))
        }));
        let own = |name: &str| {
            ["host", "via", "forwarded", "traceparent", "content-length", "x-real-ip"].contains(&name)
                || name.starts_with("x-forwarded-")
        };
        prop_assert_eq!(sorted(seen.fields.iter().filter(|(name, _)| !own(name)).cloned()), expected);
        prop_assert_eq!(seen.field("host"), Some("shop.example".to_owned()));
        Ok(())
    });
}

/// By name; those of one name keep their order.
fn sorted(fields: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut fields: Vec<_> = fields.collect();
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}
