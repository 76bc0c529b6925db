//! What comes after a client's content must not carry what only the gateway says: a server may merge it into the head.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderName;
use http_body::{Frame, SizeHint};

use crate::error::Error;
use crate::identity;
use crate::protocol::body::Body;

/// Content whose trailers have none of these fields, under any spelling.
pub(super) struct Cleared {
    pub(super) body: Body,
    pub(super) fields: Vec<HeaderName>,
}

impl http_body::Body for Cleared {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = polled else { return polled };
        let frame = match frame.into_trailers() {
            Ok(mut trailers) => {
                identity::clear(&self.fields, &mut trailers);
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
