//! What a description shows by example, and whether messages that were made of examples are as it says: for
//! `stagedoor check`, never for a request.

use http::header::CONTENT_TYPE;
use http::{request, HeaderMap, Method};
use serde_json::Value;
use std::sync::Arc;

use super::api::Api;
use super::document::{below, Document};
use super::fault::Faults;
use super::media::essence;
use super::operation::Operation;
use super::parameter::is_json;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// Of one media type that are looked at.
const EXAMPLES: usize = 50;

/// A description with its examples.
pub struct Described<'a> {
    document: Document<'a>,
    api: Api,
    pub operations: Vec<Shown<'a>>,
}

/// One operation.
pub struct Shown<'a> {
    pub method: Method,
    /// As it stands in the description.
    pub template: &'a str,
    /// With the parameters' examples put in.
    pub path: String,
    /// Of the parameters' examples; None where one is required and has no example.
    pub query: Option<String>,
    operation: Arc<Operation>,
    value: &'a Value,
}

/// JSON of one media type.
pub struct Example<'a> {
    pub name: String,
    pub media: &'a str,
    pub value: &'a Value,
}

impl<'a> Described<'a> {
    pub fn new(root: &'a Value) -> Result<Self, Vec<String>> {
        let api = Api::new(root, true)?;
        let document = Document::new(root).map_err(|error| vec![error])?;
        let mut operations = Vec::new();
        for (template, item) in root.get("paths").and_then(Value::as_object).into_iter().flatten() {
            let item = document.follow(item, &below("/paths", template)).map_err(|error| vec![error])?.0;
            for name in METHODS {
                let Some(value) = item.get(name) else { continue };
                let Ok(method) = Method::from_bytes(name.to_ascii_uppercase().as_bytes()) else { continue };
                let (path, query) = parameters(&document, template, item, value);
                if let Ok(Some(found)) = api.find(&method, "", &path) {
                    let operation = found.operation.clone();
                    operations.push(Shown { method, template, path, query, operation, value });
                }
            }
        }
        Ok(Self { document, api, operations })
    }

    /// What comes before its paths.
    pub fn base(&self) -> &str {
        &self.api.base
    }

    /// The first of these paths that it has, by itself or behind its base.
    pub fn find(&self, method: &Method, paths: &[String]) -> Option<&Shown<'a>> {
        let found = paths.iter().find_map(|path| {
            let at = |base: &str| self.api.find(method, base, path).ok().flatten().map(|found| found.operation.clone());
            at(&self.api.base).or_else(|| at(""))
        });
        let found = found?;
        self.operations.iter().find(|shown| Arc::ptr_eq(&shown.operation, &found))
    }

    pub fn requests(&self, shown: &Shown<'a>) -> Vec<Example<'a>> {
        let body = shown.value.get("requestBody").and_then(|body| self.document.follow(body, "").ok());
        body.map_or(Vec::new(), |(body, _)| self.examples(body))
    }

    /// With the status that a description names, `4XX` as 400 and `default` as 500.
    pub fn responses(&self, shown: &Shown<'a>) -> Vec<(u16, Example<'a>)> {
        let mut all = Vec::new();
        for (status, response) in shown.value.get("responses").and_then(Value::as_object).into_iter().flatten() {
            let status = status.replace(['X', 'x'], "0").parse().unwrap_or(500);
            if let Ok((response, _)) = self.document.follow(response, "") {
                all.extend(self.examples(response).into_iter().map(|example| (status, example)));
            }
        }
        all
    }

    fn examples(&self, holder: &'a Value) -> Vec<Example<'a>> {
        let mut all = Vec::new();
        let content = holder.get("content").and_then(Value::as_object).into_iter().flatten();
        for (media, described) in content.filter(|(media, _)| is_json(media)) {
            let mut take = |name: &str, value: Option<&'a Value>| {
                all.extend(value.map(|value| Example { name: name.to_owned(), media, value }));
            };
            take("example", described.get("example"));
            let named = described.get("examples").and_then(Value::as_object).into_iter().flatten();
            for (name, example) in named.take(EXAMPLES) {
                let example = self.document.follow(example, "").ok().map(|(example, _)| example);
                take(name, example.and_then(|example| example.get("value")));
            }
            let schema = described.get("schema").and_then(|schema| self.document.follow(schema, "").ok());
            if let Some((schema, _)) = schema {
                take("of the schema", schema.get("example"));
                let listed = schema.get("examples").and_then(Value::as_array).into_iter().flatten();
                listed.take(EXAMPLES).for_each(|value| take("of the schema", Some(value)));
            }
        }
        all
    }
}

