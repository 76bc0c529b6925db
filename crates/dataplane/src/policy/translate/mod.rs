//! The policy `translate`: the target speaks another protocol than the client. It stands directly around the target, so
//! that all other policies see what the client speaks: transform_request → translate → TARGET → translate back →
//! transform_response.
//!
//! How a kind is added:
//! 1. `snapshot/translate.rs`: a variant of `Translate` with its settings, and `python/stagedoor/policies/translate/KIND.py`
//!    with the model, its `compile_KIND`, and a field of the model `Translate` there.
//! 2. A folder or file KIND here, with a type of its own: `new(settings, context)` compiles and finds every mistake;
//!    `on_request` makes the target's request of the client's and gives what is needed on the way back; that has
//!    `on_answer`, which makes the client's answer. Both see bodies as streams.
//! 3. Variants of `Translate` and `Back` below, and their lines in each `match`. The compiler names the places.
//! 4. `docs/policies/translate/KIND.md`, a line in `docs/policies/translate.md`, tests in `tests/transcoding` or a folder
//!    of its own.
//!
//! Shared by the kinds that know messages of Protocol Buffers: `descriptor` (where types come from) and `message` (their
//! JSON); `http_rule` (annotations of methods).

pub mod connect;
pub mod descriptor;
pub mod events;
pub mod graphql;
pub mod grpc;
pub mod http_rule;
pub mod message;
pub mod rest;
pub mod rpc;
pub mod soap;
pub mod values;

use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};
use serde_json::{json, Value};

use crate::cluster::Cluster;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::policy::version::Version;
use crate::policy::{Context, RequestHead};
use crate::protocol::body::Body;
use crate::protocol::link::Link;
use crate::shared::Shared;
use crate::snapshot;
use crate::target::Target;
use crate::worker::Worker;

pub enum Translate {
    Graphql(Box<graphql::Graphql>),
    Connect(Box<connect::Connect>),
    Events(Box<events::Events>),
    Grpc(Box<grpc::Grpc>),
    Rest(Box<rest::Rest>),
    Soap(Box<soap::Soap>),
}

/// What becomes of a request.
// Looked at once: a box would cost more than the move.
#[allow(clippy::large_enum_variant)]
pub enum Step {
    /// The target is asked this, and its answer is translated back.
    Ask(Request<Body>, Back),
    /// The target is asked what the client asks, and its answer is the client's.
    Pass(Request<Body>),
    /// The target is not asked.
    Respond(Response<Body>),
}

/// What is known of a request when its answer comes.
pub enum Back {
    Graphql(Box<graphql::Back>),
    Connect(Box<connect::Back>),
    Events(events::Back),
    Grpc(Box<grpc::Back>),
    Rest(Box<rest::Back>),
    Soap(soap::Back),
}

impl Translate {
    pub fn new(settings: &snapshot::Translate, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let within = |kind: &str, wrong: Vec<String>| wrong.into_iter().map(|each| format!("{kind}.{each}")).collect();
        match settings {
            snapshot::Translate::Graphql(settings) => graphql::Graphql::new(settings, context)
                .map(|kind| Self::Graphql(Box::new(kind)))
                .map_err(|wrong| within("graphql", wrong)),
            snapshot::Translate::Connect(settings) => connect::Connect::new(settings)
                .map(|kind| Self::Connect(Box::new(kind)))
                .map_err(|wrong| within("connect", wrong)),
            snapshot::Translate::Events(settings) => events::Events::new(settings)
                .map(|kind| Self::Events(Box::new(kind)))
                .map_err(|wrong| within("events", wrong)),
            snapshot::Translate::Grpc(settings) => grpc::Grpc::new(settings, context)
                .map(|kind| Self::Grpc(Box::new(kind)))
                .map_err(|wrong| within("grpc", wrong)),
            snapshot::Translate::Rest(settings) => {
                rest::Rest::new(settings).map(|kind| Self::Rest(Box::new(kind))).map_err(|wrong| within("rest", wrong))
            }
            snapshot::Translate::Soap(settings) => {
                soap::Soap::new(settings).map(|kind| Self::Soap(Box::new(kind))).map_err(|wrong| within("soap", wrong))
            }
        }
    }

    pub fn describe(&self) -> Value {
        match self {
            Self::Graphql(kind) => json!({"graphql": kind.describe()}),
            Self::Connect(kind) => json!({"connect": kind.describe()}),
            Self::Events(kind) => json!({"events": kind.describe()}),
            Self::Grpc(kind) => json!({"grpc": kind.describe()}),
            Self::Rest(kind) => json!({"rest": kind.describe()}),
            Self::Soap(kind) => json!({"soap": kind.describe()}),
        }
    }

