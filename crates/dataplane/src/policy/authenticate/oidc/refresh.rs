//! A session whose access token has ended is the provider's to prolong (OpenID Connect Core §12): asked once for each
//! refresh token, whatever number of requests need it, because many providers take one once.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};

use super::callback::unavailable;
use super::provider::{Failed, Provider};
use super::session::Session;
use super::{now, Oidc};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::authenticate::jwt::token::Token;
use crate::worker::Worker;

impl Oidc {
    /// None: the session is over. An error where the provider does not say.
    pub(super) async fn refresh(
        &self,
        session: Session,
        exchange: &mut Exchange,
        worker: &Rc<Worker>,
    ) -> Result<Option<Session>, Error> {
        let Some(refresh_token) = session.refresh_token.clone() else { return Ok(None) };
        let Some(refresh) = worker.shared.sessions.refresh(&refresh_token, Instant::now()) else {
            return Err(Error::new(Kind::Overloaded, "Too many sessions are refreshed").cause("oidc: refreshes"));
        };
        // A task of its own: a client that goes away must not lose the answer that the provider gives once.
        let (provider, asking) = (self.provider.clone(), worker.clone());
        let task = tokio::task::spawn_local(async move {
            let mut outcome = refresh.lock().await;
            if let Some(outcome) = &*outcome {
                return outcome.clone();
            }
            let fresh = ask(&provider, &session, &refresh_token, &asking).await.map(Arc::new);
            if matches!(fresh, Err(Failed::Unavailable(_))) {
                asking.shared.sessions.forget(&refresh_token);
            }
            outcome.insert(fresh).clone()
        });
        let waited = tokio::time::timeout_at(exchange.deadline.into(), task).await;
        match waited {
            Ok(Ok(Ok(session))) => Ok(Some(Session::clone(&session))),
            Ok(Ok(Err(Failed::Refused(cause)))) => {
                exchange.cause = Some(cause);
                Ok(None)
            }
            Ok(Ok(Err(Failed::Unavailable(cause)))) => Err(unavailable(cause)),
            Ok(Err(_)) => Err(Error::new(Kind::Internal, "The session cannot be refreshed").cause("oidc: a panic")),
            Err(_) => Err(unavailable("oidc: the request's time ended during a refresh".to_owned())),
        }
    }
}

async fn ask(provider: &Provider, session: &Session, token: &str, worker: &Rc<Worker>) -> Result<Session, Failed> {
    let tokens = provider.refresh(token, worker).await?;
    if let Some(id_token) = &tokens.id_token {
        let claims = provider.verify(id_token, None, &tokens.access_token, worker).await?;
        if !is_same_user(session, &claims) {
            return Err(Failed::Refused("oidc: the refreshed ID token is another user's".to_owned()));
        }
    }
    Ok(session.refreshed(tokens, now()))
}

/// OpenID Connect Core §12.2.
fn is_same_user(session: &Session, claims: &Map<String, Value>) -> bool {
    let before = Token::parse(session.id_token.as_bytes()).and_then(Result::ok);
    before.is_some_and(|before| before.claims.get("sub") == claims.get("sub"))
}
