//! Streams of JSON values, changed one by one as they come: lines of NDJSON, and events of `text/event-stream`.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;

use super::{TransformResponse, Variables};
use crate::error::{Error, Kind};
use crate::protocol::body::Body;
use crate::protocol::event_stream::{self, Framing, Scan};
use crate::worker::Worker;

type Change = Pin<Box<dyn Future<Output = Result<Bytes, Error>>>>;

/// Holds one event at a time, and what has come of the next.
pub struct Events {
    body: Body,
    framing: Framing,
    most: usize,
    worker: Rc<Worker>,
    policy: Arc<TransformResponse>,
    variables: Rc<Variables>,
    buffer: BytesMut,
    scan: Scan,
    /// Of the event at hand.
    change: Option<Change>,
    ended: bool,
    trailers: Option<HeaderMap>,
}

impl Events {
    pub fn new(
        body: Body,
        framing: Framing,
        most: usize,
        worker: &Rc<Worker>,
        policy: &Arc<TransformResponse>,
        variables: &Rc<Variables>,
    ) -> Self {
        Self {
            body,
            framing,
            most,
            worker: worker.clone(),
            policy: policy.clone(),
            variables: variables.clone(),
            buffer: BytesMut::new(),
            scan: Scan::default(),
            change: None,
            ended: false,
            trailers: None,
        }
    }

    fn next(&mut self) -> Option<Bytes> {
        if let Some(end) = self.scan.end(self.framing, &self.buffer) {
            return Some(self.buffer.split_to(end).freeze());
        }
        // What the stream leaves without an end.
        (self.ended && !self.buffer.is_empty()).then(|| self.buffer.split().freeze())
    }

    fn begin(&self, event: Bytes) -> Change {
        let (framing, worker, policy, variables) =
            (self.framing, self.worker.clone(), self.policy.clone(), self.variables.clone());
        Box::pin(async move {
            let (data, others) = match framing {
                Framing::Lines => (event.clone(), Vec::new()),
                Framing::Events => event_stream::data(&event),
            };
            if data.trim_ascii().is_empty() {
                return Ok(event);
            }
            let Some(made) = policy.event(&worker, data, &variables).await? else { return Ok(Bytes::new()) };
            let mut text = others;
            match framing {
                // A value of several lines would be several values.
                Framing::Lines => {
                    text.extend(made.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
                    text.push(b'\n');
                }
                Framing::Events => {
                    event_stream::write_data(&mut text, &made);
                    text.push(b'\n');
                }
            }
            Ok(text.into())
        })
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        (self.ended, self.change) = (true, None);
        self.buffer.clear();
        self.body = Body::empty();
        Poll::Ready(Some(Err(error)))
    }
}

fn too_large(most: usize) -> Error {
    Error::new(Kind::BadReply, format!("an event of the service's stream is larger than {most} bytes"))
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            if let Some(change) = &mut this.change {
                let made = ready!(change.as_mut().poll(context));
                this.change = None;
                match made {
                    Ok(made) if made.is_empty() => {}
                    Ok(made) => return Poll::Ready(Some(Ok(Frame::data(made)))),
                    Err(error) => return this.fail(error),
                }
            }
            if let Some(event) = this.next() {
                if event.len() > this.most {
                    return this.fail(too_large(this.most));
                }
                this.change = Some(this.begin(event));
                continue;
            }
            if this.ended {
                return Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            if this.buffer.len() > this.most {
                return this.fail(too_large(this.most));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.buffer.extend_from_slice(&data),
                    Err(frame) => (this.ended, this.trailers) = (true, frame.into_trailers().ok()),
                },
                Some(Err(error)) => return this.fail(error),
                None => this.ended = true,
            }
        }
    }
}
