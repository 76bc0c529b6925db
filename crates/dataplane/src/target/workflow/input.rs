//! The body of a request that expressions see.

use http::header::CONTENT_TYPE;
use http::HeaderMap;
use stagedoor_expression::{json, Value};

use crate::error::{Error, Kind};
use crate::protocol::body::Body;

/// A larger body is 413, also where the route's `limits` allow more: the whole of it is held in memory.
pub const BODY_BYTES: usize = 1024 * 1024;

/// The body as JSON, null when it is empty. 415 when it is declared to be anything else, 400 when it is malformed.
pub(crate) async fn collect(headers: &HeaderMap, mut body: Body) -> Result<Value, Error> {
    let whole = body.buffer(BODY_BYTES).await?;
    if whole.is_empty() {
        return Ok(Value::Null);
    }
    if !is_json(headers) {
        return Err(Error::new(Kind::UnsupportedMediaType, "The body must be application/json"));
    }
    json::parse(&whole).map_err(|error| Error::new(Kind::InvalidBody, format!("The body is not JSON: {error}")))
}

/// `application/json` or `application/*+json` (RFC 6839 §3.1), parameters aside.
fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}
