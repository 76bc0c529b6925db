//! Every exchange is recorded once, when it is really over: its response's last byte has been taken, or one side has
//! broken off. What is dropped on the way is recorded by the drop.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http::{Method, Response};
use http_body::{Body as _, Frame, SizeHint};

use crate::cluster::Tunnel;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::program::Program;
use crate::protocol::body::Body;
use crate::protocol::link::Link;
use crate::protocol::tunnel;
use crate::worker::Worker;

/// What the log says of a client that did not wait.
const CLIENT_GONE: u16 = 499;

/// An exchange that will be recorded.
pub struct Recording {
    /// In a box, because it moves with the response's body from hand to hand.
    pub exchange: Box<Exchange>,
    program: Arc<Program>,
    worker: Rc<Worker>,
    link: Rc<Link>,
    /// What the client gets; None while that is open.
    status: Option<u16>,
}

impl Recording {
    pub fn new(exchange: Box<Exchange>, program: Arc<Program>, worker: Rc<Worker>, link: Rc<Link>) -> Self {
        Self { exchange, program, worker, link, status: None }
    }

    pub fn into_response(mut self, response: Response<Body>) -> Response<Recorded> {
        self.status = Some(response.status().as_u16());
        let (head, body) = response.into_parts();
        // Nobody reads the body of these (RFC 9110 §9.3.2, §15.3.5, §15.4.5).
        let unread = self.exchange.method == Method::HEAD || matches!(head.status.as_u16(), 204 | 304);
        Response::from_parts(head, Recorded { finished: unread || body.is_end_stream(), body, recording: Some(self) })
    }

    fn broke(&mut self, kind: Kind) {
        self.exchange.error = self.exchange.error.or(Some(kind));
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let status = match self.status {
            Some(status) => status,
            None => {
                self.broke(Kind::ClientGone);
                CLIENT_GONE
            }
        };
        self.exchange.bytes_in = self.link.received.get();
        let policies = match &self.exchange.route {
            Some(route) => &route.policies,
            None => &self.program.unrouted,
        };
        super::finish(self.worker.index, &self.worker.shared, policies, &self.exchange, status);
        self.link.end();
    }
}

/// A response's body that takes its exchange to the record.
pub struct Recorded {
    body: Body,
    recording: Option<Recording>,
    finished: bool,
}

impl Recorded {
    /// Where the exchange goes on as a tunnel. Whoever takes it says what it `carried` and how it `ended`.
    pub fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        let tunnel = self.body.take_tunnel()?;
        self.finished = false;
        Some(tunnel)
    }

    /// Bytes for the client so far.
    pub fn carried(&mut self, bytes: u64) {
        if let Some(recording) = &mut self.recording {
            recording.exchange.bytes_out = bytes;
        }
    }

    pub fn ended(&mut self, end: tunnel::End) {
        self.finished = true;
        if let Some(recording) = &mut self.recording {
            recording.exchange.tunnel = Some(end);
            match end {
                tunnel::End::ClientGone => recording.broke(Kind::ClientGone),
                tunnel::End::EndpointGone => recording.broke(Kind::BadReply),
                tunnel::End::Finished | tunnel::End::Idle | tunnel::End::Drained => {}
            }
        }
    }

    /// A body outside of any exchange.
    pub fn unrecorded(body: Body) -> Self {
        Self { body, recording: None, finished: true }
    }
}

impl http_body::Body for Recorded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let this = &mut *self;
        if let Some(recording) = &mut this.recording {
            match &frame {
                Some(Ok(frame)) => {
                    recording.exchange.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64);
                    if let (Some(call), Some(trailers)) = (&recording.exchange.call, frame.trailers_ref()) {
                        call.note(trailers);
                    }
                }
                Some(Err(error)) => {
                    recording.broke(error.kind);
                    recording.exchange.cause = recording.exchange.cause.take().or_else(|| error.cause.clone());
                    this.finished = true;
                    // A call of gRPC ends with a word even so.
                    if let Some(word) = recording.exchange.call.as_ref().and_then(|call| call.ending(error)) {
                        frame = Some(Ok(word));
                        this.body = Body::empty();
                    }
                }
                None => {}
            }
        }
        this.finished = this.finished || frame.is_none() || this.body.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if let (false, Some(recording)) = (self.finished, &mut self.recording) {
            recording.broke(Kind::ClientGone);
        }
    }
}
