//! The filters that expressions may call: jq's own, without those that read the environment, files, clock or inputs.

use std::sync::LazyLock;

use jaq_core::load::parse::Def;
use jaq_core::native::{bome, v, Fun};
use jaq_core::{data, DataT, Error, Lut, Native};
use jaq_json::Val;

use crate::meter;

/// What jq has and expressions have not.
const ABSENT_NATIVE: &[&str] = &["env", "now", "halt", "debug_empty", "stderr_empty", "localtime", "strflocaltime"];
const ABSENT_DEFINITION: &[&str] = &["debug", "stderr", "halt", "halt_error"];

/// The data of one evaluation.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) lut: &'a Lut<Data>,
    pub(crate) now: Option<f64>,
}

pub(crate) struct Data;

impl DataT for Data {
    type V<'a> = Val;
    type Data<'a> = Run<'a>;
}

impl<'a> data::HasLut<'a, Data> for Run<'a> {
    /// jq's interpreter asks for this at every step that it makes, so steps are counted here.
    fn lut(&self) -> &'a Lut<Data> {
        meter::step();
        self.lut
    }
}

static DEFINITIONS: LazyLock<Vec<Def<&'static str>>> = LazyLock::new(|| {
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    all.filter(|def| !ABSENT_DEFINITION.contains(&def.name)).collect()
});

pub(crate) fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    DEFINITIONS.iter().cloned()
}

pub(crate) fn natives() -> impl Iterator<Item = Fun<Data>> {
    let all = jaq_core::funs::<Data>().chain(jaq_std::funs::<Data>()).chain(jaq_json::funs::<Data>());
    let now: Fun<Data> = (
        "now",
        v(0),
        Native::new(|cv| {
            let absent = || Error::str("there is no clock in this expression: now is not available here");
            bome(cv.0.data().now.map(Val::from).ok_or_else(absent))
        }),
    );
    all.filter(|(name, ..)| !ABSENT_NATIVE.contains(name)).chain([now])
}
