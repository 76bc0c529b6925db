//! A request's body as it comes from the client: counted, bounded, its faults named.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::wire::Wire;
use crate::error::{Error, Kind};

/// How much of a body that nobody reads to its end is read all the same, so that its connection can serve on.
const DRAINED: u64 = 256 * 1024;

pub struct RequestBody {
    /// Some until it is dropped.
    incoming: Option<Incoming>,
    wire: Rc<Wire>,
    /// The client waits for `100 Continue`, which hyper sends when the body is asked for.
    unasked: bool,
    failed: bool,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, wire: Rc<Wire>, expects_continue: bool) -> Self {
        Self { incoming: Some(incoming), wire, unasked: expects_continue, failed: false }
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.failed = true;
        Poll::Ready(Some(Err(error)))
    }
}

/// Without its rest the next request could not be found in the connection's bytes: a small rest is read in the
/// background, otherwise the connection ends with the answer.
impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take().filter(|incoming| !incoming.is_end_stream()) else {
            return;
        };
        if self.failed || self.unasked || incoming.size_hint().lower() > DRAINED {
            self.wire.link.close();
        } else {
            tokio::task::spawn_local(drain(incoming));
        }
    }
}

async fn drain(mut incoming: Incoming) {
    let mut left = DRAINED;
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
        left = match left.checked_sub(frame.data_ref().map_or(0, |data| data.len() as u64)) {
            Some(left) => left,
            None => return,
        };
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.unasked = false;
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let frame = match ready!(Pin::new(incoming).poll_frame(context)) {
            None => return Poll::Ready(None),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                let gone = || Error::new(Kind::ClientGone, "The client went away during its request").cause(error);
                let error = self.wire.broken().unwrap_or_else(gone);
                return self.fail(error);
            }
        };
        if let Some(data) = frame.data_ref() {
            let received = self.wire.link.received.get() + data.len() as u64;
            self.wire.link.received.set(received);
            let allowed = self.wire.link.allowed.get();
            if received > allowed {
                let detail = format!("The body is larger than {allowed} bytes");
                return self.fail(Error::new(Kind::BodyTooLarge, detail));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }
}
