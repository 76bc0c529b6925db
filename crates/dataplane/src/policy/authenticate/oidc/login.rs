//! The way to the provider: an attempt begins, and the browser is sent there (OpenID Connect Core §3.1.2.1).

use std::rc::Rc;

use http::{Response, StatusCode};

use super::attempt::{with_query, Attempt, ATTEMPT_S};
use super::callback::failure;
use super::navigation::own_path;
use super::provider::AUTHORIZATION;
use super::{now, redirect, Oidc, ATTEMPT};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::RequestHead;
use crate::protocol::body::Body;
use crate::worker::Worker;

impl Oidc {
    /// Whatever session there was is not one any more.
    pub(super) async fn login(
        &self,
        exchange: &mut Exchange,
        head: &RequestHead,
        worker: &Rc<Worker>,
    ) -> Result<Response<Body>, Error> {
        let failed = |cause: &str| Error::new(Kind::Internal, "The login cannot begin").cause(format!("oidc: {cause}"));
        let endpoint = self.provider.endpoint(AUTHORIZATION, exchange.deadline, worker).await.map_err(failure)?;
        let secure = self.is_secure(exchange);
        let back = own_path(exchange.target.as_str());
        let redirect_uri = format!("{}{}", self.origin(exchange), self.settings.redirect_path);
        let attempt = Attempt::begin(redirect_uri, back, now()).ok_or_else(|| failed("no randomness"))?;
        let plain = serde_json::to_vec(&attempt).map_err(|_| failed("no JSON"))?;
        let text = self.seal.seal(ATTEMPT, &plain).ok_or_else(|| failed("it cannot be sealed"))?;
        let cookies = self
            .cookies
            .set_attempt((attempt.id(), &text), &head.headers, secure, ATTEMPT_S)
            .ok_or_else(|| failed("no cookie"))?;
        exchange.set_cookies.extend(self.cookies.end_session(&head.headers, secure));
        exchange.set_cookies.extend(cookies);
        let (scopes, challenge) = (self.settings.scopes.join(" "), attempt.challenge());
        let ours = [
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &attempt.redirect_uri),
            ("scope", &scopes),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let more = self.settings.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        redirect(StatusCode::FOUND, &with_query(&endpoint.url, ours.into_iter().chain(more)))
    }
}
