//! Documents that came lately, so that each is parsed and measured once and not at every request.

use std::fmt::Write;
use std::sync::Arc;

use aws_lc_rs::digest::{digest, SHA256};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::known::Known;

/// Of what a policy remembers, estimated.
pub const BYTES: usize = 16 << 20;
/// One that takes more than this share of it is forgotten at once.
const SHARE: usize = 16;

pub type Name = [u8; 32];

/// By the SHA-256 of the whole text: nobody can make another with the same one. Belongs to one Program, since what passes
/// depends on its bounds.
#[derive(Default)]
pub struct Remembered(Mutex<Generations>);

/// Two halves: what is not asked for while the younger one fills up is forgotten.
#[derive(Default)]
struct Generations {
    young: FxHashMap<Name, Arc<Known>>,
    old: FxHashMap<Name, Arc<Known>>,
    bytes: usize,
}

pub fn name(text: &str) -> Name {
    let mut name = [0; 32];
    name.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    name
}

/// In hexadecimal, as clients write it.
pub fn written(name: &Name) -> String {
    name.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub fn read(text: &str) -> Option<Name> {
    let mut name = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in name.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(name)
}

impl Remembered {
    pub fn find(&self, name: &Name) -> Option<Arc<Known>> {
        let mut generations = self.0.lock();
        if let Some(known) = generations.young.get(name) {
            return Some(known.clone());
        }
        let known = generations.old.remove(name)?;
        generations.keep(*name, known.clone());
        Some(known)
    }

    pub fn keep(&self, name: Name, known: Arc<Known>) {
        if known.bytes() <= BYTES / SHARE {
            self.0.lock().keep(name, known);
        }
    }
}

impl Generations {
    fn keep(&mut self, name: Name, known: Arc<Known>) {
        if self.bytes + known.bytes() > BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += known.bytes();
        self.young.insert(name, known);
    }
}
