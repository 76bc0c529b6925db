//! How bytes travel between the gateway and a client or an endpoint. Whoever reads and writes does not see which kind of
//! stream it is.

pub mod proxy_protocol;

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// An open connection, downstream or upstream.
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
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
    /// Looks at what the kernel holds now, whatever the runtime knows of it.
    pub fn look(&self) -> Sight {
        let mut byte = [MaybeUninit::uninit(); 1];
        let looked = match self {
            Stream::Tcp(stream) => socket2::SockRef::from(stream).peek(&mut byte),
            Stream::Unix(stream) => socket2::SockRef::from(stream).peek(&mut byte),
        };
        match looked {
            Ok(0) => Sight::End,
            Ok(_) => Sight::Bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Sight::Quiet,
            Err(_) => Sight::Broken,
        }
    }

    /// Looks and waits while it is quiet: the task is woken when that changes.
    pub fn poll_look(&self, context: &mut Context<'_>) -> Poll<Sight> {
        loop {
            let ready = match self {
                Stream::Tcp(stream) => stream.poll_read_ready(context),
                Stream::Unix(stream) => stream.poll_read_ready(context),
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

    /// Lets the other side see a broken connection, not an orderly end, when this one is dropped.
    pub fn reset(&self) {
        if let Stream::Tcp(stream) = self {
            // Without it the end looks orderly; nothing else can be done about that.
            let _unset = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }

    /// Of the other end; none for Unix sockets.
    pub fn remote(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.peer_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    fn forget_readiness(&self) {
        let blocked = || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into());
        let _blocked = match self {
            Stream::Tcp(stream) => stream.try_io(Interest::READABLE, blocked),
            Stream::Unix(stream) => stream.try_io(Interest::READABLE, blocked),
        };
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
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
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
