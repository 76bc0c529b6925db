//! The Connect protocol (connectrpc.com/docs/protocol) as far as it says what a call has come to: codes, errors and the
//! end of a stream, in JSON. Its statuses are gRPC's under other names.

use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::Engine as _;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::percent_decode;
use serde_json::{json, Map, Value};

use super::body::Body;
use super::envelope;
use super::grpc;
use super::protobuf::{Fields, Malformed};
use crate::error::{Error, Kind};

pub const TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
pub const VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

/// Of a message of a stream: it is the last, and no message of the service.
pub(crate) const END: u8 = 2;

/// Details of one error that are told; more are left out.
const DETAILS: usize = 64;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Proto,
    Json,
}

impl Codec {
    pub fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"proto" => Some(Self::Proto),
            b"json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Where a client looks for the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In the HTTP status, and in the content where that is not 200.
    Unary,
    /// In the last message.
    Stream(Codec),
}

impl Form {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Unary => "application/json",
            Self::Stream(Codec::Proto) => "application/connect+proto",
            Self::Stream(Codec::Json) => "application/connect+json",
        }
    }

    pub(super) fn is_named(self, kind: &[u8]) -> bool {
        kind == self.content_type().as_bytes()
    }
}

/// Why a call has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// gRPC's number.
    pub code: u16,
    pub message: String,
    pub details: Vec<Detail>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Full name of its message.
    pub name: String,
    pub value: Bytes,
    /// The same in JSON, where its type is known.
    pub debug: Option<Value>,
}

impl Failure {
    /// One of the gateway's own.
    pub fn of(error: &Error) -> Self {
        Self { code: code(error.kind), message: error.detail.clone(), details: Vec::new() }
    }

    /// What a service of gRPC says at the end of a call; None: that it has succeeded. Nothing at all is a failure.
    pub fn told(fields: &HeaderMap) -> Option<Self> {
        let status = fields.get(grpc::STATUS).and_then(|value| value.to_str().ok()?.parse().ok());
        let code = status.unwrap_or(grpc::UNKNOWN);
        if code == 0 {
            return None;
        }
        let message = fields.get(grpc::MESSAGE).map(HeaderValue::as_bytes).unwrap_or_default();
        let message = match status {
            Some(_) => percent_decode(message).decode_utf8_lossy().into_owned(),
            None => "the service has ended the call without a status".to_owned(),
        };
        let details = fields.get(grpc::DETAILS).and_then(|value| BASE64.decode(value.as_bytes()).ok());
        // What cannot be read is not told; the code and the message are what counts.
        let details = details.and_then(|status| details_of(&status).ok()).unwrap_or_default();
        Some(Self { code, message, details })
    }

    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("code".into(), name(self.code).into());
        if !self.message.is_empty() {
            fields.insert("message".into(), self.message.as_str().into());
        }
        if !self.details.is_empty() {
            fields.insert("details".into(), self.details.iter().map(Detail::to_json).collect());
        }
        Value::Object(fields)
    }
}

impl Detail {
    fn to_json(&self) -> Value {
        let mut fields = json!({"type": self.name, "value": BASE64.encode(&self.value)});
        if let Some(debug) = &self.debug {
            fields["debug"] = debug.clone();
        }
        fields
    }
}

/// Written without padding, read with or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Of a `google.rpc.Status`.
fn details_of(status: &[u8]) -> Result<Vec<Detail>, Malformed> {
    let mut details = Vec::new();
    for field in Fields::of(status) {
        let (3, any) = field? else { continue };
        let (mut url, mut value) = ("", &b""[..]);
        for field in Fields::of(any.bytes()?) {
            match field? {
                (1, field) => url = field.text()?,
                (2, field) => value = field.bytes()?,
                _ => {}
            }
        }
        if details.len() < DETAILS {
            let name = url.rsplit('/').next().unwrap_or_default().to_owned();
            details.push(Detail { name, value: Bytes::copy_from_slice(value), debug: None });
        }
    }
    Ok(details)
}

/// A failure as the whole answer. `status`: of a unary call.
pub fn respond(form: Form, failure: &Failure, status: u16) -> Response<Body> {
    let (status, content) = match form {
        Form::Unary => (status, failure.to_json().to_string().into()),
        Form::Stream(_) => (200, end(Some(failure), &HeaderMap::new())),
    };
    let mut response = Response::new(Body::full(content));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    response
}

/// The last message of a stream, in its envelope.
pub fn end(failure: Option<&Failure>, metadata: &HeaderMap) -> Bytes {
    let mut fields = Map::new();
    if let Some(failure) = failure {
        fields.insert("error".into(), failure.to_json());
    }
    let mut told: Map<String, Value> = Map::new();
    for (name, value) in metadata.iter().filter(|(name, _)| !is_outcome(name)) {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if let Value::Array(values) = told.entry(name.as_str()).or_insert_with(|| Value::Array(Vec::new())) {
            values.push(value.into());
        }
    }
    if !told.is_empty() {
        fields.insert("metadata".into(), told.into());
    }
    envelope::write(END, Value::Object(fields).to_string().as_bytes())
}

