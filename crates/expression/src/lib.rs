//! jq, compiled once, evaluated within a bound.

#![forbid(unsafe_code)]

mod error;
mod expression;
pub mod json;
mod library;
mod meter;
mod template;

pub use error::{Error, Kind};
pub use expression::Expression;
pub use jaq_json::{Map, Num, Val as Value};
pub use template::{Part, Template};
