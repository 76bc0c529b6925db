//! What went wrong, whose fault it is, and whether to try again; and the one mapping from that to an HTTP response.

use std::fmt;

use crate::protocol::body::Body;

/// Where every kind is explained, by its code.
const DOCUMENTATION: &str = "https://stagedoor.dev/errors#";

/// Who caused an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Downstream,
    Gateway,
    Upstream,
}

/// Whether a call may be sent again without the caller noticing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Nothing of the request was sent.
    Safe,
    /// Something was sent and nothing came back: only idempotent methods.
    IfIdempotent,
    Never,
}

macro_rules! kinds {
    ($($name:ident $status:literal $source:ident $code:literal $title:literal;)*) => {
        /// Every kind of error. Its code is stable and is a heading in `docs/errors.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($name,)* }

        impl Kind {
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];
            pub fn status(self) -> u16 { match self { $(Kind::$name => $status,)* } }
            pub fn source(self) -> Source { match self { $(Kind::$name => Source::$source,)* } }
            pub fn code(self) -> &'static str { match self { $(Kind::$name => $code,)* } }
            pub fn title(self) -> &'static str { match self { $(Kind::$name => $title,)* } }
        }
    };
}

kinds! {
    BadRequest 400 Downstream "bad-request" "The request is malformed";
    InvalidBody 400 Downstream "invalid-body" "The request body is malformed";
    RequestInvalid 400 Downstream "request-invalid" "The request is not as the API describes it";
    VersionUnknown 400 Downstream "version-unknown" "The API has no such version";
    GraphqlParseFailed 400 Downstream "graphql-parse-failed" "The document is not GraphQL";
    GraphqlValidationFailed 400 Downstream "graphql-validation-failed" "The document cannot be executed";
    OperationResolutionFailure 400 Downstream "operation-resolution-failure" "Which operation is meant is not clear";
    OperationTooComplex 400 Downstream "operation-too-complex" "The operation asks for too much";
    PersistedQueryNotFound 400 Downstream "persisted-query-not-found" "No document is known by this id";
    PersistedQueryNotSupported 400 Downstream "persisted-query-not-supported" "Documents are not asked for by ids here";
    Unauthorized 401 Downstream "unauthorized" "A valid credential is required";
    Forbidden 403 Downstream "forbidden" "The consumer may not do this";
    CallerTokenMissing 403 Downstream "caller-token-missing" "The caller has no token that could be exchanged";
    OperationNotAllowed 403 Downstream "operation-not-allowed" "The operation is not allowed here";
    RouteNotFound 404 Downstream "route-not-found" "No route matches the request";
    NothingFound 404 Upstream "nothing-found" "There is nothing of this kind";
    ExecutionNotFound 404 Downstream "execution-not-found" "No such execution";
    MethodNotAllowed 405 Downstream "method-not-allowed" "The method is not allowed here";
    NotAcceptable 406 Downstream "not-acceptable" "Nothing that the client takes can be answered";
    RequestTimeout 408 Downstream "request-timeout" "The request did not arrive in time";
    IdempotencyConflict 422 Downstream "idempotency-conflict" "The idempotency key was used for another request";
    VersionRetired 410 Downstream "version-retired" "This version of the API is no more";
    BodyTooLarge 413 Downstream "body-too-large" "The request body is too large";
    UriTooLong 414 Downstream "uri-too-long" "The request target is too long";
    UnsupportedMediaType 415 Downstream "unsupported-media-type" "The media type is not supported";
    ExpectationFailed 417 Downstream "expectation-failed" "The expectation is not supported";
    RateLimited 429 Downstream "rate-limited" "Too many requests";
    HeadTooLarge 431 Downstream "head-too-large" "The request head is too large";
    ClientGone 499 Downstream "client-gone" "The client went away";
    Internal 500 Gateway "internal" "The gateway failed";
    ExpressionFailed 500 Gateway "expression-failed" "An expression of the configuration failed";
    MethodNotImplemented 501 Downstream "method-not-implemented" "The method is not implemented";
    EndpointUnreachable 502 Upstream "endpoint-unreachable" "The service could not be reached";
    CallFailed 502 Upstream "call-failed" "A service that the answer is made of has failed";
    GraphqlFailed 502 Upstream "graphql-failed" "The service answered with errors";
    BadReply 502 Upstream "bad-reply" "The service answered with an invalid or incomplete response";
    SoapFault 502 Upstream "soap-fault" "The service answered with a fault";
    ResponseInvalid 502 Upstream "response-invalid" "The service's answer is not as its API describes it";
    ClusterUnavailable 503 Upstream "cluster-unavailable" "No endpoint of the service is available";
    Draining 503 Gateway "draining" "The gateway is shutting down";
    AuthenticationUnavailable 503 Upstream "authentication-unavailable" "Who calls cannot be decided";
    AuthorizationUnavailable 503 Upstream "authorization-unavailable" "Whether this is allowed cannot be decided";
    CredentialsUnavailable 503 Upstream "credentials-unavailable" "The gateway cannot prove itself to the service";
    VersionPaused 503 Gateway "version-paused" "This version of the API is switched off for a while";
    DescriptorsUnavailable 503 Upstream "descriptors-unavailable" "What the service offers is not known";
    Overloaded 503 Gateway "overloaded" "The gateway is at its limit";
    EngineUnavailable 503 Gateway "engine-unavailable" "The workflow engine is not available";
    WorkflowFaulted 500 Upstream "workflow-faulted" "The workflow failed";
    NotCached 504 Downstream "not-cached" "Nothing stored answers the request";
    DeadlineExceeded 504 Upstream "deadline-exceeded" "The service did not answer in time";
    VersionNotSupported 505 Downstream "version-not-supported" "The HTTP version is not supported";
}

