//! How long a response is fresh, and how old it is (RFC 9111 §4.2). Pure: the clock comes in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{AGE, DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, StatusCode};

use super::directives::{delta_seconds, members, ResponseDirectives, LONGEST_S};

/// Guessed freshness is this part of the time since the last change, and at most a day (§4.2.2).
const HEURISTIC_PART: u64 = 10;
const HEURISTIC_MOST_S: u64 = 24 * 3600;

/// When a request was sent and its response came, in whole seconds since 1970 and as a time between.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub received_s: u64,
    pub delay: Duration,
}

/// Where a response's freshness comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It says so itself.
    Explicit,
    /// The route's rule for its status.
    Rule,
    /// From its last change.
    Heuristic,
    /// Nothing says anything.
    Nothing,
}

/// What a route says of responses that do not say it themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fallback {
    pub ttl_s: Option<u64>,
    pub heuristic: bool,
}

/// Whole seconds since 1970; what lies before is 0.
pub fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A date field that is there once and right.
pub fn date(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    httpdate::parse_http_date(value.to_str().ok()?).ok().map(unix_seconds)
}

/// The freshness lifetime (§4.2.1) in seconds.
pub fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    directives: &ResponseDirectives,
    fallback: Fallback,
    moment: Moment,
) -> (u64, Source) {
    if let Some(seconds) = directives.s_maxage.or(directives.max_age) {
        return (seconds, Source::Explicit);
    }
    let generated = date(headers, &DATE).unwrap_or(moment.received_s);
    if headers.contains_key(EXPIRES) && !directives.targeted {
        // One that is no date is in the past (§5.3).
        let expires = date(headers, &EXPIRES).unwrap_or(0);
        return (expires.saturating_sub(generated).min(LONGEST_S), Source::Explicit);
    }
    if let Some(seconds) = fallback.ttl_s {
        return (seconds, Source::Rule);
    }
    let guessed = fallback.heuristic && (is_heuristic(status) || directives.public);
    match date(headers, &LAST_MODIFIED).filter(|_| guessed) {
        Some(changed) => {
            let seconds = generated.saturating_sub(changed) / HEURISTIC_PART;
            (seconds.min(HEURISTIC_MOST_S), Source::Heuristic)
        }
        None => (0, Source::Nothing),
    }
}

/// The age of a response when it came (§4.2.3), or None where its `Age` is no number: it is stale then.
pub fn initial_age(headers: &HeaderMap, moment: Moment) -> Option<Duration> {
    let told = match age(headers) {
        Some(told) => told?,
        None => 0,
    };
    let apparent = date(headers, &DATE).map_or(0, |generated| moment.received_s.saturating_sub(generated));
    let corrected = Duration::from_secs(told).saturating_add(moment.delay);
    Some(corrected.max(Duration::from_secs(apparent.min(LONGEST_S))))
}

/// The outer one: whether there is such a field; the inner one: whether it is right.
fn age(headers: &HeaderMap) -> Option<Option<u64>> {
    let mut lines = headers.get_all(AGE).iter();
    let line = lines.next()?;
    if lines.next().is_some() {
        return Some(None);
    }
    // A list in place of one number: the first one counts (§5.1).
    Some(members(line.as_bytes()).next().and_then(delta_seconds))
}

