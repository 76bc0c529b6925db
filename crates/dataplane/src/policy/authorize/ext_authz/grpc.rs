//! `envoy.service.auth.v3.Authorization/Check`, in the fields that a gateway has something to say or to do about. Numbers
//! are those of the published messages; unknown fields are passed over, as Protocol Buffers wants it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};

use super::question::Question;
use super::verdict::{may_change_request, may_change_response, Change, Changes, How, Refusal, Verdict};
use crate::protocol::protobuf::{Fields, Malformed, Message};
use crate::transport::unix::NOWHERE;

pub const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// What differs from one request to the next although the decision is the same.
pub struct Occasion {
    pub time: SystemTime,
    pub id: String,
    pub port: u16,
}

pub fn headers(timeout: Duration) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
        (TE, HeaderValue::from_static("trailers")),
    ]);
    // At most eight digits; a timeout is at most a minute.
    if let Ok(value) = HeaderValue::try_from(format!("{}u", timeout.as_micros().min(99_999_999))) {
        headers.insert(HeaderName::from_static("grpc-timeout"), value);
    }
    headers
}

/// A message as a call of gRPC sends it.
pub fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(message);
    framed.freeze()
}

/// A `CheckRequest`. Without an occasion, what a decision may depend on.
pub fn check_request(
    question: &Question<'_>,
    context: &BTreeMap<String, String>,
    occasion: Option<&Occasion>,
) -> Vec<u8> {
    let exchange = question.exchange;
    let mut source = Message::default();
    if exchange.peer != NOWHERE {
        let port = occasion.map_or(0, |occasion| occasion.port);
        let socket = Message::default().text(2, &exchange.client.to_string()).number(3, u64::from(port));
        source = source.message(1, Message::default().message(1, socket));
    }
    if let Some(caller) = exchange.caller() {
        source = source.text(4, caller);
    }
    let route = exchange.route.as_ref().map_or("", |route| &*route.id);
    let mut request = Message::default();
    if let Some(occasion) = occasion {
        let since = occasion.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        request = request
            .message(1, Message::default().number(1, since.as_secs()).number(2, u64::from(since.subsec_nanos())));
    }
    let metadata = Message::default()
        .message(1, Message::default().text(1, "stagedoor").message(2, Message::object(&question.knowledge())));
    let mut attributes = Message::default()
        .message(1, source)
        .message(2, Message::default().text(2, route))
        .message(4, request.message(2, http_request(question, occasion)));
    for (key, value) in context {
        attributes = attributes.entry(10, key, value);
    }
    Message::default().message(1, attributes.message(11, metadata)).into_bytes()
}

fn http_request(question: &Question<'_>, occasion: Option<&Occasion>) -> Message {
    let (exchange, host) = (question.exchange, question.host());
    let method = question.head.method.as_str();
    let mut http = Message::default();
    if let Some(occasion) = occasion {
        http = http.text(1, &occasion.id);
    }
    http = http.text(2, method);
    for (name, value) in [
        (":authority", host.as_str()),
        (":method", method),
        (":path", exchange.target.as_str()),
        (":scheme", exchange.scheme),
    ] {
        http = http.entry(3, name, value);
    }
    for (name, value) in &question.headers {
        http = http.entry(3, name.as_str(), value);
    }
    if let Some(content) = &question.content {
        let partial = if content.whole { "false" } else { "true" };
        http = http.entry(3, "x-envoy-auth-partial-body", partial);
    }
    let length = question.head.headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    // -1 where it is not known, as a 64-bit number.
    let size = length.and_then(|length| length.parse::<u64>().ok()).unwrap_or(u64::MAX);
    let protocol = match question.head.version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    };
    http = http
        .text(4, exchange.target.as_str())
        .text(5, &host)
        .text(6, exchange.scheme)
        .text(7, exchange.query().unwrap_or_default())
        .number(9, size)
        .text(10, protocol);
    match &question.content {
        Some(content) if content.raw => http.bytes(12, &content.bytes),
        Some(content) => http.bytes(11, &content.bytes),
        None => http,
    }
}

/// The verdict of an answer, or what is wrong with it.
pub fn verdict(status: StatusCode, headers: &HeaderMap, body: &[u8], trailers: &HeaderMap) -> Result<Verdict, String> {
    if status != StatusCode::OK {
        return Err(format!("it answered {status}"));
    }
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if !kind.starts_with(b"application/grpc") {
        return Err("its answer is not gRPC".to_owned());
    }
    let code = trailers.get("grpc-status").or_else(|| headers.get("grpc-status"));
    match code.map(HeaderValue::as_bytes) {
        Some(b"0") => {}
        Some(code) => return Err(format!("it failed with grpc-status {}", String::from_utf8_lossy(code))),
        None => return Err("its answer has no grpc-status".to_owned()),
    }
    let message = match body {
        [0, a, b, c, d, message @ ..] if message.len() == u32::from_be_bytes([*a, *b, *c, *d]) as usize => message,
        _ => return Err("its answer is not one uncompressed message".to_owned()),
    };
    check_response(message).map_err(|Malformed| "its answer is not a CheckResponse".to_owned())
}

