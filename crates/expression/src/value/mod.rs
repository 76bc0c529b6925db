//! JSON values whose logical size and depth are known at every moment, and bounded.
//!
//! Parts are shared, so ten doublings cost ten allocations and stand for a thousand parts. Because a container knows what
//! it stands for, nothing that walks a value (comparing, writing, dropping, handing over) can meet one that is too large.

mod access;
mod build;
mod operator;
mod order;
mod standard;

use std::fmt;
use std::sync::Arc;

pub use jaq_json::Num as Number;

use crate::json;

/// Containers within containers.
pub const MAX_DEPTH: usize = 256;
/// Logical bytes of one value: 16 for each part, and the length of each string and key.
pub const MAX_VALUE_BYTES: usize = 16 << 20;
/// Digits of an integer beyond 64 bits, in bits.
pub const MAX_INTEGER_BITS: u64 = 4096;

/// Of each part of a value.
pub(crate) const PART_BYTES: usize = 16;

/// In the order of insertion.
pub type Map = jaq_json::Map<Arc<str>, Value>;

#[derive(Clone, Debug, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    String(Arc<String>),
    Array(Arc<Array>),
    Object(Arc<Object>),
}

/// A value over `MAX_VALUE_BYTES` or `MAX_DEPTH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLarge {
    Bytes,
    Depth,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TooLarge::Bytes => write!(f, "the value is larger than {MAX_VALUE_BYTES} bytes"),
            TooLarge::Depth => write!(f, "the value is nested more than {MAX_DEPTH} deep"),
        }
    }
}

impl std::error::Error for TooLarge {}

/// What a container stands for. Never less than the truth.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    bytes: usize,
    depth: usize,
}

impl Extent {
    /// With one more part, whose key has that many bytes.
    fn with(self, key: usize, part: &Value) -> Result<Self, TooLarge> {
        let part = part.extent();
        let extent = Self { bytes: self.bytes + key + part.bytes, depth: self.depth.max(part.depth + 1) };
        extent.check()
    }

    fn without(mut self, key: usize, part: &Value) -> Self {
        self.bytes = self.bytes.saturating_sub(key + part.extent().bytes);
        self
    }

    fn check(self) -> Result<Self, TooLarge> {
        match self {
            Self { bytes, .. } if bytes > MAX_VALUE_BYTES => Err(TooLarge::Bytes),
            Self { depth, .. } if depth > MAX_DEPTH => Err(TooLarge::Depth),
            extent => Ok(extent),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Array {
    items: Vec<Value>,
    extent: Extent,
}

#[derive(Clone, Debug)]
pub struct Object {
    map: Map,
    extent: Extent,
}

impl Default for Array {
    fn default() -> Self {
        Self { items: Vec::new(), extent: Extent { bytes: PART_BYTES, depth: 1 } }
    }
}

impl Default for Object {
    fn default() -> Self {
        Self { map: Map::default(), extent: Extent { bytes: PART_BYTES, depth: 1 } }
    }
}

impl std::ops::Deref for Array {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.items
    }
}

impl std::ops::Deref for Object {
    type Target = Map;

    fn deref(&self) -> &Map {
        &self.map
    }
}

impl Array {
    pub fn push(&mut self, item: Value) -> Result<(), TooLarge> {
        self.extent = self.extent.with(0, &item)?;
        self.items.push(item);
        Ok(())
    }

    fn set(&mut self, index: usize, item: Value) -> Result<(), TooLarge> {
        if let Some(place) = self.items.get_mut(index) {
            self.extent = self.extent.without(0, place).with(0, &item)?;
            *place = item;
        }
        Ok(())
    }
}

impl Object {
    /// The later of two with the same key stays.
    pub fn insert(&mut self, key: Arc<str>, item: Value) -> Result<(), TooLarge> {
        let extent = self.extent.with(PART_BYTES + key.len(), &item)?;
        let length = key.len();
        self.extent = match self.map.insert(key, item) {
            Some(old) => extent.without(PART_BYTES + length, &old),
            None => extent,
        };
        Ok(())
    }
}

impl Value {
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(Arc::new(text.into()))
    }

    pub fn array(items: impl IntoIterator<Item = Value>) -> Result<Self, TooLarge> {
        let mut array = Array::default();
        items.into_iter().try_for_each(|item| array.push(item))?;
        Ok(Self::Array(Arc::new(array)))
    }

    pub fn object<K: Into<Arc<str>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Result<Self, TooLarge> {
        let mut object = Object::default();
        entries.into_iter().try_for_each(|(key, item)| object.insert(key.into(), item))?;
        Ok(Self::Object(Arc::new(object)))
    }

    /// The value of a key, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Object(object) => object.map.get(key),
            _ => None,
        }
    }

    /// An integer of the machine's size.
    pub fn as_integer(&self) -> Option<isize> {
        match self {
            Self::Number(number) => number.as_isize(),
            _ => None,
        }
    }

    /// A string as it is, anything else as JSON.
    pub fn to_text(&self) -> String {
        match self {
            Self::String(text) => text.as_str().to_owned(),
            other => String::from_utf8_lossy(&json::write(other)).into_owned(),
        }
    }

    fn extent(&self) -> Extent {
        match self {
            Self::Null | Self::Bool(_) => Extent { bytes: PART_BYTES, depth: 0 },
            // An integer over 64 bits takes as many bytes as it has.
            Self::Number(Number::BigInt(integer)) => {
                Extent { bytes: PART_BYTES + integer.bits() as usize / 8, depth: 0 }
            }
            Self::Number(_) => Extent { bytes: PART_BYTES, depth: 0 },
            Self::String(text) => Extent { bytes: PART_BYTES + text.len(), depth: 0 },
            Self::Array(array) => array.extent,
            Self::Object(object) => object.extent,
        }
    }

    /// What the value stands for when everything shared in it is counted each time.
    pub(crate) fn bytes(&self) -> usize {
        self.extent().bytes
    }
}

/// For messages: a long value is cut.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 120;
        let text = json::write_some(self, LONGEST);
        let text = String::from_utf8_lossy(&text);
        match text.char_indices().nth(LONGEST) {
            Some((cut, _)) => write!(f, "{}…", &text[..cut]),
            None => f.write_str(&text),
        }
    }
}
