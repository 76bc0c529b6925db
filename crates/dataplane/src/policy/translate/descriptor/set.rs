//! Files of descriptors as the compiler of Protocol Buffers writes them (`protoc --descriptor_set_out`, `buf build`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use prost_reflect::{DescriptorPool, ServiceDescriptor};

use super::builtin;
use crate::protocol::protobuf::{Field, Fields, Malformed};

/// Of one file with descriptors, and of all that a service says of itself.
pub const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Descriptors of files by their names, each as it came.
pub type Files = BTreeMap<String, Vec<u8>>;

pub(super) fn load(path: &str) -> Result<(DescriptorPool, Vec<ServiceDescriptor>), String> {
    let unreadable = |error: std::io::Error| format!("descriptors.file: it cannot be read: {error}");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("descriptors.file: it is larger than {MOST_BYTES} bytes"));
    }
    read(&bytes).map_err(|wrong| format!("descriptors.file: {wrong}"))
}

pub(super) fn read(bytes: &[u8]) -> Result<(DescriptorPool, Vec<ServiceDescriptor>), String> {
    let files = split(bytes).map_err(|Malformed| "it is no FileDescriptorSet".to_owned())?;
    if files.is_empty() {
        return Err("it has no descriptors".to_owned());
    }
    let pool = assemble(&files)?;
    let of_the_file = |service: &ServiceDescriptor| files.contains_key(service.parent_file().name());
    let services = pool.services().filter(of_the_file).collect();
    Ok((pool, services))
}

fn split(set: &[u8]) -> Result<Files, Malformed> {
    let mut files = Files::new();
    for field in Fields::of(set) {
        if let (1, Field::Bytes(file)) = field? {
            files.insert(name(file)?, file.to_vec());
        }
    }
    Ok(files)
}

/// Of a `FileDescriptorProto`.
pub(super) fn name(file: &[u8]) -> Result<String, Malformed> {
    for field in Fields::of(file) {
        if let (1, field) = field? {
            return field.text().map(str::to_owned);
        }
    }
    Err(Malformed)
}

/// Names of the files that a `FileDescriptorProto` imports.
pub(super) fn imports(file: &[u8]) -> Vec<&str> {
    let fields = Fields::of(file).filter_map(Result::ok);
    fields.filter(|(number, _)| *number == 3).filter_map(|(_, field)| field.text().ok()).collect()
}

/// A pool of all of them, and of what the gateway knows by itself where that is not among them.
pub fn assemble(files: &Files) -> Result<DescriptorPool, String> {
    let mut pool = DescriptorPool::global();
    let mut waiting: Vec<&str> = files.keys().map(String::as_str).collect();
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut fault = None;
        waiting.retain(|name| match add(name, files, &mut pool) {
            Ok(added) => !added,
            Err(wrong) => {
                fault.get_or_insert(wrong);
                true
            }
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        if waiting.len() == before {
            return Err(missing(&waiting, files, &pool));
        }
    }
    builtin::complete(&mut pool);
    Ok(pool)
}

/// False: something that it imports is not there yet.
fn add(name: &str, files: &Files, pool: &mut DescriptorPool) -> Result<bool, String> {
    let Some(file) = files.get(name) else { return Ok(true) };
    for import in imports(file) {
        if pool.get_file_by_name(import).is_some() {
            continue;
        }
        if files.contains_key(import) || !builtin::add(import, pool) {
            return Ok(false);
        }
    }
    pool.decode_file_descriptor_proto(&**file).map_err(|error| format!("'{name}': {error}"))?;
    Ok(true)
}

fn missing(waiting: &[&str], files: &Files, pool: &DescriptorPool) -> String {
    for name in waiting {
        let imports = files.get(*name).map(|file| imports(file)).unwrap_or_default();
        let lost =
            imports.iter().find(|import| !files.contains_key(**import) && pool.get_file_by_name(import).is_none());
        if let Some(lost) = lost {
            return format!("'{name}' imports '{lost}', which is not in it: protoc includes it with --include_imports");
        }
    }
    "files import each other in a circle".to_owned()
}
