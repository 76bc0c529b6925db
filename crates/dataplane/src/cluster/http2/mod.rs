//! HTTP/2 to endpoints (RFC 9113): one connection of a worker carries many exchanges. It is driven by a task of its own;
//! an exchange holds a `Lease`, the right to one stream, from before its head is sent until both bodies have ended.
//!
//! What a peer can make us hold is bounded: `STREAM_WINDOW` bytes for an answer whose client is slow, `HEAD_BYTES` for a
//! head, `SEND_BYTES` for an upload beyond what its client waits with.

mod connection;
mod driver;
mod exchange;
mod fault;
mod head;
mod keep_alive;
mod pool;
mod progress;
mod reply;
mod rest;
mod upload;
mod websocket;

pub(super) use exchange::Unanswered;
pub(super) use fault::classify;
pub(super) use pool::{Connector, Lease, OpenError, Pool};
pub(super) use progress::Progress;
pub(super) use reply::{Incoming, Reply};
pub(super) use websocket::{Opened, Outcome};

/// Bytes of one answer that wait for its client at most.
const STREAM_WINDOW: u32 = 128 * 1024;
/// Streams of one connection at most, also where the endpoint allows more: the window of the connection is that of all
/// of them, so that answers nobody takes never keep others from coming.
const STREAMS: usize = 128;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS as u32;
/// The bound of an answer's head and of its trailers, as SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113 §6.5.2).
const HEAD_BYTES: u32 = 64 * 1024;
/// Bytes of one upload that wait for the connection to write them.
const SEND_BYTES: usize = 64 * 1024;
