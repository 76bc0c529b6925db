//! A token endpoint: a grant in, tokens out (RFC 6749 §3.2, §5).

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::Value;

use super::endpoint::Endpoint;
use crate::cluster::call::Outcome;
use crate::keys::json;
use crate::policy::authenticate::claims::Wrong;
use crate::policy::authenticate::client::{form, Client};
use crate::worker::Worker;

/// Of a token endpoint's answer, and so of every token in it.
pub const ANSWER_BYTES: usize = 64 * 1024;
/// How deep it may be nested.
const ANSWER_DEPTH: usize = 8;
/// Errors are named in the log, if they are no longer than this.
const ERROR_BYTES: usize = 64;

/// What a token endpoint answers. Shows nothing of itself.
pub struct Tokens {
    pub id_token: Option<String>,
    pub access_token: String,
    pub refresh_token: Option<String>,
    /// Seconds that the access token holds.
    pub expires_in: Option<u64>,
    /// RFC 8693 §2.2.1.
    pub issued_token_type: Option<String>,
}

/// Why there are no tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// The endpoint says no, with this error (RFC 6749 §5.2); empty where it names none.
    Refused { status: StatusCode, error: String },
    /// It does not say anything, or nothing that can be understood: a sentence for the log.
    Unavailable(String),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { status, error } => write!(formatter, "the token endpoint answered {status} {error}"),
            Self::Unavailable(cause) => write!(formatter, "the token endpoint: {cause}"),
        }
    }
}

/// What `token_type` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    Bearer,
    /// Also `N_A`, of tokens that are no access tokens (RFC 8693 §2.2.1).
    BearerOrNone,
}

/// Asks once, within `timeout` and until `deadline`. A redirect is not followed.
pub async fn ask(
    endpoint: &Endpoint,
    client: &Client,
    pairs: &[(&str, &str)],
    taken: TokenType,
    (timeout, deadline): (Duration, Instant),
    worker: &Rc<Worker>,
) -> Result<Tokens, Failed> {
    let proved = client.prove(&endpoint.url).map_err(Failed::Unavailable)?;
    let body = form(pairs.iter().copied().chain(proved.pairs()));
    match endpoint.post(body, proved.authorization, timeout, deadline, worker).await {
        Outcome::Answered { status: StatusCode::OK, body, .. } => {
            tokens(&body, taken).map_err(|wrong| Failed::Unavailable(wrong.to_owned()))
        }
        Outcome::Answered {
            status: status @ (StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
            body,
            ..
        } => {
            let error = Some(body).filter(|body| body.len() <= ANSWER_BYTES);
            let error = error.and_then(|body| json::parse(&body, ANSWER_DEPTH).ok());
            let error = error.as_ref().and_then(|error| error.get("error")?.as_str()).map_or("", printable);
            Err(Failed::Refused { status, error: error.to_owned() })
        }
        Outcome::Answered { status, .. } => Err(Failed::Unavailable(format!("it answered {status}"))),
        Outcome::Unanswered { error, .. } => Err(Failed::Unavailable(error.to_string())),
    }
}

fn tokens(body: &[u8], taken: TokenType) -> Result<Tokens, Wrong> {
    if body.len() > ANSWER_BYTES {
        return Err("its answer is too long");
    }
    let Ok(Value::Object(answer)) = json::parse(body, ANSWER_DEPTH) else {
        return Err("its answer is not one JSON object");
    };
    let text = |name: &str| match answer.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err("a token in its answer is not text"),
    };
    let kind = text("token_type")?.unwrap_or_default();
    let none = taken == TokenType::BearerOrNone && kind.eq_ignore_ascii_case("n_a");
    if !none && !kind.eq_ignore_ascii_case("bearer") {
        return Err("its tokens are not bearer tokens");
    }
    let expires_in = answer.get("expires_in").filter(|seconds| !seconds.is_null());
    Ok(Tokens {
        id_token: text("id_token")?,
        access_token: text("access_token")?.ok_or("its answer has no access token")?,
        refresh_token: text("refresh_token")?,
        expires_in: expires_in
            .map(|said| seconds(said).ok_or("its expires_in is not a number of seconds"))
            .transpose()?,
        issued_token_type: text("issued_token_type")?,
    })
}

/// A number; some issuers send it as text.
fn seconds(said: &Value) -> Option<u64> {
    match said {
        Value::String(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        said => said.as_u64(),
    }
}

/// An error code (RFC 6749 §5.2), or nothing that could spoil a log.
pub fn printable(error: &str) -> &str {
    let fits = error.len() <= ERROR_BYTES && error.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits {
        error
    } else {
        "(an error without a proper name)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_a_token_endpoint_is_read_strictly() {
        let right =
            r#"{"access_token":"a","token_type":"bearer","expires_in":60,"id_token":"i","refresh_token":null,"x":{}}"#;
        let tokens = |text: &str| super::tokens(text.as_bytes(), TokenType::Bearer);
        let read = tokens(right).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!((read.id_token.as_deref(), read.refresh_token.as_deref()), (Some("i"), None));
        assert_eq!(read.expires_in, Some(60));
        let text = tokens(r#"{"access_token":"a","token_type":"Bearer","expires_in":"3600"}"#);
        assert_eq!(text.map(|read| read.expires_in), Ok(Some(3600)));
        let exchanged = r#"{"access_token":"a","token_type":"N_A"}"#;
        assert!(super::tokens(exchanged.as_bytes(), TokenType::BearerOrNone).is_ok());
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"access_token":"a"}"#,
            r#"{"access_token":"a","token_type":"mac"}"#,
            r#"{"access_token":"a","token_type":"N_A"}"#,
            r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#,
            r#"{"access_token":7,"token_type":"Bearer"}"#,
            r#"{"token_type":"Bearer"}"#,
            r#"{"access_token":"a","token_type":"Bearer","expires_in":-1}"#,
            r#"{"access_token":"a","token_type":"Bearer","expires_in":"-60"}"#,
            r#"{"access_token":"a","token_type":"Bearer","expires_in":"60 s"}"#,
            r#"{"access_token":"a","token_type":"Bearer","expires_in":""}"#,
            r#"{"access_token":"a","token_type":"Bearer","expires_in":"99999999999999999999"}"#,
            r#"{"access_token":"a","token_type":"Bearer","expires_in":1e999}"#,
        ] {
            assert!(tokens(wrong).is_err(), "{wrong}");
        }
    }
}
