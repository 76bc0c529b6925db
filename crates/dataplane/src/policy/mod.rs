//! What the user asks for on a route, one file each, all of the same anatomy: a type built once from its snapshot
//! (`new`), and `on_request` or `on_response` that only looks things up. A closed set in a fixed order, no registry.

pub mod access_log;
pub mod authenticate;
pub mod authorize;
pub mod cache;
pub mod compress;
pub mod cors;
pub mod csrf;
pub mod graphql;
pub mod grpc_web;
pub mod headers;
pub mod hsts;
pub mod limits;
pub mod plan;
pub mod rate_limit;
pub mod request_id;
pub mod security_headers;
pub mod transform;
pub mod translate;
pub mod upgrade;
pub mod validate;
pub mod version;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use http::{request, response, HeaderName, Request, Response};
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::error::Error;
use crate::exchange::Exchange;
use crate::program::Report;
use crate::protocol::body::Body;
use crate::shared::Shared;
use crate::snapshot::{self, Snapshot};
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

/// The policies there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    RequestId,
    AccessLog,
    Limits,
    Cors,
    Authenticate,
    Version,
    Csrf,
    Authorize,
    RateLimit,
    Validate,
    Graphql,
    Cache,
    TransformRequest,
    TransformResponse,
    Translate,
    GrpcWeb,
    Upgrade,
    Compress,
    Hsts,
    SecurityHeaders,
    Headers,
}

/// The order in which all policies see a request, the same for every route; and then the response, so that `headers` has
/// the last word on both.
pub const ORDER: [Name; 21] = [
    Name::RequestId,
    Name::AccessLog,
    Name::Limits,
    Name::Cors,
    Name::Authenticate,
    Name::Version,
    Name::Csrf,
    Name::Authorize,
    Name::RateLimit,
    Name::Validate,
    Name::Graphql,
    Name::Cache,
    Name::TransformRequest,
    Name::TransformResponse,
    Name::Translate,
    Name::GrpcWeb,
    Name::Upgrade,
    Name::Compress,
    Name::Hsts,
    Name::SecurityHeaders,
    Name::Headers,
];

impl Name {
    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Name::RequestId => "request_id",
            Name::AccessLog => "access_log",
            Name::Limits => "limits",
            Name::Cors => "cors",
            Name::Authenticate => "authenticate",
            Name::Version => "version",
            Name::Csrf => "csrf",
            Name::Authorize => "authorize",
            Name::RateLimit => "rate_limit",
            Name::Validate => "validate",
            Name::Graphql => "graphql",
            Name::Cache => "cache",
            Name::TransformRequest => "transform_request",
            Name::TransformResponse => "transform_response",
            Name::Translate => "translate",
            Name::GrpcWeb => "grpc_web",
            Name::Upgrade => "upgrade",
            Name::Compress => "compress",
            Name::Hsts => "hsts",
            Name::SecurityHeaders => "security_headers",
            Name::Headers => "headers",
        }
    }
}

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

/// What policies may refer to while they are compiled.
pub struct Context<'a> {
    pub shared: &'a Shared,
    /// All of the configuration.
    pub consumers: &'a BTreeMap<String, snapshot::Consumer>,
    /// All consumers by their credentials.
    pub credentials: Arc<authenticate::Credentials>,
    /// All of them that have a name and a password.
    pub users: Arc<authenticate::Users>,
    pub certificates: Arc<authenticate::Certificates>,
    pub signature_keys: Arc<authenticate::SignatureKeys>,
    pub plans: Arc<plan::Plans>,
    /// By their names.
    pub issuers: Arc<authenticate::issuer::Issuers>,
    /// Whether some cluster is given tokens for those of callers.
    pub subjects_wanted: bool,
    pub clusters: &'a BTreeMap<String, snapshot::Cluster>,
    /// Every header that carries a credential on some route.
    pub secret_headers: Vec<HeaderName>,
    /// Descriptions of APIs, and what has been compiled of them so far.
    pub documents: RefCell<validate::Documents<'a>>,
    /// The rate limits of the routes so far, by id.
    pub rules: RefCell<FxHashMap<Box<str>, (rate_limit::Rate, rate_limit::By)>>,
}

impl<'a> Context<'a> {
    pub fn new(snapshot: &'a Snapshot, shared: &'a Shared, report: &mut Report) -> Self {
        let plans = plan::Plans::new(&snapshot.plans, &shared.limiter, &mut report.errors);
        Self {
            shared,
            consumers: &snapshot.consumers,
            credentials: Arc::new(authenticate::Credentials::new(&snapshot.consumers, &plans, shared, report)),
            users: Arc::new(authenticate::Users::new(&snapshot.consumers, shared, report)),
            signature_keys: Arc::new(authenticate::SignatureKeys::new(&snapshot.consumers, report)),
            certificates: Arc::new(authenticate::Certificates::new(&snapshot.consumers, report)),
            plans: Arc::new(plans),
            issuers: Arc::new(authenticate::issuer::compile(snapshot, shared, report)),
            subjects_wanted: snapshot
                .clusters
                .values()
                .any(|cluster| matches!(cluster.credentials, Some(snapshot::Credentials::TokenExchange(_)))),
            clusters: &snapshot.clusters,
            secret_headers: access_log::secret_headers(snapshot),
            documents: RefCell::new(validate::Documents::new(&snapshot.documents)),
            rules: RefCell::default(),
        }
    }
}