    /// `version`: of the route, where it belongs to an API.
    ///
    /// Errors: the route's target, or where a version leads, is not of the kind that is needed.
    pub fn belongs_to(&mut self, target: &Target, version: Option<&Version>, shared: &Shared) -> Result<(), String> {
        match self {
            Self::Graphql(kind) => kind.belongs_to(target).map_err(|wrong| format!("graphql: {wrong}")),
            Self::Connect(kind) => {
                kind.belongs_to(target, version, shared).map_err(|wrong| format!("connect: {wrong}"))
            }
            Self::Events(kind) => kind.belongs_to(target).map_err(|wrong| format!("events: {wrong}")),
            Self::Grpc(kind) => kind.belongs_to(target, version, shared).map_err(|wrong| format!("grpc: {wrong}")),
            Self::Rest(kind) => kind.belongs_to(target).map_err(|wrong| format!("rest: {wrong}")),
            Self::Soap(_) => soap::Soap::belongs_to(target).map_err(|wrong| format!("soap: {wrong}")),
        }
    }

    /// Called on one worker when a Program begins to serve.
    pub fn begin(&self, worker: &Rc<Worker>) {
        match self {
            Self::Connect(kind) => kind.begin(worker),
            Self::Grpc(kind) => kind.begin(worker),
            Self::Events(_) | Self::Graphql(_) | Self::Rest(_) | Self::Soap(_) => {}
        }
    }

    /// What would become of a request, in words.
    pub fn explain(&self, exchange: &Exchange) -> Value {
        match self {
            Self::Graphql(kind) => kind.explain(),
            Self::Connect(kind) => kind.explain(exchange),
            Self::Events(kind) => kind.explain(exchange),
            Self::Grpc(kind) => kind.explain(exchange),
            Self::Rest(kind) => kind.explain(exchange),
            Self::Soap(kind) => kind.explain(),
        }
    }

    /// As soon as the route is known: how the client speaks.
    pub fn recognise(&self, exchange: &mut Exchange, head: &RequestHead) {
        if let Self::Connect(_) = self {
            connect::Connect::recognise(exchange, head);
        }
    }

    /// Behind the policies that decide on requests, and before a cache: what is no request of this kind is refused.
    pub fn admit(&self, exchange: &mut Exchange, head: &RequestHead) -> Result<(), Error> {
        match self {
            Self::Connect(kind) => kind.admit(exchange, head),
            Self::Events(kind) => kind.admit(exchange, head),
            Self::Graphql(_) | Self::Grpc(_) | Self::Rest(_) | Self::Soap(_) => Ok(()),
        }
    }

    /// Whether it opens WebSockets itself, so that nobody else may.
    pub fn opens_websockets(&self) -> bool {
        matches!(self, Self::Events(kind) if kind.opens())
    }

    /// `link`: of the client, where one waits.
    pub async fn on_request(
        &self,
        worker: &Rc<Worker>,
        link: Option<&Rc<Link>>,
        exchange: &mut Exchange,
        request: Request<Body>,
    ) -> Result<Step, Error> {
        match self {
            Self::Graphql(kind) => kind.on_request(worker, exchange, request).await,
            Self::Connect(kind) => kind.on_request(worker, exchange, request).await,
            Self::Events(kind) => kind.on_request(worker, link, exchange, request),
            Self::Grpc(kind) => kind.on_request(worker, link, exchange, request).await,
            Self::Rest(kind) => kind.on_request(exchange, request).await,
            Self::Soap(kind) => {
                let (request, back) = kind.on_request(worker, exchange, request).await?;
                Ok(Step::Ask(request, Back::Soap(back)))
            }
        }
    }
}

impl Back {
    pub async fn on_answer(
        self,
        worker: &Rc<Worker>,
        exchange: &mut Exchange,
        answer: Response<Body>,
    ) -> Result<Response<Body>, Error> {
        match self {
            Self::Graphql(back) => back.on_answer(worker, answer).await,
            Self::Connect(back) => back.on_answer(answer).await,
            Self::Events(back) => back.on_answer(worker, exchange, answer),
            Self::Grpc(back) => back.on_answer(exchange, answer).await,
            Self::Rest(back) => back.on_answer(exchange, answer).await,
            Self::Soap(back) => back.on_answer(exchange, answer).await,
        }
    }
}

/// Where its version leads in place of the route's target.
fn of_version(exchange: &Exchange) -> Option<&Arc<Cluster>> {
    exchange.route.as_ref()?.policies.version.as_ref()?.cluster(exchange)
}

/// The clusters that a route and its version lead to, which have to speak gRPC.
fn of_grpc<'a>(target: &'a Target, version: Option<&'a Version>) -> Result<Vec<&'a Arc<Cluster>>, String> {
    let Target::Cluster(target) = target else {
        return Err("the target must be a cluster, whose services speak gRPC".to_owned());
    };
    let all: Vec<_> = std::iter::once(&target.cluster).chain(version.into_iter().flat_map(Version::clusters)).collect();
    match all.iter().find(|cluster| !cluster.speaks_http2()) {
        Some(cluster) => {
            Err(format!("the cluster '{}' speaks HTTP/1.1; gRPC needs 'protocol: h2c', or 'h2' over TLS", cluster.name))
        }
        None => Ok(all),
    }
}
