//! Streams that go one way, between the two ways in which pages get them: server-sent events of a service for clients of
//! WebSocket, and messages of a WebSocket service for clients of event streams. A request of the kind that the service
//! speaks itself passes as it is.

mod envelope;
mod socket;
mod source;
mod stream;

use std::borrow::Cow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{json, Value};

use crate::cluster::{Patience, Tunnel};
use crate::error::{Error, Kind};
use crate::exchange::{Exchange, Rewritten};
use crate::policy::translate::{self, Step};
use crate::policy::RequestHead;
use crate::protocol::body::Body;
use crate::protocol::link::Link;
use crate::protocol::upgrade::{Full, Grant};
use crate::snapshot::{self, EventService};
use crate::target::Target;
use crate::worker::Worker;
use socket::Socket;
use source::{Origin, Reconnect, Source, LAST_EVENT_ID};
use stream::Stream;

/// What belongs to one connection's handshake.
const HANDSHAKE: [HeaderName; 4] =
    [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL];

pub struct Events {
    service: Service,
    last_event_id: Option<Box<str>>,
    subprotocol: Option<HeaderValue>,
    connections: usize,
    description: Value,
}

enum Service {
    EventStream { manner: socket::Manner, reconnect: Option<Reconnect>, drain: Duration },
    Websocket { manner: stream::Manner },
}

/// A client of WebSocket that is to get events.
#[derive(Debug)]
pub struct Opening {
    grant: Rc<Grant>,
    /// What the client has asked with, where it is HTTP/1.1.
    accept: Option<HeaderValue>,
    subprotocol: Option<HeaderValue>,
}

/// What is known of a request when its answer comes.
pub enum Back {
    Open(Box<Open>),
    Listen(Listen),
}

pub struct Open {
    origin: Origin,
    opening: Opening,
    manner: socket::Manner,
    reconnect: Option<Reconnect>,
}

pub struct Listen {
    link: Option<Rc<Link>>,
    /// When all of it must be over.
    until: Instant,
    manner: stream::Manner,
}

impl Back {
    /// What is not what was asked for is the client's answer, where it is no success.
    pub fn on_answer(
        self,
        worker: &Rc<Worker>,
        exchange: &mut Exchange,
        answer: Response<Body>,
    ) -> Result<Response<Body>, Error> {
        match self {
            Self::Open(_) if !answer.status().is_success() => Ok(answer),
            Self::Open(open) => open.on_answer(answer),
            Self::Listen(listen) => listen.on_answer(worker, exchange, answer),
        }
    }
}

