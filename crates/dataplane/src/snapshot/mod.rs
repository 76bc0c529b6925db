//! The contract from the control plane: the whole configuration as plain data, already checked and with every default
//! filled in by `stagedoor.config.compile`. Fields that this side does not know are refused, so the halves cannot drift.
//!
//! Units are in the names: `_ms` are milliseconds, `_bytes` are bytes. Times are never bare numbers.

mod access_token;
mod aggregate;
mod api;
mod authenticate;
mod authorize;
mod browser;
mod cache;
mod cluster;
mod connect;
mod consumer;
mod credentials;
mod events;
mod graphql;
mod introspection;
mod issuer;
mod listener;
mod mtls;
mod oidc;
mod policies;
mod route;
mod secret;
mod signature;
mod soap;
mod transform;
mod translate;
mod validate;
mod webhook;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use access_token::{AccessToken, Bound, Dpop, Nonce, StepUp};
pub use aggregate::{AggregateCall, AggregateResponse, AggregateTarget, AnswerFormat, Each};
pub use api::{Api, ApiVersion, Brownout, RouteApi, StepChanges, VersionMarker, VersionStep};
pub use authenticate::{Anonymous, Authenticate, Basic, Scheme};
pub use authorize::{Authorize, Conditions, ExtAuthz, ExtAuthzBody, ExtAuthzProtocol, Opa, Window};
pub use browser::{Csrf, SecurityHeaders};
pub use cache::{Cache, CacheDisk, CacheKeyPart, CacheQuery, CacheRanges, CacheStore};
pub use cluster::{Balance, Cluster, ClusterTls, Ejection, Endpoint, Pool, Protocol, ProxyVersion, Retry};
pub use connect::TranslateConnect;
pub use consumer::{
    ApiKey, Consumer, Login, Plan, PlanRate, Registered, RegisteredConsumer, RegisteredKey, Registry, RestrictedKey,
    User,
};
pub use credentials::{
    BasicCredentials, ClientCredentials, Credentials, DigestAlgorithm, Otherwise, SignatureCredentials, TokenClient,
    TokenExchange, WebhookCredentials,
};
pub use events::{EventService, Reconnect, TranslateEvents};
pub use graphql::{AllowedCallers, Graphql, GraphqlCost, GraphqlLimits, OperationKind, TrustedDocuments};
pub use introspection::{Introspection, Remember};
pub use issuer::{Claims, Fetched, Issuer, IssuerEndpoint, Jwt};
pub use listener::{
    CertificateFiles, Http2, Listener, ListenerLimits, ListenerTls, ProxyProtocol, TlsClients, TlsVersion,
};
pub use mtls::{Certificate, CertificateField, ForwardedCertificate, Mtls};
pub use oidc::{ClientAuthentication, Oidc, Session};
pub use policies::{
    AccessLog, Algorithm, Compress, Cors, GrpcWeb, HeaderChanges, Headers, Hsts, Limits, Policies, RateKey, RateLimit,
    RequestId, Upgrade,
};
pub use route::{
    EventsTarget, ExecutionTarget, FixedResponse, ForwardTarget, Match, Route, Target, ValueMatch, WorkflowResponse,
    WorkflowTarget,
};
pub use secret::Secret;
pub use signature::{Signature, SignatureKey};
pub use soap::{
    ComplexType, Particle, SimpleKind, SoapOperation, SoapTranslation, SoapVersion, Term, UsernameToken, XmlAttribute,
    XmlContent, XmlElement, XmlName, XmlType,
};
pub use transform::{Changes, ContentChange, ContentFormat, Shape, TransformRequest, TransformResponse};
pub use translate::{
    Descriptors, GraphqlTranslation, GrpcTranslation, JsonRules, ProtoSources, Reflection, RestTranslation,
    StreamFormat, Translate,
};
pub use validate::{Validate, ValidateResponses};
pub use webhook::Webhook;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Worker threads, each with its own listener sockets and pools.
    pub workers: usize,
    pub listeners: BTreeMap<String, Listener>,
    pub consumers: BTreeMap<String, Consumer>,
    /// What consumers may use.
    #[serde(default)]
    pub plans: BTreeMap<String, Plan>,
    /// Who issues tokens.
    #[serde(default)]
    pub issuers: BTreeMap<String, Issuer>,
    pub clusters: BTreeMap<String, Cluster>,
    #[serde(default)]
    pub apis: BTreeMap<String, Api>,
    pub routes: BTreeMap<String, Route>,
    /// OpenAPI documents, JSON Schemas and files of GraphQL by name, every reference within its own document.
    #[serde(default)]
    pub documents: BTreeMap<String, serde_json::Value>,
    /// Where responses are kept for all routes that have the policy.
    #[serde(default)]
    pub cache: CacheStore,
    /// The default policies, for what a request that matches no route still gets: request id, access log, headers.
    #[serde(default)]
    pub unrouted: Policies,
}
