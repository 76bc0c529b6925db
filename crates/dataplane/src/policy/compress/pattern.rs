//! Which media types are compressed.

use std::fmt;

/// `type/subtype`, `type/*` or `type/*+suffix`; in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    before: Box<str>,
    /// After the `*`; None where there is none.
    after: Option<Box<str>>,
}

impl Pattern {
    pub fn new(text: &str) -> Option<Self> {
        let is_token = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'&' | b'-' | b'^' | b'_' | b'.' | b'+'))
        };
        let (kind, subtype) = text.split_once('/')?;
        let pattern = match subtype.strip_prefix('*') {
            None => Self { before: text.into(), after: None },
            Some(suffix) => Self { before: format!("{kind}/").into(), after: Some(suffix.into()) },
        };
        let right = match &pattern.after {
            None => is_token(subtype),
            Some(suffix) => suffix.is_empty() || suffix.strip_prefix('+').is_some_and(is_token),
        };
        (is_token(kind) && right).then_some(pattern)
    }

    pub fn matches(&self, kind: &[u8]) -> bool {
        let starts = |text: &[u8]| kind.len() >= text.len() && kind[..text.len()].eq_ignore_ascii_case(text);
        let ends = |text: &[u8]| kind.len() >= text.len() && kind[kind.len() - text.len()..].eq_ignore_ascii_case(text);
        match &self.after {
            None => kind.eq_ignore_ascii_case(self.before.as_bytes()),
            Some(suffix) => {
                kind.len() > self.before.len() + suffix.len()
                    && starts(self.before.as_bytes())
                    && ends(suffix.as_bytes())
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.after {
            None => text.write_str(&self.before),
            Some(suffix) => write!(text, "{}*{suffix}", self.before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_types_in_any_case_and_no_others() {
        for (pattern, kind, expected) in [
            ("text/html", "text/html", true),
            ("text/html", "Text/HTML", true),
            ("text/html", "text/htmlx", false),
            ("text/*", "text/css", true),
            ("text/*", "text/", false),
            ("text/*", "textual/css", false),
            ("application/*+json", "application/problem+json", true),
            ("application/*+json", "application/+json", false),
            ("application/*+json", "application/json", false),
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            assert_eq!(compiled.matches(kind.as_bytes()), expected, "{pattern} {kind}");
            assert_eq!(compiled.to_string(), pattern);
        }
        for wrong in ["", "text", "/x", "text/", "*/*", "text/*json", "text/a*", "text/html; charset=utf-8", "Text/x"] {
            assert_eq!(Pattern::new(wrong), None, "{wrong}");
        }
    }
}
