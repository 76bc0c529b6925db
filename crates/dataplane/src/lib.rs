//! The data plane of stagedoor.
//!
//! Life of a request: `listener` accepts → `head` refuses what is not a clean request → `proxy` loads the current
//! `Program` → `route` matches → the policies of `policy` run in their fixed order → a `target` answers, most often
//! through a `cluster` → response policies → `telemetry`. Any `Error` meets the single mapping in `error`.

#![forbid(unsafe_code)]

pub mod api;
pub mod callout;
pub mod cluster;
pub mod described;
pub mod error;
pub mod evaluation;
pub mod exchange;
pub mod explain;
pub mod forwarded;
pub mod graphql;
pub mod head;
pub mod identity;
pub mod keys;
pub mod listener;
pub mod network;
pub mod policy;
pub mod program;
pub mod protocol;
pub mod proxy;
pub mod route;
pub mod server;
pub(crate) mod shape;
pub mod shared;
pub mod signature;
pub mod snapshot;
pub mod subject;
pub mod target;
pub mod telemetry;
pub mod transport;
pub mod worker;
