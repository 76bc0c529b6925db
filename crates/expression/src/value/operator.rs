//! `+ - * / %` and negation as jq defines them.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::sync::Arc;

use jaq_core::ops::Math;
use jaq_core::{Error, ValR};

use super::build::{insert, own_array, own_object, push};
use super::{Array, Number, Object, Value, MAX_INTEGER_BITS, MAX_VALUE_BYTES};
use crate::meter::{self, Stop};

fn bits(number: &Number) -> u64 {
    match number {
        Number::BigInt(integer) => integer.bits(),
        Number::Int(_) => 64,
        Number::Float(_) | Number::Dec(_) => 0,
    }
}

/// Before the result exists: how many bits it will have at most.
fn check_bits(bits: u64) {
    if bits > MAX_INTEGER_BITS {
        meter::stop(Stop::Integer);
    }
}

impl Add for Value {
    type Output = ValR<Value>;

    fn add(self, other: Self) -> ValR<Self> {
        meter::work(1);
        Ok(match (self, other) {
            (Self::Null, value) | (value, Self::Null) => value,
            (Self::Number(left), Self::Number(right)) => {
                check_bits(bits(&left).max(bits(&right)) + 1);
                Self::Number(left + right)
            }
            (Self::String(mut left), Self::String(right)) => {
                if left.len() + right.len() > MAX_VALUE_BYTES {
                    meter::stop(Stop::Size);
                }
                let copied = if Arc::get_mut(&mut left).is_some() { right.len() } else { left.len() + right.len() };
                meter::charge(copied);
                Arc::make_mut(&mut left).push_str(&right);
                Self::String(left)
            }
            (Self::Array(left), Self::Array(right)) => {
                let mut sum = own_array(left);
                right.iter().for_each(|item| push(&mut sum, item.clone()));
                Self::Array(Arc::new(sum))
            }
            (Self::Object(left), Self::Object(right)) => {
                let mut sum = own_object(left);
                right.iter().for_each(|(key, item)| insert(&mut sum, key.clone(), item.clone()));
                Self::Object(Arc::new(sum))
            }
            (left, right) => return Err(Error::math(left, Math::Add, right)),
        })
    }
}

impl Sub for Value {
    type Output = ValR<Value>;

    fn sub(self, other: Self) -> ValR<Self> {
        meter::work(1);
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => {
                check_bits(bits(&left).max(bits(&right)) + 1);
                Ok(Self::Number(left - right))
            }
            (Self::Array(left), Self::Array(right)) => {
                let mut gone: Vec<&Value> = right.iter().collect();
                gone.sort();
                Ok(left.iter().filter(|item| gone.binary_search(item).is_err()).cloned().collect())
            }
            (left, right) => Err(Error::math(left, Math::Sub, right)),
        }
    }
}

fn merge(left: Arc<Object>, right: &Object) -> Arc<Object> {
    let mut merged = own_object(left);
    for (key, item) in right.iter() {
        let item = match (merged.get(key), item) {
            (Some(Value::Object(old)), Value::Object(new)) => Value::Object(merge(old.clone(), new)),
            _ => item.clone(),
        };
        insert(&mut merged, key.clone(), item);
    }
    Arc::new(merged)
}

impl Mul for Value {
    type Output = ValR<Value>;

    fn mul(self, other: Self) -> ValR<Self> {
        meter::work(1);
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => {
                check_bits(bits(&left) + bits(&right));
                Ok(Self::Number(left * right))
            }
            (Self::String(text), Self::Number(times)) | (Self::Number(times), Self::String(text)) => {
                let times = jaq_std::ValT::as_f64(&Value::Number(times)).unwrap_or(f64::NAN);
                // As jq: no times is null, half a time is once.
                if times.is_nan() || times <= 0.0 {
                    return Ok(Self::Null);
                }
                if text.len() as f64 * times > MAX_VALUE_BYTES as f64 {
                    meter::stop(Stop::Size);
                }
                let times = if times < 1.0 { 1 } else { times as usize };
                // An empty string may be repeated any number of times.
                Ok(Self::made(if text.is_empty() { String::new() } else { text.repeat(times) }))
            }
            (Self::Object(left), Self::Object(right)) => Ok(Self::Object(merge(left, &right))),
            (left, right) => Err(Error::math(left, Math::Mul, right)),
        }
    }
}

impl Div for Value {
    type Output = ValR<Value>;

    fn div(self, other: Self) -> ValR<Self> {
        meter::work(1);
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => Ok(Self::Number(left / right)),
            (Self::String(text), Self::String(separator)) => {
                meter::work(text.len() / 16);
                let part = |part: &str| Self::made(part.to_owned());
                if text.is_empty() {
                    return Ok(Self::Array(Arc::new(Array::default())));
                }
                if separator.is_empty() {
                    return Ok(text.chars().map(|char| Self::made(char.to_string())).collect());
                }
                Ok(text.split(separator.as_str()).map(part).collect())
            }
            (left, right) => Err(Error::math(left, Math::Div, right)),
        }
    }
}

impl Rem for Value {
    type Output = ValR<Value>;

    fn rem(self, other: Self) -> ValR<Self> {
        meter::work(1);
        match (self, other) {
            (Self::Number(left), Self::Number(right)) if right != Number::Int(0) => Ok(Self::Number(left % right)),
            (left, right) => Err(Error::math(left, Math::Rem, right)),
        }
    }
}

impl Neg for Value {
    type Output = ValR<Value>;

    fn neg(self) -> ValR<Self> {
        match self {
            Self::Number(number) => Ok(Self::Number(-number)),
            other => Err(Error::typ(other, "number")),
        }
    }
}
