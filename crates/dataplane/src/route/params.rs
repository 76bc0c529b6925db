//! The values that a path binds to the `{param}`s of its route.

use std::borrow::Cow;

use super::path::decode;
use super::pattern::MAX_PARAMS;

/// Where in the path each value lies: nothing is copied. A value stays percent-encoded, so it can be put into another
/// path as it is; `decoded` gives its text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Params {
    ranges: [(u32, u32); MAX_PARAMS],
    count: usize,
}

impl Params {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The value at the position of its name in `PathPattern::names`.
    pub fn at<'p>(&self, index: usize, path: &'p str) -> Option<&'p str> {
        let (start, end) = *self.ranges[..self.count].get(index)?;
        path.get(start as usize..end as usize)
    }

    pub fn get<'p>(&self, names: &[Box<str>], name: &str, path: &'p str) -> Option<&'p str> {
        self.at(names.iter().position(|known| &**known == name)?, path)
    }

    pub fn decoded<'p>(&self, names: &[Box<str>], name: &str, path: &'p str) -> Option<Cow<'p, str>> {
        self.get(names, name, path).map(decode)
    }

    /// Names and values, still percent-encoded.
    pub fn iter<'a>(&'a self, names: &'a [Box<str>], path: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        names.iter().enumerate().filter_map(|(index, name)| Some((&**name, self.at(index, path)?)))
    }

    pub(super) fn push(&mut self, start: usize, end: usize) {
        if let Some(range) = self.ranges.get_mut(self.count) {
            *range = (start as u32, end as u32);
            self.count += 1;
        }
    }

    /// With a value of nothing at `index`, where a path lacks one of its route's.
    pub(super) fn with_nothing_at(mut self, index: usize) -> Self {
        if index <= self.count && self.count < MAX_PARAMS {
            self.ranges.copy_within(index..self.count, index + 1);
            self.ranges[index] = (0, 0);
            self.count += 1;
        }
        self
    }

    pub(super) fn pop(&mut self) {
        self.count = self.count.saturating_sub(1);
    }
}
