//! Clients speak HTTP and JSON, the service gRPC: by the annotations `google.api.http` of its methods. Calls of gRPC itself
//! pass as they are.

mod answer;
pub mod frame;
pub mod metadata;
mod request;
pub mod status;
mod stream;
mod upload;

use std::rc::Rc;
use std::sync::Arc;

use http::header::ALLOW;
use http::{Method, Request};
use serde_json::{json, Value};

pub use answer::Back;

use super::descriptor::{Descriptors, Offer};
use super::http_rule::table::{Found, Miss};
use super::http_rule::Api;
use super::message::{ReadRules, WriteRules};
use super::{of_grpc, of_version, Step};
use crate::error::{Error, Kind};
use crate::exchange::{Asked, Exchange};
use crate::policy::version::Version;
use crate::policy::Context;
use crate::protocol::body::Body;
use crate::protocol::link::Link;
use crate::shared::Shared;
use crate::snapshot::{self, StreamFormat};
use crate::target::Target;
use crate::worker::Worker;

pub struct Grpc {
    offer: Offer<Api>,
    rules: Arc<Rules>,
}

/// What holds for every message of the policy.
#[derive(Debug, Clone)]
pub struct Rules {
    pub read: ReadRules,
    pub write: WriteRules,
    pub ignore_unknown_query: bool,
    /// Of one message, either way, in either form.
    pub most: usize,
    pub stream: StreamFormat,
    base_path: String,
}

impl Grpc {
    pub fn new(settings: &snapshot::GrpcTranslation, _context: &Context<'_>) -> Result<Self, Vec<String>> {
        let automatic = settings.automatic;
        let compile = move |descriptors: &Descriptors| Api::compile(descriptors, automatic);
        let offer = Offer::new(&settings.descriptors, &settings.services, compile)?;
        let json = settings.json;
        let rules = Rules {
            read: ReadRules { ignore_unknown: json.ignore_unknown_fields },
            write: WriteRules {
                defaults: json.defaults,
                enum_numbers: json.enum_numbers,
                original_names: json.original_names,
                unknown_any: false,
            },
            ignore_unknown_query: settings.ignore_unknown_query,
            most: settings.message_bytes,
            stream: settings.stream,
            base_path: settings.base_path.clone(),
        };
        Ok(Self { offer, rules: Arc::new(rules) })
    }

    /// Methods with their bindings; null where the service has not said them yet.
    pub fn describe(&self) -> Value {
        let methods = self.offer.known(None).map(|api| {
            let bindings = api.bindings.iter();
            bindings.map(|binding| json!({"method": &*binding.rpc.name, "http": binding.text()})).collect::<Vec<_>>()
        });
        json!({"methods": methods, "base_path": self.rules.base_path})
    }

    pub fn belongs_to(&mut self, target: &Target, version: Option<&Version>, shared: &Shared) -> Result<(), String> {
        for cluster in of_grpc(target, version)? {
            self.offer.comes_from(cluster, shared);
        }
        Ok(())
    }

    pub fn begin(&self, worker: &Rc<Worker>) {
        self.offer.begin(worker);
    }

    pub fn explain(&self, exchange: &Exchange) -> Value {
        if exchange.call.is_some() {
            return json!({"decision": "passes", "why": "it is a call of gRPC already"});
        }
        let Some(api) = self.offer.known(of_version(exchange)) else {
            return crate::explain::decision::open("the service says what it offers once it is asked");
        };
        match self.find(&api, &exchange.method, exchange.asked_path()) {
            Ok(found) => json!({
                "decision": "passes",
                "why": format!("{} is the method {}", found.binding.text(), found.binding.rpc.name),
            }),
            Err(error) => crate::explain::decision::refused(&error),
        }
    }

    fn find<'a, 'p>(&self, api: &'a Api, method: &Method, path: &'p str) -> Result<Found<'a, 'p>, Error> {
        let not_found = || Error::new(Kind::RouteNotFound, "No method of the service answers this path");
        let path = path.strip_prefix(&*self.rules.base_path).ok_or_else(not_found)?;
        api.table.find(method, path).map_err(|miss| match miss {
            Miss::Path => not_found(),
            Miss::Method { allow } => {
                Error::new(Kind::MethodNotAllowed, format!("{method} is not allowed here")).header(ALLOW, allow)
            }
        })
    }

    pub async fn on_request(
        &self,
        worker: &Rc<Worker>,
        link: Option<&Rc<Link>>,
        exchange: &mut Exchange,
        request: Request<Body>,
    ) -> Result<Step, Error> {
        if exchange.call.is_some() {
            return Ok(Step::Pass(request));
        }
        let api = self.offer.get(worker, of_version(exchange), exchange.deadline).await?;
        let (mut head, mut body) = request.into_parts();
        let rewritten = exchange.rewritten.take().unwrap_or_default();
        let path = rewritten.path.as_deref().unwrap_or(exchange.asked_path());
        let query = rewritten.query.as_deref().or(exchange.asked_query()).unwrap_or_default();
        let found = self.find(&api, &head.method, path)?;
        let binding = found.binding.clone();
        let rpc = &binding.rpc;
        let parameters = request::parameters(&found, query, &self.rules)?;
        let format = match rpc.server_streaming {
            true => stream::format(&head.headers, self.rules.stream),
            false => self.rules.stream,
        };
        let body = match rpc.client_streaming {
            true => upload::stream(&binding, &head, body, parameters, &self.rules)?,
            false => Body::full(request::message(&binding, &head, &mut body, &parameters, &self.rules).await?),
        };
        let streams = rpc.client_streaming || rpc.server_streaming;
        exchange.asked = if streams { Asked::Call } else { Asked::Unary };
        if let Some(link) = link.filter(|_| streams) {
            link.pauses.set(true);
        }
        metadata::request(&mut head.headers);
        head.method = Method::POST;
        exchange.rewritten =
            Some(Box::new(crate::exchange::Rewritten { path: Some(rpc.path.to_string()), query: Some(String::new()) }));
        let back = Back { api, binding, rules: self.rules.clone(), format };
        Ok(Step::Ask(Request::from_parts(head, body), super::Back::Grpc(Box::new(back))))
    }
}
