//! A TCP connection to an endpoint as hyper reads and writes it, shared with the pool, which looks at the socket before
//! it lends the connection again.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::interim::{self, Begins, Interim};

/// Bytes taken from a socket at once. hyper offers uninitialised memory that safe code cannot read into, so all
/// connections of a worker share this buffer and pay one copy.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

#[derive(Clone)]
pub(super) struct Socket(Rc<Shared>);

struct Shared {
    stream: RefCell<TcpStream>,
    /// The endpoint takes no more bytes. It may have answered before it stopped, so writes go nowhere from then on and
    /// reading decides: hyper would fail the exchange with the answer still unread.
    deaf: Cell<bool>,
    interim: Rc<Interim>,
    /// Bytes that may be or that follow an interim head. Empty for all but few connections.
    held: RefCell<Vec<u8>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, interim: Rc<Interim>) -> Self {
        Self(Rc::new(Shared {
            stream: RefCell::new(stream),
            deaf: Cell::new(false),
            interim,
            held: RefCell::default(),
        }))
    }

    /// True when the endpoint has neither closed nor sent anything: what it sent while idle must not be taken for the
    /// answer to the next request.
    pub(super) fn is_quiet(&self) -> bool {
        if self.0.deaf.get() || !self.0.held.borrow().is_empty() {
            return false;
        }
        let stream = self.0.stream.borrow();
        let mut byte = [MaybeUninit::uninit(); 1];
        matches!(socket2::SockRef::from(&*stream).peek(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Shared {
    fn unless_deaf(&self, written: Poll<io::Result<usize>>, length: impl Fn() -> usize) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Err(error))
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                self.deaf.set(true);
                Poll::Ready(Ok(length()))
            }
            written => written,
        }
    }
}

impl Read for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, mut into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        BUFFER.with_borrow_mut(|buffer| {
            let size = into.remaining().min(buffer.len());
            let mut buffer = ReadBuf::new(&mut buffer[..size]);
            if !self.0.held.borrow().is_empty() && !self.0.interim.is_awaiting() {
                return Poll::Ready(self.0.give_held(&mut into));
            }
            loop {
                ready!(Pin::new(&mut *self.0.stream.borrow_mut()).poll_read(context, &mut buffer))?;
                if !self.0.interim.is_awaiting() {
                    into.put_slice(buffer.filled());
                    return Poll::Ready(Ok(()));
                }
                if self.0.held.borrow().is_empty() && interim::is_plainly_final(buffer.filled()) {
                    self.0.interim.final_head_begins();
                    into.put_slice(buffer.filled());
                    return Poll::Ready(Ok(()));
                }
                if self.0.hold(buffer.filled()) {
                    return Poll::Ready(self.0.give_held(&mut into));
                }
                buffer.clear();
            }
        })
    }
}

impl Shared {
    /// Takes interim heads out of what has come; true when the rest is for hyper.
    #[cold]
    fn hold(&self, bytes: &[u8]) -> bool {
        let mut held = self.held.borrow_mut();
        held.extend_from_slice(bytes);
        loop {
            match interim::examine(&held) {
                Begins::Interim(status, headers, length) => {
                    held.drain(..length);
                    self.interim.received(status, headers);
                }
                Begins::Partial if !bytes.is_empty() && held.len() < SCRATCH => return false,
                Begins::Partial | Begins::Other => {
                    self.interim.final_head_begins();
                    return true;
                }
            }
        }
    }

    #[cold]
    fn give_held(&self, into: &mut ReadBufCursor<'_>) -> io::Result<()> {
        let mut held = self.held.borrow_mut();
        let count = held.len().min(into.remaining());
        into.put_slice(&held[..count]);
        held.drain(..count);
        Ok(())
    }
}

impl Write for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.0.deaf.get() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut *self.0.stream.borrow_mut()).poll_write(context, bytes);
        self.0.unless_deaf(written, || bytes.len())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.stream.borrow_mut()).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = || buffers.iter().map(|buffer| buffer.len()).sum();
        if self.0.deaf.get() {
            return Poll::Ready(Ok(length()));
        }
        let written = Pin::new(&mut *self.0.stream.borrow_mut()).poll_write_vectored(context, buffers);
        self.0.unless_deaf(written, length)
    }
}
