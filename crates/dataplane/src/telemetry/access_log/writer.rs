//! The thread that writes what the workers have logged.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashMap;

use super::Sink;

/// How long lines are gathered before they are written together.
const GATHER: Duration = Duration::from_millis(10);

#[derive(Default)]
pub struct Writer {
    pub sinks: Mutex<Vec<Arc<Sink>>>,
    state: Mutex<State>,
    woken: Condvar,
    flushed: Condvar,
}

#[derive(Default)]
struct State {
    running: bool,
    work: bool,
    stop: bool,
    /// Flushes asked for, and done.
    asked: u64,
    done: u64,
}

impl Writer {
    /// A worker has put a line into an empty buffer. The thread is started by the first of all.
    pub fn wake(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.work = true;
        if !state.running && !state.stop {
            let writer = self.clone();
            let thread = std::thread::Builder::new().name("access-log".to_owned());
            // Without a thread the queue fills up and drops are counted; requests go on.
            state.running = thread.spawn(move || writer.run()).is_ok();
        }
        self.woken.notify_one();
    }

    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock();
        if !state.running {
            return true;
        }
        state.asked += 1;
        let asked = state.asked;
        self.woken.notify_one();
        while state.done < asked {
            if self.flushed.wait_until(&mut state, deadline).timed_out() {
                return state.done >= asked;
            }
        }
        true
    }

    /// Ends the thread once it has written what it has.
    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.woken.notify_one();
        // The sinks and this refer to each other.
        self.sinks.lock().clear();
    }

    fn run(self: Arc<Self>) {
        let mut files = FxHashMap::default();
        let mut buffer = Vec::new();
        loop {
            let (asked, stop) = self.wait();
            let sinks = self.sinks.lock().clone();
            for sink in &sinks {
                write_out(sink, &mut files, &mut buffer);
            }
            drop(sinks);
            self.forget_unused(&mut files);
            self.state.lock().done = asked;
            self.flushed.notify_all();
            if stop {
                return;
            }
        }
    }

    /// Until there is something to do; the flushes that will be done by then, and whether to end.
    fn wait(&self) -> (u64, bool) {
        let mut state = self.state.lock();
        while !(state.work || state.stop || state.asked > state.done) {
            self.woken.wait(&mut state);
        }
        let until = Instant::now() + GATHER;
        while !state.stop && state.asked == state.done {
            if self.woken.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.work = false;
        (state.asked, state.stop)
    }

    /// Sinks that no program has any more, once they are empty.
    fn forget_unused(&self, files: &mut FxHashMap<Box<str>, File>) {
        self.sinks.lock().retain(|sink| {
            let keep = Arc::strong_count(sink) > 1 || sink.level().queued > 0;
            if !keep {
                files.remove(&sink.path);
            }
            keep
        });
    }
}

fn write_out(sink: &Sink, files: &mut FxHashMap<Box<str>, File>, buffer: &mut Vec<u8>) {
    if sink.reopen.swap(false, Ordering::Relaxed) {
        files.remove(&sink.path);
    }
    sink.take(buffer, |lines, count| {
        let written = match &*sink.path {
            "stdout" => io::stdout().write_all(lines).and_then(|()| io::stdout().flush()),
            "stderr" => io::stderr().write_all(lines),
            path => open(path, files).and_then(|file| file.write_all(lines)),
        };
        if let Err(error) = written {
            let lost = sink.dropped.fetch_add(count as u64, Ordering::Relaxed);
            if lost == 0 {
                // Once; after that the metric tells.
                let _ = writeln!(io::stderr(), "access log '{}' cannot be written: {error}", sink.path);
            }
        }
    });
}

fn open<'f>(path: &str, files: &'f mut FxHashMap<Box<str>, File>) -> io::Result<&'f mut File> {
    if !files.contains_key(path) {
        files.insert(path.into(), OpenOptions::new().append(true).create(true).open(path)?);
    }
    files.get_mut(path).ok_or_else(|| io::ErrorKind::NotFound.into())
}
