//! In which characters a content is written.

use std::borrow::Cow;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

/// Content of XML as text: UTF-8, with or without its mark, or ISO 8859-1 where head or declaration say so. None: neither.
pub fn text<'c>(headers: &HeaderMap, content: &'c [u8]) -> Option<Cow<'c, str>> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    match std::str::from_utf8(content) {
        Ok(text) => Some(text.into()),
        // It is the first page of Unicode.
        Err(_) if declares_latin_1(headers, content) => {
            Some(content.iter().map(|byte| char::from(*byte)).collect::<String>().into())
        }
        Err(_) => None,
    }
}

fn declares_latin_1(headers: &HeaderMap, content: &[u8]) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes).to_ascii_lowercase();
    let start = content.get(..content.len().min(100)).unwrap_or_default().to_ascii_lowercase();
    [kind, start].iter().any(|said| said.windows(10).any(|part| part == b"iso-8859-1"))
}

/// The content is UTF-8 now, whatever it was.
pub fn is_utf_8(headers: &mut HeaderMap) {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else { return };
    let other = |part: &&str| {
        let part = part.trim().to_ascii_lowercase();
        part.strip_prefix("charset=").is_some_and(|name| name.trim_matches('"') != "utf-8")
    };
    if !kind.split(';').any(|part| other(&part)) {
        return;
    }
    let kept: Vec<&str> = kind.split(';').filter(|part| !other(part)).collect();
    if let Ok(kind) = HeaderValue::try_from(kept.join(";")) {
        headers.insert(CONTENT_TYPE, kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(kind: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
    }

    #[test]
    fn content_is_utf_8_or_what_it_says() {
        for (kind, content, expected) in [
            ("text/xml", &b"<a>\xc3\xa9</a>"[..], Some("<a>é</a>")),
            ("text/xml", b"\xef\xbb\xbf<a/>", Some("<a/>")),
            ("text/xml; charset=ISO-8859-1", b"<a>\xe9</a>", Some("<a>é</a>")),
            (
                "text/xml",
                b"<?xml version='1.0' encoding='iso-8859-1'?><a>\xe9</a>",
                Some("<?xml version='1.0' encoding='iso-8859-1'?><a>é</a>"),
            ),
            ("text/xml", b"<a>\xe9</a>", None),
        ] {
            assert_eq!(text(&headers(kind), content).as_deref(), expected, "{kind}: {content:?}");
        }
    }

    #[test]
    fn other_characters_are_not_declared_any_more() {
        for (before, after) in [
            ("application/json", "application/json"),
            ("application/json; charset=UTF-8", "application/json; charset=UTF-8"),
            ("application/json;charset=\"utf-8\"; v=1", "application/json;charset=\"utf-8\"; v=1"),
            ("text/xml; charset=ISO-8859-1; v=1", "text/xml; v=1"),
            ("text/xml;Charset=\"latin1\"", "text/xml"),
        ] {
            let mut headers = headers(before);
            is_utf_8(&mut headers);
            assert_eq!(headers[CONTENT_TYPE], after, "{before}");
        }
    }
}
