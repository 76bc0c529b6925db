//! Users of browsers, logged in by an OpenID provider (OpenID Connect Core §3.1: authorization code, with PKCE, `state`
//! and `nonce`, by the practice of RFC 9700), and their sessions in sealed cookies.

mod attempt;
mod callback;
mod cookie;
mod login;
mod logout;
mod navigation;
mod provider;
mod refresh;
mod sealed;
mod session;
pub mod sessions;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::uri::PathAndQuery;
use http::{header, HeaderValue, Response, StatusCode};
use serde_json::{json, Value};

pub use sessions::Sessions;

use self::cookie::{Carried, Cookies};
use self::provider::Provider;
use self::sealed::Seal;
use self::session::{Need, Session};
use super::claims::Claims;
use super::jwt::token::Token;
use super::jwt::verified::{self, Verified};
use super::{Consumer, Refusal, Verdict};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::{Context, RequestHead};
use crate::protocol::body::Body;
use crate::shared::Shared;
use crate::snapshot;
use crate::subject::{self, Subject};
use crate::worker::Worker;

/// What a session's cookie is sealed for.
const SESSION: &str = "session";
/// What an attempt's cookie is sealed for.
const ATTEMPT: &str = "attempt";

pub struct Oidc {
    provider: Arc<Provider>,
    settings: snapshot::Oidc,
    cookies: Cookies,
    seal: Seal,
    /// Opened sessions by the digest of their cookie, until they need something.
    opened: Verified<(Arc<Consumer>, Arc<str>)>,
    /// Whether the ID token itself is wanted later.
    keep: bool,
}

impl Oidc {
    pub fn new(settings: &snapshot::Oidc, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let claims = Claims::new(&settings.claims, &mut errors);
        let provider = match context.issuers.get(&settings.issuer) {
            None => Err(format!("there is no issuer '{}', or it is wrong itself", settings.issuer)),
            Some(issuer) => Provider::new(settings, issuer.clone(), claims),
        };
        for path in [&settings.redirect_path, &settings.logout_path, &settings.after_logout] {
            if navigation::own_path(path) != path || PathAndQuery::try_from(path.as_str()).is_err() {
                errors.push(format!("'{path}' is not a path of ours"));
            }
        }
        if settings.redirect_path == settings.logout_path {
            errors.push("redirect_path and logout_path are the same".to_owned());
        }
        let owner = [settings.session.cookie.as_str(), &settings.issuer, &settings.client_id];
        let seal = Seal::new(&settings.session.secrets, &owner).map_err(|mut wrong| errors.append(&mut wrong));
        let cookies = Cookies::new(&settings.session.cookie).map_err(|wrong| errors.push(wrong));
        let provider = provider.map_err(|wrong| errors.push(wrong));
        match (provider, seal, cookies) {
            (Ok(provider), Ok(seal), Ok(cookies)) if errors.is_empty() => Ok(Self {
                provider: Arc::new(provider),
                settings: settings.clone(),
                cookies,
                seal,
                opened: Verified::default(),
                keep: context.subjects_wanted,
            }),
            _ => Err(errors.into_iter().map(|error| format!("oidc: {error}")).collect()),
        }
    }

    pub fn describe(&self) -> Value {
        json!({"oidc": {
            "issuer": self.settings.issuer, "client_id": self.settings.client_id,
            "redirect_path": self.settings.redirect_path, "logout_path": self.settings.logout_path,
        }})
    }

