//! jq's order: null, false, true, numbers, strings, arrays, objects. Each comparison of parts is counted as work.

use std::cmp::Ordering;

use super::{Object, Value};
use crate::meter;

impl Value {
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(false) => 1,
            Self::Bool(true) => 2,
            Self::Number(_) => 3,
            Self::String(_) => 4,
            Self::Array(_) => 5,
            Self::Object(_) => 6,
        }
    }
}

/// By their sorted keys first, then value by value in the order of the keys.
fn objects(left: &Object, right: &Object) -> Ordering {
    let sorted = |object: &Object| {
        meter::work(object.len());
        let mut keys: Vec<_> = object.keys().cloned().collect();
        keys.sort_unstable();
        keys
    };
    let (keys, others) = (sorted(left), sorted(right));
    keys.cmp(&others).then_with(|| {
        let pairs = keys.iter().map(|key| left.get(key).cmp(&right.get(key)));
        pairs.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    })
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        meter::work(1);
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => left.cmp(right),
            (Self::String(left), Self::String(right)) => {
                meter::work(left.len().min(right.len()) / 64);
                left.cmp(right)
            }
            (Self::Array(left), Self::Array(right)) => left.iter().cmp(right.iter()),
            (Self::Object(left), Self::Object(right)) => objects(left, right),
            (left, right) => left.rank().cmp(&right.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        meter::work(1);
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Number(left), Self::Number(right)) => left == right,
            (Self::String(left), Self::String(right)) => {
                meter::work(left.len().min(right.len()) / 64);
                left == right
            }
            (Self::Array(left), Self::Array(right)) => {
                left.len() == right.len() && left.iter().zip(right.iter()).all(|(left, right)| left == right)
            }
            (Self::Object(left), Self::Object(right)) => {
                let same = |(key, left): (_, &Value)| right.get::<str>(key).is_some_and(|right| left == right);
                left.len() == right.len() && left.iter().map(|(key, value)| (&**key, value)).all(same)
            }
            _ => false,
        }
    }
}

impl Eq for Value {}
