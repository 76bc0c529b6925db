//! By what the gateway proves itself to the endpoints of a cluster, whoever the request is for. What is always the same
//! and what is signed is put on each attempt; tokens are got before the first one (`tokens`).

mod exchange;
mod fixed;
mod kept;
mod message;
mod slot;
mod source;
mod tokens;
mod trailers;
mod webhook;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{request, HeaderName};
use serde_json::{json, Value};

pub use kept::Kept;
pub use source::assertion;
pub use tokens::Caller;
pub use webhook::Message;

use self::fixed::Fixed;
use self::message::MessageSignature;
use self::tokens::{Bearer, Tokens};
use self::webhook::Webhook;
use crate::error::{Error, Kind as ErrorKind};
use crate::identity;
use crate::policy::headers;
use crate::protocol::body::Body;
use crate::shared::Shared;
use crate::snapshot::{self, Snapshot};

pub struct Credentials {
    kind: Kind,
    /// The fields that are the gateway's own, lower-case.
    fields: Vec<HeaderName>,
}

enum Kind {
    Fixed(Fixed),
    Tokens(Box<Tokens>),
    Signature(Box<MessageSignature>),
    Webhook(Webhook),
}

impl Credentials {
    /// Of the cluster `name`. Every mistake, none of which shows a secret.
    pub fn new(name: &str, settings: &snapshot::Credentials, shared: &Shared) -> Result<Self, Vec<String>> {
        let (option, kind) = match settings {
            snapshot::Credentials::Headers(fields) => ("headers", Fixed::new(fields).map(Kind::Fixed)),
            snapshot::Credentials::Basic(user) => ("basic", Fixed::basic(user).map(Kind::Fixed)),
            snapshot::Credentials::ClientCredentials(settings) => {
                let tokens = Tokens::client_credentials(name, settings, &shared.tokens);
                ("client_credentials", tokens.map(|tokens| Kind::Tokens(Box::new(tokens))))
            }
            snapshot::Credentials::TokenExchange(settings) => {
                let tokens = Tokens::exchange(name, settings, &shared.tokens);
                ("token_exchange", tokens.map(|tokens| Kind::Tokens(Box::new(tokens))))
            }
            snapshot::Credentials::Signature(settings) => {
                let signature = MessageSignature::new(settings);
                ("signature", signature.map(|signature| Kind::Signature(Box::new(signature))))
            }
            snapshot::Credentials::Webhook(settings) => ("webhook", Webhook::new(settings).map(Kind::Webhook)),
        };
        let kind = kind.map_err(|wrong| {
            wrong.into_iter().map(|wrong| format!("credentials.{option}: {wrong}")).collect::<Vec<_>>()
        })?;
        let fields = match &kind {
            Kind::Fixed(fixed) => fixed.names(),
            Kind::Tokens(_) => vec![AUTHORIZATION],
            Kind::Signature(signature) => signature.names(),
            Kind::Webhook(_) => webhook::NAMES.to_vec(),
        };
        Ok(Self { kind, fields })
    }

    /// Before the first attempt: whatever could be taken for the credentials goes, under every spelling, and what is the
    /// same for all attempts comes. Reads the whole body where its content is signed, and is what `sign` needs of it.
    pub(super) async fn prepare(&self, head: &mut request::Parts, body: &mut Body) -> Result<Bytes, Error> {
        if !body.is_at_hand() {
            let (streamed, fields) = (std::mem::take(body), self.fields.clone());
            *body = Body::stream(trailers::Cleared { body: streamed, fields });
        }
        identity::clear(&self.fields, &mut head.headers);
        match &self.kind {
            Kind::Fixed(fixed) => {
                fixed.set(&mut head.headers);
                Ok(Bytes::new())
            }
            // Whoever sends without one is stopped here.
            Kind::Tokens(_) => match head.extensions.remove::<Bearer>() {
                Some(Bearer(value)) => {
                    head.headers.insert(AUTHORIZATION, value);
                    Ok(Bytes::new())
                }
                None => Err(unavailable("credentials: the request has no token".to_owned())),
            },
            Kind::Signature(signature) => signature.prepare(head, body).await.map(|()| Bytes::new()),
            Kind::Webhook(webhook) => webhook.prepare(head, body).await,
        }
    }

