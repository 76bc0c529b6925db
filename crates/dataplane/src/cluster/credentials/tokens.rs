//! Bearer tokens (RFC 6750): the gateway's own (RFC 6749 §4.4), or one for the caller's (RFC 8693). A token that an
//! endpoint answers with 401 is got anew and the request repeated, once.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::{json, Value};

use super::exchange::Exchanges;
use super::kept::Kept;
use super::slot::{Slot, Token, Without};
use super::source::{Grant, Source};
use super::unavailable;
use crate::cluster::{Cluster, SendOptions};
use crate::error::{Error, Kind};
use crate::policy::authenticate::issuer::token_endpoint::{Failed, TokenType};
use crate::policy::authenticate::Consumer;
use crate::protocol::body::Body;
use crate::snapshot::{self, Otherwise};
use crate::subject::Subject;
use crate::worker::Worker;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

pub(crate) struct Tokens {
    source: Arc<Source>,
    /// The gateway's own.
    own: Arc<Slot>,
    exchange: Option<Exchange>,
}

struct Exchange {
    exchanges: Arc<Exchanges>,
    requested: Option<String>,
    actor: bool,
    otherwise: Otherwise,
}

/// Of a request, until it is prepared for its endpoint.
#[derive(Clone)]
pub(super) struct Bearer(pub(super) HeaderValue);

/// For whom a request is sent.
#[derive(Clone)]
pub enum Caller {
    /// One with a token that could be exchanged.
    Subject(Arc<Subject>),
    /// One who has none: known by something else (true), or not at all.
    Without { known: bool },
    /// One who had a token that is not at hand any more.
    Lost,
}

impl Caller {
    pub fn of(consumer: Option<&Consumer>) -> Self {
        match consumer.and_then(|consumer| consumer.subject.clone()) {
            Some(subject) => Self::Subject(subject),
            None => Self::Without { known: consumer.is_some_and(|consumer| !consumer.is_anonymous()) },
        }
    }
}

/// A token, and where it is kept.
struct Got {
    token: Arc<Token>,
    slot: Arc<Slot>,
}

impl Tokens {
    pub(super) fn client_credentials(
        name: &str,
        settings: &snapshot::ClientCredentials,
        kept: &Kept,
    ) -> Result<Self, Vec<String>> {
        let source = Arc::new(Source::new(&settings.client)?);
        // Secrets are not in it: a new one takes over the token that is there, and renews it.
        let own = kept.slot(&format!("{name} {:?}", settings.client));
        Ok(Self { source, own, exchange: None })
    }

    pub(super) fn exchange(name: &str, settings: &snapshot::TokenExchange, kept: &Kept) -> Result<Self, Vec<String>> {
        let source = Arc::new(Source::new(&settings.client)?);
        let own = kept.slot(&format!("{name} {:?}", settings.client));
        let exchange = Exchange {
            exchanges: kept.exchanges(&format!("{name} {settings:?}")),
            requested: settings.requested_token_type.clone(),
            actor: settings.actor,
            otherwise: settings.otherwise,
        };
        Ok(Self { source, own, exchange: Some(exchange) })
    }

    pub(crate) fn are_for_callers(&self) -> bool {
        self.exchange.is_some()
    }

    /// As `Cluster::send`, with a token on it.
    pub(crate) async fn send(
        &self,
        cluster: &Arc<Cluster>,
        worker: &Rc<Worker>,
        mut request: Request<Body>,
        options: SendOptions<'_>,
        caller: Caller,
    ) -> Result<Response<Body>, Error> {
        let got = self.get(worker, &caller, options.deadline).await?;
        request.extensions_mut().insert(Bearer(got.token.value.clone()));
        let (head, body) = request.into_parts();
        let again = body.whole().map(|whole| (head.clone(), whole));
        let first = SendOptions {
            deadline: options.deadline,
            stream: options.stream,
            is_call: options.is_call,
            idempotent: options.idempotent,
            interim: options.interim.clone(),
            grant: options.grant.clone(),
            source: options.source,
            report: &mut *options.report,
        };
        let answer = cluster.send(&worker.pools, Request::from_parts(head, body), first).await?;
        if answer.status() != StatusCode::UNAUTHORIZED || !got.slot.refuse(&got.token) {
            return Ok(answer);
        }
        // It was refused before it was looked at, so that it may be repeated whatever its method (RFC 9110 §15.5.2).
        let (Some((mut head, whole)), Ok(fresh)) = (again, self.get(worker, &caller, options.deadline).await) else {
            return Ok(answer);
        };
        drop(answer);
        head.extensions.insert(Bearer(fresh.token.value.clone()));
        let body = if whole.is_empty() { Body::empty() } else { Body::full(whole) };
        cluster.send(&worker.pools, Request::from_parts(head, body), options).await
    }

