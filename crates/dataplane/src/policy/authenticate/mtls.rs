//! The client certificate that the listener has verified, as a consumer's; and the same for endpoints (RFC 9440).

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use rustc_hash::FxHashMap;
use serde_json::{json, Value};
use sfv::{ItemSerializer, ListSerializer, RefBareItem};

use super::{Consumer, Refusal, Verdict};
use crate::exchange::Exchange;
use crate::policy::{Context, RequestHead};
use crate::program::Report;
use crate::shared::Shared;
use crate::snapshot::{self, CertificateField, ForwardedCertificate};
use crate::transport::tls::ClientCertificate;

const CERTIFICATE: HeaderName = HeaderName::from_static("client-cert");
const CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

pub struct Mtls {
    by: Vec<CertificateField>,
    forward: Option<ForwardedCertificate>,
    certificates: Arc<Certificates>,
}

/// The consumers of the configuration, or of the registry, by what their certificates say.
#[derive(Default)]
pub struct Certificates(FxHashMap<(CertificateField, Box<str>), Arc<Consumer>>);

impl Certificates {
    /// Those of the configuration.
    pub fn new(consumers: &BTreeMap<String, snapshot::Consumer>, report: &mut Report) -> Self {
        let mut certificates = Self::default();
        for (name, settings) in consumers.iter().filter(|(_, settings)| !settings.certificates.is_empty()) {
            let facts = settings.facts(&settings.scopes, "mtls");
            let consumer = Arc::new(Consumer::proved(name, &facts, None));
            for (index, certificate) in settings.certificates.iter().enumerate() {
                match certificates.add(consumer.clone(), certificate) {
                    Some(other) if other.name == consumer.name => {
                        report.error(format!("consumer '{name}': certificates[{index}] is given twice"));
                    }
                    Some(other) => report.error(format!(
                        "consumers '{}' and '{name}' have the same certificate: certificates[{index}]",
                        other.name
                    )),
                    None => {}
                }
            }
        }
        certificates
    }

    /// Whose it was: a field that two have is a mistake, since it would be a matter of chance who calls.
    pub fn add(&mut self, consumer: Arc<Consumer>, certificate: &snapshot::Certificate) -> Option<Arc<Consumer>> {
        self.0.insert((certificate.field, certificate.value.as_str().into()), consumer)
    }

    fn find(&self, field: CertificateField, value: &str) -> Option<&Arc<Consumer>> {
        self.0.get(&(field, value.into()))
    }
}

impl Mtls {
    pub fn new(settings: &snapshot::Mtls, context: &Context<'_>) -> Result<Self, Vec<String>> {
        if settings.by.is_empty() {
            return Err(vec!["mtls: by: it names nothing of a certificate, so nobody would be known".to_owned()]);
        }
        Ok(Self { by: settings.by.clone(), forward: settings.forward, certificates: context.certificates.clone() })
    }

    pub fn describe(&self) -> Value {
        let by: Vec<&str> = self.by.iter().map(|field| field.name()).collect();
        json!({"mtls": {"by": by}})
    }

    pub fn recognise(&self, exchange: &Exchange, shared: &Shared) -> Verdict {
        let Some(certificate) = &exchange.certificate else { return Verdict::Absent };
        let registry = shared.registry.load();
        let said =
            self.by.iter().flat_map(|field| values(certificate, *field).into_iter().map(|value| (*field, value)));
        let find =
            |(field, value)| self.certificates.find(field, value).or_else(|| registry.certificates.find(field, value));
        let found: Vec<&Arc<Consumer>> = said.filter_map(find).collect();
        let Some(first) = found.first() else { return refused("it is of no consumer") };
        if found.iter().any(|other| other.name != first.name) {
            return refused("it is of several consumers");
        }
        // What it says may be several credentials of that consumer, of which one has ended: any that is good will do.
        let mut verdict = Verdict::of(first, exchange);
        for other in &found[1..] {
            if let Verdict::Known(_) = verdict {
                break;
            }
            verdict = Verdict::of(other, exchange);
        }
        verdict
    }

    /// The certificate itself is no secret; a client's own fields of these names are gone since the head was received.
    pub fn forward(&self, exchange: &Exchange, head: &mut RequestHead) {
        let (Some(forward), Some(certificate)) = (self.forward, &exchange.certificate) else { return };
        head.headers.insert(CERTIFICATE, sequence(&certificate.der));
        if forward == ForwardedCertificate::Chain && !certificate.issuers.is_empty() {
            head.headers.insert(CHAIN, list(&certificate.issuers));
        }
    }
}

/// What a certificate says in one of its fields.
fn values(certificate: &ClientCertificate, field: CertificateField) -> Vec<&str> {
    let named = |kind: &str| -> Vec<&str> {
        certificate.names.iter().filter_map(|name| name.strip_prefix(kind)?.strip_prefix(':')).collect()
    };
    match field {
        CertificateField::Subject => vec![certificate.subject.as_str()],
        CertificateField::Dns => named("DNS"),
        CertificateField::Uri => named("URI"),
        CertificateField::Email => named("email"),
        CertificateField::Ip => named("IP"),
        CertificateField::Sha256 => vec![certificate.sha256.as_str()],
        // An X.509-SVID has exactly one URI (X509-SVID §2).
        CertificateField::Spiffe => match named("URI").as_slice() {
            [one] if one.starts_with("spiffe://") => vec![*one],
            _ => Vec::new(),
        },
    }
}

/// RFC 9440 §2.2: a byte sequence of RFC 9651.
fn sequence(der: &[u8]) -> HeaderValue {
    HeaderValue::try_from(ItemSerializer::new().bare_item(RefBareItem::ByteSequence(der)).finish())
        .unwrap_or(HeaderValue::from_static("::"))
}

/// RFC 9440 §2.3.
fn list(certificates: &[Box<[u8]>]) -> HeaderValue {
    let mut list = ListSerializer::new();
    for der in certificates {
        let _parameters = list.bare_item(RefBareItem::ByteSequence(der));
    }
    list.finish().and_then(|text| HeaderValue::try_from(text).ok()).unwrap_or(HeaderValue::from_static("::"))
}

fn refused(wrong: &str) -> Verdict {
    Verdict::Refused(Refusal {
        cause: Some(format!("mtls: the certificate: {wrong}")),
        ..Refusal::new("The client certificate is not known")
    })
}
