//! `google.protobuf.Timestamp` and `Duration` as text: RFC 3339 and seconds.

use std::fmt::Write;

/// 0001-01-01T00:00:00Z, in seconds.
const FIRST: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST: i64 = 253_402_300_799;
/// Ten thousand years.
const LONGEST: i64 = 315_576_000_000;
const DAY: i64 = 86_400;

/// Seconds and nanoseconds of a time with `Z` or an offset.
pub(super) fn read_timestamp(text: &str) -> Option<(i64, i32)> {
    let bytes = text.as_bytes();
    let two = |at: usize| -> Option<i64> { digits(bytes.get(at..at + 2)?) };
    let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    let t = is(10, b'T') || is(10, b't');
    if !(is(4, b'-') && is(7, b'-') && t && is(13, b':') && is(16, b':')) {
        return None;
    }
    let (year, month, day) = (digits(bytes.get(..4)?)?, two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    let in_range = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let (nanos, rest) = fraction(bytes.get(19..)?)?;
    let offset = match rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), hours @ .., b':', m1, m2] if hours.len() == 2 => {
            let (hours, minutes) = (digits(hours)?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = days_since_epoch(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    (in_range && (FIRST..=LAST).contains(&seconds)).then_some((seconds, nanos))
}

/// In UTC, with 0, 3, 6 or 9 digits behind the point. None: out of range.
pub(super) fn write_timestamp(seconds: i64, nanos: i64, out: &mut String) -> Option<()> {
    if !(FIRST..=LAST).contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return None;
    }
    let (days, time) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}").ok()?;
    write_fraction(nanos, out);
    out.push('Z');
    Some(())
}

pub(super) fn read_duration(text: &str) -> Option<(i64, i32)> {
    let number = text.strip_suffix('s')?;
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let end = number.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(number.len());
    let (whole, rest) = number.split_at(end);
    if whole.is_empty() || whole.len() > 12 {
        return None;
    }
    let (nanos, rest) = fraction(rest.as_bytes())?;
    let seconds = digits(whole.as_bytes())?;
    if !rest.is_empty() || seconds > LONGEST {
        return None;
    }
    Some(if negative { (-seconds, -nanos) } else { (seconds, nanos) })
}

/// None: out of range, or of two signs.
pub(super) fn write_duration(seconds: i64, nanos: i64, out: &mut String) -> Option<()> {
    let signs_differ = seconds.signum() * nanos.signum() < 0;
    if seconds.abs() > LONGEST || nanos.abs() > 999_999_999 || signs_differ {
        return None;
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    write!(out, "{sign}{}", seconds.abs()).ok()?;
    write_fraction(nanos.abs(), out);
    out.push('s');
    Some(())
}

fn write_fraction(nanos: i64, out: &mut String) {
    let _fits = match () {
        () if nanos == 0 => Ok(()),
        () if nanos % 1_000_000 == 0 => write!(out, ".{:03}", nanos / 1_000_000),
        () if nanos % 1_000 == 0 => write!(out, ".{:06}", nanos / 1_000),
        () => write!(out, ".{nanos:09}"),
    };
}

/// Nanoseconds of a point with one to nine digits, if there is one, and what comes behind.
fn fraction(text: &[u8]) -> Option<(i32, &[u8])> {
    let Some(rest) = text.strip_prefix(b".") else { return Some((0, text)) };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 || count > 9 {
        return None;
    }
    let value = digits(&rest[..count])? * 10i64.pow(9 - count as u32);
    Some((i32::try_from(value).ok()?, &rest[count..]))
}

/// At most twelve.
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0i64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Years are counted from March, so that the day that some have more comes last; eras are 400 years.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, seconds, nanos, written) in [
            ("1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z"),
            ("0001-01-01T00:00:00Z", FIRST, 0, "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999999Z", LAST, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
            ("2024-02-29T12:30:45.5+01:30", 1_709_204_445, 500_000_000, "2024-02-29T11:00:45.500Z"),
            ("1969-12-31T23:59:59.000001Z", -1, 1000, "1969-12-31T23:59:59.000001Z"),
        ] {
            assert_eq!(read_timestamp(text), Some((seconds, nanos)), "{text}");
            let mut out = String::new();
            assert!(write_timestamp(seconds, i64::from(nanos), &mut out).is_some());
            assert_eq!(out, written);
        }
        for wrong in [
            "",
            "1970-01-01",
            "1970-01-01 00:00:00Z",
            "1970-01-01T00:00:00",
            "2023-02-29T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.1234567890Z",
            "1970-01-01T00:00:00+1:00",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59-01:00",
            "1970-01-01T00:00:00Zé",
        ] {
            assert_eq!(read_timestamp(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_day_of_four_hundred_years_is_itself() {
        for day in -200_000..200_000 {
            let (year, month, of_month) = date(day);
            assert_eq!(days_since_epoch(year, month, of_month), day);
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, seconds, nanos, written) in [
            ("0s", 0, 0, "0s"),
            ("-0.5s", 0, -500_000_000, "-0.500s"),
            ("1.000000001s", 1, 1, "1.000000001s"),
            ("315576000000s", LONGEST, 0, "315576000000s"),
            ("3.10s", 3, 100_000_000, "3.100s"),
        ] {
            assert_eq!(read_duration(text), Some((seconds, nanos)), "{text}");
            let mut out = String::new();
            assert!(write_duration(seconds, i64::from(nanos), &mut out).is_some());
            assert_eq!(out, written);
        }
        for wrong in ["", "s", "1", "1.s", ".5s", "+1s", "--1s", "315576000001s", "1e3s", "1.5 s"] {
            assert_eq!(read_duration(wrong), None, "{wrong}");
        }
        assert_eq!(write_duration(1, -1, &mut String::new()), None);
    }
}
