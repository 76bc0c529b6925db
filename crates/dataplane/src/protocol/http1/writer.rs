//! Sends one response, as fast as the client takes it and no faster than its body comes: nothing is gathered, and what is
//! at hand leaves in one write.

use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderMap, Response};
use http_body::Body as _;

use super::response::{self, Asked, Framing};
use super::wire::Wire;
use super::After;
use crate::telemetry::recording::Recorded;

/// Data up to this is copied behind what else is written: cheaper than a second buffer in the system call.
const COPIED: usize = 1024;

/// A head and a small body without growing.
const OUTGOING: usize = 1024;

pub(super) struct Writer {
    body: Recorded,
    framing: Framing,
    persistent: bool,
    accepts_trailers: bool,
    /// A piece of the body on its way, and whether a chunk's end must follow it.
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
        let framing = response::framing(asked, head.status, body.size_hint().exact());
        let closes =
            || head.headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let persistent = persistent && framing != Framing::Close && !closes();
        wire.write(|out| {
            out.reserve(OUTGOING);
            response::encode(out, &head, framing, asked, persistent);
        });
        let state = if framing == Framing::None { State::Ending } else { State::Body };
        let accepts_trailers = asked.accepts_trailers;
        Self { body, framing, persistent, accepts_trailers, data: Bytes::new(), state, stuck: false }
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.stuck
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
            if self.state == State::Body && self.data.is_empty() {
                let waits = self.poll_piece(wire, context).is_pending();
                if waits {
                    ready!(self.poll_out(wire, context))?;
                    return Poll::Pending;
                }
                // One more look before writing: small answers are complete by now.
                if self.state == State::Body && self.data.is_empty() {
                    continue;
                }
            }
            ready!(self.poll_out(wire, context))?;
            match self.state {
                State::Body => {}
                State::Ending => return Poll::Ready(Ok(())),
                State::Broken => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            }
        }
    }

    fn poll_out(&mut self, wire: &Wire, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let chunk = self.framing == Framing::Chunked && !self.data.is_empty();
        let written = wire.poll_write(&mut self.data, context);
        self.stuck = written.is_pending();
        ready!(written)?;
        if chunk {
            wire.write(|out| self.close_chunk(out));
        }
        Poll::Ready(Ok(()))
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
            Ok(data) if data.is_empty() => {}
            Ok(data) => self.piece(wire, data),
            Err(frame) => {
                let trailers = frame.into_trailers().ok();
                self.end(wire, trailers.as_ref());
            }
        }
        Poll::Ready(())
    }

    fn piece(&mut self, wire: &Wire, data: Bytes) {
        match &mut self.framing {
            Framing::Length(left) => match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => {
                    self.state = State::Broken;
                    return;
                }
            },
            Framing::Chunked => wire.write(|out| response::chunk_size(out, data.len())),
            Framing::Close | Framing::None => {}
        }
        if data.len() > COPIED {
            self.data = data;
            if self.body.is_end_stream() && self.framing != Framing::Chunked {
                self.end(wire, None);
            }
            return;
        }
        wire.write(|out| {
            out.extend_from_slice(&data);
            if self.framing == Framing::Chunked {
                out.extend_from_slice(b"\r\n");
            }
        });
        if self.body.is_end_stream() {
            self.end(wire, None);
        }
    }

    fn close_chunk(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        if self.body.is_end_stream() {
            response::last_chunk(out, None);
            self.state = State::Ending;
        }
    }

    fn end(&mut self, wire: &Wire, trailers: Option<&HeaderMap>) {
        self.state = match self.framing {
            Framing::Length(0) | Framing::Close | Framing::None => State::Ending,
            Framing::Length(_) => State::Broken,
            Framing::Chunked => {
                let trailers = trailers.filter(|_| self.accepts_trailers);
                wire.write(|out| response::last_chunk(out, trailers));
                State::Ending
            }
        };
    }
}
