//! A request on its way to an endpoint: sent as it comes and no faster, and held back with its first byte when
//! the client asked to be told whether to send it (RFC 9110 §10.1.1).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::{request, Request};
use http_body::Body as _;
use tokio::time::Sleep;

use super::request as head;
use super::wire::Wire;
use crate::cluster::hop_by_hop;
use crate::error::Error;
use crate::protocol::body::Body;
use crate::protocol::encoder::Encoder;
use crate::protocol::spare;

/// How long an endpoint may stay silent after `Expect: 100-continue` before the body is sent regardless.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

pub(in crate::cluster) struct Upload {
    pub(in crate::cluster) head: request::Parts,
    body: Body,
    /// The whole content of a body that is at hand: it can be sent again.
    whole: Option<Bytes>,
    encoder: Encoder,
    /// A piece on its way.
    data: Bytes,
    /// What a connection that took nothing was to be given, for the next one.
    carried: Vec<u8>,
    state: State,
    gate: Option<Gate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not even the head has been handed over.
    Fresh,
    Body,
    /// Nothing is left but what waits to be written.
    Ending,
    Done,
}

enum Gate {
    Waiting(Pin<Box<Sleep>>),
    Open,
}

/// Why no more is sent.
#[derive(Debug)]
pub(in crate::cluster) enum Fault {
    /// The body failed: its sender is to blame.
    Body(Error),
    /// The connection takes nothing, and nothing has been written to it.
    Unsent(io::Error),
}

impl Upload {
    /// The framing fields of `head` have been set from the same body.
    pub(in crate::cluster) fn new(head: request::Parts, body: Body) -> Self {
        let whole = body.whole();
        let waits = whole.is_none() && head.headers.contains_key(EXPECT);
        let gate = waits.then(|| Gate::Waiting(Box::pin(tokio::time::sleep(CONTINUE_WAIT))));
        let encoder = body.size_hint().exact().map_or(Encoder::CHUNKED, Encoder::Length);
        Self { head, body, whole, encoder, data: Bytes::new(), carried: Vec::new(), state: State::Fresh, gate }
    }

    /// Nothing of it has been sent.
    pub(in crate::cluster) fn into_parts(mut self) -> (request::Parts, Body) {
        let empty = Request::new(()).into_parts().0;
        let body = self.whole.take().map_or_else(|| std::mem::take(&mut self.body), Body::full);
        (std::mem::replace(&mut self.head, empty), body)
    }

    pub(in crate::cluster) fn is_replayable(&self) -> bool {
        self.whole.is_some()
    }

    /// Nothing of the request has to be sent any more.
    pub(in crate::cluster) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// To be sent again from the beginning, which a body that is at hand can be.
    pub(in crate::cluster) fn restart(&mut self) {
        if let Some(whole) = &self.whole {
            self.encoder = Encoder::Length(whole.len() as u64);
            self.data = Bytes::new();
            self.carried = Vec::new();
            self.state = State::Fresh;
        }
    }

    /// The connection took nothing: what it was to be given is for the next one.
    pub(in crate::cluster) fn carry(&mut self, wire: &mut Wire) {
        self.carried = std::mem::take(&mut wire.outgoing);
    }

    /// `100 Continue` has come.
    pub(super) fn proceed(&mut self) {
        if self.gate.is_some() {
            self.gate = Some(Gate::Open);
        }
    }

    /// Sends as much as the endpoint takes and the body gives. Ready when all of it is with the system.
    pub(in crate::cluster) fn poll(&mut self, wire: &mut Wire, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if !self.carried.is_empty() {
            wire.outgoing = std::mem::take(&mut self.carried);
        }
        if self.state == State::Fresh {
            head::encode(&mut wire.outgoing, &self.head);
            self.state = State::Body;
            if let Some(whole) = &self.whole {
                // Its length is the one that the encoder was made from.
                self.data = self.encoder.piece(&mut wire.outgoing, whole.clone()).unwrap_or_default();
                self.state = State::Ending;
            }
        }
        loop {
            let waits =
                self.state == State::Body && self.data.is_empty() && self.poll_piece(wire, context)?.is_pending();
            if waits {
                self.encoder.close_chunk(&mut wire.outgoing);
            }
            ready!(wire.poll_write(&mut self.data, context)).map_err(Fault::Unsent)?;
            match self.state {
                _ if wire.is_deaf() => self.state = State::Done,
                State::Ending => self.state = State::Done,
                State::Fresh | State::Body | State::Done => {}
            }
            match self.state {
                State::Done => return Poll::Ready(Ok(())),
                _ if waits => return Poll::Pending,
                _ => {}
            }
        }
    }

    fn poll_piece(&mut self, wire: &mut Wire, context: &mut Context<'_>) -> Result<Poll<()>, Fault> {
        // The head is on its way meanwhile.
        if let Some(Gate::Waiting(patience)) = &mut self.gate {
            if patience.as_mut().poll(context).is_pending() {
                return Ok(Poll::Pending);
            }
        }
        self.gate = None;
        let out = &mut wire.outgoing;
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(None) => {
                self.encoder.end(out, None).map_err(|_| Fault::Body(early_end()))?;
                self.state = State::Ending;
                return Ok(Poll::Ready(()));
            }
            Poll::Ready(Some(frame)) => frame.map_err(Fault::Body)?,
        };
        match frame.into_data() {
            Ok(data) => {
                self.data = self.encoder.piece(out, data).map_err(|_| Fault::Body(early_end()))?;
                if self.data.is_empty() && self.body.is_end_stream() {
                    self.encoder.end(out, None).map_err(|_| Fault::Body(early_end()))?;
                    self.state = State::Ending;
                }
            }
            Err(frame) => {
                if let Ok(mut trailers) = frame.into_trailers() {
                    hop_by_hop::strip_trailers(&mut trailers);
                    self.encoder.end(out, Some(&trailers)).map_err(|_| Fault::Body(early_end()))?;
                    self.state = State::Ending;
                }
            }
        }
        Ok(Poll::Ready(()))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        spare::give(std::mem::take(&mut self.head.headers));
    }
}

fn early_end() -> Error {
    Error::new(crate::error::Kind::InvalidBody, "the request body has another length than its head says")
}
