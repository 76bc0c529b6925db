//! What every access token is held to, whoever vouches for it: how it is presented (RFC 6750, RFC 9449 §7.1), for whom and
//! for when it is, what it is bound to, and how its user was authenticated.

pub mod bound;
pub mod presented;
pub mod step_up;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use self::presented::{find, Missing, Presented, Way};
use self::step_up::StepUp;
use super::claims::{Claims, Wrong};
use super::dpop::{self, Dpop};
use super::jwt::rules::Rules;
use super::jwt::verified;
use super::replay::Sighting;
use super::{Consumer, Refusal, Verdict};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::{Context, RequestHead};
use crate::shared::Shared;
use crate::snapshot;
use crate::subject::{self, Subject};

const BEARER: &str = "Bearer realm=\"stagedoor\"";
const INVALID: &str = "error=\"invalid_token\"";

pub struct AccessTokens {
    /// The scheme's name, for the log.
    scheme: &'static str,
    pub rules: Rules,
    claims: Claims,
    audience: Vec<String>,
    pub max_bytes: usize,
    forward: bool,
    bound: bound::Required,
    dpop: Option<Dpop>,
    step_up: Option<StepUp>,
    skew_s: f64,
    /// Whether the token itself is wanted later.
    kept: bool,
}

impl AccessTokens {
    pub fn new(
        scheme: &'static str,
        settings: &snapshot::AccessToken,
        context: &Context<'_>,
        errors: &mut Vec<String>,
    ) -> Self {
        let shared = context.shared;
        let dpop = settings.dpop.as_ref().and_then(|dpop| {
            let dpop = Dpop::new(dpop, settings.skew_s, shared);
            dpop.map_err(|wrong| errors.extend(wrong.into_iter().map(|wrong| format!("dpop: {wrong}")))).ok()
        });
        Self {
            scheme,
            rules: Rules::new(&settings.audience, settings.skew_s, &settings.required),
            claims: Claims::new(&settings.claims, errors),
            audience: settings.audience.clone(),
            max_bytes: settings.max_bytes,
            forward: settings.forward,
            bound: match settings.bound {
                None => bound::Required::Nothing,
                Some(snapshot::Bound::Mtls) => bound::Required::Certificate,
            },
            dpop,
            step_up: settings.step_up.as_ref().map(StepUp::new),
            // At most minutes: exact.
            skew_s: settings.skew_s as f64,
            kept: context.subjects_wanted,
        }
    }

    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Its part of a description.
    pub fn describe(&self) -> Map<String, Value> {
        let mut parts = Map::from_iter([("audience".to_owned(), self.audience.clone().into())]);
        if let Some(dpop) = &self.dpop {
            parts.insert("dpop".to_owned(), (if dpop.required { "required" } else { "optional" }).into());
        }
        parts
    }

