//! What people are told about a request and about the table, as `cases/explain` has it. With `STAGEDOOR_ACCEPT=1` the
//! cases are written anew from what the program says, to be read before they are committed.

use serde_json::Value;
use stagedoor_dataplane::explain::{explain, routes};
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::shared::Shared;

#[test]
fn an_explanation_names_the_route_the_reasons_the_policies_and_the_target() {
    holds("shop");
}

#[test]
fn it_tells_what_each_policy_decides_and_why_and_whom_it_would_ask() {
    holds("decisions");
}

#[test]
fn it_tells_the_version_of_a_request_and_why_it_is_of_that() {
    holds("versions");
}

fn holds(name: &str) {
    let path = format!("{}/tests/cases/explain/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let case: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("a case")).expect("JSON");
    let snapshot = serde_json::from_value(case["snapshot"].clone()).expect("a snapshot");
    let program = Program::compile(&snapshot, &Shared::new(1)).expect("a program");
    let mut told = case.clone();
    told["routes"] = routes(&program);
    let client = "192.0.2.7".parse().expect("an address");
    for ask in told["asks"].as_array_mut().expect("asks") {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let headers = ask["headers"].as_array().expect("headers").iter();
        let headers: Vec<_> = headers.map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
        ask["expected"] = explain(&program, &text(&ask["method"]), &text(&ask["url"]), &headers, client);
    }
    if std::env::var_os("STAGEDOOR_ACCEPT").is_some() {
        std::fs::write(path, serde_json::to_string_pretty(&told).expect("JSON") + "\n").expect("written");
        return;
    }
    assert_eq!(told["routes"], case["routes"]);
    let asks = |case: &Value| case["asks"].as_array().expect("asks").clone();
    for (told, expected) in asks(&told).iter().zip(asks(&case)) {
        assert_eq!(told, &expected);
        assert!(!told["expected"].to_string().contains("top-secret"));
    }
}
