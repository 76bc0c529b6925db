//! An answer that is stored while it comes in: whoever asks for it meanwhile reads along. What is too long to be stored
//! goes on to those who read it already, no faster than the slowest of them takes it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;

use super::entry::Stored;
use crate::error::{Error, Kind};
use crate::protocol::body::Body;

/// Of content that is not stored, so much is read ahead of the slowest reader.
const AHEAD: u64 = 256 * 1024;

pub struct Filling {
    pub head: Arc<Stored>,
    length: Option<u64>,
    state: Mutex<State>,
}

struct State {
    /// Those that somebody may still want.
    pieces: std::collections::VecDeque<Bytes>,
    /// The number of the first of them.
    first: u64,
    /// Bytes so far.
    bytes: u64,
    end: Option<Result<(), Error>>,
    /// Too long to be stored: what all have read is dropped, and nobody joins any more.
    passing: bool,
    readers: Vec<Option<Place>>,
    pump: Option<Waker>,
}

/// A reader's.
struct Place {
    next: u64,
    bytes: u64,
    waker: Option<Waker>,
}

impl Filling {
    pub fn new(head: Arc<Stored>, length: Option<u64>) -> Arc<Self> {
        let state = State {
            pieces: Default::default(),
            first: 0,
            bytes: 0,
            end: None,
            passing: false,
            readers: Vec::new(),
            pump: None,
        };
        Arc::new(Self { head, length, state: Mutex::new(state) })
    }

    /// From its beginning; None where that is not kept any more.
    pub fn read(self: &Arc<Self>) -> Option<Reader> {
        let mut state = self.state.lock();
        if state.passing || matches!(state.end, Some(Err(_))) {
            return None;
        }
        let place = Some(Place { next: 0, bytes: 0, waker: None });
        let free = state.readers.iter().position(Option::is_none);
        let index = free.unwrap_or(state.readers.len());
        match free {
            Some(index) => state.readers[index] = place,
            None => state.readers.push(place),
        }
        drop(state);
        Some(Reader { filling: self.clone(), index, ended: false })
    }

    /// Reads the answer to its end: the whole content if it is at most `most` bytes. `passing` is called once it is longer.
    pub async fn fill(&self, mut body: Body, most: u64, passing: impl Fn()) -> Option<Bytes> {
        let _ending = Ending(self);
        loop {
            std::future::poll_fn(|context| self.poll_room(context)).await;
            if self.is_pointless() {
                return None;
            }
            match std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                Some(Ok(frame)) => {
                    // Trailers are dropped, which is always allowed (RFC 9110 §6.5.1).
                    if let Ok(data) = frame.into_data() {
                        if self.push(data, most) {
                            passing();
                        }
                    }
                }
                Some(Err(error)) => {
                    self.end(Err(error));
                    return None;
                }
                None => return self.whole(),
            }
        }
    }

    /// True when it has become too long by this piece.
    fn push(&self, data: Bytes, most: u64) -> bool {
        let mut state = self.state.lock();
        state.bytes += data.len() as u64;
        state.pieces.push_back(data);
        let turned = !state.passing && state.bytes > most;
        state.passing |= turned;
        state.forget();
        state.wake();
        turned
    }

    /// Not stored, and nobody reads it.
    fn is_pointless(&self) -> bool {
        let state = self.state.lock();
        state.passing && state.readers.iter().all(Option::is_none)
    }

    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        let slowest = state.readers.iter().flatten().map(|place| place.bytes).min();
        if !state.passing || slowest.is_none_or(|slowest| state.bytes - slowest <= AHEAD) {
            return Poll::Ready(());
        }
        state.pump = Some(context.waker().clone());
        Poll::Pending
    }

    /// The content in one piece, for the store.
    fn whole(&self) -> Option<Bytes> {
        let pieces: Vec<Bytes> = {
            let state = self.state.lock();
            if state.passing {
                drop(state);
                self.end(Ok(()));
                return None;
            }
            state.pieces.iter().cloned().collect()
        };
        let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
        pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        self.end(Ok(()));
        Some(whole.freeze())
    }

    fn end(&self, end: Result<(), Error>) {
        let mut state = self.state.lock();
        state.end.get_or_insert(end);
        state.wake();
    }
}

/// Whoever reads along is told, also where the worker that fills ends.
struct Ending<'a>(&'a Filling);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end(Err(Error::new(Kind::BadReply, "the service's response was not read to its end")));
    }
}

impl State {
    fn wake(&mut self) {
        self.readers.iter_mut().flatten().filter_map(|place| place.waker.take()).for_each(Waker::wake);
    }

    /// Drops what everybody has, where it is not to be stored.
    fn forget(&mut self) {
        if self.passing {
            let needed = self.readers.iter().flatten().map(|place| place.next).min();
            let needed = needed.unwrap_or(self.first + self.pieces.len() as u64);
            while self.first < needed && self.pieces.pop_front().is_some() {
                self.first += 1;
            }
            self.pump.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// The content as one client gets it.
pub struct Reader {
    filling: Arc<Filling>,
    index: usize,
    ended: bool,
}

impl http_body::Body for Reader {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let filling = self.filling.clone();
        let mut state = filling.state.lock();
        let State { pieces, first, end, readers, .. } = &mut *state;
        let Some(place) = readers.get_mut(self.index).and_then(Option::as_mut) else { return Poll::Ready(None) };
        if let Some(piece) = place.next.checked_sub(*first).and_then(|at| pieces.get(at as usize)).cloned() {
            place.next += 1;
            place.bytes += piece.len() as u64;
            state.forget();
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match end {
            None => {
                place.waker = Some(context.waker().clone());
                Poll::Pending
            }
            Some(end) => {
                let end = end.clone();
                drop(state);
                self.ended = true;
                Poll::Ready(end.err().map(Err))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.filling.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.filling.length == Some(0)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.filling.state.lock();
        if let Some(place) = state.readers.get_mut(self.index) {
            *place = None;
        }
        state.forget();
    }
}
