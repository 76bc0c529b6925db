//! A user's name and password with every request (RFC 7617). Passwords are kept as hashes that are slow on purpose, so
//! they are verified away from the worker, a bounded number at once, and remembered for a while.

mod attempts;
mod password;
mod users;
mod verified;
mod verifier;

use std::rc::Rc;
use std::sync::Arc;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use http::{header, HeaderValue};
use serde_json::{json, Value};

pub use password::hash;
pub use users::Users;
pub use verifier::Verifier;

use super::{Consumer, Refusal, Verdict};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::policy::{Context, RequestHead};
use crate::shared::Shared;
use crate::snapshot;
use crate::worker::Worker;
use attempts::Attempts;
use users::User;

/// A name and a password together; longer ones are wrong without a look.
const CREDENTIAL_BYTES: usize = 1024;
const WRONG: &str = "The credential is not valid";

pub struct Basic {
    realm: Box<str>,
    /// Of the configuration.
    users: Arc<Users>,
    attempts: Arc<Attempts>,
}

/// What can be said at once, and what takes a while.
pub enum Looked {
    Decided(Verdict),
    Unverified(Presented),
}

/// A name and a password that nobody has verified lately.
pub struct Presented {
    credential: Credential,
    candidates: Vec<Candidate>,
}

/// A password to verify.
struct Candidate {
    password: Arc<password::Password>,
    /// None: nobody has that name, and the password is one like those of users, so that it takes as long.
    consumer: Option<Arc<Consumer>>,
}

struct Credential {
    /// `name:password`.
    text: String,
    colon: usize,
}

impl Credential {
    fn username(&self) -> &str {
        &self.text[..self.colon]
    }

    fn password(&self) -> &str {
        &self.text[self.colon + 1..]
    }

    /// Of `Basic`'s token68 (RFC 7617 §2): UTF-8 without control characters, and a name without a colon.
    fn decode(token: &[u8]) -> Option<Self> {
        let within = token.len() <= CREDENTIAL_BYTES.div_ceil(3) * 4;
        let bytes = STANDARD.decode(Some(token).filter(|_| within)?).ok()?;
        let text = String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))?;
        let colon = text.find(':')?;
        Some(Self { text, colon })
    }
}

