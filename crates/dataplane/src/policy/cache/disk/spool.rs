//! Content that is being written while it comes in.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use super::block::{self, BLOCK};
use super::files::{self, Kind};
use super::kept::Kept;
use super::Disk;

/// Responses that are written at once; one more is not stored.
pub const WRITTEN: usize = 64;
/// Of one response, blocks that wait to be written; the service is asked for no more meanwhile.
const WAITING: u64 = 2;
/// How long, before it is given up: nobody waits for a disk.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far it is, for those who read along.
pub struct Progress {
    pub disk: Arc<Disk>,
    pub id: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    file: Option<Arc<File>>,
    blocks: u64,
    bytes: u64,
    failed: bool,
    waker: Option<Waker>,
}

impl Progress {
    /// Bytes that can be read, and the file.
    pub fn readable(&self) -> (u64, Option<Arc<File>>) {
        let state = self.state.lock();
        (state.bytes, state.file.clone())
    }

    fn write(&self, index: u64, data: Vec<u8>) {
        let (file, failed) = {
            let state = self.state.lock();
            (state.file.clone(), state.failed)
        };
        let length = data.len() as u64;
        let written = match (failed, file) {
            // What comes after a gap is of no use.
            (true, _) => Err(io::ErrorKind::Interrupted.into()),
            (false, Some(file)) => block::write(&file, self.id, index, data).map(|()| file),
            (false, None) => files::create(&files::path(&self.disk.folder, self.id, Kind::Body)).and_then(|file| {
                let file = Arc::new(file);
                block::write(&file, self.id, index, data).map(|()| file)
            }),
        };
        let mut state = self.state.lock();
        match written {
            Ok(file) => {
                state.file = Some(file);
                state.blocks = index + 1;
                state.bytes += length;
            }
            Err(cause) => {
                if !state.failed {
                    self.disk.trouble.failed("a response cannot be written", &cause);
                }
                state.failed = true;
            }
        }
        state.waker.take().into_iter().for_each(Waker::wake);
    }
}

pub struct Spool {
    pub progress: Arc<Progress>,
    block: Vec<u8>,
    sent: u64,
    sent_bytes: usize,
    kept: bool,
}

/// It is not stored after all.
pub struct GivenUp;

impl Spool {
    /// None: too many are being written, or the directory is left alone for a while.
    pub fn begin(disk: &Arc<Disk>) -> Option<Self> {
        if disk.trouble.pauses() {
            return None;
        }
        if disk.written.fetch_add(1, Ordering::AcqRel) >= WRITTEN {
            disk.written.fetch_sub(1, Ordering::AcqRel);
            disk.trouble.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let progress = Arc::new(Progress { disk: disk.clone(), id: disk.draw(), state: Mutex::default() });
        Some(Self { progress, block: Vec::new(), sent: 0, sent_bytes: 0, kept: false })
    }

    pub async fn write(&mut self, mut data: &[u8]) -> Result<(), GivenUp> {
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(now);
            data = later;
            if self.block.len() == BLOCK {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), GivenUp> {
        self.written(self.sent.saturating_sub(WAITING - 1)).await?;
        let (progress, index, data) = (self.progress.clone(), self.sent, std::mem::take(&mut self.block));
        (self.sent, self.sent_bytes) = (self.sent + 1, self.sent_bytes + data.len());
        self.progress.disk.being_written.fetch_add(data.len(), Ordering::Relaxed);
        self.progress.disk.pool.run(progress.id, move || progress.write(index, data));
        Ok(())
    }

    /// Waits until that many blocks are.
    async fn written(&self, blocks: u64) -> Result<(), GivenUp> {
        let enough = std::future::poll_fn(|context| {
            let mut state = self.progress.state.lock();
            match state.failed {
                true => Poll::Ready(Err(GivenUp)),
                false if state.blocks >= blocks => Poll::Ready(Ok(())),
                false => {
                    state.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        });
        match tokio::time::timeout(PATIENCE, enough).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let slow = "it does not keep up with what comes in";
                self.progress.disk.trouble.failed("a response cannot be written", &slow);
                Err(GivenUp)
            }
        }
    }

    /// All of it has been given: the whole, once it is written.
    pub async fn finish(mut self) -> Result<Arc<Kept>, GivenUp> {
        if !self.block.is_empty() {
            self.send().await?;
        }
        self.written(self.sent).await?;
        self.kept = true;
        Ok(Kept::new(self.progress.disk.clone(), self.progress.id, self.sent_bytes as u64))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let disk = &self.progress.disk;
        disk.written.fetch_sub(1, Ordering::AcqRel);
        disk.being_written.fetch_sub(self.sent_bytes, Ordering::Relaxed);
        if !self.kept {
            disk.remove(self.progress.id);
        }
    }
}
