//! Media types of responses (RFC 9110 §8.3.1).

use http::header::CONTENT_TYPE;
use http::HeaderMap;

/// `Content-Type` without its parameters.
pub fn essence(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(CONTENT_TYPE)?.as_bytes();
    value.split(|byte| *byte == b';').next().map(<[u8]>::trim_ascii)
}

/// Sent piece by piece for as long as there is something to tell.
pub fn is_stream(headers: &HeaderMap) -> bool {
    const STREAMS: [&[u8]; 3] = [b"text/event-stream", b"application/x-ndjson", b"application/json-seq"];
    essence(headers).is_some_and(|kind| STREAMS.iter().any(|stream| kind.eq_ignore_ascii_case(stream)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_type_is_read_without_its_parameters_and_in_any_case() {
        for (value, kind, stream) in [
            ("Text/Event-Stream", "Text/Event-Stream", true),
            (" application/x-ndjson ; charset=utf-8", "application/x-ndjson", true),
            ("text/event-streams", "text/event-streams", false),
            ("", "", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!((essence(&headers), is_stream(&headers)), (Some(kind.as_bytes()), stream));
        }
        assert_eq!((essence(&HeaderMap::new()), is_stream(&HeaderMap::new())), (None, false));
    }
}
