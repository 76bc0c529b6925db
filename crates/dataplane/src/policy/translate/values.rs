//! A stream of JSON values, found however it is cut: lines of NDJSON, values with white space in between, or the items of
//! one list. What a value holds is for its reader to say.

use bytes::{Bytes, BytesMut};

pub struct Values {
    buffer: BytesMut,
    /// Bytes that have been looked at.
    at: usize,
    state: State,
    depth: usize,
    within_string: bool,
    escaped: bool,
    /// The values are the items of a list.
    list: bool,
    most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space has come.
    Start,
    /// A value may begin.
    Before,
    /// A value must begin: there was a comma.
    AfterComma,
    Within,
    /// A comma or the list's end must come.
    After,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    TooLarge,
    /// Between values.
    Malformed,
    Unended,
}

impl Values {
    /// `list`: a list that is not within another is a list of values. `most`: bytes of one value.
    pub fn new(list: bool, most: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            at: 0,
            state: if list { State::Start } else { State::Before },
            depth: 0,
            within_string: false,
            escaped: false,
            list: false,
            most,
        }
    }

    pub fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next value that is whole. `ended`: nothing more comes.
    pub fn value(&mut self, ended: bool) -> Result<Option<Bytes>, Fault> {
        while let Some(byte) = self.buffer.get(self.at).copied() {
            if self.state == State::Within {
                if let Some(value) = self.within(byte) {
                    return self.bounded(value).map(Some);
                }
                continue;
            }
            self.at += 1;
            if byte.is_ascii_whitespace() {
                continue;
            }
            match (self.state, byte) {
                (State::Start, b'[') => (self.list, self.state) = (true, State::Before),
                (State::Before, b']') | (State::After, b']') if self.list => self.state = State::End,
                (State::After, b',') => self.state = State::AfterComma,
                (State::Start | State::Before | State::AfterComma, _) if byte != b',' && byte != b']' => {
                    drop(self.buffer.split_to(self.at - 1));
                    (self.at, self.state, self.depth) = (0, State::Within, 0);
                }
                _ => return Err(Fault::Malformed),
            }
        }
        if self.state != State::Within {
            self.buffer.clear();
            self.at = 0;
        }
        match () {
            () if self.buffer.len() > self.most => Err(Fault::TooLarge),
            () if !ended => Ok(None),
            () if self.state == State::Within && self.depth == 0 && !self.within_string => {
                let value = self.finish();
                self.bounded(value).map(Some)
            }
            () if self.state == State::Within || (self.list && self.state != State::End) => Err(Fault::Unended),
            () => Ok(None),
        }
    }

    fn bounded(&self, value: Bytes) -> Result<Bytes, Fault> {
        if value.len() > self.most {
            return Err(Fault::TooLarge);
        }
        Ok(value)
    }

    fn within(&mut self, byte: u8) -> Option<Bytes> {
        if self.within_string {
            self.at += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.within_string = false,
                _ => {}
            }
            return (!self.within_string && self.depth == 0).then(|| self.finish());
        }
        // A number or a word ends where something else begins.
        if self.depth == 0 && self.at > 0 && (byte.is_ascii_whitespace() || (self.list && matches!(byte, b',' | b']')))
        {
            return Some(self.finish());
        }
        self.at += 1;
        match byte {
            b'"' => self.within_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return (self.depth == 0).then(|| self.finish());
            }
            _ => {}
        }
        None
    }

    fn finish(&mut self) -> Bytes {
        let value = self.buffer.split_to(self.at).freeze();
        self.at = 0;
        self.state = if self.list { State::After } else { State::Before };
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: bool, pieces: &[&str]) -> Result<Vec<String>, Fault> {
        let (mut values, mut found) = (Values::new(list, 100), Vec::new());
        for (index, piece) in pieces.iter().enumerate() {
            values.push(piece.as_bytes());
            while let Some(value) = values.value(index + 1 == pieces.len())? {
                found.push(String::from_utf8(value.to_vec()).unwrap());
            }
        }
        Ok(found)
    }

    #[test]
    fn values_are_found_however_they_are_cut() {
        for (list, text, expected) in [
            (false, "{\"a\":1}\n{\"b\":\"}\\\"\"}\r\n\n[1,2]\n", vec!["{\"a\":1}", "{\"b\":\"}\\\"\"}", "[1,2]"]),
            (false, "1\ntrue \"x\" null", vec!["1", "true", "\"x\"", "null"]),
            (false, "{}{}", vec!["{}", "{}"]),
            (true, " [ {\"a\":[]} , 2,\"]\" ] ", vec!["{\"a\":[]}", "2", "\"]\""]),
            (true, "[]", vec![]),
            (true, "{\"a\":1} {}", vec!["{\"a\":1}", "{}"]),
            (true, "", vec![]),
        ] {
            for cut in 0..=text.len() {
                let found = read(list, &[&text[..cut], &text[cut..]]);
                assert_eq!(
                    found.as_deref(),
                    Ok(&expected.iter().map(|each| each.to_string()).collect::<Vec<_>>()[..]),
                    "{text} {cut}"
                );
            }
        }
    }

    #[test]
    fn what_stands_between_values_is_looked_at() {
        for (list, text, fault) in [
            (true, "[1 2]", Fault::Malformed),
            (true, "[1,]", Fault::Malformed),
            (true, "[1,,2]", Fault::Malformed),
            (true, "[1", Fault::Unended),
            (true, "[1]]", Fault::Malformed),
            (false, "{\"a\":", Fault::Unended),
            (false, "\"a", Fault::Unended),
            (false, ",", Fault::Malformed),
        ] {
            assert_eq!(read(list, &[text]), Err(fault), "{text}");
        }
        let large = "x".repeat(200);
        for text in [format!("\"{large}"), format!("\"{large}\" 1"), format!("1 \"{large}\"")] {
            assert_eq!(read(false, &[&text, ""]), Err(Fault::TooLarge));
        }
    }
}
