//! Clients speak JSON, the service SOAP 1.1 or 1.2: one operation of its WSDL, whose types were read by the control plane.

mod answer;
mod decode;
mod document;
mod encode;
mod fault;
mod input;
mod json;
mod lexical;
mod security;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request};
use serde_json::{json, Value as Description};
use stagedoor_expression::Template;

use self::encode::Encoder;
use self::input::content_of;
use self::json::Json;
use self::security::UsernameToken;
use self::types::{Element, Types};
use crate::error::{Error, Kind};
use crate::evaluation::compile;
use crate::exchange::Exchange;
use crate::explain::decision::open;
use crate::policy::transform::content;
use crate::protocol::body::Body;
use crate::snapshot::{self, SoapVersion};
use crate::target::Target;
use crate::worker::Worker;

const SOAP_ACTION: HeaderName = HeaderName::from_static("soapaction");

pub struct Soap {
    operation: Arc<Operation>,
    input: Option<Template>,
    path: Option<Box<str>>,
    token: Option<UsernameToken>,
    /// Blocks that are always the same.
    headers: String,
    content_type: HeaderValue,
    action: Option<HeaderValue>,
    description: Description,
}

struct Operation {
    version: SoapVersion,
    types: Types,
    input: Option<Element>,
    output: Option<Element>,
    faults: Vec<Element>,
    statuses: BTreeMap<String, u16>,
    most: usize,
    /// Up to the header's blocks.
    beginning: String,
}

/// What is needed to understand the answer.
pub struct Back(Arc<Operation>);

