//! A connection to an endpoint that has gone over to another protocol. It is the tunnel's until its end and never goes
//! back to the pool; its place among the pool's connections is taken as long.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::pool::Connection;
use super::visit::Visit;
use crate::protocol::tunnel::Side;
use crate::protocol::upgrade::Grant;

pub struct Tunnel {
    pub grant: Rc<Grant>,
    connection: Box<Connection>,
    /// Its place among the exchanges of the endpoint.
    _visit: Option<Visit>,
}

impl Tunnel {
    pub(super) fn new(grant: Rc<Grant>, mut connection: Box<Connection>, mut visit: Option<Visit>) -> Self {
        connection.single = true;
        if let Some(visit) = &mut visit {
            visit.succeed();
        }
        Self { grant, connection, _visit: visit }
    }

    /// Lets the endpoint see that the tunnel broke off.
    pub(crate) fn reset(&self) {
        self.connection.wire.reset();
    }
}

impl Side for Tunnel {
    fn poll_take(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        self.connection.wire.poll_take(context)
    }

    fn poll_give(&mut self, data: &mut Bytes, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.wire.poll_give(data, context)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.wire.poll_finish(context)
    }
}
