//! The bytes of one connection, in and out. Its driver and the body of the request at hand take turns at it; they are
//! polled by the same task. An idle connection holds no buffer.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::{pin, Pin};
use std::rc::Rc;
use std::task::{ready, Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http::request;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::timeouts::{Phase, Timeouts};
use crate::error::{Error, Kind};
use crate::head::reader::{Found, Reader};
use crate::head::{self, Facts};
use crate::protocol::link::Link;
use crate::protocol::spare;
use crate::transport::Stream;

/// Bytes taken from a socket at once while a head is waited for; one buffer for all connections of a worker.
const SCRATCH: usize = 64 * 1024;

/// A body is read in pieces that grow up to this.
const LARGEST_READ: usize = 256 * 1024;
const FIRST_READ: usize = 16 * 1024;

/// A head and a small body without growing.
const HEAD: usize = 1024;
/// Buffers that a worker keeps for responses to come, and how large one may have grown.
const SPARES: usize = 64;
const LARGEST_SPARE: usize = 4 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
    /// What responses are written into, lent to one after another.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Wire {
    pub(super) link: Rc<Link>,
    pub(super) stream: RefCell<Stream>,
    /// Read and not yet used.
    incoming: RefCell<BytesMut>,
    /// Written by the codec and not yet by the socket.
    outgoing: RefCell<Vec<u8>>,
    reader: RefCell<Reader>,
    timeouts: RefCell<Timeouts>,
    /// The client has shut its sending side.
    ended: Cell<bool>,
    next_read: Cell<usize>,
}

/// What comes next on a connection.
// Looked at once: a box would cost more than the move.
#[allow(clippy::large_enum_variant)]
pub(super) enum Next {
    Request(request::Parts, Facts),
    /// With as much of the head as was good.
    Refused(request::Parts, Error),
    /// The client has nothing more to say, or took too long to say it.
    End,
}

impl Wire {
    pub(super) fn new(stream: Stream, link: Rc<Link>) -> Rc<Self> {
        Rc::new(Self {
            link,
            stream: RefCell::new(stream),
            incoming: RefCell::default(),
            outgoing: RefCell::default(),
            reader: RefCell::default(),
            timeouts: RefCell::new(Timeouts::new()),
            ended: Cell::new(false),
            next_read: Cell::new(FIRST_READ),
        })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// The next head, read from the start of what has come.
    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Next> {
        let connection = &self.link.connection;
        connection.watch(context);
        loop {
            if let Some(next) = self.buffered() {
                return Poll::Ready(next);
            }
            match self.poll_head(context) {
                Poll::Ready(Ok(Some(next))) => return Poll::Ready(next),
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Next::End),
                Poll::Pending => {
                    let idle = self.incoming.borrow().is_empty();
                    if idle && connection.is_draining() {
                        return Poll::Ready(Next::End);
                    }
                    ready!(self.timeouts.borrow_mut().poll(&connection.listener.limits, context));
                    if idle {
                        return Poll::Ready(Next::End);
                    }
                    let late = Error::new(Kind::RequestTimeout, "The head did not arrive in time");
                    return Poll::Ready(Next::Refused(empty_head(), late));
                }
            }
        }
    }

    /// A head among the bytes that wait.
    fn buffered(&self) -> Option<Next> {
        let mut incoming = self.incoming.borrow_mut();
        loop {
            if incoming.is_empty() {
                // Its memory must not be held while the connection is idle.
                *incoming = BytesMut::new();
                return None;
            }
            match self.reader.borrow_mut().find(&incoming, &self.link.connection.listener.bounds) {
                Ok(Found::Head(length)) => return Some(self.parse(incoming.split_to(length).freeze())),
                Ok(Found::Blank(length)) => incoming.advance(length),
                Ok(Found::More) => {
                    self.timeouts.borrow_mut().note(Phase::Head);
                    return None;
                }
                Err(error) => return Some(Next::Refused(empty_head(), error)),
            }
        }
    }

