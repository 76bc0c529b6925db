//! Requests signed as HTTP message signatures (RFC 9421), with digests of their content (RFC 9530).

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{request, HeaderName, HeaderValue};
use serde_json::{json, Value};
use sfv::{BareItem, InnerList, Integer, Item, KeyRef, Parameters};

use super::source::signing_key;
use crate::error::Error;
use crate::keys::{base64url, Algorithm, SigningKey};
use crate::protocol::body::Body;
use crate::signature::base::{self, Request};
use crate::signature::{algorithm, digest, INPUT, SIGNATURE};
use crate::snapshot::{DigestAlgorithm, SignatureCredentials};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// The name of our signature beside others.
const LABEL: &str = "stagedoor";

pub(super) struct MessageSignature {
    key: SigningKey,
    signs: Algorithm,
    /// Its name in `alg`.
    algorithm: &'static str,
    settings: SignatureCredentials,
}

impl MessageSignature {
    pub(super) fn new(settings: &SignatureCredentials) -> Result<Self, Vec<String>> {
        let mut errors: Vec<String> = Vec::new();
        for name in &settings.components {
            if !base::is_known(name) {
                errors.push(format!("components: '{name}' is no component that can be signed here"));
            } else if digest::is_digest(name) || [SIGNATURE.as_str(), INPUT.as_str()].contains(&name.as_str()) {
                errors.push(format!("components: '{name}' is set by the signature itself"));
            }
        }
        let key = key(settings).map_err(|wrong| errors.push(wrong));
        match key {
            Ok((key, algorithm, signs)) if errors.is_empty() => {
                Ok(Self { key, signs, algorithm, settings: settings.clone() })
            }
            _ => Err(errors),
        }
    }

    pub(super) fn names(&self) -> Vec<HeaderName> {
        let digest = self.settings.digest.map(|_| CONTENT_DIGEST);
        [SIGNATURE, INPUT].into_iter().chain(digest).collect()
    }

    /// The digest of the content, which is the same for all attempts.
    pub(super) async fn prepare(&self, head: &mut request::Parts, body: &mut Body) -> Result<(), Error> {
        let Some(algorithm) = self.settings.digest else { return Ok(()) };
        let most = self.settings.max_bytes;
        let content = match self.settings.larger_undigested {
            true => body.peek(most).await?,
            false => Some(body.buffer(most).await?),
        };
        if let Some(content) = content.filter(|content| !content.is_empty()) {
            head.headers.insert(CONTENT_DIGEST, digest::field(algorithm, &content));
        }
        Ok(())
    }

    /// The error is a sentence for the log.
    pub(super) fn sign(&self, head: &mut request::Parts, scheme: &str) -> Result<(), String> {
        let covered = self.covered(head)?;
        let root = PathAndQuery::from_static("/");
        let empty = HeaderValue::from_static("");
        let request = Request {
            method: &head.method,
            scheme,
            authority: head.headers.get(HOST).unwrap_or(&empty),
            target: head.uri.path_and_query().unwrap_or(&root),
            headers: &head.headers,
        };
        let base = base::build(&request, &covered)?;
        let signature = self.key.sign(self.signs, base.as_bytes()).map_err(|wrong| format!("the key {wrong}"))?;
        let input = base::parameters(&covered).map(|list| format!("{LABEL}={list}"));
        let signature = format!("{LABEL}=:{}:", STANDARD.encode(signature));
        for (name, text) in [(INPUT, input), (SIGNATURE, Some(signature))] {
            let value = text.and_then(|text| HeaderValue::try_from(text).ok());
            head.headers.insert(name, value.ok_or("it cannot be written")?);
        }
        Ok(())
    }

    /// What is there of what is to be signed, with the parameters of this attempt.
    fn covered(&self, head: &request::Parts) -> Result<InnerList, String> {
        let there = |name: &str| name.starts_with('@') || head.headers.contains_key(name);
        let digest = Some("content-digest").filter(|name| self.settings.digest.is_some() && there(name));
        let names = self.settings.components.iter().map(String::as_str).filter(|name| there(name)).chain(digest);
        let text = |text: &str| sfv::String::from_string(text.to_owned()).map_err(|_| "a text is not ASCII".to_owned());
        let items = names.map(|name| Ok(Item::new(text(name)?))).collect::<Result<Vec<_>, String>>()?;
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let time = |seconds: u64| {
            let seconds = i64::try_from(seconds).ok().and_then(|seconds| Integer::try_from(seconds).ok());
            seconds.map(BareItem::Integer).ok_or_else(|| "there is no such time".to_owned())
        };
        let mut params = Parameters::new();
        let mut set = |name: &'static str, value: BareItem| params.insert(KeyRef::constant(name).to_owned(), value);
        set("created", time(created)?);
        if let Some(expires_s) = self.settings.expires_s {
            set("expires", time(created.saturating_add(expires_s))?);
        }
        if self.settings.nonce {
            let mut nonce = [0; 18];
            rand::fill(&mut nonce).map_err(|_| "there is no randomness".to_owned())?;
            set("nonce", BareItem::String(text(&base64url::encode(nonce))?));
        }
        set("keyid", BareItem::String(text(&self.settings.key_id)?));
        set("alg", BareItem::String(text(self.algorithm)?));
        if let Some(tag) = &self.settings.tag {
            set("tag", BareItem::String(text(tag)?));
        }
        Ok(InnerList::with_params(items, params))
    }

    pub(super) fn describe(&self) -> Value {
        let digest = match self.settings.digest {
            None => "off",
            Some(DigestAlgorithm::Sha256) => "sha-256",
            Some(DigestAlgorithm::Sha512) => "sha-512",
        };
        json!({"signature": {"key_id": self.settings.key_id, "algorithm": self.algorithm,
            "components": self.settings.components, "digest": digest}})
    }
}

fn key(settings: &SignatureCredentials) -> Result<(SigningKey, &'static str, Algorithm), String> {
    let found = algorithm::parse(&settings.algorithm);
    let (name, signs) = found.ok_or_else(|| format!("algorithm: '{}' is none of RFC 9421", settings.algorithm))?;
    let (option, key) = match (&settings.secret, &settings.private_key) {
        (Some(secret), None) => {
            let secret = STANDARD.decode(secret.reveal()).map_err(|_| "secret: it is not base64")?;
            ("secret", SigningKey::from_secret(&secret))
        }
        (None, Some(key)) => ("private_key", signing_key(key.reveal())),
        _ => return Err("it needs a secret or a private key, and not both".to_owned()),
    };
    let key = key.and_then(|key| key.only(signs)).map_err(|wrong| format!("{option}: it {wrong}"))?;
    Ok((key, name, signs))
}
