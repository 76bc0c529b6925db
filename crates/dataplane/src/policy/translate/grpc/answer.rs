//! What a service answers, as its client reads it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use http_body::Body as _;

use super::super::http_rule::binding::{Answer, Binding};
use super::super::http_rule::Api;
use super::super::message::Unreadable;
use super::frame::{self, Frames};
use super::status::Status;
use super::{metadata, stream, Rules};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::protocol::body::Body;
use crate::protocol::grpc;
use crate::protocol::protobuf::{Field, Fields};
use crate::snapshot::StreamFormat;

/// What is known of a call when its answer comes.
pub struct Back {
    pub(super) api: Arc<Api>,
    pub(super) binding: Arc<Binding>,
    pub(super) rules: Arc<Rules>,
    pub(super) format: StreamFormat,
}

impl Back {
    pub async fn on_answer(self, exchange: &mut Exchange, answer: Response<Body>) -> Result<Response<Body>, Error> {
        let (mut head, body) = answer.into_parts();
        let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if !grpc::is_grpc(kind) {
            exchange.error = Some(Kind::BadReply);
            let message = format!("the service answered with HTTP status {} and not in gRPC", head.status.as_u16());
            let status = Status { code: grpc::foreign(head.status), message, details: None };
            return Ok(status.respond(&self.api.status, exchange));
        }
        let early = Status::of(&head.headers);
        let frames = Frames::new(self.rules.most, metadata::is_gzip(&head.headers));
        metadata::answer(&mut head.headers);
        if let Some(status) = early.as_ref().filter(|status| !status.is_ok()) {
            return Ok(self.failed(status, head.headers, exchange));
        }
        match self.binding.rpc.server_streaming {
            true => stream::begin(self, exchange, head.headers, body, frames, early).await,
            false => self.unary(exchange, head.headers, body, frames).await,
        }
    }

    async fn unary(
        self,
        exchange: &Exchange,
        mut headers: HeaderMap,
        mut body: Body,
        mut frames: Frames,
    ) -> Result<Response<Body>, Error> {
        let (mut message, mut status) = (None, None);
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            match frame?.into_data() {
                Ok(data) => frames.push(data),
                Err(frame) => {
                    let mut trailers = frame.into_trailers().unwrap_or_default();
                    status = Status::of(&trailers);
                    metadata::trailers(&mut trailers);
                    headers.extend(trailers);
                }
            }
            while let Some(next) = frames.message().map_err(|fault| self.broken(fault))? {
                if message.replace(next).is_some() {
                    return Err(Error::new(Kind::BadReply, "the service sent several messages where one was expected"));
                }
            }
        }
        match (status, message) {
            (Some(status), _) if !status.is_ok() => Ok(self.failed(&status, headers, exchange)),
            (Some(_), Some(message)) if frames.is_between() => {
                let (kind, content) = self.write(&message)?;
                let mut response = Response::new(Body::full(content));
                headers.insert(CONTENT_TYPE, kind);
                *response.headers_mut() = headers;
                Ok(response)
            }
            (None, _) => Err(Error::new(Kind::BadReply, "the service's answer ended without a status")),
            (Some(_), _) => Err(Error::new(Kind::BadReply, "the service's answer has no message")),
        }
    }

    pub(super) fn failed(&self, status: &Status, headers: HeaderMap, exchange: &Exchange) -> Response<Body> {
        let mut response = status.respond(&self.api.status, exchange);
        let kind = response.headers_mut().remove(CONTENT_TYPE);
        *response.headers_mut() = headers;
        response.headers_mut().extend(kind.map(|kind| (CONTENT_TYPE, kind)));
        response
    }

    /// A message as content of its type.
    pub(super) fn write(&self, message: &Bytes) -> Result<(HeaderValue, Bytes), Error> {
        if let Answer::Raw(field) = self.binding.answer {
            return self.raw(field, message);
        }
        let mut out = Vec::with_capacity(message.len() * 2 + 64);
        self.write_json(message, &mut out)?;
        Ok((HeaderValue::from_static("application/json"), out.into()))
    }

    pub(super) fn write_json(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let output = &self.binding.rpc.output;
        let written = match self.binding.answer {
            Answer::Field(field) => output.write_json_field(field, message, self.rules.write, out),
            Answer::Message | Answer::Raw(_) => output.write_json(message, self.rules.write, out),
        };
        written.map_err(|Unreadable(why)| {
            Error::new(Kind::BadReply, format!("a message '{}' of the service cannot be read: {why}", output.name()))
        })
    }

    /// The content of a `google.api.HttpBody`, and its type.
    pub(super) fn raw(&self, field: Option<usize>, message: &Bytes) -> Result<(HeaderValue, Bytes), Error> {
        let malformed = || Error::new(Kind::BadReply, "the service's HttpBody is malformed");
        let number =
            field.and_then(|field| self.binding.rpc.output.shape().fields.get(field)).map(|field| field.number);
        let mut body: &[u8] = message;
        if let Some(number) = number {
            body = b"";
            for field in Fields::of(message) {
                match field.map_err(|_| malformed())? {
                    (found, Field::Bytes(inner)) if found == number => body = inner,
                    _ => {}
                }
            }
        }
        let (mut kind, mut data) = ("", &b""[..]);
        for field in Fields::of(body) {
            match field.map_err(|_| malformed())? {
                (1, field @ Field::Bytes(_)) => kind = field.text().map_err(|_| malformed())?,
                (2, Field::Bytes(bytes)) => data = bytes,
                _ => {}
            }
        }
        let kind = if kind.is_empty() { "application/octet-stream" } else { kind };
        let kind = HeaderValue::from_str(kind).map_err(|_| malformed())?;
        Ok((kind, message.slice_ref(data)))
    }

    pub(super) fn broken(&self, fault: frame::Fault) -> Error {
        let most = self.rules.most;
        let detail = match fault {
            frame::Fault::TooLarge => format!("a message of the service is larger than {most} bytes"),
            frame::Fault::Compression => "the service compresses messages in a way that it was not offered".to_owned(),
            frame::Fault::Malformed => "the service's answer is not made of messages".to_owned(),
        };
        Error::new(Kind::BadReply, detail)
    }
}
