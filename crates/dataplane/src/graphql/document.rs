//! An executable document, owned and plain.

use apollo_parser::{Lexer, TokenKind};
use aws_lc_rs::digest::{Context, SHA256};
use rustc_hash::FxHashMap;

use super::lower::lower;
use super::value::{TypeRef, Value};
use super::Fault;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Query,
    Mutation,
    Subscription,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Query, Kind::Mutation, Kind::Subscription];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Query => "query",
            Kind::Mutation => "mutation",
            Kind::Subscription => "subscription",
        }
    }
}

/// Names are unique and spreads lead to fragments, none of which comes back to itself.
#[derive(Debug)]
pub struct Document {
    pub operations: Vec<Operation>,
    /// Each behind those that it spreads.
    pub fragments: Vec<Fragment>,
    /// That mean something: without spaces, commas and comments.
    pub tokens: usize,
}

#[derive(Debug)]
pub struct Operation {
    pub kind: Kind,
    pub name: Option<Box<str>>,
    pub variables: Vec<Variable>,
    pub directives: Vec<Directive>,
    pub selections: Vec<Selection>,
}

#[derive(Debug)]
pub struct Variable {
    pub name: Box<str>,
    pub ty: TypeRef,
    pub default: Option<Value>,
}

#[derive(Debug)]
pub struct Fragment {
    pub name: Box<str>,
    /// Its type condition.
    pub on: Box<str>,
    pub directives: Vec<Directive>,
    pub selections: Vec<Selection>,
    pub at: usize,
}

#[derive(Debug)]
pub struct Directive {
    pub arguments: Vec<(Box<str>, Value)>,
}

#[derive(Debug)]
pub enum Selection {
    Field(Field),
    /// By its place among the document's fragments.
    Spread {
        fragment: usize,
        directives: Vec<Directive>,
    },
    Inline {
        on: Option<Box<str>>,
        directives: Vec<Directive>,
        selections: Vec<Selection>,
        at: usize,
    },
}

#[derive(Debug)]
pub struct Field {
    pub name: Box<str>,
    pub aliased: bool,
    pub arguments: Vec<(Box<str>, Value)>,
    pub directives: Vec<Directive>,
    pub selections: Vec<Selection>,
    pub at: usize,
}

impl Document {
    /// `text` as it stands; at most `tokens` of it that mean something.
    pub fn parse(text: &str, tokens: usize) -> Result<Self, Refusal> {
        let tokens = scan(text, tokens, |_| {})?;
        Self::resolve(lower(text)?, tokens).map_err(Refusal::Invalid)
    }

    /// The operation that a request means (GraphQL §6.1 GetOperation).
    pub fn operation(&self, name: Option<&str>) -> Result<usize, String> {
        match (name, &self.operations[..]) {
            (None, [_]) => Ok(0),
            (None, _) => Err("The document has several operations, and none is named".to_owned()),
            (Some(name), operations) => operations
                .iter()
                .position(|operation| operation.name.as_deref() == Some(name))
                .ok_or_else(|| "The document has no operation of that name".to_owned()),
        }
    }

    fn resolve(definitions: Definitions, tokens: usize) -> Result<Self, Fault> {
        let Definitions { mut operations, fragments } = definitions;
        if operations.is_empty() {
            return Err(Fault::new("The document has no operation"));
        }
        let mut names: Vec<_> = operations.iter().map(|operation| operation.name.as_deref()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) || (names.len() > 1 && names[0].is_none()) {
            return Err(Fault::new("Several operations need a name each"));
        }
        let mut places = FxHashMap::default();
        for (index, (fragment, _)) in fragments.iter().enumerate() {
            if places.insert(fragment.name.clone(), index).is_some() {
                return Err(Fault::new(format!("The fragment {} is there twice", fragment.name)).at(fragment.at));
            }
        }
        let order = order(&fragments, &places)?;
        let mut moved = vec![0; order.len()];
        for (to, from) in order.iter().enumerate() {
            moved[*from] = to;
        }
        let mut sorted: Vec<Option<Fragment>> = fragments.into_iter().map(|(fragment, _)| Some(fragment)).collect();
        let mut fragments: Vec<Fragment> = order.into_iter().filter_map(|from| sorted[from].take()).collect();
        let sets = operations.iter_mut().map(|operation| &mut operation.selections);
        for set in sets.chain(fragments.iter_mut().map(|fragment| &mut fragment.selections)) {
            point(set, &moved);
        }
        Ok(Self { operations, fragments, tokens })
    }
}