/// Statuses whose freshness may be guessed (RFC 9110 §15.1), less 206, which is not stored.
pub fn is_heuristic(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Statuses whose meaning for a cache is known, which `must-understand` asks for (RFC 9111 §5.2.2.3).
pub fn is_understood(status: StatusCode) -> bool {
    is_heuristic(status) || matches!(status.as_u16(), 302 | 303 | 307 | 400 | 403 | 421 | 451 | 500 | 502..=504)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-28 12:00:00 GMT.
    const NOW_S: u64 = 1_795_867_200;

    fn fields(text: &str) -> HeaderMap {
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            let value = match value.strip_prefix('@') {
                // A date, relative to now.
                Some(delta) => {
                    let at = NOW_S.checked_add_signed(delta.parse().unwrap()).unwrap();
                    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at))
                }
                None => value.to_owned(),
            };
            (name.parse::<HeaderName>().unwrap(), HeaderValue::try_from(value).unwrap())
        };
        text.split('|').filter(|line| !line.is_empty()).map(field).collect()
    }

    fn moment(delay_s: u64) -> Moment {
        Moment { received_s: NOW_S, delay: Duration::from_secs(delay_s) }
    }

    #[test]
    fn the_lifetime_is_what_section_4_2_1_says() {
        let cases: &[(&str, u16, u64, Source)] = &[
            ("", 200, 0, Source::Nothing),
            ("cache-control: s-maxage=5, max-age=10|expires: @20", 200, 5, Source::Explicit),
            ("cache-control: max-age=10|expires: @20", 200, 10, Source::Explicit),
            ("expires: @20|date: @0", 200, 20, Source::Explicit),
            ("expires: @20|date: @-5", 200, 25, Source::Explicit),
            ("expires: @20|date: @30", 200, 0, Source::Explicit),
            ("expires: @20", 200, 20, Source::Explicit),
            ("expires: @20|date: nonsense", 200, 20, Source::Explicit),
            ("expires: 0", 200, 0, Source::Explicit),
            ("expires: @20|expires: @20", 200, 0, Source::Explicit),
            ("last-modified: @-1000", 200, 100, Source::Heuristic),
            ("last-modified: @-1000|date: @-500", 200, 50, Source::Heuristic),
            ("last-modified: @1000", 200, 0, Source::Heuristic),
            ("last-modified: @-99999999", 200, HEURISTIC_MOST_S, Source::Heuristic),
            ("last-modified: @-1000", 201, 0, Source::Nothing),
            ("last-modified: @-1000|cache-control: public", 201, 100, Source::Heuristic),
            ("cache-control: max-age=10, max-age=20", 200, 10, Source::Explicit),
            ("cache-control: max-age=-10", 200, 0, Source::Explicit),
            ("cache-control: max-age='10'", 200, 0, Source::Explicit),
            ("cache-control: max-age=10.5", 200, 0, Source::Explicit),
            ("cache-control: max-age", 200, 0, Source::Explicit),
            ("cache-control: max-age=\"10\"", 200, 10, Source::Explicit),
            ("cache-control: MAX-AGE=0010", 200, 10, Source::Explicit),
            ("cache-control: max-age=2147483647", 200, 2_147_483_647, Source::Explicit),
            ("cache-control: max-age=2147483649", 200, LONGEST_S, Source::Explicit),
            ("cache-control: max-age=99999999999999999999999", 200, LONGEST_S, Source::Explicit),
            ("cdn-cache-control: max-age=10|cache-control: max-age=20|expires: @30", 200, 10, Source::Explicit),
            ("cdn-cache-control: public|expires: @30", 200, 0, Source::Nothing),
            ("cdn-cache-control: max-age=10;x, max-age=7", 200, 7, Source::Explicit),
        ];
        for (text, status, seconds, source) in cases {
            let headers = fields(text);
            let fallback = Fallback { ttl_s: None, heuristic: true };
            let status = StatusCode::from_u16(*status).unwrap();
            let found = lifetime(status, &headers, &ResponseDirectives::of(&headers), fallback, moment(0));
            assert_eq!(found, (*seconds, *source), "{text}");
        }
        let rule = Fallback { ttl_s: Some(7), heuristic: true };
        let headers = fields("last-modified: @-1000");
        let found = lifetime(StatusCode::OK, &headers, &ResponseDirectives::of(&headers), rule, moment(0));
        assert_eq!(found, (7, Source::Rule));
    }

    #[test]
    fn the_age_is_what_section_4_2_3_says() {
        for (text, delay_s, age) in [
            ("", 0, Some(0)),
            ("", 2, Some(2)),
            ("age: 5", 2, Some(7)),
            ("age: 5|date: @-60", 2, Some(60)),
            ("age: 70|date: @-60", 2, Some(72)),
            ("date: @60", 0, Some(0)),
            ("age: 5, 7", 0, Some(5)),
            ("age: x", 0, None),
            ("age: -1", 0, None),
            ("age: 1.5", 0, None),
            ("age: ", 0, None),
            ("age: 5|age: 5", 0, None),
            ("age: 99999999999999999999", 0, Some(LONGEST_S)),
        ] {
            assert_eq!(initial_age(&fields(text), moment(delay_s)), age.map(Duration::from_secs), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_value_of_any_field_overflows(
            texts in prop::collection::vec(("[a-z=\", 0-9-]{0,40}", "[0-9]{0,30}"), 5),
            received_s in any::<u64>(),
            delay_ms in any::<u64>(),
        ) {
            let mut headers = HeaderMap::new();
            for ((name, (text, digits)), lead) in [
                ("cache-control", &texts[0]), ("cdn-cache-control", &texts[1]), ("expires", &texts[2]), ("age", &texts[3]),
                ("date", &texts[4]),
            ].into_iter().zip(["max-age=", "max-age=", "", "", ""]) {
                for value in [format!("{lead}{digits}"), text.clone()] {
                    headers.append(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
                }
            }
            let moment = Moment { received_s, delay: Duration::from_millis(delay_ms) };
            let directives = ResponseDirectives::of(&headers);
            let fallback = Fallback { ttl_s: None, heuristic: true };
            let (seconds, _) = lifetime(StatusCode::OK, &headers, &directives, fallback, moment);
            prop_assert!(seconds <= LONGEST_S);
            let _age = initial_age(&headers, moment);
        }

        #[test]
        fn a_number_of_seconds_is_read_exactly_or_as_the_most(seconds in any::<u64>(), zeros in "0{0,30}") {
            let text = format!("{zeros}{seconds}");
            prop_assert_eq!(delta_seconds(text.as_bytes()), Some(seconds.min(LONGEST_S)));
        }
    }
}
