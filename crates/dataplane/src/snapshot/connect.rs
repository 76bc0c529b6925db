//! Connect for services that speak gRPC.

use serde::Deserialize;

use super::{Descriptors, JsonRules};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslateConnect {
    /// None: messages are handed on unread.
    pub descriptors: Option<Descriptors>,
    /// Full names; empty is all that are described.
    pub services: Vec<String>,
    pub json: JsonRules,
    /// Methods (`package.Service/Method`) that may be asked with GET, beside those that say so.
    pub get: Vec<String>,
    /// Requests that do not say that they are Connect are refused.
    pub require_version: bool,
    /// Of one message, either way, when it is plain.
    pub message_bytes: usize,
}
