//! Responses kept and used again.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The one store of the process.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheStore {
    /// What all stored responses may take, their heads and keys included.
    pub memory_bytes: u64,
    /// For large content.
    #[serde(default)]
    pub disk: Option<CacheDisk>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheDisk {
    /// A directory of its own.
    pub path: String,
    /// What all stored responses may take of it.
    pub size_bytes: u64,
    /// Content of at least so many bytes is kept there.
    pub from_bytes: u64,
}

impl Default for CacheStore {
    fn default() -> Self {
        Self { memory_bytes: 64 << 20, disk: None }
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    pub query: CacheQuery,
    /// What tells responses apart beside the URL.
    pub vary_by: Vec<CacheKeyPart>,
    /// Lower-case names of fields that reach the service although they are not in the key.
    pub forward: Vec<String>,
    /// One response for all consumers; the service is not told who asks.
    pub share_consumers: bool,
    /// Freshness of responses that do not tell theirs, by status.
    pub ttl_s: BTreeMap<u16, u64>,
    /// Whether it may be guessed from `Last-Modified` (RFC 9111 §4.2.2).
    pub heuristic: bool,
    /// Whether responses with `Set-Cookie` are stored.
    pub set_cookies: bool,
    /// Longer content is passed on and not stored.
    pub object_bytes: u64,
    /// What becomes of a range that nothing stored answers.
    #[serde(default)]
    pub ranges: CacheRanges,
    /// Responses of one key that differ by what `Vary` names.
    pub variants: usize,
    pub stale_while_revalidate_s: u64,
    pub stale_if_error_s: u64,
    /// Whether `Cache-Control` of requests counts.
    pub client_control: bool,
    /// Every stored response of the route belongs to these.
    pub groups: Vec<String>,
    /// A successful unsafe request invalidates these.
    pub invalidates: Vec<String>,
    /// Whether responses tell `Cache-Status` (RFC 9211).
    pub status: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheRanges {
    /// The service is asked for the range, and the part is stored.
    #[default]
    Pass,
    /// It is asked for the whole.
    Whole,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheQuery {
    /// As it was received.
    All,
    /// Parameters in the order of their names.
    Sorted,
    /// These parameters alone, in the order of their names.
    Names(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheKeyPart {
    Consumer,
    Header(String),
    /// The name of a claim, dots for what is within.
    Claim(String),
}
