//! A WebSocket on a stream: asked for by an extended CONNECT (RFC 8441), where the endpoint's SETTINGS allow it.

use std::rc::Rc;

use h2::ext::Protocol;
use http::header::SEC_WEBSOCKET_KEY;
use http::{request, response, Method};

use super::exchange::{self, Unanswered};
use super::pool::Lease;
use super::progress::Progress;
use super::reply::Incoming;
use super::rest::Rest;
use crate::cluster::InterimSink;
use crate::error::{Error, Kind};
use crate::protocol::body::Body;
use crate::protocol::duplex::Duplex;

/// A stream that is a WebSocket, and the right to it.
pub(in crate::cluster) struct Opened {
    pub(in crate::cluster) duplex: Duplex,
    _lease: Lease,
}

pub(in crate::cluster) enum Outcome {
    Opened(Box<Opened>),
    /// Not a WebSocket, and why not.
    Answered(Incoming),
}

impl Lease {
    /// `parts`: the handshake as it is over HTTP/1.1.
    pub(in crate::cluster) async fn open(
        self,
        mut parts: request::Parts,
        authority: &str,
        sink: Option<&InterimSink>,
        note: impl FnOnce(Rc<Progress>),
    ) -> Result<(response::Parts, Outcome), Unanswered> {
        if !self.connection.sender.is_extended_connect_protocol_enabled() {
            let error = Error::new(Kind::BadReply, "the service does not take WebSockets over HTTP/2");
            return Err(Unanswered::Judged { error, theirs: false });
        }
        parts.method = Method::CONNECT;
        // What it is for is HTTP/2's own matter (RFC 8441 §5).
        parts.headers.remove(SEC_WEBSOCKET_KEY);
        let protocol = Some(Protocol::from_static("websocket"));
        let (parts, recv, upload) = self.ask(parts, Body::empty(), protocol, authority, sink, note).await?;
        if parts.status.is_success() {
            let duplex = Duplex { inbound: recv, outbound: upload.into_stream() };
            return Ok((parts, Outcome::Opened(Box::new(Opened { duplex, _lease: self }))));
        }
        let progress = upload.progress();
        let length = exchange::length(&parts, false);
        Ok((parts, Outcome::Answered(Incoming::new(recv, Rest::ended(upload), progress, length, self))))
    }
}
