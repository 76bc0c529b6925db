//! Filters of our own, in the place of those that are tied to another value type or cannot be bounded from outside.

use jaq_core::box_iter::box_once;
use jaq_core::native::{bome, run, unary, v, Filter, Fun};
use jaq_core::{Error, RunPtr, ValR};

use crate::json;
use crate::library::Data;
use crate::meter;
use crate::value::{Number, Value};

/// Bytes of a text that a regular expression is applied to, and of the regular expression.
const REGEX_TEXT_BYTES: usize = 1 << 20;
const REGEX_BYTES: usize = 1024;
/// Repetitions within repetitions, multiplied.
const REGEX_REPEATS: usize = 1000;

pub(crate) fn natives() -> impl Iterator<Item = Fun<Data>> {
    let all: [Filter<RunPtr<Data>>; 11] = [
        ("now", v(0), |cv| {
            let absent = || Error::str("there is no clock in this expression, so now is not available");
            bome(cv.0.data().now.map(Value::from).ok_or_else(absent))
        }),
        ("length", v(0), |cv| bome(length(cv.1))),
        ("tojson", v(0), |cv| {
            meter::work(cv.1.bytes() / 16);
            let text = json::write(&cv.1);
            bome(Ok(Value::made(String::from_utf8_lossy(&text).into_owned())))
        }),
        ("fromjson", v(0), |cv| bome(from_json(cv.1))),
        ("tobytes", v(0), |cv| {
            let absent = "tobytes is not available: values are JSON, which has no bytes";
            box_once(Err(Error::<Value>::str(format_args!("{absent}; the input is {}", cv.1)).into()))
        }),
        ("contains", v(1), |cv| unary(cv, |whole, part| contains(&whole, &part).map(Value::from))),
        ("has", v(1), |cv| unary(cv, has)),
        ("indices", v(1), |cv| unary(cv, |whole, part| indices(&whole, &part))),
        ("bsearch", v(1), |cv| {
            unary(cv, |array, item| match &array {
                Value::Array(items) => {
                    Ok(items.binary_search(&item).map_or_else(|place| Value::from(-1 - place as isize), Value::from))
                }
                _ => Err(Error::typ(array, "array")),
            })
        }),
        ("!guard_regex", v(2), |mut cv| {
            let (flags, regex) = (cv.0.pop_var(), cv.0.pop_var());
            bome(guard_regex(cv.1, &regex, &flags))
        }),
        ("!guard_time", v(1), |cv| {
            unary(cv, |text, format| match &format {
                // %Q is the name of a time zone, whose rules would be read from the machine's files.
                Value::String(format) if format.contains('Q') => {
                    Err(Error::str("strptime does not know time zones by name: %Q is not available"))
                }
                _ => Ok(text),
            })
        }),
    ];
    all.into_iter().map(run::<Data>)
}

fn length(value: Value) -> ValR<Value> {
    match &value {
        Value::Null => Ok(Value::from(0usize)),
        Value::Number(number) => Ok(Value::Number(match number {
            Number::Int(integer) => {
                integer.checked_abs().map_or(Number::Float(integer.unsigned_abs() as f64), Number::Int)
            }
            Number::Float(float) => Number::Float(float.abs()),
            other if *other < Number::Int(0) => -other.clone(),
            other => other.clone(),
        })),
        Value::String(text) => {
            meter::work(text.len() / 16);
            Ok(Value::from(text.chars().count()))
        }
        Value::Array(items) => Ok(Value::from(items.len())),
        Value::Object(map) => Ok(Value::from(map.len())),
        Value::Bool(_) => Err(Error::str(format_args!("{value} has no length"))),
    }
}

fn from_json(value: Value) -> ValR<Value> {
    let Value::String(text) = &value else {
        return Err(Error::typ(value, "string"));
    };
    meter::work(text.len());
    meter::charge(text.len() * 4);
    json::parse(text.as_bytes()).map_err(|error| Error::str(format_args!("{value} is not JSON: {error}")))
}

/// Text within text, each item within some item, each member within the member of that key; else equality.
fn contains(whole: &Value, part: &Value) -> Result<bool, Error<Value>> {
    meter::work(1);
    Ok(match (whole, part) {
        (Value::String(whole), Value::String(part)) => {
            meter::work(whole.len() / 16);
            whole.contains(part.as_str())
        }
        (Value::Array(whole), Value::Array(part)) => {
            for part in part.iter() {
                let mut found = false;
                for whole in whole.iter() {
                    found = contains(whole, part)?;
                    if found {
                        break;
                    }
                }
                if !found {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Object(whole), Value::Object(part)) => {
            for (key, part) in part.iter() {
                match whole.get(key) {
                    Some(whole) if contains(whole, part)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        _ => whole == part,
    })
}

fn has(value: Value, key: Value) -> ValR<Value> {
    match (&value, &key) {
        (Value::Object(_), Value::String(_)) | (Value::Array(_), Value::Number(_)) => {
            Ok(Value::from(value.part(&key)?.is_some()))
        }
        _ => Err(Error::index(value, key)),
    }
}

fn indices(whole: &Value, part: &Value) -> ValR<Value> {
    match (whole, part) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::String(text), Value::String(wanted)) if !wanted.is_empty() => {
            meter::work(text.len() * (1 + wanted.len() / 64));
            let places = text.char_indices().enumerate();
            let found = places.filter(|(_, (byte, _))| text[*byte..].starts_with(wanted.as_str()));
            Ok(found.map(|(place, _)| Value::from(place)).collect())
        }
        (Value::String(_), Value::String(_)) => Ok(Value::from_iter([])),
        (Value::Array(_), Value::Array(_)) => Ok(whole.clone().part(part)?.unwrap_or_default()),
        (Value::Array(items), _) => {
            let found = items.iter().enumerate().filter(|(_, item)| *item == part);
            Ok(found.map(|(place, _)| Value::from(place)).collect())
        }
        _ => Err(Error::index(whole.clone(), part.clone())),
    }
}

/// The work of a match is known only to the matcher, so it is estimated by what may happen at worst: each place of the
/// text with each state, and with the flag g every match looks through the rest of the text again.
fn guard_regex(text: Value, regex: &Value, flags: &Value) -> ValR<Value> {
    let (Value::String(whole), Value::String(pattern)) = (&text, regex) else {
        return Ok(text);
    };
    let too_large = |what: &str, most: usize| Err(Error::str(format_args!("{what} is larger than {most}")));
    if whole.len() > REGEX_TEXT_BYTES {
        return too_large("the text for the regular expression, in bytes,", REGEX_TEXT_BYTES);
    }
    if pattern.len() > REGEX_BYTES {
        return too_large("the regular expression, in bytes,", REGEX_BYTES);
    }
    let repeats = repeats(pattern);
    if repeats > REGEX_REPEATS {
        return too_large("the product of the regular expression's repetitions", REGEX_REPEATS);
    }
    meter::work(whole.len().saturating_mul(16 + pattern.len() * repeats) / 16 + 16 * pattern.len() * repeats);
    if matches!(flags, Value::String(flags) if flags.contains('g')) {
        meter::work(whole.len().saturating_mul(whole.len()) / 32);
    }
    Ok(text)
}

/// Every number between `{` and `}` multiplied, as if all stood one within the other.
fn repeats(pattern: &str) -> usize {
    let braces = pattern.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let largest = braces.map(|brace| brace.split(',').filter_map(|count| count.trim().parse::<usize>().ok()).max());
    largest.flatten().fold(1, |product, count| product.saturating_mul(count.max(1)))
}
