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
use crate::protocol::media;
use crate::worker::Worker;

/// How values follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Lines,
    /// HTML Standard, server-sent events.
    Events,
}

impl Framing {
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = media::essence(headers)?;
        let is = |name: &[u8]| kind.eq_ignore_ascii_case(name);
        match () {
            () if is(b"text/event-stream") => Some(Framing::Events),
            () if is(b"application/x-ndjson") || is(b"application/ndjson") || is(b"application/jsonl") => {
                Some(Framing::Lines)
            }
            () => None,
        }
    }
}

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

/// How far the buffer has been looked through.
#[derive(Default)]
struct Scan {
    at: usize,
    /// Something stands on the line.
    within_line: bool,
}

impl Scan {
    /// Where the first event or line ends.
    fn end(&mut self, framing: Framing, text: &[u8]) -> Option<usize> {
        while let Some(byte) = text.get(self.at) {
            let ends = match byte {
                b'\n' => 1,
                b'\r' if framing == Framing::Events => match text.get(self.at + 1) {
                    Some(b'\n') => 2,
                    Some(_) => 1,
                    None => return None,
                },
                _ => 0,
            };
            self.at += ends.max(1);
            let complete = ends > 0 && (framing == Framing::Lines || !self.within_line);
            self.within_line = ends == 0;
            if complete {
                return Some(std::mem::take(self).at);
            }
        }
        None
    }
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
                Framing::Events => data(&event),
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
                    for line in made.split(|byte| *byte == b'\n') {
                        text.extend_from_slice(b"data: ");
                        text.extend(line.iter().filter(|byte| **byte != b'\r'));
                        text.push(b'\n');
                    }
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

/// The data of an event, its lines joined, and all its other lines as they are.
fn data(event: &[u8]) -> (Bytes, Vec<u8>) {
    let (mut data, mut others): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
    let mut first = true;
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()) {
        match line.strip_prefix(b"data:").or((line == b"data").then_some(b"")) {
            Some(value) => {
                if !std::mem::take(&mut first) {
                    data.push(b'\n');
                }
                data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            }
            None => {
                others.extend_from_slice(line);
                others.push(b'\n');
            }
        }
    }
    (data.into(), others)
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
                this.change = Some(this.begin(event));
                continue;
            }
            if this.ended {
                return Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            if this.buffer.len() > this.most {
                let detail = format!("an event of the service's stream is larger than {} bytes", this.most);
                return this.fail(Error::new(Kind::BadReply, detail));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(framing: Framing, pieces: &[&str]) -> Vec<String> {
        let (mut scan, mut buffer, mut found) = (Scan::default(), BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece.as_bytes());
            while let Some(end) = scan.end(framing, &buffer) {
                found.push(String::from_utf8(buffer.split_to(end).to_vec()).expect("text"));
            }
        }
        found
    }

    #[test]
    fn events_end_where_the_standard_says_however_they_are_cut() {
        assert_eq!(
            parts(Framing::Events, &["data: 1\n\ndata: 2\r\n\r\nda", "ta: 3\r\rx"]),
            ["data: 1\n\n", "data: 2\r\n\r\n", "data: 3\r\r"]
        );
        assert_eq!(parts(Framing::Events, &["a\r", "\n", "\r", "\nb"]), ["a\r\n\r\n"]);
        assert_eq!(parts(Framing::Lines, &["{}\n{", "}\r\n", "\n"]), ["{}\n", "{}\r\n", "\n"]);
    }

    #[test]
    fn the_data_of_an_event_is_joined_and_the_rest_kept() {
        let (data, others) = data(b"id: 7\ndata: {\"a\":\ndata:1}\nevent: x\n: c\n\n");
        assert_eq!((&*data, &*others), (&b"{\"a\":\n1}"[..], &b"id: 7\nevent: x\n: c\n"[..]));
    }
}