impl Policies {
    /// Every mistake goes to `report`, beginning with `place`; None then.
    pub fn compile(
        place: &str,
        settings: &snapshot::Policies,
        context: &Context<'_>,
        report: &mut Report,
    ) -> Option<Self> {
        let before = report.errors.len();
        // Every request gets an id, whether it is shown or not.
        let mut on = Place { place, report, on: vec![Name::RequestId] };
        let mut policies = Self {
            on: Box::default(),
            request_id: on.build(Name::RequestId, settings.request_id.as_ref().map(request_id::RequestId::new)),
            access_log: on.build(
                Name::AccessLog,
                settings.access_log.as_ref().map(|settings| access_log::AccessLog::new(settings, context)),
            ),
            limits: on.build(Name::Limits, settings.limits.as_ref().map(limits::Limits::new)),
            cors: on.build(Name::Cors, settings.cors.as_ref().map(cors::Cors::new)),
            authenticate: on.build(
                Name::Authenticate,
                settings.authenticate.as_ref().map(|settings| authenticate::Authenticate::new(settings, context)),
            ),
            version: None,
            csrf: on.build(Name::Csrf, settings.csrf.as_ref().map(csrf::Csrf::new)),
            authorize: on.build(
                Name::Authorize,
                settings
                    .authorize
                    .as_ref()
                    .map(|policy| authorize::Authorize::new(policy, settings.authenticate.is_some(), context)),
            ),
            rate_limit: on.build(
                Name::RateLimit,
                // Also without rules of the route's own: a consumer may have a plan.
                Some(&settings.rate_limit)
                    .filter(|rules| !rules.is_empty() || settings.authenticate.is_some())
                    .map(|rules| rate_limit::RateLimit::new(rules, settings.authenticate.is_some(), context)),
            ),
            validate: on.build(
                Name::Validate,
                settings.validate.as_ref().map(|settings| validate::Validate::new(settings, context)),
            ),
            graphql: on.build(
                Name::Graphql,
                settings.graphql.as_ref().map(|settings| graphql::Graphql::new(settings, context).map(Box::new)),
            ),
            cache: on.build(
                Name::Cache,
                settings
                    .cache
                    .as_ref()
                    .map(|policy| cache::Cache::new(policy, settings.authenticate.is_some(), &context.shared.cache)),
            ),
            transform_request: on.build(
                Name::TransformRequest,
                settings
                    .transform_request
                    .as_ref()
                    .map(|policy| transform::TransformRequest::new(policy).map(Box::new)),
            ),
            transform_response: on.build(
                Name::TransformResponse,
                settings
                    .transform_response
                    .as_ref()
                    .map(|policy| transform::TransformResponse::new(policy).map(Arc::new)),
            ),
            translate: on.build(
                Name::Translate,
                settings.translate.as_ref().map(|policy| translate::Translate::new(policy, context)),
            ),
            grpc_web: on.build(Name::GrpcWeb, settings.grpc_web.as_ref().map(grpc_web::GrpcWeb::new)),
            upgrade: on.build(Name::Upgrade, settings.upgrade.as_ref().map(upgrade::Upgrade::new)),
            compress: on.build(Name::Compress, settings.compress.as_ref().map(compress::Compress::new)),
            hsts: on.build(Name::Hsts, settings.hsts.as_ref().map(hsts::Hsts::new)),
            security_headers: on.build(
                Name::SecurityHeaders,
                settings.security_headers.as_ref().map(security_headers::SecurityHeaders::new),
            ),
            headers: on.build(Name::Headers, settings.headers.as_ref().map(headers::Headers::new)),
        };
        let built = on.on;
        policies.on = ORDER.into_iter().filter(|name| built.contains(name)).collect();
        (report.errors.len() == before).then_some(policies)
    }

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
                Name::RequestId => request_id::on_request(self.request_id.as_ref(), exchange, head),
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

/// Where policies are compiled, for their errors.
struct Place<'a> {
    place: &'a str,
    report: &'a mut Report,
    /// Those that are on.
    on: Vec<Name>,
}

impl Place<'_> {
    /// A policy that is on and right; its errors are told otherwise.
    fn build<T>(&mut self, name: Name, policy: Option<Result<T, Vec<String>>>) -> Option<T> {
        match policy? {
            Ok(policy) => {
                self.on.push(name);
                Some(policy)
            }
            Err(errors) => {
                for error in errors {
                    self.report.error(format!("{}: {}: {error}", self.place, name.as_str()));
                }
                None
            }
        }
    }
}
