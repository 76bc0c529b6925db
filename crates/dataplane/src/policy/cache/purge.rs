//! What is stored and is not to be used any more: by URL, prefix, group, or all of it.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::entry::Entry;
use super::groups::Of;
use super::key::{normal_host, Url};
use super::shard::Shard;
use super::store::Store;

/// What is to be purged.
pub enum Purge<'a> {
    All,
    /// `scheme://host/path?query`.
    Url(&'a str),
    Prefix(&'a str),
    Group(&'a str),
}

impl<'a> Purge<'a> {
    /// None: there is no such way.
    pub fn named(what: &str, value: &'a str) -> Option<Self> {
        Some(match what {
            "url" => Purge::Url(value),
            "prefix" => Purge::Prefix(value),
            "group" => Purge::Group(value),
            "all" => Purge::All,
            _ => return None,
        })
    }
}

impl Store {
    /// All that is stored for this URL, whichever route and variant; what is on its way is not stored. How many.
    pub fn invalidate(&self, scheme: &str, host: &str, path: &str, query: Option<&str>, soft: bool) -> u64 {
        let rules = self.rules.lock().clone();
        let mut urls: Vec<Url> = rules.iter().map(|rule| Url::new(scheme, host, path, query, rule)).collect();
        urls.sort();
        urls.dedup();
        urls.iter().map(|url| self.purge_shard(self.shard(url), soft, |stored, _| stored == url, Some(url))).sum()
    }

    pub fn purge(&self, purge: &Purge<'_>, soft: bool) -> Result<u64, String> {
        let everywhere = |chosen: &dyn Fn(&Url, Option<&Entry>) -> bool| {
            self.shards.iter().map(|shard| self.purge_shard(shard, soft, chosen, None)).sum::<u64>()
        };
        Ok(match purge {
            Purge::All => everywhere(&|_, _| true),
            Purge::Prefix(prefix) => {
                let prefix = normal_prefix(prefix)?;
                everywhere(&|url, _| url.text().starts_with(&prefix))
            }
            Purge::Group(group) => {
                self.groups.invalidate(Of::All, group, soft);
                everywhere(&|_, entry| {
                    entry.is_some_and(|entry| entry.head.groups.iter().any(|each| **each == **group))
                })
            }
            Purge::Url(text) => {
                let (scheme, host, path, query) = split(text)?;
                self.invalidate(scheme, host, &path, query, soft)
            }
        })
    }

    /// `only`: the one URL that is meant, where that is known.
    fn purge_shard(
        &self,
        shard: &Mutex<Shard>,
        soft: bool,
        chosen: impl Fn(&Url, Option<&Entry>) -> bool,
        only: Option<&Url>,
    ) -> u64 {
        let mut shard = shard.lock();
        let shard = &mut *shard;
        shard.flights.iter().filter(|(lane, _)| chosen(&lane.url, None)).for_each(|(_, flight)| flight.doom());
        let indexes: Vec<usize> = match only {
            Some(url) => shard.urls.get(url).into_iter().flat_map(FxHashMap::values).flatten().copied().collect(),
            None => {
                let slots = shard.slots.iter().enumerate();
                slots
                    .filter(|(_, slot)| slot.as_ref().is_some_and(|slot| chosen(&slot.url, Some(&slot.entry))))
                    .map(|(index, _)| index)
                    .collect()
            }
        };
        let before = shard.queues.bytes();
        for index in &indexes {
            match shard.slots.get(*index) {
                Some(Some(slot)) if soft => slot.entry.soften(),
                _ => shard.remove(*index),
            }
        }
        self.count(before, shard.queues.bytes());
        indexes.len() as u64
    }
}

/// Scheme, host, normalised path and query of an absolute URL.
pub fn split(text: &str) -> Result<(&'static str, &str, String, Option<&str>), String> {
    let wrong = || format!("'{text}' is no URL such as https://shop.example/items?page=1");
    let (scheme, rest) = match text.split_once("://").ok_or_else(wrong)? {
        (scheme, rest) if scheme.eq_ignore_ascii_case("https") => ("https", rest),
        (scheme, rest) if scheme.eq_ignore_ascii_case("http") => ("http", rest),
        _ => return Err(wrong()),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    if host.is_empty() {
        return Err(wrong());
    }
    let path = crate::route::path::normalise(path).map_err(|_| wrong())?.into_owned();
    Ok((scheme, host, path, query))
}

fn normal_prefix(text: &str) -> Result<String, String> {
    let wrong = || format!("'{text}' does not begin like a URL: https://shop.example/items/");
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    let scheme = scheme.to_ascii_lowercase();
    if host.is_empty() || !matches!(scheme.as_str(), "http" | "https") {
        return Err(wrong());
    }
    Ok(format!("{scheme}://{}{path}", normal_host(&scheme, host)))
}
