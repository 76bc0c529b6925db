//! gRPC-Web (grpc/doc/PROTOCOL-WEB.md) for services that speak gRPC: trailers, which a browser does not show, become the
//! last frame of the body; with `-text` everything is base64 besides.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::{Frame, SizeHint};

use super::base64;
use super::body::Body;
use super::grpc::{self, Call};
use crate::error::{Error, Kind};

const X_GRPC_WEB: HeaderName = HeaderName::from_static("x-grpc-web");

/// First byte of the frame that holds the trailers.
const TRAILERS: u8 = 0x80;

/// How a client of gRPC-Web reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// In base64.
    pub text: bool,
}

impl Encoding {
    /// `Accept` decides where it names one of them, else the answer is as the request.
    pub(super) fn of(kind: &[u8], headers: &HeaderMap) -> Option<Self> {
        let sent = named(kind)?;
        let accepted = headers.get_all(ACCEPT).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        Some(accepted.filter_map(named).next().unwrap_or(sent))
    }

    pub(super) fn content_type(self, format: &str) -> HeaderValue {
        let name = if self.text { "application/grpc-web-text" } else { "application/grpc-web" };
        HeaderValue::from_str(&format!("{name}{format}")).unwrap_or_else(|_| HeaderValue::from_static(name))
    }

    fn write(self, bytes: Bytes) -> Bytes {
        if self.text {
            Bytes::from(base64::encode(&bytes))
        } else {
            bytes
        }
    }
}

fn named(kind: &[u8]) -> Option<Encoding> {
    let is = |name| grpc::format(kind, name).is_some();
    (is("application/grpc-web") || is("application/grpc-web-text"))
        .then(|| Encoding { text: is("application/grpc-web-text") })
}

/// What has to be done to the body of a request whose head has become one of gRPC.
#[derive(Debug, Clone, Copy)]
pub struct Translation {
    /// It is in base64.
    text: bool,
}

impl Translation {
    /// Makes the head that of a gRPC call.
    pub fn begin(headers: &mut HeaderMap) -> Self {
        let text = headers.get(CONTENT_TYPE).and_then(|kind| named(kind.as_bytes())).is_some_and(|sent| sent.text);
        translate_head(headers);
        if text {
            headers.remove(CONTENT_LENGTH);
        }
        Self { text }
    }

    /// The messages.
    pub fn body(self, body: Body) -> Body {
        match self.text {
            true => Body::stream(Decoded { body, decoder: base64::Decoder::default(), failed: false }),
            false => body,
        }
    }
}

fn translate_head(headers: &mut HeaderMap) {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let format = grpc::format(kind, "application/grpc-web").or_else(|| grpc::format(kind, "application/grpc-web-text"));
    let grpc = format!("application/grpc{}", format.unwrap_or_default());
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(&grpc).unwrap_or(HeaderValue::from_static("application/grpc")));
    headers.remove(X_GRPC_WEB);
    headers.remove(ACCEPT);
    grpc::welcome_trailers(headers);
}

/// An answer of gRPC as its client reads it; `encoding` is that of the call.
pub fn translate_answer(response: Response<Body>, call: Rc<Call>, encoding: Encoding) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let content_type = encoding.content_type(grpc::format(kind, "application/grpc").unwrap_or_default());
    head.headers.insert(CONTENT_TYPE, content_type);
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(TRAILER);
    let mut early = HeaderMap::new();
    for name in [grpc::STATUS, grpc::MESSAGE, grpc::DETAILS] {
        if let Some(value) = head.headers.remove(&name) {
            early.insert(name, value);
        }
    }
    Response::from_parts(head, Body::stream(Answer { body, call, encoding, early, ended: false }))
}

/// The last piece of an answer: a frame with these trailers.
pub(super) fn last(encoding: Encoding, trailers: &HeaderMap) -> Bytes {
    encoding.write(frame(trailers))
}

fn frame(trailers: &HeaderMap) -> Bytes {
    let mut bytes = vec![TRAILERS, 0, 0, 0, 0];
    for (name, value) in trailers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    // Trailers are bounded by the head's bounds, far below 4 GiB.
    let length = (bytes.len() - 5) as u32;
    bytes[1..5].copy_from_slice(&length.to_be_bytes());
    Bytes::from(bytes)
}

struct Decoded {
    body: Body,
    decoder: base64::Decoder,
    failed: bool,
}

impl Decoded {
    fn fail(&mut self, detail: &str) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.failed = true;
        Poll::Ready(Some(Err(Error::new(Kind::InvalidBody, detail))))
    }
}

impl http_body::Body for Decoded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        while !self.failed {
            let data = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if self.decoder.is_complete() => break,
                None => return self.fail("The body ends within a group of base64"),
            };
            match self.decoder.decode(&data) {
                Err(base64::NotBase64) => return self.fail("The body is not base64"),
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes))))),
            }
        }
        Poll::Ready(None)
    }
}

struct Answer {
    body: Body,
    call: Rc<Call>,
    encoding: Encoding,
    /// A status that came in the head, where there are no messages.
    early: HeaderMap,
    ended: bool,
}

