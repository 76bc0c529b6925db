//! What the user asks for on a route, one file each, all of the same anatomy: a type built once from its snapshot
//! (`new`), and `on_request` or `on_response` that only looks things up. A closed set in a fixed order, no registry.

use http::{request, response, Response};

use crate::protocol::body::Body;

/// What happens to a request after a policy has seen it. A failure is an `Error`, not a `Flow`.
pub enum Flow {
    Continue,
    /// The policy itself is the answer (a CORS preflight, later a cache hit).
    Respond(Response<Body>),
}

pub type RequestHead = request::Parts;
pub type ResponseHead = response::Parts;
