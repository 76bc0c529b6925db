//! Who answers a request: the cases of `cases/routing`, each a route table and what is asked of it.
//!
//! `route ID METHODS HOSTS PATH [header:N[=V]] [query:N[=V]] [priority=N] [cors]`, `-` is any;
//! `ask METHOD HOST TARGET [header:N=V] -> ROUTE [PARAM=VALUE...] | 404 | 405 ALLOW`; `error TEXT`; `warning TEXT`.

use serde_json::{json, Map, Value};
use stagedoor_dataplane::program::Program;
use stagedoor_dataplane::route::Found;
use stagedoor_dataplane::shared::Shared;

struct Case<'a> {
    name: &'a str,
    routes: Map<String, Value>,
    asks: Vec<(&'a str, &'a str)>,
    errors: Vec<&'a str>,
    warnings: Vec<&'a str>,
}

fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (kind, rest) = line.split_once(' ').expect("a kind and the rest");
        if kind == "case" {
            let (routes, asks, errors, warnings) = Default::default();
            cases.push(Case { name: rest, routes, asks, errors, warnings });
            continue;
        }
        let case = cases.last_mut().expect("a case first");
        match kind {
            "route" => {
                let (id, rest) = rest.split_once(' ').expect("an id and the rest");
                assert!(case.routes.insert(id.to_owned(), route(rest)).is_none(), "{id} comes twice");
            }
            "ask" => case.asks.push(rest.split_once(" -> ").expect("an answer")),
            "error" => case.errors.push(rest),
            "warning" => case.warnings.push(rest),
            _ => panic!("{line}"),
        }
    }
    cases
}

fn list(text: &str) -> Vec<&str> {
    text.split(',').filter(|item| *item != "-").collect()
}

fn route(text: &str) -> Value {
    let words: Vec<&str> = text.split(' ').collect();
    let (mut headers, mut query, mut priority) = (Map::new(), Map::new(), 0);
    let mut policies = json!({});
    for word in &words[3..] {
        if *word == "cors" {
            policies["cors"] = json!({"origins": ["*"], "methods": [], "headers": [], "expose": [], "credentials": false, "max_age_s": 0});
        } else if let Some(number) = word.strip_prefix("priority=") {
            priority = number.parse().expect("a number");
        } else {
            let (kind, condition) = word.split_once(':').expect("a condition");
            let (name, value) = match condition.split_once('=') {
                Some((name, value)) => (name, json!({"exact": value})),
                None => (condition, json!("present")),
            };
            let conditions = if kind == "header" { &mut headers } else { &mut query };
            conditions.insert(name.to_owned(), value);
        }
    }
    json!({
        "match": {"methods": list(words[0]), "hosts": list(words[1]), "path": words[2], "headers": headers, "query": query},
        "priority": priority,
        "policies": policies,
        "target": {"response": {"status": 200, "headers": {}, "body": ""}},
    })
}

fn answer(program: &Program, ask: &str) -> String {
    let words: Vec<&str> = ask.split(' ').collect();
    let mut request = http::Request::builder().method(words[0]).uri(words[2]);
    for word in &words[3..] {
        let (name, value) = word.strip_prefix("header:").and_then(|pair| pair.split_once('=')).expect("a header");
        request = request.header(name, value);
    }
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let path = words[2].split('?').next().unwrap_or_default();
    match program.routes.find(words[1], path, &head) {
        Found::Route { route, params } => {
            let params = params.iter(route.path.names(), path).map(|(name, value)| format!(" {name}={value}"));
            format!("{}{}", route.id, params.collect::<String>())
        }
        Found::MethodNotAllowed { allow } => format!("405 {}", allow.to_str().expect("text")),
        Found::NotFound => "404".to_owned(),
    }
}

/// `Allow` is a set.
fn sorted(answer: &str) -> String {
    let Some(allow) = answer.strip_prefix("405 ") else { return answer.to_owned() };
    let mut methods: Vec<&str> = allow.split(", ").collect();
    methods.sort_unstable();
    format!("405 {}", methods.join(", "))
}

#[test]
fn every_request_is_answered_by_the_route_that_the_case_names() {
    for text in [
        include_str!("cases/routing/precedence.txt"),
        include_str!("cases/routing/methods.txt"),
        include_str!("cases/routing/overlap.txt"),
    ] {
        for case in cases(text) {
            let snapshot = json!({
                "workers": 1, "listeners": {}, "consumers": {}, "clusters": {}, "routes": case.routes,
            });
            let snapshot = serde_json::from_value(snapshot).expect("a snapshot");
            match Program::compile(&snapshot, &Shared::new(1)) {
                Err(errors) => assert_eq!(errors, case.errors, "{}", case.name),
                Ok(program) => {
                    assert!(case.errors.is_empty(), "{}: no errors", case.name);
                    assert_eq!(program.warnings, case.warnings, "{}", case.name);
                    for (ask, expected) in case.asks {
                        assert_eq!(sorted(&answer(&program, ask)), sorted(expected), "{}: {ask}", case.name);
                    }
                }
            }
        }
    }
}
