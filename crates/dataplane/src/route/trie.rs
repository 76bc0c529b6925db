//! The paths of one host as a tree of segments.

use std::cmp::Reverse;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::pattern::{PathPattern, Segment};
use super::Route;

/// The paths of one host.
pub(super) struct Trie {
    pub(super) nodes: Vec<Node>,
}

pub(super) struct Node {
    pub(super) exact: FxHashMap<Box<str>, u32>,
    pub(super) param: Option<u32>,
    /// Routes whose `{rest...}` is here, in precedence order.
    pub(super) rest: Vec<Arc<Route>>,
    /// Routes that end here, in precedence order.
    pub(super) here: Vec<Arc<Route>>,
    /// Of all routes here and below.
    pub(super) highest_priority: i32,
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Default for Node {
    fn default() -> Self {
        Self {
            exact: FxHashMap::default(),
            param: None,
            rest: Vec::new(),
            here: Vec::new(),
            highest_priority: i32::MIN,
        }
    }
}

impl Trie {
    pub(super) fn insert(&mut self, route: &Arc<Route>) {
        self.insert_at(route, &route.path);
        if let Some(bare) = &route.bare {
            self.insert_at(route, bare);
        }
    }

    fn insert_at(&mut self, route: &Arc<Route>, path: &PathPattern) {
        let mut at = 0;
        for segment in path.segments() {
            self.raise(at, route.priority);
            let new = self.nodes.len() as u32;
            let node = &mut self.nodes[at];
            let child = match segment {
                Segment::Exact(text) => *node.exact.entry(text.clone()).or_insert(new),
                Segment::Param => *node.param.get_or_insert(new),
                Segment::Rest => return node.rest.push(route.clone()),
            };
            if child == new {
                self.nodes.push(Node::default());
            }
            at = child as usize;
        }
        self.raise(at, route.priority);
        self.nodes[at].here.push(route.clone());
    }

    fn raise(&mut self, node: usize, priority: i32) {
        let highest = &mut self.nodes[node].highest_priority;
        *highest = priority.max(*highest);
    }

    pub(super) fn sort(&mut self) {
        for node in &mut self.nodes {
            node.here.sort_by_key(precedence);
            node.rest.sort_by_key(precedence);
        }
    }
}

/// Among routes of one host and path, smallest first. Routes of equal precedence are told apart by `overlap`.
pub(crate) fn precedence(route: &Arc<Route>) -> impl Ord {
    (Reverse(route.priority), route.methods.is_any(), Reverse(route.conditions.rank()))
}
