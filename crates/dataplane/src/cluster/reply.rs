//! An endpoint's response body on its way to the client. Holds the connection until the last byte, and goes on sending
//! the request where that is not over; an answer that breaks off ends in an error and never in a clean end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::deadline::Deadline;
use super::fault;
use super::hop_by_hop;
use super::http1::{self, Fault, Upload};
use super::pool::Connection;
use super::visit::Visit;
use crate::error::{Error, Kind};
use crate::protocol::decoder::Decoder;

pub struct Reply {
    decoder: Decoder,
    /// None when the answer is over, in whichever way.
    connection: Option<Box<Connection>>,
    /// Of a request that has not been sent whole.
    upload: Option<Box<Upload>>,
    deadline: Deadline,
    visit: Option<Visit>,
}

impl Reply {
    pub(super) fn new(
        decoder: Decoder,
        connection: Box<Connection>,
        upload: Option<Box<Upload>>,
        deadline: Deadline,
        visit: Option<Visit>,
    ) -> Self {
        Self { decoder, connection: Some(connection), upload, deadline, visit }
    }

    fn finish(&mut self) {
        if let Some(visit) = self.visit.take() {
            visit.succeeded();
        }
        if let Some(connection) = self.connection.take() {
            finish(connection, self.upload.take());
        }
    }

    fn fail(&mut self, error: Error, endpoint_failed: bool) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.connection = None;
        self.upload = None;
        match self.visit.take() {
            Some(visit) if endpoint_failed => visit.failed(),
            visit => drop(visit),
        }
        Poll::Ready(Some(Err(error)))
    }

    /// The request's sender has failed; nothing else about the upload ends the answer.
    fn poll_upload(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        let (Some(upload), Some(connection)) = (&mut self.upload, &mut self.connection) else {
            return Ok(());
        };
        match upload.poll(&mut connection.wire, context) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) | Poll::Ready(Err(Fault::Unsent(_))) => {
                self.upload = None;
                Ok(())
            }
            Poll::Ready(Err(Fault::Body(error))) => Err(error),
        }
    }
}

/// The answer is complete. If the upload is not, the endpoint has said what it had to say without it: the connection is
/// closed, so that neither side waits for the other (RFC 9112 §9.6), and never used again.
pub(super) fn finish(connection: Box<Connection>, unfinished: Option<Box<Upload>>) {
    if unfinished.is_none() {
        connection.release();
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Err(error) = this.poll_upload(context) {
            return this.fail(error, false);
        }
        let Some(connection) = &mut this.connection else {
            return Poll::Ready(None);
        };
        match http1::poll_content(&mut this.decoder, &mut connection.wire, context) {
            Poll::Ready(Some(Ok(frame))) => {
                if this.decoder.is_done() {
                    this.finish();
                } else {
                    this.deadline.heard();
                    // Leaves the waker: whoever does not ask for more is woken at the deadline all the same.
                    let _ = this.deadline.poll(context);
                }
                Poll::Ready(Some(Ok(match frame.into_trailers() {
                    Ok(mut trailers) => {
                        hop_by_hop::strip_trailers(&mut trailers);
                        Frame::trailers(trailers)
                    }
                    Err(frame) => frame,
                })))
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(cut))) => this.fail(fault::cut(cut), true),
            Poll::Pending if this.deadline.poll(context).is_ready() => {
                let late = Error::new(Kind::DeadlineExceeded, "the service's response was not complete in time");
                // The client may be the slow one: no blame.
                this.fail(late, false)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.decoder.left() {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}
