//! Proofs of possession: the client shows with every request that it has the key to which its token is bound (RFC 9449).

mod nonce;
pub mod proof;

use http::header::HOST;
use http::{HeaderName, HeaderValue};

pub use self::nonce::NonceKey;
use self::nonce::{Freshness, Nonces};
use self::proof::{Expected, Proof};
use super::claims;
use super::replay::Sighting;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::keys::Algorithm;
use crate::policy::RequestHead;
use crate::shared::Shared;
use crate::snapshot;

pub const DPOP: HeaderName = HeaderName::from_static("dpop");
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// What `forwarded` has written down: what a trusted proxy says, else the request's own.
const HOST_ASKED: HeaderName = HeaderName::from_static("x-forwarded-host");

/// A longer proof is refused unread.
pub const PROOF_BYTES: usize = 8192;

pub struct Dpop {
    pub required: bool,
    /// Of a 401 (§7.1).
    pub challenge: String,
    algorithms: Vec<Algorithm>,
    max_age_s: u64,
    skew_s: u64,
    nonce: Option<Nonces>,
}

/// What is wrong with a proof.
pub enum Wrong {
    Proof(claims::Wrong),
    /// It needs this nonce.
    Nonce(HeaderValue),
}

impl Dpop {
    pub fn new(settings: &snapshot::Dpop, skew_s: u64, shared: &Shared) -> Result<Self, Vec<String>> {
        let (mut errors, mut algorithms) = (Vec::new(), Vec::new());
        for name in &settings.algorithms {
            match Algorithm::parse(name) {
                Some(algorithm) if !Algorithm::SECRET.contains(&algorithm) => algorithms.push(algorithm),
                _ => errors.push(format!("algorithms: '{name}' is none with a public key that is supported")),
            }
        }
        if settings.algorithms.is_empty() {
            errors.push("algorithms: there are none, so no proof would be good".to_owned());
        }
        let nonce = settings.nonce.as_ref().map(|nonce| Nonces::new(nonce, &shared.nonce_key)).transpose();
        let nonce = nonce.unwrap_or_else(|wrong| {
            errors.push(format!("nonce: {wrong}"));
            None
        });
        // Both names of EdDSA with Ed25519 (RFC 9864) are read.
        let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
        let names = names.join(" ").replace("EdDSA", "EdDSA Ed25519");
        match errors.is_empty() {
            true => Ok(Self {
                required: settings.required,
                challenge: format!("DPoP realm=\"stagedoor\", algs=\"{names}\""),
                algorithms,
                max_age_s: settings.max_age_s,
                skew_s,
                nonce,
            }),
            false => Err(errors),
        }
    }

    /// §4.3 without the replay store; `token` is the SHA-256 of the access token, `now` in seconds since 1970.
    pub fn verify(&self, token: &[u8; 32], exchange: &Exchange, head: &RequestHead, now: f64) -> Result<Proof, Wrong> {
        let mut fields = head.headers.get_all(DPOP).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return Err(Wrong::Proof("there is not exactly one proof"));
        };
        if field.len() > PROOF_BYTES {
            return Err(Wrong::Proof("the proof is too long"));
        }
        // Of several, the one that the proxy before us vouches for.
        let told = head.headers.get_all(HOST_ASKED).iter().next_back();
        let asked = told.or_else(|| head.headers.get(HOST)).unwrap_or(&exchange.host);
        let host = asked.to_str().unwrap_or_default().rsplit(',').next().unwrap_or_default().trim();
        let expected = Expected {
            method: exchange.method.as_str(),
            scheme: exchange.scheme,
            host,
            path: exchange.path(),
            token,
            algorithms: &self.algorithms,
            // At most minutes: exact.
            time: (now - (self.max_age_s + self.skew_s) as f64)..=(now + self.skew_s as f64),
        };
        let mut proof = proof::verify(field.as_bytes(), &expected).map_err(Wrong::Proof)?;
        if let Some(nonces) = &self.nonce {
            match nonces.check(proof.nonce.as_deref(), now) {
                Freshness::Current => {}
                Freshness::Previous => proof.aging = true,
                Freshness::Unknown => return Err(Wrong::Nonce(nonces.current(now))),
            }
        }
        Ok(proof)
    }

    /// Enters a proof that is good in all else, until its age refuses it. 503 where there is no room.
    pub fn enter(&self, proof: &Proof, shared: &Shared, now: f64) -> Result<Sighting, Error> {
        // Seconds since 1970, rounded so that an entry outlives its proof.
        let until = proof.issued as u64 + self.max_age_s + self.skew_s + 2;
        shared.replays.dpop.enter(&[proof.thumbprint.as_bytes(), proof.id.as_bytes()], until, now as u64)
    }

    /// The nonce for the client's next proof, where the one that it has will soon be too old (§8.2).
    pub fn successor(&self, proof: &Proof, now: f64) -> Option<HeaderValue> {
        self.nonce.as_ref().filter(|_| proof.aging).map(|nonces| nonces.current(now))
    }
}
