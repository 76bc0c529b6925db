//! Tokens that are good only with a proof of possession: `cnf` of RFC 7800, as RFC 8705 has it for certificates and
//! RFC 9449 §6 for keys.

use serde_json::{Map, Value};

use crate::exchange::Exchange;
use crate::policy::authenticate::claims::Wrong;

/// What every token of a policy must be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Required {
    Nothing,
    Certificate,
}

/// A token that says what it is bound to is good with that alone, whether the policy asks for it or not. `key` is the
/// thumbprint of the key that has signed the request's proof; a token with a proof must be bound to it.
pub fn check(claims: &Value, exchange: &Exchange, key: Option<&str>, required: Required) -> Result<(), Wrong> {
    let none = Map::new();
    let confirmation = match claims.get("cnf") {
        None => &none,
        Some(confirmation) => confirmation.as_object().ok_or("its cnf is no object")?,
    };
    match confirmation.get("x5t#S256") {
        Some(Value::String(bound)) => match &exchange.certificate {
            Some(shown) if *shown.thumbprint == **bound => {}
            Some(_) => return Err("it is bound to another certificate"),
            None => return Err("it is bound to a certificate, and none was shown"),
        },
        Some(_) => return Err("its x5t#S256 is no text"),
        None if required == Required::Certificate => return Err("it is bound to no certificate"),
        None => {}
    }
    match (confirmation.get("jkt"), key) {
        (Some(Value::String(bound)), Some(key)) if bound == key => {}
        (Some(Value::String(_)), Some(_)) => return Err("it is bound to another key"),
        (Some(Value::String(_)), None) => return Err("it is bound to a key, and comes without a proof"),
        (Some(_), _) => return Err("its jkt is no text"),
        (None, Some(_)) => return Err("it is bound to no key, and comes with a proof"),
        (None, None) => {}
    }
    // What we cannot verify is not taken for nothing.
    match confirmation.keys().all(|member| ["x5t#S256", "jkt"].contains(&member.as_str())) {
        true => Ok(()),
        false => Err("it is bound in a way that is not supported"),
    }
}
