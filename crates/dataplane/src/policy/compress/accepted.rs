//! `Accept-Encoding` (RFC 9110 §12.5.3): which coding a client gets.

use http::header::{ACCEPT_ENCODING, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};

use super::fields;
use crate::snapshot::Algorithm;

/// What a request says that its response's coding depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// None: it goes as it is.
    pub algorithm: Option<Algorithm>,
    /// Content without any coding is acceptable.
    pub identity: bool,
    /// `If-None-Match`.
    pub tags: Option<HeaderValue>,
}

/// Thousandths.
type Quality = u16;

impl Accepted {
    /// `order`: the first wins where several have the same quality. Members that are not written as prescribed count for
    /// nothing; without any, the client has to be taken for one that knows no coding.
    pub fn of(headers: &HeaderMap, order: &[Algorithm]) -> Self {
        let mut qualities = [None; 3];
        let (mut identity, mut any) = (None, None);
        let members = headers.get_all(ACCEPT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
        for (coding, quality) in members.filter_map(member) {
            match coding {
                b"*" => any = Some(quality),
                _ if coding.eq_ignore_ascii_case(b"identity") => identity = Some(quality),
                _ => {
                    if let Some(algorithm) = named(coding) {
                        qualities[algorithm as usize] = Some(quality);
                    }
                }
            }
        }
        let quality = |algorithm: Algorithm| qualities[algorithm as usize].or(any).unwrap_or(0);
        let mut best = None;
        for algorithm in order.iter().copied() {
            if quality(algorithm) > best.map_or(0, quality) {
                best = Some(algorithm);
            }
        }
        let untouched = fields::forbids_transformation(headers);
        let plainly = identity.unwrap_or(0);
        Self {
            // A client that names `identity` may like it better; one that does not name it takes it when nothing else is there.
            algorithm: best.filter(|best| quality(*best) >= plainly && !untouched),
            identity: identity.or(any).is_none_or(|quality| quality > 0),
            tags: headers.get(IF_NONE_MATCH).cloned(),
        }
    }
}

fn named(coding: &[u8]) -> Option<Algorithm> {
    let is = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
    // `x-gzip` is the same as `gzip` (RFC 9110 §8.4.1.3).
    let old = is("x-gzip").then_some(Algorithm::Gzip);
    [Algorithm::Zstd, Algorithm::Br, Algorithm::Gzip].into_iter().find(|algorithm| is(algorithm.as_str())).or(old)
}

/// A coding and its quality, 1 unless it is said.
fn member(text: &[u8]) -> Option<(&[u8], Quality)> {
    let Some(end) = text.iter().position(|byte| *byte == b';') else {
        let coding = text.trim_ascii();
        return (!coding.is_empty()).then_some((coding, 1000));
    };
    let weight = text[end + 1..].trim_ascii();
    let number = weight.strip_prefix(b"q=").or_else(|| weight.strip_prefix(b"Q="))?;
    Some((text[..end].trim_ascii(), quality(number)?))
}

/// `qvalue` of RFC 9110 §12.4.2.
fn quality(number: &[u8]) -> Option<Quality> {
    let (whole, rest) = number.split_first()?;
    let digits = match rest {
        [] | [b'.'] => &[][..],
        [b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => digits,
        _ => return None,
    };
    let thousandths = digits.iter().zip([100, 10, 1]).map(|(digit, worth)| Quality::from(digit - b'0') * worth).sum();
    match whole {
        b'0' => Some(thousandths),
        b'1' if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coding_follows_the_qualities_and_then_the_order() {
        use Algorithm::{Br, Gzip, Zstd};
        for (accept, algorithm, identity) in [
            ("gzip", Some(Gzip), true),
            ("gzip, br, zstd", Some(Zstd), true),
            ("gzip, deflate, br", Some(Br), true),
            ("gzip;q=1.0, br;q=0.9", Some(Gzip), true),
            ("gzip;q=0.001, br;q=0", Some(Gzip), true),
            ("GZIP ; Q=0.5", Some(Gzip), true),
            ("x-gzip", Some(Gzip), true),
            ("*", Some(Zstd), true),
            ("*;q=0.5, gzip", Some(Gzip), true),
            ("*, zstd;q=0", Some(Br), true),
            ("*;q=0", None, false),
            ("*;q=0, gzip", Some(Gzip), false),
            ("*;q=0, identity", None, true),
            ("gzip, identity;q=0", Some(Gzip), false),
            ("identity;q=0", None, false),
            ("identity, gzip;q=0.5", None, true),
            ("identity;q=0.5, gzip;q=0.5", Some(Gzip), true),
            ("identity", None, true),
            ("deflate, compress", None, true),
            ("", None, true),
            (" , ,gzip,", Some(Gzip), true),
            ("gzip;q=2", None, true),
            ("gzip;q=0.1234", None, true),
            ("gzip;q=1.001", None, true),
            ("gzip;q", None, true),
            ("gzip;level=9", None, true),
            ("gzip;q=1.", Some(Gzip), true),
            ("gzip;q=0.", None, true),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(accept));
            let accepted = Accepted::of(&headers, &[Zstd, Br, Gzip]);
            assert_eq!((accepted.algorithm, accepted.identity), (algorithm, identity), "{accept}");
        }
        let none = Accepted { algorithm: None, identity: true, tags: None };
        assert_eq!(Accepted::of(&HeaderMap::new(), &[Gzip]), none);
    }

    #[test]
    fn lines_count_together_and_the_configured_order_decides() {
        let mut headers = HeaderMap::new();
        for line in ["gzip", "br", "zstd;q=0.9"] {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(line));
        }
        for (order, algorithm) in [
            (&[Algorithm::Gzip, Algorithm::Br, Algorithm::Zstd][..], Some(Algorithm::Gzip)),
            (&[Algorithm::Zstd, Algorithm::Br, Algorithm::Gzip], Some(Algorithm::Br)),
            (&[Algorithm::Zstd], Some(Algorithm::Zstd)),
        ] {
            assert_eq!(Accepted::of(&headers, order).algorithm, algorithm);
        }
    }

    #[test]
    fn a_client_may_ask_for_the_content_as_it_is() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers.append("cache-control", HeaderValue::from_static("max-age=0, No-Transform"));
        assert_eq!(Accepted::of(&headers, &[Algorithm::Gzip]).algorithm, None);
    }
}
