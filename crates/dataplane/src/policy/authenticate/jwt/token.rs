//! A token taken apart (RFC 7515 §5.2), strictly and within bounds, before anything of it is believed.

use serde_json::{Map, Value};

use crate::keys::{base64url, json, Algorithm};
use crate::policy::authenticate::claims::Wrong;

/// How deep a header may be nested: it needs no nesting at all.
pub const HEADER_DEPTH: usize = 4;
/// How deep claims may be nested.
pub const CLAIMS_DEPTH: usize = 16;

pub struct Token<'a> {
    pub algorithm: Algorithm,
    pub key: Option<String>,
    pub kind: Option<String>,
    /// All of it. Of an access token nothing more is looked at; the key of a proof is in it.
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
    /// Header and payload as they were signed.
    pub signed: &'a [u8],
    pub signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// None: it is not of this form at all, so something else may know it.
    pub fn parse(text: &'a [u8]) -> Option<Result<Self, Wrong>> {
        let mut dots = memchr::memchr_iter(b'.', text);
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else { return None };
        Some(Self::of(&text[..first], &text[first + 1..second], &text[second + 1..], &text[..second]))
    }

    fn of(header: &[u8], payload: &[u8], signature: &[u8], signed: &'a [u8]) -> Result<Self, Wrong> {
        let decode = |part: &[u8]| base64url::decode(part).ok_or("a part is not in base64url");
        let header = object(&decode(header)?, HEADER_DEPTH).ok_or("the header is not one JSON object")?;
        // What must be understood is not (RFC 7515 §4.1.11), also where it is listed wrongly; nor are other payloads
        // (RFC 7797). Keys in the header (jwk, jku, x5c, x5u) are not looked at here.
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err("the header asks for extensions");
        }
        if header.contains_key("enc") || header.contains_key("zip") {
            return Err("it is encrypted or compressed");
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::parse);
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err("a member of the header is not text"),
        };
        Ok(Self {
            algorithm: algorithm.ok_or("its alg is none that is supported")?,
            key: text("kid")?,
            kind: text("typ")?,
            claims: object(&decode(payload)?, CLAIMS_DEPTH).ok_or("the claims are not one JSON object")?,
            signed,
            signature: decode(signature)?,
            header,
        })
    }
}

fn object(bytes: &[u8], depth: usize) -> Option<Map<String, Value>> {
    match json::parse(bytes, depth) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}
