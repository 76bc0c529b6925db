//! The disk tier: large content in files of one directory, that no other process uses meanwhile. What a response is found
//! by stays in memory with its head, and is written beside its content so that it is found again after a restart.

mod block;
mod files;
mod journal;
mod kept;
mod load;
mod pool;
mod record;
mod spool;
mod tier;
mod trouble;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{flock, FlockOperation};

pub use self::block::disk_bytes;
pub use self::journal::Line;
pub use self::kept::{Following, Kept, Lost, Reading};
pub use self::load::{load, Meant};
pub use self::spool::{GivenUp, Progress, Spool};
pub use self::tier::{Level, Tier};

use self::files::Kind;
use self::journal::Journal;
use self::load::Meanwhile;
use self::pool::Pool;
use self::record::Record;
use self::trouble::Trouble;
use super::entry::Entry;
use super::groups::Groups;
use super::key::{Primary, Url};

const LOCK: &str = "lock";
/// How long a write waits until what it invalidated is gone from the disk as well.
const SETTLED: Duration = Duration::from_secs(1);
/// And a purge, and the end of the process.
const SETTLED_AT_LEISURE: Duration = Duration::from_secs(10);

pub struct Disk {
    folder: PathBuf,
    pool: Pool,
    journal: Journal,
    pub meanwhile: Meanwhile,
    trouble: Arc<Trouble>,
    /// In the upper half of the numbers that are drawn: those of a process before are told apart from its own.
    run: u32,
    drawn: AtomicU32,
    /// Responses that are being written, and the bytes of them.
    written: AtomicUsize,
    pub being_written: AtomicUsize,
    /// What is remembered of invalidated groups, as it was when it was opened.
    epoch: u64,
    /// The directory is this one's as long as it is open.
    _lock: File,
}

impl Disk {
    fn open(folder: &Path, groups: &Groups, trouble: Arc<Trouble>) -> io::Result<Self> {
        files::make_folder(folder)?;
        let lock = files::options().write(true).create(true).truncate(false).open(folder.join(LOCK))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| io::Error::other("another process uses the directory"))?;
        let journal = match Journal::open(folder, groups) {
            Err(cause) if matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
                // Nobody knows any more what was invalidated.
                let dropped = load::empty(folder)?;
                trouble.damaged(dropped, "what was invalidated cannot be read", &cause);
                Journal::open(folder, groups)?
            }
            outcome => outcome?,
        };
        Ok(Self {
            folder: folder.to_owned(),
            pool: Pool::start()?,
            journal,
            meanwhile: Meanwhile::default(),
            trouble,
            run: fastrand::u32(..),
            drawn: AtomicU32::new(0),
            written: AtomicUsize::new(0),
            being_written: AtomicUsize::new(0),
            epoch: groups.epoch(),
            _lock: lock,
        })
    }

    /// A number for a response. Its files are spread by the lower byte.
    fn draw(&self) -> u64 {
        u64::from(self.run) << 32 | u64::from(self.drawn.fetch_add(1, Ordering::Relaxed))
    }

    fn is_own(&self, id: u64) -> bool {
        id >> 32 == u64::from(self.run)
    }

    /// The head first: without it nothing is found again.
    fn remove(&self, id: u64) {
        let (folder, trouble) = (self.folder.clone(), self.trouble.clone());
        self.pool.run(id, move || {
            for kind in [Kind::Head, Kind::Body] {
                if let Err(cause) = files::remove(&files::path(&folder, id, kind)) {
                    trouble.failed("a file cannot be removed", &cause);
                }
            }
        });
    }

    /// From now on it is found again after a restart, as it is now.
    pub fn write_head(self: &Arc<Self>, url: &Arc<Url>, primary: &Arc<Primary>, entry: &Arc<Entry>) {
        let Some(kept) = entry.content.kept().cloned() else { return };
        let (url, primary, entry, trouble) = (url.clone(), primary.clone(), entry.clone(), self.trouble.clone());
        self.pool.run(kept.id, move || {
            if kept.is_retired() {
                return;
            }
            let record = Record::new(kept.id, kept.length, entry.is_soft(), &url, &primary, &entry.head, now_ms());
            let path = files::path(&kept.disk.folder, kept.id, Kind::Head);
            let written = record.bytes().map_err(io::Error::from).and_then(|bytes| files::replace(&path, &bytes));
            if let Err(cause) = written {
                trouble.failed("the head of a response cannot be written", &cause);
                // An older one may say that it is still good.
                drop(files::remove(&path));
            }
        });
    }

    /// Written down, so that it holds after a restart. `carry_out`: removes what is invalid, where it cannot be, or where
    /// there is much to read.
    pub fn note(self: &Arc<Self>, line: Line, carry_out: impl FnOnce() -> u64 + Send + 'static) {
        let disk = Arc::downgrade(self);
        self.pool.run(0, move || {
            let Some(disk) = disk.upgrade() else { return };
            let anew = match disk.journal.append(&line) {
                Ok(length) => length > journal::LONGEST,
                Err(cause) => {
                    disk.trouble.failed("what is invalidated cannot be written down", &cause);
                    true
                }
            };
            if anew {
                let done = carry_out();
                if let Err(cause) = disk.journal.begin_anew(&disk.folder, done) {
                    disk.trouble.failed("what is invalidated cannot be written down", &cause);
                }
            }
        });
    }

    /// No thread reads what is there: it is not found again.
    pub fn not_loaded(&self, cause: &io::Error) {
        self.trouble.failed("what is there cannot be read", cause);
        self.meanwhile.over();
    }

    /// All that was asked for so far has been done, or this takes too long.
    pub async fn settled(&self) {
        let (witness, mut gone) = tokio::sync::mpsc::channel::<()>(1);
        self.pool.after_all(witness);
        drop(tokio::time::timeout(SETTLED, gone.recv()).await);
    }

    /// The same for a thread that may wait.
    pub fn settle(&self) {
        let (witness, gone) = std::sync::mpsc::channel::<()>();
        self.pool.after_all(witness);
        let _done_or_late = gone.recv_timeout(SETTLED_AT_LEISURE);
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
