//! Values of simple types: JSON to the text of XML Schema (part 2, §3) and back.

use std::borrow::Cow;
use std::sync::LazyLock;

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use regex::Regex;

use super::json::Json;
use crate::protocol::json::{quote, validate};
use crate::snapshot::SimpleKind as Kind;

/// Years of more than four digits, and the end of a day as 24:00:00, are allowed there.
static DATE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern("{date}{zone}"));
static DATE_TIME: LazyLock<Option<Regex>> = LazyLock::new(|| pattern("{date}T{time}{zone}"));
static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| pattern("{time}{zone}"));
static DURATION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^-?P(\d+Y)?(\d+M)?(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$").ok());

fn pattern(parts: &str) -> Option<Regex> {
    let parts = parts
        .replace("{date}", r"-?(?:[1-9]\d{3,}|0\d{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
        .replace("{time}", r"(?:(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?|24:00:00(?:\.0+)?)")
        .replace("{zone}", r"(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)?");
    Regex::new(&format!("^{parts}$")).ok()
}

fn fits(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// The text of a value, or what was expected.
pub fn encode<'j>(kind: Kind, value: &'j Json) -> Result<Cow<'j, str>, &'static str> {
    let expected = expected(kind);
    let text = match value {
        Json::Text(text) => text.as_str(),
        Json::Number(text) if is_number(kind) => text.as_str(),
        Json::Bool(value) if kind == Kind::Boolean => return Ok(if *value { "true" } else { "false" }.into()),
        _ => return Err(expected),
    };
    let is_text = matches!(value, Json::Text(_));
    let fits = match kind {
        Kind::String | Kind::Text => true,
        Kind::Boolean => matches!(text, "true" | "false" | "1" | "0"),
        Kind::Float => matches!(text, "INF" | "-INF" | "NaN") || number(text).is_some(),
        Kind::Decimal => return number(text).and_then(plain_decimal).ok_or(expected),
        Kind::Date => fits(&DATE, text),
        Kind::DateTime => fits(&DATE_TIME, text),
        Kind::Time => fits(&TIME, text),
        Kind::Duration => fits(&DURATION, text) && !text.ends_with(['P', 'T']),
        Kind::Base64 => STANDARD.decode(text).is_ok(),
        Kind::Hex => text.len() % 2 == 0 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        integer => {
            let whole = if is_text { Some(Cow::Borrowed(text)) } else { plain_decimal(text) };
            let whole = whole.map(|text| text.strip_suffix(".0").map(str::to_owned).map_or(text, Cow::Owned));
            return whole.filter(|text| in_range(integer, text)).ok_or(expected);
        }
    };
    match fits {
        true => Ok(text.into()),
        false => Err(expected),
    }
}

/// A number of JSON's grammar.
fn number(text: &str) -> Option<&str> {
    let is_number =
        text.starts_with(|char: char| char == '-' || char.is_ascii_digit()) && validate(text.as_bytes()).is_ok();
    is_number.then_some(text)
}

/// Without an exponent, which decimals of XML Schema have not.
fn plain_decimal(text: &str) -> Option<Cow<'_, str>> {
    let Some((digits, exponent)) = text.split_once(['e', 'E']) else { return Some(text.into()) };
    let exponent: i32 = exponent.parse().ok().filter(|exponent: &i32| exponent.abs() <= 400)?;
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{part}");
    let point = whole.len() as i32 + exponent;
    let text = match usize::try_from(point) {
        Ok(point) if point >= all.len() => format!("{sign}{all}{}", "0".repeat(point - all.len())),
        Ok(point) if point > 0 => format!("{sign}{}.{}", &all[..point], &all[point..]),
        _ => format!("{sign}0.{}{all}", "0".repeat(usize::try_from(-point).ok()?)),
    };
    Some(text.into())
}

fn in_range(kind: Kind, text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let is_negative = text.starts_with('-');
    let is_zero = digits.bytes().all(|byte| byte == b'0');
    let within = |least: i128, most: i128| text.parse::<i128>().is_ok_and(|value| (least..=most).contains(&value));
    match kind {
        Kind::Long => within(i64::MIN.into(), i64::MAX.into()),
        Kind::Int => within(i32::MIN.into(), i32::MAX.into()),
        Kind::Short => within(i16::MIN.into(), i16::MAX.into()),
        Kind::Byte => within(i8::MIN.into(), i8::MAX.into()),
        Kind::UnsignedLong => within(0, u64::MAX.into()),
        Kind::UnsignedInt => within(0, u32::MAX.into()),
        Kind::UnsignedShort => within(0, u16::MAX.into()),
        Kind::UnsignedByte => within(0, u8::MAX.into()),
        Kind::NonNegative => !is_negative || is_zero,
        Kind::Positive => !is_negative && !is_zero,
        Kind::NonPositive => is_negative || is_zero,
        Kind::Negative => is_negative && !is_zero,
        _ => true,
    }
}

fn is_number(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::String
            | Kind::Text
            | Kind::Boolean
            | Kind::Date
            | Kind::DateTime
            | Kind::Time
            | Kind::Duration
            | Kind::Base64
            | Kind::Hex
    )
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::String | Kind::Text => "text",
        Kind::Boolean => "true or false",
        Kind::Decimal | Kind::Float => "a number",
        Kind::Integer => "a whole number",
        Kind::Long => "a whole number of 64 bits",
        Kind::Int => "a whole number of 32 bits",
        Kind::Short => "a whole number of 16 bits",
        Kind::Byte => "a whole number of 8 bits",
        Kind::NonNegative => "a whole number that is not negative",
        Kind::Positive => "a positive whole number",
        Kind::NonPositive => "a whole number that is not positive",
        Kind::Negative => "a negative whole number",
        Kind::UnsignedLong => "a whole number of 64 bits without a sign",
        Kind::UnsignedInt => "a whole number of 32 bits without a sign",
        Kind::UnsignedShort => "a whole number of 16 bits without a sign",
        Kind::UnsignedByte => "a whole number of 8 bits without a sign",
        Kind::Date => "a date such as 2026-02-28",
        Kind::DateTime => "a time such as 2026-02-28T13:45:00Z",
        Kind::Time => "a time of day such as 13:45:00",
        Kind::Duration => "a duration such as PT1H30M",
        Kind::Base64 => "base64",
        Kind::Hex => "hexadecimal digits",
    }
}

