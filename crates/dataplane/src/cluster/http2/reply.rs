//! An endpoint's answer as it comes. The stream is given back when it has ended, or reset when nobody wants the rest.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::pool::Lease;
use super::progress::Progress;
use super::rest::Rest;
use crate::cluster::deadline::Deadline;
use crate::cluster::fault::chain;
use crate::cluster::hop_by_hop;
use crate::cluster::visit::Visit;
use crate::error::{Error, Kind};

/// An answer's content. Dropped before its end, it resets the stream with CANCEL.
pub(in crate::cluster) struct Incoming {
    recv: RecvStream,
    /// None when its end no longer matters.
    upload: Option<Rest>,
    progress: Rc<Progress>,
    left: Option<u64>,
    lease: Option<Lease>,
    ended: bool,
}

/// Why an answer ends early, and whether the endpoint is at fault.
struct Broken {
    error: Error,
    theirs: bool,
}

impl Incoming {
    pub(super) fn new(recv: RecvStream, upload: Rest, progress: Rc<Progress>, left: Option<u64>, lease: Lease) -> Self {
        let ended = recv.is_end_stream();
        let (upload, lease) = if ended { (None, None) } else { (Some(upload), Some(lease)) };
        Self { recv, upload, progress, left, lease, ended }
    }

    /// The request's own body may fail while the answer comes.
    fn poll_upload(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        let Some(upload) = self.upload.as_mut() else {
            return Ok(());
        };
        match upload.poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                self.upload = None;
                Ok(())
            }
            Poll::Ready(Err(error)) => {
                self.upload = None;
                Err(error)
            }
        }
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Err(error) = self.poll_upload(context) {
            self.end();
            return Poll::Ready(Some(Err(Broken { error, theirs: false })));
        }
        let broken = |error: h2::Error| {
            let detail = "the service's response broke off";
            Some(Err(Broken { error: Error::new(Kind::BadReply, detail).cause(chain(&error)), theirs: true }))
        };
        if let Some(data) = ready!(self.recv.poll_data(context)) {
            return Poll::Ready(match data {
                Ok(data) => {
                    // Room for more as soon as it is taken: the one who asks has his own bound for what he holds.
                    let _closed = self.recv.flow_control().release_capacity(data.len());
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    if self.recv.is_end_stream() {
                        self.end();
                    }
                    Some(Ok(Frame::data(data)))
                }
                Err(error) => {
                    self.end();
                    broken(error)
                }
            });
        }
        let trailers = ready!(self.recv.poll_trailers(context));
        self.end();
        Poll::Ready(match trailers {
            Ok(None) => None,
            Ok(Some(trailers)) => Some(Ok(Frame::trailers(clean(trailers)))),
            Err(error) => broken(error),
        })
    }

    pub(in crate::cluster) fn is_end_stream(&self) -> bool {
        self.ended || self.recv.is_end_stream()
    }

    fn end(&mut self) {
        self.ended = true;
        self.upload = None;
        self.lease = None;
    }
}

/// An answer's body on its way to the client, which says of the endpoint's health how it ended.
pub(in crate::cluster) struct Reply {
    incoming: Incoming,
    deadline: Deadline,
    visit: Option<Visit>,
}

impl Reply {
    pub(in crate::cluster) fn new(incoming: Incoming, deadline: Deadline, visit: Option<Visit>) -> Self {
        Self { incoming, deadline, visit }
    }

    /// The time is over, and it was not the client that spoke last: a stream lives by what either side says.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        while self.deadline.poll(context).is_ready() {
            if !self.deadline.heard_at(self.incoming.progress.last()) {
                return true;
            }
        }
        false
    }

    fn fail(&mut self, broken: Broken) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.incoming.end();
        match (self.visit.take(), broken.theirs) {
            (Some(visit), true) => visit.failed(),
            (visit, _) => drop(visit),
        }
        Poll::Ready(Some(Err(broken.error)))
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = self.incoming.poll_frame(context);
        if polled.is_ready() {
            self.deadline.heard();
        }
        // Also where there is something: whoever does not ask for more is woken at the deadline all the same.
        let late = !self.incoming.ended && self.is_late(context);
        match polled {
            Poll::Ready(Some(Err(broken))) => self.fail(broken),
            Poll::Pending if late => {
                let error = Error::new(Kind::DeadlineExceeded, "the service's response was not complete in time");
                // The client may be the slow one: no blame.
                self.fail(Broken { error, theirs: false })
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(frame) => {
                if self.incoming.ended {
                    if let Some(visit) = self.visit.take() {
                        visit.succeeded();
                    }
                }
                Poll::Ready(frame.and_then(Result::ok).map(Ok))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn clean(mut trailers: HeaderMap) -> HeaderMap {
    hop_by_hop::strip_trailers(&mut trailers);
    trailers
}