impl Open {
    fn on_answer(self, answer: Response<Body>) -> Result<Response<Body>, Error> {
        let mut headers = answer.headers().clone();
        let body = source::content(answer)?;
        let source = Source::new(self.origin, body, self.reconnect, self.manner.most);
        for name in [CONTENT_TYPE, CONTENT_LENGTH] {
            headers.remove(name);
        }
        headers.extend(self.opening.accept.map(|accept| (SEC_WEBSOCKET_ACCEPT, accept)));
        headers.extend(self.opening.subprotocol.map(|own| (SEC_WEBSOCKET_PROTOCOL, own)));
        let tunnel = Tunnel::made(self.opening.grant, Socket::new(source, self.manner));
        let mut response = Response::new(Body::tunnel(tunnel));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

impl Listen {
    fn on_answer(
        self,
        worker: &Rc<Worker>,
        exchange: &mut Exchange,
        answer: Response<Body>,
    ) -> Result<Response<Body>, Error> {
        exchange.grant = None;
        let (head, mut body) = answer.into_parts();
        let Some(tunnel) = body.take_tunnel() else {
            return match head.status.is_success() {
                true => Err(Error::new(Kind::BadReply, "the service did not open a WebSocket")),
                false => Ok(Response::from_parts(head, body)),
            };
        };
        // The cluster's time was for the handshake.
        exchange.deadline = self.until;
        if let Some(link) = &self.link {
            link.deadline.set(Some(self.until));
        }
        let deadline = worker.pools.deadline(Patience { until: self.until, idle: exchange.stream_idle() });
        let mut response = Response::new(Body::stream(Stream::new(tunnel, self.manner, deadline)));
        let headers = response.headers_mut();
        *headers = head.headers;
        for name in [SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_EXTENSIONS] {
            headers.remove(name);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

/// The settings of both services beside those of one.
fn merged(mut described: Value, settings: &snapshot::TranslateEvents) -> Value {
    described["messages"] = if settings.envelope { "envelope".into() } else { "data".into() };
    described["last_event_id"] = settings.last_event_id.clone().into();
    described["subprotocol"] = settings.subprotocol.clone().into();
    described["keep_alive_ms"] = settings.keep_alive_ms.into();
    described["message_bytes"] = settings.message_bytes.into();
    described["connections"] = settings.connections.into();
    described
}

fn full() -> Error {
    Error::new(Kind::Overloaded, "As many WebSockets as the route allows are open")
}

impl Events {
    pub fn new(settings: &snapshot::TranslateEvents) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let keep_alive = Duration::from_millis(settings.keep_alive_ms);
        if keep_alive.is_zero() || settings.message_bytes == 0 || settings.connections == 0 {
            errors.push("times, sizes and numbers must be more than 0".to_owned());
        }
        let subprotocol = settings.subprotocol.as_deref().map(HeaderValue::from_str).transpose();
        let subprotocol = subprotocol.map_err(|_| errors.push("the subprotocol is not a token".to_owned()));
        let most = settings.message_bytes;
        let envelope = settings.envelope;
        let (service, described) = match &settings.service {
            EventService::EventStream { refuse_messages, drain_ms, reconnect } => {
                let manner = socket::Manner { envelope, refuses_messages: *refuse_messages, ping: keep_alive, most };
                let reconnect = reconnect.as_ref().map(|settings| Reconnect {
                    delay: Duration::from_millis(settings.delay_ms),
                    attempts: settings.attempts,
                });
                let described = json!({
                    "service": "event_stream", "client_messages": if *refuse_messages { "refuse" } else { "ignore" },
                    "reconnect": reconnect.map(|each| json!({
                        "delay_ms": each.delay.as_millis() as u64, "attempts": each.attempts,
                    })),
                });
                (Service::EventStream { manner, reconnect, drain: Duration::from_millis(*drain_ms) }, described)
            }
            EventService::Websocket { binary } => {
                let manner = stream::Manner { envelope, takes_binary: *binary, keep_alive, most };
                let described = json!({"service": "websocket", "binary": if *binary { "base64" } else { "refuse" }});
                (Service::Websocket { manner }, described)
            }
        };
        match (errors.is_empty(), subprotocol) {
            (true, Ok(subprotocol)) => Ok(Self {
                service,
                last_event_id: settings.last_event_id.as_deref().map(Into::into),
                subprotocol,
                connections: settings.connections,
                description: merged(described, settings),
            }),
            _ => Err(errors),
        }
    }

    pub fn describe(&self) -> Value {
        self.description.clone()
    }

    /// Errors: the route's target is none that it can stand before.
    pub fn belongs_to(&self, target: &Target) -> Result<(), String> {
        match target {
            Target::Cluster(_) => Ok(()),
            _ => Err("the target must be a cluster".to_owned()),
        }
    }

    /// What would become of a request.
    pub fn explain(&self, exchange: &Exchange) -> Value {
        let handshake = exchange.wish.is_some();
        let word = match &self.service {
            Service::EventStream { .. } if handshake => "events become messages of a WebSocket",
            Service::Websocket { .. } if !handshake => "messages of a WebSocket become events",
            Service::EventStream { .. } | Service::Websocket { .. } => "it passes as it is",
        };
        json!({"decision": "passes", "why": word})
    }

    /// Whether it answers a WebSocket's handshake itself.
    pub fn opens(&self) -> bool {
        matches!(self.service, Service::EventStream { .. })
    }

    /// Takes a WebSocket's handshake that is for the gateway itself.
    pub fn admit(&self, exchange: &mut Exchange, head: &RequestHead) -> Result<(), Error> {
        let Service::EventStream { manner, drain, .. } = &self.service else { return Ok(()) };
        let (Some(wish), Some(route)) = (&exchange.wish, &exchange.route) else { return Ok(()) };
        let place = || route.metrics.enter_tunnel(self.connections);
        // Pings keep bytes moving as long as somebody is there.
        let times = (manner.ping.saturating_mul(2), *drain);
        let grant = match Grant::new(wish, &["websocket".into()], times, place) {
            None => return Ok(()),
            Some(Err(Full)) => return Err(full()),
            Some(Ok(grant)) => grant,
        };
        if head.headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            let error = Error::new(Kind::BadRequest, "The only version of WebSocket that is spoken here is 13");
            return Err(error.header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")));
        }
        let accept = (!wish.extended).then(|| grant.accept(&head.headers)).transpose()?;
        let subprotocol = self.subprotocol.clone().filter(|own| offers(&head.headers, own));
        exchange.wish = None;
        exchange.opening = Some(Opening { grant, accept, subprotocol });
        Ok(())
    }

    pub fn on_request(
        &self,
        worker: &Rc<Worker>,
        link: Option<&Rc<Link>>,
        exchange: &mut Exchange,
        request: Request<Body>,
    ) -> Result<Step, Error> {
        match &self.service {
            Service::EventStream { manner, reconnect, .. } => match exchange.opening.take() {
                Some(opening) => self.open(worker, exchange, request, opening, (*manner, *reconnect)),
                None => Ok(Step::Pass(request)),
            },
            Service::Websocket { manner } if exchange.grant.is_none() => self.listen(link, exchange, request, *manner),
            Service::Websocket { .. } => Ok(Step::Pass(request)),
        }
    }

    /// Events for a client of WebSocket.
    fn open(
        &self,
        worker: &Rc<Worker>,
        exchange: &mut Exchange,
        request: Request<Body>,
        opening: Opening,
        (manner, reconnect): (socket::Manner, Option<Reconnect>),
    ) -> Result<Step, Error> {
        let (mut head, _nothing) = request.into_parts();
        for name in HANDSHAKE {
            head.headers.remove(name);
        }
        head.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(last) = self.take_parameter(exchange) {
            let last = HeaderValue::from_str(&last)
                .map_err(|error| Error::new(Kind::BadRequest, "The last event's id is not valid").cause(error))?;
            head.headers.insert(LAST_EVENT_ID, last);
        }
        let route = exchange.route.clone().ok_or_else(|| Error::new(Kind::Internal, "There is no route"))?;
        let origin = Origin {
            worker: worker.clone(),
            route,
            exchange: exchange.again(),
            rewritten: exchange.rewritten.clone(),
            head: head.clone(),
            until: exchange.deadline,
        };
        let back = Back::Open(Box::new(Open { origin, opening, manner, reconnect }));
        Ok(Step::Ask(Request::from_parts(head, Body::empty()), translate::Back::Events(back)))
    }

    /// Messages of a WebSocket for a client of an event stream.
    fn listen(
        &self,
        link: Option<&Rc<Link>>,
        exchange: &mut Exchange,
        request: Request<Body>,
        manner: stream::Manner,
    ) -> Result<Step, Error> {
        if request.method() != Method::GET {
            let error = Error::new(Kind::MethodNotAllowed, "Events are asked for with GET");
            return Err(error.header(ALLOW, HeaderValue::from_static("GET")));
        }
        let place = exchange.route.as_ref().and_then(|route| route.metrics.enter_tunnel(self.connections));
        exchange.grant = Some(place.and_then(Grant::own).ok_or_else(full)?);
        let (mut head, _nothing) = request.into_parts();
        for name in HANDSHAKE {
            head.headers.remove(name);
        }
        head.headers.remove(ACCEPT_ENCODING);
        head.headers.remove(CONTENT_LENGTH);
        head.headers.extend(self.subprotocol.clone().map(|own| (SEC_WEBSOCKET_PROTOCOL, own)));
        if let Some(last) = head.headers.get(LAST_EVENT_ID) {
            let last = last.to_str().map(str::to_owned);
            let last = last.map_err(|_| Error::new(Kind::BadRequest, "Last-Event-ID is not plain text"))?;
            self.put_parameter(exchange, &last);
        }
        let back = Back::Listen(Listen { link: link.cloned(), until: exchange.deadline, manner });
        Ok(Step::Ask(Request::from_parts(head, Body::empty()), translate::Back::Events(back)))
    }

    /// The last event's id that the query has; it is taken out.
    fn take_parameter(&self, exchange: &mut Exchange) -> Option<String> {
        let name = self.last_event_id.as_deref()?;
        let query = current_query(exchange)?.into_owned();
        let is_it = |pair: &&str| decoded(pair.split('=').next().unwrap_or_default()) == name;
        let found = query.split('&').find(is_it)?;
        let value = decoded(found.split_once('=').map_or("", |(_, value)| value)).into_owned();
        let rest: Vec<&str> = query.split('&').filter(|pair| !is_it(pair)).collect();
        rewrite(exchange, rest.join("&"));
        Some(value).filter(|value| !value.is_empty())
    }

    fn put_parameter(&self, exchange: &mut Exchange, last: &str) {
        let Some(name) = self.last_event_id.as_deref() else { return };
        let mut query = current_query(exchange).unwrap_or_default().into_owned();
        if !query.is_empty() {
            query.push('&');
        }
        let encode = |text| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        query.push_str(&format!("{}={}", encode(name), encode(last)));
        rewrite(exchange, query);
    }
}

/// What the cluster will be asked with.
fn current_query(exchange: &Exchange) -> Option<Cow<'_, str>> {
    let rewritten = exchange.rewritten.as_ref().and_then(|rewritten| rewritten.query.as_deref());
    rewritten.or(exchange.query()).map(Cow::Borrowed)
}

fn rewrite(exchange: &mut Exchange, query: String) {
    exchange.rewritten.get_or_insert_with(|| Box::new(Rewritten::default())).query = Some(query);
}

/// Of a form (URL Standard §5.1).
fn decoded(text: &str) -> Cow<'_, str> {
    match text.contains('+') {
        true => percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned().into(),
        false => percent_encoding::percent_decode_str(text).decode_utf8_lossy(),
    }
}

/// Whether a client's list of subprotocols has this one.
fn offers(headers: &HeaderMap, own: &HeaderValue) -> bool {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    offered
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|each| each.trim_ascii() == own.as_bytes())
}
