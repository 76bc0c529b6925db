//! The protocols of clients, and what they have in common.

pub mod accept;
pub(crate) mod base64;
pub mod body;
pub mod charset;
pub mod coding;
pub mod connect;
pub mod connection;
mod date;
pub(crate) mod decoder;
pub(crate) mod duplex;
pub(crate) mod encoder;
pub(crate) mod envelope;
pub(crate) mod event_stream;
pub mod grpc;
pub mod grpc_web;
pub mod http1;
pub mod http2;
pub mod json;
pub mod link;
pub mod media;
pub mod protobuf;
pub(crate) mod spare;
pub mod tunnel;
mod unwinding;
pub mod upgrade;
pub(crate) mod websocket;

use std::rc::Rc;
use std::time::Duration;

use crate::transport::Stream;
use crate::worker::Worker;
use connection::Connection;

/// Serves a connection in the protocol that its client has begun or agreed on, until either side ends it.
pub(crate) async fn serve(worker: Rc<Worker>, connection: Rc<Connection>, mut stream: Stream) {
    let http2 = match connection.tls() {
        Some(facts) => facts.http2,
        None => connection.listener.h2c && begins_http2(&connection, &stream).await,
    };
    if http2 {
        return Box::pin(http2::serve(worker, connection, stream)).await;
    }
    match connection.listener.http1 {
        true => http1::serve(worker, connection, stream).await,
        false => Box::pin(stream.linger()).await,
    }
}

/// RFC 9113 §3.3. A client that does not say in time what it speaks gets what HTTP/1.1 says of that.
async fn begins_http2(connection: &Connection, stream: &Stream) -> bool {
    let limit = Duration::from_millis(connection.listener.limits.head_read_ms);
    Box::pin(tokio::time::timeout(limit, stream.begins_with(http2::PREFACE))).await.unwrap_or(false)
}
