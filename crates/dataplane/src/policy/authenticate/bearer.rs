//! Bearer tokens in `Authorization` (RFC 6750 §2.1), and what is said of wrong ones (§3.1).

use http::header::AUTHORIZATION;
use http::HeaderValue;

use super::{Refusal, Verdict};
use crate::error::Kind;
use crate::policy::RequestHead;

pub const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"stagedoor\"");

/// The token; without one, what that means.
// Returned once for each scheme and looked at once: a box would cost more than the move.
#[allow(clippy::result_large_err)]
pub fn of(head: &RequestHead) -> Result<&[u8], Verdict> {
    let mut fields = head.headers.get_all(AUTHORIZATION).iter();
    let (Some(field), more) = (fields.next(), fields.next()) else { return Err(Verdict::Absent) };
    // Another kind of credential is one too: nobody who shows it is anonymous.
    let text = token(field.as_bytes()).ok_or(Verdict::NotMine)?;
    if more.is_some() {
        return Err(Verdict::Refused(Refusal {
            kind: Kind::BadRequest,
            detail: "The request carries more than one credential",
            challenge: Some(HeaderValue::from_static("Bearer realm=\"stagedoor\", error=\"invalid_request\"")),
            cause: None,
        }));
    }
    Ok(text)
}

/// What follows `Bearer` and spaces. Its form is the scheme's own business; nothing at all is a token too, and a wrong
/// one.
pub fn token(field: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = field.split_at_checked(6)?;
    let ends = token.first().is_none_or(u8::is_ascii_whitespace);
    (ends && scheme.eq_ignore_ascii_case(b"bearer")).then(|| token.trim_ascii())
}

/// `cause` is for the log.
pub fn invalid(cause: impl Into<String>) -> Verdict {
    Verdict::Refused(Refusal {
        kind: Kind::Unauthorized,
        detail: "The token is not valid",
        challenge: Some(HeaderValue::from_static("Bearer realm=\"stagedoor\", error=\"invalid_token\"")),
        cause: Some(cause.into()),
    })
}