    /// Reads once. A head that comes whole is taken from where it lies.
    fn poll_head(&self, context: &mut Context<'_>) -> Poll<io::Result<Option<Next>>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *self.stream.borrow_mut()).poll_read(context, &mut buffer))?;
            let bytes = buffer.filled();
            if bytes.is_empty() {
                self.ended.set(true);
                return Poll::Ready(Ok(Some(Next::End)));
            }
            let mut incoming = self.incoming.borrow_mut();
            if incoming.is_empty() {
                match self.reader.borrow_mut().find(bytes, &self.link.connection.listener.bounds) {
                    Ok(Found::Head(length)) => {
                        let (head, rest) = bytes.split_at(length);
                        incoming.extend_from_slice(rest);
                        return Poll::Ready(Ok(Some(self.parse(Bytes::copy_from_slice(head)))));
                    }
                    Ok(Found::Blank(length)) => incoming.extend_from_slice(&bytes[length..]),
                    Ok(Found::More) => incoming.extend_from_slice(bytes),
                    Err(error) => return Poll::Ready(Ok(Some(Next::Refused(empty_head(), error)))),
                }
                return Poll::Ready(Ok(None));
            }
            incoming.extend_from_slice(bytes);
            Poll::Ready(Ok(None))
        })
    }

    fn parse(&self, head: Bytes) -> Next {
        let mut parts = empty_head();
        parts.headers = spare::take();
        self.timeouts.borrow_mut().note(Phase::Body);
        match head::parse(&head, &self.link.connection.listener.bounds, &mut parts) {
            Ok(facts) => Next::Request(parts, facts),
            Err(error) => Next::Refused(parts, error),
        }
    }

    /// The exchange is over: the next thing to come is a head.
    pub(super) fn settle(&self) {
        self.next_read.set(FIRST_READ);
        self.timeouts.borrow_mut().note(Phase::Idle);
    }

    /// Lets `take` have what has come, until it has enough.
    pub(super) fn with_incoming<T>(&self, take: impl FnOnce(&mut BytesMut) -> T) -> T {
        take(&mut self.incoming.borrow_mut())
    }

    /// More of a body, of which `left` bytes are known to come; 0 at the client's end.
    pub(super) fn poll_fill(&self, left: usize, context: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        let mut incoming = self.incoming.borrow_mut();
        let size = self.next_read.get();
        incoming.reserve(size.min(left.max(1)));
        let read = {
            let mut stream = self.stream.borrow_mut();
            let reading = pin!(stream.read_buf(&mut *incoming));
            reading.poll(context)
        };
        match read {
            Poll::Ready(Ok(count)) => {
                if count >= size {
                    self.next_read.set((4 * size).min(LARGEST_READ));
                }
                if count == 0 {
                    self.ended.set(true);
                }
                self.timeouts.borrow_mut().note(Phase::Body);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => {
                Poll::Ready(Err(Error::new(Kind::ClientGone, "The client went away during its request").cause(error)))
            }
            Poll::Pending => {
                ready!(self.timeouts.borrow_mut().poll(&self.link.connection.listener.limits, context));
                Poll::Ready(Err(Error::new(Kind::RequestTimeout, "The body did not arrive in time")))
            }
        }
    }

    /// What has come, whatever it is; None at the client's end.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let held = std::mem::take(&mut *self.incoming.borrow_mut());
        if !held.is_empty() {
            return Poll::Ready(Ok(Some(held.freeze())));
        }
        let data = ready!(self.stream.borrow_mut().poll_take(context))?;
        self.ended.set(data.is_empty());
        Poll::Ready(Ok((!data.is_empty()).then_some(data)))
    }

    /// Writes what waits and tells the client that nothing follows.
    pub(super) fn poll_finish(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write(&mut Bytes::new(), context))?;
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(context)
    }

    /// Adds to what is to be written.
    pub(super) fn write<T>(&self, add: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut outgoing = self.outgoing.borrow_mut();
        if outgoing.capacity() == 0 {
            *outgoing = SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(HEAD));
        }
        add(&mut outgoing)
    }

    pub(super) fn has_outgoing(&self) -> bool {
        !self.outgoing.borrow().is_empty()
    }

    /// Writes all that waits, then `data`, which is advanced. Ready when nothing is left.
    pub(super) fn poll_write(&self, data: &mut Bytes, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outgoing = self.outgoing.borrow_mut();
        let mut stream = self.stream.borrow_mut();
        let mut stream = Pin::new(&mut *stream);
        let mut done = 0;
        let result = loop {
            let waiting = &outgoing[done..];
            let written = match (waiting.is_empty(), data.is_empty()) {
                (true, true) => break Poll::Ready(Ok(())),
                (false, true) => stream.as_mut().poll_write(context, waiting),
                (true, false) => stream.as_mut().poll_write(context, data),
                (false, false) => {
                    let both = [io::IoSlice::new(waiting), io::IoSlice::new(data)];
                    stream.as_mut().poll_write_vectored(context, &both)
                }
            };
            match written {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    let head = count.min(outgoing.len() - done);
                    done += head;
                    data.advance(count - head);
                }
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        if done == outgoing.len() {
            outgoing.clear();
            let spare = std::mem::take(&mut *outgoing);
            SPARE.with_borrow_mut(|buffers| {
                if buffers.len() < SPARES && (HEAD..=LARGEST_SPARE).contains(&spare.capacity()) {
                    buffers.push(spare);
                }
            });
        } else {
            outgoing.drain(..done);
        }
        ready!(result)?;
        stream.poll_flush(context)
    }
}

impl Wire {
    /// Ends the connection in order: nothing more is read from it, and the client keeps what it was sent.
    pub(super) async fn close(self: Rc<Self>) {
        if let Ok(wire) = Rc::try_unwrap(self) {
            wire.stream.into_inner().linger().await;
        }
    }
}

fn empty_head() -> request::Parts {
    http::Request::new(()).into_parts().0
}
