//! Requests signed as HTTP message signatures (RFC 9421), with digests of their content (RFC 9530).

mod key;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderName;
use serde_json::{json, Value};
use sfv::{Dictionary, InnerList, ListEntry, Parser};

pub use key::SignatureKeys;

use self::key::Key;
use super::replay::Sighting;
use super::{Refusal, Verdict};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::policy::{Context, RequestHead};
use crate::protocol::body::Body;
use crate::shared::Shared;
use crate::signature::base::{self, Request};
use crate::signature::{digest, Wrong, INPUT, SIGNATURE};
use crate::snapshot;

/// Signatures of a request that are looked at; with more it is refused.
pub const SIGNATURES: usize = 4;
/// Longest nonce.
pub const NONCE_BYTES: usize = 256;

pub struct Signature {
    keys: Arc<SignatureKeys>,
    /// Component identifiers that must be signed, as they are serialized.
    components: Vec<String>,
    max_age_s: u64,
    skew_s: u64,
    nonce: bool,
    tag: Option<String>,
    most: usize,
}

/// A signature whose parameters are good, before it is verified.
struct Candidate<'a> {
    key: &'a Key,
    covered: &'a InnerList,
    signature: &'a [u8],
    nonce: Option<&'a str>,
    created: u64,
}

impl Signature {
    pub fn new(settings: &snapshot::Signature, context: &Context<'_>) -> Result<Self, Vec<String>> {
        let unknown = |name: &&String| !base::is_known(name);
        let errors: Vec<String> = settings
            .components
            .iter()
            .filter(unknown)
            .map(|name| format!("signature: components: '{name}' is no component that can be signed here"))
            .collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            keys: context.signature_keys.clone(),
            components: settings.components.clone(),
            max_age_s: settings.max_age_s,
            skew_s: settings.skew_s,
            nonce: settings.nonce,
            tag: settings.tag.clone(),
            most: settings.max_bytes,
        })
    }

    pub fn describe(&self) -> Value {
        json!({"signature": {"components": self.components, "max_age_s": self.max_age_s, "nonce": self.nonce}})
    }

    /// Reads the whole body where a digest of it is signed.
    pub async fn recognise(
        &self,
        exchange: &Exchange,
        head: &RequestHead,
        body: &mut Body,
        shared: &Shared,
    ) -> Result<Verdict, Error> {
        if !is_signed(head) {
            return Ok(Verdict::Absent);
        }
        let (inputs, signatures) = match (dictionary(head, &INPUT), dictionary(head, &SIGNATURE)) {
            (Some(inputs), Some(signatures)) if inputs.len() <= SIGNATURES => (inputs, signatures),
            _ => return Ok(refused("its fields are no dictionaries, or there are too many signatures")),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = Request {
            method: &exchange.method,
            scheme: exchange.scheme,
            authority: &exchange.host,
            target: head.uri.path_and_query().unwrap_or(&exchange.target),
            headers: &head.headers,
        };
        let content = http_body::Body::size_hint(body).exact() != Some(0);
        let registry = shared.registry.load_full();
        let mut wrong = "none of them is by a key that we know";
        for (label, input) in &inputs {
            let candidate = match self.candidate(&registry.signature_keys, (input, signatures.get(label)), content, now)
            {
                Ok(Some(candidate)) => candidate,
                Ok(None) => continue,
                Err(why) => {
                    wrong = why;
                    continue;
                }
            };
            if let Err(why) = base::build(&request, candidate.covered)
                .and_then(|base| candidate.key.verify(base.as_bytes(), candidate.signature))
            {
                wrong = why;
                continue;
            }
            if digest::is_covered(candidate.covered) {
                let content = body.buffer(self.most).await?;
                if let Err(why) = digest::verify(&head.headers, candidate.covered, &content) {
                    return Ok(refused(why));
                }
            }
            return self.first(&candidate, exchange, shared, now);
        }
        Ok(refused(wrong))
    }

    /// None: it is not meant for us.
    fn candidate<'a>(
        &'a self,
        registered: &'a SignatureKeys,
        (input, signature): (&'a ListEntry, Option<&'a ListEntry>),
        content: bool,
        now: u64,
    ) -> Result<Option<Candidate<'a>>, Wrong> {
        let ListEntry::InnerList(covered) = input else { return Err("an input is no list") };
        let text = |name: &str| covered.params.get(name).map(|value| value.as_string().map(|text| text.as_str()));
        let Some(Some(id)) = text("keyid") else { return Ok(None) };
        let Some(key) = self.keys.find(id).or_else(|| registered.find(id)) else { return Ok(None) };
        if let Some(wanted) = &self.tag {
            if text("tag") != Some(Some(wanted.as_str())) {
                return Ok(None);
            }
        }
        let Some(ListEntry::Item(item)) = signature else { return Err("a signature is missing") };
        let signature = item.bare_item.as_byte_sequence().ok_or("a signature is no byte sequence")?;
        if text("alg").is_some_and(|named| named != Some(key.algorithm)) {
            return Err("its alg is not that of the key");
        }
        let time = |name: &str| match covered.params.get(name) {
            None => Ok(None),
            Some(value) => match value.as_integer().map(i64::from).and_then(|time| u64::try_from(time).ok()) {
                Some(time) => Ok(Some(time)),
                None => Err("a time in it is no number of seconds"),
            },
        };
        let created = time("created")?.ok_or("it does not say when it was created")?;
        if created > now.saturating_add(self.skew_s) {
            return Err("it was created in the future");
        }
        if now > created.saturating_add(self.max_age_s).saturating_add(self.skew_s) {
            return Err("it is too old");
        }
        if time("expires")?.is_some_and(|expires| now > expires.saturating_add(self.skew_s)) {
            return Err("it has expired");
        }
        let nonce = match text("nonce") {
            Some(Some(nonce)) if !nonce.is_empty() && nonce.len() <= NONCE_BYTES => Some(nonce),
            None if !self.nonce => None,
            None => return Err("it has no nonce"),
            Some(_) => return Err("its nonce is no text, empty or too long"),
        };
        let names = base::identifiers(covered);
        let covers = |wanted: &String| names.contains(wanted) || (!content && digest::is_digest(wanted));
        if !self.components.iter().all(covers) {
            return Err("it does not cover what it must");
        }
        Ok(Some(Candidate { key, covered, signature, nonce, created }))
    }

    /// Verified; now whether it is the first with its nonce.
    fn first(
        &self,
        candidate: &Candidate<'_>,
        exchange: &Exchange,
        shared: &Shared,
        now: u64,
    ) -> Result<Verdict, Error> {
        if let Some(nonce) = candidate.nonce {
            let name = [candidate.key.id.as_bytes(), nonce.as_bytes()];
            let until = candidate.created.saturating_add(self.max_age_s).saturating_add(self.skew_s).saturating_add(1);
            if shared.replays.signature.enter(&name, until, now)? == Sighting::Again {
                return Ok(refused("it is a replay"));
            }
        }
        Ok(Verdict::of(&candidate.key.consumer, exchange))
    }

    pub fn remove(&self, head: &mut RequestHead) {
        head.headers.remove(SIGNATURE);
        head.headers.remove(INPUT);
    }
}

/// The field as one dictionary, however many lines it has.
pub(super) fn is_signed(head: &RequestHead) -> bool {
    head.headers.contains_key(SIGNATURE) || head.headers.contains_key(INPUT)
}

fn dictionary(head: &RequestHead, name: &HeaderName) -> Option<Dictionary> {
    let lines: Vec<&[u8]> = head.headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
    Parser::new(&lines.join(&b", "[..])).parse::<Dictionary>().ok()
}

fn refused(wrong: Wrong) -> Verdict {
    Verdict::Refused(Refusal {
        cause: Some(format!("signature: {wrong}")),
        ..Refusal::new("The signature is not valid")
    })
}
