//! Names of files, and how they are made: for the owner alone.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Head,
    Body,
}

impl Kind {
    fn ending(self) -> &'static str {
        match self {
            Kind::Head => "head",
            Kind::Body => "body",
        }
    }
}

/// Numbers are drawn by the gateway: nothing of a request is in a name.
pub fn path(folder: &Path, id: u64, kind: Kind) -> PathBuf {
    folder.join(format!("{:02x}", id as u8)).join(format!("{id:016x}.{}", kind.ending()))
}

/// None: it is no file of a response, or was never finished.
pub fn id(name: &str) -> Option<(u64, Kind)> {
    let (number, ending) = name.split_once('.')?;
    let kind = [Kind::Head, Kind::Body].into_iter().find(|kind| kind.ending() == ending)?;
    let id = u64::from_str_radix(number, 16).ok()?;
    (format!("{id:016x}") == number).then_some((id, kind))
}

pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Its folder is made, too.
pub fn create(path: &Path) -> io::Result<File> {
    let create = || options().read(true).write(true).create_new(true).open(path);
    match (create(), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(folder)?;
            create()
        }
        (outcome, _) => outcome,
    }
}

/// Whoever reads it sees the old content or the new one.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let written =
        remove(&beside).and_then(|()| create(&beside)).and_then(|mut file| io::Write::write_all(&mut file, content));
    let replaced = written.and_then(|()| std::fs::rename(&beside, path));
    if replaced.is_err() {
        remove(&beside)?;
    }
    replaced
}

/// It may be gone already.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
