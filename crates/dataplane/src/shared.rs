//! What must survive a new Program, keyed by identity: health of endpoints, counters of limits, log sinks, metrics.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::callout::CalloutPort;
use crate::cluster::credentials::Kept;
use crate::cluster::health::Health;
use crate::policy::authenticate::dpop::NonceKey;
use crate::policy::authenticate::introspection::answers::Introspections;
use crate::policy::authenticate::issuer::live::Lives;
use crate::policy::authenticate::oidc::Sessions;
use crate::policy::authenticate::{LastUsed, Registry, Replays, Verifier};
use crate::policy::cache;
use crate::policy::rate_limit::Limiter;
use crate::policy::translate::descriptor::Reflections;
use crate::snapshot;
use crate::telemetry::access_log::Sinks;
use crate::telemetry::metrics::Metrics;
use crate::transport::tls::file::Loaded;

pub struct Shared {
    pub health: Health,
    pub limiter: Limiter,
    /// Responses that are kept.
    pub cache: Arc<cache::Store>,
    pub sinks: Sinks,
    pub metrics: Metrics,
    pub callouts: Arc<CalloutPort>,
    /// Consumers, credentials and plans of the store, swapped whole.
    pub registry: ArcSwap<Registry>,
    pub last_used: LastUsed,
    pub replays: Replays,
    /// What issuers publish.
    pub issuers: Lives,
    /// What issuers say of tokens.
    pub introspections: Introspections,
    /// Of nonces for proofs.
    pub nonce_key: NonceKey,
    /// By which the gateway proves itself to endpoints.
    pub tokens: Kept,
    /// Of passwords.
    pub verifier: Verifier,
    /// Of browsers: what of them is over or under way.
    pub sessions: Sessions,
    /// What services say of themselves.
    pub reflections: Reflections,
    /// Certificates and what belongs to them, of the Program that serves.
    pub loaded: Mutex<Arc<Loaded>>,
    /// Worker threads.
    pub workers: usize,
}

impl Shared {
    /// `workers` is the number of threads that will record metrics and log lines, each under its own index.
    pub fn new(workers: usize) -> Self {
        let callouts = Arc::<CalloutPort>::default();
        Self {
            health: Health::default(),
            limiter: Limiter::new(),
            cache: cache::Store::new(snapshot::CacheStore::default().memory_bytes as usize, callouts.clone()),
            sinks: Sinks::new(workers),
            metrics: Metrics::new(workers),
            callouts,
            registry: ArcSwap::default(),
            last_used: LastUsed::default(),
            replays: Replays::default(),
            issuers: Lives::default(),
            introspections: Introspections::default(),
            nonce_key: NonceKey::default(),
            tokens: Kept::default(),
            verifier: Verifier::new(workers),
            sessions: Sessions::default(),
            reflections: Reflections::default(),
            loaded: Mutex::default(),
            workers,
        }
    }
}
