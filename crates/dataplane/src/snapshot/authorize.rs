//! What a caller may do.

use std::collections::BTreeMap;

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
    #[serde(default)]
    pub ext_authz: Option<ExtAuthz>,
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

/// A decision of a server that speaks Envoy's external authorization.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtAuthz {
    pub cluster: String,
    pub protocol: ExtAuthzProtocol,
    pub timeout_ms: u64,
    /// 0: decisions are not kept.
    pub cache_ms: u64,
    /// Headers that the decision may see, lower-case; `*` is all of them.
    pub headers: Vec<String>,
    /// None: the decision does not see the content.
    pub body: Option<ExtAuthzBody>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ExtAuthzProtocol {
    Grpc {
        /// `context_extensions`, as they are.
        context: BTreeMap<String, String>,
    },
    /// Of header names `*` is every one that may be set at all.
    Http {
        path_prefix: String,
        /// Of an answer that lets the request pass, for the target.
        upstream_headers: Vec<String>,
        /// Of the same, for the client.
        response_headers: Vec<String>,
        /// Of an answer that refuses it, besides those that say what it is.
        client_headers: Vec<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtAuthzBody {
    pub max: usize,
    /// Of a larger one its beginning, rather than a refusal.
    pub partial: bool,
    /// As bytes; else as text.
    pub raw: bool,
}
