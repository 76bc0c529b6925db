//! One proof, and what it must say (RFC 9449 §4.3).

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::keys::{base64url, Algorithm, VerifyingKey};
use crate::policy::authenticate::claims::Wrong;
use crate::policy::authenticate::jwt::rules::time;
use crate::policy::authenticate::jwt::token::Token;
use crate::route::path;

/// Of a `jti`.
pub const ID_BYTES: usize = 1024;

/// What a proof is compared with.
pub struct Expected<'a> {
    pub method: &'a str,
    /// Of the request as its client sees it.
    pub scheme: &'a str,
    pub host: &'a str,
    /// In its normal form.
    pub path: &'a str,
    /// The SHA-256 of the access token.
    pub token: &'a [u8; 32],
    pub algorithms: &'a [Algorithm],
    /// For `iat`, in seconds since 1970.
    pub time: RangeInclusive<f64>,
}

/// A proof that is right in itself.
#[derive(Debug)]
pub struct Proof {
    /// Of the key that has signed it (RFC 7638).
    pub thumbprint: String,
    pub id: String,
    pub issued: f64,
    pub nonce: Option<String>,
    /// Its nonce is to be followed by another.
    pub aging: bool,
}

pub fn verify(text: &[u8], expected: &Expected<'_>) -> Result<Proof, Wrong> {
    let token = Token::parse(text).unwrap_or(Err("the proof has not three parts"))?;
    if token.kind.as_deref() != Some("dpop+jwt") {
        return Err("its typ is another");
    }
    if !expected.algorithms.contains(&token.algorithm) {
        return Err("its alg is none that is taken");
    }
    let jwk = token.header.get("jwk").ok_or("it brings no key")?;
    // A private or symmetric key is an error.
    let key = VerifyingKey::from_jwk(jwk).map_err(|_| "its key is not one public key that is supported")?;
    let thumbprint = key.public().ok_or("its key is no public key")?.thumbprint();
    key.verify(token.algorithm, token.signed, &token.signature).map_err(|_| "its key has not signed it")?;
    let text = |name: &str| token.claims.get(name).and_then(Value::as_str);
    if text("htm") != Some(expected.method) {
        return Err("it is for another method");
    }
    if !text("htu").is_some_and(|uri| is_same_target(uri, expected)) {
        return Err("it is for another URI");
    }
    if text("ath") != Some(&base64url::encode(expected.token)) {
        return Err("it is for another access token");
    }
    let issued = time(&token.claims, "iat")?.ok_or("it has no iat")?;
    if !expected.time.contains(&issued) {
        return Err("it was made too long ago, or in the future");
    }
    let id = text("jti").filter(|id| !id.is_empty() && id.len() <= ID_BYTES).ok_or("it has no jti of its own")?;
    let nonce = match token.claims.get("nonce") {
        None => None,
        Some(Value::String(nonce)) => Some(nonce.clone()),
        Some(_) => return Err("its nonce is no text"),
    };
    Ok(Proof { thumbprint, id: id.to_owned(), issued, nonce, aging: false })
}

/// Both in their normal form (RFC 3986 §6.2.2, §6.2.3), without query and fragment.
fn is_same_target(uri: &str, expected: &Expected<'_>) -> bool {
    let Some((scheme, rest)) = uri.split_once("://") else { return false };
    let rest = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    let (authority, own) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    scheme.eq_ignore_ascii_case(expected.scheme)
        && !authority.is_empty()
        && authority_of(authority, expected.scheme).eq_ignore_ascii_case(authority_of(expected.host, expected.scheme))
        && path::normalise(own).is_ok_and(|own| own == expected.path)
}

/// Without a port that says nothing.
fn authority_of<'a>(authority: &'a str, scheme: &str) -> &'a str {
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let bare = authority.strip_suffix(usual).unwrap_or(authority);
    bare.strip_suffix(':').unwrap_or(bare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::authenticate::jwt::verified;

    /// RFC 9449 §7.1, figures 12 and 13: a request to a protected resource.
    const PROOF: &str = concat!(
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpD",
        "a0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6",
        "IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGx",
        "lLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk",
        "1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJ",
        "pLjA"
    );
    const ACCESS_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

    fn expected(token: &[u8; 32]) -> Expected<'_> {
        Expected {
            method: "GET",
            scheme: "https",
            host: "resource.example.org",
            path: "/protectedresource",
            token,
            algorithms: &[Algorithm::Es256],
            time: 1_562_262_600.0..=1_562_262_620.0,
        }
    }

    #[test]
    fn the_example_of_the_standard_is_right_and_for_nothing_else() {
        let token = verified::name(ACCESS_TOKEN.as_bytes());
        let proof = verify(PROOF.as_bytes(), &expected(&token)).expect("right");
        assert_eq!(proof.thumbprint, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        assert_eq!((&*proof.id, proof.nonce), ("e1j3V_bKic8-LAEB", None));
        let other = verified::name(b"another");
        let changes: [(&str, Expected<'_>); 7] = [
            ("method", Expected { method: "POST", ..expected(&token) }),
            ("scheme", Expected { scheme: "http", ..expected(&token) }),
            ("host", Expected { host: "resource.example.com", ..expected(&token) }),
            ("path", Expected { path: "/protectedresource/", ..expected(&token) }),
            ("token", expected(&other)),
            ("alg", Expected { algorithms: &[Algorithm::EdDsa, Algorithm::Ps256], ..expected(&token) }),
            ("time", Expected { time: 1_562_262_619.0..=1_562_262_700.0, ..expected(&token) }),
        ];
        for (name, expected) in changes {
            assert!(verify(PROOF.as_bytes(), &expected).is_err(), "{name}");
        }
    }

    #[test]
    fn spellings_of_one_uri_are_one_and_others_are_not() {
        let token = [0; 32];
        let asked = Expected { host: "Shop.example:8443", path: "/a/b~c", ..expected(&token) };
        for same in [
            "https://shop.example:8443/a/b~c",
            "HTTPS://SHOP.example:8443/a/b%7Ec",
            "https://shop.example:8443/x/../a/./b~c?q=1#part",
        ] {
            assert!(is_same_target(same, &asked), "{same}");
        }
        for other in [
            "https://shop.example/a/b~c",
            "https://shop.example:8443/A/b~c",
            "https://shop.example:8443/a/b~c/",
            "https://shop.example:8443/a%2Fb~c",
            "https://ali@shop.example:8443/a/b~c",
            "https://shop.example:8443.evil.example/a/b~c",
            "http://shop.example:8443/a/b~c",
            "//shop.example:8443/a/b~c",
            "/a/b~c",
            "https:///a/b~c",
            "",
        ] {
            assert!(!is_same_target(other, &asked), "{other}");
        }
        let root = Expected { host: "shop.example", path: "/", ..expected(&token) };
        for same in
            ["https://shop.example", "https://shop.example:443/", "https://shop.example:?x", "https://shop.example#"]
        {
            assert!(is_same_target(same, &root), "{same}");
        }
    }
}
