//! The policies by their names, and the one order in which they see requests and responses.

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
