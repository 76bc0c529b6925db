//! One operation of an API: what it takes and what it answers.

use http::{request, HeaderMap};
use serde_json::Value;

use super::api::Found;
use super::document::below;
use super::fault::Faults;
use super::media::Content;
use super::parameter::{In, Parameter, Source};
use super::schema::Schemas;
use super::style::{self, Pairs};

pub struct Operation {
    parameters: Vec<Parameter>,
    pub body: Option<RequestBody>,
    /// By status: `200`, `2XX`, then `default`.
    responses: Vec<(String, Response)>,
}

pub struct RequestBody {
    pub required: bool,
    pub content: Content,
}

pub struct Response {
    headers: Vec<Parameter>,
    pub content: Content,
}

impl Operation {
    pub fn new(
        request: &Schemas<'_>,
        response: Option<&Schemas<'_>>,
        item: &Value,
        value: &Value,
        item_place: &str,
        place: &str,
    ) -> Result<Self, String> {
        let body = match value.get("requestBody") {
            None => None,
            Some(body) => {
                let (body, place) = request.document().follow(body, &below(place, "requestBody"))?;
                Some(RequestBody {
                    required: body.get("required").and_then(Value::as_bool).unwrap_or(false),
                    content: Content::new(request, body.get("content"), &below(&place, "content"))?,
                })
            }
        };
        let mut parameters: Vec<Parameter> = Vec::new();
        // The operation's own replace those of its path of the same name and place.
        for (holder, place) in [(value, place), (item, item_place)] {
            let place = below(place, "parameters");
            let list = holder.get("parameters").and_then(Value::as_array).into_iter().flatten();
            for (index, parameter) in list.enumerate() {
                let (parameter, at) = request.document().follow(parameter, &below(&place, &index.to_string()))?;
                if let Some(new) = Parameter::new(request, parameter, &at)? {
                    if !parameters.iter().any(|other| other.name == new.name && other.place == new.place) {
                        parameters.push(new);
                    }
                }
            }
        }
        let responses = match response {
            None => Vec::new(),
            Some(schemas) => responses(schemas, value, &below(place, "responses"))?,
        };
        Ok(Self { parameters, body, responses })
    }

    pub fn check_head(&self, found: &Found<'_>, query: Option<&str>, head: &request::Parts, faults: &mut Faults) {
        let pairs = match style::pairs(query.unwrap_or_default()) {
            Ok(pairs) => pairs,
            Err(detail) => return faults.add("query", "", "", detail),
        };
        let source = Source { path: &found.params, query: &pairs, headers: &head.headers };
        let claimed = |name: &str| self.parameters.iter().any(|each| each.place == In::Query && each.name == name);
        self.parameters.iter().for_each(|parameter| parameter.check(&source, &claimed, faults));
    }

    pub fn response(&self, status: u16) -> Option<&Response> {
        let of = |key: &str| self.responses.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|each| &each.1);
        of(&status.to_string()).or_else(|| of(&format!("{}XX", status / 100))).or_else(|| of("default"))
    }
}

impl Response {
    pub fn check_head(&self, headers: &HeaderMap, faults: &mut Faults) {
        let source = Source { path: &[], query: &Pairs::new(), headers };
        self.headers.iter().for_each(|header| header.check(&source, &|_| false, faults));
    }
}

fn responses(schemas: &Schemas<'_>, operation: &Value, place: &str) -> Result<Vec<(String, Response)>, String> {
    let mut responses = Vec::new();
    for (status, response) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
        let (response, place) = schemas.document().follow(response, &below(place, status))?;
        let mut headers = Vec::new();
        for (name, header) in response.get("headers").and_then(Value::as_object).into_iter().flatten() {
            if name.eq_ignore_ascii_case("content-type") {
                continue;
            }
            let (header, at) = schemas.document().follow(header, &below(&below(&place, "headers"), name))?;
            headers.push(Parameter::read(schemas, header, name, In::Header, &at)?);
        }
        let content = Content::new(schemas, response.get("content"), &below(&place, "content"))?;
        responses.push((status.clone(), Response { headers, content }));
    }
    Ok(responses)
}
