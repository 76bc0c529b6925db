//! One attempt to log in, from the redirect to the provider until the browser comes back: what is asked of the provider
//! and what must come back.

use aws_lc_rs::digest::{digest, SHA256};
use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};

use crate::keys::base64url;
use crate::policy::authenticate::client::form;

/// How long a user may take at the provider.
pub const ATTEMPT_S: u64 = 600;
/// Of each random value: nobody guesses one.
const RANDOM_BYTES: usize = 32;
/// Characters of `state` that name the attempt's cookie.
const ID_CHARACTERS: usize = 16;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    pub state: String,
    pub nonce: String,
    /// Of PKCE (RFC 7636 §4.1).
    pub verifier: String,
    pub redirect_uri: String,
    /// The path of ours to which the user wanted.
    pub back: String,
    /// Seconds since 1970.
    pub began: u64,
}

impl Attempt {
    /// None where there is no randomness.
    pub fn begin(redirect_uri: String, back: &str, now: u64) -> Option<Self> {
        Some(Self {
            state: random()?,
            nonce: random()?,
            verifier: random()?,
            redirect_uri,
            back: back.to_owned(),
            began: now,
        })
    }

    pub fn id(&self) -> &str {
        self.state.get(..ID_CHARACTERS).unwrap_or_default()
    }

    /// S256 (RFC 7636 §4.2).
    pub fn challenge(&self) -> String {
        base64url::encode(digest(&SHA256, self.verifier.as_bytes()))
    }
}

/// The cookie's part of a `state`; None for what cannot be one of ours.
pub fn id(state: &str) -> Option<&str> {
    let ours = state.len() == RANDOM_BYTES.div_ceil(3) * 4 - 1
        && state.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    state.get(..ID_CHARACTERS).filter(|_| ours)
}

pub fn random() -> Option<String> {
    let mut bytes = [0; RANDOM_BYTES];
    rand::fill(&mut bytes).ok()?;
    Some(base64url::encode(bytes))
}

/// An URL with further parameters; it may have some already.
pub fn with_query<'a>(url: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    format!("{url}{}{}", if url.contains('?') { '&' } else { '?' }, form(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let mut attempt = Attempt::begin(String::new(), "/", 0).expect("random");
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".clone_into(&mut attempt.verifier);
        assert_eq!(attempt.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn every_attempt_has_values_of_its_own_that_can_stand_in_an_url() {
        let [one, other] = [(); 2].map(|()| Attempt::begin(String::new(), "/", 0).expect("random"));
        assert_ne!(one.state, other.state);
        for value in [&one.state, &one.nonce, &one.verifier] {
            assert_eq!(form([("a", value.as_str())]), format!("a={value}"));
        }
        assert!(one.state != one.nonce && one.nonce != one.verifier);
        assert_eq!(id(&one.state), Some(one.id()));
        for wrong in
            ["", "short", &format!("{}=", one.state), &"é".repeat(22), &one.state.replace(one.id(), "a;b=c, d=e; f=g;")]
        {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn parameters_cannot_break_out_of_their_place() {
        assert_eq!(with_query("https://a/b", [("x y", "a&b=c #é")]), "https://a/b?x%20y=a%26b%3Dc%20%23%C3%A9");
        assert_eq!(with_query("https://a/b?t=1", [("a", "b"), ("c", "d")]), "https://a/b?t=1&a=b&c=d");
    }
}
