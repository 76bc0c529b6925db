//! What services and messages there are: descriptors, from a file, from sources that are compiled here, or from the
//! service itself.

pub mod builtin;
mod live;
mod offer;
mod reflection;
mod set;
mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;

use prost_reflect::{DescriptorPool, ServiceDescriptor};

use super::message::Messages;
use crate::snapshot;

pub use live::Reflections;
pub use offer::Offer;

/// Immutable, shared by all that use it.
pub struct Descriptors {
    pub pool: DescriptorPool,
    pub messages: Arc<Messages>,
    /// Those that are offered, in the order of their names.
    pub services: Vec<ServiceDescriptor>,
}

impl Descriptors {
    /// `offered`: full names of services; empty is all of `found`.
    pub fn new(pool: DescriptorPool, found: Vec<ServiceDescriptor>, offered: &[String]) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let mut services = match offered {
            [] => found,
            _ => offered
                .iter()
                .filter_map(|name| {
                    let service = pool.get_service_by_name(name);
                    if service.is_none() {
                        wrong.push(unknown(&pool, name));
                    }
                    service
                })
                .collect(),
        };
        if !wrong.is_empty() {
            return Err(wrong);
        }
        services.sort_by(|one, two| one.full_name().cmp(two.full_name()));
        Ok(Self { messages: Arc::new(Messages::compile(&pool)), pool, services })
    }

    /// What files and sources say. For services that describe themselves see `reflection`.
    pub fn load(settings: &snapshot::Descriptors, offered: &[String]) -> Result<Self, Vec<String>> {
        let (pool, found) = match settings {
            snapshot::Descriptors::Set(path) => set::load(path),
            snapshot::Descriptors::Sources(sources) => sources::compile(sources),
            snapshot::Descriptors::Reflection(_) => Err("descriptors: they come from the service".to_owned()),
        }
        .map_err(|wrong| vec![wrong])?;
        Self::new(pool, found, offered)
    }

    /// Of `.proto` sources at hand, by their names; the services are those of `main`.
    pub fn of_sources(sources: &BTreeMap<String, String>, main: &str) -> Result<Self, String> {
        let (pool, found) = sources::compile_texts(sources, main)?;
        Self::new(pool, found, &[]).map_err(|wrong| wrong.join("; "))
    }

    /// Of the content of a file of descriptors.
    pub fn of_set(set: &[u8]) -> Result<Self, String> {
        let (pool, found) = set::read(set)?;
        Self::new(pool, found, &[]).map_err(|wrong| wrong.join("; "))
    }
}

fn unknown(pool: &DescriptorPool, name: &str) -> String {
    let names: Vec<String> = pool.services().take(8).map(|service| service.full_name().to_owned()).collect();
    match names.is_empty() {
        true => format!("services: '{name}' is not described, nor is any other service"),
        false => format!("services: '{name}' is not described; there are {}", names.join(", ")),
    }
}
