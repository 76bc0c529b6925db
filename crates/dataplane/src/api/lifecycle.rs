//! The end of a version: announced in advance, rehearsed, and carried out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{HeaderName, LINK, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};

use crate::snapshot;

/// RFC 9745.
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
/// RFC 8594.
const SUNSET: HeaderName = HeaderName::from_static("sunset");

#[derive(Default)]
pub struct Lifecycle {
    deprecated: Option<(u64, HeaderValue)>,
    sunset: Option<(u64, HeaderValue)>,
    /// Links to the page that tells of both.
    links: Vec<HeaderValue>,
    pub docs: Option<Box<str>>,
    brownouts: Vec<snapshot::Brownout>,
}

/// What a version is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Current,
    Deprecated,
    /// Switched off for so many seconds more, for some of the requests.
    Brownout {
        left_s: u64,
        percent: u8,
        status: u16,
    },
    Retired,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Current => "current",
            State::Deprecated => "deprecated",
            State::Brownout { .. } => "brownout",
            State::Retired => "retired",
        }
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// As in HTTP (RFC 9110 §5.6.7).
pub fn http_date(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

impl Lifecycle {
    pub fn compile(settings: &snapshot::ApiVersion) -> Result<Self, String> {
        let value = |text: String| HeaderValue::try_from(text).map_err(|_| "docs: it is no URL".to_owned());
        // Beyond the year 9999 there is no date that could be told.
        let told = |seconds: u64| match seconds < 253_402_300_800 {
            true => Ok(seconds),
            false => Err("a time after the year 9999".to_owned()),
        };
        let deprecated = settings.deprecated.map(told).transpose()?;
        let sunset = settings.sunset.map(told).transpose()?;
        if deprecated.zip(sunset).is_some_and(|(deprecated, sunset)| sunset < deprecated) {
            return Err("sunset: it is before 'deprecated' (RFC 9745 §4)".to_owned());
        }
        let mut links = Vec::new();
        if let Some(docs) = &settings.docs {
            let kinds = [("deprecation", deprecated.is_some()), ("sunset", sunset.is_some())];
            for (relation, _) in kinds.into_iter().filter(|(_, told)| *told) {
                links.push(value(format!("<{docs}>; rel=\"{relation}\""))?);
            }
        }
        for each in &settings.brownouts {
            if each.for_s == 0 || each.every_s.is_some_and(|every| every <= each.for_s) {
                return Err("brownouts: one lasts until the next begins".to_owned());
            }
        }
        Ok(Self {
            deprecated: deprecated.map(|at| Ok::<_, String>((at, value(format!("@{at}"))?))).transpose()?,
            sunset: sunset.map(|at| Ok::<_, String>((at, value(http_date(at))?))).transpose()?,
            links,
            docs: settings.docs.as_deref().map(Box::from),
            brownouts: settings.brownouts.clone(),
        })
    }

    pub fn state(&self, now: u64) -> State {
        if self.sunset.as_ref().is_some_and(|(at, _)| *at <= now) {
            return State::Retired;
        }
        let brownout = self.brownouts.iter().find_map(|each| Some((each, left(each, now)?)));
        match brownout {
            Some((each, left_s)) => State::Brownout { left_s, percent: each.percent, status: each.status },
            None if self.deprecated.as_ref().is_some_and(|(at, _)| *at <= now) => State::Deprecated,
            None => State::Current,
        }
    }

    pub fn deprecated(&self) -> Option<u64> {
        self.deprecated.as_ref().map(|(at, _)| *at)
    }

    pub fn sunset(&self) -> Option<u64> {
        self.sunset.as_ref().map(|(at, _)| *at)
    }

    /// On every answer of the version. What the service says of them is said of itself, and not of this version.
    pub fn tell(&self, headers: &mut HeaderMap) {
        if let Some((_, value)) = &self.deprecated {
            headers.insert(DEPRECATION, value.clone());
        }
        if let Some((_, value)) = &self.sunset {
            headers.insert(SUNSET, value.clone());
        }
        for link in &self.links {
            headers.append(LINK, link.clone());
        }
    }
}

/// Seconds until the end of a brownout that is under way.
fn left(brownout: &snapshot::Brownout, now: u64) -> Option<u64> {
    let since = now.checked_sub(brownout.start).filter(|_| brownout.until.is_none_or(|until| now < until))?;
    let within = brownout.every_s.map_or(since, |every| since % every);
    let left = brownout.for_s.checked_sub(within).filter(|left| *left > 0)?;
    Some(brownout.until.map_or(left, |until| left.min(until - now)))
}

/// When to come again, where some requests are let through even now at once.
pub fn retry_after(left_s: u64, percent: u8) -> (HeaderName, HeaderValue) {
    (RETRY_AFTER, HeaderValue::from(if percent == 100 { left_s } else { 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brownout_lasts_and_comes_again_as_it_says() {
        let once = snapshot::Brownout { start: 100, for_s: 10, every_s: None, until: None, percent: 100, status: 503 };
        let again = snapshot::Brownout { every_s: Some(60), until: Some(225), ..once.clone() };
        for (now, one, other) in [
            (99, None, None),
            (100, Some(10), Some(10)),
            (109, Some(1), Some(1)),
            (110, None, None),
            (160, None, Some(10)),
            (224, None, Some(1)),
            (225, None, None),
        ] {
            assert_eq!((left(&once, now), left(&again, now)), (one, other), "at {now}");
        }
    }

    #[test]
    fn a_version_is_deprecated_and_then_retired() {
        let settings =
            serde_json::json!({"name": "v1", "deprecated": 100, "sunset": 200, "docs": "https://x.example/"});
        let settings = serde_json::from_value(settings).expect("settings");
        let lifecycle = Lifecycle::compile(&settings).expect("right");
        let states = [99, 100, 200].map(|now| lifecycle.state(now));
        assert_eq!(states, [State::Current, State::Deprecated, State::Retired]);
        let mut headers = HeaderMap::new();
        lifecycle.tell(&mut headers);
        assert_eq!(headers["deprecation"], "@100");
        assert_eq!(headers["sunset"], "Thu, 01 Jan 1970 00:03:20 GMT");
        let links: Vec<_> = headers.get_all(LINK).iter().collect();
        assert_eq!(links, ["<https://x.example/>; rel=\"deprecation\"", "<https://x.example/>; rel=\"sunset\""]);
    }
}
