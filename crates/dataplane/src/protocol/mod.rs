//! The protocols of clients, and what they have in common.

pub mod body;
pub mod connection;
pub(crate) mod decoder;
pub mod http1;
pub mod link;
