//! Documents and schemas of GraphQL (September 2025 edition) as far as a gateway has to understand them: what a document
//! asks for, how much that is, and whether it fits a schema. Nothing here executes anything.
//!
//! Every walk costs as much as the document is long: fragments are looked at once each, in the order in which they need
//! each other, and whatever is multiplied is capped instead of counted out.

pub mod cost;
pub mod document;
pub mod fit;
mod lower;
pub mod measure;
pub mod schema;
pub mod value;

use std::fmt;

/// Selections, values and types within each other that are read at all. Whoever walks a document may recurse.
pub const NESTING: usize = 128;
/// Bytes of a sentence about a document.
const LONGEST: usize = 300;

/// What is wrong with a document, for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Bytes from the beginning.
    pub at: Option<usize>,
    pub message: String,
}

impl Fault {
    pub fn new(message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if message.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
            message.truncate(end);
            message.push('…');
        }
        Self { at: None, message }
    }

    pub fn at(mut self, at: usize) -> Self {
        self.at = Some(at);
        self
    }

    /// Line and column, both from 1; the column counts characters.
    pub fn place(&self, text: &str) -> Option<(usize, usize)> {
        let before = text.get(..self.at?.min(text.len()))?;
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
        Some((line, column))
    }

    /// With its place in `text`.
    pub fn told(&self, text: &str) -> String {
        match self.place(text) {
            Some((line, column)) => format!("line {line}, column {column}: {}", self.message),
            None => self.message.clone(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
