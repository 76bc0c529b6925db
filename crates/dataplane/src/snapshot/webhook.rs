//! Messages signed with a shared secret (Standard Webhooks).

use serde::Deserialize;

use super::Secret;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Whose messages they are.
    pub consumer: String,
    /// `whsec_…`; any of them may have signed.
    pub secrets: Vec<Secret>,
    /// How far the sender's clock and ours may differ, and how old a message may be.
    pub tolerance_s: u64,
    /// The longest body.
    pub max_bytes: usize,
}
