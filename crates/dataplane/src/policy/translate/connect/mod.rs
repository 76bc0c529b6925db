//! Connect (connectrpc.com/docs/protocol) for services that speak gRPC: unary calls become plain HTTP with statuses that
//! say something, streams need no trailers. Calls of gRPC and gRPC-Web pass as they are.

mod asked;
mod codec;
mod head;
mod method;
mod stream;
mod unary;

use std::rc::Rc;
use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, Version};
use rustc_hash::FxHashSet;
use serde_json::{json, Value};

use self::asked::Asked;
use self::codec::{Messages, Rules};
use self::method::Methods;
use self::stream::{Answered, Sent};
use super::descriptor::Offer;
use super::message::{ReadRules, WriteRules};
use super::{of_grpc, of_version, Step};
use crate::error::{Error, Kind};
use crate::exchange::{self, Exchange};
use crate::policy::{version, RequestHead};
use crate::protocol::body::Body;
use crate::protocol::connect::{Codec, Form};
use crate::protocol::grpc::{self, Call, Dialect};
use crate::shared::Shared;
use crate::snapshot;
use crate::target::Target;
use crate::worker::Worker;

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const BINARY: &str = "application/proto, application/connect+proto, application/grpc";
const BOTH: &str =
    "application/json, application/proto, application/connect+json, application/connect+proto, application/grpc";

pub struct Connect {
    /// None: no type is known.
    offer: Option<Offer<Methods>>,
    rules: Rules,
    get: FxHashSet<Box<str>>,
    require_version: bool,
}

impl Connect {
    pub fn new(settings: &snapshot::TranslateConnect) -> Result<Self, Vec<String>> {
        let descriptors = settings.descriptors.as_ref();
        let offer =
            descriptors.map(|described| Offer::new(described, &settings.services, Methods::compile)).transpose()?;
        let mut wrong = Vec::new();
        if offer.is_none() && !settings.services.is_empty() {
            wrong.push("services: they are chosen among descriptors, and there are none".to_owned());
        }
        if let Some(methods) = offer.as_ref().and_then(|offer| offer.known(None)) {
            let unknown = settings.get.iter().filter(|procedure| methods.get(procedure).is_none());
            wrong.extend(unknown.map(|procedure| {
                format!("get: there is no method '{procedure}'; there are {}", methods.names().join(", "))
            }));
        }
        if settings.message_bytes == 0 || u32::try_from(settings.message_bytes).is_err() {
            wrong.push("a message must be of 1 byte to 4 GiB".to_owned());
        }
        let json = settings.json;
        let rules = Rules {
            most: settings.message_bytes,
            read: ReadRules { ignore_unknown: json.ignore_unknown_fields },
            write: WriteRules {
                defaults: json.defaults,
                enum_numbers: json.enum_numbers,
                original_names: json.original_names,
                unknown_any: false,
            },
        };
        match wrong.is_empty() {
            true => Ok(Self {
                offer,
                rules,
                get: settings.get.iter().map(|method| method.as_str().into()).collect(),
                require_version: settings.require_version,
            }),
            false => Err(wrong),
        }
    }

    /// Methods are null where the service has not said them yet, or nobody does.
    pub fn describe(&self) -> Value {
        let known = self.offer.as_ref().and_then(|offer| offer.known(None));
        let mut get: Vec<&str> = self.get.iter().map(|procedure| &**procedure).collect();
        get.sort_unstable();
        json!({
            "methods": known.as_ref().map(|methods| methods.names()), "get": get,
            "require_version": self.require_version, "message_bytes": self.rules.most,
        })
    }

    pub fn belongs_to(
        &mut self,
        target: &Target,
        version: Option<&version::Version>,
        shared: &Shared,
    ) -> Result<(), String> {
        for cluster in of_grpc(target, version)? {
            if let Some(offer) = &mut self.offer {
                offer.comes_from(cluster, shared);
            }
        }
        Ok(())
    }

    pub fn begin(&self, worker: &Rc<Worker>) {
        if let Some(offer) = &self.offer {
            offer.begin(worker);
        }
    }

