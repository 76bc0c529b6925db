//! The policies `transform_request` and `transform_response`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Which fields of JSON are taken; fields are such as `address.city`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Empty is all.
    pub pick: Vec<String>,
    pub deny: Vec<String>,
    pub rename: BTreeMap<String, String>,
    #[serde(default)]
    pub mask: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformRequest {
    pub method: Option<String>,
    /// Values are text, or with `${ jq }`, here and below.
    pub path: Option<String>,
    pub query: Changes,
    pub headers: Changes,
    pub content: ContentChange,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformResponse {
    /// Ranges of statuses, both ends included; empty is all.
    pub statuses: Vec<(u16, u16)>,
    pub status: Option<String>,
    pub headers: Changes,
    pub content: ContentChange,
    /// Answers of 400 and above become problem details.
    pub problems: bool,
}

/// First what is removed, then what is set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    pub remove: Vec<String>,
    pub set: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentChange {
    /// jq over the content; goes before `shape`.
    pub filter: Option<String>,
    pub shape: Shape,
    /// Absent: as it was read.
    pub write: Option<ContentFormat>,
    /// Content that is read, or one event of a stream.
    pub body_bytes: usize,
    /// What cannot be read is refused; otherwise it passes as it is.
    pub refuse_other: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentFormat {
    Json,
    Form,
    Xml,
}
