//! A target that forwards the request to a cluster.

use std::sync::Arc;

use super::Context;
use crate::cluster::Cluster;
use crate::program::Report;
use crate::route::template::PathTemplate;
use crate::snapshot;

pub struct ForwardTarget {
    pub cluster: Arc<Cluster>,
    /// None: the path as it was routed.
    pub path: Option<PathTemplate>,
}

impl ForwardTarget {
    pub fn compile(settings: &snapshot::ForwardTarget, context: &Context<'_>, report: &mut Report) -> Option<Self> {
        let path = match &settings.path {
            None => None,
            Some(text) => match PathTemplate::compile(text, context.path.names(), &[]) {
                Ok(template) => Some(template),
                Err(message) => {
                    context.error(report, format_args!("path: {message}"));
                    return None;
                }
            },
        };
        match context.clusters.get(settings.cluster.as_str()) {
            Some(cluster) => Some(Self { cluster: cluster.clone(), path }),
            None => {
                // A cluster that exists but does not compile has been reported already.
                if !context.snapshot.clusters.contains_key(&settings.cluster) {
                    context.error(report, format_args!("there is no cluster '{}'", settings.cluster));
                }
                None
            }
        }
    }
}
