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
    /// A part of it, which answers for ranges within alone (RFC 9111 §3.3).
    Part(Part),
}

/// `bytes` from `first` on, of `total`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub first: u64,
    pub bytes: Bytes,
    pub total: u64,
}

impl Part {
    pub fn end(&self) -> u64 {
        self.first + self.bytes.len() as u64
    }

    pub fn holds(&self, range: &Range<u64>) -> bool {
        self.first <= range.start && range.end <= self.end()
    }

    /// Both in one, where they touch: the other's bytes where both have them.
    pub fn joined(&self, newer: &Part) -> Option<Part> {
        if self.total != newer.total || self.end() < newer.first || newer.end() < self.first {
            return None;
        }
        let first = self.first.min(newer.first);
        let mut bytes = BytesMut::with_capacity((self.end().max(newer.end()) - first) as usize);
        if self.first < newer.first {
            bytes.extend_from_slice(&self.bytes[..(newer.first - self.first) as usize]);
        }
        bytes.extend_from_slice(&newer.bytes);
        if self.end() > newer.end() {
            bytes.extend_from_slice(&self.bytes[(newer.end() - self.first) as usize..]);
        }
        Some(Part { first, bytes: bytes.freeze(), total: self.total })
    }

    /// The whole, if it is that.
    pub fn content(self) -> Content {
        match self.bytes.len() as u64 == self.total {
            true => Content::Memory(self.bytes),
            false => Content::Part(self),
        }
    }
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
            Content::Part(part) => part.total,
        }
    }

    /// What it takes of the memory.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Content::Memory(bytes) => bytes.len(),
            Content::Disk(_) => 0,
            Content::Part(part) => part.bytes.len(),
        }
    }

    pub fn kept(&self) -> Option<&Arc<Kept>> {
        match self {
            Content::Memory(_) | Content::Part(_) => None,
            Content::Disk(kept) => Some(kept),
        }
    }

    pub fn part(&self) -> Option<&Part> {
        match self {
            Content::Part(part) => Some(part),
            Content::Memory(_) | Content::Disk(_) => None,
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
        match self {
            Content::Memory(whole) => Ok(Body::full(whole.clone())),
            _ => self.pieces(vec![Piece::Part(0..self.length())]).await,
        }
    }

    /// One after another. Of a file the first is read before it says that it can be.
    pub async fn pieces(&self, pieces: Vec<Piece>) -> Result<Body, Lost> {
        match self {
            Content::Memory(whole) => Ok(Body::full(joined(whole, 0, &pieces))),
            Content::Part(part) => {
                let within = |piece: &Piece| matches!(piece, Piece::Part(range) if !part.holds(range));
                match pieces.iter().any(within) {
                    true => Err(Lost),
                    false => Ok(Body::full(joined(&part.bytes, part.first, &pieces))),
                }
            }
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

/// `first`: what lies before.
fn joined(whole: &Bytes, first: u64, pieces: &[Piece]) -> Bytes {
    let of = |range: &Range<u64>| whole.slice((range.start - first) as usize..(range.end - first) as usize);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(whole: &[u8], range: Range<usize>) -> Part {
        let bytes = Bytes::copy_from_slice(&whole[range.clone()]);
        Part { first: range.start as u64, bytes, total: whole.len() as u64 }
    }

    proptest! {
        /// In whatever order parts of one come: what is joined is a part of it, and the whole once all is there.
        #[test]
        fn joined_parts_are_a_part_of_the_same(
            whole in prop::collection::vec(any::<u8>(), 1..40),
            cuts in prop::collection::vec((0usize..40, 1usize..40), 2..12),
        ) {
            let mut known: Option<Part> = None;
            let mut covered = vec![false; whole.len()];
            for (first, length) in cuts {
                let first = first % whole.len();
                let end = (first + length).min(whole.len());
                let new = part(&whole, first..end);
                let joined = known.as_ref().and_then(|known| known.joined(&new));
                if joined.is_none() {
                    covered.fill(false);
                }
                covered[first..end].fill(true);
                let now = joined.unwrap_or(new);
                let at = now.first as usize;
                prop_assert_eq!(&now.bytes[..], &whole[at..now.end() as usize]);
                prop_assert_eq!(now.bytes.len(), covered.iter().filter(|one| **one).count());
                let complete = matches!(now.clone().content(), Content::Memory(bytes) if bytes == whole);
                prop_assert_eq!(complete, covered.iter().all(|one| *one));
                known = Some(now);
            }
        }
    }
}
