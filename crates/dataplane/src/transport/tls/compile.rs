//! Settings → what handshakes use. A file that cannot be used is a fault: it is named, and everything else goes on with
//! what there is.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::certificate::{Certificate, Validity};
use super::client::{Client, Trust};
use super::file::{Authorities, Loader, Outcome, Wrong};
use super::server::{Asked, Clients, Server};
use crate::program::Report;
use crate::snapshot::{CertificateFiles, ClusterTls, ListenerTls};

const KEPT: &str = "what it held before stays in use";

/// None, and a refusal in `report`, where it cannot be served.
pub fn listener(
    name: &str,
    settings: &ListenerTls,
    protocols: Vec<Vec<u8>>,
    loader: &mut Loader,
    report: &mut Report,
) -> Option<Arc<Server>> {
    let place = format!("listener '{name}': tls");
    let certificates: Vec<_> = settings
        .certificates
        .iter()
        .enumerate()
        .filter_map(|(index, files)| {
            certificate(&format!("{place}.certificates[{index}]"), "chain", files, loader, report)
        })
        .collect();
    if certificates.is_empty() {
        report.refusals.push(format!("{place}: there is no certificate that can be used"));
        return None;
    }
    let clients = match &settings.clients {
        None => None,
        Some(clients) => {
            let authorities = authorities(&format!("{place}.client"), &clients.ca, loader, report)?;
            Some(Clients { authorities, required: clients.required })
        }
    };
    let handshake = Duration::from_millis(settings.handshake_ms);
    let asked = Asked { min_version: settings.min_version, clients, protocols, handshake };
    let before = loader.before.servers.get(name);
    let server = Server::new(&certificates, &asked, before.map(|server| &**server));
    let server = server.map_err(|error| report.error(format!("{place}: {error}"))).ok().map(Arc::new)?;
    loader.now.servers.insert(name.to_owned(), server.clone());
    Some(server)
}

/// None, and a refusal in `report`, where nothing may be sent.
pub fn cluster(name: &str, settings: &ClusterTls, loader: &mut Loader, report: &mut Report) -> Option<Arc<Client>> {
    let place = format!("cluster '{name}': tls");
    let trust = match &settings.ca {
        _ if !settings.verify => {
            report.warning(format!(
                "{place}: verify: endpoints are not verified: whoever is in between reads and changes all"
            ));
            Some(Trust::Anybody)
        }
        None => Some(Trust::System),
        Some(ca) => authorities(&place, ca, loader, report).map(Trust::Authorities),
    };
    let shown = match &settings.certificate {
        None => None,
        Some(files) => Some(upstream_certificate(&place, files, loader, report)?),
    };
    match Client::new(&trust?, shown.as_deref(), |identity| loader.before.clients.get(&identity).cloned()) {
        Ok(client) => {
            loader.now.clients.insert(client.identity, client.clone());
            Some(client)
        }
        Err(wrong) => {
            report.refusals.push(format!("{place}: {wrong}"));
            None
        }
    }
}

fn upstream_certificate(
    place: &str,
    files: &CertificateFiles,
    loader: &mut Loader,
    report: &mut Report,
) -> Option<Arc<Certificate>> {
    let certificate = certificate(place, "cert", files, loader, report);
    if certificate.is_none() {
        report.refusals.push(format!("{place}: the certificate to be shown cannot be used"));
    }
    certificate
}

/// `chain`: what the setting of the certificate's file is called here.
fn certificate(
    place: &str,
    chain: &str,
    files: &CertificateFiles,
    loader: &mut Loader,
    report: &mut Report,
) -> Option<Arc<Certificate>> {
    let found = found(place, chain, loader.certificate(files), report)?;
    match found.validity(SystemTime::now()) {
        Validity::Valid => {}
        Validity::NotYet => report.warning(format!("{place}: {chain}: '{}' is not valid yet", files.chain)),
        Validity::Expired => report.warning(format!("{place}: {chain}: '{}' has expired", files.chain)),
    }
    Some(found)
}

fn authorities(place: &str, path: &str, loader: &mut Loader, report: &mut Report) -> Option<Arc<Authorities>> {
    let found = found(place, "ca", loader.authorities(path), report);
    if found.is_none() {
        report.refusals.push(format!("{place}: without its authorities nobody can be verified"));
    }
    found
}

fn found<T>(place: &str, chain: &str, outcome: Outcome<T>, report: &mut Report) -> Option<Arc<T>> {
    let told = |wrong: &Wrong| {
        let setting = if wrong.setting == "chain" { chain } else { wrong.setting };
        format!("{place}: {setting}: '{}' {}", wrong.path, wrong.reason)
    };
    match outcome {
        Outcome::Fresh(found) => Some(found),
        Outcome::Kept(found, wrong) => {
            report.faults.push(format!("{}; {KEPT}", told(&wrong)));
            Some(found)
        }
        Outcome::Missing(wrong) => {
            report.faults.push(told(&wrong));
            None
        }
    }
}
