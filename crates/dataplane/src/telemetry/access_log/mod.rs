//! Access-log lines on their way to a file or stream.
//!
//! A worker formats a line straight into a buffer of its own; one writer thread takes whole buffers and writes them.
//! A request never waits for the writer: what does not fit is dropped and counted.

mod line;
mod writer;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use line::Clock;
pub use line::Line;
use writer::Writer;

/// Lines that may wait for the writer, for each sink, shared out evenly among the workers.
pub const MAX_LINES: usize = 8192;
/// And bytes, for each worker.
pub const MAX_BYTES: usize = 8 << 20;

/// Where lines go: `stdout`, `stderr`, or a file that is appended to.
pub struct Sink {
    path: Box<str>,
    lanes: Box<[Mutex<Lane>]>,
    dropped: AtomicU64,
    reopen: AtomicBool,
    writer: Arc<Writer>,
}

/// Locked by its worker for the time of a line and by the writer for a swap, so it hardly ever is contended.
#[derive(Default)]
struct Lane {
    lines: Vec<u8>,
    count: usize,
    clock: Clock,
}

/// How full a sink is.
#[derive(Debug, Clone)]
pub struct Level {
    pub path: Box<str>,
    pub queued: u64,
    pub dropped: u64,
}

impl Sink {
    fn new(path: &str, workers: usize, writer: Arc<Writer>) -> Self {
        Self {
            path: path.into(),
            lanes: (0..workers.max(1)).map(|_| Mutex::default()).collect(),
            dropped: AtomicU64::new(0),
            reopen: AtomicBool::new(false),
            writer,
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Lets `write` make a line, a JSON object, unless the worker's share of the queue is full.
    pub fn push(&self, worker: usize, write: impl FnOnce(&mut Line<'_>)) {
        let Some(lane) = self.lanes.get(worker) else { return };
        let mut lane = lane.lock();
        if lane.count >= MAX_LINES / self.lanes.len() || lane.lines.len() >= MAX_BYTES {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let Lane { lines, count, clock } = &mut *lane;
        *count += 1;
        let first = *count == 1;
        let mut line = Line::begin(lines, clock);
        write(&mut line);
        line.end();
        drop(lane);
        if first {
            self.writer.wake();
        }
    }

    /// Swaps each worker's lines for the empty buffer and hands them over. How many lines there were.
    fn take(&self, buffer: &mut Vec<u8>, mut each: impl FnMut(&[u8], usize)) {
        for lane in &self.lanes {
            buffer.clear();
            let mut lane = lane.lock();
            let count = std::mem::take(&mut lane.count);
            std::mem::swap(&mut lane.lines, buffer);
            drop(lane);
            if count > 0 {
                each(buffer, count);
            }
        }
    }

    fn level(&self) -> Level {
        let queued = self.lanes.iter().map(|lane| lane.lock().count as u64).sum();
        Level { path: self.path.clone(), queued, dropped: self.dropped.load(Ordering::Relaxed) }
    }
}

/// All sinks, by path, and the one thread that writes them.
pub struct Sinks {
    workers: usize,
    writer: Arc<Writer>,
}

impl Sinks {
    /// Each worker has an index below `workers`.
    pub fn new(workers: usize) -> Self {
        Self { workers, writer: Arc::default() }
    }

    /// The sink of that path, which may have been there before. Nothing is opened until the first line.
    pub fn sink(&self, path: &str) -> Arc<Sink> {
        let mut sinks = self.writer.sinks.lock();
        if let Some(known) = sinks.iter().find(|sink| &*sink.path == path) {
            return known.clone();
        }
        let sink = Arc::new(Sink::new(path, self.workers, self.writer.clone()));
        sinks.push(sink.clone());
        sink
    }

    /// Opens files again before the next line: they may have been moved away. Call it at every apply.
    pub fn reopen(&self) {
        for sink in &*self.writer.sinks.lock() {
            sink.reopen.store(true, Ordering::Relaxed);
        }
    }

    /// Waits until what has been logged is written, for at most `timeout`; whether it was.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.writer.flush(timeout)
    }

    pub fn levels(&self) -> Vec<Level> {
        self.writer.sinks.lock().iter().map(|sink| sink.level()).collect()
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        // A reader of our output that hangs must not keep the process from ending.
        self.writer.flush(Duration::from_secs(2));
        self.writer.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> std::path::PathBuf {
        std::env::temp_dir().join(format!("stagedoor-{:032x}.log", fastrand::u128(..)))
    }

    fn push(sink: &Sink, worker: usize, text: &str) {
        sink.push(worker, |line| line.text("text", text.as_bytes()));
    }

    fn lines(path: &std::path::Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).expect("written");
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    #[test]
    fn every_line_is_a_json_object_whatever_it_holds() {
        let path = file();
        let sinks = Sinks::new(2);
        let sink = sinks.sink(path.to_str().expect("utf-8"));
        let odd: [&[u8]; 6] = [b"plain", b"\"quoted\\\"", b"\r\n\t\0\x7f\x1b[31m", "é→𝄞".as_bytes(), b"\xff\xfe", b""];
        for value in odd {
            sink.push(0, |line| line.text("text", value));
        }
        assert!(sinks.flush(Duration::from_secs(10)));
        let texts: Vec<String> = lines(&path).iter().map(|line| line["text"].as_str().expect("text").into()).collect();
        assert_eq!(texts, ["plain", "\"quoted\\\"", "\r\n\t\0\u{7f}\u{1b}[31m", "é→𝄞", "\u{fffd}\u{fffd}", ""]);
        let raw = std::fs::read(&path).expect("written");
        assert!(raw.iter().all(|byte| *byte == b'\n' || (*byte >= 0x20 && *byte != 0x7f)));
        std::fs::remove_file(path).expect("removed");
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_never_waits() {
        let writer: Arc<Writer> = Arc::default();
        writer.stop();
        let sink = Sink::new("stdout", 2, writer);
        for _ in 0..MAX_LINES {
            push(&sink, 1, "x");
        }
        let level = sink.level();
        assert_eq!((level.queued, level.dropped), (MAX_LINES as u64 / 2, MAX_LINES as u64 / 2));
        push(&sink, 0, "another worker has its own share");
        assert_eq!(sink.level().queued, MAX_LINES as u64 / 2 + 1);
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_again() {
        let (path, moved) = (file(), file());
        let sinks = Sinks::new(1);
        let sink = sinks.sink(path.to_str().expect("utf-8"));
        push(&sink, 0, "before");
        assert!(sinks.flush(Duration::from_secs(10)));
        std::fs::rename(&path, &moved).expect("moved");
        sinks.reopen();
        push(&sink, 0, "after");
        assert!(sinks.flush(Duration::from_secs(10)));
        assert_eq!(lines(&moved)[0]["text"], "before");
        assert_eq!(lines(&path)[0]["text"], "after");
        std::fs::remove_file(path).expect("removed");
        std::fs::remove_file(moved).expect("removed");
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let sinks = Sinks::new(1);
        let sink = sinks.sink("/nowhere/at/all/access.log");
        push(&sink, 0, "lost");
        assert!(sinks.flush(Duration::from_secs(10)));
        assert_eq!(sinks.levels()[0].dropped, 1);
    }

    #[test]
    fn lines_of_many_threads_are_neither_mixed_nor_lost_within_the_bound() {
        let path = file();
        let sinks = Sinks::new(4);
        let sink = sinks.sink(path.to_str().expect("utf-8"));
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let sink = &sink;
                scope.spawn(move || (0..1000).for_each(|number| push(sink, worker, &format!("{worker}-{number}"))));
            }
        });
        assert!(sinks.flush(Duration::from_secs(10)));
        let mut texts: Vec<String> = lines(&path).iter().map(|line| line["text"].to_string()).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 4000);
        std::fs::remove_file(path).expect("removed");
    }
}
