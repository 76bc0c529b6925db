//! What the standard library asks of values.

use super::build::own_array;
use super::{Number, Value};
use crate::meter;

impl jaq_std::ValT for Value {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::Array(array) => {
                meter::work(array.len());
                Ok(own_array(array).items.into_iter().collect())
            }
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        matches!(self, Self::Number(Number::Int(_) | Number::BigInt(_)))
    }

    fn as_isize(&self) -> Option<isize> {
        self.as_integer()
    }

    fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(Number::Int(integer)) => Some(*integer as f64),
            Self::Number(Number::Float(float)) => Some(*float),
            Self::Number(number) => jaq_std::ValT::as_f64(&jaq_json::Val::Num(number.clone())),
            _ => None,
        }
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::String(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::String(text) => {
                meter::work(text.len() / 16);
                Some(text.as_bytes())
            }
            _ => None,
        }
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        Self::made(String::from_utf8_lossy(sub).into_owned())
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::made(String::from_utf8_lossy(bytes.as_ref()).into_owned())
    }
}
