//! The protocols of clients, and what they have in common.

pub mod body;
pub mod connection;
pub(crate) mod decoder;
pub(crate) mod encoder;
pub mod http1;
pub mod link;
