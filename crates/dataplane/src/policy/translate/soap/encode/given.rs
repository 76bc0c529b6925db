//! The members of an object, and how much of each has been written.

use super::TEXT;
use crate::policy::translate::soap::json::Json;
use crate::policy::translate::soap::types::{Complex, Particle};

pub(super) struct Given<'j> {
    pub(super) members: Vec<GivenMember<'j>>,
    pub(super) text: Option<&'j Json>,
    /// Those that the type does not name.
    pub(super) others: Vec<(&'j str, &'j Json)>,
}

pub(super) struct GivenMember<'j> {
    pub(super) name: &'j str,
    pub(super) values: &'j [Json],
    is_list: bool,
    pub(super) taken: usize,
}

impl<'j> Given<'j> {
    pub(super) fn new(complex: &Complex, members: &'j [(String, Json)]) -> Self {
        let mut given = Self { members: Vec::new(), text: None, others: Vec::new() };
        for (name, value) in members {
            let known = complex.members.get(name.as_str()).and_then(|members| members.first());
            match known {
                Some(member) => {
                    let (values, is_list) = match value {
                        Json::List(items) if member.list => (items.as_slice(), true),
                        value => (std::slice::from_ref(value), false),
                    };
                    given.members.push(GivenMember { name, values, is_list, taken: 0 });
                }
                None if name == TEXT => given.text = Some(value),
                None if name.starts_with('@') => {}
                None => given.others.push((name, value)),
            }
        }
        given
    }

    pub(super) fn next(&mut self, name: &str) -> Option<(&'j Json, Option<usize>)> {
        let member = self.members.iter_mut().find(|member| member.name == name)?;
        let value = member.values.get(member.taken)?;
        member.taken += 1;
        Some((value, member.is_list.then_some(member.taken - 1)))
    }

    pub(super) fn taken(&self) -> usize {
        self.members.iter().map(|member| member.taken).sum()
    }

    pub(super) fn remains(&self, particle: &Particle) -> bool {
        let left = |member: &GivenMember<'_>| member.taken < member.values.len();
        self.members.iter().any(|member| left(member) && particle.names.iter().any(|name| **name == *member.name))
    }
}
