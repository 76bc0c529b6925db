//! A request's body on its way: as much at a time as the endpoint has room for (RFC 9113 §5.2), so that a client is read
//! no faster than the endpoint reads.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body as _;
use tokio::time::Sleep;

use super::progress::Progress;
use crate::cluster::hop_by_hop;
use crate::error::Error;
use crate::protocol::body::Body;

/// How long an endpoint may stay silent after `Expect: 100-continue` before the body is sent regardless.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Upload {
    body: Body,
    stream: SendStream<Bytes>,
    /// Taken from the body and not yet sent.
    chunk: Bytes,
    /// Nothing is sent before it is open.
    gate: Option<Pin<Box<Sleep>>>,
    /// Anything of the body has been asked for.
    begun: bool,
    sent: Rc<Progress>,
}

impl Upload {
    pub(super) fn new(body: Body, stream: SendStream<Bytes>, expects_continue: bool) -> Self {
        let gate = (expects_continue && !body.is_at_hand()).then(|| Box::pin(tokio::time::sleep(CONTINUE_WAIT)));
        let sent = Rc::new(Progress::new(body.is_end_stream()));
        Self { body, stream, chunk: Bytes::new(), gate, begun: false, sent }
    }

    pub(super) fn progress(&self) -> Rc<Progress> {
        self.sent.clone()
    }

    /// The endpoint said `100 Continue`, or has answered.
    pub(super) fn open(&mut self) {
        self.gate = None;
    }

    /// The whole body, if nothing has been taken from it.
    pub(super) fn into_body(self) -> Option<Body> {
        (!self.begun).then_some(self.body)
    }

    /// For what is no body.
    pub(super) fn into_stream(self) -> SendStream<Bytes> {
        self.stream
    }

    /// Ready when there is nothing more to send; the error is the body's own, for which the stream has been reset. That
    /// the endpoint has reset it shows on the answer's side.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.sent.is_over() {
            if let Some(gate) = &mut self.gate {
                ready!(gate.as_mut().poll(context));
                self.gate = None;
            }
            if !self.chunk.is_empty() {
                ready!(self.send_chunk(context));
                continue;
            }
            if self.stream.poll_reset(context).is_ready() {
                self.sent.end();
                break;
            }
            self.begun = true;
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => self.close(Bytes::new()),
                Some(Err(error)) => {
                    self.stream.send_reset(Reason::CANCEL);
                    self.sent.end();
                    return Poll::Ready(Err(error));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() && self.body.is_end_stream() => self.close(data),
                    Ok(data) => self.chunk = data,
                    Err(frame) => {
                        let mut trailers = frame.into_trailers().unwrap_or_default();
                        hop_by_hop::strip_trailers(&mut trailers);
                        let _reset = self.stream.send_trailers(trailers);
                        self.sent.end();
                    }
                },
            }
        }
        Poll::Ready(Ok(()))
    }

    fn send_chunk(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.stream.reserve_capacity(self.chunk.len());
        if self.stream.capacity() == 0 {
            match ready!(self.stream.poll_capacity(context)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => {
                    self.sent.end();
                    return Poll::Ready(());
                }
            }
        }
        let piece = self.chunk.split_to(self.stream.capacity().min(self.chunk.len()));
        if self.chunk.is_empty() && self.body.is_end_stream() {
            self.close(piece);
        } else if !piece.is_empty() {
            match self.stream.send_data(piece, false) {
                Ok(()) => self.sent.moved(),
                Err(_) => self.sent.end(),
            }
        }
        Poll::Ready(())
    }

    pub(super) fn close(&mut self, last: Bytes) {
        // Refused only if the stream is closed already.
        let _closed = self.stream.send_data(last, true);
        self.sent.end();
    }
}
