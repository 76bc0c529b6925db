//! Clients speak JSON, the service SOAP 1.1 or 1.2: one operation of its WSDL, whose types were read by the control plane.

mod decode;
mod document;
mod encode;
mod fault;
mod json;
mod lexical;
mod security;
mod types;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{json, Value as Description};
use stagedoor_expression::{json as tree, Template, Value};

use self::decode::Decoder;
use self::encode::Encoder;
use self::json::Json;
use self::security::UsernameToken;
use self::types::{Complex, Element, Type, Types};
use crate::described;
use crate::error::{self, Error, Kind};
use crate::evaluation::{compile, evaluate};
use crate::exchange::Exchange;
use crate::explain::decision::open;
use crate::policy::transform::content;
use crate::policy::ResponseHead;
use crate::protocol::body::Body;
use crate::protocol::coding::{Coding, Fault as CodingFault};
use crate::protocol::media;
use crate::route::path::decode;
use crate::snapshot::{self, ContentFormat, SoapVersion};
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

    async fn evaluated(
        &self,
        worker: &Worker,
        exchange: &Exchange,
        headers: &HeaderMap,
        template: &Template,
        content: Option<bytes::Bytes>,
    ) -> Result<Json, Error> {
        let malformed =
            |why: String| Error::new(Kind::InvalidBody, format!("The request's content cannot be read: {why}"));
        let content = content.map(|content| tree::parse(&content)).transpose().map_err(malformed)?;
        let input = described::describe(exchange, headers, content.unwrap_or(Value::Null))?;
        let failed =
            |cause: String| Error::new(Kind::ExpressionFailed, "The operation's input could not be made").cause(cause);
        let made = evaluate(worker, template, &input).await.map_err(failed)?;
        Json::parse(&tree::write(&made)).map_err(failed)
    }

    /// The content, and parameters of the path that the operation knows; without a content also those of the query.
    fn given(&self, exchange: &Exchange, content: Option<bytes::Bytes>) -> Result<Json, Error> {
        let malformed =
            |why: String| Error::new(Kind::InvalidBody, format!("The request's content cannot be read: {why}"));
        let has_content = content.is_some();
        let mut value = match content {
            Some(content) => Json::parse(&content).map_err(malformed)?,
            None => Json::Object(Vec::new()),
        };
        let (Json::Object(members), Some(complex)) = (&mut value, self.complex()) else {
            return Ok(value);
        };
        if let Some(route) = &exchange.route {
            for (name, text) in exchange.params.iter(route.path.names(), exchange.path()) {
                if complex.members.contains_key(name) && !members.iter().any(|(known, _)| known == name) {
                    members.push((name.to_owned(), Json::Text(decode(text).into_owned())));
                }
            }
        }
        if !has_content {
            for pair in exchange.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
                let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
                put(members, plain(name).into_owned(), plain(text).into_owned());
            }
        }
        Ok(value)
    }

    fn complex(&self) -> Option<&Complex> {
        match self.operation.types.get(self.operation.input.as_ref()?.kind) {
            Type::Complex(complex) => Some(complex),
            _ => None,
        }
    }
}

impl Back {
    pub async fn on_answer(self, exchange: &mut Exchange, answer: Response<Body>) -> Result<Response<Body>, Error> {
        let operation = &*self.0;
        let (mut head, mut body) = answer.into_parts();
        if head.status.is_informational() {
            return Ok(Response::from_parts(head, body));
        }
        let bad = |why: String| Error::new(Kind::BadReply, why);
        let Some(content) = body.peek(operation.most).await? else {
            return Err(bad(format!("the service's answer is larger than {} bytes", operation.most)));
        };
        if content.is_empty() && head.status.is_success() && operation.output.is_none() {
            head.status = if head.status == StatusCode::ACCEPTED { head.status } else { StatusCode::NO_CONTENT };
            rewrite(&mut head);
            head.headers.remove(CONTENT_TYPE);
            return Ok(Response::from_parts(head, Body::empty()));
        }
        let text = text_of(&head, &content, operation.most).map_err(bad)?;
        let root = document::parse(&text).map_err(|why| bad(format!("the service's answer cannot be read: {why}")))?;
        let namespace = root.name.namespace.clone();
        let known = [types::envelope(SoapVersion::V11), types::envelope(SoapVersion::V12)].contains(&&*namespace);
        let body = Some(&root).filter(|root| known && &*root.name.local == "Envelope");
        let Some(body) = body.and_then(|root| root.first(&namespace, "Body")) else {
            return Err(bad(format!("the service answered {} without an envelope", head.status.as_u16())));
        };
        let decoder = Decoder { types: &operation.types };
        if let Some(fault) = body.first(&namespace, "Fault") {
            let fault = fault::read(fault, &namespace, &decoder, &operation.faults, &operation.statuses);
            exchange.error = Some(fault.error.kind);
            return Ok(error::respond_with(&fault.error, fault.status, exchange.request_id.as_ref()));
        }
        if !head.status.is_success() {
            return Err(bad(format!("the service answered {} without a fault", head.status.as_u16())));
        }
        let mut made = Vec::with_capacity(content.len());
        match &operation.output {
            None => {
                head.status = StatusCode::NO_CONTENT;
                rewrite(&mut head);
                head.headers.remove(CONTENT_TYPE);
                return Ok(Response::from_parts(head, Body::empty()));
            }
            Some(output) => {
                // Some services get the namespace wrong; there is but one element.
                let found = body.first(&output.namespace, &output.name);
                let found = found.or_else(|| body.children.iter().find(|child| *child.name.local == *output.name));
                let found =
                    found.ok_or_else(|| bad(format!("the service's answer has no element '{}'", output.name)))?;
                decoder.element(output.kind, found, &mut made);
            }
        }
        rewrite(&mut head);
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Response::from_parts(head, Body::full(made)))
    }
}