    /// What would become of a request.
    pub fn explain(&self, exchange: &Exchange) -> Value {
        let why = match exchange.call.as_ref().map(|call| call.dialect) {
            Some(Dialect::Connect(Form::Unary)) => "a unary call of Connect becomes one of gRPC",
            Some(Dialect::Connect(Form::Stream(_))) => "a stream of Connect becomes one of gRPC",
            Some(Dialect::Grpc | Dialect::Web(_)) => "it is a call of gRPC already",
            None => return crate::explain::decision::open("its content's type is not one of a call"),
        };
        json!({"decision": "passes", "why": why})
    }

    /// As soon as the route is known: from then on an error is one of Connect.
    pub fn recognise(exchange: &mut Exchange, head: &RequestHead) {
        if exchange.call.is_none() {
            let asked = Asked::of(&head.method, &head.headers, exchange.query());
            exchange.call = asked.map(|asked| Call::connect(asked.form));
        }
    }

    /// Before a cache, and before messages are read: what is no call, or none that may be made so, is refused.
    pub fn admit(&self, exchange: &Exchange, head: &RequestHead) -> Result<(), Error> {
        match Asked::of(&head.method, &head.headers, exchange.query()) {
            None if exchange.call.is_some() => Ok(()),
            None => Err(self.foreign(head)),
            Some(asked) => {
                asked.check_version(&head.headers, exchange.query(), self.require_version)?;
                asked.coding()?;
                match &self.offer {
                    None => self.check(&asked, head, exchange, None),
                    Some(offer) => match offer.known(of_version(exchange)) {
                        Some(methods) => self.check(&asked, head, exchange, Some(&methods)),
                        // Looked at when the service has told.
                        None => Ok(()),
                    },
                }
            }
        }
    }

    fn check(
        &self,
        asked: &Asked,
        head: &RequestHead,
        exchange: &Exchange,
        known: Option<&Methods>,
    ) -> Result<(), Error> {
        let procedure = procedure(exchange.path());
        let method = known.and_then(|methods| methods.get(procedure));
        let safe = method.is_some_and(|method| method.safe) || self.get.contains(procedure);
        if asked.is_get() && !safe {
            let error = Error::new(Kind::MethodNotAllowed, "This method is not to be called with GET");
            return Err(error.header(ALLOW, HeaderValue::from_static("POST")));
        }
        match method {
            None if asked.codec == Codec::Json && known.is_none() => Err(self.foreign(head)),
            // The service itself says so of what is not described.
            None if asked.codec == Codec::Json => Err(Error::new(Kind::RouteNotFound, "There is no such method")),
            None => Ok(()),
            Some(method) => {
                let streams = method.client_streaming || method.server_streaming;
                if streams == (asked.form == Form::Unary) {
                    let wanted = if streams { "a stream: application/connect+" } else { "unary: application/" };
                    let detail = format!("The method is {wanted}json or the same with proto");
                    return Err(Error::new(Kind::UnsupportedMediaType, detail));
                }
                if method.client_streaming && method.server_streaming && head.version < Version::HTTP_2 {
                    let detail = "A stream in both directions needs HTTP/2";
                    return Err(Error::new(Kind::VersionNotSupported, detail));
                }
                Ok(())
            }
        }
    }

