//! Keys and signatures by the vectors of their RFCs, and keys that are not what they seem.

use serde_json::{json, Value};
use stagedoor_dataplane::keys::{base64url, Algorithm, KeySet, PublicKey, SigningKey, VerifyingKey};

const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn verifies(key: &VerifyingKey, algorithm: Algorithm, token: &str) -> bool {
    let (signed, signature) = token.rsplit_once('.').expect("parts");
    key.verify(algorithm, signed.as_bytes(), &base64url::decode(signature).expect("base64url")).is_ok()
}

fn ec() -> Value {
    json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
}

fn ed() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

/// RFC 7638 §3.1.
fn rsa() -> Value {
    json!({"kty": "RSA", "e": "AQAB", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"})
}

#[test]
fn the_signatures_of_the_rfcs_are_verified_and_no_others() {
    let secret =
        base64url::decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
    let secret = VerifyingKey::from_secret(&secret.expect("base64url"), None).expect("a secret");
    let (ec, ed) = (VerifyingKey::from_jwk(&ec()).expect("a key"), VerifyingKey::from_jwk(&ed()).expect("a key"));
    for (key, algorithm, token) in [
        // RFC 7515 §A.1.
        (&secret, Algorithm::Hs256, format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")),
        // RFC 7515 §A.3.
        (&ec, Algorithm::Es256, format!("eyJhbGciOiJFUzI1NiJ9.{CLAIMS}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")),
        // RFC 8037 §A.4.
        (&ed, Algorithm::EdDsa, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg".to_owned()),
    ] {
        assert!(verifies(key, algorithm, &token), "{algorithm}");
        assert!(!verifies(key, algorithm, &token.replacen("eyJ", "eyK", 1)), "{algorithm}");
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(!verifies(key, other, &token), "{algorithm} as {other}");
        }
    }
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    for (jwk, thumbprint) in
        [(rsa(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"), (ed(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")]
    {
        assert_eq!(PublicKey::from_jwk(&jwk).expect("a key").thumbprint(), thumbprint);
    }
}

#[test]
fn a_key_that_is_not_what_it_seems_is_refused_without_being_shown() {
    let with = |mut jwk: Value, member: &str, value: Value| {
        jwk[member] = value;
        jwk
    };
    for (why, jwk) in [
        ("a secret", json!({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"})),
        ("private", with(ed(), "d", json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))),
        ("off the curve", with(ec(), "y", json!("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1"))),
        ("a short coordinate", with(ec(), "x", json!("AQAB"))),
        ("another curve", with(ec(), "crv", json!("secp256k1"))),
        ("512 bits", with(rsa(), "n", json!(base64url::encode([0xFF; 64])))),
        ("an exponent of 1", with(rsa(), "e", json!("AQ"))),
        ("an even exponent", with(rsa(), "e", json!("Ag"))),
        ("alg of another type", with(ec(), "alg", json!("RS256"))),
        ("for encryption", with(ec(), "use", json!("enc"))),
        ("no kty", json!({"x": "AQAB"})),
        ("a text", json!("key")),
    ] {
        let refused = VerifyingKey::from_jwk(&jwk).err().unwrap_or_else(|| panic!("{why}"));
        assert!(!refused.to_string().contains("c2Vjcm") && !refused.to_string().contains("nWGxne"), "{refused}");
    }
    assert!(VerifyingKey::from_secret(b"31 bytes are one less than need", None).is_err());
    assert!(SigningKey::from_pem("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----").is_err());
}

#[test]
fn a_set_passes_over_what_is_not_for_it_and_is_bounded() {
    let set = json!({"keys": [ed(), {"kty": "OKP", "crv": "X25519", "x": "AQ"}, {"kty": "new"}]}).to_string();
    let set = KeySet::parse(set.as_bytes()).expect("a set");
    assert_eq!((set.keys().len(), set.skipped.len()), (1, 2));
    let many = json!({"keys": vec![ed(); 101]}).to_string();
    for wrong in [many.as_str(), "{}", r#"{"keys": {}}"#, r#"{"keys": [], "keys": []}"#, "[", r#"{"keys": [1]}"#] {
        assert!(KeySet::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
    assert!(KeySet::parse(&vec![b' '; 300_000]).is_err());
}
