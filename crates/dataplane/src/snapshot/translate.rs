//! The policy `translate`: exactly one kind each.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{SoapTranslation, TranslateConnect, TranslateEvents};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Translate {
    /// Clients speak HTTP, the service GraphQL.
    Graphql(GraphqlTranslation),
    /// Clients speak Connect, the service gRPC.
    Connect(TranslateConnect),
    /// Streams that go one way, as events and over WebSocket.
    Events(TranslateEvents),
    /// Clients speak HTTP and JSON, the service gRPC.
    Grpc(GrpcTranslation),
    /// Clients speak gRPC, the service HTTP and JSON.
    Rest(RestTranslation),
    /// Clients speak HTTP and JSON, the service SOAP.
    Soap(Box<SoapTranslation>),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcTranslation {
    pub descriptors: Descriptors,
    /// Full names; empty is all that are described.
    pub services: Vec<String>,
    /// Methods without an annotation are `POST /package.Service/Method`.
    pub automatic: bool,
    /// What comes before the annotations' paths in the request's path; empty, or such as `/api`.
    pub base_path: String,
    pub json: JsonRules,
    /// Parameters of the query that no field has are passed over.
    pub ignore_unknown_query: bool,
    /// Of one message, either way, as JSON and as gRPC sends it.
    pub message_bytes: usize,
    /// How a stream is written where the client does not say.
    pub stream: StreamFormat,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestTranslation {
    /// Never of reflection: the service does not speak gRPC.
    pub descriptors: Descriptors,
    /// Full names; empty is all that are described.
    pub services: Vec<String>,
    /// Methods without an annotation are `POST /package.Service/Method`.
    pub automatic: bool,
    /// What comes before the annotations' paths in the service's; empty, or such as `/api`.
    pub base_path: String,
    pub json: JsonRules,
    /// Of one message, either way, as JSON and as gRPC sends it.
    pub message_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Descriptors {
    /// Absolute path of a `FileDescriptorSet`.
    Set(String),
    Sources(ProtoSources),
    Reflection(Reflection),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProtoSources {
    /// Names within the import paths.
    pub files: Vec<String>,
    /// Absolute.
    pub import_paths: Vec<String>,
}

/// The service describes itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reflection {
    /// Of one look.
    pub timeout_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonRules {
    pub ignore_unknown_fields: bool,
    pub defaults: bool,
    pub enum_numbers: bool,
    pub original_names: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamFormat {
    Array,
    Ndjson,
    Sse,
}

/// A stored operation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphqlTranslation {
    /// The document; or else `file`.
    pub operation: Option<String>,
    /// Its name among the snapshot's documents.
    pub file: Option<String>,
    /// Absent: the only one.
    pub operation_name: Option<String>,
    /// The name of a schema among the snapshot's documents.
    pub schema: Option<String>,
    /// Of the service.
    pub path: String,
    /// Asked by GET, otherwise by POST.
    pub get: bool,
    /// jq over the request; those that are left out have the value of their name.
    pub variables: BTreeMap<String, String>,
    /// Steps into the data.
    pub pick: Vec<String>,
    /// The status where there is null.
    pub missing: u16,
    /// jq over what is picked.
    pub body: Option<String>,
    pub status: u16,
    /// Data beside errors will do.
    pub partial: bool,
    /// By `extensions.code`.
    pub statuses: BTreeMap<String, u16>,
    /// Content of requests and answers.
    pub max_bytes: usize,
}

impl GraphqlTranslation {
    /// Before the name of a file.
    pub const FILE: &str = "graphql-file:";
}
