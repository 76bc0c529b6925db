//! The events of a service as a WebSocket that the gateway itself is the server of (RFC 6455).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, Instant, Sleep};

use super::envelope;
use super::source::Source;
use crate::error::Kind;
use crate::protocol::tunnel::{End, Made, Side};
use crate::protocol::websocket::{close, write, Message, Messages, Sender, Violation};

/// How long a client may take to answer the gateway's close frame.
const PARTING: Duration = Duration::from_secs(2);

/// How its client is spoken to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) envelope: bool,
    /// Messages of the client are a mistake; otherwise they are dropped.
    pub(super) refuses_messages: bool,
    /// Between two pings. One that is not answered before the next is the end.
    pub(super) ping: Duration,
    /// Of a client's message.
    pub(super) most: usize,
}

enum State {
    Open,
    /// The gateway has sent its close frame and waits for the client's.
    Parting(Pin<Box<Sleep>>),
    /// Nothing more is sent.
    Over,
}

pub(super) struct Socket {
    source: Source,
    manner: Manner,
    messages: Messages,
    state: State,
    /// To be sent before anything else: the answer to the client's last ping, or to its close frame.
    reply: Option<Bytes>,
    /// The client has sent what is no WebSocket: it is not listened to any more.
    deaf: bool,
    /// The client has been silent since the last ping.
    silent: bool,
    timer: Pin<Box<Sleep>>,
    end: Option<End>,
}

impl Socket {
    pub(super) fn new(source: Source, manner: Manner) -> Self {
        let messages = Messages::new(Sender::Client, manner.most);
        let timer = Box::pin(sleep(manner.ping));
        let state = State::Open;
        Self { source, manner, messages, state, reply: None, deaf: false, silent: false, timer, end: None }
    }

    /// The last frame, and the wait for the client's.
    fn part(&mut self, code: u16, reason: &str) -> Bytes {
        self.state = State::Parting(Box::pin(sleep(PARTING)));
        close(Sender::Server, Some(code), reason)
    }

    fn heard(&mut self, message: Message) -> Result<(), Violation> {
        match message {
            Message::Text(_) | Message::Binary(_) if self.manner.refuses_messages => {
                Err(Violation { code: 1008, what: "messages are not taken here" })
            }
            Message::Text(_) | Message::Binary(_) | Message::Pong(_) => Ok(()),
            Message::Ping(payload) => {
                if matches!(self.state, State::Open) {
                    self.reply = Some(write(Sender::Server, &Message::Pong(payload)));
                }
                Ok(())
            }
            Message::Close(code) => {
                if matches!(self.state, State::Open) {
                    self.reply = Some(close(Sender::Server, code, ""));
                }
                self.state = State::Over;
                Ok(())
            }
        }
    }

    fn poll_ping(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        ready!(self.timer.as_mut().poll(context));
        if self.silent {
            self.end = Some(End::ClientGone);
            return Poll::Ready(self.part(1001, "a ping was not answered"));
        }
        self.silent = true;
        self.timer.as_mut().reset(Instant::now() + self.manner.ping);
        Poll::Ready(write(Sender::Server, &Message::Ping(Bytes::new())))
    }
}

impl Side for Socket {
    fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if let Some(reply) = self.reply.take() {
            return Poll::Ready(Ok(Some(reply)));
        }
        match &mut self.state {
            State::Over => return Poll::Ready(Ok(None)),
            State::Parting(late) => {
                ready!(late.as_mut().poll(context));
                self.state = State::Over;
                return Poll::Ready(Ok(None));
            }
            State::Open => {}
        }
        if let Poll::Ready(frame) = self.poll_ping(context) {
            return Poll::Ready(Ok(Some(frame)));
        }
        let frame = match ready!(self.source.poll_next(context)) {
            Ok(Some(event)) if self.manner.envelope => write(Sender::Server, &Message::Text(envelope::write(&event))),
            Ok(Some(event)) => write(Sender::Server, &Message::Text(event.data.unwrap_or_default())),
            Ok(None) => self.part(1000, "the stream has ended"),
            Err(error) => {
                self.end = Some(End::EndpointGone);
                // What went wrong is in the log; a cause inside is nobody's business.
                let (code, reason) = match error.kind {
                    Kind::DeadlineExceeded => (1013, "the stream's time is over"),
                    _ => (1014, "the stream has failed"),
                };
                self.part(code, reason)
            }
        };
        Poll::Ready(Ok(Some(frame)))
    }

    fn poll_give(&mut self, data: &mut Bytes, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.silent = false;
        self.messages.push(data);
        data.clear();
        while !self.deaf && !matches!(self.state, State::Over) {
            let violation = match self.messages.next() {
                Ok(None) => break,
                Ok(Some(message)) => self.heard(message).err(),
                Err(violation) => {
                    self.deaf = true;
                    Some(violation)
                }
            };
            if let (Some(Violation { code, what }), State::Open) = (violation, &self.state) {
                self.reply = Some(self.part(code, what));
            }
        }
        if self.deaf {
            self.messages.forget();
        }
        Poll::Ready(Ok(()))
    }

    /// The client says nothing more: without a close frame it is gone.
    fn poll_finish(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.state, State::Open) {
            self.end = Some(End::ClientGone);
        }
        self.state = State::Over;
        Poll::Ready(Ok(()))
    }
}

impl Made for Socket {
    fn end(&self) -> Option<End> {
        self.end
    }
}
