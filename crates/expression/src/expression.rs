//! Compile once, evaluate often and from many threads.

use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars};
use jaq_json::Val;

use crate::error::{Error, Kind};
use crate::library::{self, Data, Run};
use crate::meter::{self, Allowance, Stop};

/// Of the stack that a thread of its own gets for compiling and for evaluations that need more than the first try.
const THREAD_STACK_BYTES: usize = 256 << 20;
/// Steps and stack of the first try, on the caller's thread. Expressions have no side effects, so one that needs more is
/// simply begun again with the whole bound on a thread with a deep stack.
const FIRST_TRY: Allowance = Allowance { steps: 1_000, stack_bytes: 256 << 10 };
const WHOLE: Allowance = Allowance { steps: 1_000_000, stack_bytes: 64 << 20 };

/// A jq program and the names of its variables.
pub struct Expression {
    source: Box<str>,
    variables: usize,
    filter: Filter<Data>,
}

impl Expression {
    /// Variables are names with their `$`, in the order of `evaluate`.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Self, Error> {
        let filter = on_deep_stack(|| compile(source, variables))??;
        Ok(Self { source: source.into(), variables: variables.len(), filter })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// The one result. `now` is what jq's `now` yields, in seconds since the epoch. May take a second, within the bound.
    pub fn evaluate(&self, input: &Val, variables: &[Val], now: Option<f64>) -> Result<Val, Error> {
        match self.try_first(input, variables, now) {
            Some(outcome) => outcome,
            None => on_deep_stack(|| meter::run(WHOLE, || self.results(input.clone(), variables.to_vec(), now)))?
                .unwrap_or_else(|stop| Err(stopped(stop))),
        }
    }

    /// The outcome if `FIRST_TRY` is enough for it: what a thread that must not be held up calls before it has
    /// `evaluate` called by another. Takes a fraction of a millisecond at most.
    pub fn try_first(&self, input: &Val, variables: &[Val], now: Option<f64>) -> Option<Result<Val, Error>> {
        if variables.len() != self.variables {
            let message = format!("expected {} variables, got {}", self.variables, variables.len());
            return Some(Err(Error::new(Kind::Failed, message)));
        }
        match meter::run(FIRST_TRY, || self.results(input.clone(), variables.to_vec(), now)) {
            Ok(outcome) => Some(outcome),
            Err(Stop::Steps | Stop::Depth) => None,
            Err(stop @ Stop::Bug) => Some(Err(stopped(stop))),
        }
    }

    fn results(&self, input: Val, variables: Vec<Val>, now: Option<f64>) -> Result<Val, Error> {
        let context = Ctx::<Data>::new(Run { lut: &self.filter.lut, now }, Vars::new(variables));
        let mut results = self.filter.id.run((context, input));
        let failed = |exception: jaq_core::Exn<'_, Val>| match exception.get_err() {
            Ok(error) => Error::new(Kind::Failed, error.to_string()),
            Err(_) => Error::new(Kind::Failed, "the expression broke off"),
        };
        let count = |n: &str, hint: &str| Error::new(Kind::Results, format!("the expression yields {n}; {hint}"));
        let first = match results.next() {
            None => return Err(count("no result", "add // null for a default, or put it in [ ] for an array")),
            Some(result) => result.map_err(failed)?,
        };
        match results.next() {
            None => Ok(first),
            Some(Ok(_)) => Err(count("more than one result", "put it in [ ] for an array, or take first(…)")),
            Some(Err(exception)) => Err(failed(exception)),
        }
    }
}

fn stopped(stop: Stop) -> Error {
    let message = match stop {
        Stop::Steps => format!("the expression takes more than {} steps", WHOLE.steps),
        Stop::Depth => "the expression recurses too deeply".to_owned(),
        Stop::Bug => return Error::new(Kind::Failed, "the expression failed inside the interpreter"),
    };
    Error::new(Kind::Bound, message)
}

/// Runs `f` where deep recursion is harmless.
fn on_deep_stack<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T, Error> {
    let failed = || Error::new(Kind::Bound, "no thread could be started for the expression");
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("expression".into()).stack_size(THREAD_STACK_BYTES);
        thread.spawn_scoped(scope, f).map_err(|_| failed())?.join().map_err(|_| failed())
    })
}

fn compile(source: &str, variables: &[&str]) -> Result<Filter<Data>, Error> {
    let arena = Arena::default();
    let modules = Loader::new(library::definitions())
        .load(&arena, File { code: source, path: () })
        .map_err(|errors| malformed(source, errors))?;
    Compiler::default()
        .with_funs(library::natives())
        .with_global_vars(variables.iter().copied())
        .compile(modules)
        .map_err(|errors| undefined(source, errors))
}

fn offset(source: &str, part: &str) -> usize {
    load::span(source, part).start
}

fn malformed(source: &str, errors: load::Errors<&str, ()>) -> Error {
    let found = |part: &str| match part.chars().take(20).collect::<String>() {
        part if part.is_empty() => "the end".to_owned(),
        part => format!("'{part}'"),
    };
    for (_, error) in errors {
        let (expected, part) = match &error {
            load::Error::Io(errors) => match errors.first() {
                Some((path, _)) => {
                    let message = format!("modules are not available in expressions: '{path}'");
                    return Error::new(Kind::Invalid, message).at(source, offset(source, path));
                }
                None => continue,
            },
            load::Error::Lex(errors) => match errors.first() {
                Some((expected, part)) => (expected.as_str(), *part),
                None => continue,
            },
            load::Error::Parse(errors) => match errors.first() {
                Some((expected, part)) => (expected.as_str(), *part),
                None => continue,
            },
        };
        let message = format!("expected {expected}, found {}", found(part));
        return Error::new(Kind::Invalid, message).at(source, offset(source, part));
    }
    Error::new(Kind::Invalid, "the expression is malformed")
}

fn undefined(source: &str, errors: jaq_core::compile::Errors<&str, ()>) -> Error {
    use jaq_core::compile::Undefined;
    for (_, errors) in errors {
        if let Some((name, what)) = errors.into_iter().next() {
            let message = match what {
                Undefined::Filter(0) => format!("there is no filter '{name}'"),
                Undefined::Filter(arity) => format!("there is no filter '{name}' with {arity} arguments"),
                what => format!("there is no {} '{name}'", what.as_str()),
            };
            return Error::new(Kind::Invalid, message).at(source, offset(source, name));
        }
    }
    Error::new(Kind::Invalid, "the expression is malformed")
}