impl Answer {
    fn end(&mut self, mut trailers: HeaderMap) -> Bytes {
        self.ended = true;
        if !trailers.contains_key(grpc::STATUS) {
            trailers.extend(std::mem::take(&mut self.early));
        }
        if !trailers.contains_key(grpc::STATUS) {
            trailers.insert(grpc::STATUS, HeaderValue::from(grpc::UNKNOWN));
        }
        self.call.note(&trailers);
        last(self.encoding, &trailers)
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let bytes = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Err(error)) => {
                self.ended = true;
                return Poll::Ready(Some(Err(error)));
            }
            None => self.end(HeaderMap::new()),
            Some(Ok(frame)) => match frame.into_data() {
                // Whole pieces, padded: a byte that is held back would hold a message back.
                Ok(data) => self.encoding.write(data),
                Err(frame) => self.end(frame.into_trailers().unwrap_or_default()),
            },
        };
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body::Body as _;

    use super::*;

    /// These pieces, then these trailers.
    struct Pieces(VecDeque<Frame<Bytes>>);

    impl Pieces {
        fn body(pieces: &[&[u8]], trailers: Option<HeaderMap>) -> Body {
            let data = pieces.iter().map(|piece| Frame::data(Bytes::copy_from_slice(piece)));
            Body::stream(Self(data.chain(trailers.map(Frame::trailers)).collect()))
        }
    }

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    fn read(mut body: Body) -> Result<Vec<u8>, Kind> {
        let mut bytes = Vec::new();
        let mut context = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut context) {
            bytes.extend(frame.map_err(|error| error.kind)?.into_data().unwrap());
        }
        Ok(bytes)
    }

    fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn answer(kind: &'static str, head: &[(&'static str, &'static str)], body: Body) -> Response<Body> {
        let call = Call::of(&fields(&[("content-type", kind)])).unwrap();
        let mut response = Response::new(body);
        *response.headers_mut() = fields(head);
        let encoding = call.web().unwrap();
        translate_answer(response, call, encoding)
    }

    const OK_FRAME: &[u8] = b"\x80\0\0\0\x10grpc-status: 0\r\n";

    #[test]
    fn a_request_in_base64_is_read_however_it_is_cut() {
        let message = b"\0\0\0\0\x05hello";
        let text = base64::encode(message);
        for cut in 0..=text.len() {
            let body = Pieces::body(&[&text[..cut], &text[cut..]], None);
            assert_eq!(read(Translation { text: true }.body(body)), Ok(message.to_vec()), "cut at {cut}");
        }
        for wrong in [&text[..text.len() - 1], b"not base64!"] {
            let body = Translation { text: true }.body(Pieces::body(&[wrong], None));
            assert_eq!(read(body), Err(Kind::InvalidBody));
        }
    }

    #[test]
    fn an_answer_ends_in_a_frame_of_its_trailers_however_it_is_cut() {
        let message = b"\0\0\0\0\x05hello";
        for cut in 0..=message.len() {
            let pieces = || Pieces::body(&[&message[..cut], &message[cut..]], Some(fields(&[("grpc-status", "0")])));
            let head = [("content-type", "application/grpc+proto"), ("trailer", "grpc-status")];
            let binary = answer("application/grpc-web+proto", &head, pieces());
            assert_eq!(binary.headers()["content-type"], "application/grpc-web+proto");
            assert!(!binary.headers().contains_key("trailer"));
            let expected = [message, OK_FRAME].concat();
            assert_eq!(read(binary.into_body()), Ok(expected.clone()));
            let text = answer("application/grpc-web-text", &head, pieces());
            assert_eq!(text.headers()["content-type"], "application/grpc-web-text+proto");
            let read = read(text.into_body()).unwrap();
            assert_eq!(base64::Decoder::default().decode(&read), Ok(expected), "cut at {cut}");
        }
    }

    #[test]
    fn a_status_in_the_head_moves_into_the_body_and_one_that_is_missing_is_unknown() {
        let head = [("content-type", "application/grpc"), ("grpc-status", "0"), ("x-more", "1")];
        let early = answer("application/grpc-web", &head, Body::empty());
        assert!(!early.headers().contains_key("grpc-status") && early.headers().contains_key("x-more"));
        assert_eq!(read(early.into_body()), Ok(OK_FRAME.to_vec()));
        let none = answer("application/grpc-web", &head[..1], Body::full("x"));
        assert_eq!(read(none.into_body()), Ok(b"x\x80\0\0\0\x10grpc-status: 2\r\n".to_vec()));
    }

    #[test]
    fn the_head_of_a_request_becomes_that_of_grpc() {
        for (kind, expected) in [
            ("application/grpc-web", "application/grpc"),
            ("application/grpc-web+proto", "application/grpc+proto"),
            ("application/grpc-web-text; charset=utf-8", "application/grpc"),
            ("application/grpc-web-text+thrift", "application/grpc+thrift"),
        ] {
            let mut head = fields(&[("content-type", kind), ("x-grpc-web", "1"), ("accept", kind), ("x-user", "a")]);
            translate_head(&mut head);
            assert_eq!(head, fields(&[("content-type", expected), ("te", "trailers"), ("x-user", "a")]));
        }
    }

    #[test]
    fn accept_decides_how_an_answer_is_written() {
        let of = |kind: &'static str, accept: &'static str| {
            Encoding::of(kind.as_bytes(), &fields(&[("accept", accept)])).map(|encoding| encoding.text)
        };
        assert_eq!(of("application/grpc-web", "application/grpc-web-text"), Some(true));
        assert_eq!(of("application/grpc-web-text", "text/html, application/grpc-web+proto"), Some(false));
        assert_eq!(of("application/grpc-web-text", "*/*"), Some(true));
        assert_eq!(of("application/grpc", "application/grpc-web"), None);
    }
}
