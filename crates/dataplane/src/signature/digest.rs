//! Digests of content (RFC 9530): `Content-Digest`, and `Repr-Digest` where the content is the whole representation.

use aws_lc_rs::digest::{digest, SHA256, SHA512};
use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use http::header::CONTENT_RANGE;
use http::{HeaderMap, HeaderValue};
use sfv::{Dictionary, InnerList, ListEntry, Parser};

use super::{base, Wrong};
use crate::snapshot::DigestAlgorithm;

const NAMES: [&str; 2] = ["content-digest", "repr-digest"];

pub fn is_digest(component: &str) -> bool {
    NAMES.contains(&component)
}

pub fn is_covered(covered: &InnerList) -> bool {
    base::identifiers(covered).iter().any(|name| is_digest(name))
}

/// `Content-Digest` of this content.
pub fn field(algorithm: DigestAlgorithm, content: &[u8]) -> HeaderValue {
    let (name, hash) = match algorithm {
        DigestAlgorithm::Sha256 => ("sha-256", &SHA256),
        DigestAlgorithm::Sha512 => ("sha-512", &SHA512),
    };
    let text = format!("{name}=:{}:", STANDARD.encode(digest(hash, content)));
    // Base64 and a name: visible ASCII.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Every digest that is covered. SHA-256 and SHA-512 count, the others are passed over (§5); without any it is wrong.
pub fn verify(headers: &HeaderMap, covered: &InnerList, content: &[u8]) -> Result<(), Wrong> {
    for name in base::identifiers(covered).iter().filter(|name| is_digest(name)) {
        if name == "repr-digest" && headers.contains_key(CONTENT_RANGE) {
            return Err("the content is a part, of which the digest of the whole says nothing");
        }
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
        matches(&lines.join(&b", "[..]), content)?;
    }
    Ok(())
}

fn matches(field: &[u8], content: &[u8]) -> Result<(), Wrong> {
    let digests = Parser::new(field).parse::<Dictionary>().map_err(|_| "a digest is no dictionary")?;
    let mut compared = false;
    for (name, algorithm) in [("sha-256", &SHA256), ("sha-512", &SHA512)] {
        match digests.get(name) {
            Some(ListEntry::Item(item)) if item.bare_item.as_byte_sequence().is_some() => {
                if item.bare_item.as_byte_sequence() != Some(digest(algorithm, content).as_ref()) {
                    return Err("the content is not that of the digest");
                }
                compared = true;
            }
            Some(_) => return Err("a digest is no byte sequence"),
            None => {}
        }
    }
    compared.then_some(()).ok_or("there is no digest of SHA-256 or SHA-512")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_of_rfc_9530_are_those_of_its_content() {
        // Appendix B.1.
        let content = b"{\"hello\": \"world\"}\n";
        let good = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        assert_eq!(matches(good.as_bytes(), content), Ok(()));
        assert_eq!(matches(format!("md5=:AAAA:, {good}").as_bytes(), content), Ok(()));
        for wrong in [
            "",
            "md5=:AAAA:",
            "sha-256=x",
            "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDk=:",
            "sha-512=:AAAA:, sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
        ] {
            assert!(matches(wrong.as_bytes(), content).is_err(), "{wrong}");
        }
        // RFC 9421 appendix B.2.
        let content = b"{\"hello\": \"world\"}";
        let good = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
        assert_eq!(matches(good.as_bytes(), content), Ok(()));
    }
}
