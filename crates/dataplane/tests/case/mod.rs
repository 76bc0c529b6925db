//! Case files of raw bytes. A case is a block of lines that ends with an empty line:
//!
//! ```text
//! # what is so, as a sentence (RFC 9112 §N)
//! > bytes that the client sends; several lines are one stream, line ends of the file do not count
//! @ bytes that the endpoint answers, in tables of answers only
//! = METHOD TARGET      a request that the endpoint gets, in their order
//! < STATUS             an answer that the client gets, in their order
//!   name: value        of the message above: a field is there with this value,
//!   any name           or is there,
//!   no name            or is not there,
//!   trailer name: value   the same for a trailer, also `no trailer name`
//!   | content          or this is its content
//! word                 what else is so; the runner's own documentation lists the words
//! pending: reason      the gateway does not do so yet
//! ```
//!
//! For the escapes in bytes see `wire::unescape`.

use std::borrow::Borrow;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use crate::wire::{unescape, Message};

#[derive(Debug, Default)]
pub struct Case {
    pub file: String,
    pub title: String,
    pub sent: Vec<u8>,
    pub answer: Vec<u8>,
    pub requests: Vec<Expected>,
    pub answers: Vec<Expected>,
    pub words: Vec<String>,
    pub pending: Option<String>,
}

/// A message as a case describes it.
#[derive(Debug, Default)]
pub struct Expected {
    /// `GET /path`, or a status; then words.
    pub start: String,
    pub words: Vec<String>,
    fields: Vec<(String, Field)>,
    content: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Field {
    Absent,
    Present,
    Is(String),
}

impl Expected {
    /// What of the message is not as described.
    pub fn compare(&self, message: &Message) -> Result<(), String> {
        for (name, field) in &self.fields {
            let found = match name.strip_prefix("trailer ") {
                Some(name) => message.trailer(name),
                None => message.field(name),
            };
            let right = match field {
                Field::Absent => found.is_none(),
                Field::Present => found.is_some(),
                Field::Is(value) => found.as_ref() == Some(value),
            };
            if !right {
                return Err(format!("{name} is {found:?} and not {field:?}"));
            }
        }
        match &self.content {
            Some(content) if *content != message.content => {
                Err(format!("the content is {:?}", String::from_utf8_lossy(&message.content)))
            }
            _ => Ok(()),
        }
    }

    pub fn is(&self, word: &str) -> bool {
        self.words.iter().any(|given| given == word)
    }
}

impl Case {
    pub fn is(&self, word: &str) -> bool {
        self.words.iter().any(|given| given == word)
    }
}

/// Every case of the folder below `tests/cases`, in the order of the files' names. `words`: those that the runner
/// knows, all if it looks at none.
pub fn read(folder: &str, words: &[&str]) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for block in text.split("\n\n").filter(|block| block.lines().any(|line| !line.starts_with("//"))) {
            let case = parse(block, words).unwrap_or_else(|reason| panic!("{name}: {reason} in\n{block}"));
            cases.push(Case { file: name.clone(), ..case });
        }
    }
    for (index, case) in cases.iter().enumerate() {
        let twice = cases[..index].iter().any(|other| other.title == case.title && other.file == case.file);
        assert!(!twice, "{}: two cases {:?}", case.file, case.title);
    }
    cases
}

fn parse(block: &str, words: &[&str]) -> Result<Case, String> {
    let mut case = Case::default();
    let mut last_is_request = false;
    for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with("//")) {
        let expected = |text: &str, words: usize| {
            let mut parts = text.split(' ');
            let start: Vec<&str> = parts.by_ref().take(words).collect();
            Expected {
                start: latin(&start.join(" ")),
                words: parts.map(str::to_owned).collect(),
                ..Expected::default()
            }
        };
        match line.split_at_checked(2).unwrap_or((line, "")) {
            ("# ", title) if title.ends_with(')') && title.contains('(') => case.title = title.to_owned(),
            ("> ", bytes) => case.sent.extend(unescape(bytes)),
            ("@ ", bytes) => case.answer.extend(unescape(bytes)),
            ("= ", text) => {
                last_is_request = true;
                case.requests.push(expected(text, 2));
            }
            ("< ", text) => {
                last_is_request = false;
                case.answers.push(expected(text, 1));
            }
            ("  ", text) => {
                let message = if last_is_request { case.requests.last_mut() } else { case.answers.last_mut() };
                let message = message.ok_or("no message to describe")?;
                if let Some(content) = text.strip_prefix('|') {
                    message.content = Some(unescape(content.strip_prefix(' ').unwrap_or(content)));
                } else if let Some(name) = text.strip_prefix("no ") {
                    message.fields.push((name.to_owned(), Field::Absent));
                } else if let Some(name) = text.strip_prefix("any ") {
                    message.fields.push((name.to_owned(), Field::Present));
                } else {
                    let (name, value) = text.split_once(':').ok_or(format!("`name: value` expected: {text:?}"))?;
                    let value = value.strip_prefix(' ').unwrap_or(value);
                    message.fields.push((name.to_owned(), Field::Is(latin(value))));
                }
            }
            _ => match line.strip_prefix("pending: ") {
                Some(reason) => case.pending = Some(reason.to_owned()),
                None if words.is_empty() || words.contains(&line) => case.words.push(line.to_owned()),
                None => return Err(format!("not understood: {line:?}")),
            },
        }
    }
    if case.title.is_empty() {
        return Err("no title with its section".into());
    }
    Ok(case)
}

/// Unescaped, with bytes above ASCII as the wire reader shows them.
fn latin(text: &str) -> String {
    unescape(text).iter().map(|byte| *byte as char).collect()
}

/// Runs every case, some at once, and fails with all that are not so. Pending cases are listed.
pub fn run_all<C: Borrow<Case> + Sync>(cases: &[C], run: impl Fn(&C) -> Result<(), String> + Sync) {
    let (next, failures, pending) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let judge = |entry: &C| {
        let case = entry.borrow();
        let name = format!("{}: {}", case.file, case.title);
        match (run(entry), &case.pending) {
            (Ok(()), None) => {}
            (Err(reason), None) => failures.lock().unwrap().push(format!("{name}\n    {reason}")),
            (Ok(()), Some(_)) => pending.lock().unwrap().push(format!("pending no more? {name}")),
            (Err(reason), Some(why)) => pending.lock().unwrap().push(format!("pending: {name} ({why}; {reason})")),
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    judge(case);
                }
            });
        }
    });
    for line in pending.into_inner().unwrap() {
        // Not by a macro, whose output a passing test would swallow.
        let _shown = writeln!(std::io::stderr(), "{line}");
    }
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
