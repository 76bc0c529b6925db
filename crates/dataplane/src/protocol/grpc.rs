//! gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md) as far as a gateway takes part in it: the time that a client allows, and
//! a status for whatever the gateway itself has to say. Messages are passed on unread.

use std::cell::Cell;
use std::fmt::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;

use super::body::Body;
use super::connect;
use super::grpc_web::{self, Encoding};
use crate::error::{Error, Kind};

pub const STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
pub const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// `UNKNOWN`.
pub const UNKNOWN: u16 = 2;
const INVALID_ARGUMENT: u16 = 3;

/// How a call's client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Grpc,
    Web(Encoding),
    /// Where the route translates it.
    Connect(connect::Form),
}

/// What is known of an exchange because it is a call of gRPC.
#[derive(Debug)]
pub struct Call {
    pub dialect: Dialect,
    status: Cell<Option<u16>>,
}

impl Call {
    /// By the request's `Content-Type`; None: it is not one.
    pub fn of(headers: &HeaderMap) -> Option<Rc<Self>> {
        let kind = headers.get(CONTENT_TYPE)?.as_bytes();
        let web = Encoding::of(kind, headers);
        let dialect = web.map(Dialect::Web).or(is_grpc(kind).then_some(Dialect::Grpc))?;
        Some(Rc::new(Self { dialect, status: Cell::default() }))
    }

    pub fn connect(form: connect::Form) -> Rc<Self> {
        Rc::new(Self { dialect: Dialect::Connect(form), status: Cell::default() })
    }

    /// What it has in common with other exchanges of HTTP: one message each way, and a status that says something.
    pub fn is_plain(&self) -> bool {
        self.dialect == Dialect::Connect(connect::Form::Unary)
    }

    pub fn web(&self) -> Option<Encoding> {
        match self.dialect {
            Dialect::Web(encoding) => Some(encoding),
            Dialect::Grpc | Dialect::Connect(_) => None,
        }
    }

    /// How the call ended, as far as that has been seen: a `grpc-status`.
    pub fn status(&self) -> Option<u16> {
        self.status.get()
    }

    /// Notes the status.
    pub fn ended(&self, status: u16) {
        self.status.set(Some(status));
    }

    /// Notes the status that these fields hold, if they do.
    pub fn note(&self, fields: &HeaderMap) {
        let status = fields.get(STATUS).map(|value| value.to_str().ok().and_then(|text| text.parse().ok()));
        if let Some(status) = status {
            self.status.set(Some(status.unwrap_or(UNKNOWN)));
        }
    }

    /// The gateway's own answer: the status where the client looks for it, and HTTP 200 where that is not the place.
    pub fn respond(&self, error: &Error) -> Response<Body> {
        let mut response = match self.dialect {
            Dialect::Connect(form) => {
                let failure = connect::Failure::of(error);
                self.ended(failure.code);
                connect::respond(form, &failure, error.kind.status())
            }
            Dialect::Grpc | Dialect::Web(_) => self.trailers_only(code(error.kind), &error.detail),
        };
        for (name, value) in &error.headers {
            response.headers_mut().append(name.clone(), value.clone());
        }
        response
    }

    /// The end of an answer that the gateway has to break off: the client learns why. None: its form has no place for it.
    pub fn ending(&self, error: &Error) -> Option<Frame<Bytes>> {
        let fields = || {
            let fields = trailers(code(error.kind), &error.detail);
            self.note(&fields);
            fields
        };
        match self.dialect {
            Dialect::Grpc => Some(Frame::trailers(fields())),
            Dialect::Web(encoding) => Some(Frame::data(grpc_web::last(encoding, &fields()))),
            Dialect::Connect(connect::Form::Unary) => None,
            Dialect::Connect(connect::Form::Stream(_)) => {
                let failure = connect::Failure::of(error);
                self.ended(failure.code);
                Some(Frame::data(connect::end(Some(&failure), &HeaderMap::new())))
            }
        }
    }

