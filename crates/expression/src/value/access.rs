//! What jq's interpreter asks of values: making, reading and changing their parts.

use std::sync::Arc;

use jaq_core::box_iter::{box_once, BoxIter};
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, Exn, ValR, ValX};

use super::build::{insert, own_array, own_object, push, within};
use super::{Array, Number, Object, Value, MAX_VALUE_BYTES, PART_BYTES};
use crate::meter::{self, Stop};

const ITERABLE: &str = "iterable (array or object)";

/// Where an index points, counted from the end when it is negative; None before the beginning.
fn place(index: &Value, length: usize) -> Result<Option<usize>, Error<Value>> {
    let whole = match index {
        Value::Number(Number::Float(float)) if float.is_finite() => Some(float.floor() as isize),
        other => other.as_integer(),
    };
    let whole = whole.ok_or_else(|| Error::typ(index.clone(), "integer"))?;
    Ok(match usize::try_from(whole) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(whole.unsigned_abs()),
    })
}

/// The bounds of a slice within `0..=length`.
fn slice(range: &Range<&Value>, length: usize) -> Result<(usize, usize), Error<Value>> {
    let bound = |bound: Option<&Value>, default: usize| match bound {
        None | Some(Value::Null) => Ok(default),
        Some(index) => Ok(place(index, length)?.unwrap_or(0).min(length)),
    };
    let (start, end) = (bound(range.start, 0)?, bound(range.end, length)?);
    Ok((start, end.max(start)))
}

/// Bounds in characters as bounds in bytes.
fn text_slice(text: &str, range: &Range<&Value>) -> Result<(usize, usize), Error<Value>> {
    meter::work(text.len() / 16);
    let (start, end) = slice(range, text.chars().count())?;
    let byte = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(byte, _)| byte);
    Ok((byte(start), byte(end)))
}

fn key_of(key: Value) -> Result<Arc<str>, Error<Value>> {
    match key {
        Value::String(text) => {
            meter::charge(text.len());
            Ok(text.as_str().into())
        }
        other => Err(Error::typ(other, "key of an object, which must be a string")),
    }
}

/// `{start, end}`, as `path` yields for slices.
fn bounds(object: &Object) -> Range<&Value> {
    object.get("start")..object.get("end")
}

impl Value {
    /// The part at an index, None where there is none.
    pub(crate) fn part(self, index: &Value) -> Result<Option<Value>, Error<Value>> {
        meter::work(1);
        Ok(match (self, index) {
            (Self::Null, Self::String(_) | Self::Number(_) | Self::Object(_)) => None,
            (Self::Object(object), Self::String(key)) => object.get(key.as_str()).cloned(),
            (Self::Array(array), Self::Number(_)) => {
                place(index, array.len())?.and_then(|index| array.get(index).cloned())
            }
            (Self::Array(array), Self::Array(part)) if part.is_empty() => Some(array[..0].iter().cloned().collect()),
            (Self::Array(array), Self::Array(part)) => {
                let places = array.windows(part.len()).enumerate().filter(|(_, window)| *window == &part[..]);
                Some(places.map(|(index, _)| Value::from(index)).collect())
            }
            (value @ (Self::Array(_) | Self::String(_)), Self::Object(range)) => {
                return jaq_core::ValT::range(value, bounds(range)).map(Some)
            }
            (value, _) => return Err(Error::index(value, index.clone())),
        })
    }
}