impl Basic {
    pub fn new(settings: &snapshot::Basic, context: &Context<'_>) -> Result<Self, Vec<String>> {
        if !settings.realm.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
            return Err(vec!["basic: realm: it holds a quote, or what is not printable ASCII".to_owned()]);
        }
        let attempts = Attempts::new(&context.shared.limiter).map_err(|wrong| vec![format!("basic: {wrong}")])?;
        Ok(Self { realm: settings.realm.as_str().into(), users: context.users.clone(), attempts: Arc::new(attempts) })
    }

    pub fn describe(&self) -> Value {
        json!({"basic": {"realm": self.realm}})
    }

    pub fn challenge(&self) -> HeaderValue {
        HeaderValue::try_from(format!("Basic realm=\"{}\", charset=\"UTF-8\"", self.realm))
            .unwrap_or(HeaderValue::from_static("Basic realm=\"\", charset=\"UTF-8\""))
    }

    /// Without waiting: whether there is a credential, and whether it has been verified lately.
    pub fn look(&self, exchange: &Exchange, head: &RequestHead, shared: &Shared) -> Looked {
        let mut fields = head.headers.get_all(header::AUTHORIZATION).iter();
        let refused = |detail| Looked::Decided(Verdict::Refused(Refusal::new(detail)));
        let Some(field) = fields.next() else {
            return Looked::Decided(Verdict::Absent);
        };
        let Some(token) = token(field) else {
            return Looked::Decided(Verdict::NotMine);
        };
        if fields.next().is_some() {
            return refused("The request carries more than one credential");
        }
        let Some(credential) = Credential::decode(token) else {
            return refused(WRONG);
        };
        let (registry, name) = (shared.registry.load(), credential.username());
        let users = match self.users.get(name) {
            [] => registry.users.get(name),
            users => users,
        };
        if let Some(user) = users.iter().find(|user| shared.verifier.remembers(&user.password, &credential.text)) {
            return Looked::Decided(Verdict::of(&user.consumer, exchange));
        }
        let candidates = match users {
            [] => {
                let passwords = shared.verifier.stand_in(name, &self.users, &registry.users);
                passwords.into_iter().map(|password| Candidate { password, consumer: None }).collect()
            }
            users => users.iter().map(Candidate::of).collect(),
        };
        Looked::Unverified(Presented { credential, candidates })
    }

    pub async fn verify(
        &self,
        presented: Presented,
        exchange: &Exchange,
        worker: &Rc<Worker>,
    ) -> Result<Verdict, Error> {
        let Presented { credential, candidates } = presented;
        let (shared, name) = (&worker.shared, credential.username());
        self.attempts.allow(name, exchange.client, &shared.limiter)?;
        let permit = shared.verifier.enter(exchange.deadline).await?;
        // While this request waited, others of the same client may have been verified, or refused.
        let remembered = |candidate: &Candidate| {
            Some(candidate.consumer.as_ref()?)
                .filter(|_| shared.verifier.remembers(&candidate.password, &credential.text))
                .cloned()
        };
        if let Some(consumer) = candidates.iter().find_map(remembered) {
            return Ok(Verdict::of(&consumer, exchange));
        }
        self.attempts.allow(name, exchange.client, &shared.limiter)?;
        let (shared, attempts, address) = (shared.clone(), self.attempts.clone(), exchange.client);
        // Counted where it is verified: whoever does not wait for the answer has tried all the same.
        let verify = move || {
            let right = candidates.into_iter().find(|candidate| candidate.password.verify(credential.password()));
            let known = right.and_then(|candidate| Some((candidate.password, candidate.consumer?)));
            match &known {
                Some((password, _)) => shared.verifier.remember(password, &credential.text),
                None => attempts.count(credential.username(), address, &shared.limiter),
            }
            known
        };
        Ok(match permit.run(verify).await? {
            Some((_, consumer)) => Verdict::of(&consumer, exchange),
            None => Verdict::Refused(Refusal::new(WRONG)),
        })
    }

    pub fn remove(&self, head: &mut RequestHead) {
        if head.headers.get(header::AUTHORIZATION).is_some_and(|field| token(field).is_some()) {
            head.headers.remove(header::AUTHORIZATION);
        }
    }
}

impl Candidate {
    fn of(user: &User) -> Self {
        Self { password: user.password.clone(), consumer: Some(user.consumer.clone()) }
    }
}

/// Of credentials with the scheme `Basic`, in any case (RFC 9110 §11.4).
fn token(field: &HeaderValue) -> Option<&[u8]> {
    let bytes = field.as_bytes();
    let scheme = bytes.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case(b"basic"));
    let rest = scheme.map(|_| &bytes[5..])?;
    (rest.is_empty() || rest[0] == b' ').then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_utf8_whose_first_colon_ends_the_name() {
        for (text, expected) in [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some(("Aladdin", "open sesame"))),
            // RFC 7617 §2.1.
            ("basic  dGVzdDoxMjPCow==", Some(("test", "123£"))),
            ("BASIC YTpiOmM=", Some(("a", "b:c"))),
            ("Basic Og==", Some(("", ""))),
            ("Basic dGVzdDoxMjOj", None),
            ("Basic bm9jb2xvbg==", None),
            ("Basic YTpiCg==", None),
            ("Basic YTpiOmM", None),
            ("Basic YTpi\tOmM=", None),
            ("Basic", None),
        ] {
            let field = HeaderValue::try_from(text).unwrap();
            let credential = Credential::decode(token(&field).unwrap());
            let found = credential.as_ref().map(|found| (found.username(), found.password()));
            assert_eq!(found, expected, "{text}");
        }
        for other in ["Bearer abc", "Basical abc", "Basi", ""] {
            assert!(token(&HeaderValue::try_from(other).unwrap()).is_none(), "{other}");
        }
        assert!(Credential::decode(STANDARD.encode(format!("a:{}", "b".repeat(1025))).as_bytes()).is_none());
    }
}
