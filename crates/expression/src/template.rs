//! Text with jq in it: `${ … }`. A text that is one expression as a whole yields its value, any other yields text.

use std::sync::Arc;

use crate::error::{Error, Kind};
use crate::{Expression, Value};

#[derive(Clone)]
pub enum Template {
    /// No expression in it.
    Text(Box<str>),
    /// `${ … }` and nothing around it but spaces.
    Whole(Arc<Expression>),
    Parts(Arc<[Part]>),
}

pub enum Part {
    Text(Box<str>),
    Expression(Arc<Expression>),
}

impl Template {
    /// `$${` stands for a `${` that begins no expression. Columns in errors are those of `text`.
    pub fn parse(text: &str, variables: &[&str]) -> Result<Self, Error> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(open) = rest.find("${") {
            if rest[..open].ends_with('$') {
                plain.push_str(&rest[..open]);
                plain.push('{');
                rest = &rest[open + 2..];
                continue;
            }
            plain.push_str(&rest[..open]);
            let body = &rest[open + 2..];
            let offset = text.len() - body.len();
            let Some(close) = end(body) else {
                return Err(Error::new(Kind::Invalid, "'${' has no '}'").at(text, offset - 2));
            };
            let expression = Expression::compile(&body[..close], variables).map_err(|mut error| {
                error.column = error.column.map(|column| column + text[..offset].chars().count());
                error
            })?;
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain).into()));
            }
            parts.push(Part::Expression(Arc::new(expression)));
            rest = &body[close + 1..];
        }
        plain.push_str(rest);
        if parts.is_empty() {
            return Ok(Self::Text(plain.into()));
        }
        let blank = |part: &Part| matches!(part, Part::Text(text) if text.trim().is_empty());
        let mut expressions = parts.iter().filter(|part| !blank(part));
        if let (Some(Part::Expression(only)), None) = (expressions.next(), expressions.next()) {
            if plain.trim().is_empty() {
                return Ok(Self::Whole(only.clone()));
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Self::Parts(parts.into()))
    }

    /// In text, strings stand as they are, null as nothing, and other values as JSON.
    pub fn evaluate(&self, input: &Value, variables: &[Value], now: Option<f64>) -> Result<Value, Error> {
        // Always Some: `evaluate` comes to an end.
        let run = |expression: &Expression| Some(expression.evaluate(input, variables, now));
        self.run(run).unwrap_or(Ok(Value::Null))
    }

    /// As `Expression::try_first`.
    pub fn try_first(&self, input: &Value, variables: &[Value], now: Option<f64>) -> Option<Result<Value, Error>> {
        self.run(|expression| expression.try_first(input, variables, now))
    }

    fn run(&self, run: impl Fn(&Expression) -> Option<Result<Value, Error>>) -> Option<Result<Value, Error>> {
        let parts = match self {
            Self::Text(text) => return Some(Ok(Value::string(&**text))),
            Self::Whole(expression) => return run(expression),
            Self::Parts(parts) => parts,
        };
        let mut text = String::new();
        for part in parts.iter() {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Expression(expression) => match run(expression)? {
                    Ok(Value::Null) => {}
                    Ok(value) => text.push_str(&value.to_text()),
                    Err(error) => return Some(Err(error)),
                },
            }
        }
        Some(Ok(Value::string(text)))
    }
}

/// Where the `}` is that ends an expression: not within brackets, strings or comments of jq.
fn end(source: &str) -> Option<usize> {
    let mut open: Vec<u8> = Vec::new();
    let bytes = source.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (open.last(), byte) {
            (Some(b'"'), b'\\') => {
                at += 1;
                if bytes.get(at) == Some(&b'(') {
                    open.push(b'(');
                }
            }
            (Some(b'"'), b'"') => {
                open.pop();
            }
            (Some(b'"'), _) => {}
            (_, b'#') => at += source[at..].find('\n').unwrap_or(source.len()),
            (None, b'}') => return Some(at),
            (_, b'(' | b'[' | b'{' | b'"') => open.push(byte),
            (_, b')' | b']' | b'}') => {
                open.pop();
            }
            _ => {}
        }
        at += 1;
    }
    None
}
