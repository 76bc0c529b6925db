//! WS-Security UsernameToken Profile 1.1: who asks, in the header of the envelope.

use aws_lc_rs::rand;
use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use sha1::{Digest, Sha1};

use super::types::attribute;
use crate::error::{Error, Kind};
use crate::policy::transform::xml::escaped;
use crate::snapshot::{self, Secret};

const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const WSU: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const PROFILE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0";
const BASE64: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

pub struct UsernameToken {
    username: String,
    password: Secret,
    digest: bool,
}

impl UsernameToken {
    pub fn new(settings: &snapshot::UsernameToken) -> Result<Self, String> {
        let username = escaped(&settings.username).map_err(|what| format!("username_token: username: {what}"))?;
        escaped(settings.password.reveal()).map_err(|what| format!("username_token: password: {what}"))?;
        Ok(Self { username, password: settings.password.clone(), digest: settings.digest })
    }

    /// A block of the header. With a digest it is good once.
    pub fn block(&self) -> Result<String, Error> {
        let failed = |cause: String| Error::new(Kind::Internal, "The request could not be signed").cause(cause);
        let password = self.password.reveal();
        let (kind, word, more) = if self.digest {
            let mut nonce = [0u8; 16];
            rand::fill(&mut nonce).map_err(|_| failed("there is no randomness".to_owned()))?;
            let created = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let mut hash = Sha1::new();
            hash.update(nonce);
            hash.update(created.as_bytes());
            hash.update(password.as_bytes());
            let more = format!(
                "<wsse:Nonce EncodingType=\"{BASE64}\">{}</wsse:Nonce><wsu:Created>{created}</wsu:Created>",
                STANDARD.encode(nonce)
            );
            ("PasswordDigest", STANDARD.encode(hash.finalize()), more)
        } else {
            ("PasswordText", escaped(password).map_err(failed)?, String::new())
        };
        let username = &self.username;
        Ok(format!(
            "<wsse:Security xmlns:wsse=\"{}\" xmlns:wsu=\"{}\" soap:mustUnderstand=\"1\"><wsse:UsernameToken>\
             <wsse:Username>{username}</wsse:Username><wsse:Password Type=\"{PROFILE}#{kind}\">{word}</wsse:Password>\
             {more}</wsse:UsernameToken></wsse:Security>",
            attribute(WSSE),
            attribute(WSU)
        ))
    }
}
