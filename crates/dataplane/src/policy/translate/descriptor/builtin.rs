//! What the gateway knows without being told: annotations of HTTP, content of any kind, and the details of errors. The
//! declarations are those that are published, less what the gateway has no use for.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;
use protox::file::{File, FileResolver, GoogleFileResolver};
use protox::{Compiler, Error};

const SOURCES: [(&str, &str); 9] = [
    ("google/api/http.proto", include_str!("builtin/http.proto")),
    ("google/api/annotations.proto", include_str!("builtin/annotations.proto")),
    ("google/api/httpbody.proto", include_str!("builtin/httpbody.proto")),
    ("google/api/client.proto", include_str!("builtin/client.proto")),
    ("google/api/field_behavior.proto", include_str!("builtin/field_behavior.proto")),
    ("google/api/resource.proto", include_str!("builtin/resource.proto")),
    ("google/rpc/code.proto", include_str!("builtin/code.proto")),
    ("google/rpc/status.proto", include_str!("builtin/status.proto")),
    ("google/rpc/error_details.proto", include_str!("builtin/error_details.proto")),
];

struct Resolver(GoogleFileResolver);

impl FileResolver for Resolver {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        match source(name) {
            Some(source) => File::from_source(name, source),
            None => self.0.open_file(name),
        }
    }
}

/// Descriptors of them all, in an order in which none comes before what it imports.
static FILES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let mut compiler = Compiler::with_file_resolver(Resolver(GoogleFileResolver::new()));
    compiler.include_imports(true);
    for (name, _) in SOURCES {
        // That all of them compile is what a test is for.
        let _compiled = compiler.open_file(name);
    }
    compiler.descriptor_pool().files().map(|file| (file.name().to_owned(), file.encode_to_vec())).collect()
});

pub(super) fn source(name: &str) -> Option<&'static str> {
    SOURCES.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}

/// Adds the file of this name, and what it imports. False: it is not known here.
pub(super) fn add(name: &str, pool: &mut DescriptorPool) -> bool {
    let Some((_, file)) = FILES.iter().find(|(known, _)| known == name) else { return false };
    let imports = super::set::imports(file);
    let imported = imports.iter().all(|import| pool.get_file_by_name(import).is_some() || add(import, pool));
    imported && pool.decode_file_descriptor_proto(&**file).is_ok()
}

/// Adds what is not there. What is declared elsewhere under the same name stays as it is.
pub fn complete(pool: &mut DescriptorPool) {
    for (name, _) in &*FILES {
        if pool.get_file_by_name(name).is_none() {
            let _added = add(name, pool);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_compile() {
        let mut pool = DescriptorPool::new();
        complete(&mut pool);
        for (name, _) in SOURCES {
            assert!(pool.get_file_by_name(name).is_some(), "{name}");
        }
        assert!(pool.get_extension_by_name("google.api.http").is_some());
        assert!(pool.get_message_by_name("google.rpc.BadRequest.FieldViolation").is_some());
    }
}
