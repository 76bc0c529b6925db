//! An answer that is stored while it comes in: whoever asks for it meanwhile reads along. For the memory it is collected;
//! for the disk it is written block by block, and who lags behind reads what is written. What turns out not to be stored
//! goes on to those who read it already, no faster than the slowest of them takes it.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;

use super::content::Content;
use super::disk::{Disk, Following, GivenUp, Lost, Progress, Spool};
use super::entry::Stored;
use crate::error::{Error, Kind};
use crate::protocol::body::Body;

/// Of content that is not kept in memory, so much is read ahead of the slowest reader, or stays for the quick ones.
const AHEAD: u64 = 256 * 1024;

pub struct Filling {
    pub head: Arc<Stored>,
    length: Option<u64>,
    state: Mutex<State>,
}

struct State {
    /// Those that somebody may still want, and where each begins.
    pieces: VecDeque<(u64, Bytes)>,
    /// Bytes so far.
    bytes: u64,
    end: Option<Result<(), Error>>,
    /// Not stored: what all have read is dropped, and nobody joins any more.
    passing: bool,
    /// What is on the disk of it, if it was meant for that.
    written: Option<Arc<Progress>>,
    readers: Vec<Option<Place>>,
    pump: Option<Waker>,
}

/// A reader's.
struct Place {
    at: u64,
    waker: Option<Waker>,
}

/// What is to become of an answer.
pub struct Plan<'a> {
    /// Longer content is not stored.
    pub most: u64,
    /// Content of at least so many bytes is for the disk.
    pub from: u64,
    pub disk: &'a dyn Fn() -> Option<Arc<Disk>>,
    /// Whether the disk has room, others having given way.
    pub room: &'a dyn Fn() -> bool,
    /// Called once it is clear that it is not stored.
    pub passing: &'a dyn Fn(),
}

impl Filling {
    pub fn new(head: Arc<Stored>, length: Option<u64>) -> Arc<Self> {
        let state = State {
            pieces: VecDeque::new(),
            bytes: 0,
            end: None,
            passing: false,
            written: None,
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
        let place = Some(Place { at: 0, waker: None });
        let free = state.readers.iter().position(Option::is_none);
        let index = free.unwrap_or(state.readers.len());
        match free {
            Some(index) => state.readers[index] = place,
            None => state.readers.push(place),
        }
        drop(state);
        let following = Following { file: None, next: None };
        Some(Reader { filling: self.clone(), index, end: self.length, ended: false, following })
    }

    /// Reads the answer to its end: the whole content, if it is to be stored.
    pub async fn fill(&self, mut body: Body, plan: Plan<'_>) -> Option<Content> {
        let _ending = Ending(self);
        let mut spool = None;
        if self.length.is_some_and(|length| length >= plan.from) {
            spool = self.spool(&plan).await;
        }
        loop {
            std::future::poll_fn(|context| self.poll_room(context)).await;
            if self.is_pointless() {
                return None;
            }
            match std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                Some(Ok(frame)) => {
                    // Trailers are dropped, which is always allowed (RFC 9110 §6.5.1).
                    let Ok(data) = frame.into_data() else { continue };
                    let bytes = self.push(data.clone());
                    if self.is_passing() {
                        continue;
                    }
                    if bytes > plan.most {
                        spool = None;
                        self.pass(&plan);
                    } else if let Some(writing) = &mut spool {
                        match writing.write(&data).await {
                            Ok(()) if (plan.room)() => self.state.lock().forget(),
                            _ => {
                                spool = None;
                                self.pass(&plan);
                            }
                        }
                    } else if bytes >= plan.from {
                        spool = self.spool(&plan).await;
                    }
                }
                Some(Err(error)) => {
                    self.end(Err(error));
                    return None;
                }
                None => {
                    let whole = self.whole();
                    self.end(Ok(()));
                    return match spool {
                        Some(spool) => spool.finish().await.ok().map(Content::Disk),
                        None => whole.map(Content::Memory),
                    };
                }
            }
        }
    }

    /// From now on it is written, what has come so far first; None: it is not stored.
    async fn spool(&self, plan: &Plan<'_>) -> Option<Spool> {
        let pieces = {
            let mut state = self.state.lock();
            let spool = (plan.disk)().and_then(|disk| Spool::begin(&disk));
            state.written = spool.as_ref().map(|spool| spool.progress.clone());
            spool.map(|spool| (spool, state.pieces.clone()))
        };
        let outcome = match pieces {
            None => Err(GivenUp),
            Some((mut spool, pieces)) => {
                let mut outcome = Ok(());
                for (_, piece) in pieces {
                    outcome = spool.write(&piece).await;
                    if outcome.is_err() {
                        break;
                    }
                }
                outcome.map(|()| spool)
            }
        };
        if outcome.is_err() {
            self.pass(plan);
        }
        outcome.ok()
    }

    fn push(&self, data: Bytes) -> u64 {
        let mut state = self.state.lock();
        let at = state.bytes;
        state.bytes += data.len() as u64;
        state.pieces.push_back((at, data));
        state.forget();
        state.wake();
        state.bytes
    }

