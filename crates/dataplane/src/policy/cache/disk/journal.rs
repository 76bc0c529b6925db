//! Groups that were invalidated, one after another in a file: what is found on the disk after a restart may belong to them.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::files;
use crate::policy::cache::groups::{Groups, Of};
use crate::policy::cache::key::Url;

const NAME: &str = "groups";
/// Longer, and what it says is carried out on what is stored, so that it can begin anew.
pub const LONGEST: u64 = 4 * 1024 * 1024;

/// One invalidation. `at`: the moment, as `Groups` counts them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    at: u64,
    /// Scheme and host of its origin, if it is that one's.
    #[serde(default)]
    of: Option<(String, String)>,
    /// None: this is where moments begin.
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    soft: bool,
}

impl Line {
    pub fn new(at: u64, of: Of<'_>, group: &str, soft: bool) -> Self {
        let of = match of {
            Of::Origin(url) => Some((url.scheme.to_string(), url.host.to_string())),
            Of::All => None,
        };
        Self { at, of, group: Some(group.to_owned()), soft }
    }
}

pub struct Journal {
    file: Mutex<(File, u64)>,
}

impl Journal {
    /// Its lines are in force again afterwards. `InvalidData`: some cannot be read, and nothing stored can be trusted.
    pub fn open(folder: &Path, groups: &Groups) -> io::Result<Self> {
        let path = folder.join(NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        // The last line may have been torn: nobody was told that it was written.
        let (whole, torn) = text.rsplit_once('\n').unwrap_or(("", &text));
        let lines: Vec<Line> = whole.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        for line in lines {
            let origin = line.of.map(|(scheme, host)| Url::origin(&scheme, &host));
            let of = origin.as_ref().map_or(Of::All, Of::Origin);
            groups.restore(line.at, line.group.as_deref().map(|group| (of, group)), line.soft);
        }
        let file = files::options().append(true).create(true).open(path)?;
        file.set_len((text.len() - torn.len()) as u64)?;
        Ok(Self { file: Mutex::new((file, (text.len() - torn.len()) as u64)) })
    }

    /// How long it is then.
    pub fn append(&self, line: &Line) -> io::Result<u64> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        let mut state = self.file.lock();
        let (file, length) = &mut *state;
        if let Err(error) = file.write_all(text.as_bytes()) {
            // No part of it may stand before what comes next.
            file.set_len(*length)?;
            return Err(error);
        }
        *length += text.len() as u64;
        Ok(*length)
    }

    /// What it said up to `at` has been carried out.
    pub fn begin_anew(&self, folder: &Path, at: u64) -> io::Result<()> {
        let line = serde_json::to_string(&Line { at, of: None, group: None, soft: false })? + "\n";
        let mut state = self.file.lock();
        files::replace(&folder.join(NAME), line.as_bytes())?;
        *state = (files::options().append(true).open(folder.join(NAME))?, line.len() as u64);
        Ok(())
    }
}