/// What is told in another way.
pub fn is_outcome(name: &HeaderName) -> bool {
    [grpc::STATUS, grpc::MESSAGE, grpc::DETAILS].contains(name)
}

/// `Connect-Timeout-Ms` as gRPC writes it: at most ten digits there, eight and a unit here.
///
/// Errors: `BadRequest` for anything else.
pub fn timeout(headers: &HeaderMap) -> Result<Option<HeaderValue>, Error> {
    let mut given = headers.get_all(TIMEOUT).iter();
    let text = match (given.next(), given.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    };
    let digits = text.filter(|text| (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()));
    let time = digits.and_then(|digits| digits.parse::<u64>().ok()).map(|milliseconds| match milliseconds {
        0..=99_999_999 => format!("{milliseconds}m"),
        _ => format!("{}S", milliseconds / 1000),
    });
    let time = time.and_then(|time| HeaderValue::from_str(&time).ok());
    time.map(Some)
        .ok_or_else(|| Error::new(Kind::BadRequest, "Connect-Timeout-Ms is not a number of at most ten digits"))
}

const NAMES: [&str; 17] = [
    "ok",
    "canceled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

fn name(code: u16) -> &'static str {
    NAMES.get(usize::from(code)).filter(|_| code != 0).copied().unwrap_or("unknown")
}

/// The HTTP status of a unary call that ends with a code of gRPC (the protocol's section "Error Codes").
pub fn http_status(code: u16) -> u16 {
    match code {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

/// The gateway's own errors. Their HTTP status stays what it is elsewhere: it says more.
fn code(kind: Kind) -> u16 {
    match kind.status() {
        400 | 417 => 3,
        401 => 16,
        403 => 7,
        404 | 405 | 415 | 501 | 505 => 12,
        408 | 504 => 4,
        413 | 414 | 429 | 431 => 8,
        422 => 9,
        499 => 1,
        502 | 503 => 14,
        _ => 13,
    }
}

#[cfg(test)]
mod tests {
    use super::super::protobuf::Message;
    use super::*;

    fn fields(fields: &[(&'static str, &str)]) -> HeaderMap {
        let value = |value: &str| HeaderValue::from_bytes(value.as_bytes()).unwrap();
        fields.iter().map(|(name, text)| (HeaderName::from_static(name), value(text))).collect()
    }

    #[test]
    fn times_are_read_strictly_and_fit_into_grpcs_eight_digits() {
        let table = [
            ("0", Some("0m")),
            ("5000", Some("5000m")),
            ("99999999", Some("99999999m")),
            ("100000000", Some("100000S")),
            ("9999999999", Some("9999999S")),
            ("10000000000", None),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("1 ", None),
        ];
        for (text, expected) in table {
            let read = timeout(&fields(&[("connect-timeout-ms", text)])).ok().flatten();
            assert_eq!(read.as_ref().and_then(|value| value.to_str().ok()), expected, "{text:?}");
        }
        assert!(matches!(timeout(&HeaderMap::new()), Ok(None)));
    }

    #[test]
    fn a_failure_of_a_service_is_told_with_its_details() {
        let any = Message::default().text(1, "type.googleapis.com/google.rpc.RetryInfo").bytes(2, &[10, 2, 8, 60]);
        let status = Message::default().number(1, 14).text(2, "back off").message(3, any).into_bytes();
        let told = fields(&[
            ("grpc-status", "14"),
            ("grpc-message", "back off: 100%25 of %C3%A4"),
            ("grpc-status-details-bin", &base64::engine::general_purpose::STANDARD.encode(status)),
            ("x-more", "1"),
        ]);
        let failure = Failure::told(&told).unwrap();
        let expected = json!({
            "code": "unavailable", "message": "back off: 100% of ä",
            "details": [{"type": "google.rpc.RetryInfo", "value": "CgIIPA"}],
        });
        assert_eq!(failure.to_json(), expected);
        let end = end(Some(&failure), &told);
        assert_eq!(end[0], 2);
        let end: Value = serde_json::from_slice(&end[5..]).unwrap();
        assert_eq!(end, json!({"error": expected, "metadata": {"x-more": ["1"]}}));
    }

    #[test]
    fn success_is_only_what_says_so() {
        assert_eq!(Failure::told(&fields(&[("grpc-status", "0")])), None);
        for (text, code) in [("", 2), ("x", 2), ("7", 7), ("99", 99)] {
            assert_eq!(
                Failure::told(&fields(&[("grpc-status", text)])).map(|failure| failure.code),
                Some(code),
                "{text}"
            );
        }
        assert_eq!(Failure::told(&HeaderMap::new()).map(|failure| failure.code), Some(2));
        assert_eq!((name(99), name(0), http_status(99)), ("unknown", "unknown", 500));
        assert_eq!(&end(None, &HeaderMap::new())[..], b"\x02\0\0\0\x02{}");
    }

    #[test]
    fn every_error_of_the_gateway_has_a_code() {
        for kind in Kind::ALL {
            assert!((1..=16).contains(&code(*kind)), "{kind:?}");
        }
    }
}
