//! The cookies of a browser that logs in (RFC 6265): its session, in pieces where it is large, and its attempts to log
//! in. Over TLS they are `__Host-` cookies, which no other host can set.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// Characters of one cookie; browsers take 4096 with name and attributes.
const PIECE: usize = 3800;
/// Cookies of one session at most.
pub const PIECES: usize = 5;
/// Attempts to log in that a browser may have under way; one more forgets the others.
pub const ATTEMPTS: usize = 5;
const HOST: &str = "__Host-";

pub struct Cookies {
    name: Box<str>,
}

/// A session's text as a request carries it.
pub enum Carried {
    Nothing,
    /// Not necessarily one that opens.
    Text(Vec<u8>),
    /// Pieces are missing, or too many.
    Damaged,
}

impl Cookies {
    pub fn new(name: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        match !name.is_empty() && name.len() <= 64 && name.bytes().all(fits) && !name.starts_with("__") {
            true => Ok(Self { name: name.into() }),
            false => Err(format!("session: cookie: '{name}' is not 1 to 64 letters, digits, '_' and '-'")),
        }
    }

    pub fn session(&self, headers: &HeaderMap, secure: bool) -> Carried {
        let name = self.full(secure);
        let Some(first) = find(headers, &name) else { return Carried::Nothing };
        let Some((count, first)) = first.split_first().filter(|(_, rest)| rest.first() == Some(&b'.')) else {
            return Carried::Damaged;
        };
        let pieces = usize::from(count.wrapping_sub(b'0'));
        if pieces == 0 || pieces > PIECES {
            return Carried::Damaged;
        }
        let mut text = first[1..].to_vec();
        for index in 1..pieces {
            match find(headers, &format!("{name}.{index}")) {
                Some(piece) => text.extend_from_slice(piece),
                None => return Carried::Damaged,
            }
        }
        match text.len() <= PIECES * PIECE {
            true => Carried::Text(text),
            false => Carried::Damaged,
        }
    }

    /// Also forgets what the request still carries of a longer one. None: it is too long.
    pub fn set_session(&self, text: &str, headers: &HeaderMap, secure: bool, age_s: u64) -> Option<Vec<HeaderValue>> {
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(PIECE).collect();
        if pieces.is_empty() || pieces.len() > PIECES {
            return None;
        }
        let mut set = Vec::with_capacity(pieces.len());
        for (index, piece) in pieces.iter().enumerate() {
            let piece = std::str::from_utf8(piece).ok()?;
            let value = if index == 0 { format!("{}.{piece}", pieces.len()) } else { piece.to_owned() };
            set.push(cookie(&self.piece(index, secure), &value, secure, age_s)?);
        }
        let rest = (pieces.len()..PIECES).map(|index| self.piece(index, secure));
        set.extend(rest.filter(|name| find(headers, name).is_some()).filter_map(|name| cookie(&name, "", secure, 0)));
        Some(set)
    }

    /// Of what the request carries of a session.
    pub fn end_session(&self, headers: &HeaderMap, secure: bool) -> Vec<HeaderValue> {
        let names = (0..PIECES).map(|index| self.piece(index, secure));
        names.filter(|name| find(headers, name).is_some()).filter_map(|name| cookie(&name, "", secure, 0)).collect()
    }

    pub fn attempt<'a>(&self, headers: &'a HeaderMap, secure: bool, id: &str) -> Option<&'a [u8]> {
        find(headers, &self.attempt_name(secure, id))
    }

    /// Where a browser has too many attempts under way, the others are forgotten.
    pub fn set_attempt(
        &self,
        (id, text): (&str, &str),
        headers: &HeaderMap,
        secure: bool,
        age_s: u64,
    ) -> Option<Vec<HeaderValue>> {
        let start = self.attempt_name(secure, "");
        let mut set = Vec::new();
        let present = || each(headers).filter(|(name, _)| name.starts_with(start.as_bytes()));
        if present().count() >= ATTEMPTS {
            let names = present().filter_map(|(name, _)| std::str::from_utf8(name).ok());
            set.extend(names.take(2 * ATTEMPTS).filter_map(|name| cookie(name, "", secure, 0)));
        }
        set.push(cookie(&self.attempt_name(secure, id), text, secure, age_s)?);
        Some(set)
    }

    pub fn end_attempt(&self, secure: bool, id: &str) -> Option<HeaderValue> {
        cookie(&self.attempt_name(secure, id), "", secure, 0)
    }

    /// Takes all of ours out of a request; the others stay as they are.
    pub fn remove(&self, headers: &mut HeaderMap) {
        if !each(headers).any(|(name, _)| self.is_ours(name)) {
            return;
        }
        let kept: Vec<Vec<u8>> = headers
            .get_all(COOKIE)
            .iter()
            .map(|field| {
                let pairs = field.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
                let kept: Vec<&[u8]> = pairs.filter(|pair| !pair.is_empty() && !self.is_ours(name(pair))).collect();
                kept.join(&b"; "[..])
            })
            .collect();
        headers.remove(COOKIE);
        for field in kept.into_iter().filter(|field| !field.is_empty()) {
            // Parts of a value that was one.
            if let Ok(value) = HeaderValue::from_bytes(&field) {
                headers.append(COOKIE, value);
            }
        }
    }

    fn is_ours(&self, name: &[u8]) -> bool {
        let name = name.strip_prefix(HOST.as_bytes()).unwrap_or(name);
        let Some(rest) = name.strip_prefix(self.name.as_bytes()) else { return false };
        rest.is_empty()
            || rest.starts_with(b"-login-")
            || rest.strip_prefix(b".").is_some_and(|index| !index.is_empty() && index.iter().all(u8::is_ascii_digit))
    }

    fn full(&self, secure: bool) -> String {
        format!("{}{}", if secure { HOST } else { "" }, self.name)
    }

    fn piece(&self, index: usize, secure: bool) -> String {
        match index {
            0 => self.full(secure),
            _ => format!("{}.{index}", self.full(secure)),
        }
    }

    fn attempt_name(&self, secure: bool, id: &str) -> String {
        format!("{}-login-{id}", self.full(secure))
    }
}

