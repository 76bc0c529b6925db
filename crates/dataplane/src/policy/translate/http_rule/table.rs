//! Which binding answers a path: literal segments before `*` before `**`.

use std::sync::Arc;

use http::{HeaderValue, Method};
use percent_encoding::percent_decode_str;
use rustc_hash::FxHashMap;

use super::binding::Binding;
use super::template::Segment;

#[derive(Default)]
pub struct Table {
    root: Node,
}

#[derive(Default)]
struct Node {
    literals: FxHashMap<Box<str>, Node>,
    one: Option<Box<Node>>,
    rest: Option<Box<Node>>,
    /// Of templates that end here.
    ends: Vec<Arc<Binding>>,
}

/// A path that was found, cut into its segments.
pub struct Found<'t, 'p> {
    pub binding: &'t Arc<Binding>,
    pub segments: Vec<&'p str>,
}

pub enum Miss {
    Path,
    /// Others answer this path.
    Method {
        allow: HeaderValue,
    },
}

impl Table {
    /// Errors: two bindings that answer the same requests.
    pub fn new(bindings: &[Arc<Binding>]) -> Result<Self, Vec<String>> {
        let (mut table, mut wrong) = (Self::default(), Vec::new());
        for binding in bindings {
            let mut node = &mut table.root;
            for segment in &binding.template.segments {
                node = match segment {
                    Segment::Literal(text) => node.literals.entry(text.clone()).or_default(),
                    Segment::One => node.one.get_or_insert_default(),
                    Segment::Rest => node.rest.get_or_insert_default(),
                };
            }
            let clash = node
                .ends
                .iter()
                .find(|other| other.template.verb == binding.template.verb && other.method == binding.method);
            if let Some(other) = clash {
                let (one, two) = (&other.rpc.name, &binding.rpc.name);
                wrong.push(format!(
                    "descriptors: '{one}' and '{two}' both answer {} and {}",
                    other.text(),
                    binding.text()
                ));
            }
            node.ends.push(binding.clone());
        }
        match wrong.is_empty() {
            true => Ok(table),
            false => Err(wrong),
        }
    }

    /// HEAD is answered where GET is.
    pub fn find<'p>(&self, method: &Method, path: &'p str) -> Result<Found<'_, 'p>, Miss> {
        let Some(path) = path.strip_prefix('/') else { return Err(Miss::Path) };
        let mut segments: Vec<&str> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
        let last = segments.last().copied().unwrap_or_default();
        let verbs = last.rsplit_once(':').filter(|(_, verb)| !verb.is_empty());
        let accepts = |binding: &Binding| match &binding.method {
            None => true,
            Some(known) => known == method || (*known == Method::GET && *method == Method::HEAD),
        };
        // A binding that names the method goes before one that takes any.
        let choose = |ends: &[&'_ Arc<Binding>]| -> Option<usize> {
            let named = ends.iter().position(|binding| binding.method.is_some() && accepts(binding));
            named.or_else(|| ends.iter().position(|binding| accepts(binding)))
        };
        let mut others: Vec<&Arc<Binding>> = Vec::new();
        for (last_segment, verb) in verbs.map(|(before, verb)| (before, Some(verb))).into_iter().chain([(last, None)]) {
            if let Some(slot) = segments.last_mut() {
                *slot = last_segment;
            }
            let mut chosen = None;
            self.root.walk(&segments, &mut |ends| {
                let ends: Vec<&Arc<Binding>> =
                    ends.iter().filter(|binding| binding.template.verb.as_deref() == verb).collect();
                chosen = choose(&ends).map(|index| ends[index]);
                if chosen.is_none() {
                    others.extend(ends);
                }
                chosen.is_some()
            });
            if let Some(binding) = chosen {
                return Ok(Found { binding, segments });
            }
        }
        match others.is_empty() {
            true => Err(Miss::Path),
            false => Err(Miss::Method { allow: allow(&others) }),
        }
    }
}

impl Node {
    /// Calls `at` for every node that a path leads to, the most specific first, until it says that this is the one.
    fn walk<'t>(&'t self, segments: &[&str], at: &mut dyn FnMut(&'t [Arc<Binding>]) -> bool) -> bool {
        let Some((first, others)) = segments.split_first() else {
            return at(&self.ends) || self.rest.as_ref().is_some_and(|rest| rest.walk(segments, at));
        };
        let literal = self.literals.get(*first).or_else(|| match first.contains('%') {
            true => self.literals.get(&*percent_decode_str(first).decode_utf8_lossy()),
            false => None,
        });
        if literal.is_some_and(|node| node.walk(others, at)) {
            return true;
        }
        if !first.is_empty() && self.one.as_ref().is_some_and(|node| node.walk(others, at)) {
            return true;
        }
        // As many as there are, then fewer, so that what follows may have some.
        self.rest.as_ref().is_some_and(|rest| (0..=segments.len()).rev().any(|count| rest.walk(&segments[count..], at)))
    }
}

fn allow(bindings: &[&Arc<Binding>]) -> HeaderValue {
    let mut names: Vec<&str> =
        bindings.iter().filter_map(|binding| binding.method.as_ref()).map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.dedup();
    HeaderValue::from_str(&names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
}