    /// What is not an answer of gRPC becomes one: its HTTP status says what went wrong (grpc/doc/
    /// http-grpc-status-mapping.md). True where that was so.
    pub fn settle(&self, response: Response<Body>) -> (Response<Body>, bool) {
        let spoken = response.headers().get(CONTENT_TYPE).is_some_and(|kind| match self.dialect {
            Dialect::Connect(form) => form.is_named(kind.as_bytes()),
            Dialect::Grpc | Dialect::Web(_) => is_grpc(kind.as_bytes()),
        });
        if spoken {
            self.note(response.headers());
            return (response, false);
        }
        let status = response.status();
        let detail = format!("the service answered with HTTP status {} and not in gRPC", status.as_u16());
        (self.trailers_only(foreign(status), &detail), true)
    }

    fn trailers_only(&self, status: u16, message: &str) -> Response<Body> {
        let fields = trailers(status, message);
        self.note(&fields);
        let mut response = match self.dialect {
            Dialect::Connect(form) => {
                let failure = connect::Failure { code: status, message: message.to_owned(), details: Vec::new() };
                return connect::respond(form, &failure, connect::http_status(status));
            }
            Dialect::Grpc => {
                let mut response = Response::new(Body::empty());
                *response.headers_mut() = fields;
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                response
            }
            Dialect::Web(encoding) => {
                let mut response = Response::new(Body::full(grpc_web::last(encoding, &fields)));
                response.headers_mut().insert(CONTENT_TYPE, encoding.content_type("+proto"));
                response
            }
        };
        *response.status_mut() = StatusCode::OK;
        response
    }
}

/// `application/grpc`, alone, with a format (`+proto`) or with parameters.
pub fn is_grpc(kind: &[u8]) -> bool {
    format(kind, "application/grpc").is_some()
}

/// What follows the media type's name: nothing, or `+` and a format. Parameters do not count.
pub(super) fn format<'a>(kind: &'a [u8], name: &str) -> Option<&'a str> {
    let kind = std::str::from_utf8(kind).ok()?.split(';').next()?.trim_ascii();
    let (start, rest) = kind.split_at_checked(name.len())?;
    (start.eq_ignore_ascii_case(name) && (rest.is_empty() || rest.starts_with('+'))).then_some(rest)
}

/// A service may leave trailers away where nobody says that they are welcome.
pub fn welcome_trailers(headers: &mut HeaderMap) {
    headers.insert(TE, HeaderValue::from_static("trailers"));
}

/// `grpc-timeout`: at most eight digits and a unit. None: as long as it takes.
///
/// Errors: `BadRequest` for anything else.
pub fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let mut given = headers.get_all(TIMEOUT).iter();
    let value = match (given.next(), given.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => parse_timeout(value.as_bytes()),
        _ => None,
    };
    value.map(Some).ok_or_else(|| Error::new(Kind::BadRequest, "grpc-timeout is not a time as gRPC writes it"))
}

fn parse_timeout(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(value * 3600),
        b'M' => Duration::from_secs(value * 60),
        b'S' => Duration::from_secs(value),
        b'm' => Duration::from_millis(value),
        b'u' => Duration::from_micros(value),
        b'n' => Duration::from_nanos(value),
        _ => return None,
    })
}

/// Tells the service how much time is left, where the client has told how much there was.
pub fn pass_timeout(headers: &mut HeaderMap, deadline: Instant) {
    if headers.contains_key(TIMEOUT) {
        headers.insert(TIMEOUT, write_timeout(deadline.saturating_duration_since(Instant::now())));
    }
}

/// The finest unit in which eight digits are enough, rounded down.
fn write_timeout(left: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let (value, unit) = match () {
        () if left.as_micros() <= MOST => (left.as_micros(), 'u'),
        () if left.as_millis() <= MOST => (left.as_millis(), 'm'),
        () => (u128::from(left.as_secs()).min(MOST), 'S'),
    };
    HeaderValue::from_str(&format!("{value}{unit}")).unwrap_or_else(|_| HeaderValue::from_static("0n"))
}