/// A script never sees it, and another site's page sends it only where it brings the user here.
fn cookie(name: &str, value: &str, secure: bool, age_s: u64) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).ok()
}

/// The first of that name: browsers send the one nearest to the path first.
fn find<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a [u8]> {
    each(headers).find(|(name, _)| *name == wanted.as_bytes()).map(|(_, value)| value)
}

fn each(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter_map(|pair| {
        let name = name(pair);
        Some((name, pair.get(name.len() + 1..)?))
    })
}

fn name(pair: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'=', pair).unwrap_or(pair.len());
    &pair[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies() -> Cookies {
        Cookies::new("shop").unwrap_or_else(|error| panic!("{error}"))
    }

    fn carrying(fields: &[&str]) -> HeaderMap {
        let fields = fields.iter().map(|field| (COOKIE, HeaderValue::from_str(field).expect("a value")));
        HeaderMap::from_iter(fields)
    }

    /// As a browser sends back what was set, in a field each.
    fn back(set: &[HeaderValue]) -> HeaderMap {
        let pairs = set.iter().map(|value| value.to_str().expect("text"));
        let kept = pairs.filter(|pair| !pair.contains("Max-Age=0"));
        let mut headers = HeaderMap::new();
        for pair in kept.map(|pair| pair.split(';').next().expect("a pair")) {
            headers.append(COOKIE, HeaderValue::from_str(pair).expect("a value"));
        }
        headers
    }

    #[test]
    fn a_session_comes_back_in_as_many_pieces_as_it_needs() {
        for length in [1, PIECE, PIECE + 1, PIECES * PIECE] {
            let text = "x".repeat(length);
            let set = cookies().set_session(&text, &HeaderMap::new(), true, 60).expect("set");
            assert_eq!(set.len(), length.div_ceil(PIECE));
            for value in &set {
                let value = value.to_str().expect("text");
                assert!(value.starts_with("__Host-shop") && value.len() <= 4096, "{value}");
                assert!(value.ends_with("; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"), "{value}");
            }
            let carried = cookies().session(&back(&set), true);
            assert!(matches!(carried, Carried::Text(carried) if carried == text.as_bytes()), "{length}");
            assert!(matches!(cookies().session(&back(&set), false), Carried::Nothing));
        }
        let longer = "x".repeat(PIECES * PIECE + 1);
        assert!(cookies().set_session(&longer, &HeaderMap::new(), true, 60).is_none());
    }

    #[test]
    fn a_shorter_session_forgets_the_pieces_of_a_longer_one() {
        let headers = back(&cookies().set_session(&"x".repeat(9000), &HeaderMap::new(), true, 60).expect("set"));
        let set = cookies().set_session("short", &headers, true, 60).expect("set");
        assert_eq!(set.len(), 3);
        assert!(set[1..].iter().all(|value| value.to_str().is_ok_and(|text| text.contains("Max-Age=0"))));
        assert_eq!(cookies().end_session(&headers, true).len(), 3);
    }

    #[test]
    fn damaged_pieces_are_no_session() {
        for wrong in
            ["shop=", "shop=1", "shop=0.a", "shop=6.a", "shop=9.a", "shop=x.a", "shop=2.a", "shop=2.a; shop.2=b"]
        {
            assert!(matches!(cookies().session(&carrying(&[wrong]), false), Carried::Damaged), "{wrong}");
        }
        let oversized = format!("shop=1.{}", "a".repeat(PIECES * PIECE + 1));
        assert!(matches!(cookies().session(&carrying(&[&oversized]), false), Carried::Damaged));
        assert!(matches!(cookies().session(&carrying(&["shopping=1.a; Shop=1.a"]), false), Carried::Nothing));
    }

    #[test]
    fn ours_are_removed_and_others_stay() {
        let mut headers = carrying(&[
            "a=1; shop=1.x; shop.1=y; b=shop=1; __Host-shop=2.z",
            "shop-login-abc=1",
            "shopping=1; shop.x=1; shop-lists=2",
        ]);
        cookies().remove(&mut headers);
        let left: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(left, ["a=1; b=shop=1", "shopping=1; shop.x=1; shop-lists=2"]);
    }

    #[test]
    fn a_browser_has_few_attempts_under_way() {
        let set = cookies().set_attempt(("id", "text"), &carrying(&["shop-login-a=1"]), false, 60).expect("set");
        assert_eq!(set.len(), 1);
        let many = carrying(&["shop-login-a=1; shop-login-b=1; shop-login-c=1; shop-login-d=1; shop-login-e=1"]);
        let set = cookies().set_attempt(("id", "text"), &many, false, 60).expect("set");
        assert_eq!(set.len(), ATTEMPTS + 1);
        assert_eq!(back(&set).len(), 1);
    }
}
