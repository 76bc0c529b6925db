//! Descriptors from the service itself (`grpc.reflection.v1`, or `v1alpha` of servers that are older).

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use prost_reflect::ServiceDescriptor;

use super::set::{assemble, imports, name, Files, MOST_BYTES};
use super::Descriptors;
use crate::cluster::credentials::Caller;
use crate::cluster::{call, Cluster, SendOptions, SendReport};
use crate::protocol::body::Body;
use crate::protocol::grpc;
use crate::protocol::protobuf::{Field, Fields, Malformed, Message};
use crate::worker::Worker;

/// In the order in which they are tried.
const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// Descriptors of one service.
pub const MOST_FILES: usize = 2000;
/// Questions about what is still missing.
const ROUNDS: usize = 32;
/// Of its own, which nobody wants to call through a gateway.
const OWN: [&str; 2] = ["grpc.reflection.", "grpc.health."];

const UNIMPLEMENTED: u16 = 12;

enum Question<'a> {
    Services,
    Symbol(&'a str),
    File(&'a str),
}

enum Failure {
    /// Of the service: this version is not spoken.
    Unimplemented,
    Other(String),
}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Self::Other("its answer is malformed".to_owned())
    }
}

/// What the service says of these services, or of all that it names. Errors are for the log.
pub(super) async fn look(
    worker: &Rc<Worker>,
    cluster: &Arc<Cluster>,
    services: &[String],
    deadline: Instant,
) -> Result<(Files, Descriptors), String> {
    let mut failure = String::new();
    for path in PATHS {
        let looking = Looking { worker, cluster, path, deadline };
        match looking.files(services).await {
            Ok((files, names)) => {
                let pool = assemble(&files)?;
                let found: Vec<ServiceDescriptor> =
                    names.iter().filter_map(|name| pool.get_service_by_name(name)).collect();
                let descriptors = Descriptors::new(pool, found, services).map_err(|wrong| wrong.join("; "))?;
                return Ok((files, descriptors));
            }
            Err(Failure::Unimplemented) => failure = "it has no reflection".to_owned(),
            Err(Failure::Other(why)) => return Err(why),
        }
    }
    Err(failure)
}

struct Looking<'a> {
    worker: &'a Rc<Worker>,
    cluster: &'a Arc<Cluster>,
    path: &'static str,
    deadline: Instant,
}

