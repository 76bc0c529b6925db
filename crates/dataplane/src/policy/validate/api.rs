//! The paths of an API and the operations on them.

use http::header::ALLOW;
use http::{HeaderValue, Method};
use percent_encoding::percent_decode_str;
use rustc_hash::FxHashMap;
use serde_json::Value;
use std::sync::Arc;

use super::document::{below, Document};
use super::operation::Operation;
use super::schema::{Direction, Schemas};
use crate::error::{Error, Kind};

pub struct Api {
    /// By the number of their segments, the more precise first.
    paths: FxHashMap<usize, Vec<Path>>,
    /// The path of the first server.
    pub base: String,
}

struct Path {
    template: Vec<Vec<Part>>,
    operations: Vec<(Method, Arc<Operation>)>,
}

enum Part {
    /// Decoded.
    Literal(String),
    Parameter(String),
}

/// A request's operation, and the parameters in its path, still encoded.
pub struct Found<'a> {
    pub operation: &'a Arc<Operation>,
    pub params: Vec<(&'a str, &'a str)>,
}

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

impl Api {
    /// Every mistake of the document, each with its place.
    pub fn new(root: &Value, with_responses: bool) -> Result<Self, Vec<String>> {
        let document = Document::new(root).map_err(|error| vec![error])?;
        let request = Schemas::new(&document, Direction::Request);
        let response = Schemas::new(&document, Direction::Response);
        let (mut errors, mut paths) = (Vec::new(), FxHashMap::<usize, Vec<Path>>::default());
        for (name, item) in root.get("paths").and_then(Value::as_object).into_iter().flatten() {
            if !name.starts_with('/') {
                continue;
            }
            let place = below("/paths", name);
            let (item, place) = match document.follow(item, &place) {
                Ok(found) => found,
                Err(error) => {
                    errors.push(format!("{place}: {error}"));
                    continue;
                }
            };
            let mut operations = Vec::new();
            for method in METHODS {
                let Some(value) = item.get(method) else { continue };
                let responses = with_responses.then_some(&response);
                match Operation::new(&request, responses, item, value, &place, &below(&place, method)) {
                    Ok(operation) => operations.extend(
                        Method::from_bytes(method.to_ascii_uppercase().as_bytes())
                            .map(|name| (name, Arc::new(operation))),
                    ),
                    Err(error) => errors.push(error),
                }
            }
            let template: Vec<Vec<Part>> = segments(name).map(parts).collect();
            paths.entry(template.len()).or_default().push(Path { template, operations });
        }
        for group in paths.values_mut() {
            // OpenAPI §4.8.8.1: concrete paths before their templated counterparts.
            group.sort_by_cached_key(|path| path.template.iter().map(|segment| precision(segment)).collect::<Vec<_>>());
        }
        match errors.is_empty() {
            true => Ok(Self { paths, base: base(root) }),
            false => Err(errors),
        }
    }

    /// None: there is no such path. An error: no such method on it.
    pub fn find<'a>(&'a self, method: &Method, base: &str, path: &'a str) -> Result<Option<Found<'a>>, Error> {
        let Some(path) = path.strip_prefix(base).filter(|rest| rest.starts_with('/')) else { return Ok(None) };
        let wanted: Vec<&str> = segments(path).collect();
        for each in self.paths.get(&wanted.len()).into_iter().flatten() {
            let mut params = Vec::new();
            let matches = each.template.iter().zip(&wanted).all(|(segment, text)| take(segment, text, &mut params));
            if !matches {
                continue;
            }
            let of = |method: &Method| each.operations.iter().find(|(name, _)| name == method);
            let operation = of(method).or_else(|| if method == Method::HEAD { of(&Method::GET) } else { None });
            return match operation {
                Some((_, operation)) => Ok(Some(Found { operation, params })),
                None => Err(self.not_allowed(each)),
            };
        }
        Ok(None)
    }

    fn not_allowed(&self, path: &Path) -> Error {
        let names: Vec<&str> = path.operations.iter().map(|(name, _)| name.as_str()).collect();
        let allow = HeaderValue::from_str(&names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""));
        Error::new(Kind::MethodNotAllowed, "The API does not have this method here").header(ALLOW, allow)
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

fn parts(segment: &str) -> Vec<Part> {
    let (mut parts, mut rest) = (Vec::new(), segment);
    while let Some((literal, name, after)) = rest.split_once('{').and_then(|(literal, after)| {
        let (name, after) = after.split_once('}')?;
        Some((literal, name, after))
    }) {
        if !literal.is_empty() {
            parts.push(Part::Literal(decoded(literal)));
        }
        parts.push(Part::Parameter(name.to_owned()));
        rest = after;
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(Part::Literal(decoded(rest)));
    }
    parts
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// 0 for a segment without a parameter, then those with some text, then a parameter alone.
fn precision(segment: &[Part]) -> u8 {
    let parameter = segment.iter().any(|part| matches!(part, Part::Parameter(_)));
    let literal = segment.iter().any(|part| matches!(part, Part::Literal(_)));
    match (parameter, literal) {
        (false, _) => 0,
        (true, true) => 1,
        (true, false) => 2,
    }
}

/// A parameter is at least one character and ends where the text after it begins first.
fn take<'a>(segment: &'a [Part], text: &'a str, params: &mut Vec<(&'a str, &'a str)>) -> bool {
    if let [Part::Literal(literal)] = segment {
        return text == literal || decoded(text) == *literal;
    }
    let mut rest = text;
    for (index, part) in segment.iter().enumerate() {
        match part {
            Part::Literal(literal) => match rest.strip_prefix(literal.as_str()) {
                Some(after) => rest = after,
                None => return false,
            },
            Part::Parameter(name) => {
                let end = match segment.get(index + 1) {
                    Some(Part::Literal(next)) if index + 2 == segment.len() => {
                        rest.len().checked_sub(next.len()).filter(|end| rest.is_char_boundary(*end))
                    }
                    Some(Part::Literal(next)) => rest.find(next.as_str()),
                    Some(Part::Parameter(_)) => None,
                    None => Some(rest.len()),
                };
                let Some(end) = end.filter(|end| *end > 0) else { return false };
                params.push((name, &rest[..end]));
                rest = &rest[end..];
            }
        }
    }
    rest.is_empty()
}

fn base(root: &Value) -> String {
    let url = root.pointer("/servers/0/url").and_then(Value::as_str).unwrap_or("");
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => url,
    };
    path.trim_end_matches('/').to_owned()
}
