//! Worker threads from their start to their end: start, apply (atomic swap), drain, stop.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{mpsc, Arc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{mpsc as control, watch};
use tokio::task::LocalSet;

use crate::listener::{self, Listener, Socket};
use crate::policy::authenticate::Registry;
use crate::policy::cache::{Of, Purge};
use crate::program::{Bind, Program};
use crate::shared::Shared;
use crate::snapshot::{self, Snapshot};
use crate::telemetry::metrics;
use crate::transport::unix::SocketFile;
use crate::worker::Worker;

/// So long before the time for a drain is over tunnels end, so that both sides can be told: a quarter of that time where
/// it is short.
const PARTING: Duration = Duration::from_secs(2);
/// How often a draining worker looks whether its last connection has ended.
const DRAIN_CHECK: Duration = Duration::from_millis(10);

/// Of each worker, for what would hold it up: names to look up, and expressions that take long.
const BLOCKING_THREADS: usize = 16;

/// What hinders a start or an apply; nothing has changed then.
#[derive(Debug)]
pub enum StartError {
    /// Every mistake of the snapshot, each as a sentence that names its place.
    Snapshot(Vec<String>),
    /// An address could not be bound.
    Bind { listener: String, bind: Bind, cause: io::Error },
    /// A thread or runtime could not be made.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Snapshot(errors) => f.write_str(&errors.join("\n")),
            StartError::Bind { listener, bind, cause } => {
                write!(f, "listener '{listener}': cannot listen on {bind}: {cause}")
            }
            StartError::Thread(cause) => write!(f, "a worker thread could not be started: {cause}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Work for a worker's own thread.
pub type Job = Box<dyn FnOnce(&Rc<Worker>) + Send>;

enum Control {
    Accept {
        socket: Socket,
        current: watch::Receiver<Arc<Listener>>,
        stop: watch::Receiver<bool>,
    },
    Run(Job),
    /// Answered when the worker's last connection has ended.
    Drain {
        drained: mpsc::Sender<()>,
        /// When tunnels must have ended.
        latest: Instant,
    },
    Stop,
}

struct Bound {
    /// As configured; its port may be 0.
    bind: Bind,
    place: Place,
    current: watch::Sender<Arc<Listener>>,
    stop: watch::Sender<bool>,
}

/// Where a listener has been bound.
enum Place {
    Address(SocketAddr),
    File(SocketFile),
}

struct Thread {
    control: control::UnboundedSender<Control>,
    handle: JoinHandle<()>,
}

pub struct Server {
    pub shared: Arc<Shared>,
    program: Arc<ArcSwap<Program>>,
    listeners: Mutex<BTreeMap<String, Bound>>,
    threads: Mutex<Vec<Thread>>,
    workers: usize,
}

/// A listener that an apply adds or changes, ready but not in use.
enum Change {
    Open { bound: Bound, sockets: Vec<Socket> },
    Set(Arc<Listener>),
}

impl Server {
    /// Compiles, binds and serves.
    pub fn start(snapshot: &Snapshot) -> Result<Self, StartError> {
        let workers = snapshot.workers.max(1);
        let shared = Arc::new(Shared::new(workers));
        let program = Arc::new(Program::compile(snapshot, &shared).map_err(StartError::Snapshot)?);
        shared.cache.set_limit(cache_bytes(snapshot));
        let server = Self {
            program: Arc::new(ArcSwap::new(program.clone())),
            shared,
            listeners: Mutex::default(),
            threads: Mutex::default(),
            workers,
        };
        servable(&program)?;
        let changes = server.changes(&program, &BTreeMap::new())?;
        server.shared.cache.set_disk(snapshot.cache.disk.as_ref());
        server.spawn()?;
        *server.shared.loaded.lock() = program.loaded.clone();
        server.commit(changes, &mut server.listeners.lock());
        server.begin();
        Ok(server)
    }

    fn spawn(&self) -> Result<(), StartError> {
        let mut threads = self.threads.lock();
        for index in 0..self.workers {
            let (control, commands) = control::unbounded_channel();
            let (shared, program) = (self.shared.clone(), self.program.clone());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(BLOCKING_THREADS)
                .build()
                .map_err(StartError::Thread)?;
            let handle = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    let local = LocalSet::new();
                    let main = async move { work(Worker::new(index, shared, program), commands).await };
                    runtime.block_on(local.run_until(main));
                })
                .map_err(StartError::Thread)?;
            threads.push(Thread { control, handle });
        }
        Ok(())
    }