    /// The token that the request carries; without one, what that means.
    // Returned once for each scheme and looked at once: a box would cost more than the move.
    #[allow(clippy::result_large_err)]
    pub fn presented<'a>(&self, head: &'a RequestHead) -> Result<Presented<'a>, Verdict> {
        match find(head, self.dpop.is_some()) {
            Ok((way, text)) if text.len() > self.max_bytes => Err(self.invalid(way, "it is longer than max_size")),
            Ok((way, text)) => Ok(Presented { way, text, digest: verified::name(text) }),
            Err(Missing::Nothing) => Err(Verdict::Absent),
            // Another kind of credential is one too: nobody who shows it is anonymous.
            Err(Missing::Foreign) => Err(Verdict::NotMine),
            Err(Missing::Several) => Err(Verdict::Refused(Refusal {
                kind: Kind::BadRequest,
                challenges: self.challenges_with(Some(Way::Bearer), "error=\"invalid_request\""),
                ..Refusal::new("The request carries more than one credential")
            })),
        }
    }

    /// What verified claims say.
    pub fn consumer(&self, issuer: &str, claims: Map<String, Value>) -> Result<Consumer, Wrong> {
        self.claims.consumer(issuer, claims, self.scheme)
    }

    /// Along with the consumer whom it proves, where some cluster is given another one for it.
    pub fn keep(&self, consumer: &mut Consumer, presented: &Presented<'_>) {
        if self.kept {
            consumer.subject = Subject::of(presented.text, subject::Kind::AccessToken);
        }
    }

    /// Possession, and how fresh the user's authentication is, are proved anew with every request.
    pub fn prove(
        &self,
        consumer: Arc<Consumer>,
        presented: &Presented<'_>,
        exchange: &mut Exchange,
        head: &RequestHead,
        shared: &Shared,
        now: f64,
    ) -> Result<Verdict, Error> {
        let way = presented.way;
        let proof = match (&self.dpop, way) {
            (Some(dpop), Way::Dpop) => match dpop.verify(&presented.digest, exchange, head, now) {
                Ok(proof) => Some((dpop, proof)),
                Err(dpop::Wrong::Proof(wrong)) => return Ok(self.unproved(wrong)),
                Err(dpop::Wrong::Nonce(fresh)) => {
                    exchange.dpop_nonce = Some(fresh);
                    return Ok(Verdict::Refused(Refusal {
                        challenges: self.challenges_with(Some(way), "error=\"use_dpop_nonce\""),
                        cause: Some(format!("{}: dpop: the proof has no nonce that is good now", self.scheme)),
                        ..Refusal::new("The proof needs the nonce that comes with this answer")
                    }));
                }
            },
            (Some(dpop), Way::Bearer) if dpop.required => {
                return Ok(self.invalid(way, "it comes without a proof of possession"));
            }
            _ => None,
        };
        let key = proof.as_ref().map(|(_, proof)| &*proof.thumbprint);
        if let Err(wrong) = bound::check(&consumer.claims, exchange, key, self.bound) {
            return Ok(self.invalid(way, wrong));
        }
        if let Some(step_up) = &self.step_up {
            if let Err(wrong) = step_up.check(&consumer.claims, now - self.skew_s) {
                return Ok(Verdict::Refused(Refusal {
                    challenges: self.challenges_with(Some(way), &step_up.challenge),
                    cause: Some(format!("{}: {wrong}", self.scheme)),
                    ..Refusal::new("The user must be authenticated anew, or in another way")
                }));
            }
        }
        // Last: only a proof that is good in all else is entered, so strangers cannot fill the store.
        if let Some((dpop, proof)) = proof {
            if dpop.enter(&proof, shared, now)? == Sighting::Again {
                return Ok(self.unproved("the proof was used before"));
            }
            exchange.dpop_nonce = dpop.successor(&proof, now);
        }
        Ok(Verdict::Known(consumer))
    }

    /// `wrong` is for the log: an attacker need not know which check it was.
    pub fn invalid(&self, way: Way, wrong: Wrong) -> Verdict {
        Verdict::Refused(Refusal {
            challenges: self.challenges_with(Some(way), INVALID),
            cause: Some(format!("{}: {wrong}", self.scheme)),
            ..Refusal::new("The token is not valid")
        })
    }

    fn unproved(&self, wrong: Wrong) -> Verdict {
        Verdict::Refused(Refusal {
            challenges: self.challenges_with(Some(Way::Dpop), "error=\"invalid_dpop_proof\""),
            cause: Some(format!("{}: dpop: {wrong}", self.scheme)),
            ..Refusal::new("The proof of possession is not valid")
        })
    }

    /// Of a request that carries no token.
    pub fn challenges(&self) -> Vec<HeaderValue> {
        self.challenges_with(None, "")
    }

    /// Of one whose token no scheme knows; None where it carries none.
    pub fn foreign(&self, head: &RequestHead) -> Option<Vec<HeaderValue>> {
        let (way, _) = find(head, self.dpop.is_some()).ok()?;
        Some(self.challenges_with(Some(way), INVALID))
    }

    /// Of a token whose scopes are not enough (RFC 6750 §3.1).
    pub fn insufficient_scope(&self) -> Vec<HeaderValue> {
        let way = if self.dpop.as_ref().is_some_and(|dpop| dpop.required) { Way::Dpop } else { Way::Bearer };
        let mut challenges = self.challenges_with(Some(way), "error=\"insufficient_scope\"");
        challenges.retain(|challenge| challenge.as_bytes().ends_with(b"_scope\""));
        challenges
    }

    /// One for each way that is open; `said` of the one that was taken, or of the first where that is not open.
    fn challenges_with(&self, taken: Option<Way>, said: &str) -> Vec<HeaderValue> {
        let mut open: Vec<(Way, String)> = Vec::new();
        if !self.dpop.as_ref().is_some_and(|dpop| dpop.required) {
            open.push((Way::Bearer, BEARER.to_owned()));
        }
        if let Some(dpop) = &self.dpop {
            open.push((Way::Dpop, dpop.challenge.clone()));
        }
        let at = taken.map(|taken| open.iter().position(|(way, _)| *way == taken).unwrap_or_default());
        let texts = open.into_iter().enumerate().map(|(index, (_, text))| match at {
            Some(at) if at == index => format!("{text}, {said}"),
            _ => text,
        });
        texts.filter_map(|text| HeaderValue::try_from(text).ok()).collect()
    }

    /// Takes the credential out of what is forwarded, unless the target is to see it.
    pub fn remove(&self, headers: &mut HeaderMap) {
        self.claims.remove(headers);
        // Any of several: the target may read another one than we do.
        let carries = headers.get_all(AUTHORIZATION).iter().any(|field| Way::of(field.as_bytes()).is_some());
        if carries && !self.forward {
            headers.remove(AUTHORIZATION);
        }
        // A proof is for us alone, for our URI.
        if self.dpop.is_some() {
            headers.remove(dpop::DPOP);
        }
    }
}
