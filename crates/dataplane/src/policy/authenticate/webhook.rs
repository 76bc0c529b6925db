//! Messages signed with a shared secret, as Standard Webhooks has them: `webhook-id`, `webhook-timestamp` and
//! `webhook-signature`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use http::HeaderName;
use serde_json::{json, Value};
use subtle::ConstantTimeEq;

use super::replay::Sighting;
use super::{Consumer, Refusal, Verdict};
use crate::error::Error;
use crate::policy::{Context, RequestHead};
use crate::protocol::body::Body;
use crate::shared::Shared;
use crate::snapshot;

pub const ID: HeaderName = HeaderName::from_static("webhook-id");
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
pub const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Bytes of a secret.
const SECRET: std::ops::RangeInclusive<usize> = 24..=64;
/// Longest `webhook-id`.
pub const ID_BYTES: usize = 256;

pub struct Webhook {
    consumer: Arc<Consumer>,
    keys: Vec<Key>,
    tolerance_s: u64,
    most: usize,
}

/// Of a secret `whsec_…`, the rest of which is base64.
pub struct Key(hmac::Key);

impl Key {
    /// The error is a sentence's end without the secret.
    pub fn parse(secret: &snapshot::Secret) -> Result<Self, &'static str> {
        let text = secret.reveal();
        let bytes = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok();
        match bytes.filter(|bytes| SECRET.contains(&bytes.len())) {
            Some(bytes) => Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes))),
            None => Err("is not whsec_ and 24 to 64 bytes in base64"),
        }
    }

    fn tag(&self, id: &[u8], timestamp: &[u8], body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        [id, b".", timestamp, b".", body].iter().for_each(|part| context.update(part));
        context.sign()
    }

    /// One entry of `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        format!("v1,{}", STANDARD.encode(self.tag(id.as_bytes(), timestamp.as_bytes(), body)))
    }

    /// Whether one of a list of signatures is this key's; those of other versions are passed over.
    fn verifies(&self, signatures: &[u8], id: &[u8], timestamp: &[u8], body: &[u8]) -> bool {
        let tag = self.tag(id, timestamp, body);
        signatures.split(|byte| *byte == b' ').filter_map(|each| each.strip_prefix(b"v1,")).any(|text| {
            STANDARD.decode(text).is_ok_and(|signature| bool::from(signature.as_slice().ct_eq(tag.as_ref())))
        })
    }
}

/// What the fields say, of the right form and age.
struct Fields {
    id: Vec<u8>,
    timestamp: Vec<u8>,
    sent: u64,
    signatures: Vec<u8>,
}

impl Webhook {
    pub fn new(settings: &snapshot::Webhook, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let mut errors = Vec::new();
        let mut keys = Vec::new();
        for (index, secret) in settings.secrets.iter().enumerate() {
            match Key::parse(secret) {
                Ok(key) => keys.push(key),
                Err(wrong) => errors.push(format!("webhook: secrets[{index}] {wrong}")),
            }
        }
        if settings.secrets.is_empty() {
            errors.push("webhook: it has no secret".to_owned());
        }
        match context.consumers.get(&settings.consumer) {
            Some(consumer) if errors.is_empty() => {
                let facts = consumer.facts(&consumer.scopes, "webhook");
                let consumer = Arc::new(Consumer::proved(&settings.consumer, &facts, None));
                Ok(Self { consumer, keys, tolerance_s: settings.tolerance_s, most: settings.max_bytes })
            }
            Some(_) => Err(errors),
            None => {
                errors.push(format!("webhook: there is no consumer '{}'", settings.consumer));
                Err(errors)
            }
        }
    }

    pub fn describe(&self) -> Value {
        json!({"webhook": {"consumer": &*self.consumer.name, "tolerance_s": self.tolerance_s}})
    }

    /// Reads the whole body, where the fields are of the right form.
    pub async fn recognise(&self, head: &RequestHead, body: &mut Body, shared: &Shared) -> Result<Verdict, Error> {
        if !is_signed(head) {
            return Ok(Verdict::Absent);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let fields = match self.read(head, now) {
            Ok(fields) => fields,
            Err(wrong) => return Ok(refused(wrong)),
        };
        let content = body.buffer(self.most).await?;
        let verifies = |key: &Key| key.verifies(&fields.signatures, &fields.id, &fields.timestamp, &content);
        if !self.keys.iter().any(verifies) {
            return Ok(refused("no secret of ours has signed it"));
        }
        // With the time: a message that is delivered anew keeps its id, and is signed with another time.
        let name = [self.consumer.name.as_bytes(), &fields.id, &fields.timestamp];
        let until = fields.sent.saturating_add(self.tolerance_s).saturating_add(1);
        Ok(match shared.replays.webhook.enter(&name, until, now)? {
            Sighting::First => Verdict::Known(self.consumer.clone()),
            Sighting::Again => refused("it is a replay"),
        })
    }

    fn read(&self, head: &RequestHead, now: u64) -> Result<Fields, &'static str> {
        let one = |name: &HeaderName| {
            let mut values = head.headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value.as_bytes()),
                _ => Err("one of its fields is missing, or there twice"),
            }
        };
        let (id, timestamp, signatures) = (one(&ID)?, one(&TIMESTAMP)?, one(&SIGNATURE)?);
        // A full stop ends the id in what is signed.
        if id.is_empty() || id.len() > ID_BYTES || id.contains(&b'.') {
            return Err("its id is empty, too long, or holds a full stop");
        }
        let digits = timestamp.len() <= 12 && timestamp.iter().all(u8::is_ascii_digit);
        let sent = std::str::from_utf8(timestamp).ok().filter(|_| digits).and_then(|text| text.parse::<u64>().ok());
        let sent = sent.ok_or("its time is no number of seconds")?;
        if sent.abs_diff(now) > self.tolerance_s {
            return Err("its time is too far from ours");
        }
        Ok(Fields { id: id.into(), timestamp: timestamp.into(), sent, signatures: signatures.into() })
    }

    /// The id stays: by it an endpoint knows a message that comes again.
    pub fn remove(&self, head: &mut RequestHead) {
        head.headers.remove(SIGNATURE);
    }
}

pub(super) fn is_signed(head: &RequestHead) -> bool {
    [ID, TIMESTAMP, SIGNATURE].iter().any(|name| head.headers.contains_key(name))
}

/// What is wrong is for the log.
fn refused(wrong: &str) -> Verdict {
    Verdict::Refused(Refusal { cause: Some(format!("webhook: {wrong}")), ..Refusal::new("The signature is not valid") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<Key, &'static str> {
        Key::parse(&serde_json::from_value(json!(text)).unwrap())
    }

    #[test]
    fn the_vector_of_standard_webhooks_is_signed_and_verified() {
        let (id, time) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
        let body = br#"{"test": 2432232314}"#;
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        for secret in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            let key = key(secret).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert_eq!(key.sign(id, time, body), signature);
            let verifies = |list: &str| key.verifies(list.as_bytes(), id.as_bytes(), time.as_bytes(), body);
            assert!(verifies(signature) && verifies(&format!("v1,AAAA v2,x v1a,y {signature}")));
            assert!(!verifies(&signature[..30]) && !verifies(&signature.replace("v1,", "v2,")) && !verifies(""));
            assert!(!key.verifies(signature.as_bytes(), id.as_bytes(), time.as_bytes(), b"{}"));
        }
    }

    #[test]
    fn a_secret_is_base64_of_24_to_64_bytes() {
        for wrong in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64", &STANDARD.encode([1; 65])] {
            assert!(key(wrong).is_err(), "{wrong}");
        }
    }
}
