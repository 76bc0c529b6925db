//! The one body type: empty, whole, or streamed with back-pressure.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::http1::request_body::RequestBody;
use crate::cluster::{Reply, Tunnel};
use crate::error::{self, Error};

/// A request's or response's content. Streams are never collected on the way through.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    /// An endpoint's answer that has not come whole. In a box, because bodies go from hand to hand.
    Reply(Box<Reply>),
    Request(RequestBody),
    /// Not content: what follows a 101. The codec takes it out.
    Tunnel(Box<Tunnel>),
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error>>>),
}

impl Body {
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Full(bytes.into()))
    }

    pub fn reply(reply: Reply) -> Self {
        Self(Kind::Reply(Box::new(reply)))
    }

    pub fn request(body: RequestBody) -> Self {
        Self(Kind::Request(body))
    }

    pub fn tunnel(tunnel: Tunnel) -> Self {
        Self(Kind::Tunnel(Box::new(tunnel)))
    }

    /// Where it is one; nothing is left.
    pub fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        match std::mem::take(&mut self.0) {
            Kind::Tunnel(tunnel) => Some(tunnel),
            other => {
                self.0 = other;
                None
            }
        }
    }

    /// The whole content is in memory: it is sent at once and can be sent again.
    pub fn is_at_hand(&self) -> bool {
        matches!(self.0, Kind::Empty | Kind::Full(_))
    }

    /// The whole content, if it is at hand.
    pub fn whole(&self) -> Option<Bytes> {
        match &self.0 {
            Kind::Empty => Some(Bytes::new()),
            Kind::Full(bytes) => Some(bytes.clone()),
            Kind::Reply(_) | Kind::Request(_) | Kind::Tunnel(_) | Kind::Stream(_) => None,
        }
    }

    /// The whole content, read to its end where it was not at hand; afterwards it is, trailers included. More than `most`
    /// bytes are `BodyTooLarge`, found early where the length was announced. For content that comes from a client.
    pub async fn buffer(&mut self, most: usize) -> Result<Bytes, Error> {
        let too_large =
            || Error::new(error::Kind::BodyTooLarge, format!("Here the request's content is at most {most} bytes"));
        if http_body::Body::size_hint(self).lower() > most as u64 {
            return Err(too_large());
        }
        if let Some(whole) = self.whole() {
            return Ok(whole);
        }
        let (mut whole, mut trailers) = (BytesMut::new(), None);
        while let Some(frame) = poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut *self), context)).await {
            match frame?.into_data() {
                Ok(data) if whole.len() + data.len() > most => return Err(too_large()),
                Ok(data) => whole.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        let whole = whole.freeze();
        *self = match trailers {
            None => Self::full(whole.clone()),
            Some(trailers) => Self::stream(Buffered { content: Some(whole.clone()), trailers: Some(trailers) }),
        };
        Ok(whole)
    }

    /// The whole content if it is at most `most` bytes, None otherwise; either way all of it is still to be read from here.
    pub async fn peek(&mut self, most: usize) -> Result<Option<Bytes>, Error> {
        if http_body::Body::size_hint(self).lower() > most as u64 {
            return Ok(None);
        }
        if let Some(whole) = self.whole() {
            return Ok(Some(whole).filter(|whole| whole.len() <= most));
        }
        let length = http_body::Body::size_hint(self).exact();
        let mut first = BytesMut::new();
        while let Some(frame) = poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut *self), context)).await {
            match frame?.into_data() {
                Ok(data) => first.extend_from_slice(&data),
                Err(frame) => {
                    let content = first.freeze();
                    let trailers = frame.into_trailers().ok();
                    *self = Self::stream(Buffered { content: Some(content.clone()), trailers });
                    return Ok(Some(content));
                }
            }
            if first.len() > most {
                let rest = std::mem::take(self);
                *self = Self::stream(Prefixed { first: Some(first.freeze()), rest, length });
                return Ok(None);
            }
        }
        let whole = first.freeze();
        *self = Self::full(whole.clone());
        Ok(Some(whole))
    }

    /// The first `most` bytes at most, and whether that is all of it; all of it is still to be read from here.
    pub async fn first(&mut self, most: usize) -> Result<(Bytes, bool), Error> {
        let length = http_body::Body::size_hint(self).exact();
        let mut first = BytesMut::new();
        while first.len() <= most {
            match poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut *self), context)).await {
                None => {
                    let whole = first.freeze();
                    *self = Self::full(whole.clone());
                    return Ok((whole, true));
                }
                Some(frame) => match frame?.into_data() {
                    Ok(data) => first.extend_from_slice(&data),
                    Err(frame) => {
                        let whole = first.freeze();
                        let trailers = frame.into_trailers().ok();
                        *self = Self::stream(Buffered { content: Some(whole.clone()), trailers });
                        return Ok((whole.slice(..whole.len().min(most)), whole.len() <= most));
                    }
                },
            }
        }
        let first = first.freeze();
        let rest = std::mem::take(self);
        *self = Self::stream(Prefixed { first: Some(first.clone()), rest, length });
        Ok((first.slice(..most), false))
    }

    /// What was read of it, `rest` being what was not, to be read once more.
    pub fn again(first: Bytes, rest: Self, trailers: Option<HeaderMap>) -> Self {
        let length = http_body::Body::size_hint(&rest).exact().map(|left| left + first.len() as u64);
        match trailers {
            Some(_) => Self::stream(Buffered { content: Some(first), trailers }),
            None if http_body::Body::is_end_stream(&rest) => Self::full(first),
            None => Self::stream(Prefixed { first: Some(first).filter(|first| !first.is_empty()), rest, length }),
        }
    }

    /// Content that is whole, and trailers behind it.
    pub fn with_trailers(content: Bytes, trailers: HeaderMap) -> Self {
        Self::stream(Buffered { content: Some(content), trailers: Some(trailers) })
    }

    pub fn stream(body: impl http_body::Body<Data = Bytes, Error = Error> + 'static) -> Self {
        Self(Kind::Stream(Box::pin(body)))
    }
}

/// Content with trailers that was read whole.
struct Buffered {
    content: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Buffered {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let content = self.content.take().filter(|content| !content.is_empty()).map(Frame::data);
        Poll::Ready(content.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.trailers.is_none()
    }
}

/// Content of which the beginning was read.
struct Prefixed {
    first: Option<Bytes>,
    rest: Body,
    /// Of all of it, where that was announced: what is forwarded announces it too.
    length: Option<u64>,
}

impl http_body::Body for Prefixed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.first, self.length) {
            (Some(_), Some(length)) => SizeHint::with_exact(length),
            (Some(_), None) => SizeHint::default(),
            (None, _) => self.rest.size_hint(),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Kind::Empty | Kind::Tunnel(_) => Poll::Ready(None),
            Kind::Full(bytes) => {
                let whole = std::mem::take(bytes);
                self.0 = Kind::Empty;
                if whole.is_empty() {
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Ok(Frame::data(whole))))
            }
            Kind::Reply(reply) => Pin::new(&mut **reply).poll_frame(context),
            Kind::Request(body) => Pin::new(body).poll_frame(context),
            Kind::Stream(body) => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty | Kind::Tunnel(_) => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Reply(reply) => reply.is_end_stream(),
            Kind::Request(body) => body.is_end_stream(),
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty | Kind::Tunnel(_) => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Reply(reply) => reply.size_hint(),
            Kind::Request(body) => body.size_hint(),
            Kind::Stream(body) => body.size_hint(),
        }
    }
}
