//! What there is and who uses it: for people.

use serde_json::{json, Value};

use super::lifecycle::{now, State};
use super::{Api, Apis};

/// All APIs with their versions: state, dates, where each leads, and who has asked for it since the gateway started.
/// Times are seconds since 1970.
pub fn report(apis: &Apis) -> Value {
    apis.values().map(|api| of_api(api)).collect()
}

fn of_api(api: &Api) -> Value {
    let name = |index: usize| &*api.versions[index].name;
    let versions = api.versions.iter().enumerate().map(|(index, version)| {
        let state = version.lifecycle.state(now());
        let ends_in_s = if let State::Brownout { left_s, .. } = state { Some(left_s) } else { None };
        let next = |index: &usize| api.versions[*index].step.as_ref().map(|(to, _)| *to);
        let chain: Vec<&str> = std::iter::successors(Some(index), next).skip(1).map(name).collect();
        let used = version.used.used().into_iter().map(|used| {
            json!({"consumer": &*used.consumer, "served": used.served, "refused": used.refused, "last": used.last})
        });
        json!({
            "version": &*version.name, "state": state.as_str(), "brownout_ends_in_s": ends_in_s,
            "default": api.default == Some(index), "deprecated": version.lifecycle.deprecated(),
            "sunset": version.lifecycle.sunset(), "docs": version.lifecycle.docs, "successor": version.successor.map(name),
            "chain": chain, "cluster": version.cluster.as_ref().map(|cluster| &*cluster.name),
            "used": used.collect::<Vec<_>>(),
        })
    });
    json!({
        "api": &*api.name, "by": api.marker.describe(), "versions": versions.collect::<Vec<_>>(),
        "unknown": api.used.unknown(),
    })
}
