//! `.proto` files compiled here, without the compiler of Protocol Buffers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use miette::Diagnostic as _;
use prost_reflect::{DescriptorPool, ServiceDescriptor};
use protox::file::{File, FileResolver, GoogleFileResolver};
use protox::{Compiler, Error};

use super::builtin;
use crate::snapshot::ProtoSources;

/// Of one file.
pub const SOURCE_BYTES: u64 = 4 * 1024 * 1024;

/// Names are looked for in the import paths in their order, and then among what the gateway knows by itself.
struct Resolver {
    paths: Vec<PathBuf>,
    google: GoogleFileResolver,
}

impl FileResolver for Resolver {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        let leaves = name.split('/').any(|step| matches!(step, "" | "." | "..")) || name.contains('\\');
        let mut paths = self.paths.iter().map(|path| path.join(name));
        if let Some(path) = paths.find(|path| !leaves && path.is_file()) {
            if path.metadata().is_ok_and(|metadata| metadata.len() > SOURCE_BYTES) {
                return Err(Error::new(format!("'{name}' is larger than {SOURCE_BYTES} bytes")));
            }
            return File::open(name, &path);
        }
        match builtin::source(name) {
            Some(source) => File::from_source(name, source),
            None => self.google.open_file(name),
        }
    }
}

pub(super) fn compile(settings: &ProtoSources) -> Result<(DescriptorPool, Vec<ServiceDescriptor>), String> {
    let paths = settings.import_paths.iter().map(PathBuf::from).collect();
    let mut compiler = Compiler::with_file_resolver(Resolver { paths, google: GoogleFileResolver::new() });
    compiler.include_imports(true);
    for file in &settings.files {
        compiler.open_file(file).map_err(|error| format!("descriptors.proto: '{file}': {}", told(&error)))?;
    }
    let offers = |service: &ServiceDescriptor| settings.files.iter().any(|file| file == service.parent_file().name());
    Ok(compiled(&compiler, offers))
}

fn compiled(
    compiler: &Compiler,
    offers: impl Fn(&ServiceDescriptor) -> bool,
) -> (DescriptorPool, Vec<ServiceDescriptor>) {
    let mut pool = compiler.descriptor_pool();
    let names = pool.services().filter(offers).map(|service| service.full_name().to_owned()).collect::<Vec<_>>();
    builtin::complete(&mut pool);
    let services = names.iter().filter_map(|name| pool.get_service_by_name(name)).collect();
    (pool, services)
}

/// Sources at hand, by their names.
struct Texts {
    texts: BTreeMap<String, String>,
    google: GoogleFileResolver,
}

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        match self.texts.get(name).map(String::as_str).or_else(|| builtin::source(name)) {
            Some(source) => File::from_source(name, source),
            None => self.google.open_file(name),
        }
    }
}

pub(super) fn compile_texts(
    texts: &BTreeMap<String, String>,
    main: &str,
) -> Result<(DescriptorPool, Vec<ServiceDescriptor>), String> {
    let resolver = Texts { texts: texts.clone(), google: GoogleFileResolver::new() };
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file(main).map_err(|error| told(&error))?;
    Ok(compiled(&compiler, |service: &ServiceDescriptor| service.parent_file().name() == main))
}

/// With its file, line and column, where it has them.
fn told(error: &Error) -> String {
    let label = error.labels().and_then(|mut labels| labels.next());
    let place = label.zip(error.source_code()).and_then(|(label, source)| {
        source
            .read_span(label.inner(), 0, 0)
            .ok()
            .map(|text| format!("line {}, column {}: ", text.line() + 1, text.column() + 1))
    });
    let file = error.file().map(|file| format!("in '{file}': ")).unwrap_or_default();
    let hint = match error.to_string().contains("found 'edition'") {
        true => "; editions are not read, \"proto2\" and \"proto3\" are",
        false => "",
    };
    format!("{file}{}{error}{hint}", place.unwrap_or_default())
}