impl jaq_core::ValT for Value {
    fn from_num(text: &str) -> ValR<Self> {
        meter::work(1);
        if text.len() <= 1000 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            if let Some(integer) = Number::from_str_radix(text, 10) {
                return Ok(Self::Number(integer));
            }
        }
        Ok(Self::Number(Number::from_dec_str(text)))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> ValR<Self> {
        let mut object = Object::default();
        for (key, item) in entries {
            insert(&mut object, key_of(key)?, item);
        }
        Ok(Self::Object(Arc::new(object)))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self {
            Self::Array(array) => {
                let items = own_array(array).items.into_iter().enumerate();
                Box::new(items.map(|(index, item)| Ok((Self::from(index), item))).inspect(|_| meter::step()))
            }
            Self::Object(object) => {
                let entries = own_object(object).map.into_iter();
                let entries = entries.map(|(key, item)| Ok((Self::made(key.to_string()), item)));
                Box::new(entries.inspect(|_| meter::step()))
            }
            other => box_once(Err(Error::typ(other, ITERABLE))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self {
            Self::Array(array) => Box::new(own_array(array).items.into_iter().map(Ok).inspect(|_| meter::step())),
            Self::Object(object) => Box::new(own_object(object).map.into_values().map(Ok).inspect(|_| meter::step())),
            other => box_once(Err(Error::typ(other, ITERABLE))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        Ok(self.part(index)?.unwrap_or_default())
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        match self {
            Self::Null => Ok(Self::Null),
            Self::String(text) => {
                let (start, end) = text_slice(&text, &range)?;
                Ok(Self::made(text[start..end].to_owned()))
            }
            Self::Array(array) => {
                let (start, end) = slice(&range, array.len())?;
                Ok(array[start..end].iter().cloned().collect())
            }
            other => Err(Error::typ(other, "array or string, which have slices")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, f: impl Fn(Self) -> I) -> ValX<'a, Self> {
        match self {
            Self::Array(array) => own_array(array).items.into_iter().inspect(|_| meter::step()).flat_map(f).collect(),
            Self::Object(object) => {
                let mut mapped = Object::default();
                for (key, item) in own_object(object).map {
                    meter::step();
                    if let Some(item) = f(item).next().transpose()? {
                        insert(&mut mapped, key, item);
                    }
                }
                Ok(Self::Object(Arc::new(mapped)))
            }
            other => opt.fail(other, |other| Exn::from(Error::typ(other, ITERABLE))),
        }
    }

    /// As jq: null becomes an object or array as the index asks, and an array grows up to the index.
    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        meter::step();
        let this = match (self, index) {
            (Self::Null, Self::String(_)) => Self::Object(Arc::default()),
            (Self::Null, Self::Number(_)) => Self::Array(Arc::default()),
            (value, _) => value,
        };
        match (this, index) {
            (Self::Object(object), Self::String(key)) => {
                let mut object = own_object(object);
                let new = f(object.get(key.as_str()).cloned().unwrap_or_default()).next().transpose()?;
                match new {
                    Some(item) => insert(&mut object, key.as_str().into(), item),
                    None => {
                        if let Some(gone) = object.map.shift_remove(key.as_str()) {
                            object.extent = object.extent.without(PART_BYTES + key.len(), &gone);
                        }
                    }
                }
                Ok(Self::Object(Arc::new(object)))
            }
            (Self::Array(array), Self::Number(_)) => {
                let index = match place(index, array.len()) {
                    Ok(Some(index)) => index,
                    Ok(None) => {
                        let error = Error::str(format_args!("index {index} lies before the array's beginning"));
                        return opt.fail(Self::Array(array), |_| Exn::from(error));
                    }
                    Err(error) => return opt.fail(Self::Array(array), |_| Exn::from(error)),
                };
                if index >= MAX_VALUE_BYTES / PART_BYTES {
                    meter::stop(Stop::Size);
                }
                let mut array = own_array(array);
                let new = f(array.get(index).cloned().unwrap_or_default()).next().transpose()?;
                match new {
                    Some(item) => {
                        while array.len() <= index {
                            push(&mut array, Self::Null);
                        }
                        within(array.set(index, item));
                    }
                    None if index < array.len() => {
                        let gone = array.items.remove(index);
                        array.extent = array.extent.without(0, &gone);
                    }
                    None => {}
                }
                Ok(Self::Array(Arc::new(array)))
            }
            (value @ (Self::Array(_) | Self::String(_)), Self::Object(range)) => value.map_range(bounds(range), opt, f),
            (value, _) => opt.fail(value, |value| Exn::from(Error::index(value, index.clone()))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        meter::step();
        let array = match self {
            Self::Null => Arc::default(),
            Self::Array(array) => array,
            other => return opt.fail(other, |other| Exn::from(Error::typ(other, "array, of which a slice is set"))),
        };
        let (start, end) = match slice(&range, array.len()) {
            Ok(bounds) => bounds,
            Err(error) => return opt.fail(Self::Array(array), |_| Exn::from(error)),
        };
        let part: Value = array[start..end].iter().cloned().collect();
        let put = match f(part).next().transpose()? {
            None => Arc::new(Array::default()),
            Some(Self::Array(put)) => put,
            Some(other) => return Err(Exn::from(Error::typ(other, "array, which takes the place of a slice"))),
        };
        let parts = array[..start].iter().chain(put.iter()).chain(&array[end..]);
        Ok(parts.cloned().collect())
    }

    /// True for all but null and false.
    fn as_bool(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            text @ Self::String(_) => text,
            other => {
                meter::work(other.bytes() / 16);
                Self::made(other.to_text())
            }
        }
    }
}
