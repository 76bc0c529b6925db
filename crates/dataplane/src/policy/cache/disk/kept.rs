//! Content in a file, and how it is read: block by block, each checked before it goes on, one ahead of the client.

use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::block::{self, BLOCK};
use super::files::{self, Kind};
use super::Disk;

/// A block, and the file for the next one.
pub type Taken = io::Result<(Arc<File>, Bytes)>;

/// It cannot be read: gone, or not what was written.
#[derive(Debug, Clone, Copy)]
pub struct Lost;

/// The content of a stored response.
pub struct Kept {
    pub disk: Arc<Disk>,
    pub id: u64,
    pub length: u64,
    retired: AtomicBool,
    lost: AtomicBool,
}

impl Kept {
    pub fn new(disk: Arc<Disk>, id: u64, length: u64) -> Arc<Self> {
        Arc::new(Self { disk, id, length, retired: AtomicBool::new(false), lost: AtomicBool::new(false) })
    }

    /// Its files go, once; whoever reads it reads on.
    pub fn retire(&self) {
        if !self.retired.swap(true, Ordering::AcqRel) {
            self.disk.remove(self.id);
        }
    }

    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// It is of no use any more.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    fn lose(&self, cause: &io::Error) {
        // Purged while it was opened: no damage.
        if !self.is_retired() && !self.lost.swap(true, Ordering::AcqRel) {
            let path = files::path(&self.disk.folder, self.id, Kind::Body);
            self.disk.trouble.damaged(1, &path.display().to_string(), cause);
        }
    }

    /// Its content from here to there, the first block of it read already.
    pub async fn open(self: &Arc<Self>, range: Range<u64>) -> Result<Reading, Lost> {
        let mut reading = Reading { kept: self.clone(), file: None, left: range, next: None, first: None };
        let first = std::future::poll_fn(|context| reading.poll_block(context)).await;
        reading.first = first.transpose()?;
        Ok(reading)
    }
}

/// Reads a block on one of the threads for it.
pub fn take(disk: &Disk, id: u64, index: u64, length: u64, file: Option<Arc<File>>) -> oneshot::Receiver<Taken> {
    let (done, taken) = oneshot::channel();
    let path = file.is_none().then(|| files::path(&disk.folder, id, Kind::Body));
    disk.pool.run(id, move || {
        // Nobody waits for it any more.
        if done.is_closed() {
            return;
        }
        let file = match (file, path) {
            (Some(file), _) => Ok(file),
            (None, Some(path)) => File::open(path).map(Arc::new),
            (None, None) => Err(io::ErrorKind::NotFound.into()),
        };
        let taken = file.and_then(|file| block::read(&file, id, index, length).map(|data| (file, data)));
        drop(done.send(taken));
    });
    taken
}

/// What was taken, cut to what is wanted of that block.
pub fn cut(data: &Bytes, wanted: &Range<u64>) -> Bytes {
    let from = (wanted.start % BLOCK as u64) as usize;
    let most = usize::try_from(wanted.end - wanted.start).unwrap_or(usize::MAX);
    data.slice(from.min(data.len())..from.saturating_add(most).min(data.len()))
}

pub struct Reading {
    kept: Arc<Kept>,
    file: Option<Arc<File>>,
    left: Range<u64>,
    next: Option<oneshot::Receiver<Taken>>,
    first: Option<Bytes>,
}

impl Reading {
    pub fn left(&self) -> u64 {
        self.left.end - self.left.start + self.first.as_ref().map_or(0, |first| first.len() as u64)
    }

    fn ask(&self) -> oneshot::Receiver<Taken> {
        let Kept { disk, id, length, .. } = &*self.kept;
        take(disk, *id, self.left.start / BLOCK as u64, *length, self.file.clone())
    }

    pub fn poll_block(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Lost>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let mut next = self.next.take().unwrap_or_else(|| self.ask());
        let Poll::Ready(taken) = Pin::new(&mut next).poll(context) else {
            self.next = Some(next);
            return Poll::Pending;
        };
        let stopped = |_| io::Error::other("the thread that reads has ended");
        match taken.map_err(stopped).and_then(|taken| taken) {
            Ok((file, data)) => {
                self.file = Some(file);
                let data = cut(&data, &self.left);
                self.left.start += data.len() as u64;
                if !self.left.is_empty() {
                    self.next = Some(self.ask());
                }
                Poll::Ready(Some(Ok(data)))
            }
            Err(cause) => {
                self.kept.lose(&cause);
                self.left.start = self.left.end;
                Poll::Ready(Some(Err(Lost)))
            }
        }
    }
}

/// What is read of a file that is still being written: the same, without an end of its own.
pub struct Following {
    pub file: Option<Arc<File>>,
    pub next: Option<oneshot::Receiver<Taken>>,
}

impl Following {
    /// The block that `wanted` begins in, of which `readable` bytes of the whole are there.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        disk: &Disk,
        id: u64,
        readable: u64,
        wanted: &Range<u64>,
    ) -> Poll<Result<Bytes, Lost>> {
        let next =
            self.next.get_or_insert_with(|| take(disk, id, wanted.start / BLOCK as u64, readable, self.file.clone()));
        let taken = ready!(Pin::new(next).poll(context));
        self.next = None;
        match taken {
            Ok(Ok((file, data))) => {
                self.file = Some(file);
                Poll::Ready(Ok(cut(&data, wanted)))
            }
            _ => Poll::Ready(Err(Lost)),
        }
    }
}
