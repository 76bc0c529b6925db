//! How long an answer that is made of others is fresh, for whom, and by what it varies (RFC 9111 §4.2.1, RFC 9110
//! §12.5.5): as strictly as the strictest of them.

use std::time::Duration;

use http::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, VARY};
use http::{HeaderMap, HeaderValue};

use crate::identity;

#[derive(Debug, Default)]
pub struct Freshness {
    answers: usize,
    no_store: bool,
    no_cache: bool,
    must_revalidate: bool,
    private: bool,
    /// Seconds; shared caches have their own where some answer says so.
    lifetime: Least,
    shared: Least,
    shared_differs: bool,
    vary: Vec<Box<str>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Least {
    #[default]
    Untold,
    Known(u64),
    /// Some answer says nothing of it.
    Open,
}

impl Least {
    fn add(&mut self, seconds: Option<u64>) {
        *self = match (*self, seconds) {
            (Least::Open, _) | (_, None) => Least::Open,
            (Least::Untold, Some(seconds)) => Least::Known(seconds),
            (Least::Known(least), Some(seconds)) => Least::Known(least.min(seconds)),
        };
    }
}

impl Freshness {
    pub fn add(&mut self, headers: &HeaderMap) {
        self.answers += 1;
        let (mut max_age, mut shared) = (None, None);
        for directive in list(headers, CACHE_CONTROL) {
            let (name, value) = directive.split_once('=').unwrap_or((&directive, ""));
            // An argument that cannot be read makes the answer stale (RFC 9111 §4.2.1).
            let seconds = || Some(value.trim_matches('"').parse().unwrap_or(0));
            match name.trim() {
                "no-store" => self.no_store = true,
                "no-cache" => self.no_cache = true,
                "must-revalidate" | "proxy-revalidate" => self.must_revalidate = true,
                "private" => self.private = true,
                "max-age" => max_age = least(max_age, seconds()),
                "s-maxage" => shared = least(shared, seconds()),
                _ => {}
            }
        }
        let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse::<u64>().ok()).unwrap_or(0);
        let left = |seconds: u64| seconds.saturating_sub(age);
        let lifetime = max_age.or_else(|| expires(headers)).map(left);
        self.shared_differs |= shared.is_some();
        self.lifetime.add(lifetime);
        self.shared.add(shared.map(left).or(lifetime));
        for name in list(headers, VARY) {
            // The same for every call, whoever asks.
            if !matches!(&*name, "accept" | "accept-encoding") {
                self.vary(&name);
            }
        }
    }

    /// The answer depends on a header of the request.
    pub fn vary(&mut self, name: &str) {
        // Of these a cache before us knows nothing.
        self.private |= identity::is_reserved(name);
        if !identity::is_reserved(name) && !self.vary.iter().any(|known| **known == *name) {
            self.vary.push(name.into());
        }
    }

    /// The answer is for one caller.
    pub fn personal(&mut self) {
        self.private = true;
    }

    /// `partial`: a part is missing that may be there the next time.
    pub fn tell(&self, partial: bool, headers: &mut HeaderMap) {
        // Whichever answer came first.
        let mut names = self.vary.clone();
        names.sort_unstable();
        let vary = match names.iter().any(|name| **name == *"*") {
            true => "*".to_owned(),
            false => names.join(", "),
        };
        if let Some(vary) = HeaderValue::from_str(&vary).ok().filter(|_| !vary.is_empty()) {
            headers.insert(VARY, vary);
        }
        let mut directives = Vec::new();
        if self.no_store || partial {
            directives.push("no-store".to_owned());
        } else {
            let flags =
                [(self.private, "private"), (self.no_cache, "no-cache"), (self.must_revalidate, "must-revalidate")];
            directives.extend(flags.iter().filter(|(is, _)| *is).map(|(_, flag)| (*flag).to_owned()));
            if let Least::Known(seconds) = self.lifetime {
                directives.push(format!("max-age={seconds}"));
            }
            if let (Least::Known(seconds), true) = (self.shared, self.shared_differs && !self.private) {
                directives.push(format!("s-maxage={seconds}"));
            }
        }
        if let Some(value) = HeaderValue::from_str(&directives.join(", ")).ok().filter(|value| !value.is_empty()) {
            headers.insert(CACHE_CONTROL, value);
        }
    }
}

/// Of two that contradict each other the stricter one counts.
fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Members of a list, in lower case.
fn list(headers: &HeaderMap, name: http::HeaderName) -> impl Iterator<Item = String> + '_ {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(|part| part.trim().to_ascii_lowercase()).filter(|part| !part.is_empty())
}

fn expires(headers: &HeaderMap) -> Option<u64> {
    let time =
        |name| headers.get(name).and_then(|value: &HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok());
    headers.get(EXPIRES)?;
    // `0` and the like: in the past (RFC 9111 §5.3).
    let Some(expires) = time(EXPIRES) else { return Some(0) };
    let date = time(DATE).unwrap_or_else(std::time::SystemTime::now);
    Some(expires.duration_since(date).unwrap_or(Duration::ZERO).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers as `name: value` lines, and what is told of them: Cache-Control and Vary.
    fn told(answers: &[&[(&'static str, &'static str)]]) -> (String, String) {
        let mut freshness = Freshness::default();
        for fields in answers {
            let mut headers = HeaderMap::new();
            for (name, value) in *fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            freshness.add(&headers);
        }
        let mut headers = HeaderMap::new();
        freshness.tell(false, &mut headers);
        let text = |name| headers.get(name).map_or(String::new(), |value| value.to_str().expect("text").to_owned());
        (text(CACHE_CONTROL), text(VARY))
    }

    #[test]
    fn the_strictest_answer_counts() {
        let cc = |value: &'static str| [("cache-control", value)];
        for (answers, expected) in [
            (&[&cc("max-age=60")[..], &cc("public, max-age=10")][..], "max-age=10"),
            (&[&cc("max-age=60"), &[]], ""),
            (&[&cc("max-age=60, private"), &cc("max-age=90, s-maxage=5")], "private, max-age=60"),
            (&[&cc("max-age=60"), &cc("max-age=90, s-maxage=5")], "max-age=60, s-maxage=5"),
            (&[&cc("no-store"), &cc("max-age=90")], "no-store"),
            (&[&cc("no-cache"), &cc("max-age=90, must-revalidate")], "no-cache, must-revalidate"),
            (&[&cc("max-age=60, max-age=30")], "max-age=30"),
            (&[&cc("max-age=soon")], "max-age=0"),
            (&[&[("cache-control", "max-age=60"), ("age", "25")]], "max-age=35"),
            (
                &[&[("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("expires", "Sun, 06 Nov 1994 08:50:37 GMT")]],
                "max-age=60",
            ),
            (&[&[("expires", "0")]], "max-age=0"),
        ] {
            assert_eq!(told(answers).0, expected, "{answers:?}");
        }
    }

    #[test]
    fn what_answers_vary_by_is_united() {
        let vary = |value: &'static str| [("vary", value)];
        assert_eq!(
            told(&[&vary("Origin, Accept-Encoding"), &vary("accept-language, origin")]).1,
            "accept-language, origin"
        );
        assert_eq!(told(&[&vary("Origin"), &vary("*")]).1, "*");
        assert_eq!(told(&[&vary("X-Consumer-Id")]), ("private".to_owned(), String::new()));
    }
}
