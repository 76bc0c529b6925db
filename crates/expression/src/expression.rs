//! Compile once, evaluate often and from many threads.

use std::ops::Range;
use std::sync::OnceLock;

use jaq_core::{Ctx, Filter, Vars};

use crate::compile::compile;
use crate::error::{Error, Kind};
use crate::library::{Data, Run};
use crate::meter::{self, Allowance, Stop};
use crate::source::Shape;
use crate::value::{TooLarge, Value, MAX_INTEGER_BITS};

/// Of the stack that a thread of its own gets for compiling and for evaluations that need more than the first try.
///
/// What a million steps leave behind may be one chain, which is dropped link by link.
const THREAD_STACK_BYTES: usize = 512 << 20;
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
const FIRST_TRY: Allowance = Allowance { steps: 1_000, weight: 1, allocated_bytes: 1 << 20, stack_bytes: 256 << 10 };
const WHOLE: Allowance =
    Allowance { steps: MAX_STEPS, weight: 1, allocated_bytes: MAX_ALLOCATED_BYTES, stack_bytes: MAX_STACK_BYTES };

/// A jq program and the names of its variables.
pub struct Expression {
    source: Box<str>,
    variables: Box<[Box<str>]>,
    shape: Shape,
    filter: Filter<Data>,
    /// What the expression is up to the end of each of its stages, made when it fails for the first time.
    beginnings: OnceLock<Vec<Beginning>>,
}

struct Beginning {
    stage: Range<usize>,
    filter: Filter<Data>,
}

impl Expression {
    /// Variables are names with their `$`, in the order of `evaluate`.
    pub fn compile(source: &str, variables: &[&str]) -> Result<Self, Error> {
        let (shape, filter) = on_deep_stack(|| {
            let shape = checked(source)?;
            Ok::<_, Error>((shape, compile(source, variables)?))
        })??;
        let variables = variables.iter().map(|name| Box::from(*name)).collect();
        Ok(Self { source: source.into(), variables, shape, filter, beginnings: OnceLock::new() })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// The one result. `now` is what jq's `now` yields, in seconds since the epoch. May take a second, within the bound.
    pub fn evaluate(&self, input: &Value, variables: &[Value], now: Option<f64>) -> Result<Value, Error> {
        match self.try_first(input, variables, now) {
            Some(outcome) => outcome,
            None => on_deep_stack(|| meter::run(self.within(WHOLE), || self.results(input, variables, now)))?
                .unwrap_or_else(|stop| Err(stopped(stop))),
        }
    }

    /// The outcome if `FIRST_TRY` is enough for it: what a thread that must not be held up calls before it has
    /// `evaluate` called by another. Takes a fraction of a millisecond at most.
    pub fn try_first(&self, input: &Value, variables: &[Value], now: Option<f64>) -> Option<Result<Value, Error>> {
        if variables.len() != self.variables.len() {
            let message = format!("expected {} variables, got {}", self.variables.len(), variables.len());
            return Some(Err(Error::new(Kind::Failed, message)));
        }
        match meter::run(self.within(FIRST_TRY), || self.results(input, variables, now)) {
            Ok(Err(error)) if error.kind == Kind::Failed => Some(Err(self.locate(error, input, variables, now))),
            Ok(outcome) => Some(outcome),
            Err(Stop::Steps | Stop::Depth | Stop::Allocation) => None,
            Err(stop) => Some(Err(stopped(stop))),
        }
    }

    fn within(&self, allowance: Allowance) -> Allowance {
        Allowance { weight: self.shape.arguments, ..allowance }
    }

    fn results(&self, input: &Value, variables: &[Value], now: Option<f64>) -> Result<Value, Error> {
        let count = |n: &str, hint: &str| Error::new(Kind::Results, format!("the expression yields {n}; {hint}"));
        let mut results = outcomes(&self.filter, input, variables, now);
        let first = match results.next() {
            None => return Err(count("no result", "add // null for a default, or put it in [ ] for an array")),
            Some(result) => result?,
        };
        match results.next() {
            None => Ok(first),
            Some(Ok(_)) => Err(count("more than one result", "put it in [ ] for an array, or take first(…)")),
            Some(Err(error)) => Err(error),
        }
    }

    /// Says in which stage the expression failed: the first whose beginning fails too. jq itself keeps no positions.
    fn locate(&self, mut error: Error, input: &Value, variables: &[Value], now: Option<f64>) -> Error {
        if self.shape.stages.len() < 2 {
            return error;
        }
        let beginnings = self.beginnings.get_or_init(|| {
            let names: Vec<&str> = self.variables.iter().map(|name| &**name).collect();
            // A beginning such as `.a as $x` is no expression; the stage after it is found as well.
            let beginning = |stage: &Range<usize>| {
                let filter = compile(&self.source[..stage.end], &names).ok()?;
                Some(Beginning { stage: stage.clone(), filter })
            };
            on_deep_stack(|| self.shape.stages.iter().filter_map(beginning).collect()).unwrap_or_default()
        });
        let fails = |beginning: &&Beginning| {
            let run = || outcomes(&beginning.filter, input, variables, now).any(|outcome| outcome.is_err());
            meter::run(self.within(FIRST_TRY), run) == Ok(true)
        };
        if let Some(Beginning { stage, .. }) = beginnings.iter().find(fails) {
            let text = &self.source[stage.clone()];
            let part: String = text.trim().chars().take(40).collect();
            let offset = stage.start + (text.len() - text.trim_start().len());
            error.message = format!("{} in '{part}'", error.message);
            error = error.at(&self.source, offset);
        }
        error
    }
}

fn outcomes<'a>(
    filter: &'a Filter<Data>,
    input: &Value,
    variables: &[Value],
    now: Option<f64>,
) -> impl Iterator<Item = Result<Value, Error>> + 'a {
    let context = Ctx::<Data>::new(Run { lut: &filter.lut, now }, Vars::new(variables.iter().cloned()));
    filter.id.run((context, input.clone())).map(|result| result.map_err(failed))
}

fn failed(exception: jaq_core::Exn<'_, Value>) -> Error {
    const LONGEST: usize = 300;
    let message = match exception.get_err().map(jaq_core::Error::into_val) {
        Ok(Value::String(text)) => match text.char_indices().nth(LONGEST) {
            Some((cut, _)) => format!("{}…", &text[..cut]),
            None => text.as_str().to_owned(),
        },
        Ok(value) => value.to_string(),
        Err(_) => "the expression broke off".to_owned(),
    };
    Error::new(Kind::Failed, message)
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
pub(crate) fn on_deep_stack<T: Send>(f: impl FnOnce() -> T + Send) -> Result<T, Error> {
    let failed = || Error::new(Kind::Bound, "no thread could be started for the expression");
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("expression".into()).stack_size(THREAD_STACK_BYTES);
        thread.spawn_scoped(scope, f).map_err(|_| failed())?.join().map_err(|_| failed())
    })
}

fn checked(source: &str) -> Result<Shape, Error> {
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the expression is longer than {MAX_SOURCE_BYTES} bytes");
        return Err(Error::new(Kind::Invalid, message));
    }
    Shape::of(source)
}
