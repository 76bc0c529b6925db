//! What a client asks to go over to (RFC 9110 §7.8, and RFC 8441 for WebSocket over HTTP/2), and on what terms it may.
//! The bytes that follow are `tunnel`'s matter.

use std::rc::Rc;
use std::time::Duration;

use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TE, UPGRADE};
use http::{request, response, HeaderMap, HeaderValue, Method, Version};
use http_body::Body as _;
use sha1::{Digest, Sha1};

use super::base64;
use super::body::Body;
use crate::error::{Error, Kind};
use crate::telemetry::metrics::TunnelPlace;

/// Protocols of one request that are looked at; more are passed over.
const PROTOCOLS: usize = 8;

const WEBSOCKET: &[u8] = b"websocket";
/// RFC 6455 §1.3.
const WEBSOCKET_ID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a request asks for. It is granted by a policy, or the request goes on without it.
#[derive(Debug)]
pub struct Wish {
    /// As the client wrote them, in its order.
    protocols: Vec<HeaderValue>,
    /// Asked by an extended CONNECT: nothing else would be an answer to it.
    pub extended: bool,
}

impl Wish {
    /// To be called before hop-by-hop fields are removed. None: nothing is asked for, or not in a way that can be granted,
    /// and the request is a plain one. An extended CONNECT becomes the GET that it stands for.
    pub fn take(head: &mut request::Parts, body: &Body) -> Option<Box<Self>> {
        if head.version == Version::HTTP_2 && head.method == Method::CONNECT {
            let protocol = head.extensions.remove::<h2::ext::Protocol>()?;
            if !protocol.as_str().eq_ignore_ascii_case("websocket") {
                return None;
            }
            head.method = Method::GET;
            return Some(Box::new(Self { protocols: vec![HeaderValue::from_static("websocket")], extended: true }));
        }
        let asks = head.headers.contains_key(UPGRADE)
            && head.version == Version::HTTP_11
            && head.method == Method::GET
            && body.size_hint().exact() == Some(0)
            && elements(&head.headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case(b"upgrade"));
        if !asks {
            return None;
        }
        let protocols = elements(&head.headers, &UPGRADE).take(PROTOCOLS);
        let protocols: Vec<_> = protocols.filter_map(|protocol| HeaderValue::from_bytes(protocol).ok()).collect();
        (!protocols.is_empty()).then(|| Box::new(Self { protocols, extended: false }))
    }

    /// The first of what is asked for that is allowed.
    pub fn choose(&self, allowed: &[Box<str>]) -> Option<&HeaderValue> {
        let is_allowed = |asked: &&HeaderValue| {
            allowed.iter().any(|protocol| protocol.as_bytes().eq_ignore_ascii_case(asked.as_bytes()))
        };
        self.protocols.iter().find(is_allowed)
    }
}

/// The elements of a list field.
fn elements<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// What a route allows a request to go over to.
#[derive(Debug)]
pub struct Grant {
    /// As the client wrote it.
    pub protocol: HeaderValue,
    /// Between two bytes, whichever way they go.
    pub idle: Duration,
    /// How long the tunnel may live on once the gateway drains.
    pub drain: Duration,
    challenge: Option<Challenge>,
    _place: TunnelPlace,
}

/// The key that we ask an endpoint with, where the client has none (RFC 6455 §4.1), and the answer that proves that the
/// endpoint speaks WebSocket.
#[derive(Debug)]
struct Challenge {
    key: HeaderValue,
    accept: Vec<u8>,
}

impl Grant {
    /// None where the wish is for other protocols.
    pub fn new(
        wish: &Wish,
        allowed: &[Box<str>],
        times: (Duration, Duration),
        place: impl FnOnce() -> Option<TunnelPlace>,
    ) -> Option<Result<Rc<Self>, Full>> {
        let protocol = wish.choose(allowed)?.clone();
        let Some(place) = place() else { return Some(Err(Full)) };
        let challenge = wish.extended.then(Challenge::new).flatten();
        Some(Ok(Rc::new(Self { protocol, idle: times.0, drain: times.1, challenge, _place: place })))
    }

    /// To a WebSocket that the gateway itself asks for and reads. None: no key could be made.
    pub fn own(place: TunnelPlace) -> Option<Rc<Self>> {
        let (idle, drain) = (Duration::MAX, Duration::ZERO);
        let challenge = Some(Challenge::new()?);
        Some(Rc::new(Self { protocol: HeaderValue::from_static("websocket"), idle, drain, challenge, _place: place }))
    }

    pub fn is_websocket(&self) -> bool {
        self.protocol.as_bytes().eq_ignore_ascii_case(WEBSOCKET)
    }

    /// What an endpoint that speaks HTTP/1.1 would answer to the key in these headers (RFC 6455 §4.2.2).
    ///
    /// Errors: `BadRequest` where there is none.
    pub fn accept(&self, headers: &HeaderMap) -> Result<HeaderValue, Error> {
        let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| Error::new(Kind::BadRequest, "Sec-WebSocket-Key is missing"))?;
        HeaderValue::from_bytes(&accept(key.as_bytes()))
            .map_err(|error| Error::new(Kind::Internal, "the answer to a handshake could not be made").cause(error))
    }

    /// Asks the endpoint.
    pub fn ask(&self, headers: &mut HeaderMap) {
        headers.remove(TE);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
        if let Some(challenge) = &self.challenge {
            headers.insert(SEC_WEBSOCKET_KEY, challenge.key.clone());
            headers.entry(SEC_WEBSOCKET_VERSION).or_insert(HeaderValue::from_static("13"));
        }
    }

    /// What is wrong with a 101.
    pub fn check(&self, answer: &response::Parts) -> Result<(), &'static str> {
        let mut named = elements(&answer.headers, &UPGRADE);
        let right = named.next().is_some_and(|name| name.eq_ignore_ascii_case(self.protocol.as_bytes()));
        if !right || named.next().is_some() {
            return Err("the service switched to another protocol than it was asked for");
        }
        let proof = answer.headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
        match &self.challenge {
            Some(challenge) if proof != Some(&challenge.accept) => {
                Err("the service's Sec-WebSocket-Accept does not fit the key that it was sent")
            }
            _ => Ok(()),
        }
    }
}

/// As many tunnels as the route allows are open.
#[derive(Debug)]
pub struct Full;

fn accept(key: &[u8]) -> Vec<u8> {
    base64::encode(&Sha1::new().chain_update(key).chain_update(WEBSOCKET_ID).finalize())
}

impl Challenge {
    fn new() -> Option<Self> {
        let key = base64::encode(&fastrand::u128(..).to_be_bytes());
        let accept = accept(&key);
        HeaderValue::from_bytes(&key).ok().map(|key| Self { key, accept })
    }
}
