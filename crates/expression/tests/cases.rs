//! Every case of `cases/*.txt`: blocks of `program`, `input` (default null), `variable NAME`, `now`, and the `output` or a part
//! of the `error`, one a line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use stagedoor_expression::{json, Expression, Value};

#[derive(Default)]
struct Case {
    program: String,
    input: Option<String>,
    variables: Vec<(String, String)>,
    now: Option<f64>,
    output: Option<String>,
    error: Option<String>,
}

fn value(text: &str) -> Value {
    json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn read(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for block in text.split("\n\n") {
        let mut case = Case::default();
        for line in block.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (key, rest) = line.split_once(": ").unwrap_or_else(|| panic!("not a line of a case: {line}"));
            match key.split_once(' ') {
                Some(("variable", name)) => case.variables.push((name.to_owned(), rest.to_owned())),
                _ => match key {
                    "program" => case.program = rest.to_owned(),
                    "input" => case.input = Some(rest.to_owned()),
                    "now" => case.now = Some(rest.parse().expect("a number")),
                    "output" => case.output = Some(rest.to_owned()),
                    "error" => case.error = Some(rest.to_owned()),
                    other => panic!("'{other}' is not a key of a case"),
                },
            }
        }
        if !case.program.is_empty() {
            cases.push(case);
        }
    }
    cases
}

/// `@@N@TEXT@@` stands for N times the text.
fn spell(program: &str) -> String {
    let mut spelled = String::new();
    let mut rest = program;
    while let Some((before, after)) = rest.split_once("@@") {
        let (times, after) = after.split_once('@').expect("a count");
        let (text, after) = after.split_once("@@").expect("an end");
        spelled.push_str(before);
        spelled.push_str(&text.repeat(times.parse().expect("a count")));
        rest = after;
    }
    spelled + rest
}

fn run(case: &Case) -> Result<String, String> {
    let names: Vec<&str> = case.variables.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<Value> = case.variables.iter().map(|(_, text)| value(text)).collect();
    let expression = Expression::compile(&spell(&case.program), &names).map_err(|error| error.to_string())?;
    let input = value(case.input.as_deref().unwrap_or("null"));
    let output = expression.evaluate(&input, &values, case.now).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(json::write(&output)).expect("JSON is UTF-8"))
}

#[test]
fn every_case_gives_what_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let (mut count, mut wrong) = (0, Vec::new());
    let mut files: Vec<_> = folder.read_dir().expect("cases").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    for file in files {
        for case in read(&std::fs::read_to_string(&file).expect("a file")) {
            count += 1;
            let outcome = run(&case);
            let right = match (&outcome, &case.output, &case.error) {
                (Ok(output), Some(expected), None) => output == expected,
                (Err(error), None, Some(part)) => error.contains(part.as_str()),
                _ => false,
            };
            if !right {
                let expected = case.output.or(case.error).unwrap_or_default();
                wrong.push(format!(
                    "{}: {}\n  expected {expected}\n  got      {outcome:?}",
                    file.display(),
                    case.program
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 150, "only {count} cases were found");
}