pub(crate) fn trailers(status: u16, message: &str) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(3);
    fields.insert(STATUS, HeaderValue::from(status));
    if let Ok(message) = HeaderValue::from_str(&escape(message)) {
        fields.insert(MESSAGE, message);
    }
    fields
}

/// `Percent-Encoded` of the protocol: whatever is not printable ASCII, and the percent sign.
fn escape(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' | 0..=0x1F | 0x7F.. => {
                let _fits = write!(text, "%{byte:02X}");
            }
            _ => text.push(char::from(byte)),
        }
    }
    text
}

/// The gateway's own errors, by the HTTP status that they have elsewhere; what the message says is its client's matter.
fn code(kind: Kind) -> u16 {
    if matches!(kind, Kind::InvalidBody | Kind::RequestInvalid) {
        return INVALID_ARGUMENT;
    }
    match kind.status() {
        408 | 504 => 4,
        403 => 7,
        413 | 414 | 429 | 431 => 8,
        422 => 9,
        404 | 405 | 501 | 505 => 12,
        400 | 415 | 417 | 500 => 13,
        502 | 503 => 14,
        401 => 16,
        499 => 1,
        _ => UNKNOWN,
    }
}

/// What an answer that is not gRPC means, by grpc/doc/http-grpc-status-mapping.md.
pub fn foreign(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_strictly() {
        let table = [
            ("1H", Some(Duration::from_secs(3600))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("00000003S", Some(Duration::from_secs(3))),
            ("100m", Some(Duration::from_millis(100))),
            ("0u", Some(Duration::ZERO)),
            ("7n", Some(Duration::from_nanos(7))),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("1s", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            (" 1S", None),
            ("1 S", None),
            ("1SS", None),
            ("٣S", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_timeout(text.as_bytes()), expected, "{text:?}");
        }
        let mut twice = HeaderMap::new();
        twice.append(TIMEOUT, HeaderValue::from_static("1S"));
        twice.append(TIMEOUT, HeaderValue::from_static("1S"));
        assert_eq!(timeout(&twice).err().map(|error| error.kind), Some(Kind::BadRequest));
    }

    #[test]
    fn what_is_left_of_a_time_is_written_in_eight_digits_and_never_longer_than_it_is() {
        let table = [
            (Duration::ZERO, "0u"),
            (Duration::from_nanos(1999), "1u"),
            (Duration::from_secs(99), "99000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(200_000), "200000S"),
            (Duration::MAX, "99999999S"),
        ];
        for (left, expected) in table {
            assert_eq!(write_timeout(left), expected);
        }
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(escape("100 % of ä\n"), "100 %25 of %C3%A4%0A");
    }

    #[test]
    fn only_grpc_is_a_call() {
        let call = |kind: &'static str| {
            let headers = [(CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect();
            Call::of(&headers).map(|call| call.web())
        };
        let web = |text| Some(Some(Encoding { text }));
        for (kind, expected) in [
            ("application/grpc", Some(None)),
            ("Application/gRPC+proto", Some(None)),
            ("application/grpc; charset=utf-8", Some(None)),
            ("application/grpc+json;x=y", Some(None)),
            ("application/grpc-web", web(false)),
            ("application/grpc-web+proto", web(false)),
            ("application/grpc-web-text", web(true)),
            ("application/grpc-web-text+proto", web(true)),
            ("application/grpc-websocket", None),
            ("application/grpcx", None),
            ("application/json", None),
        ] {
            assert_eq!(call(kind), expected, "{kind}");
        }
    }

    #[test]
    fn every_error_has_a_code() {
        for kind in Kind::ALL {
            assert!((1..=16).contains(&code(*kind)), "{kind:?}");
        }
    }
}
