//! Messages signed with a shared secret, as Standard Webhooks has them.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{digest, SHA256};
use aws_lc_rs::rand;
use bytes::Bytes;
use http::{request, HeaderMap, HeaderName, HeaderValue};

use crate::error::Error;
use crate::keys::base64url;
use crate::policy::authenticate::webhook::{Key, ID, SIGNATURE, TIMESTAMP};
use crate::protocol::body::Body;
use crate::snapshot::WebhookCredentials;

pub(super) const NAMES: [HeaderName; 3] = [ID, TIMESTAMP, SIGNATURE];
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(super) struct Webhook {
    keys: Vec<Key>,
    most: usize,
}

impl Webhook {
    pub(super) fn new(settings: &WebhookCredentials) -> Result<Self, Vec<String>> {
        let (mut keys, mut errors) = (Vec::new(), Vec::new());
        for (index, secret) in settings.secrets.iter().enumerate() {
            match Key::parse(secret) {
                Ok(key) => keys.push(key),
                Err(wrong) => errors.push(format!("secrets[{index}] {wrong}")),
            }
        }
        if settings.secrets.is_empty() {
            errors.push("it has no secret".to_owned());
        }
        match errors.is_empty() {
            true => Ok(Self { keys, most: settings.max_bytes }),
            false => Err(errors),
        }
    }

    pub(super) fn secrets(&self) -> usize {
        self.keys.len()
    }

    /// The id is that of the message, whatever the attempt.
    pub(super) async fn prepare(&self, head: &mut request::Parts, body: &mut Body) -> Result<Bytes, Error> {
        let content = body.buffer(self.most).await?;
        if let Some(Message(unique)) = head.extensions.get::<Message>() {
            let unique = *unique;
            set_id(&mut head.headers, &unique);
        } else {
            let mut unique = [0; 18];
            rand::fill(&mut unique)
                .map_err(|_| super::unavailable("credentials: there is no randomness".to_owned()))?;
            set_id(&mut head.headers, &unique);
        }
        Ok(content)
    }

    pub(super) fn sign(&self, head: &mut request::Parts, content: &[u8]) -> Result<(), String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let id = head.headers.get(ID).and_then(|id| id.to_str().ok()).ok_or("the message has no id")?;
        let signatures: Vec<String> = self.keys.iter().map(|key| key.sign(id, &now, content)).collect();
        let value = |text: String| HeaderValue::try_from(text).map_err(|_| "it cannot be written".to_owned());
        let (signatures, now) = (value(signatures.join(" "))?, value(now)?);
        head.headers.insert(SIGNATURE, signatures);
        head.headers.insert(TIMESTAMP, now);
        Ok(())
    }
}

/// Of a request: which message it is. Without it each request is another one.
#[derive(Clone)]
pub struct Message([u8; 18]);

impl Message {
    /// A call that comes again with its key is the same message.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let hash = digest(&SHA256, headers.get(KEY)?.as_bytes());
        let mut unique = [0; 18];
        unique.copy_from_slice(&hash.as_ref()[..18]);
        Some(Self(unique))
    }
}

fn set_id(headers: &mut HeaderMap, bytes: &[u8]) {
    headers.extend(HeaderValue::try_from(format!("msg_{}", base64url::encode(bytes))).ok().map(|id| (ID, id)));
}
