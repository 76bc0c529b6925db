//! HTTP/1.1 to endpoints. There is no task for a connection: the exchange's own future writes the request and reads the
//! answer's head, and whoever reads the answer's body goes on from there.

mod answer;
mod request;
mod upload;
mod wire;

use std::io;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use http::{response, HeaderMap, Method, StatusCode};
use http_body::Frame;

pub(super) use answer::Malformed;
pub(super) use upload::{Fault, Upload};
pub(super) use wire::Wire;

use super::hop_by_hop;
use super::InterimSink;
use crate::error::Error;
use crate::protocol::decoder::{Decoded, Decoder};

/// Interim responses that are passed on before the final one; more are dropped.
pub(crate) const INTERIM: usize = 16;
/// Interim responses without a final one that make a bad reply: reading on could keep a worker busy for ever.
pub(crate) const ENDLESS: usize = 1024;

/// What has been received of an answer.
pub(super) struct Received {
    pub(super) head: response::Parts,
    /// Nothing forbids another exchange on the connection.
    pub(super) persistent: bool,
    /// Its framing fields can stay as they are.
    pub(super) plain: bool,
    pub(super) content: Content,
}

pub(super) enum Content {
    None,
    /// It came along with the head.
    Whole(Bytes),
    Follows(Decoder),
}

impl Content {
    /// If it is known.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Content::None => Some(0),
            Content::Whole(content) => Some(content.len() as u64),
            Content::Follows(decoder) => decoder.left(),
        }
    }
}

/// Why there is no answer.
pub(super) enum Broken {
    Upload(Fault),
    Malformed(Malformed),
    /// The connection ended before the head did; with the error that ended it.
    Closed {
        begun: bool,
        cause: Option<io::Error>,
    },
}

/// Reads the answer to one request while the request is being sent.
#[derive(Default)]
pub(super) struct Receiver {
    searched: usize,
    /// Interim responses: all of them, and those that were not a 100.
    interim: usize,
    told: usize,
}

impl Receiver {
    pub(super) fn begin(wire: &mut Wire) -> Self {
        wire.begin();
        Self::default()
    }

    /// Ready with the final head. The upload may not be done by then.
    pub(super) fn poll(
        &mut self,
        upload: &mut Upload,
        wire: &mut Wire,
        sink: Option<&InterimSink>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Received, Broken>> {
        loop {
            if !upload.is_done() {
                if let Poll::Ready(Err(fault)) = upload.poll(wire, context) {
                    return Poll::Ready(Err(Broken::Upload(fault)));
                }
            }
            let mut again = false;
            while !wire.incoming.is_empty() {
                let Some(answer) = answer::take(&mut wire.incoming, &mut self.searched).map_err(Broken::Malformed)?
                else {
                    break;
                };
                if !answer.parts.status.is_informational() || answer.parts.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Poll::Ready(receive(answer, &upload.head.method, wire).map_err(Broken::Malformed));
                }
                again |= self.interim(answer.parts, upload, sink);
                if self.interim > ENDLESS {
                    return Poll::Ready(Err(Broken::Malformed(Malformed::TooLarge)));
                }
            }
            if again {
                continue;
            }
            match ready!(wire.poll_begin(context)) {
                Ok(0) => return Poll::Ready(Err(self.closed(wire, None))),
                Ok(_) => {}
                Err(cause) => return Poll::Ready(Err(self.closed(wire, Some(cause)))),
            }
        }
    }

    fn closed(&self, wire: &Wire, cause: Option<io::Error>) -> Broken {
        Broken::Closed { begun: !wire.incoming.is_empty(), cause }
    }

    /// True when the body may go on now.
    fn interim(&mut self, head: response::Parts, upload: &mut Upload, sink: Option<&InterimSink>) -> bool {
        self.interim += 1;
        if head.status == StatusCode::CONTINUE {
            upload.proceed();
            return true;
        }
        self.told += 1;
        if let Some(sink) = sink.filter(|_| self.told <= INTERIM) {
            let mut headers: HeaderMap = head.headers;
            hop_by_hop::strip_response(&mut headers);
            sink(head.status, headers);
        }
        false
    }
}

fn receive(answer: answer::Head, method: &Method, wire: &mut Wire) -> Result<Received, Malformed> {
    let content = match answer::body(&answer, method)? {
        None => Content::None,
        Some(Decoder::Length(length)) if wire.incoming.len() as u64 >= length => {
            Content::Whole(wire.incoming.split_to(length as usize).freeze())
        }
        Some(decoder) => {
            wire.expect_content(decoder.left().map(|left| left - wire.incoming.len() as u64));
            Content::Follows(decoder)
        }
    };
    let persistent = answer.persistent && !matches!(content, Content::Follows(Decoder::UntilClose));
    let plain = answer.plain.is_some() && answer.parts.status != StatusCode::NO_CONTENT;
    Ok(Received { head: answer.parts, persistent, plain, content })
}

/// Why an answer's content cannot be read to its end.
pub(super) enum Cut {
    /// The connection ended, with the error that ended it.
    Closed(Option<io::Error>),
    Malformed(Error),
}

/// The next piece of an answer's content.
pub(super) fn poll_content(
    decoder: &mut Decoder,
    wire: &mut Wire,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
    loop {
        match decoder.decode(&mut wire.incoming) {
            Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
            Ok(Decoded::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Ok(Decoded::End) => return Poll::Ready(None),
            Ok(Decoded::More) => {}
            Err(error) => return Poll::Ready(Some(Err(Cut::Malformed(error)))),
        }
        let left = decoder.left().and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX);
        match ready!(wire.poll_fill(left, context)) {
            Ok(0) if matches!(decoder, Decoder::UntilClose) => return Poll::Ready(None),
            Ok(0) => return Poll::Ready(Some(Err(Cut::Closed(None)))),
            Ok(_) => {}
            Err(error) => return Poll::Ready(Some(Err(Cut::Closed(Some(error))))),
        }
    }
}