    fn pass(&self, plan: &Plan<'_>) {
        let mut state = self.state.lock();
        state.passing = true;
        state.forget();
        drop(state);
        (plan.passing)();
    }

    fn is_passing(&self) -> bool {
        self.state.lock().passing
    }

    /// Not stored, and nobody reads it.
    fn is_pointless(&self) -> bool {
        let state = self.state.lock();
        state.passing && state.readers.iter().all(Option::is_none)
    }

    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        let slowest = state.readers.iter().flatten().map(|place| place.at).min();
        if !state.passing || slowest.is_none_or(|slowest| state.bytes.saturating_sub(slowest) <= AHEAD) {
            return Poll::Ready(());
        }
        state.pump = Some(context.waker().clone());
        Poll::Pending
    }

    /// The content in one piece, where it is collected in memory to be stored.
    fn whole(&self) -> Option<Bytes> {
        let pieces: Vec<Bytes> = {
            let state = self.state.lock();
            if state.passing || state.written.is_some() {
                return None;
            }
            state.pieces.iter().map(|(_, piece)| piece.clone()).collect()
        };
        let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
        pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
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

    /// Drops what nobody needs in memory any more. Not, while it is collected there.
    fn forget(&mut self) {
        let slowest = self.readers.iter().flatten().map(|place| place.at).min().unwrap_or(self.bytes);
        let needed = match &self.written {
            _ if self.passing => slowest,
            // What is written can be read there, by whoever lags far behind.
            Some(written) => written.readable().0.min(slowest.max(self.bytes.saturating_sub(AHEAD))),
            None => return,
        };
        while self.pieces.front().is_some_and(|(at, piece)| at + piece.len() as u64 <= needed) {
            self.pieces.pop_front();
        }
        self.pump.take().into_iter().for_each(Waker::wake);
    }

    /// What lies at that place in memory, from there on.
    fn piece(&self, at: u64) -> Option<Bytes> {
        let index = self.pieces.partition_point(|(begin, _)| *begin <= at).checked_sub(1)?;
        let (begin, piece) = self.pieces.get(index)?;
        let from = usize::try_from(at - begin).ok().filter(|from| *from < piece.len())?;
        Some(piece.slice(from..))
    }
}

/// The content as one client gets it.
pub struct Reader {
    filling: Arc<Filling>,
    index: usize,
    /// Where it ends, if that is known.
    end: Option<u64>,
    ended: bool,
    /// Of the file, where it lags behind.
    following: Following,
}

impl Reader {
    pub fn length(&self) -> Option<u64> {
        self.filling.length
    }

    /// No more than that of it is wanted. Before it is read.
    pub fn cut(&mut self, range: &Range<u64>) {
        self.end = Some(range.end);
        if let Some(Some(place)) = self.filling.state.lock().readers.get_mut(self.index) {
            place.at = range.start;
        }
    }

    fn at(&self) -> u64 {
        let state = self.filling.state.lock();
        state.readers.get(self.index).and_then(Option::as_ref).map_or(0, |place| place.at)
    }

    /// What is not in memory any more.
    fn poll_file(
        &mut self,
        context: &mut Context<'_>,
        written: &Progress,
        wanted: Range<u64>,
    ) -> Poll<Result<Bytes, Error>> {
        let (readable, file) = written.readable();
        if self.following.file.is_none() {
            self.following.file = file;
        }
        let wanted = wanted.start..wanted.end.min(readable);
        let data = ready!(self.following.poll(context, &written.disk, written.id, readable, &wanted));
        let torn = |Lost| Error::new(Kind::BadReply, "what is stored of the response cannot be read");
        Poll::Ready(data.map_err(torn).and_then(|data| match data.is_empty() {
            true => Err(torn(Lost)),
            false => Ok(data),
        }))
    }
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
        let Some(at) = state.readers.get(self.index).and_then(Option::as_ref).map(|place| place.at) else {
            return Poll::Ready(None);
        };
        let left = self.end.map(|end| end.saturating_sub(at));
        // A cut one does not wait for what comes behind it.
        if left == Some(0) && self.end != filling.length {
            self.ended = true;
            return Poll::Ready(None);
        }
        let mut piece = state.piece(at);
        if piece.is_none() && at < state.bytes {
            let (written, end) = (state.written.clone(), state.bytes);
            drop(state);
            let lost = || Error::new(Kind::Internal, "a part of the response is not kept");
            let read = match written {
                Some(written) => ready!(self.poll_file(context, &written, at..end)),
                None => Err(lost()),
            };
            match read {
                Ok(data) => piece = Some(data),
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            state = filling.state.lock();
        }
        let State { end, readers, .. } = &mut *state;
        let Some(place) = readers.get_mut(self.index).and_then(Option::as_mut) else { return Poll::Ready(None) };
        if let Some(mut piece) = piece {
            if let Some(left) = left.filter(|_| self.end != filling.length).and_then(|left| usize::try_from(left).ok())
            {
                piece.truncate(left);
            }
            place.at += piece.len() as u64;
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
        self.end.map_or_else(SizeHint::default, |end| SizeHint::with_exact(end.saturating_sub(self.at())))
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
