//! The policies of a route out of their settings, with what they may refer to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderName;
use rustc_hash::FxHashMap;

use super::{
    access_log, authenticate, authorize, cache, compress, cors, csrf, graphql, grpc_web, headers, hsts, limits, plan,
    rate_limit, request_id, security_headers, transform, translate, upgrade, validate, Name, Policies, ORDER,
};
use crate::program::Report;
use crate::shared::Shared;
use crate::snapshot::{self, Snapshot};

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
