//! The task of a connection: reads and writes for all its streams, asks whether the other side is still there, and
//! closes what has been idle for too long.

use std::cell::Cell;
use std::future::{poll_fn, Future};
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::connection::Connection;
use super::keep_alive::{KeepAlive, Patience, Step};
use super::{CONNECTION_WINDOW, HEAD_BYTES, SEND_BYTES, STREAM_WINDOW};

/// Stands for the number of streams that an endpoint allows before it has said so.
const UNTOLD: usize = usize::MAX - 1;

/// A connection whose endpoint has spoken HTTP/2, with its task yet to be started.
pub(super) struct Opened<S> {
    pub(super) sender: SendRequest<Bytes>,
    io: h2::client::Connection<Counted<S>, Bytes>,
    received: Rc<Cell<u64>>,
}

/// Why an endpoint that took the connection cannot be spoken to.
#[derive(Debug)]
pub(super) enum HandshakeError {
    Closed,
    Protocol(h2::Error),
}

/// Sends the preface and waits for the endpoint's SETTINGS (RFC 9113 §3.4): before them nobody knows how many streams
/// there may be, nor whether HTTP/2 is spoken at all.
pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Result<Opened<S>, HandshakeError> {
    let received = Rc::<Cell<u64>>::default();
    let counted = Counted { stream, received: received.clone() };
    let (sender, mut io) = Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD_BYTES)
        .max_send_buffer_size(SEND_BYTES)
        .initial_max_send_streams(UNTOLD)
        .handshake::<_, Bytes>(counted)
        .await
        .map_err(HandshakeError::Protocol)?;
    poll_fn(|context| match Pin::new(&mut io).poll(context) {
        Poll::Ready(Err(error)) => Poll::Ready(Err(HandshakeError::Protocol(error))),
        Poll::Ready(Ok(())) => Poll::Ready(Err(HandshakeError::Closed)),
        Poll::Pending if sender.current_max_send_streams() != UNTOLD => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    Ok(Opened { sender, io, received })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Opened<S> {
    pub(super) fn into_driver(self, connection: &Rc<Connection>, patience: Patience) -> Driver<S> {
        let Self { sender: _, mut io, received } = self;
        let now = Instant::now();
        Driver {
            ping: io.ping_pong(),
            io,
            received,
            connection: Rc::downgrade(connection),
            keep_alive: KeepAlive::new(patience, now),
            tick: patience.silence.min(patience.answer),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }
}

/// Ends when the connection has.
pub(super) struct Driver<S: AsyncRead + AsyncWrite + Unpin> {
    io: h2::client::Connection<Counted<S>, Bytes>,
    ping: Option<PingPong>,
    received: Rc<Cell<u64>>,
    connection: Weak<Connection>,
    keep_alive: KeepAlive,
    tick: Duration,
    timer: Pin<Box<Sleep>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// What there is to do at a tick of the timer. False: the other side is gone.
    fn look(&mut self, context: &mut Context<'_>, connection: &Rc<Connection>) -> bool {
        let now = Instant::now();
        let pool = connection.pool.upgrade();
        let idle = pool.as_ref().map_or(Duration::ZERO, |pool| pool.idle_limit());
        if let Some(pool) = pool.filter(|_| connection.is_idle() && now >= connection.turned() + idle) {
            pool.forget(connection);
        }
        let waiting = (!connection.is_idle()).then(|| connection.turned());
        match self.keep_alive.step(now, self.received.get(), waiting) {
            Step::Wait => {}
            Step::Ping => {
                if let Some(ping) = &mut self.ping {
                    // The answer to the last one is taken back so that another one may be sent; a PING that is still
                    // under way is as good as a new one.
                    let _answered = ping.poll_pong(context);
                    let _sent = ping.send_ping(Ping::opaque());
                }
            }
            Step::Dead => return false,
        }
        let next = self.tick.min(idle.max(Duration::from_millis(10)));
        self.timer.as_mut().reset((now + next).into());
        true
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        if let Some(connection) = driver.connection.upgrade() {
            while driver.timer.as_mut().poll(context).is_ready() {
                if !driver.look(context, &connection) {
                    connection.end();
                    return Poll::Ready(());
                }
            }
        }
        let ended = Pin::new(&mut driver.io).poll(context).is_ready();
        if let Some(connection) = driver.connection.upgrade() {
            if ended {
                connection.end();
            }
            let more = connection.set_allowed(driver.io.max_concurrent_send_streams());
            if let Some(pool) = connection.pool.upgrade().filter(|pool| more || pool.is_awaited()) {
                pool.serve_waiting();
            }
        }
        if ended {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Counts what is read, which is how a silence is noticed.
struct Counted<S> {
    stream: S,
    received: Rc<Cell<u64>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        self.received.set(self.received.get() + (into.filled().len() - before) as u64);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
