//! An open TLS connection over TCP.

use std::cell::RefCell;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

use super::super::{see, Sight};

/// A look takes what has come out of the socket, which plain sockets need not: records that carry no data, such as
/// session tickets, are dealt with then.
pub struct TlsStream(RefCell<Side>);

enum Side {
    Server(Box<server::TlsStream<TcpStream>>),
    Client(Box<client::TlsStream<TcpStream>>),
}

impl Side {
    fn socket(&self) -> &TcpStream {
        match self {
            Side::Server(stream) => stream.get_ref().0,
            Side::Client(stream) => stream.get_ref().0,
        }
    }

    /// What has come out of the socket says so already.
    fn known(&mut self) -> Option<Sight> {
        let state = match self {
            Side::Server(stream) => stream.get_mut().1.process_new_packets(),
            Side::Client(stream) => stream.get_mut().1.process_new_packets(),
        };
        match state {
            Ok(state) if state.plaintext_bytes_to_read() > 0 => Some(Sight::Bytes),
            Ok(state) if state.peer_has_closed() => Some(Sight::End),
            Ok(_) => None,
            Err(_) => Some(Sight::Broken),
        }
    }

    /// What waits decrypted; what waits in the socket is taken in only if that is nothing.
    fn look(&mut self) -> Sight {
        loop {
            if let Some(sight) = self.known() {
                return sight;
            }
            match see(self.socket()) {
                Sight::Bytes => {}
                sight => return sight,
            }
            match self.take_in() {
                Ok(0) => return Sight::End,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sight::Quiet,
                Err(_) => return Sight::Broken,
            }
        }
    }

    /// Reads from the socket itself, whatever the runtime knows of it.
    fn take_in(&mut self) -> io::Result<usize> {
        match self {
            Side::Server(stream) => {
                let (socket, session) = stream.get_mut();
                session.read_tls(&mut Socket(socket))
            }
            Side::Client(stream) => {
                let (socket, session) = stream.get_mut();
                session.read_tls(&mut Socket(socket))
            }
        }
    }
}

struct Socket<'a>(&'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&mut &*SockRef::from(self.0)).read(into)
    }
}

impl TlsStream {
    pub(super) fn server(stream: server::TlsStream<TcpStream>) -> Self {
        Self(RefCell::new(Side::Server(Box::new(stream))))
    }

    pub(super) fn client(stream: client::TlsStream<TcpStream>) -> Self {
        Self(RefCell::new(Side::Client(Box::new(stream))))
    }

    /// The handshake has chosen HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        let chosen = |side: &Side| match side {
            Side::Server(stream) => stream.get_ref().1.alpn_protocol() == Some(super::HTTP2),
            Side::Client(stream) => stream.get_ref().1.alpn_protocol() == Some(super::HTTP2),
        };
        chosen(&self.0.borrow())
    }

    pub(crate) fn look(&self) -> Sight {
        self.0.borrow_mut().look()
    }

    pub(crate) fn poll_look(&self, context: &mut Context<'_>) -> Poll<Sight> {
        let known = self.0.borrow_mut().known();
        if let Some(sight) = known {
            return Poll::Ready(sight);
        }
        loop {
            if ready!(self.with_socket(|socket| socket.poll_read_ready(context))).is_err() {
                return Poll::Ready(Sight::Broken);
            }
            match self.look() {
                // The runtime forgets its readiness only when it is told that there was none.
                Sight::Quiet => self.with_socket(|socket| {
                    let blocked = || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into());
                    let _blocked = socket.try_io(Interest::READABLE, blocked);
                }),
                sight => return Poll::Ready(sight),
            }
        }
    }

    pub(crate) fn with_socket<T>(&self, ask: impl FnOnce(&TcpStream) -> T) -> T {
        ask(self.0.borrow().socket())
    }
}

macro_rules! inner {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut().0.get_mut() {
            Side::Server(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
            Side::Client(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
        }
    };
}

impl AsyncRead for TlsStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => stream.poll_read(context, into))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        inner!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        inner!(self, stream => stream.poll_write_vectored(context, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => stream.poll_shutdown(context))
    }
}
