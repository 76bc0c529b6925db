//! A connection that goes over to another protocol (RFC 9110 §7.8): 101, and then its bytes as they come.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;

use super::wire::Wire;
use super::{response, After};
use crate::cluster::Tunnel;
use crate::protocol::tunnel::{self, Side};
use crate::telemetry::recording::Recorded;

/// Answers and passes bytes on until the tunnel's end.
pub(super) async fn run(wire: &Rc<Wire>, answer: Response<Recorded>, mut tunnel: Box<Tunnel>) -> After {
    let (head, mut recorded) = answer.into_parts();
    let link = &wire.link;
    // It was for the handshake.
    link.deadline.set(None);
    wire.write(|out| response::encode_switch(out, &head, &tunnel.grant.protocol));
    let note = |up, down| {
        link.received.set(up);
        recorded.carried(down);
    };
    let end = tunnel::relay(&mut Client(wire), &mut tunnel, &link.connection, note).await;
    recorded.ended(tunnel.end().unwrap_or(end));
    if end.is_broken() {
        wire.stream.borrow().reset();
        tunnel.reset();
        return After::Break;
    }
    After::Close
}

struct Client<'a>(&'a Wire);

impl Side for Client<'_> {
    /// What was sent right behind the handshake comes first.
    fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        self.0.poll_take(context)
    }

    fn poll_give(&mut self, data: &mut Bytes, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write(data, context)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_finish(context)
    }
}
