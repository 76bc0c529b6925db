//! What a process before has left: its heads are read, its content is not. Files without their counterpart are removed.

use std::fs::DirEntry;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::files::{self, Kind};
use super::kept::Kept;
use super::record::{Found, Record};
use super::{block, now_ms, Disk};
use crate::policy::cache::key::Url;

/// What is purged while it is loaded; with more, what is not loaded yet is removed.
const PURGED: usize = 10_000;

/// A purge that holds for what is still to be loaded as well.
#[derive(Debug, Clone)]
pub enum Meant {
    All,
    Url(Url),
    Prefix(String),
}

impl Meant {
    fn is(&self, url: &Url) -> bool {
        match self {
            Meant::All => true,
            Meant::Url(meant) => meant == url,
            Meant::Prefix(prefix) => url.text().starts_with(prefix),
        }
    }
}

/// None: all is loaded.
pub struct Meanwhile(Mutex<Option<Vec<Meant>>>, Condvar);

impl Default for Meanwhile {
    fn default() -> Self {
        Self(Mutex::new(Some(Vec::new())), Condvar::new())
    }
}

impl Meanwhile {
    pub fn note(&self, meant: impl FnOnce() -> Meant) {
        if let Some(purged) = &mut *self.0.lock() {
            if purged.len() >= PURGED {
                *purged = vec![Meant::All];
            }
            purged.push(meant());
        }
    }

    pub fn is_purged(&self, url: &Url) -> bool {
        self.0.lock().as_ref().is_some_and(|purged| purged.iter().any(|meant| meant.is(url)))
    }

    pub fn over(&self) {
        *self.0.lock() = None;
        self.1.notify_all();
    }

    /// Until all is loaded.
    pub fn wait(&self) {
        let mut purged = self.0.lock();
        while purged.is_some() {
            self.1.wait(&mut purged);
        }
    }
}

/// However it ends.
struct Over<'a>(&'a Meanwhile);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over();
    }
}

/// `keep` is given each response that is there, and whether it is stale by a purge.
pub fn load(disk: &Arc<Disk>, mut keep: impl FnMut(Found, Arc<Kept>, bool)) {
    let _over = Over(&disk.meanwhile);
    let outcome = walk(&disk.folder, |entry| {
        let name = entry.file_name();
        match name.to_str().and_then(files::id) {
            Some((id, _)) if disk.is_own(id) => Ok(()),
            Some((id, Kind::Head)) => {
                match found(disk, id) {
                    Ok((found, kept, soft)) => keep(found, kept, soft),
                    Err(cause) => {
                        disk.trouble.damaged(1, &entry.path().display().to_string(), &cause);
                        disk.remove(id);
                    }
                }
                Ok(())
            }
            Some((id, Kind::Body)) if files::path(&disk.folder, id, Kind::Head).exists() => Ok(()),
            // Never finished, or half removed.
            _ if disk.is_half_written(&name.to_string_lossy()) => Ok(()),
            _ => files::remove(&entry.path()),
        }
    });
    if let Err(cause) = outcome {
        disk.trouble.failed("what is there cannot be read", &cause);
    }
}

impl Disk {
    /// A head that is being replaced right now.
    fn is_half_written(&self, name: &str) -> bool {
        let id = name.strip_suffix(".new").and_then(|number| u64::from_str_radix(number, 16).ok());
        id.is_some_and(|id| self.is_own(id))
    }
}

fn found(disk: &Arc<Disk>, id: u64) -> io::Result<(Found, Arc<Kept>, bool)> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let bytes = std::fs::read(files::path(&disk.folder, id, Kind::Head))?;
    let record = Record::read(&bytes).ok_or_else(|| wrong("it is not what was written"))?;
    let length = record.length;
    if record.id != id {
        return Err(wrong("it is the head of another"));
    }
    if std::fs::metadata(files::path(&disk.folder, id, Kind::Body))?.len() != block::file_bytes(length) {
        return Err(wrong("its content is not whole"));
    }
    let soft = record.soft;
    let found = record.found(now_ms(), disk.epoch).ok_or_else(|| wrong("it makes no sense"))?;
    Ok((found, Kept::new(disk.clone(), id, length), soft))
}

/// Every file in a folder of two digits. Nothing else in the directory is touched.
fn walk(folder: &Path, mut see: impl FnMut(&DirEntry) -> io::Result<()>) -> io::Result<()> {
    for part in 0..=u8::MAX {
        let entries = match std::fs::read_dir(folder.join(format!("{part:02x}"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            see(&entry?)?;
        }
    }
    Ok(())
}

/// Removes all that is stored, and what is known of invalidated groups. How many responses there were.
pub fn empty(folder: &Path) -> io::Result<u64> {
    let mut count = 0;
    walk(folder, |entry| {
        count += u64::from(entry.path().extension().is_some_and(|ending| ending == "head"));
        files::remove(&entry.path())
    })?;
    files::remove(&folder.join("groups"))?;
    Ok(count)
}
