//! What an operation costs: each object that it may yield, so many times as lists are asked to be long.
//!
//! A field costs its own price once, and for each object of its list the price of its type and what is below. How long
//! a list is says an argument (`first`, `last`, `limit`), its variable, or else the length that the configuration
//! assumes. A field that has such an argument and is no list (a connection) hands the length to the lists directly
//! below it. `@skip` and `@include` change nothing: what could be asked for is what counts.

use rustc_hash::FxHashMap;
use serde_json::Value as Json;

use super::document::{Document, Field, Operation, Selection};
use super::schema::{Schema, Type};
use super::value::Value;

/// Prices, and which arguments say how long a list is.
#[derive(Debug, Default)]
pub struct Prices {
    pub object: u64,
    pub leaf: u64,
    /// Of `Type.field`, or of `field` on every type: what the field costs itself.
    pub fields: FxHashMap<Box<str>, u64>,
    /// Paths into arguments: `first`, `page.first`.
    pub lengths: Vec<Path>,
    /// Of a list of which nothing says how long it is.
    pub list: u64,
}

pub type Path = Box<[Box<str>]>;

pub fn path(text: &str) -> Path {
    text.split('.').map(Box::from).collect()
}

/// What a set of selections costs: `fixed`, and `listed` for each item of the lists directly in it whose length the
/// field above knows.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    fixed: u64,
    listed: u64,
}

impl Cost {
    fn plus(self, other: Self) -> Self {
        Self { fixed: self.fixed.saturating_add(other.fixed), listed: self.listed.saturating_add(other.listed) }
    }

    fn at(self, length: u64) -> u64 {
        self.fixed.saturating_add(self.listed.saturating_mul(length))
    }
}

/// `variables`: of the request. No more than one look at each fragment.
pub fn cost(
    prices: &Prices,
    schema: Option<&Schema>,
    document: &Document,
    operation: &Operation,
    variables: &Json,
) -> u64 {
    let mut pricing = Pricing { prices, schema, operation, variables, fragments: Vec::new() };
    for fragment in &document.fragments {
        let on = pricing.schema.and_then(|schema| schema.get(&fragment.on));
        let cost = pricing.set(&fragment.selections, on);
        pricing.fragments.push(cost);
    }
    let (root, name) = match schema {
        Some(schema) => (schema.root(operation.kind), schema.root_name(operation.kind).unwrap_or_default()),
        None => (None, super::schema::default_root(operation.kind)),
    };
    pricing.root(&operation.selections, root, name).at(prices.list)
}

/// Whether a document costs the same whatever its variables are.
pub fn is_fixed(document: &Document) -> bool {
    document.operations.iter().all(|operation| operation.variables.is_empty())
}

struct Pricing<'a> {
    prices: &'a Prices,
    schema: Option<&'a Schema>,
    operation: &'a Operation,
    variables: &'a Json,
    fragments: Vec<Cost>,
}

impl<'a> Pricing<'a> {
    fn set(&self, selections: &[Selection], on: Option<&'a Type>) -> Cost {
        self.root(selections, on, on.map_or("", |on| &on.name))
    }

    /// `name`: of the type, also where no schema says more of it.
    fn root(&self, selections: &[Selection], on: Option<&'a Type>, name: &str) -> Cost {
        selections.iter().map(|selection| self.one(selection, on, name)).fold(Cost::default(), Cost::plus)
    }

    fn one(&self, selection: &Selection, on: Option<&'a Type>, name: &str) -> Cost {
        match selection {
            Selection::Spread { fragment, .. } => self.fragments[*fragment],
            Selection::Inline { on: None, selections, .. } => self.root(selections, on, name),
            Selection::Inline { on: Some(condition), selections, .. } => match self.schema {
                Some(schema) => self.set(selections, schema.get(condition)),
                // Without a schema only the root's name is known; a condition of the client's own changes no price.
                None => self.root(selections, on, name),
            },
            Selection::Field(field) => self.field(field, on, name),
        }
    }

