//! The rooms that may name hyper's types.

pub mod body;
pub mod connection;
mod guard;
pub mod http1;
pub mod link;
pub mod request_body;
mod wire;
