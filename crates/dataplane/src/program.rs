//! A Snapshot compiled for serving: immutable, swapped whole. Every configuration mistake ends here, none is found by a
//! request.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::api::{self, Apis};
use crate::cluster::{credentials, Cluster};
use crate::forwarded::TrustedProxies;
use crate::policy::authenticate::issuer::Issuers;
use crate::policy::plan::Plans;
use crate::policy::version::Version;
use crate::policy::{self, Policies};
use crate::route::{overlap, Matcher, Route, RouteTable};
use crate::shared::Shared;
use crate::snapshot::{self, Snapshot};
use crate::target::{self, Target};
use crate::transport::tls::file::{Loaded, Loader};
use crate::transport::{tls, unix};

/// Of the file of a Unix socket that is given none: its owner and group may connect.
const MODE: u32 = 0o660;

/// What compiling has found: sentences, each naming its place. Errors forbid the program, warnings do not.
#[derive(Debug, Default)]
pub struct Report {
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
    /// Files that cannot be used. Where there is something else to go on with, the program can be served.
    pub faults: Vec<String>,
    /// Where faults left nothing to go on with: the program can be looked at and not be served.
    pub refusals: Vec<String>,
}

impl Report {
    pub fn error(&mut self, message: impl Into<String>) {
        self.errors.push(message.into());
    }

    pub fn warning(&mut self, message: impl Into<String>) {
        self.warnings.push(message.into());
    }
}

pub struct Program {
    pub routes: RouteTable,
    /// Of requests that match no route: request id and access log.
    pub unrouted: Policies,
    pub clusters: HashMap<Arc<str>, Arc<Cluster>>,
    /// Of the configuration.
    pub plans: Arc<Plans>,
    pub issuers: Arc<Issuers>,
    pub apis: Apis,
    pub listeners: BTreeMap<String, Listener>,
    pub warnings: Vec<String>,
    pub faults: Vec<String>,
    pub refusals: Vec<String>,
    /// What came from files, for the next Program.
    pub loaded: Arc<Loaded>,
}

/// Where a listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    Socket(SocketAddr),
    Unix { path: PathBuf, mode: u32 },
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bind::Socket(address) => address.fmt(f),
            Bind::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Bind {
    /// Whatever the mode of its file.
    pub fn is_same_place(&self, other: &Bind) -> bool {
        match (self, other) {
            (Bind::Unix { path, .. }, Bind::Unix { path: other, .. }) => path == other,
            (one, other) => one == other,
        }
    }

    fn parse(settings: &snapshot::Listener) -> Result<Self, String> {
        let bind = &settings.bind;
        match bind.strip_prefix("unix:") {
            Some(path) => unix::path(path)
                .map(|path| Bind::Unix { path, mode: settings.mode.unwrap_or(MODE) })
                .map_err(|wrong| format!("bind: '{bind}': {wrong}")),
            None => bind
                .parse()
                .map(Bind::Socket)
                .map_err(|_| format!("bind: '{bind}' is not IP:PORT, such as 0.0.0.0:8080, nor unix:/PATH")),
        }
    }
}

/// What a listener allows and whom it believes.
#[derive(Clone)]
pub struct Listener {
    pub bind: Bind,
    pub trusted_proxies: TrustedProxies,
    /// Who begins connections with a PROXY header.
    pub proxy_protocol: TrustedProxies,
    pub http1: bool,
    pub http2: snapshot::Http2,
    pub limits: snapshot::ListenerLimits,
    /// None: not encrypted.
    pub tls: Option<Arc<tls::Server>>,
}

