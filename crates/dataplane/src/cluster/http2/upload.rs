//! A request's body on its way: as much at a time as the endpoint has room for (RFC 9113 §5.2), so that a client is read
//! no faster than the endpoint reads.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::{Reason, SendStream};
use http::HeaderMap;
use http_body::Body as _;
use tokio::time::Sleep;

use super::progress::Progress;
use crate::cluster::hop_by_hop;
use crate::error::Error;
use crate::protocol::body::Body;

/// How long an endpoint may stay silent after `Expect: 100-continue` before the body is sent regardless.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);
/// Bytes of a body that are kept until the endpoint answers, for an endpoint that says instead that it has not looked at
/// the request (RFC 9113 §8.7). A body that has gone further is not sent again.
const KEPT: usize = 64 * 1024;

pub(super) struct Upload {
    body: Body,
    stream: SendStream<Bytes>,
    /// Taken from the body and not yet sent.
    chunk: Bytes,
    /// Nothing is sent before it is open.
    gate: Option<Pin<Box<Sleep>>>,
    /// What has been taken from the body; None when that is too much, or nobody will ask for it.
    kept: Option<Kept>,
    sent: Rc<Progress>,
}

#[derive(Default)]
struct Kept {
    content: BytesMut,
    trailers: Option<HeaderMap>,
}

impl Upload {
    pub(super) fn new(body: Body, stream: SendStream<Bytes>, expects_continue: bool) -> Self {
        let gate = (expects_continue && !body.is_at_hand()).then(|| Box::pin(tokio::time::sleep(CONTINUE_WAIT)));
        let sent = Rc::new(Progress::new(body.is_end_stream()));
        Self { body, stream, chunk: Bytes::new(), gate, kept: Some(Kept::default()), sent }
    }

    pub(super) fn progress(&self) -> Rc<Progress> {
        self.sent.clone()
    }

    /// The endpoint said `100 Continue`.
    pub(super) fn open(&mut self) {
        self.gate = None;
    }

    /// The endpoint has answered: what is left is sent without waiting, and nothing is sent again.
    pub(super) fn answered(&mut self) {
        self.open();
        self.kept = None;
    }

    /// The whole body, as far as it can be had.
    pub(super) fn into_body(self) -> Option<Body> {
        self.kept.map(|kept| Body::again(kept.content.freeze(), self.body, kept.trailers))
    }

    fn keep(&mut self, data: &Bytes) {
        if let Some(kept) = &mut self.kept {
            match kept.content.len() + data.len() {
                ..=KEPT => kept.content.extend_from_slice(data),
                _ => self.kept = None,
            }
        }
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
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => self.close(Bytes::new()),
                Some(Err(error)) => {
                    self.kept = None;
                    self.stream.send_reset(Reason::CANCEL);
                    self.sent.end();
                    return Poll::Ready(Err(error));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() && self.body.is_end_stream() => self.close(data),
                    Ok(data) => {
                        self.keep(&data);
                        self.chunk = data;
                    }
                    Err(frame) => {
                        let mut trailers = frame.into_trailers().unwrap_or_default();
                        hop_by_hop::strip_trailers(&mut trailers);
                        if let Some(kept) = &mut self.kept {
                            kept.trailers = Some(trailers.clone());
                        }
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
