//! Sends one response, as fast as the client takes it and no faster than its body comes: nothing is gathered, and what is
//! at hand leaves in one write.

use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderMap, Response};
use http_body::Body as _;

use super::response::{self, Asked};
use super::wire::Wire;
use super::After;
use crate::protocol::encoder::Encoder;
use crate::protocol::spare;
use crate::telemetry::recording::Recorded;

pub(super) struct Writer {
    body: Recorded,
    encoder: Encoder,
    persistent: bool,
    accepts_trailers: bool,
    /// A large piece of the body on its way.
    data: Bytes,
    state: State,
    /// The socket takes no more for now.
    stuck: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Body,
    /// Everything has been handed over but for what waits to be written.
    Ending,
    /// The body broke off or had another length than was said.
    Broken,
}

impl Writer {
    /// `persistent`: the connection may serve on, as far as the request is concerned.
    pub(super) fn begin(wire: &Wire, response: Response<Recorded>, asked: &Asked, persistent: bool) -> Self {
        let (head, body) = response.into_parts();
        let encoder = response::encoder(asked, head.status, body.size_hint().exact());
        let closes =
            || head.headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let persistent = persistent && encoder != Encoder::Close && !closes();
        wire.write(|out| {
            response::encode(out, &head, encoder, asked, persistent);
        });
        spare::give(head.headers);
        let state = if encoder == Encoder::None { State::Ending } else { State::Body };
        let accepts_trailers = asked.accepts_trailers;
        Self { body, encoder, persistent, accepts_trailers, data: Bytes::new(), state, stuck: false }
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// A close would tell the client that it has the whole body.
    pub(super) fn ends_by_closing(&self) -> bool {
        self.encoder == Encoder::Close
    }

    pub(super) fn after(&self) -> After {
        match (self.state, self.persistent) {
            (State::Ending, true) => After::Again,
            (State::Ending, false) => After::Close,
            _ => After::Break,
        }
    }

    /// Ready when all has been written, or nothing more can be.
    pub(super) fn poll(&mut self, wire: &Wire, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            // One look at the body before each write: small answers are complete by then.
            let mut waits = false;
            while self.state == State::Body && self.data.is_empty() && !waits {
                waits = self.poll_piece(wire, context).is_pending();
            }
            if waits {
                wire.write(|out| self.encoder.close_chunk(out));
            }
            let written = wire.poll_write(&mut self.data, context);
            self.stuck = written.is_pending();
            ready!(written)?;
            match self.state {
                State::Body if waits => return Poll::Pending,
                State::Body => {}
                State::Ending => return Poll::Ready(Ok(())),
                State::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            }
        }
    }

    /// Takes the next piece of the body.
    fn poll_piece(&mut self, wire: &Wire, context: &mut Context<'_>) -> Poll<()> {
        if self.body.is_end_stream() {
            self.end(wire, None);
            return Poll::Ready(());
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            None => {
                self.end(wire, None);
                return Poll::Ready(());
            }
            Some(Err(_)) => {
                self.state = State::Broken;
                return Poll::Ready(());
            }
            Some(Ok(frame)) => frame,
        };
        match frame.into_data() {
            Ok(data) => match wire.write(|out| self.encoder.piece(out, data)) {
                Ok(data) => self.data = data,
                Err(_) => self.state = State::Broken,
            },
            Err(frame) => {
                let trailers = frame.into_trailers().ok();
                self.end(wire, trailers.as_ref());
            }
        }
        Poll::Ready(())
    }

    fn end(&mut self, wire: &Wire, trailers: Option<&HeaderMap>) {
        let trailers = trailers.filter(|_| self.accepts_trailers);
        self.state = match wire.write(|out| self.encoder.end(out, trailers)) {
            Ok(()) => State::Ending,
            Err(_) => State::Broken,
        };
    }
}
