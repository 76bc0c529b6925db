//! The rooms that may name hyper's types.

pub mod body;