impl Listener {
    /// Every mistake goes to `report`; None then.
    fn compile(name: &str, settings: &snapshot::Listener, loader: &mut Loader, report: &mut Report) -> Option<Self> {
        let bind = Bind::parse(settings).map_err(|wrong| report.error(format!("listener '{name}': {wrong}")));
        if matches!(bind, Ok(Bind::Unix { .. })) && settings.tls.is_some() {
            report.error(format!("listener '{name}': tls: a Unix socket is not encrypted"));
        }
        let mut networks = |option: &str, networks: &[String]| {
            let wrong = |message| report.error(format!("listener '{name}': {option}: {message}"));
            TrustedProxies::parse(networks).map_err(|messages| messages.into_iter().for_each(wrong))
        };
        let trusted_proxies = networks("trusted_proxies", &settings.trusted_proxies);
        let from = settings.proxy_protocol.as_ref().map_or(&[][..], |settings| &settings.from);
        let proxy_protocol = networks("proxy_protocol.from", from);
        let tls = match &settings.tls {
            None => None,
            Some(tls) => Some(tls::compile::listener(name, tls, protocols(settings), loader, report)?),
        };
        Some(Self {
            bind: bind.ok()?,
            trusted_proxies: trusted_proxies.ok()?,
            proxy_protocol: proxy_protocol.ok()?,
            http1: settings.http1,
            http2: settings.http2,
            limits: settings.limits.clone(),
            tls,
        })
    }
}

/// In the order in which they are preferred (RFC 7301 §3.2).
fn protocols(settings: &snapshot::Listener) -> Vec<Vec<u8>> {
    let offered = [(settings.http2.enabled, tls::HTTP2), (settings.http1, tls::HTTP1)];
    offered.into_iter().filter(|(spoken, _)| *spoken).map(|(_, name)| name.to_vec()).collect()
}

impl Program {
    /// Compiled, and the steps between versions tried with the examples of their descriptions.
    pub fn compile_and_try(snapshot: &Snapshot, shared: &Shared) -> Result<Program, Vec<String>> {
        let program = Arc::new(Self::compile(snapshot, shared)?);
        let findings = api::examples::check(&program, snapshot);
        // Nobody else holds it any more.
        let program = Arc::into_inner(program).filter(|_| findings.errors.is_empty());
        let mut program = program.ok_or(findings.errors)?;
        program.warnings.extend(findings.warnings);
        Ok(program)
    }

    /// All errors, not only the first. Nothing in `shared` that another program uses is changed. With refusals it is there
    /// to be looked at: listeners and clusters may be missing from it.
    pub fn compile(snapshot: &Snapshot, shared: &Shared) -> Result<Program, Vec<String>> {
        let mut report = Report::default();
        let mut loader = Loader::new(shared.loaded.lock().clone());
        let mut listeners = BTreeMap::new();
        for (name, settings) in &snapshot.listeners {
            let listener = Listener::compile(name, settings, &mut loader, &mut report);
            listeners.extend(listener.map(|listener| (name.clone(), listener)));
        }
        let mut clusters = HashMap::new();
        for (name, settings) in &snapshot.clusters {
            if let Some(cluster) = Cluster::compile(name, settings, shared, &mut loader, &mut report) {
                clusters.insert(Arc::from(name.as_str()), cluster);
            }
        }
        credentials::check(snapshot, &mut report.errors);
        let context = policy::Context::new(snapshot, shared, &mut report);
        let apis = api::Context { snapshot, clusters: &clusters, metrics: &shared.metrics };
        let apis = api::compile(&apis, &mut report);
        let mut routes = Vec::with_capacity(snapshot.routes.len());
        for (id, settings) in &snapshot.routes {
            routes.extend(compile_route(id, settings, &clusters, &apis, &context, snapshot, &mut report));
        }
        let unrouted = Policies::compile("requests that match no route", &snapshot.unrouted, &context, &mut report);
        let routes = RouteTable::new(routes);
        overlap::examine(&routes, &mut report);
        match unrouted {
            Some(unrouted) if report.errors.is_empty() => {
                let Report { warnings, faults, refusals, .. } = report;
                let loaded = Arc::new(loader.now);
                let (plans, issuers) = (context.plans, context.issuers);
                Ok(Program {
                    routes,
                    unrouted,
                    clusters,
                    plans,
                    issuers,
                    apis,
                    listeners,
                    warnings,
                    faults,
                    refusals,
                    loaded,
                })
            }
            _ => Err([report.errors, report.faults, report.refusals].concat()),
        }
    }
}

