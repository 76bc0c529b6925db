//! How a client wants its workflow run: `Prefer` (RFC 7240) and `Idempotency-Key` (draft-ietf-httpapi-idempotency-key).

use http::{HeaderMap, HeaderName};

use crate::error::{Error, Kind};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A longer key is refused.
pub const KEY_BYTES: usize = 255;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preference {
    pub respond_async: bool,
    /// Seconds.
    pub wait: Option<u64>,
}

impl Preference {
    /// The first of each preference counts (RFC 7240 §2); what is malformed or unknown is no preference.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut preference = Self::default();
        let fields = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        for item in fields.flat_map(|field| field.split(',')) {
            let token = item.split(';').next().unwrap_or_default().trim();
            let (name, value) = match token.split_once('=') {
                Some((name, value)) => (name.trim(), value.trim().trim_matches('"')),
                None => (token, ""),
            };
            if name.eq_ignore_ascii_case("respond-async") {
                preference.respond_async = true;
            } else if name.eq_ignore_ascii_case("wait") && preference.wait.is_none() {
                preference.wait = value.parse().ok();
            }
        }
        preference
    }

    /// How long the client may wait, never longer than the route allows. `respond-async` alone is not at all (§4.1),
    /// with `wait` it is so many seconds (§4.3).
    pub fn wait_ms(self, allowed_ms: u64) -> u64 {
        match (self.respond_async, self.wait) {
            (_, Some(seconds)) => seconds.saturating_mul(1000).min(allowed_ms),
            (true, None) => 0,
            (false, None) => allowed_ms,
        }
    }
}

/// A structured-field string (RFC 8941 §3.3.3) as the draft asks, or the bare text that most clients send.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let wrong = |detail: String| Err(Error::new(Kind::BadRequest, detail));
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return wrong("Idempotency-Key stands more than once".to_owned());
    }
    let text = value.to_str().unwrap_or_default().trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => unquote(rest),
        None => Some(text.to_owned()).filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')),
    };
    match key {
        Some(key) if key.is_empty() => wrong("Idempotency-Key is empty".to_owned()),
        Some(key) if key.len() > KEY_BYTES => wrong(format!("Idempotency-Key is longer than {KEY_BYTES} bytes")),
        Some(key) => Ok(Some(key)),
        None => wrong("Idempotency-Key is neither a quoted string nor a token".to_owned()),
    }
}

/// The rest of a quoted string, which must end where the text ends; parameters after it are ignored.
fn unquote(text: &str) -> Option<String> {
    let mut key = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => {
                let rest = chars.as_str().trim_start();
                return (rest.is_empty() || rest.starts_with(';')).then_some(key);
            }
            '\\' => key.push(chars.next().filter(|char| matches!(char, '"' | '\\'))?),
            char => key.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().expect("a header value"))).collect()
    }

    #[test]
    fn preferences_shorten_the_wait_and_never_lengthen_it() {
        for (fields, wait_ms) in [
            (&[][..], 5000),
            (&["respond-async"][..], 0),
            (&["Respond-Async; foo=bar"][..], 0),
            (&["respond-async, wait=2"][..], 2000),
            (&["wait=2"][..], 2000),
            (&["wait = \"2\""][..], 2000),
            (&["wait=2", "wait=1"][..], 2000),
            (&["wait=60"][..], 5000),
            (&["wait=99999999999999999999"][..], 5000),
            (&["wait=soon"][..], 5000),
            (&["handling=lenient"][..], 5000),
            (&["wait=18446744073709551615"][..], 5000),
        ] {
            assert_eq!(Preference::of(&headers(&PREFER, fields)).wait_ms(5000), wait_ms, "{fields:?}");
        }
    }

    #[test]
    fn an_idempotency_key_is_a_quoted_string_or_a_token() {
        for (fields, key) in [
            (&[][..], Some(None)),
            (&["\"8e03978e-40d5\""][..], Some(Some("8e03978e-40d5"))),
            (&["8e03978e-40d5"][..], Some(Some("8e03978e-40d5"))),
            (&["\"a\\\"b\\\\c d\""][..], Some(Some("a\"b\\c d"))),
            (&["\"a\"; p=1"][..], Some(Some("a"))),
            (&["\"a"][..], None),
            (&["\"a\"b"][..], None),
            (&["\"a\\x\""][..], None),
            (&["a b"][..], None),
            (&[""][..], None),
            (&["\"\""][..], None),
            (&["a", "a"][..], None),
            (&["caf\u{e9}"][..], None),
        ] {
            let found = idempotency_key(&headers(&IDEMPOTENCY_KEY, fields)).ok();
            assert_eq!(found.as_ref().map(|key| key.as_deref()), key, "{fields:?}");
        }
        let long = "a".repeat(KEY_BYTES + 1);
        assert!(idempotency_key(&headers(&IDEMPOTENCY_KEY, &[&long])).is_err());
    }
}
