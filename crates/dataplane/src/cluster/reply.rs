//! An endpoint's response body on its way to the client. Holds the connection until the last byte; an answer that breaks
//! off ends in an error and never in a clean end.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::deadline::Deadline;
use super::fault;
use super::hop_by_hop;
use super::pool::Connection;
use super::visit::Visit;
use crate::error::{Error, Kind};

pub struct Reply {
    incoming: Incoming,
    connection: Option<Connection>,
    /// Whether the request body has been sent whole; None: it went with the head.
    upload: Option<Rc<Cell<bool>>>,
    deadline: Deadline,
    visit: Option<Visit>,
}

impl Reply {
    pub(super) fn new(
        incoming: Incoming,
        connection: Connection,
        upload: Option<Rc<Cell<bool>>>,
        deadline: Deadline,
        visit: Option<Visit>,
    ) -> Self {
        Self { incoming, connection: Some(connection), upload, deadline, visit }
    }

    fn finish(&mut self) {
        if let Some(visit) = self.visit.take() {
            visit.succeeded();
        }
        if let Some(connection) = self.connection.take() {
            finish(connection, self.upload.as_ref());
        }
    }

    fn fail(&mut self, error: Error, endpoint_failed: bool) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.connection = None;
        match self.visit.take() {
            Some(visit) if endpoint_failed => visit.failed(),
            visit => drop(visit),
        }
        Poll::Ready(Some(Err(error)))
    }
}

/// The answer is complete. If the upload is not, the endpoint has said what it had to say without it: the connection is
/// closed, so that neither side waits for the other (RFC 9112 §9.6), and never used again.
pub(super) fn finish(connection: Connection, upload: Option<&Rc<Cell<bool>>>) {
    if upload.is_none_or(|sent| sent.get()) {
        connection.release();
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if self.incoming.is_end_stream() {
                    self.finish();
                } else {
                    // Leaves the waker: whoever does not ask for more is woken at the deadline all the same.
                    let _ = self.deadline.poll(context);
                }
                match frame.into_trailers() {
                    Ok(mut trailers) => {
                        hop_by_hop::strip_trailers(&mut trailers);
                        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
                    }
                    Err(frame) => Poll::Ready(Some(Ok(frame))),
                }
            }
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                let broken = Error::new(Kind::BadReply, "the service's response broke off").cause(fault::chain(&error));
                self.fail(broken, true)
            }
            Poll::Pending if self.deadline.poll(context).is_ready() => {
                let late = Error::new(Kind::DeadlineExceeded, "the service's response was not complete in time");
                // The client may be the slow one: no blame.
                self.fail(late, false)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
