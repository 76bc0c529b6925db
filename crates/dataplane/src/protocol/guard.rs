//! The socket as hyper's server sees it. Every byte passes `head::scanner` first: a refused head is replaced by a small
//! request that hyper accepts, and the refusal travels beside it, so that it is answered and logged like everything else
//! and in its turn. Read time-outs live here, with one timer for each connection and none for each request.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{sleep, Duration, Instant, Sleep};

use super::wire::Wire;
use crate::error::{Error, Kind};
use crate::head::scanner::{Phase, Scanner};
use crate::snapshot::ListenerLimits;

/// What hyper parses in place of a refused head. A client cannot feign it: the refusal is not in the bytes.
const MARKER: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// Bytes taken from a socket at once, shared by all connections of a worker.
const SCRATCH: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

pub(super) struct Guard {
    wire: Rc<Wire>,
    scanner: Scanner,
    /// Judged, and more than hyper could take at once.
    ready: Vec<u8>,
    taken: usize,
    /// The connection's read side is over, by the client or by us.
    over: bool,
    /// The body at hand is broken; hyper learns it after the bytes that came before.
    broken: bool,
    timeouts: Timeouts,
}

impl Guard {
    pub(super) fn new(wire: Rc<Wire>) -> Self {
        let listener = &wire.link.connection.listener;
        let scanner = Scanner::new(listener.bounds);
        let timeouts = Timeouts::new(&listener.limits);
        Self { wire, scanner, ready: Vec::new(), taken: 0, over: false, broken: false, timeouts }
    }

    fn hand_over(&mut self, into: &mut ReadBufCursor<'_>) {
        let count = into.remaining().min(self.ready.len() - self.taken);
        into.put_slice(&self.ready[self.taken..self.taken + count]);
        self.taken += count;
        if self.taken == self.ready.len() {
            // A large head must not pin its memory for the life of the connection.
            self.ready = Vec::new();
            self.taken = 0;
        }
    }

    /// Ends the reading: the head at hand is refused, or the body at hand is broken.
    fn give_up(&mut self, error: Error) {
        self.over = true;
        if self.scanner.phase() == Phase::Body {
            self.broken = true;
            self.wire.break_body(error);
        } else {
            self.wire.refuse(self.scanner.heads() + 1, error);
            self.ready.extend_from_slice(MARKER);
        }
    }

    /// True when hyper has got something.
    fn scan(&mut self, bytes: &[u8], into: &mut ReadBufCursor<'_>) -> bool {
        let mut passed = false;
        let ready = &mut self.ready;
        let verdict = self.scanner.feed(bytes, |part| {
            passed = true;
            if ready.is_empty() && part.len() <= into.remaining() {
                into.put_slice(part);
            } else {
                ready.extend_from_slice(part);
            }
        });
        if let Err(error) = verdict {
            self.give_up(error);
        }
        self.timeouts.note(self.scanner.phase());
        passed
    }

    fn time_out(&mut self) {
        let late = match self.scanner.phase() {
            Phase::Idle => {
                self.over = true;
                return;
            }
            Phase::Head => "The head did not arrive in time",
            Phase::Body => "The body did not arrive in time",
        };
        self.give_up(Error::new(Kind::RequestTimeout, late));
    }
}

impl Read for Guard {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, mut into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.taken < this.ready.len() {
                this.hand_over(&mut into);
                return Poll::Ready(Ok(()));
            }
            if this.broken {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if this.over {
                return Poll::Ready(Ok(()));
            }
            let wire = this.wire.clone();
            let read = BUFFER.with_borrow_mut(|buffer| {
                let size = into.remaining().min(buffer.len());
                let mut buffer = ReadBuf::new(&mut buffer[..size]);
                match Pin::new(&mut *wire.stream.borrow_mut()).poll_read(context, &mut buffer) {
                    Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                        this.over = true;
                        wire.ended.set(true);
                        Poll::Ready(Ok(true))
                    }
                    Poll::Ready(Ok(())) => Poll::Ready(Ok(this.scan(buffer.filled(), &mut into))),
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Pending => Poll::Pending,
                }
            });
            match read {
                Poll::Ready(Ok(true)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(false)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    ready!(this.timeouts.poll(context));
                    this.time_out();
                }
            }
        }
    }
}

impl Write for Guard {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.wire.poll_interim(context))?;
        self.wire.flushed.set(false);
        Pin::new(&mut *self.wire.stream.borrow_mut()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut *self.wire.stream.borrow_mut()).poll_flush(context))?;
        self.wire.flushed.set(true);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.wire.stream.borrow_mut()).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.wire.poll_interim(context))?;
        self.wire.flushed.set(false);
        Pin::new(&mut *self.wire.stream.borrow_mut()).poll_write_vectored(context, buffers)
    }
}

/// How long the phase at hand may last. The timer is set when it must ring earlier than it would, and looks again when
/// it rings too early: on a busy connection it is hardly ever touched.
struct Timeouts {
    first: Duration,
    idle: Duration,
    head: Duration,
    body: Duration,
    phase: Phase,
    /// Since when the client is waited for; None: something has come since the last look.
    since: Option<Instant>,
    before_first: bool,
    timer: Pin<Box<Sleep>>,
}

impl Timeouts {
    fn new(limits: &ListenerLimits) -> Self {
        let head = Duration::from_millis(limits.head_read_ms);
        Self {
            first: head,
            idle: Duration::from_millis(limits.idle_ms),
            head,
            body: Duration::from_millis(limits.body_idle_ms),
            phase: Phase::Idle,
            since: None,
            before_first: true,
            timer: Box::pin(sleep(head)),
        }
    }

    fn note(&mut self, phase: Phase) {
        // A head has one time for all of its bytes, or a byte a second could hold a connection for ever.
        if phase != Phase::Head || self.phase != Phase::Head {
            self.since = None;
        }
        self.phase = phase;
        self.before_first = false;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let limit = match self.phase {
            Phase::Idle if self.before_first => self.first,
            Phase::Idle => self.idle,
            Phase::Head => self.head,
            Phase::Body => self.body,
        };
        let deadline = since + limit;
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            if self.timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(deadline);
        }
    }
}
