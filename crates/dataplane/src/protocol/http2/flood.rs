//! Frames that cost their sender next to nothing and us something each. `h2` bounds the memory that any of them takes;
//! this bounds how many may come in a time (CVE-2019-9512, -9515 and their kind).

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::transport::{Lingering, Stream};

/// Of PING, SETTINGS, PRIORITY and RST_STREAM frames and of DATA frames without content, within `WINDOW`.
const MOST: u32 = 1000;
const WINDOW: Duration = Duration::from_secs(10);

const DATA: u8 = 0x0;
const PRIORITY: u8 = 0x2;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;

/// What has come of them.
pub(super) struct Flood {
    since: Cell<Instant>,
    count: Cell<u32>,
    over: Cell<bool>,
}

impl Flood {
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    fn count(&self) {
        let now = Instant::now();
        if now - self.since.get() > WINDOW {
            self.since.set(now);
            self.count.set(0);
        }
        self.count.set(self.count.get() + 1);
        if self.count.get() > MOST {
            self.over.set(true);
        }
    }
}

/// Follows the frames in a connection's bytes.
struct Follower {
    /// Bytes of the preface or of a frame's payload that are still to come.
    skip: usize,
    head: [u8; 9],
    held: usize,
}

impl Follower {
    fn feed(&mut self, mut bytes: &[u8], flood: &Flood) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (self.head.len() - self.held).min(bytes.len());
            self.head[self.held..self.held + taken].copy_from_slice(&bytes[..taken]);
            self.held += taken;
            bytes = &bytes[taken..];
            if self.held == self.head.len() {
                self.held = 0;
                let [a, b, c, kind, flags, ..] = self.head;
                self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                let ends = flags & 1 != 0;
                if matches!(kind, PRIORITY | RST_STREAM | SETTINGS | PING) || (kind == DATA && self.skip == 0 && !ends)
                {
                    flood.count();
                }
            }
        }
    }
}

/// A stream whose frames are counted as they are read. After too many of them nothing more is read.
pub(super) struct Watched {
    stream: Stream,
    follower: Follower,
    flood: Rc<Flood>,
    lingering: Lingering,
}

impl Watched {
    pub(super) fn new(stream: Stream) -> (Self, Rc<Flood>) {
        let flood = Rc::new(Flood { since: Cell::new(Instant::now()), count: Cell::new(0), over: Cell::new(false) });
        let follower = Follower { skip: super::PREFACE.len(), head: [0; 9], held: 0 };
        (Self { stream, follower, flood: flood.clone(), lingering: Lingering::default() }, flood)
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.flood.is_over() {
            return Poll::Pending;
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, into))?;
        this.follower.feed(&into.filled()[before..], &this.flood);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.lingering.poll(&mut this.stream, context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(9 + usize::from(length), 0);
        frame
    }

    #[test]
    fn cheap_frames_are_counted_wherever_they_are_cut_and_others_are_not() {
        let wire = [
            super::super::PREFACE.to_vec(),
            frame(SETTINGS, 0, 6),
            frame(0x1, 4, 20),
            frame(DATA, 0, 200),
            frame(DATA, 0, 0),
            frame(DATA, 1, 0),
            frame(PING, 0, 8),
            frame(RST_STREAM, 0, 4),
            frame(0x8, 0, 4),
        ]
        .concat();
        for size in [1, 2, 5, 9, 64, wire.len()] {
            let flood = Flood { since: Cell::new(Instant::now()), count: Cell::new(0), over: Cell::new(false) };
            let mut follower = Follower { skip: super::super::PREFACE.len(), head: [0; 9], held: 0 };
            wire.chunks(size).for_each(|piece| follower.feed(piece, &flood));
            assert_eq!(flood.count.get(), 4, "in pieces of {size}");
            assert!(!flood.is_over());
        }
    }
}
