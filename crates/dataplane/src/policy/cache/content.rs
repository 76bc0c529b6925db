//! The content of a stored response, in memory or in a file, and what a client gets of it.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::disk::{Kept, Lost, Reading};
use crate::error::{Error, Kind};
use crate::protocol::body::Body;

#[derive(Clone)]
pub enum Content {
    Memory(Bytes),
    Disk(Arc<Kept>),
}

/// What of it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// What stands between parts.
    Text(Bytes),
    Part(Range<u64>),
}

impl Content {
    pub fn length(&self) -> u64 {
        match self {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::Disk(kept) => kept.length,
        }
    }

    /// What it takes of the memory.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Content::Memory(bytes) => bytes.len(),
            Content::Disk(_) => 0,
        }
    }

    pub fn kept(&self) -> Option<&Arc<Kept>> {
        match self {
            Content::Memory(_) => None,
            Content::Disk(kept) => Some(kept),
        }
    }

    /// It is not kept any more, unless `instead` is the same.
    pub fn retire(&self, instead: Option<&Content>) {
        let same = |kept: &Kept| instead.and_then(Content::kept).is_some_and(|other| other.id == kept.id);
        if let Some(kept) = self.kept().filter(|kept| !same(kept)) {
            kept.retire();
        }
    }

    pub async fn whole(&self) -> Result<Body, Lost> {
        self.pieces(vec![Piece::Part(0..self.length())]).await
    }

    /// One after another. Of a file the first is read before it says that it can be.
    pub async fn pieces(&self, pieces: Vec<Piece>) -> Result<Body, Lost> {
        match self {
            Content::Memory(whole) => Ok(Body::full(joined(whole, &pieces))),
            Content::Disk(kept) => {
                let mut sources = VecDeque::new();
                for piece in pieces {
                    sources.push_back(match piece {
                        Piece::Text(text) => Source::Text(text),
                        Piece::Part(range) => Source::File(kept.open(range).await?),
                    });
                }
                Ok(Body::stream(Chain(sources)))
            }
        }
    }
}

fn joined(whole: &Bytes, pieces: &[Piece]) -> Bytes {
    let of = |range: &Range<u64>| whole.slice(range.start as usize..range.end as usize);
    if let [Piece::Part(range)] = pieces {
        return of(range);
    }
    let mut joined = BytesMut::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => joined.extend_from_slice(text),
            Piece::Part(range) => joined.extend_from_slice(&of(range)),
        }
    }
    joined.freeze()
}

enum Source {
    Text(Bytes),
    File(Reading),
}

struct Chain(VecDeque<Source>);

impl http_body::Body for Chain {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        while let Some(first) = self.0.front_mut() {
            let data = match first {
                Source::Text(text) => std::mem::take(text),
                Source::File(reading) => match ready!(reading.poll_block(context)) {
                    Some(Ok(data)) => data,
                    Some(Err(Lost)) => {
                        self.0.clear();
                        let torn = Error::new(Kind::BadReply, "what is stored of the response cannot be read");
                        return Poll::Ready(Some(Err(torn)));
                    }
                    None => Bytes::new(),
                },
            };
            if data.is_empty() {
                self.0.pop_front();
            } else {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        let left = |source: &Source| match source {
            Source::Text(text) => text.len() as u64,
            Source::File(reading) => reading.left(),
        };
        SizeHint::with_exact(self.0.iter().map(left).sum())
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}