impl Shown<'_> {
    /// What is wrong with a request; None: nothing.
    pub fn request_fault(&self, headers: &HeaderMap, content: &[u8]) -> Option<String> {
        let mut faults = Faults::default();
        match &self.operation.body {
            Some(body) if content.is_empty() && body.required => faults.add("body", "", "", "is required"),
            Some(body) if !content.is_empty() => match body.content.find(&declared(headers)) {
                Some(media) => media.check(content, &mut faults),
                None => faults.add("header", "content-type", "", &format!("must be one of {}", body.content.names())),
            },
            None if !content.is_empty() => faults.add("body", "", "", "must not be given here"),
            _ => {}
        }
        (!faults.is_empty()).then(|| faults.summary())
    }

    /// What is wrong with its path and query.
    pub fn query_fault(&self, query: &str) -> Option<String> {
        let mut faults = Faults::default();
        let (head, ()): (request::Parts, ()) = http::Request::new(()).into_parts();
        let found = super::api::Found { operation: &self.operation, params: Vec::new() };
        self.operation.check_head(&found, Some(query), &head, &mut faults);
        // Headers of an example are not known, and the path has been found by its parameters.
        let of_query = faults.into_told().into_iter().filter(|fault| fault["in"] == "query");
        let told = of_query.map(|fault| {
            let text = |key: &str| fault[key].as_str().unwrap_or_default().to_owned();
            format!("query {} {}", text("name"), text("detail"))
        });
        let told: Vec<String> = told.take(3).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// What is wrong with a response. None within: nothing; without: its status is not described.
    pub fn response_fault(&self, status: u16, headers: &HeaderMap, content: &[u8]) -> Option<Option<String>> {
        let described = self.operation.response(status)?;
        let mut faults = Faults::default();
        match described.content.find(&declared(headers)) {
            Some(media) => media.check(content, &mut faults),
            None if described.content.is_empty() => {}
            None => {
                faults.add("header", "content-type", "", &format!("must be one of {}", described.content.names()));
            }
        }
        Some((!faults.is_empty()).then(|| faults.summary()))
    }
}

fn declared(headers: &HeaderMap) -> String {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence).unwrap_or_default()
}

/// The path and the query with examples put in.
fn parameters(document: &Document<'_>, template: &str, item: &Value, operation: &Value) -> (String, Option<String>) {
    let (mut path, mut query) = (template.to_owned(), Some(String::new()));
    let list = |holder: &Value| holder.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut seen: Vec<(String, String)> = Vec::new();
    for parameter in list(operation).into_iter().chain(list(item)) {
        // What a reference points at lives as long as the document.
        let reference = parameter.get("$ref").and_then(Value::as_str).map(str::to_owned);
        let parameter = match reference.and_then(|reference| document.at(&reference).ok()) {
            Some(found) => found.clone(),
            None => parameter,
        };
        let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = (text("in"), text("name"));
        if seen.contains(&key) {
            continue;
        }
        let example = shown(&parameter).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let required = parameter.get("required").and_then(Value::as_bool).unwrap_or(false);
        match (key.0.as_str(), example) {
            ("path", Some(example)) => {
                let mut escaped = String::new();
                crate::evaluation::put_parameter(&mut escaped, "", &example);
                path = path.replace(&format!("{{{}}}", key.1), &escaped[1..]);
            }
            ("query", Some(example)) if required => {
                if let Some(query) = &mut query {
                    if !query.is_empty() {
                        query.push('&');
                    }
                    crate::evaluation::put_parameter(query, &key.1, &example);
                }
            }
            ("query", None) if required => query = None,
            _ => {}
        }
        seen.push(key);
    }
    // Whatever a parameter without an example is.
    while let Some((start, end)) = path.find('{').zip(path.find('}')).filter(|(start, end)| start < end) {
        path.replace_range(start..=end, "1");
    }
    (path, query)
}

fn shown(parameter: &Value) -> Option<&Value> {
    let schema = parameter.get("schema");
    let of_schema = |key: &str| schema.and_then(|schema| schema.get(key));
    let named = parameter.get("examples").and_then(Value::as_object);
    parameter
        .get("example")
        .or_else(|| named?.values().find_map(|example| example.get("value")))
        .or_else(|| of_schema("example"))
        .or_else(|| of_schema("examples")?.get(0))
        .or_else(|| of_schema("default"))
        .or_else(|| of_schema("enum")?.get(0))
}