    fn field(&self, field: &Field, on: Option<&'a Type>, parent: &str) -> Cost {
        let known = on.and_then(|on| on.fields.get(&field.name));
        let of = known.and_then(|known| self.schema?.get(known.ty.name()));
        let own = self.own(parent, &field.name).or(known.and_then(|known| known.price)).unwrap_or(0);
        let below = self.set(&field.selections, of);
        let each = match (of.and_then(|of| of.price), field.selections.is_empty()) {
            (Some(price), _) => price,
            (None, true) => self.prices.leaf,
            (None, false) => self.prices.object,
        };
        let lengths = known.and_then(|known| known.lengths.as_ref());
        let paths = lengths.map_or(&self.prices.lengths, |lengths| &lengths.arguments);
        let asked = paths.iter().filter_map(|path| self.given(field, path).or_else(|| default(known?, path))).max();
        let assumed = lengths.and_then(|lengths| lengths.assumed).unwrap_or(self.prices.list);
        let is_list = known.is_some_and(|known| known.ty.is_list());
        match (asked, known.is_some()) {
            // A connection: it hands the length on.
            (Some(length), true) if !is_list => {
                Cost { fixed: own.saturating_add(each).saturating_add(below.at(length)), listed: 0 }
            }
            (None, true) if !is_list => {
                let length = lengths.and_then(|lengths| lengths.assumed).unwrap_or(self.prices.list);
                Cost { fixed: own.saturating_add(each).saturating_add(below.at(length)), listed: 0 }
            }
            (Some(length), _) => {
                let item = each.saturating_add(below.at(self.prices.list));
                Cost { fixed: own.saturating_add(item.saturating_mul(length)), listed: 0 }
            }
            (None, true) => {
                let item = each.saturating_add(below.at(self.prices.list));
                match lengths.and_then(|lengths| lengths.assumed) {
                    Some(_) => Cost { fixed: own.saturating_add(item.saturating_mul(assumed)), listed: 0 },
                    None => Cost { fixed: own, listed: item },
                }
            }
            // Nobody knows whether it is a list.
            (None, false) => {
                Cost { fixed: own.saturating_add(each).saturating_add(below.at(self.prices.list)), listed: 0 }
            }
        }
    }

    fn own(&self, parent: &str, field: &str) -> Option<u64> {
        if self.prices.fields.is_empty() {
            return None;
        }
        let fields = &self.prices.fields;
        fields.get(format!("{parent}.{field}").as_str()).or_else(|| fields.get(field)).copied()
    }

    /// How long an argument asks for; None: it is not given.
    fn given(&self, field: &Field, path: &Path) -> Option<u64> {
        let (first, rest) = path.split_first()?;
        let mut value = &field.arguments.iter().find(|(name, _)| name == first)?.1;
        for (index, step) in rest.iter().enumerate() {
            if let Value::Variable(name) = value {
                let mut json = self.variables.get(&**name)?;
                for step in &rest[index..] {
                    json = json.get(&**step)?;
                }
                return asked(json);
            }
            value = value.member(step)?;
        }
        match value {
            Value::Variable(name) => match self.variables.get(&**name) {
                Some(json) => asked(json),
                None => {
                    let variable = self.operation.variables.iter().find(|variable| variable.name == *name)?;
                    variable.default.as_ref().and_then(written)
                }
            },
            value => written(value),
        }
    }
}

/// What the schema says of an argument that is not given.
fn default(known: &super::schema::Field, path: &Path) -> Option<u64> {
    let (first, rest) = path.split_first()?;
    let value = known.arguments.iter().find(|argument| argument.name == *first)?.default.as_ref()?;
    written(rest.iter().try_fold(value, |value, step| value.member(step))?)
}

/// What is no length, or less than none, is taken as endless: a service may understand it so.
fn written(value: &Value) -> Option<u64> {
    match value {
        Value::Null => None,
        Value::Int(number) => Some(u64::try_from(*number).unwrap_or(u64::MAX).max(1)),
        Value::List(items) => Some((items.len() as u64).max(1)),
        _ => Some(u64::MAX),
    }
}

fn asked(json: &Json) -> Option<u64> {
    match json {
        Json::Null => None,
        Json::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(number), _) => Some(number.max(1)),
            (None, Some(number)) if number.fract() == 0.0 && number >= 0.0 => Some((number as u64).max(1)),
            _ => Some(u64::MAX),
        },
        Json::String(text) => Some(text.parse::<u64>().map_or(u64::MAX, |number| number.max(1))),
        Json::Array(items) => Some((items.len() as u64).max(1)),
        Json::Bool(_) | Json::Object(_) => Some(u64::MAX),
    }
}
