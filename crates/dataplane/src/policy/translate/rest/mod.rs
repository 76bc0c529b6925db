//! Clients speak gRPC, the service HTTP and JSON: by the same annotations, the other way round. Requests that are no calls
//! pass as they are.

mod answer;
mod events;
mod request;

use std::sync::Arc;

use http::Request;
use rustc_hash::FxHashMap;
use serde_json::{json, Value};

pub use answer::Back;

use super::descriptor::Descriptors;
use super::http_rule::binding::Binding;
use super::http_rule::Api;
use super::message::{MessageType, ReadRules, WriteRules};
use super::Step;
use crate::error::{Error, Kind};
use crate::exchange::{Asked, Exchange, Rewritten};
use crate::protocol::body::Body;
use crate::snapshot;
use crate::target::Target;

pub struct Rest {
    /// By the path of the call; of several bindings the first that fits the message.
    methods: FxHashMap<Box<str>, Vec<Arc<Binding>>>,
    rules: Arc<Rules>,
}

/// What holds for every message of the policy.
struct Rules {
    read: ReadRules,
    write: WriteRules,
    /// Of one message, either way, in either form.
    most: usize,
    base_path: String,
    /// `google.rpc.Status`.
    status: MessageType,
}

impl Rest {
    pub fn new(settings: &snapshot::RestTranslation) -> Result<Self, Vec<String>> {
        let api = Api::compile(&Descriptors::load(&settings.descriptors, &settings.services)?, settings.automatic)?;
        let mut methods: FxHashMap<Box<str>, Vec<Arc<Binding>>> = FxHashMap::default();
        // HTTP and JSON have no messages that a client goes on to send.
        for binding in api.bindings.iter().filter(|binding| !binding.rpc.client_streaming) {
            methods.entry(binding.rpc.path.clone()).or_default().push(binding.clone());
        }
        let json = settings.json;
        let write = WriteRules {
            defaults: json.defaults,
            enum_numbers: json.enum_numbers,
            original_names: json.original_names,
            unknown_any: false,
        };
        let rules = Rules {
            read: ReadRules { ignore_unknown: json.ignore_unknown_fields },
            write,
            most: settings.message_bytes,
            base_path: settings.base_path.clone(),
            status: api.status,
        };
        Ok(Self { methods, rules: Arc::new(rules) })
    }

    pub fn describe(&self) -> Value {
        let mut methods: Vec<_> = self.methods.values().flatten().collect();
        methods.sort_by(|one, two| one.rpc.name.cmp(&two.rpc.name));
        let told = |binding: &&Arc<Binding>| json!({"method": &*binding.rpc.name, "http": binding.text()});
        json!({"methods": methods.iter().map(told).collect::<Vec<_>>(), "base_path": self.rules.base_path})
    }

    pub fn belongs_to(&self, target: &Target) -> Result<(), String> {
        match target {
            Target::Cluster(_) => Ok(()),
            _ => Err("the target must be a cluster".to_owned()),
        }
    }

    pub fn explain(&self, exchange: &Exchange) -> Value {
        if exchange.call.is_none() {
            return crate::explain::decision::passes("it is no call of gRPC");
        }
        match self.find(exchange.asked_path()) {
            Ok(bindings) => {
                let texts: Vec<String> = bindings.iter().map(|binding| binding.text()).collect();
                crate::explain::decision::passes(&format!("it becomes {}", texts.join(" or ")))
            }
            Err(error) => crate::explain::decision::refused(&error),
        }
    }

    fn find(&self, path: &str) -> Result<&[Arc<Binding>], Error> {
        let found = self.methods.get(path).map(Vec::as_slice);
        found.ok_or_else(|| Error::new(Kind::RouteNotFound, "The service has no such method"))
    }

    pub async fn on_request(&self, exchange: &mut Exchange, request: Request<Body>) -> Result<Step, Error> {
        if exchange.call.is_none() {
            return Ok(Step::Pass(request));
        }
        let bindings = self.find(exchange.asked_path())?;
        let (mut head, mut body) = request.into_parts();
        let message = request::message(&head.headers, &mut body, self.rules.most).await?;
        let (binding, made) = request::make(bindings, &message, &self.rules)?;
        exchange.asked = Asked::Http;
        exchange.rewritten = Some(Box::new(Rewritten {
            path: Some(format!("{}{}", self.rules.base_path, made.path)),
            query: Some(made.query),
        }));
        request::head(&mut head, binding, made.kind);
        let back = Back { binding: binding.clone(), rules: self.rules.clone() };
        Ok(Step::Ask(Request::from_parts(head, made.body), super::Back::Rest(Box::new(back))))
    }
}
