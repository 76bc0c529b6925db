//! The messages of a WebSocket that the gateway itself is the client of (RFC 6455) as an event stream.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{sleep, Instant, Sleep};

use super::envelope;
use crate::cluster::{Deadline, Tunnel};
use crate::error::{Error, Kind};
use crate::protocol::base64;
use crate::protocol::event_stream::Event;
use crate::protocol::tunnel::Side;
use crate::protocol::websocket::{close, write, Message, Messages, Sender};

/// A line that says nothing: whoever is between sees that the connection is alive.
const COMMENT: &[u8] = b":\n\n";

type Told = Poll<Option<Result<Frame<Bytes>, Error>>>;

/// How messages are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) envelope: bool,
    /// As base64; otherwise they are a mistake of the service.
    pub(super) takes_binary: bool,
    /// Between two signs of life.
    pub(super) keep_alive: Duration,
    /// Of a message.
    pub(super) most: usize,
}

pub(super) struct Stream {
    /// None when it is over.
    tunnel: Option<Box<Tunnel>>,
    manner: Manner,
    messages: Messages,
    /// Of the service's silence, and of all of it.
    deadline: Deadline,
    /// The answer to the service's last ping that has not left.
    reply: Bytes,
    timer: Pin<Box<Sleep>>,
}

impl Stream {
    pub(super) fn new(tunnel: Box<Tunnel>, manner: Manner, deadline: Deadline) -> Self {
        let messages = Messages::new(Sender::Server, manner.most);
        let timer = Box::pin(sleep(manner.keep_alive));
        Self { tunnel: Some(tunnel), manner, messages, deadline, reply: Bytes::new(), timer }
    }

    /// The tunnel's end, with a last word for the service as far as it takes it at once.
    fn leave(&mut self, code: u16, reason: &str) {
        let Some(mut tunnel) = self.tunnel.take() else { return };
        let mut context = Context::from_waker(Waker::noop());
        let mut last = close(Sender::Client, Some(code), reason);
        if self.reply.is_empty() && tunnel.poll_give(&mut last, &mut context).is_ready() {
            let _told = tunnel.poll_finish(&mut context);
        }
    }

    fn failed(&mut self, code: u16, detail: String) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.leave(code, &detail);
        Poll::Ready(Some(Err(Error::new(Kind::BadReply, detail))))
    }

    fn tell(&mut self, event: &Event) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.timer.as_mut().reset(Instant::now() + self.manner.keep_alive);
        Poll::Ready(Some(Ok(Frame::data(event.write().into()))))
    }

    /// None: nothing is to be told.
    fn heard(&mut self, message: Message) -> Option<Told> {
        Some(match message {
            Message::Ping(payload) => {
                // While one is on its way, this one goes unanswered: only the last needs an answer (RFC 6455 §5.5.3).
                if self.reply.is_empty() {
                    self.reply = write(Sender::Client, &Message::Pong(payload));
                }
                return None;
            }
            Message::Pong(_) => return None,
            Message::Text(text) if self.manner.envelope => match envelope::read(&text) {
                Ok(event) => self.tell(&event),
                Err(wrong) => self.failed(1003, format!("a message of the service is no event: {wrong}")),
            },
            Message::Text(text) => self.tell(&Event { data: Some(text), ..Event::default() }),
            Message::Binary(bytes) if self.manner.takes_binary => {
                let text = String::from_utf8_lossy(&base64::encode(&bytes)).into_owned();
                self.tell(&Event { data: Some(text), ..Event::default() })
            }
            Message::Binary(_) => self.failed(1003, "the service has sent a binary message".to_owned()),
            Message::Close(Some(1000 | 1001) | None) => {
                self.leave(1000, "");
                Poll::Ready(None)
            }
            Message::Close(Some(code)) => {
                self.leave(code, "");
                let detail = format!("the service has closed the WebSocket with code {code}");
                Poll::Ready(Some(Err(Error::new(Kind::BadReply, detail))))
            }
        })
    }
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            match this.messages.next() {
                Ok(Some(message)) => match this.heard(message) {
                    Some(told) => return told,
                    None => continue,
                },
                Ok(None) => {}
                Err(wrong) => return this.failed(wrong.code, format!("of the service's WebSocket {}", wrong.what)),
            }
            let Some(tunnel) = &mut this.tunnel else { return Poll::Ready(None) };
            if !this.reply.is_empty() && matches!(tunnel.poll_give(&mut this.reply, context), Poll::Ready(Err(_))) {
                this.reply = Bytes::new();
            }
            match tunnel.poll_take(context) {
                Poll::Ready(Ok(Some(data))) => {
                    this.deadline.heard();
                    this.messages.push(&data);
                }
                Poll::Ready(_gone) => {
                    this.tunnel = None;
                    let detail = "the service has left without closing the WebSocket";
                    return Poll::Ready(Some(Err(Error::new(Kind::BadReply, detail))));
                }
                Poll::Pending if this.timer.as_mut().poll(context).is_ready() => {
                    this.timer.as_mut().reset(Instant::now() + this.manner.keep_alive);
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(COMMENT)))));
                }
                Poll::Pending if this.deadline.poll(context).is_ready() => {
                    this.leave(1001, "the time is over");
                    let detail = "the service's WebSocket was silent for too long, or open for too long";
                    return Poll::Ready(Some(Err(Error::new(Kind::DeadlineExceeded, detail))));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.tunnel.is_none()
    }
}

impl Drop for Stream {
    /// The client has gone.
    fn drop(&mut self) {
        self.leave(1001, "the client has gone");
    }
}
