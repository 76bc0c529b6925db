//! The fields of draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy` says what is allowed, `RateLimit` what is left.

use http::{HeaderName, HeaderValue};

use super::limiter::Verdict;
use super::Rule;

pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What the rules said to one request.
#[derive(Debug, Clone)]
pub struct RateReport {
    /// The `RateLimit` field.
    pub(super) field: HeaderValue,
    /// What the consumer's plan adds to `RateLimit-Policy`.
    pub(super) plan: Option<HeaderValue>,
    pub refused: bool,
}

/// A name as a structured-field string (RFC 9651 §3.3.3); None if it holds what that cannot.
pub fn quoted(name: &str) -> Option<String> {
    if !name.bytes().all(|byte| (0x20..0x7F).contains(&byte)) {
        return None;
    }
    Some(format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// `"name";q=100;w=60`, one for each rule; `w` is left out where the time is not whole seconds.
pub fn policy(rules: &[Rule]) -> HeaderValue {
    let mut items = Vec::new();
    for rule in rules {
        let per = rule.rate.per.as_millis();
        let window = if per % 1000 == 0 { format!(";w={}", per / 1000) } else { String::new() };
        items.push(format!("{};q={}{window}", rule.quoted, rule.rate.limit));
    }
    HeaderValue::from_str(&items.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

/// Writes `"name";r=5;t=10`, one for each rule, into a reused buffer. `t` is the time until the allowance is full again; of a rule
/// that refused it is that of `Retry-After`, as the draft asks.
pub fn push(field: &mut Vec<u8>, rule: &Rule, verdict: Verdict) {
    let (remaining, time) = match verdict {
        Verdict::Taken { remaining, full_after } => (remaining, full_after),
        Verdict::Refused { retry_after } => (0, retry_after),
    };
    if !field.is_empty() {
        field.extend_from_slice(b", ");
    }
    let mut digits = itoa::Buffer::new();
    field.extend_from_slice(rule.quoted.as_bytes());
    field.extend_from_slice(b";r=");
    field.extend_from_slice(digits.format(remaining).as_bytes());
    field.extend_from_slice(b";t=");
    field.extend_from_slice(digits.format(seconds(time)).as_bytes());
}

/// Whole seconds, rounded up: whoever waits so long does not come too early.
pub fn seconds(time: std::time::Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