    async fn get(&self, worker: &Rc<Worker>, caller: &Caller, deadline: Instant) -> Result<Got, Error> {
        let Some(exchange) = &self.exchange else { return self.own(worker, deadline).await };
        let missing = |detail: &str| Err(Error::new(Kind::CallerTokenMissing, detail));
        match caller {
            Caller::Subject(subject) => self.exchanged(exchange, subject, worker, deadline).await,
            Caller::Lost => missing("The caller's token is not kept over a restart of the gateway, which there was"),
            Caller::Without { .. } if exchange.otherwise == Otherwise::ClientCredentials => {
                self.own(worker, deadline).await
            }
            Caller::Without { known: true } => missing("The service is called with a token for the caller's"),
            Caller::Without { known: false } => {
                Err(Error::new(Kind::Unauthorized, "The service is called with a token for the caller's")
                    .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"stagedoor\"")))
            }
        }
    }

    async fn own(&self, worker: &Rc<Worker>, deadline: Instant) -> Result<Got, Error> {
        let fetch = || {
            let pairs = vec![("grant_type", "client_credentials".to_owned())];
            let grant = Grant { pairs, taken: TokenType::Bearer, issued: None, places: None };
            self.source.fetch(grant, worker)
        };
        let token = self.own.get(&self.source.fingerprint, deadline, fetch).await;
        let token = token.map_err(|without| unavailable(format!("credentials: {}", without.failed)).after(&without))?;
        Ok(Got { token, slot: self.own.clone() })
    }

    async fn exchanged(
        &self,
        exchange: &Exchange,
        subject: &Subject,
        worker: &Rc<Worker>,
        deadline: Instant,
    ) -> Result<Got, Error> {
        let actor = match exchange.actor {
            true => Some(self.own(worker, deadline).await?.token),
            false => None,
        };
        let slot = exchange.exchanges.slot(subject.name());
        let fetch = || self.source.fetch(exchange.grant(subject, actor.as_deref()), worker);
        match slot.get(&self.source.fingerprint, deadline, fetch).await {
            Ok(token) => Ok(Got { token, slot }),
            Err(without) => Err(refused(&without)),
        }
    }

    pub(super) fn describe(&self) -> Value {
        let mut description = self.source.describe();
        let Some(exchange) = &self.exchange else { return json!({"client_credentials": description}) };
        description["actor"] = json!(exchange.actor);
        description["otherwise"] = match exchange.otherwise {
            Otherwise::Refuse => json!("refuse"),
            Otherwise::ClientCredentials => json!("client_credentials"),
        };
        json!({"token_exchange": description})
    }
}

impl Exchange {
    /// RFC 8693 §2.1.
    fn grant(&self, subject: &Subject, actor: Option<&Token>) -> Grant {
        let mut pairs = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
            ("subject_token", subject.reveal().to_owned()),
            ("subject_token_type", subject.kind().uri().to_owned()),
        ];
        if let Some(requested) = &self.requested {
            pairs.push(("requested_token_type", requested.clone()));
        }
        if let Some(actor) = actor {
            pairs.push(("actor_token", actor.text.clone()));
            pairs.push(("actor_token_type", ACCESS_TOKEN.to_owned()));
        }
        let taken = match self.requested.as_deref() {
            None | Some(ACCESS_TOKEN) => TokenType::Bearer,
            Some(_) => TokenType::BearerOrNone,
        };
        Grant { pairs, taken, issued: self.requested.clone(), places: Some(self.exchanges.places.clone()) }
    }
}

/// Whose fault it is that there is no token for the caller's (RFC 8693 §2.2.2, RFC 6749 §5.2).
fn refused(without: &Without) -> Error {
    let cause = format!("credentials: {}", without.failed);
    let Failed::Refused { error, .. } = &without.failed else { return unavailable(cause).after(without) };
    match error.as_str() {
        "invalid_grant" | "invalid_request" => Error::new(Kind::Unauthorized, "The token is not valid for the service")
            .cause(cause)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"stagedoor\", error=\"invalid_token\"")),
        "invalid_target" | "access_denied" => {
            Error::new(Kind::Forbidden, "The token may not be exchanged for one for the service").cause(cause)
        }
        // The rest is between the issuer and us.
        _ => unavailable(cause).after(without),
    }
}

impl Error {
    fn after(self, without: &Without) -> Self {
        let seconds = (without.again + Duration::from_millis(999)).as_secs().max(1);
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }
}
