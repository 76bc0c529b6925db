//! W3C Trace Context: the trace that a request belongs to.

use http::{request, HeaderName, HeaderValue};

use super::hex;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Bytes of a `traceparent` of this version.
const LENGTH: usize = 55;

/// A valid `traceparent`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trace {
    /// No trace yet: its id is empty.
    #[default]
    None,
    Given(HeaderValue),
    Fresh([u8; LENGTH]),
}

impl Trace {
    /// The client's, if it is valid and stands alone, and then it is passed on as it is; otherwise a fresh, unsampled
    /// one, which replaces it, and the `tracestate` that came with it is dropped (Trace Context §3.2, §4.3).
    pub fn take(head: &mut request::Parts) -> Self {
        let mut values = head.headers.get_all(TRACEPARENT).iter();
        if let (Some(value), None) = (values.next(), values.next()) {
            if is_valid(value.as_bytes()) {
                return Self::Given(value.clone());
            }
        }
        let trace = Self::fresh();
        head.headers.insert(TRACEPARENT, hex::value(trace.as_str().as_bytes()));
        head.headers.remove(TRACESTATE);
        trace
    }

    pub fn fresh() -> Self {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        // Ids are not zero.
        text[3..35].copy_from_slice(&hex::encode::<32>(fastrand::u128(..).max(1)));
        text[36..52].copy_from_slice(&hex::encode::<16>(fastrand::u64(..).max(1).into()));
        Self::Fresh(text)
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "",
            Self::Given(value) => value.to_str().unwrap_or_default(),
            Self::Fresh(text) => std::str::from_utf8(text).unwrap_or_default(),
        }
    }

    /// 32 hexadecimal digits.
    pub fn id(&self) -> &str {
        self.as_str().get(3..35).unwrap_or_default()
    }
}

/// §3.2.2: `version-trace-parent-flags`, lower-case hex, ids not all zero; a later version may append fields.
fn is_valid(text: &[u8]) -> bool {
    let Some((fields, rest)) = text.split_at_checked(LENGTH) else {
        return false;
    };
    let hex = |part: &[u8]| part.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    let zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let (version, trace, parent, flags) = (&fields[..2], &fields[3..35], &fields[36..52], &fields[53..]);
    let dashes = fields[2] == b'-' && fields[35] == b'-' && fields[52] == b'-';
    let ends = rest.is_empty() || (version != b"00" && rest[0] == b'-');
    dashes
        && ends
        && version != b"ff"
        && [version, trace, parent, flags].into_iter().all(hex)
        && !zero(trace)
        && !zero(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(lines: &[&str]) -> (String, http::HeaderMap) {
        let mut request = http::Request::builder().header("tracestate", "a=b");
        for line in lines {
            request = request.header("traceparent", *line);
        }
        let (mut head, ()) = request.body(()).expect("valid").into_parts();
        (Trace::take(&mut head).as_str().to_owned(), head.headers)
    }

    #[test]
    fn a_valid_traceparent_is_passed_on_with_its_state() {
        for valid in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later-fields",
        ] {
            let (trace, headers) = taken(&[valid]);
            assert_eq!(trace, valid);
            assert_eq!(headers["traceparent"], valid);
            assert_eq!(headers["tracestate"], "a=b");
        }
    }

    #[test]
    fn an_invalid_traceparent_is_replaced_and_its_state_dropped() {
        let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for lines in [
            &[][..],
            &[valid, valid],
            &[""],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"],
            &["00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"],
            &["00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"],
            &["ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
            &["00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
        ] {
            let (trace, headers) = taken(lines);
            assert!(is_valid(trace.as_bytes()), "{trace}");
            assert!(!lines.contains(&trace.as_str()), "{lines:?}");
            assert_eq!(headers.get_all("traceparent").iter().collect::<Vec<_>>(), [trace.as_str()]);
            assert!(!headers.contains_key("tracestate"));
        }
    }
}
