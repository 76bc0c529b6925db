//! HTTP/1.1 messages taken from raw bytes by the letter of RFC 9112: what the gateway writes must satisfy the strictest
//! reader. And the text form of such bytes in case files.

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The request line or status line.
    pub start: String,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
    pub content: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As the gateway sends it.
    Request,
    /// As a client may send it: empty lines before it, HTTP/1.0, chunk extensions.
    ClientRequest,
    Answer,
    /// An answer to HEAD.
    HeadAnswer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// And how many bytes it took.
    Whole(Box<Message>, usize),
    Partial,
    /// Why no strict reader would take it.
    Broken(String),
}

impl Message {
    /// The values of all fields of that name, joined.
    pub fn field(&self, name: &str) -> Option<String> {
        joined(&self.fields, name)
    }

    pub fn trailer(&self, name: &str) -> Option<String> {
        joined(&self.trailers, name)
    }

    pub fn status(&self) -> u16 {
        self.start.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// An answer after which the connection ends (RFC 9112 §9.3).
    pub fn says_close(&self) -> bool {
        let options = self.field("connection").unwrap_or_default().to_ascii_lowercase();
        let has = |wanted: &str| options.split(',').any(|option| option.trim() == wanted);
        has("close") || (self.start.starts_with("HTTP/1.0") && !has("keep-alive"))
    }
}

fn joined(fields: &[(String, String)], name: &str) -> Option<String> {
    let values: Vec<&str> = fields.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// The first message of `bytes`. `ended`: no more will come, so that an answer may be delimited by the end.
pub fn take(bytes: &[u8], kind: Kind, ended: bool) -> Taken {
    match parse(bytes, kind, ended) {
        Ok(Some((message, taken))) => Taken::Whole(Box::new(message), taken),
        Ok(None) => Taken::Partial,
        Err(reason) => Taken::Broken(reason),
    }
}

fn parse(bytes: &[u8], kind: Kind, ended: bool) -> Result<Option<(Message, usize)>, String> {
    let lenient = kind == Kind::ClientRequest;
    let mut reader = Reader { bytes, at: 0, lenient };
    while lenient && bytes[reader.at..].starts_with(b"\r\n") {
        reader.at += 2;
    }
    let Some(start) = reader.line()? else { return Ok(None) };
    check_start(&start, kind)?;
    let Some(fields) = reader.fields()? else { return Ok(None) };
    let mut message = Message { start, fields, ..Message::default() };
    let status = if start_is_status(&message.start) { message.status() } else { 0 };
    let empty = kind == Kind::HeadAnswer || (kind == Kind::Answer && (status < 200 || status == 204 || status == 304));
    let length = message.field("content-length");
    let coding = message.field("transfer-encoding").map(|coding| coding.to_ascii_lowercase());
    if length.is_some() && (coding.is_some() || status == 204 || (status > 0 && status < 200)) {
        return Err("a Content-Length where there may be none".into());
    }
    let request = matches!(kind, Kind::Request | Kind::ClientRequest);
    let hosts = message.fields.iter().filter(|(name, _)| name == "host").count();
    if request && hosts != 1 && !(hosts == 0 && message.start.ends_with("HTTP/1.0")) {
        return Err("not exactly one Host".into());
    }
    if empty {
        return Ok(Some((message, reader.at)));
    }
    match (coding.as_deref(), length) {
        (Some("chunked"), _) => match reader.chunked()? {
            None => return Ok(None),
            Some((content, trailers)) => (message.content, message.trailers) = (content, trailers),
        },
        (Some(coding), _) => return Err(format!("the transfer coding {coding:?}")),
        (None, Some(length)) => {
            let length = digits(&length, 10).ok_or("Content-Length is not one number")?;
            let Some(content) = reader.count(length) else { return Ok(None) };
            message.content = content.to_vec();
        }
        (None, None) if request => {}
        (None, None) if ended => message.content = reader.count(bytes.len() - reader.at).unwrap_or_default().to_vec(),
        (None, None) => return Ok(None),
    }
    Ok(Some((message, reader.at)))
}

fn start_is_status(line: &str) -> bool {
    line.starts_with("HTTP/1.")
}

fn check_start(line: &str, kind: Kind) -> Result<(), String> {
    let wrong = || Err(format!("the start line {line:?}"));
    if matches!(kind, Kind::Answer | Kind::HeadAnswer) {
        let (version, rest) = (line.get(..9), line.get(9..).unwrap_or_default());
        let status = rest.get(..3).is_some_and(|status| status.bytes().all(|byte| byte.is_ascii_digit()));
        let known = matches!(version, Some("HTTP/1.1 " | "HTTP/1.0 "));
        return if known && status && rest.as_bytes().get(3) == Some(&b' ') { Ok(()) } else { wrong() };
    }
    let parts: Vec<&str> = line.split(' ').collect();
    match parts[..] {
        [method, target, version] if is_token(method) && !target.is_empty() && target.is_ascii() => {
            let known = version == "HTTP/1.1" || (kind == Kind::ClientRequest && version == "HTTP/1.0");
            if known {
                Ok(())
            } else {
                wrong()
            }
        }
        _ => wrong(),
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn digits(text: &str, radix: u32) -> Option<usize> {
    let plain = !text.is_empty() && text.chars().all(|digit| digit.is_digit(radix));
    if plain {
        usize::from_str_radix(text, radix).ok()
    } else {
        None
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    lenient: bool,
}

type Fields = Vec<(String, String)>;

impl<'a> Reader<'a> {
    /// Up to CRLF, bytes above ASCII as Latin-1.
    fn line(&mut self) -> Result<Option<String>, String> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let Some(line) = rest[..end].strip_suffix(b"\r") else {
            return Err(format!("a line that ends with a bare LF: {:?}", String::from_utf8_lossy(&rest[..end])));
        };
        if line.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7F) {
            return Err(format!("a control character in {:?}", String::from_utf8_lossy(line)));
        }
        self.at += end + 1;
        Ok(Some(line.iter().map(|byte| *byte as char).collect()))
    }

    fn fields(&mut self) -> Result<Option<Fields>, String> {
        let mut fields = Vec::new();
        while let Some(line) = self.line()? {
            if line.is_empty() {
                return Ok(Some(fields));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| format!("no colon in {line:?}"))?;
            if !is_token(name) {
                return Err(format!("the name of {line:?} is not a token"));
            }
            fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
        }
        Ok(None)
    }

    fn count(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn chunked(&mut self) -> Result<Option<(Vec<u8>, Fields)>, String> {
        let mut content = Vec::new();
        while let Some(line) = self.line()? {
            let size = if self.lenient { line.split(';').next().unwrap_or_default() } else { line.as_str() };
            let size = digits(size, 16).ok_or_else(|| format!("the chunk size {line:?}"))?;
            if size == 0 {
                return Ok(self.fields()?.map(|trailers| (content, trailers)));
            }
            let Some(data) = self.count(size) else { return Ok(None) };
            content.extend_from_slice(data);
            match self.count(2) {
                Some(b"\r\n") => {}
                Some(_) => return Err("no CRLF after a chunk".into()),
                None => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// `\r`, `\n`, `\t`, `\s` (a space), `\0`, `\\`, `\xNN` and `{N*text}` (N times that text) stand for what they say; `\{` is a brace.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('r') => bytes.push(b'\r'),
                Some('n') => bytes.push(b'\n'),
                Some('t') => bytes.push(b'\t'),
                Some('s') => bytes.push(b' '),
                Some('0') => bytes.push(0),
                Some('\\') => bytes.push(b'\\'),
                Some('{') => bytes.push(b'{'),
                Some('x') => {
                    let hex: String = chars.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&hex, 16).expect("two hex digits"));
                }
                other => panic!("unknown escape {other:?}"),
            },
            '{' => {
                let inside: String = chars.by_ref().take_while(|char| *char != '}').collect();
                let (count, what) = inside.split_once('*').expect("{N*text}");
                bytes.extend(unescape(what).repeat(count.parse().expect("a number")));
            }
            char => bytes.extend(char.to_string().bytes()),
        }
    }
    bytes
}
