//! What the user asks for on a route, one file each, all of the same anatomy: a type built once from its snapshot
//! (`new`), and `on_request` or `on_response` that only looks things up. A closed set in a fixed order, no registry.

pub mod access_log;
pub mod authenticate;
pub mod authorize;
pub mod cache;
mod compile;
pub mod compress;
pub mod cors;
pub mod csrf;
pub mod graphql;
pub mod grpc_web;
pub mod headers;
pub mod hsts;
pub mod limits;
mod name;
pub mod plan;
pub mod rate_limit;
pub mod request_id;
pub mod security_headers;
pub mod transform;
pub mod translate;
pub mod upgrade;
pub mod validate;
pub mod version;

use std::rc::Rc;
use std::sync::Arc;

use http::{request, response, Request, Response};
use serde_json::Value;

pub use compile::Context;
pub use name::{Name, ORDER};

use crate::error::Error;
use crate::exchange::Exchange;
use crate::protocol::body::Body;
use crate::worker::Worker;

/// What happens to a request after a policy has seen it. A failure is an `Error`, not a `Flow`.
// Returned once for each policy and looked at once: a box would cost more than the move.
#[allow(clippy::large_enum_variant)]
pub enum Flow {
    Continue,
    /// The policy itself is the answer (a CORS preflight, later a cache hit).
    Respond(Response<Body>),
}

pub type RequestHead = request::Parts;
pub type ResponseHead = response::Parts;

/// The policies of a route. What is None is off.
pub struct Policies {
    /// Those that are on, in their order: what a message has to pass.
    on: Box<[Name]>,
    pub request_id: Option<request_id::RequestId>,
    pub access_log: Option<access_log::AccessLog>,
    pub limits: Option<limits::Limits>,
    pub cors: Option<cors::Cors>,
    pub authenticate: Option<authenticate::Authenticate>,
    /// Of a route that belongs to an API; set by `join`.
    pub version: Option<Box<version::Version>>,
    pub csrf: Option<csrf::Csrf>,
    pub authorize: Option<authorize::Authorize>,
    pub rate_limit: Option<rate_limit::RateLimit>,
    pub validate: Option<validate::Validate>,
    pub graphql: Option<Box<graphql::Graphql>>,
    pub cache: Option<cache::Cache>,
    pub transform_request: Option<Box<transform::TransformRequest>>,
    pub transform_response: Option<Arc<transform::TransformResponse>>,
    pub translate: Option<translate::Translate>,
    pub grpc_web: Option<grpc_web::GrpcWeb>,
    pub upgrade: Option<upgrade::Upgrade>,
    pub compress: Option<compress::Compress>,
    pub hsts: Option<hsts::Hsts>,
    pub security_headers: Option<security_headers::SecurityHeaders>,
    pub headers: Option<headers::Headers>,
}

impl Policies {
    /// In the order of `ORDER`, until one answers or fails. Those that only look things up are called as they are; what
    /// waits does so in a box of its own.
    pub async fn on_request(
        &self,
        exchange: &mut Exchange,
        head: &mut RequestHead,
        body: &mut Body,
        worker: &Rc<Worker>,
    ) -> Result<Flow, Error> {
        for name in &self.on {
            match name {
                Name::RequestId => self.request_id.iter().for_each(|policy| policy.on_request(exchange, head)),
                Name::AccessLog => self.access_log.iter().for_each(|policy| policy.on_request(exchange, head)),
                Name::Limits => self.limits.iter().try_for_each(|policy| policy.on_request(exchange, head))?,
                Name::Cors => {
                    let flow = self.cors.as_ref().map(|policy| policy.on_request(exchange, head));
                    if let Some(Flow::Respond(response)) = flow {
                        return Ok(Flow::Respond(response));
                    }
                }
                Name::Authenticate => {
                    if let Some(policy) = &self.authenticate {
                        if let Flow::Respond(response) = policy.on_request(exchange, head, body, worker).await? {
                            return Ok(Flow::Respond(response));
                        }
                    }
                }
                Name::Version => {
                    self.version.iter().try_for_each(|policy| policy.on_request(exchange, head, &worker.shared))?
                }
                Name::Csrf => self.csrf.iter().try_for_each(|policy| policy.on_request(exchange, head))?,
                Name::Authorize => {
                    if let Some(policy) = &self.authorize {
                        let authenticate = self.authenticate.as_ref();
                        if let Flow::Respond(response) =
                            policy.on_request(exchange, head, body, authenticate, worker).await?
                        {
                            return Ok(Flow::Respond(response));
                        }
                    }
                }
                Name::RateLimit => {
                    self.rate_limit.iter().try_for_each(|policy| policy.on_request(exchange, head, &worker.shared))?
                }
                Name::Validate => {
                    if let Some(policy) = &self.validate {
                        Box::pin(policy.on_request(exchange, head, body)).await?;
                    }
                }
                Name::Graphql => {
                    if let Some(policy) = &self.graphql {
                        Box::pin(policy.on_request(worker.index, exchange, head, body)).await?;
                    }
                }
                Name::GrpcWeb => self.grpc_web.iter().for_each(|policy| policy.on_request(exchange, head)),
                Name::Upgrade => self.upgrade.iter().try_for_each(|policy| policy.on_request(exchange))?,
                Name::Compress => self.compress.iter().for_each(|policy| policy.on_request(exchange, head)),
                // Asked directly before the target.
                // Around the target: `proxy::ask` calls those that transform and translate.
                Name::Cache
                | Name::TransformRequest
                | Name::TransformResponse
                | Name::Translate
                | Name::Hsts
                | Name::SecurityHeaders => {}
                Name::Headers => self.headers.iter().for_each(|policy| policy.on_request(head)),
            }
        }
        Ok(Flow::Continue)
    }