    /// What the store knows of consumers, in place of what it knew: effective at the next request. On errors nothing has
    /// changed.
    pub fn update_registry(&self, registry: &snapshot::Registry) -> Result<(), Vec<String>> {
        let registry = Registry::new(registry, &self.program.load().plans, &self.shared)?;
        self.shared.registry.store(Arc::new(registry));
        Ok(())
    }

    /// What the control plane has fetched of an issuer; None: it could not. The requests that wait for it go on. On an
    /// error what was known stays. Nothing happens for an issuer that the Program has not.
    pub fn set_issuer(&self, name: &str, fetched: Option<&snapshot::Fetched>) -> Result<(), String> {
        let program = self.program.load();
        let Some(live) = program.issuers.get(name).and_then(|issuer| issuer.live()) else { return Ok(()) };
        let Some(fetched) = fetched else {
            live.failed();
            return Ok(());
        };
        live.update(fetched).inspect_err(|_| live.failed())
    }

    /// Swaps the whole program by one pointer. Exchanges under way finish under the old one; connections stay. The number
    /// of workers cannot change while they run.
    pub fn apply(&self, snapshot: &Snapshot) -> Result<(), StartError> {
        let program = Program::compile(snapshot, &self.shared).map_err(StartError::Snapshot)?;
        servable(&program)?;
        let mut listeners = self.listeners.lock();
        let changes = self.changes(&program, &listeners)?;
        *self.shared.loaded.lock() = program.loaded.clone();
        self.program.store(Arc::new(program));
        self.shared.cache.set_limit(cache_bytes(snapshot));
        self.shared.cache.set_disk(snapshot.cache.disk.as_ref());
        self.commit(changes, &mut listeners);
        listeners.retain(|name, bound| {
            let kept = snapshot.listeners.contains_key(name);
            if !kept {
                bound.stop.send_replace(true);
            }
            kept
        });
        drop(listeners);
        self.run_everywhere(|worker| {
            let program = worker.program();
            worker.pools.retain(program.clusters.values());
        });
        self.begin();
        self.shared.sinks.reopen();
        self.shared.metrics.prune();
        Ok(())
    }

    /// What a new Program wants to know is asked for before its first request comes.
    fn begin(&self) {
        let begin = |worker: &Rc<Worker>| {
            let program = worker.program();
            let policies = program.routes.routes().iter().filter_map(|route| route.policies.translate.as_ref());
            policies.for_each(|policy| policy.begin(worker));
        };
        self.run(0, Box::new(begin));
    }

    /// Binds what is new, without touching what serves.
    fn changes(
        &self,
        program: &Program,
        listeners: &BTreeMap<String, Bound>,
    ) -> Result<Vec<(String, Change)>, StartError> {
        let mut changes = Vec::new();
        for (name, settings) in &program.listeners {
            let old = listeners.get(name);
            let previous = old.map(|bound| bound.current.borrow().clone());
            let listener = Arc::new(Listener::new(settings, previous.as_deref()));
            let bind = settings.bind.clone();
            let failed = |cause| StartError::Bind { listener: name.clone(), bind: bind.clone(), cause };
            if let Some(old) = old.filter(|old| old.bind.is_same_place(&bind)) {
                if let (Place::File(file), Bind::Unix { mode, .. }) = (&old.place, &bind) {
                    file.set_mode(*mode).map_err(failed)?;
                }
                changes.push((name.clone(), Change::Set(listener)));
                continue;
            }
            let (place, sockets) = open(&bind, self.workers).map_err(failed)?;
            let (current, stop) = (watch::Sender::new(listener), watch::Sender::new(false));
            let bound = Bound { bind, place, current, stop };
            changes.push((name.clone(), Change::Open { bound, sockets }));
        }
        Ok(changes)
    }

    fn commit(&self, changes: Vec<(String, Change)>, listeners: &mut BTreeMap<String, Bound>) {
        for (name, change) in changes {
            match change {
                Change::Set(listener) => {
                    if let Some(bound) = listeners.get(&name) {
                        bound.current.send_replace(listener);
                    }
                }
                Change::Open { bound, sockets } => {
                    for (thread, socket) in self.threads.lock().iter().zip(sockets) {
                        let (current, stop) = (bound.current.subscribe(), bound.stop.subscribe());
                        // A worker that has ended takes nothing more; its end has been told.
                        let _gone = thread.control.send(Control::Accept { socket, current, stop });
                    }
                    if let Some(old) = listeners.insert(name, bound) {
                        old.stop.send_replace(true);
                    }
                }
            }
        }
    }

