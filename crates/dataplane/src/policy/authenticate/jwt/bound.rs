//! Tokens that are good only with a proof of possession: `cnf` of RFC 7800, as RFC 8705 has it for certificates.

use serde_json::Value;

use crate::exchange::Exchange;
use crate::policy::authenticate::claims::Wrong;

/// What every token of a policy must be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Required {
    Nothing,
    Certificate,
}

/// A token that says what it is bound to is good with that alone, whether the policy asks for it or not.
pub fn check(claims: &Value, exchange: &Exchange, required: Required) -> Result<(), Wrong> {
    let confirmation = match claims.get("cnf") {
        None if required == Required::Certificate => return Err("it is bound to no certificate"),
        None => return Ok(()),
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
    // What we cannot verify is not taken for nothing.
    match confirmation.keys().all(|member| member == "x5t#S256") {
        true => Ok(()),
        false => Err("it is bound in a way that is not supported"),
    }
}
