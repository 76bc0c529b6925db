//! The answer of the whole.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Map;
use stagedoor_expression::{json, Template, Value};

use super::call::{key, Call};
use super::failure::{self, Failure, FAILED_CALLS};
use super::round::Round;
use crate::evaluation::evaluate;
use crate::protocol::body::Body;
use crate::snapshot;

pub struct Composition {
    status: StatusCode,
    headers: Vec<(HeaderName, Template)>,
    /// None: one key for each call.
    body: Option<Template>,
    /// The key, if any, under which failed calls are told.
    problems: Option<Box<[u8]>>,
    members: Vec<Member>,
}

/// Of the body, in the order in which they stand there.
enum Member {
    Call(usize),
    Group(Box<[u8]>, Vec<usize>),
}

impl Composition {
    /// Every mistake is added to `wrong`; None then.
    pub fn compile(settings: &snapshot::AggregateTarget, calls: &[&str], wrong: &mut Vec<String>) -> Option<Self> {
        let count = wrong.len();
        let status = StatusCode::from_u16(settings.response.status).ok().filter(|status| status.as_u16() >= 200);
        if status.is_none() {
            wrong.push(format!("response.status: {} is not the status of a response", settings.response.status));
        }
        let all: Vec<usize> = (0..calls.len()).collect();
        let names = super::names::Names { params: &[], calls, before: &all, item: false };
        let mut headers = Vec::new();
        for (name, text) in &settings.response.headers {
            let checked = names.check_expression(text).map_err(|message| message.to_string());
            let template = checked.and_then(|()| Template::parse(text, &[]).map_err(|error| error.to_string()));
            match (HeaderName::from_bytes(name.as_bytes()), template) {
                (Ok(name), Ok(template)) => headers.push((name, template)),
                (Err(_), _) => wrong.push(format!("response.headers: '{name}' is not a header's name")),
                (_, Err(message)) => wrong.push(format!("response.headers: '{name}': {message}")),
            }
        }
        let body = settings.response.body.as_deref().map(|text| {
            names.check_expression(text)?;
            crate::evaluation::compile(text)
        });
        let body = body.transpose().map_err(|message| wrong.push(format!("response.body: {message}")));
        let mut members: Vec<Member> = Vec::new();
        let mut keys: Vec<&str> = settings.problems.iter().map(String::as_str).collect();
        for (index, call) in settings.calls.iter().enumerate() {
            let Some(group) = &call.group else {
                claim(&call.name, &mut keys, wrong);
                members.push(Member::Call(index));
                continue;
            };
            let name = key(group);
            let known = members.iter_mut().find_map(|member| match member {
                Member::Group(known, calls) if *known == name => Some(calls),
                _ => None,
            });
            match known {
                Some(calls) => calls.push(index),
                None => {
                    claim(group, &mut keys, wrong);
                    members.push(Member::Group(name, vec![index]));
                }
            }
        }
        if wrong.len() > count {
            return None;
        }
        Some(Self {
            status: status?,
            headers,
            body: body.ok()?,
            problems: settings.problems.as_deref().map(key),
            members,
        })
    }

    /// What it depends on is not known.
    pub fn has_jq(&self) -> bool {
        self.body.is_some() || self.headers.iter().any(|(_, template)| !matches!(template, Template::Text(_)))
    }

    pub async fn respond(&self, round: &Round<'_>) -> Result<Response<Body>, Failure> {
        let calls = &round.target.calls;
        let failures: Vec<(&Call, &Failure)> = calls
            .iter()
            .enumerate()
            .filter_map(|(index, call)| Some((call, round.done(index)?.failure.as_ref()?)))
            .collect();
        let input = if self.has_jq() { self.input(round, &failures)? } else { Value::Null };
        let bodiless =
            matches!(self.status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
        let body = match &self.body {
            _ if bodiless => Body::empty(),
            Some(template) => Body::full(json::write(&make(round, template, &input, "response.body").await?)),
            None => Body::full(self.assemble(round, &failures)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if !bodiless {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        round.freshness.borrow().tell(!failures.is_empty(), headers);
        let told: Vec<String> = failures.iter().map(|(call, failure)| failure.told(&call.name)).collect();
        if let Some(told) = failure::header(&told) {
            headers.insert(FAILED_CALLS, told);
        }
        for (name, template) in &self.headers {
            let value = make(round, template, &input, "response.headers").await?;
            if !matches!(value, Value::Null) {
                let value = HeaderValue::from_str(&value.to_text());
                headers.insert(name, value.map_err(|error| Failure::expression("response.headers", error))?);
            }
        }
        Ok(response)
    }

    fn input(&self, round: &Round<'_>, failures: &[(&Call, &Failure)]) -> Result<Value, Failure> {
        let problems = json::parse(problems(failures).to_string().as_bytes());
        let problems = problems.map_err(|error| Failure::expression("response", error))?;
        round.input(0..round.target.calls.len(), [("problems", problems)])
    }

    /// Answers are copied as they are.
    fn assemble(&self, round: &Round<'_>, failures: &[(&Call, &Failure)]) -> Vec<u8> {
        let calls = &round.target.calls;
        let answer = |index: usize| round.done(index).and_then(|done| done.answer.as_ref());
        let size =
            (0..calls.len()).map(|index| answer(index).map_or(0, |answer| answer.text.len() + 100)).sum::<usize>();
        let mut body = Vec::with_capacity(size + 2);
        let put = |body: &mut Vec<u8>, key: &[u8], value: &[u8]| {
            if body.last().is_some_and(|last| *last != b'{') {
                body.push(b',');
            }
            body.extend_from_slice(key);
            body.extend_from_slice(value);
        };
        body.push(b'{');
        for member in &self.members {
            match member {
                Member::Call(index) => {
                    if let Some(answer) = answer(*index) {
                        put(&mut body, &calls[*index].key, &answer.text);
                    }
                }
                Member::Group(key, members) => {
                    put(&mut body, key, b"{");
                    for index in members {
                        if let Some(answer) = answer(*index) {
                            put(&mut body, &calls[*index].key, &answer.text);
                        }
                    }
                    body.push(b'}');
                }
            }
        }
        if let Some(key) = self.problems.as_ref().filter(|_| !failures.is_empty()) {
            put(&mut body, key, problems(failures).to_string().as_bytes());
        }
        body.push(b'}');
        body
    }
}

fn claim<'s>(key: &'s str, keys: &mut Vec<&'s str>, wrong: &mut Vec<String>) {
    match keys.contains(&key) {
        true => wrong.push(format!("aggregate: the key '{key}' would stand in the body twice")),
        false => keys.push(key),
    }
}

/// By call.
fn problems(failures: &[(&Call, &Failure)]) -> serde_json::Value {
    let each = failures.iter().map(|(call, failure)| (call.name.to_string(), failure.problem(&call.name)));
    serde_json::Value::Object(each.collect::<Map<_, _>>())
}

async fn make(round: &Round<'_>, template: &Template, input: &Value, option: &str) -> Result<Value, Failure> {
    evaluate(round.worker, template, input).await.map_err(|error| Failure::expression(option, error))
}
