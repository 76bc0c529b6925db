//! The end of a session: here, and at the provider if it has such an endpoint (OpenID Connect RP-Initiated Logout §2).

use http::{header, HeaderValue, Method, Response, StatusCode};

use super::attempt::with_query;
use super::cookie::Carried;
use super::provider::END_SESSION;
use super::{now, redirect, Oidc};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::{csrf, RequestHead};
use crate::protocol::body::Body;
use crate::shared::Shared;

/// A longer ID token is no hint: the URL would be too long.
const HINT_BYTES: usize = 4096;

impl Oidc {
    /// Only for our own pages and for users: another site's page cannot log out anybody.
    pub(super) fn logout(
        &self,
        exchange: &mut Exchange,
        head: &RequestHead,
        shared: &Shared,
    ) -> Result<Response<Body>, Error> {
        if !matches!(head.method, Method::GET | Method::POST) {
            let error = Error::new(Kind::MethodNotAllowed, "A logout is GET or POST");
            return Err(error.header(header::ALLOW, HeaderValue::from_static("GET, POST")));
        }
        if !csrf::is_own(exchange, &head.headers) {
            let error = Error::new(Kind::Forbidden, "The request is not allowed from where it comes");
            return Err(error.cause("oidc: a logout that no page of ours and no user asked for"));
        }
        let secure = self.is_secure(exchange);
        let session = match self.cookies.session(&head.headers, secure) {
            Carried::Text(text) => self.open(&text, shared),
            Carried::Nothing | Carried::Damaged => None,
        };
        exchange.set_cookies.extend(self.cookies.end_session(&head.headers, secure));
        if let Some(session) = &session {
            shared.sessions.spend(&session.id, session.over(&self.settings.session), now());
        }
        let (Some(end_session), Some(session)) = (self.provider.issuer.endpoint(END_SESSION), session) else {
            return redirect(StatusCode::SEE_OTHER, &self.settings.after_logout);
        };
        let after = format!("{}{}", self.origin(exchange), self.settings.after_logout);
        let mut pairs = vec![("client_id", self.settings.client_id.as_str()), ("post_logout_redirect_uri", &after)];
        if session.id_token.len() <= HINT_BYTES {
            pairs.push(("id_token_hint", &session.id_token));
        }
        redirect(StatusCode::SEE_OTHER, &with_query(&end_session.url, pairs))
    }
}