    /// For each attempt anew: a signature says when it was made, and is taken once. `content` is what `prepare` said.
    pub(super) fn sign(&self, head: &mut request::Parts, content: &[u8], scheme: &str) -> Result<(), Error> {
        let signed = match &self.kind {
            Kind::Fixed(_) | Kind::Tokens(_) => Ok(()),
            Kind::Signature(signature) => signature.sign(head, scheme),
            Kind::Webhook(webhook) => webhook.sign(head, content),
        };
        signed.map_err(|cause| unavailable(format!("credentials: {cause}")))
    }

    /// Where they are tokens.
    pub(crate) fn tokens(&self) -> Option<&Tokens> {
        match &self.kind {
            Kind::Tokens(tokens) => Some(tokens),
            _ => None,
        }
    }

    /// For people: the kind, and nothing secret.
    pub fn describe(&self) -> Value {
        match &self.kind {
            Kind::Fixed(fixed) => fixed.describe(),
            Kind::Tokens(tokens) => tokens.describe(),
            Kind::Signature(signature) => signature.describe(),
            Kind::Webhook(webhook) => json!({"webhook": {"secrets": webhook.secrets()}}),
        }
    }
}

/// What the credentials of clusters say of the rest of the configuration.
pub fn check(snapshot: &Snapshot, errors: &mut Vec<String>) {
    for (name, cluster) in &snapshot.clusters {
        let Some((option, client)) = cluster.credentials.as_ref().and_then(snapshot::Credentials::client) else {
            continue;
        };
        let mut wrong = |what: String| errors.push(format!("cluster '{name}': credentials.{option}: {what}"));
        let mut through: Vec<&String> = client.token_endpoint.iter().filter_map(|one| one.cluster.as_ref()).collect();
        if let Some(issuer) = &client.issuer {
            let Some(settings) = snapshot.issuers.get(issuer) else {
                wrong(format!("there is no issuer '{issuer}'"));
                continue;
            };
            if settings.source.is_none() && !settings.endpoints.contains_key("token") {
                wrong(format!("the issuer '{issuer}' has no token endpoint"));
            }
            through.extend(settings.endpoints.get("token").and_then(|endpoint| endpoint.cluster.as_ref()));
        }
        for through in through {
            match snapshot.clusters.get(through) {
                None => wrong(format!("there is no cluster '{through}'")),
                Some(cluster) if cluster.credentials.is_some() => wrong(format!(
                    "its tokens come through the cluster '{through}', which cannot have credentials of its own"
                )),
                Some(_) => {}
            }
        }
    }
}

impl snapshot::Credentials {
    fn client(&self) -> Option<(&'static str, &snapshot::TokenClient)> {
        match self {
            Self::ClientCredentials(settings) => Some(("client_credentials", &settings.client)),
            Self::TokenExchange(settings) => Some(("token_exchange", &settings.client)),
            _ => None,
        }
    }
}

/// A field that may carry a credential: not one by which requests are framed, routed or vouched for.
fn field(name: &str) -> Result<HeaderName, String> {
    let known = HeaderName::from_bytes(name.as_bytes()).ok().filter(|known| {
        !headers::is_reserved(known)
            && !identity::is_reserved(known.as_str())
            && !identity::spells(known.as_str(), "x-forwarded-")
            && !matches!(known.as_str(), "forwarded" | "via" | "traceparent" | "tracestate")
    });
    known.ok_or_else(|| format!("'{name}' is not a header that can be set"))
}

fn unavailable(cause: String) -> Error {
    Error::new(ErrorKind::CredentialsUnavailable, "The gateway cannot prove itself to the service now").cause(cause)
}
