//! One request of HTTP and the call that it is.

use std::sync::Arc;

use http::Method;

use super::rule::Rule;
use super::template::Template;
use super::Rpc;
use crate::policy::translate::message::{FieldPath, Kind, MessageType, Plurality};

pub struct Binding {
    pub rpc: Arc<Rpc>,
    /// None: any.
    pub method: Option<Method>,
    /// As it was written.
    pub path: Box<str>,
    pub template: Template,
    /// The fields that the variables of the template are, in their order.
    pub variables: Vec<FieldPath>,
    pub body: Content,
    /// What the content of the answer is.
    pub answer: Answer,
}

/// What a request's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Nothing,
    /// All of the message that no variable is.
    Message,
    Field(FieldPath),
    /// Content of any kind: the message itself is a `google.api.HttpBody`, or one of its fields.
    Raw(Option<FieldPath>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Message,
    /// By its position.
    Field(usize),
    Raw(Option<usize>),
}

impl Binding {
    pub(super) fn automatic(rpc: &Arc<Rpc>) -> Result<Self, String> {
        let rule =
            Rule { method: "POST".to_owned(), path: rpc.path.to_string(), body: "*".to_owned(), ..Rule::default() };
        Self::compile(rpc, &rule)
    }

    pub(super) fn compile(rpc: &Arc<Rpc>, rule: &Rule) -> Result<Self, String> {
        let method = match rule.method.as_str() {
            "*" => None,
            name => Some(
                Method::from_bytes(name.as_bytes()).map_err(|_| format!("the kind '{name}' is no method of HTTP"))?,
            ),
        };
        let template = Template::parse(&rule.path)?;
        let variables = template.variables.iter().map(|variable| path_field(rpc, &variable.field));
        let variables = variables.collect::<Result<Vec<_>, _>>()?;
        let body = content(rpc, &rule.body)?;
        if body != Content::Nothing && method == Some(Method::GET) {
            return Err(format!("GET {}: a request with GET has no body", rule.path));
        }
        let overlap = template.variables.iter().find(|variable| variable.field == rule.body);
        if let Some(variable) = overlap {
            return Err(format!("'{}' is the body and a variable of the path", variable.field));
        }
        Ok(Self {
            rpc: rpc.clone(),
            method,
            path: rule.path.as_str().into(),
            template,
            variables,
            body,
            answer: answer(rpc, &rule.response_body)?,
        })
    }

    /// For people: `GET /v1/{name=shelves/*}`.
    pub fn text(&self) -> String {
        let method = self.method.as_ref().map_or("*", |method| method.as_str());
        format!("{method} {}", self.path)
    }
}

fn path_field(rpc: &Rpc, name: &str) -> Result<FieldPath, String> {
    let path = FieldPath::resolve(&rpc.input, name).map_err(|message| format!("the variable '{name}': {message}"))?;
    let messages = rpc.input.messages();
    match () {
        () if path.is_repeated(messages) => Err(format!("the variable '{name}' is repeated, and a path has one")),
        () if !path.is_textual(messages) => Err(format!("the variable '{name}' cannot stand in a path")),
        () => Ok(path),
    }
}

fn content(rpc: &Rpc, body: &str) -> Result<Content, String> {
    match body {
        "" => Ok(Content::Nothing),
        "*" if rpc.input.is_http_body() => Ok(Content::Raw(None)),
        "*" => Ok(Content::Message),
        name if name.contains('.') => Err(format!("the body '{name}' is not a field of the message itself")),
        name => {
            let path =
                FieldPath::resolve(&rpc.input, name).map_err(|message| format!("the body '{name}': {message}"))?;
            match is_http_body(&rpc.input, path.top()) {
                true => Ok(Content::Raw(Some(path))),
                false => Ok(Content::Field(path)),
            }
        }
    }
}

fn answer(rpc: &Rpc, body: &str) -> Result<Answer, String> {
    match body {
        "" | "*" if rpc.output.is_http_body() => Ok(Answer::Raw(None)),
        "" | "*" => Ok(Answer::Message),
        name => {
            let position = rpc.output.shape().position(name).filter(|_| !name.contains('.'));
            let position =
                position.ok_or_else(|| format!("the response_body '{name}' is no field of '{}'", rpc.output.name()))?;
            match is_http_body(&rpc.output, Some(position)) {
                true => Ok(Answer::Raw(Some(position))),
                false => Ok(Answer::Field(position)),
            }
        }
    }
}

fn is_http_body(message: &MessageType, position: Option<usize>) -> bool {
    let field = position.and_then(|position| message.shape().fields.get(position));
    field.is_some_and(|field| match (field.kind, field.plurality) {
        (Kind::Message(index), Plurality::One { .. }) => {
            &*message.messages().shape(index).name == "google.api.HttpBody"
        }
        _ => false,
    })
}