    pub async fn on_request(
        &self,
        worker: &Rc<Worker>,
        exchange: &mut Exchange,
        request: Request<Body>,
    ) -> Result<Step, Error> {
        let (mut head, body) = request.into_parts();
        // One that a cache asks for anew has not been looked at.
        Self::recognise(exchange, &head);
        let asked = Asked::of(&head.method, &head.headers, exchange.query());
        let (Some(asked), Some(call)) = (asked, exchange.call.clone()) else {
            return Ok(Step::Pass(Request::from_parts(head, body)));
        };
        let known = match &self.offer {
            Some(offer) => Some(offer.get(worker, of_version(exchange), exchange.deadline).await?),
            None => None,
        };
        self.check(&asked, &head, exchange, known.as_deref())?;
        let messages = self.messages(&asked, &head, exchange, known);
        let coding = asked.coding()?;
        head::ask(&mut head, messages.takes_gzip)?;
        // gRPC has no query.
        exchange.rewritten.get_or_insert_default().query = Some(String::new());
        if let Some(limit) = grpc::timeout(&head.headers)? {
            exchange.deadline = exchange.deadline.min(exchange.received + limit);
        }
        let body = match asked.form {
            Form::Unary => {
                exchange.asked = exchange::Asked::Unary;
                unary::ask(&asked, body, coding, &messages).await?
            }
            Form::Stream(_) => {
                exchange.asked = exchange::Asked::Call;
                Body::stream(Sent::new(body, coding, messages.clone()))
            }
        };
        let back = Back { call, form: asked.form, codec: asked.codec, messages };
        Ok(Step::Ask(Request::from_parts(head, body), super::Back::Connect(Box::new(back))))
    }

    fn messages(
        &self,
        asked: &Asked,
        head: &RequestHead,
        exchange: &Exchange,
        known: Option<Arc<Methods>>,
    ) -> Messages {
        let method = known.as_ref().and_then(|methods| methods.get(procedure(exchange.path())));
        let json = method.filter(|_| asked.codec == Codec::Json).cloned();
        Messages { rules: self.rules, takes_gzip: asked.takes_gzip(&head.headers), json, known }
    }

    /// What no client of Connect or gRPC asks.
    fn foreign(&self, head: &RequestHead) -> Error {
        if head.method != Method::POST {
            let error =
                Error::new(Kind::MethodNotAllowed, "Methods are called with POST, and those that are safe with GET");
            return error.header(ALLOW, HeaderValue::from_static("POST"));
        }
        let taken = if self.offer.is_some() { BOTH } else { BINARY };
        let error = Error::new(Kind::UnsupportedMediaType, format!("Calls are taken as {taken}"));
        error.header(ACCEPT_POST, HeaderValue::from_static(taken))
    }
}

/// What is known of a call when its answer comes.
pub struct Back {
    call: Rc<Call>,
    form: Form,
    codec: Codec,
    messages: Messages,
}

impl Back {
    pub async fn on_answer(self, answer: Response<Body>) -> Result<Response<Body>, Error> {
        match self.form {
            Form::Unary => unary::answer(&self.call, self.codec, answer, &self.messages).await,
            Form::Stream(_) => self.stream(answer),
        }
    }

    /// What is not gRPC passes: it becomes a failure where all calls are settled.
    fn stream(self, answer: Response<Body>) -> Result<Response<Body>, Error> {
        let is_grpc = |kind: &HeaderValue| grpc::is_grpc(kind.as_bytes());
        if !answer.headers().get(CONTENT_TYPE).is_some_and(is_grpc) {
            return Ok(answer);
        }
        let (mut head, body) = answer.into_parts();
        let early = head.headers.clone();
        let gzip = head::answer(&mut head.headers)?;
        if gzip && self.messages.passes_compressed() {
            head.headers.insert(asked::STREAM_ENCODING, HeaderValue::from_static("gzip"));
        }
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.form.content_type()));
        Ok(Response::from_parts(head, Body::stream(Answered::new(body, self.call, self.messages, early, gzip))))
    }
}

/// `package.Service/Method`, behind whatever prefix.
fn procedure(path: &str) -> &str {
    let method = path.rfind('/').unwrap_or_default();
    let service = path[..method].rfind('/').map_or(0, |slash| slash + 1);
    &path[service..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_procedure_stands_at_the_end_of_the_path() {
        for (path, expected) in [
            ("/shop.v1.Catalogue/GetItem", "shop.v1.Catalogue/GetItem"),
            ("/rpc/v1/shop.v1.Catalogue/GetItem", "shop.v1.Catalogue/GetItem"),
            ("/GetItem", "/GetItem"),
            ("/", "/"),
        ] {
            assert_eq!(procedure(path), expected);
        }
    }
}