fn check_response(message: &[u8]) -> Result<Verdict, Malformed> {
    let (mut code, mut denied, mut granted) = (None, None, None);
    for field in Fields::of(message) {
        match field? {
            (1, field) => code = Some(status_code(field.bytes()?)?),
            (2, field) => denied = Some(field.bytes()?),
            (3, field) => granted = Some(field.bytes()?),
            _ => {}
        }
    }
    match (code, denied, granted) {
        // An empty message would be a yes by its defaults; nothing was said.
        (None, None, None) => Err(Malformed),
        // Both, or a yes with the words of a no: nobody knows what is meant.
        (_, Some(_), Some(_)) | (Some(0), Some(_), _) => Err(Malformed),
        (Some(0), None, granted) => Ok(Verdict::Passes(granted.map(ok_response).transpose()?.unwrap_or_default())),
        (None, None, Some(granted)) => Ok(Verdict::Passes(ok_response(granted)?)),
        (_, denied, _) => Ok(Verdict::Refused(denied_response(denied.unwrap_or_default())?)),
    }
}

/// Of a `google.rpc.Status`.
fn status_code(message: &[u8]) -> Result<u64, Malformed> {
    let mut code = 0;
    for field in Fields::of(message) {
        if let (1, field) = field? {
            code = field.number()?;
        }
    }
    Ok(code)
}

fn ok_response(message: &[u8]) -> Result<Changes, Malformed> {
    let mut changes = Changes::default();
    for field in Fields::of(message) {
        match field? {
            (2, field) => {
                changes.set.extend(header(field.bytes()?, How::Set)?.filter(|one| may_change_request(&one.name)))
            }
            (5, field) => {
                let name = HeaderName::from_bytes(field.bytes()?).map_err(|_| Malformed)?;
                changes.remove.extend(Some(name).filter(may_change_request));
            }
            (6, field) => {
                let change = header(field.bytes()?, How::Append)?;
                changes.response.extend(change.filter(|one| may_change_response(&one.name)));
            }
            (7, field) => changes.query_set.push(pair(field.bytes()?)?),
            (8, field) => changes.query_remove.push(field.text()?.to_owned()),
            _ => {}
        }
    }
    Ok(changes)
}

fn denied_response(message: &[u8]) -> Result<Refusal, Malformed> {
    let mut refusal = Refusal { status: StatusCode::FORBIDDEN, headers: Vec::new(), body: Bytes::new() };
    for field in Fields::of(message) {
        match field? {
            (1, field) => match status_code(field.bytes()?)? {
                0 => {}
                code => {
                    let code = u16::try_from(code).ok().filter(|code| (200..600).contains(code));
                    let status = code.and_then(|code| StatusCode::from_u16(code).ok());
                    refusal.status = status.ok_or(Malformed)?;
                }
            },
            (2, field) => {
                let change = header(field.bytes()?, How::Set)?;
                refusal.headers.extend(change.filter(|one| may_change_response(&one.name)));
            }
            (3, field) => refusal.body = Bytes::copy_from_slice(field.text()?.as_bytes()),
            _ => {}
        }
    }
    Ok(refusal)
}

/// A `HeaderValueOption`. None: an empty value that is not to be kept. In these messages the first action, which is also
/// what an absent one looks like, means what `usual` says.
fn header(message: &[u8], usual: How) -> Result<Option<Change>, Malformed> {
    let (mut name, mut value, mut how, mut append, mut keep) = (None, &b""[..], usual, None, false);
    for field in Fields::of(message) {
        match field? {
            (1, field) => {
                for field in Fields::of(field.bytes()?) {
                    match field? {
                        (1, field) => name = Some(HeaderName::from_bytes(field.bytes()?).map_err(|_| Malformed)?),
                        (2 | 3, field) => {
                            let bytes = field.bytes()?;
                            value = if bytes.is_empty() { value } else { bytes };
                        }
                        _ => {}
                    }
                }
            }
            // A `google.protobuf.BoolValue`.
            (2, field) => append = Some(status_code(field.bytes()?)? != 0),
            (3, field) => {
                how = match field.number()? {
                    0 => usual,
                    1 => How::IfAbsent,
                    2 => How::Set,
                    3 => How::IfPresent,
                    _ => return Err(Malformed),
                }
            }
            (4, field) => keep = field.number()? != 0,
            _ => {}
        }
    }
    if let Some(append) = append {
        how = if append { How::Append } else { How::Set };
    }
    let (Some(name), Ok(written)) = (name, HeaderValue::from_bytes(value)) else { return Err(Malformed) };
    Ok((keep || !value.is_empty()).then_some(Change { name, value: written, how }))
}

/// A `QueryParameter`.
fn pair(message: &[u8]) -> Result<(String, String), Malformed> {
    let (mut key, mut value) = ("", "");
    for field in Fields::of(message) {
        match field? {
            (1, field) => key = field.text()?,
            (2, field) => value = field.text()?,
            _ => {}
        }
    }
    match key.is_empty() {
        true => Err(Malformed),
        false => Ok((key.to_owned(), value.to_owned())),
    }
}
