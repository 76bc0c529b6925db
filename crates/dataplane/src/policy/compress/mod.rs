//! Content codings of responses (RFC 9110 §8.4.1): what a target sends plainly is sent compressed to a client that
//! accepts it, piece by piece and never collected.

mod accepted;
mod body;
mod encoder;
pub(crate) mod fields;
mod pattern;

use http::header::{CONTENT_ENCODING, CONTENT_RANGE};
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use serde_json::{json, Value};

pub use self::accepted::Accepted;
use self::body::Compressed;
use self::encoder::Encoder;
use self::pattern::Pattern;
use super::{RequestHead, ResponseHead};
use crate::exchange::Exchange;
use crate::protocol::body::Body;
use crate::protocol::media;
use crate::snapshot::{self, Algorithm};

pub struct Compress {
    /// The first of them wins where the client likes several the same.
    algorithms: Vec<Algorithm>,
    min_bytes: u64,
    types: Vec<Pattern>,
    streams: bool,
}

impl Compress {
    pub fn new(settings: &snapshot::Compress) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        if settings.algorithms.is_empty() {
            errors.push("algorithms: it names none".to_owned());
        }
        let types = settings.types.iter().filter_map(|text| match Pattern::new(text) {
            Some(pattern) => Some(pattern),
            None => {
                errors.push(format!("types: '{text}' is no media type"));
                None
            }
        });
        let types = types.collect();
        match errors.is_empty() {
            true => Ok(Self {
                algorithms: settings.algorithms.clone(),
                min_bytes: settings.min_bytes,
                types,
                streams: settings.streams,
            }),
            false => Err(errors),
        }
    }

    pub fn describe(&self) -> Value {
        json!({
            "algorithms": self.algorithms.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>(),
            "min_bytes": self.min_bytes,
            "types": self.types.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "streams": self.streams,
        })
    }

    /// Notes what the client accepts, before `headers` may change what the target is told of it.
    pub fn on_request(&self, exchange: &mut Exchange, head: &RequestHead) {
        exchange.accepted = Some(Accepted::of(&head.headers, &self.algorithms));
    }

    /// The body that the client gets, and its head accordingly.
    pub fn on_response(&self, exchange: &Exchange, head: &mut ResponseHead, body: Body) -> Body {
        // gRPC compresses its messages itself.
        let Some(accepted) = exchange.accepted.as_ref().filter(|_| exchange.call.is_none()) else {
            return body;
        };
        if fields::forbids_transformation(&head.headers) {
            return body;
        }
        if head.status == StatusCode::NOT_MODIFIED {
            fields::weaken_revalidated(&mut head.headers, accepted);
            return body;
        }
        let Some(stream) = self.covers(&head.headers) else {
            return body;
        };
        fields::vary(&mut head.headers);
        let Some(algorithm) = accepted.algorithm else {
            return body;
        };
        let length = body.size_hint().exact();
        let short = length.is_some_and(|length| length < self.min_bytes && accepted.identity);
        if short || body.is_end_stream() || exchange.method == Method::HEAD || !is_whole(head) {
            return body;
        }
        // No memory for an encoder: the client is served all the same.
        let Ok(encoder) = Encoder::new(algorithm) else {
            return body;
        };
        fields::rewrite(&mut head.headers, algorithm);
        Body::stream(Compressed::new(body, encoder, stream || length.is_none()))
    }

    /// Whether it is a stream of events, if it is to be compressed at all.
    fn covers(&self, headers: &HeaderMap) -> Option<bool> {
        let plain = headers.get_all(CONTENT_ENCODING).iter().all(|coding| coding.as_bytes() == b"identity");
        let kind = media::essence(headers)?;
        let stream = media::is_stream(headers);
        let listed = if stream { self.streams } else { self.types.iter().any(|pattern| pattern.matches(kind)) };
        (plain && listed).then_some(stream)
    }
}

/// The body is a whole representation (RFC 9110 §15.3.7) in an answer that may have one.
fn is_whole(head: &ResponseHead) -> bool {
    let bare = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::PARTIAL_CONTENT].contains(&head.status);
    !bare && !head.status.is_informational() && !head.headers.contains_key(CONTENT_RANGE)
}
