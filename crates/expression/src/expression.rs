//! Compile once, evaluate often and from many threads.

use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars};

use crate::error::{Error, Kind};
use crate::library::{self, Data, Run};
use crate::meter::{self, Allowance, Stop};
use crate::value::{TooLarge, Value, MAX_INTEGER_BITS};

/// Of the stack that a thread of its own gets for compiling and for evaluations that need more than the first try.
const THREAD_STACK_BYTES: usize = 256 << 20;
/// Of the source; a longer one does not compile.
pub const MAX_SOURCE_BYTES: usize = 16 << 10;
/// Steps of the interpreter; work inside a filter (comparing, copying, matching) counts as steps too.
pub const MAX_STEPS: usize = 1_000_000;
/// All that an evaluation allocates for values, also what it has let go of again.
pub const MAX_ALLOCATED_BYTES: usize = 256 << 20;
/// Of the thread's stack: how deeply filters may call each other.
pub const MAX_STACK_BYTES: usize = 64 << 20;

/// The first try, on the caller's thread. Expressions have no side effects, so one that needs more is simply begun again
/// with the whole bound on a thread with a deep stack.
const FIRST_TRY: Allowance = Allowance { steps: 1_000, allocated_bytes: 1 << 20, stack_bytes: 256 << 10 };
const WHOLE: Allowance =
    Allowance { steps: MAX_STEPS, allocated_bytes: MAX_ALLOCATED_BYTES, stack_bytes: MAX_STACK_BYTES };

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
    pub fn evaluate(&self, input: &Value, variables: &[Value], now: Option<f64>) -> Result<Value, Error> {
        match self.try_first(input, variables, now) {
            Some(outcome) => outcome,
            None => on_deep_stack(|| meter::run(WHOLE, || self.results(input.clone(), variables.to_vec(), now)))?
                .unwrap_or_else(|stop| Err(stopped(stop))),
        }
    }

    /// The outcome if `FIRST_TRY` is enough for it: what a thread that must not be held up calls before it has
    /// `evaluate` called by another. Takes a fraction of a millisecond at most.
    pub fn try_first(&self, input: &Value, variables: &[Value], now: Option<f64>) -> Option<Result<Value, Error>> {
        if variables.len() != self.variables {
            let message = format!("expected {} variables, got {}", self.variables, variables.len());
            return Some(Err(Error::new(Kind::Failed, message)));
        }
        match meter::run(FIRST_TRY, || self.results(input.clone(), variables.to_vec(), now)) {
            Ok(outcome) => Some(outcome),
            Err(Stop::Steps | Stop::Depth | Stop::Allocation) => None,
            Err(stop) => Some(Err(stopped(stop))),
        }
    }

    fn results(&self, input: Value, variables: Vec<Value>, now: Option<f64>) -> Result<Value, Error> {
        let context = Ctx::<Data>::new(Run { lut: &self.filter.lut, now }, Vars::new(variables));
        let mut results = self.filter.id.run((context, input));
        let failed = |exception: jaq_core::Exn<'_, Value>| match exception.get_err() {
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
        Stop::Steps => format!("the expression takes more than {MAX_STEPS} steps"),
        Stop::Depth => "the expression recurses too deeply".to_owned(),
        Stop::Allocation => format!("the expression allocates more than {MAX_ALLOCATED_BYTES} bytes"),
        Stop::Size => TooLarge::Bytes.to_string(),
        Stop::Nesting => TooLarge::Depth.to_string(),
        Stop::Integer => format!("an integer has more than {MAX_INTEGER_BITS} bits"),
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
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the expression is longer than {MAX_SOURCE_BYTES} bytes");
        return Err(Error::new(Kind::Invalid, message));
    }
    let arena = Arena::default();
    let modules = Loader::new(library::definitions(source))
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
                _ if library::why_absent(name).is_some() => {
                    format!("'{name}' is not available: {}", library::why_absent(name).unwrap_or_default())
                }
                Undefined::Filter(0) => format!("there is no filter '{name}'"),
                Undefined::Filter(arity) => format!("there is no filter '{name}' with {arity} arguments"),
                what => format!("there is no {} '{name}'", what.as_str()),
            };
            return Error::new(Kind::Invalid, message).at(source, offset(source, name));
        }
    }
    Error::new(Kind::Invalid, "the expression is malformed")
}
