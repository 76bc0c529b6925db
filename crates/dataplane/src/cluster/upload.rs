//! The request body on its way to an endpoint: knows whether it has been sent whole, and waits with the first byte when
//! the client asked to be told whether to send it (RFC 9110 §10.1.1).

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

use super::hop_by_hop;
use super::interim::Interim;
use crate::error::Error;
use crate::protocol::body::Body;

/// How long an endpoint may stay silent after `Expect: 100-continue` before the body is sent regardless.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Upload {
    body: Body,
    /// None for bodies that are at hand: those are sent whole with the head.
    sent: Option<Rc<Cell<bool>>>,
    gate: Option<Gate>,
}

struct Gate {
    interim: Rc<Interim>,
    patience: Pin<Box<Sleep>>,
}

impl Upload {
    pub(super) fn new(body: Body, expects_continue: Option<Rc<Interim>>) -> Self {
        let sent = (!body.is_at_hand()).then(Rc::default);
        let gate = expects_continue
            .filter(|_| sent.is_some())
            .map(|interim| Gate { interim, patience: Box::pin(tokio::time::sleep(CONTINUE_WAIT)) });
        Self { body, sent, gate }
    }

    /// Becomes true when the last byte has been handed to the connection.
    pub(super) fn progress(&self) -> Option<Rc<Cell<bool>>> {
        self.sent.clone()
    }

    pub(super) fn into_body(self) -> Body {
        self.body
    }

    fn note_sent(&self) {
        if let Some(sent) = &self.sent {
            sent.set(true);
        }
    }
}

fn clean(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            hop_by_hop::strip_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(gate) = &mut self.gate {
            if gate.interim.poll_continue(context).is_pending() {
                ready!(gate.patience.as_mut().poll(context));
            }
            self.gate = None;
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let last = match &frame {
            None => true,
            Some(Ok(frame)) => frame.is_trailers() || self.body.is_end_stream(),
            Some(Err(_)) => false,
        };
        if last {
            self.note_sent();
        }
        Poll::Ready(frame.map(|frame| frame.map(clean)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
