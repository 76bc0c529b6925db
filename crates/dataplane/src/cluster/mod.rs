//! A named group of endpoints that requests are sent to.

use std::sync::Arc;

use crate::program::Report;
use crate::shared::Shared;
use crate::snapshot;

pub struct Cluster {
    pub name: Arc<str>,
    pub settings: snapshot::Cluster,
}

impl Cluster {
    /// Every mistake goes to `report`; None then.
    pub fn compile(
        name: &str,
        settings: &snapshot::Cluster,
        _shared: &Shared,
        report: &mut Report,
    ) -> Option<Arc<Self>> {
        if settings.endpoints.is_empty() {
            report.error(format!("cluster '{name}': it has no endpoint"));
            return None;
        }
        Some(Arc::new(Self { name: name.into(), settings: settings.clone() }))
    }
}
