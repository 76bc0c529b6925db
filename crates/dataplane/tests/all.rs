//! All tests of the data plane through its sockets, one program: what a test is made of is compiled and linked once.
//!
//! A subject is a module; `cargo test -p stagedoor-dataplane --test all jwt::` runs one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// What tests are made of.
mod case;
mod changes;
mod door;
mod endpoint;
mod frames;
mod pki;
mod provider;
mod table;
mod wire;
mod witness;

// Subjects.
mod aggregate;
mod authorize;
mod back_pressure;
mod basic;
mod browser;
mod cache;
mod cluster_alpn;
mod cluster_answer;
mod cluster_call;
mod cluster_credentials;
mod cluster_forward;
mod cluster_health;
mod cluster_http2;
mod cluster_pool;
mod cluster_proxy_protocol;
mod cluster_retry;
mod cluster_signature;
mod cluster_tls;
mod compress;
mod connection_life;
mod dpop;
mod drain;
mod explain;
mod front_policies;
mod fuzz;
mod grpc;
mod http2_door;
mod http2_pressure;
mod identity;
mod introspection;
mod jwt;
mod keys;
mod mtls;
mod oidc;
mod policies;
mod properties;
mod proxy_protocol;
mod registry;
mod request_framing;
mod response_framing;
mod routing;
mod schemes;
mod signature;
mod stream;
mod tls_listener;
mod trace_method;
mod transform;
mod unix_socket;
mod unread_body;
mod upgrade;
mod upgrade_http2;
mod upgrade_to_http2;
mod validate;
mod versions;
mod webhook;
