//! A token in `Authorization`, as a bearer token (RFC 6750 §2.1) or with a proof of possession (RFC 9449 §7.1).

use http::header::AUTHORIZATION;

use crate::policy::authenticate::jwt::verified::Name;
use crate::policy::RequestHead;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Bearer,
    Dpop,
}

/// A token as a request carries it.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    pub way: Way,
    pub text: &'a [u8],
    /// Of the text, by SHA-256.
    pub digest: Name,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Nothing,
    /// There is a credential of another kind.
    Foreign,
    /// There are several, and it is not ours to choose.
    Several,
}

impl Way {
    /// With what follows the scheme and spaces. Its form is the token's own business; nothing at all is a token too, and
    /// a wrong one.
    pub fn of(field: &[u8]) -> Option<(Self, &[u8])> {
        for (way, name) in [(Self::Bearer, "bearer"), (Self::Dpop, "dpop")] {
            let Some((scheme, token)) = field.split_at_checked(name.len()) else { continue };
            let ends = token.first().is_none_or(u8::is_ascii_whitespace);
            if ends && scheme.eq_ignore_ascii_case(name.as_bytes()) {
                return Some((way, token.trim_ascii()));
            }
        }
        None
    }
}

/// The token of a request and its way; `proofs` says whether tokens with proofs are taken.
pub fn find(head: &RequestHead, proofs: bool) -> Result<(Way, &[u8]), Missing> {
    let mut fields = head.headers.get_all(AUTHORIZATION).iter();
    let (Some(field), more) = (fields.next(), fields.next()) else { return Err(Missing::Nothing) };
    match Way::of(field.as_bytes()) {
        None => Err(Missing::Foreign),
        Some((Way::Dpop, _)) if !proofs => Err(Missing::Foreign),
        Some(_) if more.is_some() => Err(Missing::Several),
        Some(found) => Ok(found),
    }
}
