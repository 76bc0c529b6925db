//! A set of keys (RFC 7517 §5) as an issuer publishes it.

use std::sync::Arc;

use serde_json::Value;

use super::algorithm::Algorithm;
use super::jwk::{entry, Entry};
use super::verify::{Unverified, VerifyingKey};
use super::{json, WrongKey};

/// Most bytes of a set.
pub const MOST_BYTES: usize = 256 * 1024;
/// Most entries of a set, those not for us included.
pub const MOST_KEYS: usize = 100;
/// Most keys that are tried for a signature that names none.
pub const MOST_TRIED: usize = 4;
/// Nesting of a set; certificates and the like may lie in it.
const DEPTH: usize = 8;

#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Arc<VerifyingKey>>,
    /// Of each entry that was passed over, why.
    pub skipped: Vec<String>,
}

/// Why no key of a set verifies a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFound {
    /// No key has this `kid`: newer keys may have.
    Unknown,
    /// A key has this `kid` and is for other algorithms.
    NotForAlgorithm,
    /// Without a `kid` more keys than [`MOST_TRIED`] come into question.
    Ambiguous,
}

impl KeySet {
    /// Public keys alone. Entries of unknown types, uses and algorithms are passed over (RFC 7517 §5); a damaged entry,
    /// and a private or symmetric one, spoils the whole set.
    pub fn parse(text: &[u8]) -> Result<Self, WrongKey> {
        if text.len() > MOST_BYTES {
            return Err(WrongKey::new(format!("the set has more than {MOST_BYTES} bytes")));
        }
        let set = json::parse(text, DEPTH)
            .map_err(|_| WrongKey::new("the set is not JSON, is nested too deep, or has a member twice"))?;
        Self::from_json(&set)
    }

    pub fn from_json(set: &Value) -> Result<Self, WrongKey> {
        let Some(entries) = set.get("keys").and_then(Value::as_array) else {
            return Err(WrongKey::new("the set has no list `keys`"));
        };
        if entries.len() > MOST_KEYS {
            return Err(WrongKey::new(format!("the set has more than {MOST_KEYS} keys")));
        }
        let mut keys = Self::default();
        for (index, jwk) in entries.iter().enumerate() {
            match entry(jwk).map_err(|WrongKey(why)| WrongKey(format!("keys[{index}] {why}")))? {
                Entry::Key(key) => keys.keys.push(Arc::new(key)),
                Entry::NotForUs(why) => keys.skipped.push(format!("keys[{index}] {why}")),
            }
        }
        Ok(keys)
    }

    pub fn of(keys: Vec<Arc<VerifyingKey>>, skipped: Vec<String>) -> Self {
        Self { keys, skipped }
    }

    pub fn keys(&self) -> &[Arc<VerifyingKey>] {
        &self.keys
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that a signature may be of. With a `kid`, those that have it and those that have none.
    pub fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Vec<&Arc<VerifyingKey>>, NotFound> {
        let named = |key: &&Arc<VerifyingKey>| match (id, key.id.as_deref()) {
            (Some(id), Some(known)) => id == known,
            _ => true,
        };
        let mut found = self.keys.iter().filter(named).peekable();
        if found.peek().is_none() {
            return Err(NotFound::Unknown);
        }
        let suiting: Vec<&Arc<VerifyingKey>> = found.filter(|key| key.suits(algorithm)).take(MOST_TRIED + 1).collect();
        match suiting.len() {
            0 if id.is_some_and(|id| self.keys.iter().any(|key| key.id.as_deref() == Some(id))) => {
                Err(NotFound::NotForAlgorithm)
            }
            0 => Err(NotFound::Unknown),
            count if count > MOST_TRIED => Err(NotFound::Ambiguous),
            _ => Ok(suiting),
        }
    }

    /// Whether one of the candidates verifies it.
    pub fn verify(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<Result<&Arc<VerifyingKey>, Unverified>, NotFound> {
        let candidates = self.candidates(id, algorithm)?;
        let verified = candidates.into_iter().find(|key| key.verify(algorithm, message, signature).is_ok());
        Ok(verified.ok_or(Unverified::WrongSignature))
    }
}
