//! jq, compiled once and evaluated within a bound.
//!
//! An expression reads its input and its variables and nothing else: no environment, files, clock, inputs or output. It
//! yields exactly one result. Whatever it does, it ends within a bound of steps, stack, allocation and size, with an error
//! that says which.

#![forbid(unsafe_code)]

mod compile;
mod error;
mod expression;
pub mod json;
mod library;
mod meter;
mod native;
mod reads;
mod source;
mod template;
pub mod value;

pub use error::{Error, Kind};
pub use expression::{Expression, MAX_ALLOCATED_BYTES, MAX_SOURCE_BYTES, MAX_STACK_BYTES, MAX_STEPS};
pub use reads::{reads, Step};
pub use template::{Part, Template};
pub use value::Value;
