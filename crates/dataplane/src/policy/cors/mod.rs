//! Cross-origin resource sharing: the server's side of the Fetch standard, §3.2.

mod explain;
mod origin;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use serde_json::{json, Value};

pub(super) use origin::is_origin;

use super::{Flow, RequestHead, ResponseHead};
use crate::exchange::Exchange;
use crate::protocol::body::Body;
use crate::snapshot;
use origin::Origin;

const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

pub struct Cors {
    /// None is `*`.
    origins: Option<Vec<Origin>>,
    /// For preflights; None is whatever is asked for.
    methods: Option<HeaderValue>,
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    credentials: bool,
    /// Whether pages of the public network may ask here, in a private one.
    private_network: bool,
    max_age: HeaderValue,
}

impl Cors {
    pub fn new(settings: &snapshot::Cors) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let any = settings.origins.iter().any(|origin| origin == "*");
        if any && settings.credentials {
            errors.push("credentials are never allowed for the origin '*'; name the origins".to_owned());
        }
        if any && settings.origins.len() > 1 {
            errors.push("the origin '*' stands alone".to_owned());
        }
        if settings.origins.is_empty() {
            errors.push("it allows no origin".to_owned());
        }
        if settings.credentials && settings.origins.iter().any(|origin| origin == "null") {
            errors.push(
                "credentials are never allowed for the origin 'null': every page can make itself that".to_owned(),
            );
        }
        let origins = settings.origins.iter().filter(|_| !any).filter_map(|origin| match Origin::parse(origin) {
            Ok(origin) => Some(origin),
            Err(wrong) => {
                errors.push(wrong);
                None
            }
        });
        let origins = (!any).then_some(origins.collect());
        let mut list = |what: &str, names: &[String], wild: bool| {
            for name in names.iter().filter(|name| !(wild && *name == "*")) {
                if *name == "*" {
                    errors.push(format!("{what}: '*' is not a name with credentials"));
                } else if HeaderName::from_bytes(name.as_bytes()).is_err() {
                    errors.push(format!("{what}: '{name}' is not a name"));
                }
            }
            HeaderValue::from_str(&names.join(", ")).ok().filter(|value| !value.is_empty())
        };
        let wild = |names: &[String]| names.iter().any(|name| name == "*");
        let methods = list("methods", &settings.methods, true).filter(|_| !wild(&settings.methods));
        let headers = list("headers", &settings.headers, true).filter(|_| !wild(&settings.headers));
        // With credentials a browser takes `*` here literally, so it would be a mistake.
        let expose = list("expose", &settings.expose, !settings.credentials);
        if !errors.is_empty() {
            return Err(errors);
        }
        // An empty list is not the same as any.
        let none = HeaderValue::from_static("");
        Ok(Self {
            origins,
            methods: methods.or((!wild(&settings.methods)).then(|| none.clone())),
            headers: headers.or((!wild(&settings.headers)).then_some(none)),
            expose,
            credentials: settings.credentials,
            private_network: settings.private_network,
            max_age: HeaderValue::from(settings.max_age_s),
        })
    }

    pub fn describe(&self) -> Value {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let list = |value: &Option<HeaderValue>| value.as_ref().map_or_else(|| "*".to_owned(), text);
        json!({
            "origins": self.origins.as_ref().map_or_else(|| vec!["*".to_owned()], |all| all.iter().map(Origin::text).collect()),
            "methods": list(&self.methods),
            "headers": list(&self.headers),
            "expose": self.expose.as_ref().map(text),
            "credentials": self.credentials,
            "private_network": self.private_network,
            "max_age_s": text(&self.max_age).parse::<u64>().ok(),
        })
    }

    /// Answers a preflight; any other request goes on and is remembered to be cross-origin.
    pub fn on_request(&self, exchange: &mut Exchange, head: &RequestHead) -> Flow {
        let Some(origin) = head.headers.get(header::ORIGIN) else {
            return Flow::Continue;
        };
        let asked = head.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        exchange.origin = Some(origin.clone());
        match asked.filter(|_| head.method == Method::OPTIONS) {
            Some(method) => Flow::Respond(self.preflight(origin, method, head)),
            None => Flow::Continue,
        }
    }

    fn preflight(&self, origin: &HeaderValue, method: &HeaderValue, head: &RequestHead) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        self.vary(headers, header::ORIGIN);
        if self.methods.is_none() {
            headers.append(header::VARY, HeaderValue::from_static("access-control-request-method"));
        }
        if self.headers.is_none() {
            headers.append(header::VARY, HeaderValue::from_static("access-control-request-headers"));
        }
        if self.private_network {
            headers.append(header::VARY, REQUEST_PRIVATE_NETWORK.into());
        }
        // Without these headers the browser refuses; the status is not what tells it.
        if self.allows(origin) {
            let asked = head.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
            let methods = self.methods.as_ref().unwrap_or(method);
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
            if let Some(names) = self.headers.as_ref().or(asked).filter(|names| !names.is_empty()) {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
            }
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
            if self.private_network && head.headers.get(REQUEST_PRIVATE_NETWORK).is_some_and(|asked| asked == "true") {
                headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
            }
        }
        response
    }

    /// What the target says of CORS is replaced: the policy decides.
    pub fn on_response(&self, exchange: &Exchange, head: &mut ResponseHead) {
        let headers = &mut head.headers;
        headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        headers.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
        headers.remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
        self.vary(headers, header::ORIGIN);
        let Some(origin) = exchange.origin.as_ref().filter(|origin| self.allows(origin)) else {
            return;
        };
        match self.origins {
            Some(_) => headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            None => headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        };
        if self.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        // Only what is not an answer to a preflight exposes anything.
        if let Some(expose) = self.expose.as_ref().filter(|_| exchange.method != Method::OPTIONS) {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        self.origins.as_ref().is_none_or(|origins| origins.iter().any(|one| one.matches(origin)))
    }

    /// A cache must not give one origin's answer to another (Fetch §3.2.5), also when this request had no origin.
    fn vary(&self, headers: &mut HeaderMap, name: HeaderName) {
        let named = |value: &HeaderValue| {
            let mut names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            names.any(|known| known == b"*" || known.eq_ignore_ascii_case(name.as_str().as_bytes()))
        };
        if self.origins.is_some() && !headers.get_all(header::VARY).iter().any(named) {
            headers.append(header::VARY, name.into());
        }
    }
}
