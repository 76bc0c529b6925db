//! From source to a filter, and the compiler's errors as sentences with their place.

use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Filter};

use crate::error::{Error, Kind};
use crate::library::{self, Data};

/// Recurses as deeply as the source is nested.
pub(crate) fn compile(source: &str, variables: &[&str]) -> Result<Filter<Data>, Error> {
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
