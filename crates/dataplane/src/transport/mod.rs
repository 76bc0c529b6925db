//! How bytes travel between the gateway and a client or an endpoint. Whoever reads and writes does not see which kind of
//! stream it is.

pub mod proxy_protocol;
pub mod tls;
pub mod unix;

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use tls::TlsStream;

/// Between two looks at the beginning of a connection that has not come whole.
const PARTIAL: Duration = Duration::from_millis(5);

/// How much of what the other side still sends is read after our last words, and for how long.
const LINGER_BYTES: usize = 256 * 1024;
pub const LINGER: Duration = Duration::from_secs(1);

/// Bytes that are read at once of what is only passed on.
const PIECE: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; PIECE].into_boxed_slice());
}

/// An open connection, downstream or upstream.
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(TlsStream),
}

/// What a look at the socket shows, with nothing taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Nothing has come.
    Quiet,
    /// Bytes wait to be read.
    Bytes,
    /// The other side has shut its sending side.
    End,
    /// The connection is broken.
    Broken,
}

impl Stream {
    /// A handshake of TLS has chosen HTTP/2 (RFC 7301).
    pub fn is_http2(&self) -> bool {
        match self {
            Stream::Tls(stream) => stream.is_http2(),
            Stream::Tcp(_) | Stream::Unix(_) => false,
        }
    }

    /// Looks at what the kernel holds now, whatever the runtime knows of it.
    pub fn look(&self) -> Sight {
        match self {
            Stream::Tcp(stream) => see(stream),
            Stream::Unix(stream) => see(stream),
            Stream::Tls(stream) => stream.look(),
        }
    }

    /// Looks and waits while it is quiet: the task is woken when that changes.
    pub fn poll_look(&self, context: &mut Context<'_>) -> Poll<Sight> {
        loop {
            let ready = match self {
                Stream::Tcp(stream) => stream.poll_read_ready(context),
                Stream::Unix(stream) => stream.poll_read_ready(context),
                Stream::Tls(stream) => return stream.poll_look(context),
            };
            match ready {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(Sight::Broken),
                Poll::Ready(Ok(())) => {}
            }
            match self.look() {
                // The runtime forgets its readiness only when it is told that there was none.
                Sight::Quiet => self.forget_readiness(),
                sight => return Poll::Ready(sight),
            }
        }
    }

    /// Whether what comes begins with `prefix`; false also where it ends too early. Nothing is taken.
    pub async fn begins_with(&self, prefix: &[u8]) -> bool {
        let mut bytes = [0; 32];
        let wanted = prefix.len().min(bytes.len());
        loop {
            std::future::poll_fn(|context| self.poll_look(context)).await;
            match self.peek(&mut bytes[..wanted]) {
                Ok(0) => return false,
                Ok(count) if bytes[..count] != prefix[..count] => return false,
                Ok(count) if count == wanted => return true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
            // Readiness tells of bytes and not of more bytes.
            tokio::time::sleep(PARTIAL).await;
        }
    }

    fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let peek = RecvFlags::PEEK;
        let (count, _) = match self {
            Stream::Tcp(stream) => rustix::net::recv(stream, bytes, peek),
            Stream::Unix(stream) => rustix::net::recv(stream, bytes, peek),
            // The protocol has been agreed on by ALPN; nobody asks.
            Stream::Tls(_) => return Err(io::ErrorKind::Unsupported.into()),
        }?;
        Ok(count)
    }

    /// Shuts our side and reads what the other side still sends, within bounds: closing with unread bytes would reset the
    /// connection and could take our last words with it (RFC 9112 §9.6).
    pub async fn linger(&mut self) {
        let mut lingering = Lingering::default();
        let ended = std::future::poll_fn(|context| lingering.poll(self, context));
        let _ended = tokio::time::timeout(LINGER, ended).await;
    }

    /// Lets the other side see a broken connection, not an orderly end, when this one is dropped.
    pub fn reset(&self) {
        // Without it the end looks orderly; nothing else can be done about that.
        let reset = |stream: &TcpStream| {
            let _unset = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        };
        match self {
            Stream::Tcp(stream) => reset(stream),
            Stream::Tls(stream) => stream.with_socket(reset),
            Stream::Unix(_) => {}
        }
    }

    /// Reads once, as much as there is up to `PIECE`; empty at the other side's end. Nothing is held while nothing comes.
    pub fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(self).poll_read(context, &mut buffer))?;
            Poll::Ready(Ok(Bytes::copy_from_slice(buffer.filled())))
        })
    }

    /// Writes all of `data`, which is advanced.
    pub fn poll_give(&mut self, data: &mut Bytes, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !data.is_empty() {
            match ready!(Pin::new(&mut *self).poll_write(context, data))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => data.advance(count),
            }
        }
        Pin::new(self).poll_flush(context)
    }

    fn forget_readiness(&self) {
        let blocked = || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into());
        let _blocked = match self {
            Stream::Tcp(stream) => stream.try_io(Interest::READABLE, blocked),
            Stream::Unix(stream) => stream.try_io(Interest::READABLE, blocked),
            Stream::Tls(_) => Ok(()),
        };
    }
}

/// Looks at a socket.
fn see<S: AsFd>(socket: &S) -> Sight {
    match rustix::net::recv(socket, &mut [0; 1], RecvFlags::PEEK) {
        Ok((0, _)) => Sight::End,
        Ok(_) => Sight::Bytes,
        Err(rustix::io::Errno::WOULDBLOCK) => Sight::Quiet,
        Err(_) => Sight::Broken,
    }
}

/// The last words of a connection have been said; see `Stream::linger`, which bounds the time.
#[derive(Default)]
pub struct Lingering {
    shut: bool,
    read: usize,
}

impl Lingering {
    pub fn poll(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<()> {
        let mut stream = Pin::new(stream);
        if !self.shut {
            let failed = ready!(stream.as_mut().poll_shutdown(context)).is_err();
            if failed {
                return Poll::Ready(());
            }
            self.shut = true;
        }
        let mut scratch = [0; 4096];
        while self.read < LINGER_BYTES {
            let mut buffer = ReadBuf::new(&mut scratch);
            let failed = ready!(stream.as_mut().poll_read(context, &mut buffer)).is_err();
            if failed || buffer.filled().is_empty() {
                break;
            }
            self.read += buffer.filled().len();
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Unix(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
