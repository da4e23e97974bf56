//! Filters that somebody wrote to break things: each ends soon, with an error or an answer.

use super::*;
use std::time::{Duration, Instant};

/// Far more than any of them takes, in a build without optimizations too.
const SOON: Duration = Duration::from_secs(20);

/// Judges a filter, if it is taken, by a body; says what became of it.
fn meet(filter: &str, body: &[u8]) -> Result<bool, String> {
    let begun = Instant::now();
    let filter = Filter::new(filter).map_err(|unfit| format!("refused: {}", unfit.reason))?;
    let scene = Scene::new(event(body), filter.roots());
    let found = filter.is_true(&scene, &Allowance::new(body.len()));
    assert!(begun.elapsed() < SOON);
    found
}

fn event(body: &[u8]) -> Event<'_> {
    Event {
        id: [0x70; 16],
        source_id: [7; 16],
        event_type: "a",
        content_type: "",
        provider_id: None,
        headers: &[],
        body: Some(body),
    }
}

fn is_over(found: &Result<bool, String>) -> bool {
    found.as_ref().is_err_and(|why| why.contains("more steps"))
}

/// A list of so many numbers.
fn numbers(count: usize) -> Vec<u8> {
    let all: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    format!("{{\"l\":[{}]}}", all.join(",")).into_bytes()
}

#[test]
fn loops_within_loops_run_out_of_steps() {
    let body = numbers(1_000);
    let mut filter = "x == -1".to_owned();
    for _ in 0..4 {
        filter = format!("payload.l.exists(x, {filter})");
    }
    assert!(is_over(&meet(&filter, &body)));
    let sum = "payload.l.map(x, payload.l.map(y, payload.l)).size() == 0";
    assert!(is_over(&meet(sum, &body)));
    // An error is no way out of a loop that is over its budget.
    let hidden = format!("({filter}) || true");
    assert!(is_over(&meet(&hidden, &body)));
    assert!(is_over(&meet(&format!("payload.l.exists(z, ({filter}) || true)"), &body)));
}

#[test]
fn a_macro_of_macros_does_not_grow_with_each() {
    let mut filter = "[1]".to_owned();
    for _ in 0..100 {
        filter = format!("[{filter}].map(x, x)");
    }
    assert!(meet(&format!("size({filter}) == 1"), b"{}").is_err_and(|why| why.contains("deep")));
    let mut chain = "[1]".to_owned();
    for _ in 0..200 {
        chain.push_str(".map(x, [x, x])");
    }
    assert!(meet(&format!("size({chain}) == 1"), b"{}").is_err());
}

#[test]
fn what_doubles_again_and_again_runs_out_of_steps() {
    let mut filter = "payload.s".to_owned();
    for _ in 0..40 {
        filter = format!("[{filter}].map(s, s + s)[0]");
    }
    let body = format!("{{\"s\":\"{}\"}}", "x".repeat(1_000));
    let found = meet(&format!("{filter} == ''"), body.as_bytes());
    assert!(found.is_err(), "{found:?}");
    let many = "a".repeat(60_000);
    let body = format!("{{\"s\":\"{many}\"}}");
    let found = meet("payload.s.replace('a', payload.s) == ''", body.as_bytes());
    assert!(is_over(&found), "{found:?}");
    assert!(is_over(&meet("payload.s.replace('', payload.s) == ''", body.as_bytes())));
    let list = "[0,1,2,3,4,5,6,7,8,9].map(x, payload.s.split('')).map(x, x + x + x + x) == []";
    assert!(is_over(&meet(list, body.as_bytes())));
}

