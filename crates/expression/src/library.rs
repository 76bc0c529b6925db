//! The filters that expressions may call: jq's own, without those that read the environment, files, clock or inputs, and
//! with a guard before those whose work cannot be counted from outside.

use std::collections::HashSet;
use std::sync::LazyLock;

use jaq_core::load::parse::{BinaryOp, Def, Term};
use jaq_core::native::Fun;
use jaq_core::{data, DataT, Lut};

use crate::meter;
use crate::native;
use crate::value::Value;

/// What jq has and expressions have not, and why.
const ABSENT: &[(&str, &str)] = &[
    ("env", ENVIRONMENT),
    ("$ENV", ENVIRONMENT),
    ("input", INPUTS),
    ("inputs", INPUTS),
    ("input_filename", INPUTS),
    ("input_line_number", INPUTS),
    ("debug", OUTPUT),
    ("stderr", OUTPUT),
    ("debug_empty", OUTPUT),
    ("stderr_empty", OUTPUT),
    ("halt", "an expression cannot end the program"),
    ("halt_error", "an expression cannot end the program"),
    ("localtime", ZONE),
    ("strflocaltime", ZONE),
];
const ENVIRONMENT: &str = "an expression cannot read the environment";
const INPUTS: &str = "an expression has one input, which is .";
const OUTPUT: &str = "an expression cannot write messages";
const ZONE: &str = "an expression does not know the machine's time zone; gmtime and strftime are in UTC";

/// Why a filter or variable of jq is not there.
pub(crate) fn why_absent(name: &str) -> Option<&'static str> {
    ABSENT.iter().find(|(absent, _)| *absent == name).map(|(_, why)| *why)
}

/// The data of one evaluation.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) lut: &'a Lut<Data>,
    pub(crate) now: Option<f64>,
}

pub(crate) struct Data;

impl DataT for Data {
    type V<'a> = Value;
    type Data<'a> = Run<'a>;
}

impl<'a> data::HasLut<'a, Data> for Run<'a> {
    /// jq's interpreter asks for this at every step that it makes, so steps are counted here.
    fn lut(&self) -> &'a Lut<Data> {
        meter::step();
        self.lut
    }
}

/// Natives of the library that run only behind a guard: name, the hidden name, the guard, the arguments.
const GUARDED: &[(&str, &str, &str, &[&str])] = &[
    ("matches", "!matches", "!guard_regex", &["$re", "$flags"]),
    ("split_matches", "!split_matches", "!guard_regex", &["$re", "$flags"]),
    ("split_", "!split_", "!guard_regex", &["$re", "$flags"]),
    ("strptime", "!strptime", "!guard_time", &["$format"]),
];

/// `def NAME(ARGS): GUARD(ARGS) | HIDDEN(ARGS);`, with names that no source can spell.
fn guarded() -> impl Iterator<Item = Def<&'static str>> {
    GUARDED.iter().map(|(name, hidden, guard, args)| {
        let call = |name: &'static str| Box::new(Term::Call(name, args.iter().map(|arg| Term::Var(*arg)).collect()));
        let body = Term::BinOp(call(guard), BinaryOp::Pipe(None), call(hidden));
        Def { name: *name, args: args.to_vec(), body }
    })
}

struct Definition {
    def: Def<&'static str>,
    /// Every word in its body: at least the names of what it calls.
    words: Vec<String>,
}

static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let own = jaq_core::load::parse(include_str!("definitions.jq"), |parser| parser.defs()).unwrap_or_default();
    let all = guarded().chain(jaq_core::defs()).chain(jaq_std::defs()).chain(jaq_json::defs()).chain(own);
    let present = all.filter(|def| why_absent(def.name).is_none());
    present
        .map(|def| Definition { words: words(&format!("{:?}", def.body)).map(str::to_owned).collect(), def })
        .collect()
});

/// Identifiers and formats, wherever they stand.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_' || char == '@'))
        .filter(|word| !word.is_empty())
}

/// Those that the source may need, in the library's order. Most expressions need few, and compile faster and smaller.
pub(crate) fn definitions(source: &str) -> Vec<Def<&'static str>> {
    let mut wanted: HashSet<&str> = words(source).collect();
    let mut needed = Vec::new();
    // A definition calls only earlier ones and itself.
    for definition in DEFINITIONS.iter().rev() {
        if wanted.contains(definition.def.name) {
            wanted.extend(definition.words.iter().map(String::as_str));
            needed.push(definition.def.clone());
        }
    }
    needed.reverse();
    needed
}

pub(crate) fn natives() -> impl Iterator<Item = Fun<Data>> {
    let all = jaq_core::funs::<Data>().chain(jaq_std::funs::<Data>());
    let present = all.filter(|(name, ..)| why_absent(name).is_none() && *name != "now");
    let hidden = present.map(|(name, args, native)| {
        let hidden = GUARDED.iter().find(|(guarded, ..)| *guarded == name).map_or(name, |(_, hidden, ..)| hidden);
        (hidden, args, native)
    });
    hidden.chain(native::natives())
}