fn compile_route(
    id: &str,
    settings: &snapshot::Route,
    clusters: &HashMap<Arc<str>, Arc<Cluster>>,
    apis: &Apis,
    context: &policy::Context<'_>,
    snapshot: &Snapshot,
    report: &mut Report,
) -> Option<Arc<Route>> {
    let place = format!("route '{id}'");
    let id: Arc<str> = id.into();
    // Each part is compiled even where another is wrong, so that all errors are told.
    let policies = Policies::compile(&place, &settings.policies, context, report);
    let api = settings.api.as_ref();
    if let Some(api) = api.filter(|api| !snapshot.apis.contains_key(&api.api)) {
        report.error(format!("{place}: api: there is no api '{}'", api.api));
    }
    let matcher = Matcher::compile(&id, &settings.matches, api.and_then(|api| apis.get(api.api.as_str())), report)?;
    let version = api.map(|api| Version::compile(&place, api, &matcher, apis, report));
    let target_context =
        target::Context { route: &id, path: &matcher.path, clusters, snapshot, shared: context.shared };
    let target = Target::compile(&settings.target, &target_context, report);
    let (mut policies, target) = (policies?, target?);
    let mut exchanges = target.exchanges_tokens();
    if let Some(version) = version {
        let version = version?;
        if !matches!(target, Target::Cluster(_)) && version.clusters().next().is_some() {
            report.error(format!("{place}: target: a version of its API leads to a cluster, and this is none"));
            return None;
        }
        exchanges |= version.clusters().any(|cluster| cluster.exchanges_tokens());
        policies.join(version);
    }
    if policies.upgrade.as_ref().is_some_and(|upgrade| !target.can_switch(upgrade)) {
        policies.upgrade = None;
        report.warning(format!(
            "{place}: upgrade: it has no effect where the target is not a cluster, and over HTTP/2 for WebSocket alone"
        ));
    }
    let belongs = policies
        .translate
        .as_mut()
        .map(|policy| policy.belongs_to(&target, policies.version.as_deref(), context.shared));
    if let Some(Err(message)) = belongs {
        report.error(format!("{place}: translate: {message}"));
        return None;
    }
    if let Some(graphql) = &mut policies.graphql {
        graphql.belongs_to(&id, &context.shared.metrics);
    }
    let opens = policies.translate.as_ref().is_some_and(|policy| policy.opens_websockets());
    if opens && policies.upgrade.as_ref().is_some_and(|policy| policy.allows_websocket()) {
        report.error(format!("{place}: upgrade: here translate.events opens WebSockets itself; put it off"));
        return None;
    }
    if let Some(cache) = &mut policies.cache {
        let api = settings.api.as_ref().and_then(|api| snapshot.apis.get(&api.api));
        cache.belongs_to(&id, settings, api, exchanges);
        if cache.shares_consumers() && matches!(target, Target::Aggregate(_)) {
            report.error(format!("{place}: cache: share_consumers: an aggregate may be made of who asks"));
            return None;
        }
        if matches!(target, Target::Workflow(_) | Target::Execution(_) | Target::Events) {
            policies.cache = None;
            report.warning(format!("{place}: cache: it has no effect where the target is a workflow"));
        }
    }
    Some(Arc::new(Route {
        priority: settings.priority,
        hosts: matcher.hosts,
        path: matcher.path,
        version: matcher.version,
        bare: matcher.bare,
        methods: matcher.methods,
        conditions: matcher.conditions,
        policies,
        target,
        metrics: context.shared.metrics.route(&id),
        id,
    }))
}
