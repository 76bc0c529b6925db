//! A stream of HTTP/2 whose DATA frames carry the bytes of another protocol (RFC 8441): one end of a tunnel.

use std::io;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};

use super::tunnel::Side;

pub(crate) struct Duplex {
    pub(crate) inbound: RecvStream,
    pub(crate) outbound: SendStream<Bytes>,
}

impl Duplex {
    /// What a reset is on a connection of its own (RFC 8441 §5).
    pub(crate) fn reset(&mut self) {
        self.outbound.send_reset(Reason::CANCEL);
    }
}

impl Side for Duplex {
    fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            let Some(data) = ready!(self.inbound.poll_data(context)) else { return Poll::Ready(Ok(None)) };
            let data = data.map_err(io::Error::other)?;
            // Refused only for a stream that is gone.
            let _gone = self.inbound.flow_control().release_capacity(data.len());
            if !data.is_empty() {
                return Poll::Ready(Ok(Some(data)));
            }
        }
    }

    /// As much as the other side's window takes.
    fn poll_give(&mut self, data: &mut Bytes, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !data.is_empty() {
            self.outbound.reserve_capacity(data.len());
            if self.outbound.capacity() == 0 {
                match ready!(self.outbound.poll_capacity(context)) {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                    None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                }
            }
            let piece = data.split_to(self.outbound.capacity().min(data.len()));
            if !piece.is_empty() {
                self.outbound.send_data(piece, false).map_err(io::Error::other)?;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.outbound.send_data(Bytes::new(), true).map_err(io::Error::other))
    }
}
