//! The policy `validate`.

use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// The name of an OpenAPI document among the snapshot's documents.
    pub openapi: Option<String>,
    /// The name of a JSON Schema among them, for the body alone.
    pub schema: Option<String>,
    /// What comes before the document's paths; absent: the path of its first server.
    pub base_path: Option<String>,
    /// `type/subtype`, `type/*` or `*/*`, lower-case; empty is any.
    pub content_types: Vec<String>,
    /// The same of responses with content; empty is any.
    #[serde(default)]
    pub response_types: Vec<String>,
    /// What the document does not have passes.
    pub unknown: bool,
    /// Content that is read; more is 413.
    pub body_bytes: usize,
    /// Absent: responses are not looked at.
    pub responses: Option<ValidateResponses>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidateResponses {
    /// Otherwise they are only told of in the log.
    pub enforce: bool,
    /// Content that is read.
    pub body_bytes: usize,
    /// What is larger passes unread.
    pub larger: bool,
}
