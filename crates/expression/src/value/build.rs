//! Values made while an expression runs: each is charged to the evaluation, and one that is too large ends it.

use std::sync::Arc;

use jaq_core::val::Range;

use super::{Array, Map, Number, Object, TooLarge, Value, PART_BYTES};
use crate::meter::{self, Stop};

/// Goes on with a value that is within the bounds, or ends the evaluation.
pub(crate) fn within<T>(made: Result<T, TooLarge>) -> T {
    made.unwrap_or_else(|too_large| match too_large {
        TooLarge::Bytes => meter::stop(Stop::Size),
        TooLarge::Depth => meter::stop(Stop::Nesting),
    })
}

impl Value {
    pub(crate) fn made(text: String) -> Self {
        meter::charge(PART_BYTES + text.len());
        if text.len() > super::MAX_VALUE_BYTES {
            meter::stop(Stop::Size);
        }
        Self::string(text)
    }
}

/// The items as one's own, copied if others share them.
pub(crate) fn own_array(array: Arc<Array>) -> Array {
    Arc::try_unwrap(array).unwrap_or_else(|shared| {
        meter::charge(shared.len() * PART_BYTES);
        (*shared).clone()
    })
}

pub(crate) fn own_object(object: Arc<Object>) -> Object {
    Arc::try_unwrap(object).unwrap_or_else(|shared| {
        meter::charge(shared.len() * 4 * PART_BYTES);
        (*shared).clone()
    })
}

pub(crate) fn push(array: &mut Array, item: Value) {
    meter::work(1);
    meter::charge(PART_BYTES);
    within(array.push(item));
}

pub(crate) fn insert(object: &mut Object, key: Arc<str>, item: Value) {
    meter::work(1);
    meter::charge(4 * PART_BYTES);
    within(object.insert(key, item));
}

impl FromIterator<Value> for Value {
    fn from_iter<T: IntoIterator<Item = Value>>(items: T) -> Self {
        let mut array = Array::default();
        for item in items {
            push(&mut array, item);
        }
        Self::Array(Arc::new(array))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<isize> for Value {
    fn from(integer: isize) -> Self {
        Self::Number(Number::Int(integer))
    }
}

impl From<usize> for Value {
    fn from(integer: usize) -> Self {
        Self::Number(Number::from_integral(integer))
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Number(Number::Float(float))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::made(text)
    }
}

impl From<Range<Value>> for Value {
    fn from(range: Range<Value>) -> Self {
        let mut object = Object { map: Map::default(), ..Object::default() };
        for (key, bound) in [("start", range.start), ("end", range.end)] {
            if let Some(bound) = bound {
                insert(&mut object, key.into(), bound);
            }
        }
        Self::Object(Arc::new(object))
    }
}
