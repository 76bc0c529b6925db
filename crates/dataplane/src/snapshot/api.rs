//! APIs and their versions (section `apis`).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{TransformRequest, TransformResponse};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    pub marker: VersionMarker,
    /// The target does not see the marker; otherwise it sees that of the version it is asked for.
    pub strip: bool,
    /// Of requests without a marker.
    pub default: Option<String>,
    /// Of requests that ask for a version which there is not.
    pub fallback: Option<String>,
    /// 400 or 404, where a version is not known.
    pub unknown: u16,
    /// A marker goes before the version that its consumer is pinned to.
    pub marker_over_pin: bool,
    /// In the order in which they are told; those of a date marker by their dates.
    pub versions: Vec<ApiVersion>,
}

/// What tells versions apart.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionMarker {
    /// The segment `{version}` of the routes' paths.
    Path,
    Header(String),
    Query(String),
    /// A parameter of the media types of `Accept` and `Content-Type`.
    MediaParameter(String),
    /// A media type such as `application/vnd.shop.{version}+json`.
    MediaType(String),
    /// A header with a date: the latest version not after it.
    Date(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiVersion {
    pub name: String,
    /// Seconds since 1970, here and below.
    #[serde(default)]
    pub deprecated: Option<u64>,
    #[serde(default)]
    pub sunset: Option<u64>,
    /// URL of the page that tells of both.
    #[serde(default)]
    pub docs: Option<String>,
    #[serde(default)]
    pub successor: Option<String>,
    /// Where routes that lead to a cluster lead to for this version.
    #[serde(default)]
    pub cluster: Option<String>,
    #[serde(default)]
    pub step: Option<VersionStep>,
    #[serde(default)]
    pub brownouts: Vec<Brownout>,
    /// The name of its OpenAPI document.
    #[serde(default)]
    pub openapi: Option<String>,
}

/// How a version is made of the next one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionStep {
    pub to: String,
    #[serde(default)]
    pub changes: StepChanges,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepChanges {
    #[serde(default)]
    pub up: Option<TransformRequest>,
    #[serde(default)]
    pub down: Option<TransformResponse>,
    /// Of answers of 400 and above.
    #[serde(default)]
    pub down_errors: Option<TransformResponse>,
}

/// Times at which a version is switched off.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brownout {
    pub start: u64,
    pub for_s: u64,
    /// From one begin to the next; absent: once.
    pub every_s: Option<u64>,
    /// Absent: for ever.
    pub until: Option<u64>,
    /// Of the requests within, 1–100.
    pub percent: u8,
    /// 410 or 503.
    pub status: u16,
}

/// What a route says of the API that it belongs to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteApi {
    pub api: String,
    /// By the version that steps: in place of what the API says.
    #[serde(default)]
    pub steps: BTreeMap<String, StepChanges>,
}
