//! One line: a JSON object, written without a tree in between.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes the fields of one object. Names must need no escaping.
pub struct Line<'a> {
    lines: &'a mut Vec<u8>,
    /// Length of the buffer where the next field needs no comma.
    bare: usize,
}

impl<'a> Line<'a> {
    /// Every line begins with the time at which it is written, in UTC.
    pub(super) fn begin(lines: &'a mut Vec<u8>, clock: &mut Clock) -> Self {
        lines.push(b'{');
        let mut line = Self { bare: lines.len(), lines };
        line.name("time");
        line.lines.push(b'"');
        clock.write(line.lines, SystemTime::now());
        line.lines.push(b'"');
        line
    }

    pub(super) fn end(self) {
        self.lines.extend_from_slice(b"}\n");
    }

    fn name(&mut self, name: &str) {
        if self.lines.len() != self.bare {
            self.lines.push(b',');
        }
        self.lines.push(b'"');
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b"\":");
    }

    /// Bytes that are not UTF-8 become U+FFFD.
    pub fn text(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.quoted(value);
    }

    /// None is `null`, so that every line has the same fields.
    pub fn optional(&mut self, name: &str, value: Option<&[u8]>) {
        match value {
            Some(value) => self.text(name, value),
            None => {
                self.name(name);
                self.lines.extend_from_slice(b"null");
            }
        }
    }

    pub fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.lines.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// In milliseconds with three decimals.
    pub fn milliseconds(&mut self, name: &str, value: Duration) {
        let micros = value.as_micros() as u64;
        self.number(name, micros / 1000);
        self.lines.push(b'.');
        digits::<3>(self.lines, micros % 1000);
    }

    pub fn displayed(&mut self, name: &str, value: impl std::fmt::Display) {
        use std::io::Write;
        self.name(name);
        self.lines.push(b'"');
        // An address or the like: nothing to escape, and writing into memory does not fail.
        let _ = write!(self.lines, "{value}");
        self.lines.push(b'"');
    }

    /// An object with these fields.
    pub fn object<'v>(&mut self, name: &str, fields: impl Iterator<Item = (&'v str, Option<&'v [u8]>)>) {
        self.name(name);
        self.lines.push(b'{');
        self.bare = self.lines.len();
        for (name, value) in fields {
            self.optional(name, value);
        }
        self.lines.push(b'}');
        self.bare = 0;
    }

    /// An object with whatever `write` puts into it.
    pub fn nested(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.name(name);
        self.lines.push(b'{');
        self.bare = self.lines.len();
        write(self);
        self.lines.push(b'}');
        self.bare = 0;
    }

    fn quoted(&mut self, value: &[u8]) {
        self.lines.push(b'"');
        let plain = |byte: &u8| matches!(byte, 0x20..=0x7E) && !matches!(byte, b'"' | b'\\');
        if value.iter().all(plain) {
            self.lines.extend_from_slice(value);
        } else {
            for chunk in value.utf8_chunks() {
                chunk.valid().chars().for_each(|char| self.escaped(char));
                if !chunk.invalid().is_empty() {
                    self.escaped(char::REPLACEMENT_CHARACTER);
                }
            }
        }
        self.lines.push(b'"');
    }

    fn escaped(&mut self, char: char) {
        match char {
            '"' => self.lines.extend_from_slice(b"\\\""),
            '\\' => self.lines.extend_from_slice(b"\\\\"),
            // Also what a terminal would obey, were the line looked at there.
            char if char.is_control() => {
                self.lines.extend_from_slice(b"\\u");
                self.lines.extend_from_slice(&crate::telemetry::hex::encode::<4>(u128::from(u32::from(char))));
            }
            char => self.lines.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn digits<const N: usize>(lines: &mut Vec<u8>, value: u64) {
    let mut text = [b'0'; N];
    let mut rest = value;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    lines.extend_from_slice(&text);
}

/// RFC 3339 with milliseconds, in UTC. Keeps the text of the second, which most lines share.
#[derive(Default)]
pub struct Clock {
    second: u64,
    text: Vec<u8>,
}

impl Clock {
    fn write(&mut self, lines: &mut Vec<u8>, now: SystemTime) {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second != now.as_secs() || self.text.is_empty() {
            self.second = now.as_secs();
            self.text.clear();
            let (year, month, day) = civil(self.second / 86_400);
            digits::<4>(&mut self.text, year);
            for (mark, value) in [
                (b'-', month),
                (b'-', day),
                (b'T', self.second / 3600 % 24),
                (b':', self.second / 60 % 60),
                (b':', self.second % 60),
            ] {
                self.text.push(mark);
                digits::<2>(&mut self.text, value);
            }
        }
        lines.extend_from_slice(&self.text);
        lines.push(b'.');
        digits::<3>(lines, now.subsec_millis().into());
        lines.push(b'Z');
    }
}

/// Year, month and day of a day since 1970-01-01: counted in years that begin in March, so that the leap day is last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339() {
        let mut clock = Clock::default();
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_007, "2000-03-01T00:00:00.007Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_795_433_523_456, "2026-11-23T11:32:03.456Z"),
        ] {
            let mut text = Vec::new();
            clock.write(&mut text, UNIX_EPOCH + Duration::from_millis(millis));
            assert_eq!(String::from_utf8_lossy(&text), expected);
        }
    }
}
