//! Streams of messages between Connect and gRPC, message by message as they come. Their envelopes are the same but for the
//! last one of an answer, in which Connect has what gRPC has in trailers.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

use super::codec::Messages;
use crate::error::{Error, Kind};
use crate::protocol::body::Body;
use crate::protocol::coding::Coding;
use crate::protocol::connect::{self, Failure};
use crate::protocol::envelope::{self, Envelopes, COMPRESSED};
use crate::protocol::grpc::Call;

/// What the client sends, as the service reads it: nothing of it is compressed.
pub(super) struct Sent {
    body: Body,
    envelopes: Envelopes,
    coding: Coding,
    messages: Messages,
    ended: bool,
}

impl Sent {
    pub(super) fn new(body: Body, coding: Coding, messages: Messages) -> Self {
        let envelopes = Envelopes::new(messages.rules.most);
        Self { body, envelopes, coding, messages, ended: false }
    }

    fn message(&mut self) -> Result<Option<Bytes>, Error> {
        let Some((flags, message)) = self.envelopes.next().map_err(|_| self.messages.too_large())? else {
            return Ok(None);
        };
        let coding = match flags {
            0 => Coding::Identity,
            COMPRESSED if self.coding != Coding::Identity => self.coding,
            COMPRESSED => {
                return Err(invalid("A message is compressed, and Connect-Content-Encoding does not say how"))
            }
            _ => return Err(invalid("A message has flags that no message of a client has")),
        };
        self.messages.sent(&message, coding).map(|message| Some(envelope::write(0, &message)))
    }
}

fn invalid(detail: &str) -> Error {
    Error::new(Kind::InvalidBody, detail)
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let outcome = loop {
            if this.ended {
                return Poll::Ready(None);
            }
            match this.message() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
                Ok(None) => {}
                Err(error) => break error,
            }
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => this.envelopes.push(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => break error,
                None if this.envelopes.is_empty() => this.ended = true,
                None => break invalid("The content ends within a message"),
            }
        };
        this.ended = true;
        Poll::Ready(Some(Err(outcome)))
    }
}

/// What the service answers, as the client reads it.
pub(super) struct Answered {
    body: Body,
    call: Rc<Call>,
    messages: Messages,
    envelopes: Envelopes,
    /// A status that came in the head, where there are no messages.
    early: HeaderMap,
    /// Messages may be compressed, in this way alone.
    gzip: bool,
    ended: bool,
}

impl Answered {
    pub(super) fn new(body: Body, call: Rc<Call>, messages: Messages, early: HeaderMap, gzip: bool) -> Self {
        let envelopes = Envelopes::new(messages.rules.most);
        Self { body, call, messages, envelopes, early, gzip, ended: false }
    }

    fn end(&mut self, trailers: HeaderMap) -> Bytes {
        self.ended = true;
        let outcome = if trailers.is_empty() { &self.early } else { &trailers };
        self.call.note(outcome);
        let mut failure = Failure::told(outcome);
        if let Some(failure) = &mut failure {
            self.messages.explain(failure);
        }
        connect::end(failure.as_ref(), &trailers)
    }

    fn message(&mut self) -> Result<Option<Bytes>, Error> {
        let Some((flags, message)) = self.envelopes.next().map_err(|_| self.messages.answer_too_large())? else {
            return Ok(None);
        };
        let compressed = flags & COMPRESSED != 0;
        if compressed && !self.gzip {
            return Err(Error::new(Kind::BadReply, "a message of the service is compressed, and it does not say how"));
        }
        let (compressed, message) = self.messages.answered(message, compressed)?;
        Ok(Some(envelope::write(u8::from(compressed), &message)))
    }
}

impl http_body::Body for Answered {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let outcome = loop {
            match this.message() {
                Ok(Some(message)) => break Ok(message),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Err(error)) => break Err(error),
                None if !this.envelopes.is_empty() => {
                    break Err(Error::new(Kind::BadReply, "the service's answer ends within a message"));
                }
                None => break Ok(this.end(HeaderMap::new())),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.envelopes.push(&data),
                    Err(frame) => break Ok(this.end(frame.into_trailers().unwrap_or_default())),
                },
            }
        };
        this.ended |= outcome.is_err();
        Poll::Ready(Some(outcome.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
