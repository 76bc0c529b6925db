//! JSON read without a tree (RFC 8259): where a value ends, and that it is one.

use std::fmt;

/// Lists and objects within each other.
pub const DEPTH: usize = 64;

/// Why a text is not JSON, or not of a kind that is taken. Says nothing of what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Malformed(usize),
    Ended,
    Deep,
    NotText,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Malformed(at) => write!(f, "it is not JSON at byte {at}"),
            Fault::Ended => f.write_str("it is not JSON: it ends too early"),
            Fault::Deep => write!(f, "it is nested deeper than {DEPTH} levels"),
            Fault::NotText => f.write_str("it is not UTF-8"),
        }
    }
}

/// The one value that a text is, without the white space around it.
pub fn validate(text: &[u8]) -> Result<&[u8], Fault> {
    let mut reader = Reader::new(text)?;
    let value = reader.skip(DEPTH)?;
    reader.end()?;
    Ok(value)
}

/// A place in a text. Every method leaves it behind what has been read.
#[derive(Clone)]
pub struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Reader<'t> {
    pub fn new(text: &'t [u8]) -> Result<Self, Fault> {
        std::str::from_utf8(text).map_err(|_| Fault::NotText)?;
        let mut reader = Self { text, at: 0 };
        reader.space();
        Ok(reader)
    }

    /// How many bytes have been read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Nothing follows.
    pub fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(Fault::Malformed(self.at))
        }
    }

    /// The first byte of the value that comes.
    pub fn peek(&self) -> Result<u8, Fault> {
        self.text.get(self.at).copied().ok_or(Fault::Ended)
    }

    /// The value that comes, as it is written. `depth` levels are allowed in it.
    pub fn skip(&mut self, depth: usize) -> Result<&'t [u8], Fault> {
        let start = self.at;
        match self.peek()? {
            b'"' => {
                self.string()?;
            }
            b'{' => self.object(depth, |reader, _| reader.skip(depth - 1).map(drop))?,
            b'[' => self.array(depth, |reader| reader.skip(depth - 1).map(drop))?,
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => self.word(b"null")?,
            _ => self.number()?,
        }
        Ok(&self.text[start..self.at])
    }

    /// Calls `each` with the name of every member as it is written, quotes included; it reads the value.
    pub fn object<E: From<Fault>>(
        &mut self,
        depth: usize,
        mut each: impl FnMut(&mut Self, &'t [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(depth)?;
        if self.closes(b'}')? {
            return Ok(());
        }
        loop {
            let name = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            each(self, name)?;
            if self.closes(b'}')? {
                return Ok(());
            }
            self.expect(b',')?;
            self.space();
        }
    }

    pub fn array<E: From<Fault>>(
        &mut self,
        depth: usize,
        mut each: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(depth)?;
        if self.closes(b']')? {
            return Ok(());
        }
        loop {
            each(self)?;
            if self.closes(b']')? {
                return Ok(());
            }
            self.expect(b',')?;
            self.space();
        }
    }

    fn open(&mut self, depth: usize) -> Result<(), Fault> {
        if depth == 0 {
            return Err(Fault::Deep);
        }
        self.at += 1;
        Ok(())
    }

    fn closes(&mut self, end: u8) -> Result<bool, Fault> {
        self.space();
        let closes = self.peek()? == end;
        self.at += usize::from(closes);
        Ok(closes)
    }

    fn space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek()? != byte {
            return Err(Fault::Malformed(self.at));
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Fault::Malformed(self.at));
        }
        self.at += word.len();
        Ok(())
    }

    /// With its quotes.
    pub fn string(&mut self) -> Result<&'t [u8], Fault> {
        let start = self.at;
        self.expect(b'"')?;
        loop {
            // Most strings hold nothing but plain characters.
            let rest = &self.text[self.at..];
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).ok_or(Fault::Ended)?;
            self.at += plain + 1;
            match rest[plain] {
                b'"' => return Ok(&self.text[start..self.at]),
                b'\\' => self.escape()?,
                _ => return Err(Fault::Malformed(self.at - 1)),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let escaped = self.peek()?;
        self.at += 1;
        match escaped {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4).ok_or(Fault::Ended)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Fault::Malformed(self.at));
                }
                self.at += 4;
                Ok(())
            }
            _ => Err(Fault::Malformed(self.at - 1)),
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return Err(Fault::Malformed(self.at)),
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One at least.
    fn digits(&mut self) -> Result<(), Fault> {
        let count = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(if self.at == self.text.len() { Fault::Ended } else { Fault::Malformed(self.at) });
        }
        self.at += count;
        Ok(())
    }
}

/// Text as a string of JSON.
pub fn quote(text: &str) -> Vec<u8> {
    // A string can always be written.
    serde_json::to_vec(text).unwrap_or_else(|_| b"\"\"".to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_json_is_found_to_its_end() {
        for text in [
            "null",
            " true ",
            "false",
            "0",
            "-0",
            "1.5e+3",
            "12E9",
            "\"\"",
            "\"a\\\"\\u00e9\\n\u{1d11e}\"",
            "[]",
            "{}",
            " [ 1 , [ ] , { } ] ",
            "{\"a\" : {\"b\":[1,2]}, \"a\":null}",
        ] {
            assert_eq!(validate(text.as_bytes()), Ok(text.trim().as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "nul",
            "tru",
            "01",
            "1.",
            ".5",
            "-",
            "+1",
            "1e",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "[1,]",
            "[1 2]",
            "[",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "1 2",
            "NaN",
            "'a'",
            "[1]]",
            "\u{feff}1",
        ] {
            assert!(validate(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(validate(b"\"\xff\""), Err(Fault::NotText));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(validate(nested(DEPTH).as_bytes()).is_ok());
        assert_eq!(validate(nested(DEPTH + 1).as_bytes()), Err(Fault::Deep));
        assert_eq!(validate("[".repeat(1_000_000).as_bytes()), Err(Fault::Deep));
    }

    proptest! {
        #[test]
        fn it_agrees_with_another_reader(text in "[\\[\\]{}:,\"\\\\a0-9.eE+ tn-]{0,12}|\\{\"a\":[\\[\\]0-9,.\"]{0,8}\\}") {
            let other = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(validate(text.as_bytes()).is_ok(), other, "{}", text);
        }
    }
}
