//! Where tokens come from: the gateway as a client of a token endpoint.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{json, Value};
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use super::slot::{Fetch, Fingerprint};
use crate::keys::{Algorithm, SigningKey};
use crate::policy::authenticate::client::{Client, Key};
use crate::policy::authenticate::issuer::endpoint::Endpoint;
use crate::policy::authenticate::issuer::token_endpoint::{self, Failed, TokenType, Tokens};
use crate::snapshot::{self, ClientAuthentication};
use crate::worker::Worker;

pub(super) struct Source {
    place: Place,
    client: Client,
    settings: snapshot::TokenClient,
    /// Of its secret or key: a token that was got with another one is renewed.
    pub(super) fingerprint: Fingerprint,
}

enum Place {
    /// Of the Program at the time of a request, which may have learned where its endpoint is.
    Issuer(String),
    Endpoint(Arc<Endpoint>),
}

/// What is asked for beside scopes, audiences and resources.
pub(super) struct Grant {
    pub(super) pairs: Vec<(&'static str, String)>,
    pub(super) taken: TokenType,
    /// What `issued_token_type` must be, where it is there.
    pub(super) issued: Option<String>,
    /// Of those that are under way at once.
    pub(super) places: Option<Arc<Semaphore>>,
}

impl Source {
    pub(super) fn new(settings: &snapshot::TokenClient) -> Result<Self, Vec<String>> {
        let place = match (&settings.issuer, &settings.token_endpoint) {
            (Some(issuer), None) => Place::Issuer(issuer.clone()),
            (None, Some(endpoint)) => {
                let endpoint = Endpoint::new(endpoint).map_err(|wrong| vec![format!("token_url: {wrong}")])?;
                Place::Endpoint(Arc::new(endpoint))
            }
            _ => return Err(vec!["it needs an issuer or the URL of a token endpoint, and not both".to_owned()]),
        };
        let client = client(settings).map_err(|wrong| vec![wrong])?;
        let mut context = Context::new(&SHA256);
        for secret in [&settings.client_secret, &settings.private_key].into_iter().flatten() {
            context.update(secret.reveal().as_bytes());
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        Ok(Self { place, client, settings: settings.clone(), fingerprint })
    }

    pub(super) fn fetch(self: &Arc<Self>, grant: Grant, worker: &Rc<Worker>) -> Fetch {
        let (source, worker) = (self.clone(), worker.clone());
        Box::pin(async move { source.ask(grant, &worker).await })
    }

    async fn ask(&self, grant: Grant, worker: &Rc<Worker>) -> Result<Tokens, Failed> {
        let timeout = Duration::from_millis(self.settings.timeout_ms);
        let deadline = Instant::now() + timeout;
        let _place = match &grant.places {
            None => None,
            Some(places) => {
                let place = timeout_at(deadline.into(), places.clone().acquire_owned()).await;
                Some(place.map_err(|_| Failed::Unavailable("too many exchanges are under way".to_owned()))?)
            }
        };
        let endpoint = self.endpoint(deadline, worker).await?;
        let scopes = self.settings.scopes.join(" ");
        let mut pairs: Vec<(&str, &str)> = grant.pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if !scopes.is_empty() {
            pairs.push(("scope", &scopes));
        }
        pairs.extend(self.settings.audience.iter().map(|audience| ("audience", audience.as_str())));
        pairs.extend(self.settings.resource.iter().map(|resource| ("resource", resource.as_str())));
        let tokens =
            token_endpoint::ask(&endpoint, &self.client, &pairs, grant.taken, (timeout, deadline), worker).await?;
        match (&tokens.issued_token_type, &grant.issued) {
            (Some(issued), Some(wanted)) if issued != wanted => {
                Err(Failed::Unavailable("its token is of another type than was asked for".to_owned()))
            }
            _ => Ok(tokens),
        }
    }

    /// Waits for the issuer's metadata, if it is not there yet.
    async fn endpoint(&self, deadline: Instant, worker: &Rc<Worker>) -> Result<Arc<Endpoint>, Failed> {
        let name = match &self.place {
            Place::Endpoint(endpoint) => return Ok(endpoint.clone()),
            Place::Issuer(name) => name,
        };
        let unknown = || Failed::Unavailable(format!("it is not known where that of the issuer '{name}' is"));
        let program = worker.program();
        let issuer = program.issuers.get(name).ok_or_else(unknown)?;
        if let Some(endpoint) = issuer.endpoint("token") {
            return Ok(endpoint);
        }
        issuer.fetch(&worker.shared.callouts, deadline).await;
        issuer.endpoint("token").ok_or_else(unknown)
    }

    pub(super) fn describe(&self) -> Value {
        let from = match &self.place {
            Place::Issuer(name) => json!({"issuer": name}),
            Place::Endpoint(endpoint) => json!({"token_url": endpoint.url}),
        };
        let mut description = from;
        description["client_id"] = json!(self.client.id);
        description["scopes"] = json!(self.settings.scopes);
        description["audience"] = json!(self.settings.audience);
        description["resource"] = json!(self.settings.resource);
        description
    }
}

fn client(settings: &snapshot::TokenClient) -> Result<Client, String> {
    let Some(key) = &settings.private_key else {
        let secret = settings.client_secret.as_ref();
        return Client::new(&settings.client_id, secret, settings.client_authentication);
    };
    if settings.client_authentication != ClientAuthentication::PrivateKeyJwt || settings.client_secret.is_some() {
        return Err("a private key is for private_key_jwt, without a secret".to_owned());
    }
    let wrong = |wrong| format!("private_key: it {wrong}");
    let key = signing_key(key.reveal()).map_err(wrong)?;
    let algorithm = match &settings.algorithm {
        None => *key.algorithms().first().ok_or("private_key: it is for no algorithm")?,
        Some(name) => Algorithm::parse(name).ok_or_else(|| format!("algorithm: '{name}' is none that is supported"))?,
    };
    let key = key.only(algorithm).map_err(wrong)?;
    let key = match &settings.key_id {
        Some(id) => key.with_id(Some(id)),
        None => key,
    };
    Ok(Client::with_key(&settings.client_id, Key { key, algorithm, audience: settings.assertion_audience.clone() }))
}

/// A client's proof to an endpoint (RFC 7523 §3), signed with its private key, with the first algorithm that suits it.
pub fn assertion(private_key: &str, client_id: &str, audience: &str) -> Result<String, String> {
    let key = signing_key(private_key).map_err(|wrong| format!("it {wrong}"))?;
    let algorithm = *key.algorithms().first().ok_or("it is for no algorithm")?;
    Key { key, algorithm, audience: None }.assertion(client_id, audience)
}

/// In PEM or as a JWK.
pub(super) fn signing_key(text: &str) -> Result<SigningKey, crate::keys::WrongKey> {
    match serde_json::from_str(text) {
        Ok(jwk) => SigningKey::from_jwk(&jwk),
        Err(_) => SigningKey::from_pem(text),
    }
}
