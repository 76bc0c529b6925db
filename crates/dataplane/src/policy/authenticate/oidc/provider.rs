//! The provider, asked through the issuer's cluster: a code or a refresh token in, tokens out, and the ID token verified
//! (OpenID Connect Core §3.1.3, §12).

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{digest, SHA256, SHA384, SHA512};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::now;
use crate::keys::{base64url, Algorithm};
use crate::policy::authenticate::claims::{Claims, Wrong};
use crate::policy::authenticate::client::Client;
use crate::policy::authenticate::issuer::endpoint::Endpoint;
use crate::policy::authenticate::issuer::live::Fetched;
use crate::policy::authenticate::issuer::token_endpoint::{self, TokenType, Tokens};
use crate::policy::authenticate::issuer::{Issuer, Signature};
use crate::policy::authenticate::jwt::rules::Rules;
use crate::policy::authenticate::jwt::token::Token;
use crate::policy::authenticate::Consumer;
use crate::snapshot;
use crate::worker::Worker;

/// Names of endpoints in the metadata, without `_endpoint`.
pub const AUTHORIZATION: &str = "authorization";
const TOKEN: &str = "token";
pub const END_SESSION: &str = "end_session";

pub struct Provider {
    pub issuer: Arc<Issuer>,
    pub claims: Claims,
    pub client: Client,
    rules: Rules,
    timeout: Duration,
}

/// Why there are no tokens, for the log.
#[derive(Debug, Clone)]
pub enum Failed {
    /// The provider says no.
    Refused(String),
    /// It does not say anything, or nothing that can be understood.
    Unavailable(String),
}

impl Provider {
    pub fn new(settings: &snapshot::Oidc, issuer: Arc<Issuer>, claims: Claims) -> Result<Self, String> {
        for endpoint in [AUTHORIZATION, TOKEN] {
            if issuer.live().is_none() && issuer.endpoint(endpoint).is_none() {
                return Err(format!("the issuer '{}' has no {endpoint} endpoint", issuer.name));
            }
        }
        if issuer.algorithms.is_empty() {
            return Err(format!("the issuer '{}' has no keys, so it could verify no login", issuer.name));
        }
        let client = Client::new(&settings.client_id, settings.client_secret.as_ref(), settings.client_authentication)?;
        Ok(Self {
            issuer,
            claims,
            client,
            rules: Rules::new(std::slice::from_ref(&settings.client_id), settings.skew_s, &settings.required),
            timeout: Duration::from_millis(settings.timeout_ms),
        })
    }

    pub async fn exchange(&self, code: &str, verifier: &str, uri: &str, worker: &Rc<Worker>) -> Result<Tokens, Failed> {
        let pairs =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", uri), ("code_verifier", verifier)];
        self.ask(&pairs, worker).await
    }

