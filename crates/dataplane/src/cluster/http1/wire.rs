//! The bytes of one connection to an endpoint, in and out. While it is kept for the next exchange it holds next to no memory.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{pin, Pin};
use std::task::{ready, Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::transport::{Sight, Stream};

/// Bytes that are read at once while a head is waited for: small answers come whole with theirs.
const FIRST_READ: usize = 16 * 1024;
/// A body is read in pieces that grow up to this.
const LARGEST_READ: usize = 256 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; FIRST_READ].into_boxed_slice());
}

/// A head's buffer of this size stays with a kept connection, of which there are few.
const KEPT: usize = 2 * 1024;

pub(in crate::cluster) struct Wire {
    stream: Stream,
    /// Read and not yet used.
    pub(super) incoming: BytesMut,
    /// To be written before anything else.
    pub(super) outgoing: Vec<u8>,
    /// Something has been written since the exchange began.
    written: bool,
    /// The endpoint takes no more bytes. It may have answered before it stopped, so writes go nowhere from then on and
    /// reading decides.
    deaf: bool,
    next_read: usize,
}

impl Wire {
    pub(in crate::cluster) fn new(stream: Stream) -> Self {
        Self {
            stream,
            incoming: BytesMut::new(),
            outgoing: Vec::new(),
            written: false,
            deaf: false,
            next_read: FIRST_READ,
        }
    }

    pub(super) fn begin(&mut self) {
        self.written = false;
        self.next_read = FIRST_READ;
    }

    pub(in crate::cluster) fn has_written(&self) -> bool {
        self.written
    }

    pub(super) fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// Nothing of the last exchange is left over.
    pub(in crate::cluster) fn is_clean(&self) -> bool {
        !self.deaf && self.incoming.is_empty() && self.outgoing.is_empty()
    }

    /// True when the endpoint has neither closed nor sent anything: what it sent while idle must not be taken for the
    /// answer to the next request.
    pub(in crate::cluster) fn is_quiet(&self) -> bool {
        self.is_clean() && self.stream.look() == Sight::Quiet
    }

    /// Gives back what idle connections must not hold.
    pub(in crate::cluster) fn release_memory(&mut self) {
        self.incoming = BytesMut::new();
        if self.outgoing.capacity() > KEPT {
            self.outgoing = Vec::new();
        }
    }

    /// Writes what waits, then `data`, which is advanced. Ready when nothing is left, or nothing more is taken.
    pub(super) fn poll_write(&mut self, data: &mut Bytes, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut done = 0;
        let result = loop {
            let waiting = &self.outgoing[done..];
            let stream = Pin::new(&mut self.stream);
            let written = match (waiting.is_empty(), data.is_empty()) {
                _ if self.deaf => break Poll::Ready(Ok(())),
                (true, true) => break Poll::Ready(Ok(())),
                (false, true) => stream.poll_write(context, waiting),
                (true, false) => stream.poll_write(context, data),
                (false, false) => {
                    stream.poll_write_vectored(context, &[io::IoSlice::new(waiting), io::IoSlice::new(data)])
                }
            };
            match written {
                Poll::Ready(Ok(count @ 1..)) => {
                    self.written = true;
                    let head = count.min(self.outgoing.len() - done);
                    done += head;
                    data.advance(count - head);
                }
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        if done == self.outgoing.len() || self.deaf {
            self.outgoing.clear();
        } else {
            self.outgoing.drain(..done);
        }
        match result {
            Poll::Ready(Err(error)) if !self.written => return Poll::Ready(Err(error)),
            Poll::Ready(Err(_)) => self.deaf = true,
            Poll::Ready(Ok(())) => {}
            Poll::Pending => return Poll::Pending,
        }
        if !self.deaf {
            // Only streams that encrypt have anything to flush; a failure shows when the answer is read.
            let _failed = ready!(Pin::new(&mut self.stream).poll_flush(context));
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once into `incoming`, of which `left` bytes are known to come; 0 at the endpoint's end.
    pub(super) fn poll_fill(&mut self, left: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let size = self.next_read.min(left.max(1));
        self.incoming.reserve(size);
        let reading = pin!(self.stream.read_buf(&mut self.incoming));
        let count = ready!(reading.poll(context))?;
        if count >= size {
            self.next_read = (4 * self.next_read).min(LARGEST_READ);
        }
        Poll::Ready(Ok(count))
    }

    /// What has come, whatever it is; None at the endpoint's end.
    pub(in crate::cluster) fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if !self.incoming.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.incoming).freeze())));
        }
        let data = ready!(self.stream.poll_take(context))?;
        Poll::Ready(Ok((!data.is_empty()).then_some(data)))
    }

    /// Writes all of `data`, which is advanced.
    pub(in crate::cluster) fn poll_give(
        &mut self,
        data: &mut Bytes,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.poll_give(data, context)
    }

    /// Tells the endpoint that nothing follows.
    pub(in crate::cluster) fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    pub(in crate::cluster) fn reset(&self) {
        self.stream.reset();
    }

    /// Reads the beginning of an answer, of which nobody knows how much there is: by way of a buffer that all connections
    /// share, so that a small one takes no more memory than it has.
    pub(super) fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut scratch = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut scratch))?;
            self.incoming.extend_from_slice(scratch.filled());
            Poll::Ready(Ok(scratch.filled().len()))
        })
    }

    /// The first read of an answer's content may be as large as any.
    pub(super) fn expect_content(&mut self, length: Option<u64>) {
        if let Some(length) = length {
            self.next_read = usize::try_from(length).unwrap_or(LARGEST_READ).clamp(FIRST_READ, LARGEST_READ);
        }
    }
}
