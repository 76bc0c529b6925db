//! A request's body as it comes from the client: counted, bounded, its faults named.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::link::Link;
use crate::error::{Error, Kind};

pub struct RequestBody {
    incoming: Incoming,
    link: Rc<Link>,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, link: Rc<Link>) -> Self {
        Self { incoming, link }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match ready!(Pin::new(&mut self.incoming).poll_frame(context)) {
            None => return Poll::Ready(None),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                let gone = || Error::new(Kind::ClientGone, "The client went away during its request").cause(error);
                return Poll::Ready(Some(Err(self.link.broken().unwrap_or_else(gone))));
            }
        };
        if let Some(data) = frame.data_ref() {
            let received = self.link.received.get() + data.len() as u64;
            self.link.received.set(received);
            let allowed = self.link.allowed.get();
            if received > allowed {
                let error = Error::new(Kind::BodyTooLarge, format!("The body is larger than {allowed} bytes"));
                return Poll::Ready(Some(Err(error)));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
