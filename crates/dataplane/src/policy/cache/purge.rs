//! What is stored and is not to be used any more: by URL, prefix, group, or all of it.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::disk::Meant;
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

/// What it has hit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reached {
    pub responses: u64,
    /// Some of them were on the disk.
    pub disk: bool,
}

impl Reached {
    fn add(&mut self, more: Reached) {
        self.responses += more.responses;
        self.disk |= more.disk;
    }
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
    /// All that is stored for this URL, whichever route and variant; what is on its way is not stored.
    pub fn invalidate(&self, scheme: &str, host: &str, path: &str, query: Option<&str>, soft: bool) -> Reached {
        let rules = self.rules.lock().clone();
        let mut urls: Vec<Url> = rules.iter().map(|rule| Url::new(scheme, host, path, query, rule)).collect();
        urls.sort();
        urls.dedup();
        let mut reached = Reached::default();
        for url in &urls {
            // A soft purge of what is still to be loaded would come too late: it goes.
            self.note_purge(|| Meant::Url(url.clone()));
            reached.add(self.purge_shard(self.shard(url), soft, |stored, _| stored == url, Some(url)));
        }
        reached
    }

    /// How many. For a thread that may wait: when it returns, they are gone from the disk as well.
    pub fn purge(&self, purge: &Purge<'_>, soft: bool) -> Result<u64, String> {
        let everywhere = |chosen: &dyn Fn(&Url, Option<&Entry>) -> bool| {
            let mut reached = Reached::default();
            self.shards.iter().for_each(|shard| reached.add(self.purge_shard(shard, soft, chosen, None)));
            reached
        };
        // What is still to be loaded is counted, too.
        let disk = self.tier.disk();
        disk.iter().for_each(|disk| disk.meanwhile.wait());
        let reached = match purge {
            Purge::All => everywhere(&|_, _| true),
            Purge::Prefix(prefix) => {
                let prefix = normal_prefix(prefix)?;
                everywhere(&|url, _| url.text().starts_with(&prefix))
            }
            Purge::Group(group) => {
                self.invalidate_group(Of::All, group, soft);
                everywhere(&|_, entry| {
                    entry.is_some_and(|entry| entry.head.groups.iter().any(|each| **each == **group))
                })
            }
            Purge::Url(text) => {
                let (scheme, host, path, query) = split(text)?;
                self.invalidate(scheme, host, &path, query, soft)
            }
        };
        disk.iter().for_each(|disk| disk.settle());
        Ok(reached.responses)
    }

    /// `only`: the one URL that is meant, where that is known.
    fn purge_shard(
        &self,
        shard: &Mutex<Shard>,
        soft: bool,
        chosen: impl Fn(&Url, Option<&Entry>) -> bool,
        only: Option<&Url>,
    ) -> Reached {
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
        let before = shard.weight();
        for index in &indexes {
            match shard.slots.get(*index) {
                Some(Some(slot)) if soft => {
                    slot.entry.soften();
                    slot.entry.content.kept().into_iter().for_each(|kept| {
                        kept.disk.write_head(&slot.url, &slot.primary, &slot.entry);
                    });
                }
                _ => shard.remove(*index),
            }
        }
        let after = shard.weight();
        self.count(before, after);
        Reached { responses: indexes.len() as u64, disk: before.disk != after.disk }
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
    let (path, query) = path.find('?').map_or((path, ""), |question| path.split_at(question));
    let path = crate::route::path::normalise(path).map_err(|_| wrong())?;
    Ok(format!("{scheme}://{}{path}{query}", normal_host(&scheme, host)))
}
