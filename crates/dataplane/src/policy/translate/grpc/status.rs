//! How calls end: `google.rpc.Status` as problem details (RFC 9457) with the statuses of HTTP that `google/rpc/code.proto`
//! names, and the other way.

use std::fmt::Write as _;

use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::Engine as _;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use percent_encoding::percent_decode;
use serde_json::{json, Value};

use super::super::message::{MessageType, WriteRules};
use crate::exchange::Exchange;
use crate::protocol::body::Body;
use crate::protocol::grpc;
use crate::protocol::protobuf::{Field, Fields};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The names of the codes, and the statuses that they have in HTTP.
const CODES: [(&str, u16); 17] = [
    ("OK", 200),
    ("CANCELLED", 499),
    ("UNKNOWN", 500),
    ("INVALID_ARGUMENT", 400),
    ("DEADLINE_EXCEEDED", 504),
    ("NOT_FOUND", 404),
    ("ALREADY_EXISTS", 409),
    ("PERMISSION_DENIED", 403),
    ("RESOURCE_EXHAUSTED", 429),
    ("FAILED_PRECONDITION", 400),
    ("ABORTED", 409),
    ("OUT_OF_RANGE", 400),
    ("UNIMPLEMENTED", 501),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
    ("DATA_LOSS", 500),
    ("UNAUTHENTICATED", 401),
];

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub code: u16,
    pub message: String,
    /// A `google.rpc.Status`, where the service sent one.
    pub details: Option<Vec<u8>>,
}

impl Status {
    /// What trailers say, or a head that is all there is. None: they say nothing.
    pub fn of(fields: &HeaderMap) -> Option<Self> {
        let code = fields.get(grpc::STATUS)?;
        let code = code.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(grpc::UNKNOWN);
        let message = fields.get(grpc::MESSAGE).map(HeaderValue::as_bytes).unwrap_or_default();
        let details = fields.get(grpc::DETAILS).and_then(|value| BASE64.decode(value.as_bytes()).ok());
        Some(Self { code, message: percent_decode(message).decode_utf8_lossy().into_owned(), details })
    }

    pub fn is_ok(&self) -> bool {
        self.code == 0
    }

    /// A code that is not known is UNKNOWN.
    pub fn name(&self) -> &'static str {
        CODES.get(usize::from(self.code)).unwrap_or(&CODES[2]).0
    }

    pub fn http(&self) -> StatusCode {
        let status = CODES.get(usize::from(self.code)).unwrap_or(&CODES[2]).1;
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Problem details. `status_type` is `google.rpc.Status`, with all types that are known.
    pub fn problem(&self, status_type: &MessageType, exchange_id: Option<&HeaderValue>) -> Value {
        let status = self.http();
        let mut problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Client Closed Request"),
            "status": status.as_u16(),
            "code": self.name(),
        });
        if !self.message.is_empty() {
            problem["detail"] = self.message.as_str().into();
        }
        let details = self.details.as_deref().map(|details| details_of(details, status_type)).unwrap_or_default();
        if !details.is_empty() {
            problem["details"] = details.into();
        }
        if let Some(id) = exchange_id.and_then(|id| id.to_str().ok()) {
            problem["request_id"] = id.into();
        }
        problem
    }

    pub fn respond(&self, status_type: &MessageType, exchange: &Exchange) -> Response<Body> {
        let problem = self.problem(status_type, Some(exchange.request_id()));
        let mut response = Response::new(Body::full(problem.to_string()));
        *response.status_mut() = self.http();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// The details as JSON, each alone: one that cannot be read is left as base64 of what it is.
fn details_of(status: &[u8], status_type: &MessageType) -> Vec<Value> {
    let Some(any) = MessageType::find(status_type.messages(), "google.protobuf.Any") else { return Vec::new() };
    let rules = WriteRules { unknown_any: true, ..WriteRules::default() };
    let details = Fields::of(status).map_while(Result::ok).filter_map(|field| match field {
        (3, Field::Bytes(detail)) => Some(detail),
        _ => None,
    });
    let read = details.map(|detail| {
        let mut text = Vec::new();
        let read = any.write_json(detail, rules, &mut text).ok().and_then(|()| serde_json::from_slice(&text).ok());
        read.unwrap_or_else(|| json!({"@type": "", "value": BASE64.encode(detail)}))
    });
    read.collect()
}

/// What a status of HTTP means for a caller of gRPC, where nothing else says it.
pub fn code_of(status: StatusCode) -> u16 {
    match status.as_u16() {
        200..=299 => 0,
        400 | 422 => 3,
        401 => 16,
        403 => 7,
        404 | 410 => 5,
        408 | 504 => 4,
        409 => 10,
        412 | 428 => 9,
        416 => 11,
        413 | 429 => 8,
        499 => 1,
        405 | 501 => 12,
        502 | 503 => 14,
        500..=599 => 13,
        _ => grpc::UNKNOWN,
    }
}

/// By its name, as problem details of the other direction have it.
pub fn code_named(name: &str) -> Option<u16> {
    let position = CODES.iter().position(|(known, _)| *known == name)?;
    u16::try_from(position).ok()
}

/// Bytes as a value of a `-bin` field: base64 without padding.
pub fn encode_details(bytes: &[u8]) -> String {
    let mut text = BASE64.encode(bytes);
    text.truncate(text.trim_end_matches('=').len());
    text
}

/// Fields of a stream's end for people: `grpc-status: 5 NOT_FOUND`.
pub fn summary(status: &Status) -> String {
    let mut text = String::new();
    let _fits = write!(text, "the service ended the call with {}", status.name());
    text
}
