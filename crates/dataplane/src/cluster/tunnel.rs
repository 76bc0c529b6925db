//! What has gone over to another protocol on the endpoint's side: a connection, which is the tunnel's until its end and
//! never goes back to the pool, or a stream of HTTP/2 (RFC 8441) beside others. Its place in the pool is taken as long. Or
//! the gateway itself speaks the protocol in the service's place.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::http2;
use super::pool::Connection;
use super::visit::Visit;
use crate::protocol::tunnel::{End, Made, Side};
use crate::protocol::upgrade::Grant;

pub struct Tunnel {
    pub grant: Rc<Grant>,
    way: Way,
    /// Its place among the exchanges of the endpoint.
    _visit: Option<Visit>,
}

pub(super) enum Way {
    Connection(Box<Connection>),
    Stream(Box<http2::Opened>),
    Made(Box<dyn Made>),
}

impl Tunnel {
    pub(super) fn new(grant: Rc<Grant>, mut way: Way, mut visit: Option<Visit>) -> Self {
        if let Way::Connection(connection) = &mut way {
            connection.single = true;
        }
        if let Some(visit) = &mut visit {
            visit.succeed();
        }
        Self { grant, way, _visit: visit }
    }

    /// To what the gateway says itself.
    pub(crate) fn made(grant: Rc<Grant>, side: impl Made + 'static) -> Self {
        Self { grant, way: Way::Made(Box::new(side)), _visit: None }
    }

    pub(crate) fn is_made(&self) -> bool {
        matches!(self.way, Way::Made(_))
    }

    /// How it ended, where it knows better than its bytes.
    pub(crate) fn end(&self) -> Option<End> {
        match &self.way {
            Way::Made(side) => side.end(),
            Way::Connection(_) | Way::Stream(_) => None,
        }
    }

    /// Lets the endpoint see that the tunnel broke off.
    pub(crate) fn reset(&mut self) {
        match &mut self.way {
            Way::Connection(connection) => connection.wire.reset(),
            Way::Stream(stream) => stream.duplex.reset(),
            Way::Made(_) => {}
        }
    }
}

impl Side for Tunnel {
    fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        match &mut self.way {
            Way::Connection(connection) => connection.wire.poll_take(context),
            Way::Stream(stream) => stream.duplex.poll_take(context),
            Way::Made(side) => side.poll_take(context),
        }
    }

    fn poll_give(&mut self, data: &mut Bytes, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Connection(connection) => connection.wire.poll_give(data, context),
            Way::Stream(stream) => stream.duplex.poll_give(data, context),
            Way::Made(side) => side.poll_give(data, context),
        }
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Connection(connection) => connection.wire.poll_finish(context),
            Way::Stream(stream) => stream.duplex.poll_finish(context),
            Way::Made(side) => side.poll_finish(context),
        }
    }
}
