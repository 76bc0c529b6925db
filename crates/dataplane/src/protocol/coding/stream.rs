//! A stream that is plain while it comes in.

use std::pin::Pin;
use std::task::{ready, Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::Frame;

use super::decoder::Decoder;
use super::{Coding, Fault};
use crate::error::{Error, Kind};
use crate::protocol::body::Body;

/// Of the coded stream that is decoded at once.
const PIECE: usize = 1024;
/// What may come of that: twice what gzip can make of it, so only what was made to expand is refused.
pub const PIECE_BYTES: usize = 2 * 1024 * 1024;

pub struct Decoded {
    body: Body,
    coding: Coding,
    decoder: Option<Decoder>,
    waiting: BytesMut,
    ended: bool,
    trailers: Option<http::HeaderMap>,
}

impl Decoded {
    pub fn new(body: Body, coding: Coding) -> Self {
        Self { body, coding, decoder: None, waiting: BytesMut::new(), ended: false, trailers: None }
    }

    /// Of what waits, the next piece; empty where nothing has come of it yet.
    fn piece(&mut self) -> Result<Vec<u8>, Fault> {
        let piece = self.waiting.split_to(PIECE.min(self.waiting.len()));
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            None => self.decoder.insert(Decoder::new(self.coding, &piece, PIECE_BYTES)?),
        };
        decoder.write(&piece)?;
        decoder.flush()?;
        Ok(decoder.take())
    }

    fn outcome(&mut self, outcome: Result<Vec<u8>, Fault>) -> Option<Result<Frame<Bytes>, Error>> {
        match outcome {
            Ok(plain) if plain.is_empty() => None,
            Ok(plain) => Some(Ok(Frame::data(plain.into()))),
            Err(fault) => {
                (self.ended, self.decoder, self.body) = (true, None, Body::empty());
                self.waiting.clear();
                let detail = match fault {
                    Fault::Damaged => "the service's stream is not what its Content-Encoding says",
                    Fault::TooLarge => "the service's stream expands to more than is taken at once",
                };
                Some(Err(Error::new(Kind::BadReply, detail)))
            }
        }
    }
}

impl http_body::Body for Decoded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            if !this.waiting.is_empty() {
                let outcome = this.piece();
                if let Some(frame) = this.outcome(outcome) {
                    return Poll::Ready(Some(frame));
                }
                continue;
            }
            if this.ended {
                if let Some(decoder) = this.decoder.take() {
                    let outcome = decoder.finish();
                    if let Some(frame) = this.outcome(outcome) {
                        return Poll::Ready(Some(frame));
                    }
                }
                return Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.waiting.extend_from_slice(&data),
                    Err(frame) => (this.ended, this.trailers) = (true, frame.into_trailers().ok()),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => this.ended = true,
            }
        }
    }
}
