//! A request's body as it comes from the client: decoded, counted, bounded, its faults named.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::wire::Wire;
use crate::error::{Error, Kind};
use crate::head::{Facts, Framing};
use crate::protocol::decoder::{Decoded, Decoder, Trailers};

/// How much of a body that nobody reads to its end is read all the same, so that its connection can serve on.
const DRAINED: u64 = 256 * 1024;

/// The body of the exchange at hand, shared by whoever reads it and the connection's driver, which must know in the end
/// whether anything of it is still to come.
pub(super) struct Incoming {
    wire: Rc<Wire>,
    decoder: RefCell<Decoder>,
    state: Cell<State>,
    /// The client waits for `100 Continue` and has sent nothing.
    expects_continue: Cell<bool>,
    read: Cell<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Failed,
}

/// What is left of a body when its exchange is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    Nothing,
    /// Little enough to be read.
    Little,
    /// The next request could not be found behind it.
    Unreadable,
}

impl Incoming {
    /// None when the request has no body.
    pub(super) fn begin(wire: &Rc<Wire>, facts: &Facts) -> Option<Rc<Self>> {
        let decoder = match facts.framing {
            Framing::None => return None,
            Framing::Length(length) => Decoder::length(length),
            Framing::Chunked => Decoder::chunked(wire.link.connection.listener.bounds.head_bytes, Trailers::Harmless),
        };
        Some(Rc::new(Self {
            wire: wire.clone(),
            decoder: RefCell::new(decoder),
            state: Cell::new(State::Open),
            expects_continue: Cell::new(facts.expects_continue),
            read: Cell::new(0),
        }))
    }

    fn poll_frame(&self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.state.get() != State::Open {
            return Poll::Ready(None);
        }
        if self.expects_continue.replace(false) {
            self.wire.link.ask_for_body();
        }
        loop {
            let decoded = self.wire.with_incoming(|bytes| self.decoder.borrow_mut().decode(bytes));
            match decoded {
                Ok(Decoded::Data(data)) => {
                    self.read.set(self.read.get() + data.len() as u64);
                    if self.decoder.borrow().is_done() {
                        self.state.set(State::Ended);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Decoded::Trailers(trailers)) => {
                    self.state.set(State::Ended);
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Ok(Decoded::End) => {
                    self.state.set(State::Ended);
                    return Poll::Ready(None);
                }
                Err(error) => return self.fail(error),
                Ok(Decoded::More) => {}
            }
            let left = self.decoder.borrow().left().unwrap_or(u64::MAX);
            match ready!(self.wire.poll_fill(usize::try_from(left).unwrap_or(usize::MAX), context)) {
                Ok(0) => {
                    let gone = Error::new(Kind::ClientGone, "The client went away during its request");
                    return self.fail(gone);
                }
                Ok(_) => {}
                Err(error) => return self.fail(error),
            }
        }
    }

    fn fail(&self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.state.set(State::Failed);
        Poll::Ready(Some(Err(error)))
    }

    /// What is left as far as can be known now.
    pub(super) fn rest(&self) -> Rest {
        match self.state.get() {
            State::Ended => Rest::Nothing,
            State::Failed => Rest::Unreadable,
            State::Open if self.expects_continue.get() => Rest::Unreadable,
            State::Open => match self.decoder.borrow().left() {
                Some(left) if left > DRAINED => Rest::Unreadable,
                _ => Rest::Little,
            },
        }
    }

    /// Reads a little rest; true when the next head can follow.
    pub(super) fn poll_drain(&self, context: &mut Context<'_>) -> Poll<bool> {
        let start = self.read.get();
        loop {
            match self.rest() {
                Rest::Nothing => return Poll::Ready(true),
                Rest::Unreadable => return Poll::Ready(false),
                Rest::Little if self.read.get() - start > DRAINED => return Poll::Ready(false),
                Rest::Little => {
                    ready!(self.poll_frame(context));
                }
            }
        }
    }
}

pub struct RequestBody {
    incoming: Rc<Incoming>,
    failed: bool,
}

impl RequestBody {
    pub(super) fn new(incoming: Rc<Incoming>) -> Self {
        Self { incoming, failed: false }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let frame = ready!(self.incoming.poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            let link = &self.incoming.wire.link;
            let received = link.received.get() + frame.data_ref().map_or(0, |data| data.len() as u64);
            link.received.set(received);
            let allowed = link.allowed.get();
            if received > allowed {
                self.failed = true;
                let detail = format!("The body is larger than {allowed} bytes");
                return Poll::Ready(Some(Err(Error::new(Kind::BodyTooLarge, detail))));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.incoming.state.get() != State::Open
    }

    fn size_hint(&self) -> SizeHint {
        match self.incoming.decoder.borrow().left() {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}