    pub async fn refresh(&self, refresh_token: &str, worker: &Rc<Worker>) -> Result<Tokens, Failed> {
        self.ask(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)], worker).await
    }

    async fn ask(&self, pairs: &[(&str, &str)], worker: &Rc<Worker>) -> Result<Tokens, Failed> {
        let deadline = Instant::now() + self.timeout;
        let endpoint = self.endpoint(TOKEN, deadline, worker).await?;
        let limits = (self.timeout, deadline);
        let asked = token_endpoint::ask(&endpoint, &self.client, pairs, TokenType::Bearer, limits, worker).await;
        asked.map_err(|failed| match failed {
            token_endpoint::Failed::Refused { .. } => Failed::Refused(format!("oidc: {failed}")),
            token_endpoint::Failed::Unavailable(_) => Failed::Unavailable(format!("oidc: {failed}")),
        })
    }

    /// Waits for the provider's metadata, if it is not there yet.
    pub async fn endpoint(&self, name: &str, deadline: Instant, worker: &Rc<Worker>) -> Result<Arc<Endpoint>, Failed> {
        if let Some(endpoint) = self.issuer.endpoint(name) {
            return Ok(endpoint);
        }
        self.issuer.fetch(&worker.shared.callouts, deadline).await;
        let unknown = || Failed::Unavailable(format!("oidc: it is not known where the provider's {name} endpoint is"));
        self.issuer.endpoint(name).ok_or_else(unknown)
    }

    /// OpenID Connect Core §3.1.3.7. `nonce` is that of the attempt, None for a refresh; `access_token` came with it.
    pub async fn verify(
        &self,
        id_token: &str,
        nonce: Option<&str>,
        access_token: &str,
        worker: &Rc<Worker>,
    ) -> Result<Map<String, Value>, Failed> {
        let wrong = |wrong: Wrong| Failed::Refused(format!("oidc: the ID token: {wrong}"));
        let token = Token::parse(id_token.as_bytes()).unwrap_or(Err("it is no signed token")).map_err(wrong)?;
        if !self.issuer.algorithms.contains(&token.algorithm) {
            return Err(wrong("its issuer does not sign with its alg"));
        }
        self.verify_signature(&token, worker).await?;
        self.check(&token, nonce, access_token).map_err(wrong)?;
        // Whatever says who it is must be there from the beginning.
        self.consumer(token.claims.clone(), now()).map_err(wrong)?;
        Ok(token.claims)
    }

    async fn verify_signature(&self, token: &Token<'_>, worker: &Rc<Worker>) -> Result<(), Failed> {
        let verify = || self.issuer.verify(token.key.as_deref(), token.algorithm, token.signed, &token.signature);
        let mut signature = verify();
        if signature == Signature::UnknownKey {
            let fetched = self.issuer.fetch(&worker.shared.callouts, Instant::now() + self.timeout).await;
            signature = verify();
            if signature == Signature::UnknownKey && fetched == Fetched::Failed {
                return Err(Failed::Unavailable("oidc: the issuer's keys cannot be fetched".to_owned()));
            }
        }
        match signature {
            Signature::Valid => Ok(()),
            _ => Err(Failed::Refused("oidc: the ID token: no key of its issuer verifies it".to_owned())),
        }
    }

    fn check(&self, token: &Token<'_>, nonce: Option<&str>, access_token: &str) -> Result<(), Wrong> {
        let claims = &token.claims;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(&self.issuer.issuer) {
            return Err("its issuer is another");
        }
        let several = claims.get("aud").and_then(Value::as_array).is_some_and(|audiences| audiences.len() > 1);
        if (several || claims.contains_key("azp")) && text("azp") != Some(&self.client.id) {
            return Err("it is for another party");
        }
        if let Some(nonce) = nonce {
            let same = text("nonce").is_some_and(|found| found.as_bytes().ct_eq(nonce.as_bytes()).into());
            if !same {
                return Err("its nonce is another");
            }
        }
        if claims.contains_key("at_hash") && text("at_hash") != Some(&half_hash(token.algorithm, access_token)) {
            return Err("it belongs to another access token");
        }
        Ok(())
    }

    /// What verified claims say, as of the time at which they were verified.
    pub fn consumer(&self, claims: Map<String, Value>, verified: u64) -> Result<Consumer, Wrong> {
        if !claims.get("sub").is_some_and(Value::is_string) {
            return Err("it has no sub");
        }
        // Seconds of our time: exact.
        self.rules.check(&claims, verified as f64)?;
        self.claims.consumer(&self.issuer.name, claims, "oidc")
    }
}

/// `at_hash`: the left half of the hash that the signature's algorithm uses.
fn half_hash(algorithm: Algorithm, access_token: &str) -> String {
    let hash = match algorithm.name().get(2..) {
        Some("256") => &SHA256,
        Some("384") => &SHA384,
        // Ed25519 has SHA-512 in it.
        _ => &SHA512,
    };
    let hash = digest(hash, access_token.as_bytes());
    let half = hash.as_ref().len() / 2;
    base64url::encode(&hash.as_ref()[..half])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_hash_is_that_of_the_standard() {
        // OpenID Connect Core, appendix A.3: an ID token with RS256 and its access token.
        let hash = half_hash(Algorithm::Rs256, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
        assert_eq!(hash, "77QmUPtjPfzWtF2AnpK9RQ");
    }
}