    /// The bound address of every listener that is not a Unix socket, by name.
    pub fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        let listeners = self.listeners.lock();
        let addressed = listeners.iter().filter_map(|(name, bound)| match bound.place {
            Place::Address(address) => Some((name.clone(), address)),
            Place::File(_) => None,
        });
        addressed.collect()
    }

    /// Where every listener is, by name: `IP:PORT` as bound, or `unix:PATH`.
    pub fn places(&self) -> BTreeMap<String, String> {
        let listeners = self.listeners.lock();
        let places = listeners.iter().map(|(name, bound)| match bound.place {
            Place::Address(address) => (name.clone(), address.to_string()),
            Place::File(_) => (name.clone(), bound.bind.to_string()),
        });
        places.collect()
    }

    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Runs on the thread of that worker, soon. False when it has ended; the job is dropped then.
    pub fn run(&self, worker: usize, job: Job) -> bool {
        self.threads.lock().get(worker).is_some_and(|thread| thread.control.send(Control::Run(job)).is_ok())
    }

    fn run_everywhere(&self, job: impl Fn(&Rc<Worker>) + Send + Clone + 'static) {
        for worker in 0..self.workers {
            let job = job.clone();
            self.run(worker, Box::new(move |worker| job(worker)));
        }
    }

    /// How many stored responses were hit. With `soft` they are stale, and may still serve where stale ones do.
    pub fn purge(&self, purge: &Purge<'_>, soft: bool) -> Result<u64, String> {
        self.shared.cache.purge(purge, soft)
    }

    /// Stored responses of these groups are not used any more. Nothing is waited for.
    pub fn invalidate(&self, groups: &[String]) {
        groups.iter().for_each(|group| self.shared.cache.invalidate_group(Of::All, group, false));
    }

    /// The APIs with their versions and who uses them.
    pub fn versions(&self) -> serde_json::Value {
        crate::api::report(&self.program.load().apis)
    }

    /// Prometheus text.
    pub fn metrics(&self) -> String {
        self.shared.metrics.render(&self.shared.sinks) + &metrics::cache(self.shared.cache.level())
    }

    /// Accepts no more, lets exchanges finish and closes idle connections. False when the time ran out.
    pub fn drain(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let latest = until - PARTING.min(timeout / 4);
        for bound in self.listeners.lock().values() {
            bound.stop.send_replace(true);
        }
        let (drained, done) = mpsc::channel();
        let mut open = 0;
        for thread in self.threads.lock().iter() {
            if thread.control.send(Control::Drain { drained: drained.clone(), latest }).is_ok() {
                open += 1;
            }
        }
        (0..open).all(|_| done.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok())
    }

    /// Ends at once and joins the threads; log lines that wait are written.
    pub fn stop(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in &threads {
            let _gone = thread.control.send(Control::Stop);
        }
        for thread in threads {
            let _panicked = thread.handle.join();
        }
        self.listeners.lock().clear();
        self.shared.cache.settle();
        self.shared.sinks.flush(Duration::from_secs(2));
    }
}

fn open(bind: &Bind, workers: usize) -> io::Result<(Place, Vec<Socket>)> {
    match bind {
        Bind::Socket(address) => listener::bind(*address, workers)
            .map(|(address, sockets)| (Place::Address(address), sockets.into_iter().map(Socket::Tcp).collect())),
        Bind::Unix { path, mode } => listener::bind_unix(path, *mode, workers)
            .map(|(file, sockets)| (Place::File(file), sockets.into_iter().map(Socket::Unix).collect())),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn cache_bytes(snapshot: &Snapshot) -> usize {
    usize::try_from(snapshot.cache.memory_bytes).unwrap_or(usize::MAX)
}

/// What is wrong with its files, too, where that leaves something out.
fn servable(program: &Program) -> Result<(), StartError> {
    if program.refusals.is_empty() {
        return Ok(());
    }
    Err(StartError::Snapshot(program.faults.iter().chain(&program.refusals).cloned().collect()))
}

async fn work(worker: Rc<Worker>, mut commands: control::UnboundedReceiver<Control>) {
    while let Some(command) = commands.recv().await {
        match command {
            Control::Accept { socket, current, stop } => {
                tokio::task::spawn_local(listener::accept(worker.clone(), socket, current, stop));
            }
            Control::Run(job) => job(&worker),
            Control::Drain { drained, latest } => {
                let worker = worker.clone();
                tokio::task::spawn_local(async move {
                    // The accept loops take in what the kernel holds for them before they end.
                    tokio::time::sleep(DRAIN_CHECK).await;
                    worker.drain(latest);
                    while worker.open() > 0 {
                        tokio::time::sleep(DRAIN_CHECK).await;
                    }
                    let _nobody_waits = drained.send(());
                });
            }
            Control::Stop => return,
        }
    }
}
