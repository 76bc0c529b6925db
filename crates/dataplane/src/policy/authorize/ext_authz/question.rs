//! What an authorizer is asked about: the request as it would be forwarded, and who has sent it.

use bytes::Bytes;
use http::{header, HeaderName};
use serde_json::{json, Value};

use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::RequestHead;
use crate::protocol::body::Body;
use crate::snapshot;

pub struct Question<'a> {
    pub exchange: &'a Exchange,
    pub head: &'a RequestHead,
    /// Those that it may see, by name; several of one name joined.
    pub headers: Vec<(&'a HeaderName, String)>,
    pub content: Option<Content>,
}

/// Content of the request, or its beginning.
pub struct Content {
    pub bytes: Bytes,
    pub whole: bool,
    pub raw: bool,
}

/// Headers that an authorizer may see.
pub enum Visible {
    All,
    Named(Vec<HeaderName>),
}

impl Visible {
    pub fn new(names: &[String]) -> Result<Self, String> {
        if names.iter().any(|name| name == "*") {
            return match names.len() {
                1 => Ok(Self::All),
                _ => Err("'*' stands alone".to_owned()),
            };
        }
        let parse = |name: &String| {
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("'{name}' is not a header name"))
        };
        Ok(Self::Named(names.iter().map(parse).collect::<Result<_, _>>()?))
    }

    pub fn contains(&self, name: &HeaderName) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(name),
        }
    }

    pub fn describe(&self) -> Value {
        match self {
            Self::All => json!(["*"]),
            Self::Named(names) => names.iter().map(HeaderName::as_str).collect(),
        }
    }
}

impl Content {
    pub async fn read(settings: &snapshot::ExtAuthzBody, body: &mut Body) -> Result<Self, Error> {
        let (mut bytes, whole) = match settings.partial {
            true => body.first(settings.max).await?,
            false => (body.buffer(settings.max).await?, true),
        };
        if settings.raw {
            return Ok(Self { bytes, whole, raw: true });
        }
        match std::str::from_utf8(&bytes) {
            Ok(_) => {}
            // The beginning may end within a character.
            Err(error) if !whole && error.error_len().is_none() => bytes.truncate(error.valid_up_to()),
            Err(_) => return Err(Error::new(Kind::InvalidBody, "Here the request's content is text")),
        }
        Ok(Self { bytes, whole, raw: false })
    }
}

impl<'a> Question<'a> {
    pub fn new(exchange: &'a Exchange, head: &'a RequestHead, visible: &Visible, content: Option<Content>) -> Self {
        let names = head.headers.keys().filter(|name| visible.contains(name));
        let headers = names.map(|name| {
            let values: Vec<_> =
                head.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            // RFC 6265 §5.4: of cookies there is one list, and commas are part of their values.
            (name, values.join(if name == header::COOKIE { "; " } else { "," }))
        });
        Self { exchange, head, headers: headers.collect(), content }
    }

    pub fn host(&self) -> String {
        String::from_utf8_lossy(self.exchange.host.as_bytes()).into_owned()
    }

    /// What the gateway knows of the caller.
    pub fn knowledge(&self) -> Value {
        let consumer = self.exchange.consumer.as_deref().map(|consumer| {
            json!({
                "name": &*consumer.name, "groups": consumer.groups, "scopes": consumer.scopes,
                "plan": consumer.plan.as_deref(), "scheme": consumer.scheme, "claims": consumer.claims,
            })
        });
        json!({"route": self.exchange.route.as_ref().map(|route| &*route.id), "consumer": consumer})
    }
}
