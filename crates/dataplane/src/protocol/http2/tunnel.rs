//! A stream that becomes a WebSocket (RFC 8441): 200 for the endpoint's 101, and then DATA frames for its bytes.

use std::io;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::{Response, StatusCode};

use super::exchange;
use crate::cluster::Tunnel;
use crate::protocol::link::Link;
use crate::protocol::tunnel::{self, Side};
use crate::telemetry::recording::Recorded;

/// Answers and passes bytes on until the tunnel's end.
pub(super) async fn run(
    link: &Link,
    answer: Response<Recorded>,
    mut tunnel: Box<Tunnel>,
    inbound: RecvStream,
    mut respond: SendResponse<Bytes>,
) {
    let (mut head, mut recorded) = answer.into_parts();
    // It was for the handshake.
    link.deadline.set(None);
    head.status = StatusCode::OK;
    for name in [UPGRADE, SEC_WEBSOCKET_ACCEPT, CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    exchange::settle(&mut head, None);
    let Ok(outbound) = respond.send_response(Response::from_parts(head, ()), false) else {
        return recorded.ended(tunnel::End::ClientGone);
    };
    let mut client = Client { inbound, outbound };
    let note = |up, down| {
        link.received.set(up);
        recorded.carried(down);
    };
    let end = tunnel::relay(&mut client, &mut tunnel, &link.connection, note).await;
    recorded.ended(end);
    if end.is_broken() {
        // What a reset is on a connection of its own (RFC 8441 §5).
        client.outbound.send_reset(Reason::CANCEL);
        return tunnel.reset();
    }
    // Refused where that has been said already.
    let _ended = client.outbound.send_data(Bytes::new(), true);
}

struct Client {
    inbound: RecvStream,
    outbound: SendStream<Bytes>,
}

impl Side for Client {
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

    /// As much as the client's window takes.
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