impl Soap {
    pub fn new(settings: &snapshot::SoapTranslation) -> Result<Self, Vec<String>> {
        let operation = &settings.operation;
        let mut wrong = Vec::new();
        let input = settings.input.as_deref().map(compile).transpose();
        let input = input.map_err(|message| wrong.push(format!("input: {message}"))).ok().flatten();
        let token = settings.username_token.as_ref().map(UsernameToken::new).transpose();
        let token = token.map_err(|message| wrong.push(message)).ok().flatten();
        for (index, block) in settings.headers.iter().enumerate() {
            if let Err(message) = document::parse(block.reveal()) {
                wrong.push(format!("headers[{index}]: {message}"));
            }
        }
        let (kind, action) = match operation.version {
            SoapVersion::V11 => ("text/xml; charset=utf-8".to_owned(), Some(format!("\"{}\"", operation.action))),
            SoapVersion::V12 if operation.action.is_empty() => ("application/soap+xml; charset=utf-8".to_owned(), None),
            SoapVersion::V12 => (format!("application/soap+xml; charset=utf-8; action=\"{}\"", operation.action), None),
        };
        let value = |text: &str| HeaderValue::from_str(text).ok().filter(|_| !operation.action.contains(['"', '\\']));
        let unspeakable = || "the action of the operation cannot be said in a header".to_owned();
        let content_type = value(&kind).ok_or_else(unspeakable).map_err(|message| wrong.push(message)).ok();
        let types = Types::compile(operation).map_err(|message| wrong.push(message)).ok();
        let (Some(types), Some(content_type), true) = (types, content_type, wrong.is_empty()) else {
            return Err(wrong);
        };
        let beginning = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope{}>",
            types.declarations(operation.version)
        );
        let element = |settings: &snapshot::XmlElement| types.element(settings);
        let compiled = Operation {
            version: operation.version,
            input: operation.input.as_ref().map(element),
            output: operation.output.as_ref().map(element),
            faults: operation.faults.iter().map(element).collect(),
            statuses: settings.faults.clone(),
            most: settings.message_bytes,
            beginning,
            types,
        };
        Ok(Self {
            operation: Arc::new(compiled),
            input,
            path: settings.path.as_deref().map(Box::from),
            token,
            headers: settings.headers.iter().map(|block| without_declaration(block.reveal())).collect(),
            content_type,
            action: action.as_deref().and_then(value),
            description: json!({
                "operation": operation.name, "version": if operation.version == SoapVersion::V11 { "1.1" } else { "1.2" },
                "action": operation.action, "input": settings.input, "faults": settings.faults,
                "headers": settings.headers.len(), "username_token": settings.username_token.is_some(),
                "message_bytes": settings.message_bytes,
            }),
        })
    }

    pub fn describe(&self) -> Description {
        self.description.clone()
    }

    /// Any other target would be asked in a language that it does not speak.
    pub fn belongs_to(target: &Target) -> Result<(), String> {
        match target {
            Target::Cluster(_) => Ok(()),
            _ => Err("the target must be a cluster".to_owned()),
        }
    }

    pub fn explain(&self) -> Description {
        let name = self.description.get("operation").and_then(Description::as_str).unwrap_or_default();
        open(&format!("the operation '{name}' is called"))
    }

    /// What the service is asked.
    pub async fn on_request(
        &self,
        worker: &Worker,
        exchange: &mut Exchange,
        request: Request<Body>,
    ) -> Result<(Request<Body>, Back), Error> {
        let (mut head, mut body) = request.into_parts();
        let content = content_of(&head.headers, &mut body, self.operation.most).await?;
        let value = match &self.input {
            Some(template) => self.evaluated(worker, exchange, &head.headers, template, content).await?,
            None => self.given(exchange, content)?,
        };
        let envelope = self.envelope(&value)?;
        if let Some(path) = &self.path {
            exchange.rewritten.get_or_insert_default().path.get_or_insert_with(|| path.to_string());
        }
        exchange.rewritten.get_or_insert_default().query.get_or_insert_default();
        head.method = Method::POST;
        content::rewrite(&mut head.headers);
        let names: Vec<HeaderName> = head.headers.keys().filter(|name| is_of_content(name)).cloned().collect();
        names.iter().for_each(|name| drop(head.headers.remove(name)));
        let accepted = match self.operation.version {
            SoapVersion::V11 => "text/xml",
            SoapVersion::V12 => "application/soap+xml",
        };
        head.headers.insert(ACCEPT, HeaderValue::from_static(accepted));
        head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        head.headers.insert(CONTENT_TYPE, self.content_type.clone());
        if let Some(action) = &self.action {
            head.headers.insert(SOAP_ACTION, action.clone());
        }
        Ok((Request::from_parts(head, Body::full(envelope)), Back(self.operation.clone())))
    }

    fn envelope(&self, value: &Json) -> Result<String, Error> {
        let operation = &*self.operation;
        let mut encoder = Encoder::new(&operation.types);
        let outcome = match (&operation.input, value) {
            (Some(element), value) => encoder.element(element, value),
            (None, Json::Null) => Ok(()),
            (None, Json::Object(members)) if members.is_empty() => Ok(()),
            (None, _) => Err(encode::Fault { place: String::new(), what: "the operation takes nothing".to_owned() }),
        };
        outcome.map_err(|fault| {
            let place = if fault.place.is_empty() { "/" } else { &fault.place };
            let told = json!({"in": "body", "pointer": fault.place, "detail": fault.what});
            let detail = format!("The request does not fit the operation at {place}: {}", fault.what);
            Error::new(Kind::InvalidBody, detail).errors(vec![told])
        })?;
        let mut text = operation.beginning.clone();
        if !self.headers.is_empty() || self.token.is_some() {
            text.push_str("<soap:Header>");
            if let Some(token) = &self.token {
                text.push_str(&token.block()?);
            }
            text.push_str(&self.headers);
            text.push_str("</soap:Header>");
        }
        text.push_str("<soap:Body>");
        text.push_str(&encoder.finish());
        text.push_str("</soap:Body></soap:Envelope>");
        Ok(text)
    }
}

/// What the client said of its own content and of the answer that it has or wants.
fn is_of_content(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("content-") || name.starts_with("if-") || matches!(name, "range" | "prefer" | "soapaction")
}

/// A block stands in the middle of a document.
fn without_declaration(block: &str) -> &str {
    let block = block.trim_start();
    match block.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        Some((_, block)) => block,
        None => block,
    }
}