/// What was said of the envelope.
fn rewrite(head: &mut ResponseHead) {
    content::rewrite(&mut head.headers);
    head.headers.remove(&SOAP_ACTION);
    head.headers.remove(http::header::CONTENT_LANGUAGE);
}

/// JSON, or nothing.
async fn content_of(headers: &HeaderMap, body: &mut Body, most: usize) -> Result<Option<bytes::Bytes>, Error> {
    let whole = body.buffer(most).await?;
    if whole.is_empty() {
        return Ok(None);
    }
    let Some((ContentFormat::Json, coding)) = content::format(headers) else {
        return Err(Error::new(Kind::UnsupportedMediaType, "The body must be application/json"));
    };
    let plain = coding.decode(&whole, most).map_err(|fault| match fault {
        CodingFault::Damaged => {
            Error::new(Kind::InvalidBody, "The request's content is not what its Content-Encoding says")
        }
        CodingFault::TooLarge => {
            Error::new(Kind::BodyTooLarge, format!("Here the request's content is at most {most} bytes, decoded"))
        }
    })?;
    Ok(Some(plain))
}

/// Of an answer, as text.
fn text_of<'c>(head: &ResponseHead, content: &'c bytes::Bytes, most: usize) -> Result<Cow<'c, str>, String> {
    let kind = media::essence(&head.headers).unwrap_or_default().to_ascii_lowercase();
    let status = head.status.as_u16();
    if kind.starts_with(b"multipart/") {
        return Err("the service answered with attachments (MIME, MTOM), which are not supported".to_owned());
    }
    if !kind.ends_with(b"/xml") && !kind.ends_with(b"+xml") {
        return Err(format!("the service answered {status} with no XML"));
    }
    let coding = Coding::of(&head.headers).ok_or("the service's answer is in a content coding that is not known")?;
    let plain = coding.decode(content, most).map_err(|fault| match fault {
        CodingFault::Damaged => "the service's answer is not what its Content-Encoding says".to_owned(),
        CodingFault::TooLarge => format!("the service's answer is larger than {most} bytes, decoded"),
    })?;
    let text = match plain.strip_prefix(b"\xef\xbb\xbf") {
        Some(text) => plain.slice_ref(text),
        None => plain,
    };
    match String::from_utf8(text.to_vec()) {
        Ok(text) => Ok(text.into()),
        // ISO 8859-1 is the first page of Unicode.
        Err(error) if declares_latin_1(head, &text) => {
            Ok(error.into_bytes().iter().map(|byte| char::from(*byte)).collect::<String>().into())
        }
        Err(_) => Err("the service's answer is not in UTF-8".to_owned()),
    }
}

fn declares_latin_1(head: &ResponseHead, text: &[u8]) -> bool {
    let kind = head.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes).to_ascii_lowercase();
    let start = text.get(..text.len().min(100)).unwrap_or_default().to_ascii_lowercase();
    [kind, start].iter().any(|said| said.windows(10).any(|part| part == b"iso-8859-1"))
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

fn plain(text: &str) -> Cow<'_, str> {
    match text.contains('+') {
        true => Cow::Owned(percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()),
        false => percent_decode_str(text).decode_utf8_lossy(),
    }
}

/// A name that stands more than once has a list.
fn put(members: &mut Vec<(String, Json)>, name: String, text: String) {
    match members.iter_mut().find(|(known, _)| *known == name) {
        None => members.push((name, Json::Text(text))),
        Some((_, Json::List(items))) => items.push(Json::Text(text)),
        Some((_, first)) => *first = Json::List(vec![std::mem::replace(first, Json::Null), Json::Text(text)]),
    }
}
