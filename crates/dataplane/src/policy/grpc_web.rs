//! Lets browsers call a service that speaks gRPC: the request's side. The answer is translated where it comes from the
//! target, so that response policies see what the client gets.

use serde_json::{json, Value};

use super::RequestHead;
use crate::exchange::Exchange;
use crate::protocol::grpc_web;
use crate::snapshot;

pub struct GrpcWeb;

impl GrpcWeb {
    pub fn new(_settings: &snapshot::GrpcWeb) -> Result<Self, Vec<String>> {
        Ok(Self)
    }

    pub fn describe(&self) -> Value {
        json!({})
    }

    /// Requests that are not gRPC-Web pass as they are, those of gRPC itself among them.
    pub fn on_request(&self, exchange: &mut Exchange, head: &mut RequestHead) {
        if exchange.call.as_ref().is_some_and(|call| call.web().is_some()) {
            exchange.translation = Some(grpc_web::Translation::begin(&mut head.headers));
        }
    }
}
