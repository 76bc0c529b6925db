//! The head of a stored response as a file: its whole key, its fields, and what is known of its freshness. JSON behind a
//! checksum; bytes that need not be UTF-8 are written as the characters of ISO-8859-1.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Crc;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::policy::cache::entry::Stored;
use crate::policy::cache::key::{Part, Primary, Url};
use crate::policy::cache::vary::Normal;

/// Another is not read.
const FORMAT: &str = "stagedoor-cache 1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub id: u64,
    pub length: u64,
    pub soft: bool,
    scheme: String,
    host: String,
    path: String,
    query: Option<String>,
    route: String,
    fingerprint: u64,
    version: Option<String>,
    by: Vec<PartRecord>,
    status: u16,
    fields: Vec<(String, String)>,
    names: Vec<String>,
    values: Vec<Option<String>>,
    lifetime_s: u64,
    /// When the record was made; None: stale for ever.
    age_ms: Option<u64>,
    made_ms: u64,
    received_s: u64,
    strict: bool,
    always_asks: bool,
    immutable: bool,
    while_revalidate_s: u64,
    if_error_s: u64,
    groups: Vec<String>,
    epoch: u64,
}

#[derive(Serialize, Deserialize)]
enum PartRecord {
    Identity(Vec<(String, String)>),
    Header(Option<String>),
    Claim(Option<String>),
}

/// What is found again.
pub struct Found {
    pub url: Arc<Url>,
    pub primary: Arc<Primary>,
    pub head: Arc<Stored>,
}

impl Record {
    pub fn new(id: u64, length: u64, soft: bool, url: &Url, primary: &Primary, head: &Stored, now_ms: u64) -> Self {
        let part = |part: &Part| match part {
            Part::Identity(fields) => {
                PartRecord::Identity(fields.iter().map(|(name, value)| (name.to_string(), text(value))).collect())
            }
            Part::Header(value) => PartRecord::Header(value.bytes_of().map(text)),
            Part::Claim(claim) => PartRecord::Claim(claim.as_deref().map(str::to_owned)),
        };
        let fields = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            id,
            length,
            soft,
            scheme: url.scheme.to_string(),
            host: url.host.to_string(),
            path: url.path.to_string(),
            query: url.query.as_deref().map(str::to_owned),
            route: primary.route.to_string(),
            fingerprint: primary.fingerprint,
            version: primary.version.as_deref().map(str::to_owned),
            by: primary.by.iter().map(part).collect(),
            status: head.status.as_u16(),
            fields: fields.collect(),
            names: head.names.iter().map(|name| name.as_str().to_owned()).collect(),
            values: head.values.iter().map(|value| value.bytes_of().map(text)).collect(),
            lifetime_s: head.lifetime.as_secs(),
            age_ms: head.age().map(millis),
            made_ms: now_ms,
            received_s: head.received_s,
            strict: head.strict,
            always_asks: head.always_asks,
            immutable: head.immutable,
            while_revalidate_s: head.while_revalidate.as_secs(),
            if_error_s: head.if_error.as_secs(),
            groups: head.groups.iter().map(|group| group.to_string()).collect(),
            epoch: head.epoch,
        }
    }

    pub fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let mut bytes = format!("{FORMAT} {:08x}\n", sum(&json)).into_bytes();
        bytes.extend_from_slice(&json);
        Ok(bytes)
    }

    /// None: it is not what was written, or by another version.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (first, json) = (std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 1..]);
        (first == format!("{FORMAT} {:08x}", sum(json))).then(|| serde_json::from_slice(json).ok()).flatten()
    }

    /// `epoch`: no later than this, as far as anybody remembers.
    pub fn found(self, now_ms: u64, epoch: u64) -> Option<Found> {
        let part = |part: PartRecord| {
            Some(match part {
                PartRecord::Identity(fields) => Part::Identity(
                    fields
                        .into_iter()
                        .map(|(name, value)| Some((name.into(), bytes(&value)?.into())))
                        .collect::<Option<_>>()?,
                ),
                PartRecord::Header(value) => Part::Header(normal(value)?),
                PartRecord::Claim(claim) => Part::Claim(claim.map(Box::from)),
            })
        };
        let mut headers = HeaderMap::with_capacity(self.fields.len());
        for (name, value) in &self.fields {
            headers
                .append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(&bytes(value)?).ok()?);
        }
        let names = self.names.iter().map(|name| HeaderName::from_bytes(name.as_bytes()).ok());
        let groups: Vec<Box<str>> = self.groups.into_iter().map(Box::from).collect();
        // Where the clock was put back, nobody knows how old it is.
        let since = now_ms.checked_sub(self.made_ms);
        let age = self.age_ms.zip(since).map(|(age, since)| Duration::from_millis(age.saturating_add(since)));
        let seconds = Duration::from_secs;
        let head = Stored {
            status: StatusCode::from_u16(self.status).ok()?,
            headers,
            names: names.collect::<Option<Vec<_>>>()?.into(),
            values: self.values.into_iter().map(normal).collect::<Option<_>>()?,
            lifetime: seconds(self.lifetime_s),
            initial_age: age,
            since: Instant::now(),
            received_s: self.received_s,
            strict: self.strict,
            always_asks: self.always_asks,
            immutable: self.immutable,
            while_revalidate: seconds(self.while_revalidate_s),
            if_error: seconds(self.if_error_s),
            groups: groups.into(),
            epoch: self.epoch.min(epoch),
        };
        let query = self.query.map(Box::from);
        let url = Url::normal(self.scheme.into(), self.host.into(), self.path.into(), query);
        let primary = Primary {
            route: self.route.into(),
            fingerprint: self.fingerprint,
            version: self.version.map(Arc::from),
            by: self.by.into_iter().map(part).collect::<Option<_>>()?,
        };
        Some(Found { url: Arc::new(url), primary: Arc::new(primary), head: Arc::new(head) })
    }
}

fn sum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|char| u8::try_from(char).ok()).collect()
}

/// None: it cannot be; an absent value is one.
fn normal(value: Option<String>) -> Option<Normal> {
    match value {
        None => Some(Normal::default()),
        Some(value) => bytes(&value).map(|value| Normal::again(value.into())),
    }
}
