//! What the source itself tells before it is compiled: how wide its calls are, and where its stages lie.

use std::ops::Range;

use jaq_core::load::lex::{Lexer, StrPart, Tok, Token};
use jaq_core::load::span;

use crate::error::{Error, Kind};

/// Arguments of one call or definition. Each costs memory at every call, so steps count for more where there are many.
const MAX_ARGUMENTS: usize = 16;
/// Of an expression that fails, at most so many stages are looked at.
const MAX_STAGES: usize = 16;

pub(crate) struct Shape {
    /// The most arguments of a call or definition, at least 1.
    pub(crate) arguments: usize,
    /// What stands between the outermost `|`, in bytes of the source.
    pub(crate) stages: Vec<Range<usize>>,
}

impl Shape {
    /// What cannot be read has no particular shape: the compiler says what is wrong with it.
    pub(crate) fn of(source: &str) -> Result<Self, Error> {
        let Ok(tokens) = Lexer::new(source).lex() else {
            return Ok(Self { arguments: 1, stages: Vec::new() });
        };
        let arguments = widest(&tokens).max(1);
        if arguments > MAX_ARGUMENTS {
            let message = format!("a filter has {arguments} arguments, and {MAX_ARGUMENTS} are the most");
            return Err(Error::new(Kind::Invalid, message));
        }
        Ok(Self { arguments, stages: stages(source, &tokens) })
    }
}

fn widest(tokens: &[Token<&str>]) -> usize {
    tokens
        .iter()
        .map(|token| match &token.1 {
            Tok::Block(inner) => {
                let separators = inner.iter().filter(|token| token.0 == ";").count();
                (separators + 1).max(widest(inner))
            }
            Tok::Str(parts) => {
                let inner = parts.iter().map(|part| match part {
                    StrPart::Term(Token(_, Tok::Block(inner))) => widest(inner),
                    _ => 0,
                });
                inner.max().unwrap_or(0)
            }
            _ => 0,
        })
        .max()
        .unwrap_or(0)
}

fn stages(source: &str, tokens: &[Token<&str>]) -> Vec<Range<usize>> {
    let (mut stages, mut begin, mut conditions, mut definitions) = (Vec::new(), 0, 0usize, 0usize);
    for token in tokens {
        match token.0 {
            "if" => conditions += 1,
            "end" => conditions = conditions.saturating_sub(1),
            "def" => definitions += 1,
            ";" => definitions = definitions.saturating_sub(1),
            "|" if conditions == 0 && definitions == 0 => {
                let at = span(source, token.0);
                stages.push(begin..at.start);
                begin = at.end;
            }
            _ => {}
        }
    }
    stages.push(begin..source.len());
    stages.truncate(MAX_STAGES);
    stages
}