impl Looking<'_> {
    async fn files(&self, services: &[String]) -> Result<(Files, Vec<String>), Failure> {
        let names = match services {
            [] => self.services().await?,
            _ => services.to_vec(),
        };
        let mut files = Files::new();
        let mut bytes = 0;
        let questions = names.iter().map(|name| Question::Symbol(name)).collect::<Vec<_>>();
        let mut answers = self.ask(&questions).await?;
        for _ in 0..ROUNDS {
            for file in std::mem::take(&mut answers) {
                bytes += file.len() as u64;
                files.insert(name(&file)?, file.to_vec());
            }
            if files.len() > MOST_FILES || bytes > MOST_BYTES {
                return Err(Failure::Other("it has more descriptors than are taken".to_owned()));
            }
            let known = |import: &&str| files.contains_key(*import) || super::builtin::source(import).is_some();
            let missing: BTreeSet<&str> =
                files.values().flat_map(|file| imports(file)).filter(|import| !known(import)).collect();
            let missing: Vec<Question<'_>> =
                missing.into_iter().filter(|import| !is_standard(import)).map(Question::File).collect();
            if missing.is_empty() {
                return Ok((files, names));
            }
            answers = self.ask(&missing).await?;
        }
        Err(Failure::Other("its files import each other too deeply".to_owned()))
    }

    async fn services(&self) -> Result<Vec<String>, Failure> {
        let answer = self.exchange(&[Question::Services]).await?;
        let mut names = Vec::new();
        for response in &answer {
            for field in Fields::of(response) {
                let (6, list) = field? else { continue };
                for service in Fields::of(list.bytes()?) {
                    let (1, service) = service? else { continue };
                    for field in Fields::of(service.bytes()?) {
                        if let (1, name) = field? {
                            names.push(name.text()?.to_owned());
                        }
                    }
                }
            }
        }
        names.retain(|name| !OWN.iter().any(|own| name.starts_with(own)));
        Ok(names)
    }

    /// Descriptors of files.
    async fn ask(&self, questions: &[Question<'_>]) -> Result<Vec<Bytes>, Failure> {
        let mut files = Vec::new();
        for response in self.exchange(questions).await? {
            for field in Fields::of(&response) {
                match field? {
                    (4, Field::Bytes(found)) => {
                        for file in Fields::of(found) {
                            if let (1, Field::Bytes(file)) = file? {
                                files.push(response.slice_ref(file));
                            }
                        }
                    }
                    (7, Field::Bytes(error)) => return Err(Failure::Other(refusal(error)?)),
                    _ => {}
                }
            }
        }
        Ok(files)
    }

    /// All questions at once; the answers come in the same order.
    async fn exchange(&self, questions: &[Question<'_>]) -> Result<Vec<Bytes>, Failure> {
        let mut body = BytesMut::new();
        for question in questions {
            let message = match question {
                // Text that is empty is not left out here: it is the question.
                Question::Services => Message::default().message(7, Message::default()),
                Question::Symbol(name) => Message::default().text(4, name),
                Question::File(name) => Message::default().text(3, name),
            };
            let message = message.into_bytes();
            body.put_u8(0);
            body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
            body.extend_from_slice(&message);
        }
        let mut request = Request::new(Body::full(body.freeze()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from(PathAndQuery::from_static(self.path));
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(grpc::TIMEOUT, HeaderValue::from_static("0n"));
        grpc::welcome_trailers(headers);
        grpc::pass_timeout(headers, self.deadline);
        self.cluster.name_host(headers);
        let mut report = SendReport::default();
        let options = SendOptions {
            deadline: self.deadline,
            stream: None,
            is_call: false,
            idempotent: true,
            interim: None,
            grant: None,
            source: None,
            report: &mut report,
        };
        let told = |error: crate::error::Error| Failure::Other(error.to_string());
        let answer = self.cluster.send_for(self.worker, request, options, Caller::of(None)).await.map_err(told)?;
        let (head, body) = answer.into_parts();
        let (body, trailers) = call::collect(body, MOST_BYTES as usize).await.map_err(told)?;
        status(&head.headers, &trailers)?;
        messages(&body)
    }
}

fn is_standard(file: &str) -> bool {
    file.starts_with("google/protobuf/")
}

fn status(head: &HeaderMap, trailers: &HeaderMap) -> Result<(), Failure> {
    match crate::policy::translate::grpc::status::Status::of(trailers)
        .or_else(|| crate::policy::translate::grpc::status::Status::of(head))
    {
        Some(status) if status.is_ok() => Ok(()),
        Some(status) if status.code == UNIMPLEMENTED => Err(Failure::Unimplemented),
        Some(status) => Err(Failure::Other(format!("it ended with {}", status.name()))),
        None => Err(Failure::Other("its answer is not gRPC".to_owned())),
    }
}

fn messages(body: &Bytes) -> Result<Vec<Bytes>, Failure> {
    let mut frames = crate::policy::translate::grpc::frame::Frames::new(MOST_BYTES as usize, false);
    frames.push(body.clone());
    let mut found = Vec::new();
    while let Some(message) = frames.message().map_err(|_| Failure::from(Malformed))? {
        found.push(message);
    }
    match frames.is_between() {
        true => Ok(found),
        false => Err(Malformed.into()),
    }
}

fn refusal(error: &[u8]) -> Result<String, Malformed> {
    let mut message = "it does not know what it named".to_owned();
    for field in Fields::of(error) {
        if let (2, field) = field? {
            message = field.text()?.chars().take(200).collect();
        }
    }
    Ok(message)
}
