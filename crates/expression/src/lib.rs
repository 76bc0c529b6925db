//! jq, compiled once, evaluated within a bound.

#![forbid(unsafe_code)]

mod error;
mod expression;
mod library;
mod meter;

pub use error::{Error, Kind};
pub use expression::Expression;
pub use jaq_json::{Map, Num, Val as Value};
