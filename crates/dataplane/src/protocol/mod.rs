//! The protocols of clients, and what they have in common.

mod base64;
pub mod body;
pub mod connection;
pub(crate) mod decoder;
pub(crate) mod encoder;
pub mod grpc;
pub mod grpc_web;
pub mod http1;
pub mod link;
