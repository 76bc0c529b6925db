//! Errors of services as problem details (RFC 9457), whatever the service says them in.

use http::header::{CONTENT_LANGUAGE, CONTENT_TYPE};
use http::{HeaderValue, Method};
use serde_json::{json, Value};

use super::content;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::policy::ResponseHead;
use crate::protocol::body::Body;
use crate::protocol::{json as reader, media};
use crate::snapshot::ContentFormat;

/// Of an error's content that is looked into; of a larger one the words are lost.
pub const CONTENT_BYTES: usize = 64 * 1024;
/// Of its words.
pub const DETAIL_CHARACTERS: usize = 1000;

/// Where services say what went wrong.
const WORDS: [&str; 7] =
    ["/detail", "/message", "/error_description", "/error/message", "/error/detail", "/error", "/errors/0/message"];

/// What is one already stays as it is.
pub async fn normalise(exchange: &Exchange, head: &mut ResponseHead, mut body: Body) -> Result<Body, Error> {
    let kind = media::essence(&head.headers).unwrap_or_default();
    if kind.eq_ignore_ascii_case(b"application/problem+json") || kind.eq_ignore_ascii_case(b"application/problem+xml") {
        return Ok(body);
    }
    let told = match content::format(&head.headers) {
        Some((ContentFormat::Json, coding)) if exchange.method != Method::HEAD => {
            let told = body.peek(CONTENT_BYTES).await?;
            told.and_then(|told| coding.decode(&told, CONTENT_BYTES).ok())
        }
        _ => None,
    };
    let words = told.filter(|told| reader::validate(told).is_ok());
    let words = words.and_then(|told| serde_json::from_slice::<Value>(&told).ok());
    let words = words.as_ref().and_then(|told| WORDS.iter().find_map(|at| told.pointer(at)?.as_str()));
    let mut problem = json!({
        "type": "about:blank",
        "title": head.status.canonical_reason().unwrap_or("Error"),
        "status": head.status.as_u16(),
    });
    if let Some(words) = words {
        problem["detail"] = words.chars().take(DETAIL_CHARACTERS).collect::<String>().into();
    }
    if let Ok(id) = exchange.request_id().to_str() {
        problem["request_id"] = id.into();
    }
    content::rewrite(&mut head.headers);
    head.headers.remove(CONTENT_LANGUAGE);
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    Ok(Body::full(problem.to_string()))
}
