//! A response's body while it is compressed. It holds one piece as the target sent it and what an encoder holds, whatever
//! the body's length.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

use super::encoder::Encoder;
use super::fields;
use crate::error::{Error, Kind};
use crate::protocol::body::Body;

/// Compressed at once.
const SLICE: usize = 32 * 1024;

/// Slices after which others get their turn even if the encoder has made nothing of them.
const TURN: usize = 8;

type Outcome = Poll<Option<Result<Frame<Bytes>, Error>>>;

pub struct Compressed {
    body: Body,
    /// None when it is over, in whichever way.
    encoder: Option<Encoder>,
    /// Of the last piece.
    rest: Bytes,
    /// Whoever sends it may wait for the client to have read it: nothing is held while nothing comes.
    prompt: bool,
    /// The encoder holds something.
    held: bool,
    /// To be sent after the last bytes.
    trailers: Option<HeaderMap>,
}

impl Compressed {
    pub fn new(body: Body, encoder: Encoder, prompt: bool) -> Self {
        Self { body, encoder: Some(encoder), rest: Bytes::new(), prompt, held: false, trailers: None }
    }

    fn fail(&mut self, error: Error) -> Outcome {
        self.encoder = None;
        Poll::Ready(Some(Err(error)))
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Outcome {
        self.trailers = trailers.map(|mut trailers| {
            fields::remove_digests(&mut trailers);
            trailers
        });
        match self.encoder.take().map(Encoder::finish) {
            Some(Ok(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Err(error)) => self.fail(broken(error)),
            None => Poll::Ready(None),
        }
    }
}

fn broken(error: io::Error) -> Error {
    Error::new(Kind::Internal, "the response could not be compressed").cause(error)
}

/// What there is to send, if anything.
fn written(encoder: &mut Encoder, outcome: io::Result<()>) -> Option<Result<Bytes, Error>> {
    match outcome {
        Ok(()) => Some(Ok(encoder.take())).filter(|taken| !matches!(taken, Ok(bytes) if bytes.is_empty())),
        Err(error) => Some(Err(broken(error))),
    }
}

impl http_body::Body for Compressed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Outcome {
        let this = &mut *self;
        for _ in 0..TURN {
            let Some(encoder) = &mut this.encoder else {
                return Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            };
            let outcome = if this.rest.is_empty() {
                match Pin::new(&mut this.body).poll_frame(context) {
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => {
                            this.rest = data;
                            continue;
                        }
                        Err(frame) => return this.end(frame.into_trailers().ok()),
                    },
                    Poll::Ready(Some(Err(error))) => return this.fail(error),
                    Poll::Ready(None) => return this.end(None),
                    Poll::Pending if !(this.prompt && this.held) => return Poll::Pending,
                    Poll::Pending => {
                        this.held = false;
                        encoder.flush()
                    }
                }
            } else {
                let slice = this.rest.split_to(this.rest.len().min(SLICE));
                this.held = true;
                encoder.write(&slice)
            };
            match written(encoder, outcome) {
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Err(error)) => return this.fail(error),
                None => {}
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none() && self.trailers.is_none()
    }
}
