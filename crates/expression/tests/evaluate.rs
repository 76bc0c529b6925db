//! One expression on many threads, the long beside the short.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::thread;

use stagedoor_expression::{json, Expression, Kind, Template, Value};

#[test]
fn threads_share_expressions_and_a_long_evaluation_harms_no_other() {
    let double = Arc::new(Expression::compile("[.[] | . * 2] | add", &[]).expect("valid"));
    let endless = Arc::new(Expression::compile("last(repeat(1))", &[]).expect("valid"));
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let (double, endless) = (double.clone(), endless.clone());
            thread::spawn(move || {
                if number == 0 {
                    let error = endless.evaluate(&Value::Null, &[], None).expect_err("it has no end");
                    assert_eq!(error.kind, Kind::Bound);
                }
                for round in 0..200isize {
                    let input = Value::array((0..10).map(|_| Value::from(round))).expect("small");
                    assert_eq!(double.evaluate(&input, &[], None).expect("a sum").as_integer(), Some(round * 20));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no failure"));
}

#[test]
fn an_evaluation_that_needs_more_is_left_to_another_thread() {
    let small = Expression::compile(".a", &[]).expect("valid");
    assert!(small.try_first(&Value::Null, &[], None).is_some());
    let large = Expression::compile("last(range(100000))", &[]).expect("valid");
    assert!(large.try_first(&Value::Null, &[], None).is_none());
    assert_eq!(large.evaluate(&Value::Null, &[], None).expect("a number").as_integer(), Some(99999));
}

#[test]
fn a_template_is_a_value_as_a_whole_and_text_otherwise() {
    let input = json::parse(br#"{"id":7,"name":"a}b","list":[1],"none":null}"#).expect("JSON");
    for (text, expected) in [
        ("plain", r#""plain""#),
        ("${ .list }", "[1]"),
        ("  ${.id}  ", "7"),
        ("/orders/${ .id }", r#""/orders/7""#),
        ("${ .id }-${ .name }", r#""7-a}b""#),
        ("${ {a: .id} }", r#"{"a":7}"#),
        (r#"${ "}\("{")" }"#, r#""}{""#),
        ("[${ .none }]", r#""[]""#),
        ("x ${ .list }", r#""x [1]""#),
        ("$${ .id }", r#""${ .id }""#),
        ("a $${b} ${ .id }", r#""a ${b} 7""#),
        ("$ {x}", r#""$ {x}""#),
        ("${ .id # a comment with }\n}", "7"),
    ] {
        let template = Template::parse(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"));
        let output = template.evaluate(&input, &[], None).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(String::from_utf8(json::write(&output)).expect("UTF-8"), expected, "{text}");
    }
}

#[test]
fn a_wrong_template_says_where() {
    for (text, column) in [("abc ${ .a", 5), ("ab ${ foo }", 7), ("ä ${ .a + }", 11)] {
        let error = Template::parse(text, &[]).err().unwrap_or_else(|| panic!("{text} is valid"));
        assert_eq!(error.column, Some(column), "{text}: {error}");
    }
}