    /// For scripts: no scheme is registered for cookies, and a login needs a user.
    pub fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static("Cookie realm=\"stagedoor\"")
    }

    /// A session that needs nothing, without waiting; None: `recognise` decides.
    pub fn look(&self, exchange: &Exchange, head: &RequestHead, shared: &Shared) -> Option<Arc<Consumer>> {
        if [&self.settings.redirect_path, &self.settings.logout_path].iter().any(|path| *path == exchange.path()) {
            return None;
        }
        let Carried::Text(text) = self.cookies.session(&head.headers, self.is_secure(exchange)) else { return None };
        // Seconds of our time: exact.
        let (consumer, id) = self.opened.find(&verified::name(&text), now() as f64, |_| 0)?;
        (!shared.sessions.is_spent(&id)).then_some(consumer)
    }

    pub async fn recognise(
        &self,
        exchange: &mut Exchange,
        head: &RequestHead,
        worker: &Rc<Worker>,
    ) -> Result<Verdict, Error> {
        if exchange.path() == self.settings.redirect_path {
            return self.callback(exchange, head, worker).await.map(Verdict::Respond);
        }
        if exchange.path() == self.settings.logout_path {
            return self.logout(exchange, head, &worker.shared).map(Verdict::Respond);
        }
        let secure = self.is_secure(exchange);
        let text = match self.cookies.session(&head.headers, secure) {
            Carried::Nothing => return self.without_session(false, exchange, head, worker).await,
            Carried::Damaged => return self.without_session(true, exchange, head, worker).await,
            Carried::Text(text) => text,
        };
        let Some(session) = self.open(&text, &worker.shared) else {
            return self.without_session(true, exchange, head, worker).await;
        };
        let now = now();
        let session = match session.need(&self.settings.session, now) {
            Need::Login => return self.without_session(true, exchange, head, worker).await,
            Need::Nothing { until } => {
                let Some(consumer) = self.consumer(&session) else {
                    return self.without_session(true, exchange, head, worker).await;
                };
                let entry = (consumer.clone(), session.id.as_str().into());
                self.opened.remember(verified::name(&text), entry, (0, 0), until as f64, now as f64);
                return Ok(Verdict::Known(consumer));
            }
            Need::Renewal => Session { seen: now, ..session },
            Need::Refresh => match self.refresh(session, exchange, worker).await? {
                Some(session) => session,
                None => return self.without_session(true, exchange, head, worker).await,
            },
        };
        match self.consumer(&session) {
            None => self.without_session(true, exchange, head, worker).await,
            Some(consumer) => {
                let cookies = self.sealed(&session, head, secure, now)?;
                exchange.set_cookies.extend(cookies);
                Ok(Verdict::Known(consumer))
            }
        }
    }

    /// Takes our cookies out of what is forwarded.
    pub fn remove(&self, head: &mut RequestHead) {
        self.cookies.remove(&mut head.headers);
        self.provider.claims.remove(&mut head.headers);
    }

    /// A user who waits for a page is sent to log in; a script is told, and can do nothing.
    async fn without_session(
        &self,
        damaged: bool,
        exchange: &mut Exchange,
        head: &RequestHead,
        worker: &Rc<Worker>,
    ) -> Result<Verdict, Error> {
        if navigation::is_page(head) && exchange.wish.is_none() {
            return self.login(exchange, head, worker).await.map(Verdict::Respond);
        }
        Ok(match damaged {
            true => Verdict::Refused(Refusal::new("The session is over")),
            false => Verdict::Absent,
        })
    }

    fn open(&self, text: &[u8], shared: &Shared) -> Option<Session> {
        let session: Session = serde_json::from_slice(&self.seal.open(SESSION, text)?).ok()?;
        (!shared.sessions.is_spent(&session.id)).then_some(session)
    }

    fn sealed(&self, session: &Session, head: &RequestHead, secure: bool, now: u64) -> Result<Vec<HeaderValue>, Error> {
        let failed =
            |cause: &str| Error::new(Kind::Internal, "The session cannot be kept").cause(format!("oidc: {cause}"));
        let plain = serde_json::to_vec(session).map_err(|_| failed("it is no JSON"))?;
        let text = self.seal.seal(SESSION, &plain).ok_or_else(|| failed("it cannot be sealed"))?;
        let age_s = session.age_s(&self.settings.session, now);
        let cookies = self.cookies.set_session(&text, &head.headers, secure, age_s);
        cookies.ok_or_else(|| failed("the provider's tokens are too long for cookies"))
    }

    /// As its ID token says. That was verified before it was sealed.
    fn consumer(&self, session: &Session) -> Option<Arc<Consumer>> {
        let token = Token::parse(session.id_token.as_bytes())?.ok()?;
        let mut consumer = self.provider.consumer(token.claims, session.verified).ok()?;
        if self.keep {
            consumer.subject = Subject::of(session.id_token.as_bytes(), subject::Kind::IdToken);
        }
        Some(Arc::new(consumer))
    }

    fn origin(&self, exchange: &Exchange) -> String {
        match &self.settings.origin {
            Some(origin) => origin.clone(),
            None => format!("{}://{}", exchange.scheme, exchange.host.to_str().unwrap_or_default()),
        }
    }

    fn is_secure(&self, exchange: &Exchange) -> bool {
        match &self.settings.origin {
            Some(origin) => origin.starts_with("https://"),
            None => exchange.scheme == "https",
        }
    }
}

/// Nobody keeps it, and nobody is told from where the browser came.
fn redirect(status: StatusCode, location: &str) -> Result<Response<Body>, Error> {
    let location = HeaderValue::try_from(location)
        .map_err(|_| Error::new(Kind::Internal, "There is nowhere to go").cause("oidc: no Location"))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
