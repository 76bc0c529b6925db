//! What protects the users of browsers.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Requests that change something come from our own pages.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Csrf {
    /// Other origins whose pages may ask, as browsers send them.
    pub origins: Vec<String>,
    /// Whether a request with cookies passes that does not say from where it comes.
    pub unknown: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityHeaders {
    /// Lower-case names.
    pub set: BTreeMap<String, String>,
    pub remove: Vec<String>,
    /// Whether `set` replaces what the target says.
    #[serde(rename = "override")]
    pub overrule: bool,
}