/// An error on a request's way. `detail` may be shown to the client, so it never holds a secret or an internal address.
#[derive(Debug, Clone)]
pub struct Error {
    pub kind: Kind,
    pub retry: Retry,
    pub detail: String,
    /// Headers that the standard asks for with this status: `Allow`, `WWW-Authenticate`, `Retry-After`, `RateLimit`.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// What the log should say and the client should not.
    pub cause: Option<String>,
    /// In place of the kind's, where the configuration says so.
    pub status: Option<u16>,
    /// What else the client is told, by name (RFC 9457 §3.2).
    pub members: Vec<(&'static str, serde_json::Value)>,
}

impl Error {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            retry: Retry::Never,
            detail: detail.into(),
            headers: Vec::new(),
            cause: None,
            status: None,
            members: Vec::new(),
        }
    }

    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// The faults of a message, each for the client.
    pub fn errors(self, errors: Vec<serde_json::Value>) -> Self {
        self.member("errors", errors.into())
    }

    /// Those faults.
    pub fn faults(&self) -> &[serde_json::Value] {
        let errors = self.members.iter().find(|(name, _)| *name == "errors").and_then(|(_, value)| value.as_array());
        errors.map_or(&[], Vec::as_slice)
    }

    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    pub fn member(mut self, name: &'static str, value: serde_json::Value) -> Self {
        self.members.push((name, value));
        self
    }

    pub fn header(mut self, name: http::HeaderName, value: http::HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.title(), self.detail)?;
        match &self.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The page that explains a kind.
pub fn documentation(kind: Kind) -> String {
    format!("{DOCUMENTATION}{}", kind.code())
}

/// The one mapping from errors to responses: `application/problem+json` (RFC 9457). `detail` is for the client; the
/// cause stays in the log. A request that could not be read to its end closes its connection.
pub fn respond(error: &Error, request_id: Option<&http::HeaderValue>) -> http::Response<Body> {
    respond_with(error, error.status.unwrap_or(error.kind.status()), request_id)
}

/// With another status than the kind's own.
pub fn respond_with(error: &Error, status: u16, request_id: Option<&http::HeaderValue>) -> http::Response<Body> {
    let kind = error.kind;
    let mut problem = serde_json::json!({
        "type": documentation(kind),
        "title": kind.title(),
        "status": status,
        "detail": error.detail,
    });
    for (name, value) in &error.members {
        problem[*name] = value.clone();
    }
    if let Some(id) = request_id.and_then(|id| id.to_str().ok()) {
        problem["request_id"] = id.into();
    }
    respond_as(error, status, "application/problem+json", problem.to_string())
}

/// The headers that an error has whatever its content is.
pub fn respond_as(error: &Error, status: u16, media_type: &'static str, content: String) -> http::Response<Body> {
    let mut response = http::Response::new(Body::full(content));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    for (name, value) in &error.headers {
        headers.append(name.clone(), value.clone());
    }
    // Who is refused for now is told when to come again, also where nobody knows better (RFC 9110 §15.6.4).
    if status == 503 {
        headers.entry(http::header::RETRY_AFTER).or_insert(http::HeaderValue::from_static("1"));
    }
    // What follows a CONNECT may be no HTTP at all.
    let last = [Kind::BodyTooLarge, Kind::RequestTimeout, Kind::ClientGone, Kind::Draining, Kind::MethodNotImplemented];
    if last.contains(&error.kind) {
        headers.insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    response
}