/// A text as JSON; what is not of its type is a string.
pub fn decode(kind: Kind, text: &str, into: &mut Vec<u8>) {
    let trimmed = text.trim_matches([' ', '\t', '\n', '\r']);
    let number = |into: &mut Vec<u8>, text: &str| {
        let plain = text.strip_prefix('+').unwrap_or(text);
        match as_number(plain) {
            Some(number) => into.extend_from_slice(number.as_bytes()),
            None => into.extend(quote(text)),
        }
    };
    match kind {
        Kind::String => into.extend(quote(text)),
        Kind::Boolean if matches!(trimmed, "true" | "1") => into.extend_from_slice(b"true"),
        Kind::Boolean if matches!(trimmed, "false" | "0") => into.extend_from_slice(b"false"),
        Kind::Base64 | Kind::Hex => {
            let dense: String = trimmed.chars().filter(|char| !char.is_ascii_whitespace()).collect();
            into.extend(quote(&dense));
        }
        kind if is_number(kind) => number(into, trimmed),
        _ => into.extend(quote(trimmed)),
    }
}

/// The same digits in JSON's grammar, which has no `007`, `.5` and `5.`
fn as_number(text: &str) -> Option<Cow<'_, str>> {
    if let Some(text) = number(text) {
        return Some(text.into());
    }
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let digits = digits.trim_start_matches('0');
    let zero = if digits.starts_with(|char: char| char.is_ascii_digit()) { "" } else { "0" };
    let text = format!("{sign}{zero}{}", digits.strip_suffix('.').unwrap_or(digits));
    number(&text).is_some().then_some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_their_type_says_or_refused() {
        let number = |text: &str| Json::Number(text.to_owned());
        let text = |text: &str| Json::Text(text.to_owned());
        for (kind, value, expected) in [
            (Kind::Int, number("7"), Some("7")),
            (Kind::Int, number("1e3"), Some("1000")),
            (Kind::Int, number("7.0"), Some("7")),
            (Kind::Int, text("7"), Some("7")),
            (Kind::Int, number("7.5"), None),
            (Kind::Int, number("2147483648"), None),
            (Kind::UnsignedByte, number("-1"), None),
            (Kind::Positive, number("0"), None),
            (Kind::Integer, number("123456789012345678901234567890"), Some("123456789012345678901234567890")),
            (Kind::Decimal, number("12.50"), Some("12.50")),
            (Kind::Decimal, number("-1.25e-3"), Some("-0.00125")),
            (Kind::Decimal, number("1.25e1"), Some("12.5")),
            (Kind::Decimal, text("x"), None),
            (Kind::Float, text("INF"), Some("INF")),
            (Kind::Float, number("1e400"), Some("1e400")),
            (Kind::Boolean, Json::Bool(true), Some("true")),
            (Kind::Boolean, number("1"), None),
            (Kind::Date, text("2026-02-28"), Some("2026-02-28")),
            (Kind::Date, text("2026-2-28"), None),
            (Kind::DateTime, text("2026-02-28T13:45:00.5+01:00"), Some("2026-02-28T13:45:00.5+01:00")),
            (Kind::DateTime, text("2026-02-28"), None),
            (Kind::Time, text("25:00:00"), None),
            (Kind::Duration, text("PT1H"), Some("PT1H")),
            (Kind::Duration, text("P"), None),
            (Kind::Base64, text("Zm9v"), Some("Zm9v")),
            (Kind::Base64, text("Zm9"), None),
            (Kind::Hex, text("0fB7"), Some("0fB7")),
            (Kind::String, number("1"), None),
        ] {
            assert_eq!(encode(kind, &value).ok().as_deref(), expected, "{kind:?} {value:?}");
        }
    }

    #[test]
    fn texts_are_read_as_their_type_says() {
        for (kind, text, expected) in [
            (Kind::Int, " 7\n", "7"),
            (Kind::Int, "+007", "7"),
            (Kind::Decimal, ".50", "0.50"),
            (Kind::Decimal, "-5.", "-5"),
            (Kind::Decimal, "000", "0"),
            (Kind::Decimal, "1,5", "\"1,5\""),
            (Kind::Float, "NaN", "\"NaN\""),
            (Kind::Float, "1E5", "1E5"),
            (Kind::Boolean, "1", "true"),
            (Kind::Boolean, "yes", "\"yes\""),
            (Kind::String, " a ", "\" a \""),
            (Kind::Text, " a ", "\"a\""),
            (Kind::Base64, "Zm9v\n Zm9v", "\"Zm9vZm9v\""),
        ] {
            let mut json = Vec::new();
            decode(kind, text, &mut json);
            assert_eq!(String::from_utf8_lossy(&json), expected, "{kind:?} {text}");
        }
    }
}