    /// Its route belongs to an API.
    pub fn join(&mut self, version: version::Version) {
        let on = |name: &Name| self.on.contains(name) || *name == Name::Version;
        self.on = ORDER.into_iter().filter(on).collect();
        self.version = Some(Box::new(version));
    }

    pub fn transforms(&self) -> bool {
        self.transform_request.is_some() || self.transform_response.is_some()
    }

    /// Just before the target, behind the cache: nothing that a cache withholds is put into what the target gets.
    pub async fn transform(
        &self,
        worker: &Worker,
        exchange: &mut Exchange,
        request: Request<Body>,
    ) -> Result<Request<Body>, Error> {
        let (mut head, mut body) = request.into_parts();
        if let Some(policy) = &self.transform_request {
            policy.on_request(worker, exchange, &mut head, &mut body).await?;
        }
        if let Some(policy) = &self.transform_response {
            policy.before_target(exchange, &mut head)?;
        }
        Ok(Request::from_parts(head, body))
    }

    /// In the same order; also on the responses to errors and on those of policies. The body that the client gets.
    pub fn on_response(&self, exchange: &Exchange, head: &mut ResponseHead, mut body: Body) -> Body {
        for name in &self.on {
            match name {
                Name::RequestId => self.request_id.iter().for_each(|policy| policy.on_response(exchange, head)),
                Name::Cors => self.cors.iter().for_each(|policy| policy.on_response(exchange, head)),
                Name::RateLimit => self.rate_limit.iter().for_each(|policy| policy.on_response(exchange, head)),
                Name::Compress => {
                    if let Some(policy) = &self.compress {
                        body = policy.on_response(exchange, head, body);
                    }
                }
                Name::Hsts => self.hsts.iter().for_each(|policy| policy.on_response(exchange, head)),
                Name::SecurityHeaders => self.security_headers.iter().for_each(|policy| policy.on_response(head)),
                Name::Headers => self.headers.iter().for_each(|policy| policy.on_response(head)),
                Name::Authenticate => authenticate::on_response(exchange, head),
                Name::Version => self.version.iter().for_each(|policy| policy.on_response(exchange, head)),
                Name::Authorize => authorize::on_response(exchange, head),
                Name::AccessLog
                | Name::Limits
                | Name::Csrf
                | Name::Validate
                | Name::Graphql
                | Name::Cache
                | Name::TransformRequest
                | Name::TransformResponse
                | Name::Translate
                | Name::GrpcWeb
                | Name::Upgrade => {}
            }
        }
        body
    }

    /// Those that are on, in their order, with their settings and without any secret.
    pub fn describe(&self) -> Vec<(Name, Value)> {
        let describe = |name: Name| match name {
            Name::RequestId => self.request_id.as_ref().map(request_id::RequestId::describe),
            Name::AccessLog => self.access_log.as_ref().map(access_log::AccessLog::describe),
            Name::Limits => self.limits.as_ref().map(limits::Limits::describe),
            Name::Cors => self.cors.as_ref().map(cors::Cors::describe),
            Name::Authenticate => self.authenticate.as_ref().map(authenticate::Authenticate::describe),
            Name::Version => self.version.as_ref().map(|policy| policy.describe()),
            Name::Csrf => self.csrf.as_ref().map(csrf::Csrf::describe),
            Name::Authorize => self.authorize.as_ref().map(authorize::Authorize::describe),
            Name::RateLimit => self.rate_limit.as_ref().and_then(rate_limit::RateLimit::describe),
            Name::Validate => self.validate.as_ref().map(validate::Validate::describe),
            Name::Graphql => self.graphql.as_deref().map(graphql::Graphql::describe),
            Name::Cache => self.cache.as_ref().map(cache::Cache::describe),
            Name::TransformRequest => self.transform_request.as_deref().map(transform::TransformRequest::describe),
            Name::TransformResponse => self.transform_response.as_deref().map(transform::TransformResponse::describe),
            Name::Translate => self.translate.as_ref().map(translate::Translate::describe),
            Name::GrpcWeb => self.grpc_web.as_ref().map(grpc_web::GrpcWeb::describe),
            Name::Upgrade => self.upgrade.as_ref().map(upgrade::Upgrade::describe),
            Name::Compress => self.compress.as_ref().map(compress::Compress::describe),
            Name::Hsts => self.hsts.as_ref().map(hsts::Hsts::describe),
            Name::SecurityHeaders => self.security_headers.as_ref().map(security_headers::SecurityHeaders::describe),
            Name::Headers => self.headers.as_ref().map(headers::Headers::describe),
        };
        ORDER.into_iter().filter_map(|name| Some((name, describe(name)?))).collect()
    }
}
