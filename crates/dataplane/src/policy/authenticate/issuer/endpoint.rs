//! Where the services of an issuer are (RFC 8414 §2), and through which cluster they are called.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method};
use rustc_hash::FxHashMap;

use crate::cluster::call::{self, Call, Outcome};
use crate::snapshot;
use crate::worker::Worker;

/// By their names in the metadata, without `_endpoint`.
#[derive(Default)]
pub struct Endpoints(FxHashMap<String, Arc<Endpoint>>);

#[derive(Debug)]
pub struct Endpoint {
    /// None: only browsers go there.
    pub cluster: Option<String>,
    pub url: String,
    authority: HeaderValue,
    path: String,
}

impl Endpoints {
    pub fn new(settings: &BTreeMap<String, snapshot::IssuerEndpoint>) -> Result<Self, String> {
        let endpoints = settings.iter().map(|(name, settings)| {
            let endpoint = Endpoint::new(settings).map_err(|wrong| format!("endpoints: {name}: {wrong}"))?;
            Ok((name.clone(), Arc::new(endpoint)))
        });
        endpoints.collect::<Result<_, String>>().map(Self)
    }

    pub fn get(&self, name: &str) -> Option<Arc<Endpoint>> {
        self.0.get(name).cloned()
    }
}

impl Endpoint {
    pub fn new(settings: &snapshot::IssuerEndpoint) -> Result<Self, &'static str> {
        let authority = HeaderValue::from_str(&settings.authority).map_err(|_| "its host is not valid")?;
        let snapshot::IssuerEndpoint { cluster, url, path, .. } = settings.clone();
        Ok(Self { cluster, url, authority, path })
    }

    /// Posts a form (RFC 6749 §4.1.3 and its like). `authorization` is the client's own credential.
    pub async fn post(
        &self,
        form: String,
        authorization: Option<HeaderValue>,
        timeout: Duration,
        deadline: Instant,
        worker: &Rc<Worker>,
    ) -> Outcome {
        let name = self.cluster.clone().unwrap_or_default();
        let mut headers = HeaderMap::from_iter([
            (HOST, self.authority.clone()),
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]);
        headers.extend(authorization.map(|value| (http::header::AUTHORIZATION, value)));
        let cluster = worker.program().clusters.get(name.as_str()).cloned();
        let call = Call {
            id: 0,
            cluster: name,
            method: Method::POST,
            path: self.path.clone(),
            headers,
            body: Bytes::from(form),
            idempotent: false,
            timeout: timeout.min(deadline.saturating_duration_since(Instant::now())),
        };
        call::run(call, cluster, &worker.pools).await
    }
}