/// The names that a definition spreads, and where.
pub(super) type Spreads = Vec<(Box<str>, usize)>;

/// As it stands in the text: spreads hold the places of fragments in the order of the text.
pub(super) struct Definitions {
    pub operations: Vec<Operation>,
    pub fragments: Vec<(Fragment, Spreads)>,
}

/// Fragments behind those that they spread; one that can never be placed spreads itself in the end.
fn order(fragments: &[(Fragment, Spreads)], places: &FxHashMap<Box<str>, usize>) -> Result<Vec<usize>, Fault> {
    let mut waits = vec![0_usize; fragments.len()];
    let mut wanted_by: Vec<Vec<usize>> = vec![Vec::new(); fragments.len()];
    for (index, (_, spreads)) in fragments.iter().enumerate() {
        for (name, at) in spreads {
            let place = places.get(name).ok_or_else(|| Fault::new(format!("There is no fragment {name}")).at(*at))?;
            waits[index] += 1;
            wanted_by[*place].push(index);
        }
    }
    let mut order: Vec<usize> = (0..fragments.len()).filter(|index| waits[*index] == 0).collect();
    let mut next = 0;
    while let Some(ready) = order.get(next).copied() {
        next += 1;
        for waiting in &wanted_by[ready] {
            waits[*waiting] -= 1;
            if waits[*waiting] == 0 {
                order.push(*waiting);
            }
        }
    }
    match waits.iter().position(|waits| *waits > 0) {
        None => Ok(order),
        Some(circular) => {
            let fragment = &fragments[circular].0;
            Err(Fault::new(format!("The fragment {} spreads itself", fragment.name)).at(fragment.at))
        }
    }
}

fn point(selections: &mut [Selection], moved: &[usize]) {
    for selection in selections {
        match selection {
            Selection::Field(field) => point(&mut field.selections, moved),
            Selection::Inline { selections, .. } => point(selections, moved),
            Selection::Spread { fragment, .. } => *fragment = moved[*fragment],
        }
    }
}

#[derive(Debug)]
pub enum Refusal {
    /// It has more tokens than it may have.
    Long,
    /// It is no document.
    Syntax(Fault),
    /// No service could execute it.
    Invalid(Fault),
}

/// Calls `each` with every token that means something; how many those are.
fn scan<'t>(text: &'t str, most: usize, mut each: impl FnMut(&'t str)) -> Result<usize, Refusal> {
    let mut count = 0;
    for token in Lexer::new(text) {
        let token = token.map_err(|error| Refusal::Syntax(Fault::new(error.message()).at(error.index())))?;
        if matches!(token.kind(), TokenKind::Whitespace | TokenKind::Comment | TokenKind::Comma | TokenKind::Eof) {
            continue;
        }
        count += 1;
        if count > most {
            return Err(Refusal::Long);
        }
        each(token.data());
    }
    Ok(count)
}

/// The same for two texts that differ in what GraphQL ignores, and for none else: SHA-256 over the tokens. None: it is
/// longer than `most` tokens, or none at all.
pub fn fingerprint(text: &str, most: usize) -> Option<[u8; 32]> {
    let mut digest = Context::new(&SHA256);
    scan(text, most, |token| {
        digest.update(&(token.len() as u64).to_le_bytes());
        digest.update(token.as_bytes());
    })
    .ok()?;
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest.finish().as_ref());
    Some(fingerprint)
}
