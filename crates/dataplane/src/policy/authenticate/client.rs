//! How we prove ourselves to an issuer whose endpoints we call (RFC 6749 §2.3, RFC 7591 §2).

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use http::HeaderValue;
use percent_encoding::{utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};

use crate::snapshot::{ClientAuthentication, Secret};

/// What is unreserved in every URL and form (RFC 3986 §2.3) stays.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `application/x-www-form-urlencoded`, for queries and for bodies.
pub fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let escape = |text| utf8_percent_encode(text, ESCAPED);
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
}

pub struct Client {
    pub id: String,
    secret: Option<Secret>,
    authentication: ClientAuthentication,
}

impl Client {
    pub fn new(id: &str, secret: Option<&Secret>, authentication: ClientAuthentication) -> Result<Self, String> {
        if secret.is_none() != (authentication == ClientAuthentication::None) {
            return Err("a client has a secret, or its authentication is 'none'".to_owned());
        }
        Ok(Self { id: id.to_owned(), secret: secret.cloned(), authentication })
    }

    /// Puts the proof into the form, or returns it for `Authorization`.
    pub fn prove<'a>(&'a self, form: &mut Vec<(&'a str, &'a str)>) -> Result<Option<HeaderValue>, String> {
        match (self.authentication, &self.secret) {
            (ClientAuthentication::ClientSecretBasic, Some(secret)) => return self.basic(secret).map(Some),
            (ClientAuthentication::ClientSecretPost, Some(secret)) => {
                form.extend([("client_id", self.id.as_str()), ("client_secret", secret.reveal())]);
            }
            _ => form.push(("client_id", &self.id)),
        }
        Ok(None)
    }

    /// RFC 6749 §2.3.1: name and secret as in a form.
    fn basic(&self, secret: &Secret) -> Result<HeaderValue, String> {
        let escape = |text| utf8_percent_encode(text, ESCAPED);
        let pair = STANDARD.encode(format!("{}:{}", escape(&self.id), escape(secret.reveal())));
        let mut value = HeaderValue::try_from(format!("Basic {pair}")).map_err(|_| "no header of it".to_owned())?;
        value.set_sensitive(true);
        Ok(value)
    }
}
