//! How we prove ourselves to an issuer whose endpoints we call (RFC 6749 §2.3, RFC 7591 §2, RFC 7523 §2.2).

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use http::HeaderValue;
use percent_encoding::{utf8_percent_encode, AsciiSet, NON_ALPHANUMERIC};
use serde_json::json;

use crate::keys::{base64url, Algorithm, SigningKey};
use crate::snapshot::{ClientAuthentication, Secret};

/// What is unreserved in every URL and form (RFC 3986 §2.3) stays.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How long an assertion is good.
const ASSERTION_S: u64 = 60;
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// `application/x-www-form-urlencoded`, for queries and for bodies.
pub fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
}

pub struct Client {
    pub id: String,
    proof: Proof,
}

enum Proof {
    Nothing,
    Basic(HeaderValue),
    Post(Secret),
    Key(Box<Key>),
}

/// By which a client signs its assertions.
pub struct Key {
    pub key: SigningKey,
    pub algorithm: Algorithm,
    /// Absent: the endpoint's URL.
    pub audience: Option<String>,
}

/// What goes along with a request of the client.
#[derive(Default)]
pub struct Proved {
    pub authorization: Option<HeaderValue>,
    pairs: Vec<(&'static str, String)>,
}

impl Proved {
    /// What goes into the form.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

impl Client {
    /// The error is a sentence that shows no secret.
    pub fn new(id: &str, secret: Option<&Secret>, authentication: ClientAuthentication) -> Result<Self, String> {
        let proof = match (authentication, secret) {
            (ClientAuthentication::None, None) => Proof::Nothing,
            (ClientAuthentication::ClientSecretPost, Some(secret)) => Proof::Post(secret.clone()),
            (ClientAuthentication::ClientSecretBasic, Some(secret)) => {
                // RFC 6749 §2.3.1: name and secret as in a form.
                let pair = STANDARD.encode(format!("{}:{}", escape(id), escape(secret.reveal())));
                let mut value =
                    HeaderValue::try_from(format!("Basic {pair}")).map_err(|_| "no header can hold it".to_owned())?;
                value.set_sensitive(true);
                Proof::Basic(value)
            }
            _ => return Err("a client has a secret, or its authentication is 'none'".to_owned()),
        };
        Ok(Self { id: id.to_owned(), proof })
    }

    pub fn with_key(id: &str, key: Key) -> Self {
        Self { id: id.to_owned(), proof: Proof::Key(Box::new(key)) }
    }

    /// For a request to the endpoint with this URL. The error is a sentence for the log.
    pub fn prove(&self, url: &str) -> Result<Proved, String> {
        let id = ("client_id", self.id.clone());
        Ok(match &self.proof {
            Proof::Nothing => Proved { authorization: None, pairs: vec![id] },
            Proof::Basic(value) => Proved { authorization: Some(value.clone()), pairs: Vec::new() },
            Proof::Post(secret) => {
                Proved { authorization: None, pairs: vec![id, ("client_secret", secret.reveal().to_owned())] }
            }
            Proof::Key(key) => Proved {
                authorization: None,
                pairs: vec![
                    id,
                    ("client_assertion_type", ASSERTION.to_owned()),
                    ("client_assertion", key.assertion(&self.id, url)?),
                ],
            },
        })
    }
}

impl Key {
    /// RFC 7523 §3.
    pub fn assertion(&self, id: &str, url: &str) -> Result<String, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut unique = [0; 16];
        rand::fill(&mut unique).map_err(|_| "there is no randomness".to_owned())?;
        let mut header = json!({"alg": self.algorithm.name(), "typ": "JWT"});
        if let Some(id) = &self.key.id {
            header["kid"] = json!(id);
        }
        let claims = json!({
            "iss": id, "sub": id, "aud": self.audience.as_deref().unwrap_or(url), "jti": base64url::encode(unique),
            "iat": now, "exp": now + ASSERTION_S,
        });
        let signed = format!("{}.{}", base64url::encode(header.to_string()), base64url::encode(claims.to_string()));
        let signature = self.key.sign(self.algorithm, signed.as_bytes()).map_err(|wrong| format!("the key {wrong}"))?;
        Ok(format!("{signed}.{}", base64url::encode(signature)))
    }
}
