//! What a caller may do.

use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorize {
    /// All of these must hold.
    pub must: Conditions,
    /// Where there are some, at least one of them must hold.
    pub any: Vec<Conditions>,
    /// None of these may hold.
    pub none: Vec<Conditions>,
    pub opa: Option<Opa>,
}

/// What is empty or absent is not asked for; everything else must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// Every one of them.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// At least one of them.
    #[serde(default)]
    pub any_scope: Vec<String>,
    /// At least one of each of these lists.
    #[serde(default)]
    pub groups: Vec<String>,
    #[serde(default)]
    pub consumers: Vec<String>,
    #[serde(default)]
    pub plans: Vec<String>,
    /// Addresses and networks (CIDR) of clients.
    #[serde(default)]
    pub networks: Vec<String>,
    #[serde(default)]
    pub time: Vec<Window>,
    /// An expression of the Common Expression Language.
    #[serde(default)]
    pub cel: Option<String>,
}

/// A time of the week. One that ends before it begins goes on into the next day.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// 1 is Monday, 7 is Sunday; of the day on which it begins. Empty: every day.
    pub days: Vec<u8>,
    /// Minutes since midnight.
    pub from: u16,
    /// Minutes since midnight, not included; 1440 is its end.
    pub to: u16,
    /// A name of the IANA time zone database.
    pub zone: String,
}

/// A decision of Open Policy Agent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opa {
    pub cluster: String,
    /// `/v1/data/` and the path of the decision.
    pub path: String,
    pub timeout_ms: u64,
    /// Headers that the decision may see, lower-case.
    pub headers: Vec<String>,
    /// 0: decisions are not kept.
    pub cache_ms: u64,
}
