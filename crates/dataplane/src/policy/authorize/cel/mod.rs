//! Conditions in the Common Expression Language. Compiled, checked and bounded when the configuration is; a request only
//! builds the variables that its expression names.

mod check;
mod variables;

use std::collections::HashMap;
use std::sync::Arc;

use cel::common::ast::{CallExpr, Expr};
use cel::extractors::This;
use cel::parser::Parser;
use cel::{Context, ExecutionError, IdedExpr, Value};
use regex::{Regex, RegexBuilder};

use self::check::Checked;
use self::variables::{Values, Variable};
use crate::exchange::Exchange;
use crate::policy::RequestHead;

/// Longer expressions are refused.
pub const SOURCE_CHARACTERS: usize = 4096;
/// So are those of more parts.
pub const PARTS: usize = 500;
/// `all`, `exists` and their like within each other. Lists are bounded by what a request may carry, so this bounds the
/// steps of an evaluation.
pub const NESTED: usize = 2;
/// Brackets and what stands before its operand.
const BRACKETS: i64 = 64;
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// Of a compiled pattern.
const PATTERN_BYTES: usize = 1024 * 1024;

pub struct Cel {
    source: String,
    expression: IdedExpr,
    variables: Vec<Variable>,
    functions: Context<'static>,
}

impl Cel {
    /// Everything that is wrong with it is known now: syntax, names, types, patterns, bounds.
    pub fn new(source: &str) -> Result<Self, String> {
        if source.chars().count() > SOURCE_CHARACTERS {
            return Err(format!("it is longer than {SOURCE_CHARACTERS} characters"));
        }
        let (expression, checked) = parse(source)?;
        let mut patterns = HashMap::new();
        for pattern in checked.patterns {
            let compiled = RegexBuilder::new(&pattern).size_limit(PATTERN_BYTES).build();
            patterns.insert(pattern, compiled.map_err(|error| format!("matches: {error}"))?);
        }
        Ok(Self {
            source: source.to_owned(),
            expression,
            variables: checked.variables,
            functions: functions(Arc::new(patterns)),
        })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn asks_for_a_consumer(&self) -> bool {
        self.variables.iter().any(|variable| variable.is_of_the_consumer())
    }

    /// The error is for the log; whoever gets it lets nobody pass.
    pub fn holds(&self, exchange: &Exchange, head: &RequestHead) -> Result<bool, String> {
        let values = Values::new(&self.variables, exchange, head);
        let mut context = self.functions.new_inner_scope();
        context.set_variable_resolver(&values);
        match Value::resolve(&self.expression, &context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("cel gave {} and not true or false", other.type_of())),
            Err(error) => Err(format!("cel: {}", told(&error))),
        }
    }
}

/// On a stack of its own: the parser descends once for each bracket and operator.
fn parse(source: &str) -> Result<(IdedExpr, Checked), String> {
    let deepest = source.chars().fold((0i64, 0), |(open, deepest), char| {
        let open = open + i64::from("([{?!-".contains(char)) - i64::from(")]}".contains(char));
        (open, deepest.max(open))
    });
    if deepest.1 > BRACKETS {
        return Err(format!("more than {BRACKETS} brackets, '!', '-' or '?' are within each other"));
    }
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
        let parsing = builder.spawn_scoped(scope, || parse_here(source)).map_err(|error| error.to_string())?;
        parsing.join().unwrap_or_else(|_| Err("it cannot be read".to_owned()))
    })
}

fn parse_here(source: &str) -> Result<(IdedExpr, Checked), String> {
    let mut expression = Parser::default().parse(source).map_err(|errors| {
        let mut messages: Vec<String> = errors
            .errors
            .iter()
            .map(|error| format!("line {}, column {}: {}", error.pos.0, error.pos.1, error.msg))
            .collect();
        messages.truncate(5);
        messages.join("; ")
    })?;
    let checked = check::check(&mut expression)?;
    Ok((expression, checked))
}

/// Without the values that the library's own text shows: a log is no place for what a token says.
fn told(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no key '{key}'"),
        ExecutionError::NoSuchOverload | ExecutionError::ValuesNotComparable(..) => {
            "values of these types do not go together".to_owned()
        }
        ExecutionError::UnexpectedType { got, want } => format!("it got {got} where it wants {want}"),
        ExecutionError::FunctionError { function, .. } => format!("the function '{function}' failed"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "a division by zero".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "an index is out of bounds".to_owned(),
        _ => "it cannot be evaluated on this request".to_owned(),
    }
}

/// The library's own, but for `matches`, whose patterns have been compiled.
fn functions(patterns: Arc<HashMap<String, Regex>>) -> Context<'static> {
    let mut context = Context::default();
    context.add_function("matches", move |This(text): This<Arc<String>>, pattern: Arc<String>| {
        match patterns.get(pattern.as_str()) {
            Some(pattern) => Ok(pattern.is_match(&text)),
            None => Err(ExecutionError::function_error("matches", "the pattern is not known")),
        }
    });
    context
}

/// The parts of an expression that are evaluated.
fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Call(CallExpr { target, args, .. }) => target.as_deref().into_iter().chain(args).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Comprehension(each) => {
            vec![&each.iter_range, &each.accu_init, &each.loop_cond, &each.loop_step, &each.result]
        }
        _ => Vec::new(),
    }
}
