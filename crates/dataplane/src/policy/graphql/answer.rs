//! How errors are answered: as GraphQL has them (GraphQL over HTTP, §6), where the client takes that.

use http::{HeaderMap, HeaderValue, Response};
use serde_json::{json, Value};

use crate::error::{self, Error};
use crate::protocol::accept::{quality, ranges};
use crate::protocol::body::Body;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/graphql-response+json`.
    Response,
    /// `application/json`, for clients that know only this.
    Json,
    /// `application/problem+json`, for whoever takes neither.
    Problem,
}

const RESPONSE: (&str, &str) = ("application", "graphql-response+json");
const JSON: (&str, &str) = ("application", "json");
/// Answers that come in parts: events of subscriptions, and what is deferred.
const STREAMS: [(&str, &str); 2] = [("text", "event-stream"), ("multipart", "mixed")];

/// What a client takes, by its `Accept` (RFC 9110 §12.5.1). None: nothing that a service of GraphQL answers with.
pub fn format(headers: &HeaderMap) -> Option<Format> {
    let ranges = ranges(headers);
    if ranges.is_empty() {
        return Some(Format::Response);
    }
    let (response, json) = (quality(&ranges, RESPONSE), quality(&ranges, JSON));
    if response == 0 && json == 0 {
        let streams = STREAMS.iter().any(|stream| quality(&ranges, *stream) > 0);
        return streams.then_some(Format::Problem);
    }
    Some(if json > response { Format::Json } else { Format::Response })
}

/// The response to an error: `extensions.code` is the error's code in capitals.
pub fn respond(format: Format, error: &Error, request_id: Option<&HeaderValue>) -> Response<Body> {
    let media_type = match format {
        Format::Problem => return error::respond(error, request_id),
        Format::Response => "application/graphql-response+json",
        Format::Json => "application/json",
    };
    let mut extensions = json!({
        "code": error.kind.code().replace('-', "_").to_ascii_uppercase(),
        "documentation": error::documentation(error.kind),
    });
    if let Some(id) = request_id.and_then(|id| id.to_str().ok()) {
        extensions["request_id"] = id.into();
    }
    let message = match error.detail.is_empty() {
        true => error.kind.title(),
        false => &error.detail,
    };
    let whole = json!({"message": message});
    let told = match error.faults().first().is_some_and(|told| told.get("message").is_some()) {
        true => error.faults(),
        false => std::slice::from_ref(&whole),
    };
    let errors = told.iter().map(|told| {
        let mut told = told.clone();
        told["extensions"] = extensions.clone();
        told
    });
    let content = json!({"errors": errors.collect::<Vec<Value>>()}).to_string();
    error::respond_as(error, error.status.unwrap_or(error.kind.status()), media_type, content)
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;

    use super::*;

    #[test]
    fn the_client_says_how_it_takes_errors() {
        for (accept, expected) in [
            ("", Some(Format::Response)),
            ("*/*", Some(Format::Response)),
            ("application/*", Some(Format::Response)),
            ("application/json", Some(Format::Json)),
            ("application/json; charset=utf-8", Some(Format::Json)),
            ("application/graphql-response+json, application/json;q=0.9", Some(Format::Response)),
            ("application/graphql-response+json;q=0.5, application/json", Some(Format::Json)),
            ("application/graphql-response+json;q=0, */*", Some(Format::Json)),
            ("application/json;q=0, */*;q=0.1", Some(Format::Response)),
            ("text/event-stream", Some(Format::Problem)),
            ("multipart/mixed; deferSpec=20220824, application/json", Some(Format::Json)),
            ("text/html", None),
            ("application/problem+json", None),
            ("application/json;q=0", None),
            ("application/json;q=2", Some(Format::Response)),
            ("nonsense", Some(Format::Response)),
        ] {
            let headers = match accept {
                "" => HeaderMap::new(),
                text => HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(text))]),
            };
            assert_eq!(format(&headers), expected, "{accept}");
        }
    }
}
