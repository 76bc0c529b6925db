//! What can be wrong with an expression.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It does not compile.
    Invalid,
    /// It compiled and failed on this input.
    Failed,
    /// It went over its bound of steps, depth or size.
    Bound,
    /// It yielded no result or more than one.
    Results,
}

/// What is wrong and where. The message is one sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    /// Of the offending part in the source, counted in characters from 1.
    pub column: Option<usize>,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), column: None }
    }

    pub(crate) fn at(mut self, source: &str, offset: usize) -> Self {
        self.column = source.get(..offset).map(|before| before.chars().count() + 1);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "{} (column {column})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}
