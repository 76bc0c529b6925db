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
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(Rc::new(Shared { stream: RefCell::new(stream), deaf: Cell::new(false) }))
    }

    /// True when the endpoint has neither closed nor sent anything: what it sent while idle must not be taken for the
    /// answer to the next request.
    pub(super) fn is_quiet(&self) -> bool {
        if self.0.deaf.get() {
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
            ready!(Pin::new(&mut *self.0.stream.borrow_mut()).poll_read(context, &mut buffer))?;
            into.put_slice(buffer.filled());
            Poll::Ready(Ok(()))
        })
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