#[test]
fn nothing_that_is_written_overflows_the_stack() {
    let most = MAX_BYTES;
    let deep = |open: &str, inner: &str, close: &str| {
        let count = (most - inner.len() - 8) / (open.len() + close.len());
        format!("{}{inner}{} == 1", open.repeat(count), close.repeat(count))
    };
    for filter in [
        deep("[", "1", "]"),
        deep("{1:", "1", "}"),
        deep("-!", "1", ""),
        deep("!-", "payload", ""),
        deep("1+", "1", ""),
        deep("1+(", "1", ")"),
        deep("true?1:", "1", ""),
        deep("'?'+(", "1", ")"),
        deep("size(", "1", ")"),
        deep("payload", ".a", ""),
        deep("", "payload", ".a"),
        deep("", "payload", "[0]"),
        deep("", "payload", ".size()"),
        deep("payload[", "0", "]"),
        deep("has(", "payload.a", ")"),
        deep("true&&", "true", ""),
        deep("[1].all(x,", "true", ")"),
        deep("a{b:", "1", "}"),
        deep("\"\\", "1", ""),
        deep("'''", "1", "'"),
        "a.".repeat(2_000),
        "((((".repeat(1_000),
        "]".repeat(4_000),
        "?".repeat(4_000),
        "1?1:".repeat(1_000),
        "\"".repeat(4_001),
        "é?".repeat(1_000),
        "\u{202e}payload == 1".to_owned(),
        "'\u{1f600}' == payload.\u{1f600}".to_owned(),
        "// only a comment".to_owned(),
        "\0".to_owned(),
    ] {
        let found = meet(&filter, b"{}");
        assert_ne!(found, Ok(true), "{filter:.40}");
    }
    assert_eq!(meet(&deep("(", "1", ")"), b"{}"), Ok(true));
    // What is balanced may be long.
    let many = vec!["payload.a == 1"; 200].join(" || ");
    assert_eq!(meet(&many, br#"{"a":1}"#), Ok(true));
}

#[test]
fn deep_payloads_are_compared_and_refused() {
    let nested = |depth: usize| [&b"["[..]; 127][..depth].concat();
    let closed = |depth: usize| [nested(depth), [&b"]"[..]; 127][..depth].concat()].concat();
    let both = |one: &[u8], other: &[u8]| {
        [&b"{\"a\":"[..], one, &b",\"b\":"[..], other, &b"}"[..]].concat()
    };
    assert_eq!(meet("payload.a == payload.b", &both(&closed(120), &closed(120))), Ok(true));
    assert_eq!(meet("payload.a == payload.b", &both(&closed(120), &closed(119))), Ok(false));
}

#[test]
fn regular_expressions_are_matched_in_linear_time() {
    let body = format!("{{\"s\":\"{}b\",\"re\":\"(a+)+$\"}}", "a".repeat(30_000));
    assert_eq!(meet("payload.s.matches('(a+)+$')", body.as_bytes()), Ok(false));
    assert_eq!(meet("payload.s.matches('(a|a)*$') || true", body.as_bytes()), Ok(true));
    // The event's own pattern is dearer.
    assert!(meet("payload.s.matches(payload.re)", body.as_bytes()).is_ok_and(|found| !found));
    for pattern in ["(a{100}){100}", "\\\\p{L}{250}", "((((((((((a*)*)*)*)*)*)*)*)*)*){200}", "("] {
        let body = format!("{{\"s\":\"aaa\",\"re\":\"{pattern}\"}}");
        assert!(meet("payload.s.matches(payload.re)", body.as_bytes()).is_err(), "{pattern}");
    }
    let long = format!("{{\"s\":\"a\",\"re\":\"{}\"}}", "a".repeat(257));
    assert!(meet("payload.s.matches(payload.re)", long.as_bytes()).is_err());
    let words: Vec<_> = (0..1_000).map(|number| format!("\"[a-z]{{1,9}}{number}\"")).collect();
    let many = format!("{{\"l\":[{}]}}", words.join(","));
    assert!(is_over(&meet("payload.l.exists(x, 'abc'.matches(x))", many.as_bytes())));
    let greedy: Vec<_> =
        (0..40).map(|number| format!("payload.s.matches('[01]*1[01]{{30}}{number}$')")).collect();
    let greedy = greedy.join("||");
    assert!(meet(&greedy, b"{}").is_err_and(|why| why.contains("refused")));
}

#[test]
fn large_bodies_are_looked_at_where_they_stand() {
    let item = r#"{"sku":"abc-123","n":17,"tags":["a","b"],"note":"some words that nobody reads"}"#;
    let items = vec![item; 60_000].join(",");
    let body = format!("{{\"type\":\"bulk\",\"items\":[{items}],\"last\":true}}").into_bytes();
    assert!(body.len() > 4 << 20);
    assert_eq!(meet("payload.type == 'bulk' && payload.last", &body), Ok(true));
    assert_eq!(meet("payload.items[59999].n == 17", &body), Ok(true));
    assert_eq!(meet("size(payload.items) == 60000", &body), Ok(true));
    assert_eq!(meet("payload.items.exists(x, x.n == 17)", &body), Ok(true));
    let twice = "payload.items.all(x, payload.items.all(y, y.n == x.n))";
    assert!(is_over(&meet(twice, &body)));
}

#[test]
fn one_event_has_so_many_steps_for_all_filters() {
    let body = numbers(2_000);
    let loops = "payload.l.exists(x, payload.l.exists(y, x + y == -1))";
    let subscriptions: Vec<_> = (0..200_u8)
        .map(|number| Subscription {
            id: [number; 16],
            filter: Some(format!("{loops} || payload.l[0] == {number}")),
            ..Subscription::default()
        })
        .chain([Subscription::default()])
        .collect();
    let begun = Instant::now();
    let found = Matcher::new(&subscriptions).matching(event(&body));
    assert!(begun.elapsed() < SOON);
    assert_eq!(found.wanted, [(200, None)]);
    assert_eq!(found.errors.len(), 200);
    assert!(found.errors[0].1.contains("more steps than a filter"));
    assert!(found.errors[199].1.contains("the filters before it"));
}

#[test]
fn numbers_at_their_ends_are_errors_or_right() {
    for (filter, expected) in [
        ("-9223372036854775808 / -1 == 0", None),
        ("-9223372036854775808 % -1 == 0", None),
        ("9223372036854775807 * 2 == 0", None),
        ("18446744073709551615u + 1u == 0u", None),
        ("0u - 1u == 0u", None),
        ("-(-9223372036854775807 - 1) == 0", None),
        ("uint(-1) == 0u", None),
        ("int(18446744073709551615u) == 0", None),
        ("int(9223372036854775808.0) == 0", None),
        ("payload.n[9223372036854775807] == 0", None),
        ("duration('1000000h') + duration('99999999h') == duration('0')", None),
        ("'abc'.substring(9223372036854775807) == ''", None),
        ("'abc'.substring(2, 1) == ''", None),
        ("1.0 / 0.0 > 1e308", Some(true)),
        ("0.0 / 0.0 == 0.0 / 0.0", Some(false)),
        ("payload.huge > 1e308", Some(true)),
        ("payload.whole > 18446744073709551615u", Some(true)),
        ("payload.n[0] < 1 && payload.n[-0] == 1.5e-7", Some(true)),
    ] {
        let body = br#"{"n":[1.5e-7],"huge":1e999,"whole":99999999999999999999999}"#;
        let found = meet(filter, body);
        assert_eq!(found.clone().ok(), expected, "{filter}: {found:?}");
    }
    assert!(meet("1e999 > 1.0", b"").is_err_and(|why| why.contains("refused")));
    assert!(meet("9223372036854775808 > 1", b"").is_err_and(|why| why.contains("refused")));
}
