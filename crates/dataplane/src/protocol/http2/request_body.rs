//! A request's body from a stream: the client may send on only as fast as it is read (RFC 9113 §5.2). Counted, bounded,
//! its faults named.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http_body::{Frame, SizeHint};
use tokio::time::{sleep, Sleep};

use crate::error::{Error, Kind};
use crate::protocol::link::Link;

pub(super) struct RequestBody {
    stream: RecvStream,
    link: Rc<Link>,
    /// The client waits for `100 Continue`.
    expects_continue: bool,
    /// Runs while the client is waited for.
    patience: Option<Pin<Box<Sleep>>>,
    length: Option<u64>,
    ended: bool,
}

impl RequestBody {
    pub(super) fn new(stream: RecvStream, link: Rc<Link>, length: Option<u64>, expects_continue: bool) -> Self {
        Self { stream, link, expects_continue, patience: None, length, ended: false }
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.ended = true;
        Poll::Ready(Some(Err(error)))
    }

    fn piece(&mut self, data: Bytes) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        // Refused only for a stream that is gone.
        let _gone = self.stream.flow_control().release_capacity(data.len());
        self.length = self.length.map(|left| left.saturating_sub(data.len() as u64));
        let received = self.link.received.get() + data.len() as u64;
        self.link.received.set(received);
        let allowed = self.link.allowed.get();
        if received > allowed {
            return self.fail(Error::new(Kind::BodyTooLarge, format!("The body is larger than {allowed} bytes")));
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.link.pauses.get() {
            return Poll::Pending;
        }
        let limit = Duration::from_millis(self.link.connection.listener.limits.body_idle_ms);
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(limit)));
        patience.as_mut().poll(context)
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut this.expects_continue) {
            this.link.ask_for_body();
        }
        let gone = |error: h2::Error| {
            let detail = match error.reason() {
                Some(Reason::PROTOCOL_ERROR) => "The request body is malformed",
                _ => "The client went away during its request",
            };
            Error::new(Kind::ClientGone, detail).cause(error)
        };
        match this.stream.poll_data(context) {
            Poll::Ready(Some(Ok(data))) => {
                this.patience = None;
                return this.piece(data);
            }
            Poll::Ready(Some(Err(error))) => return this.fail(gone(error)),
            Poll::Ready(None) => {}
            Poll::Pending => {
                ready!(this.poll_patience(context));
                return this.fail(Error::new(Kind::RequestTimeout, "The body did not arrive in time"));
            }
        }
        match this.stream.poll_trailers(context) {
            Poll::Ready(Ok(trailers)) => {
                this.ended = true;
                Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
            }
            Poll::Ready(Err(error)) => this.fail(gone(error)),
            Poll::Pending => {
                ready!(this.poll_patience(context));
                this.fail(Error::new(Kind::RequestTimeout, "The trailers did not arrive in time"))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(length) => SizeHint::with_exact(length),
            None => SizeHint::default(),
        }
    }
}
