use super::{Changed, Failure, Kind, Limits, Outcome, Request, check, run, serve};
use std::time::Duration;

const LIMITS: Limits =
    Limits { cpu: Duration::from_millis(200), memory: 8 * 1024 * 1024, output: 64 * 1024 };
const EVENT: &[u8] = br#"{"id":"evt_1","headers":{"x-kind":"a","x-other":"b"}}"#;

fn over(source: &str, body: &[u8]) -> Outcome {
    run(&Request { source, event: EVENT, body }, &LIMITS)
}

fn returns(expression: &str) -> Outcome {
    over(&format!("function transform(event) {{ return {expression}; }}"), br#"{"a":1}"#)
}

fn failure(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failure) => failure,
        other => Failure::new(Kind::Invalid, format!("{other:?} is no failure")),
    }
}

fn changed(outcome: Outcome) -> Changed {
    match outcome {
        Outcome::Changed(changed) => changed,
        other => Changed { content_type: Some(format!("{other:?}")), ..Changed::default() },
    }
}

fn body(outcome: Outcome) -> String {
    let changed = changed(outcome);
    changed.body.map_or_else(
        || changed.content_type.unwrap_or_default(),
        |body| String::from_utf8_lossy(&body).into_owned(),
    )
}

#[test]
fn what_is_returned_is_what_is_sent() {
    assert_eq!(
        body(returns("{payload: {b: event.payload.a + 1, id: event.id}}")),
        r#"{"b":2,"id":"evt_1"}"#
    );
    assert_eq!(body(returns("{payload: 'plain'}")), "plain");
    assert_eq!(body(returns("{payload: null}")), "null");
    assert_eq!(
        body(returns("{payload: [NaN, Infinity, undefined, () => 1]}")),
        "[null,null,null,null]"
    );
    assert_eq!(changed(returns("{}")), Changed::default());
    let own = changed(returns("{headers: {'X-A': 'b'}, content_type: 'text/csv', payload: 'a;b'}"));
    assert_eq!(own.content_type.as_deref(), Some("text/csv"));
    assert_eq!(own.headers, [("X-A".to_owned(), "b".to_owned())]);
    assert!(!own.is_json);
    assert!(changed(returns("{payload: 1}")).is_json);
}

#[test]
fn nothing_is_sent_where_nothing_is_returned() {
    for nothing in ["null", "undefined", "false", ""] {
        assert_eq!(returns(nothing), Outcome::Dropped, "{nothing}");
    }
}

#[test]
fn the_event_itself_may_be_returned() {
    let script = "function transform(event) {
        event.payload.b = 2;
        event.headers['x-kind'] = 'c';
        event.headers['x-new'] = 'd';
        return event;
    }";
    let changed = changed(over(script, br#"{"a":1}"#));
    assert_eq!(changed.body.as_deref(), Some(&br#"{"a":1,"b":2}"#[..]));
    let expected = [("x-kind", "c"), ("x-new", "d")];
    assert_eq!(changed.headers, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

#[test]
fn headers_that_are_named_are_sent_though_the_event_has_them() {
    let changed = changed(returns("{headers: {'x-kind': event.headers['x-kind']}}"));
    assert_eq!(changed.headers, [("x-kind".to_owned(), "a".to_owned())]);
}

#[test]
fn a_body_that_is_no_json_is_a_text() {
    let script = "function transform(event) { return {payload: typeof event.payload + event.payload.length}; }";
    for (given, expected) in [
        (&b"a=b&c=d"[..], "string7"),
        (b"", "string0"),
        (b"{\"a\":", "string5"),
        (b"\xff\xfe", "string2"),
        (b"\"a\0b\"", "string5"),
        (b"[1,2]", "object2"),
    ] {
        assert_eq!(body(over(script, given)), expected);
    }
}

#[test]
fn halves_of_surrogate_pairs_are_replaced_or_escaped() {
    assert_eq!(body(returns("{payload: 'a\\ud800b'}")), "a\u{fffd}b");
    assert_eq!(body(returns("{payload: ['\\ud800']}")), "[\"\\ud800\"]");
    let own = changed(returns("{headers: {'x\\udc00': 'y\\ud800'}}"));
    assert_eq!(own.headers, [("x\u{fffd}".to_owned(), "y\u{fffd}".to_owned())]);
}

#[test]
fn a_throw_says_what_and_where() {
    let script = "function transform(event) {\n  const x = event.payload;\n  return x.b.c;\n}";
    let failure = failure(over(script, b"{}"));
    assert_eq!((failure.kind, failure.line), (Kind::Threw, 3));
    assert!(failure.message.starts_with("TypeError: "), "{}", failure.message);
    for (thrown, expected) in [
        ("throw 'mine'", "It threw mine"),
        ("throw 7", "It threw 7"),
        ("throw {toString() { throw 1; }}", "It threw something of type object."),
        ("throw new RangeError('far')", "RangeError: far"),
        ("throw undefined", "It threw undefined"),
    ] {
        let script = format!("function transform() {{ {thrown}; }}");
        let failure = super::tests::failure(over(&script, b"{}"));
        assert_eq!((failure.kind, failure.message.as_str()), (Kind::Threw, expected));
    }
}

#[test]
fn what_cannot_be_sent_is_invalid() {
    for expression in [
        "1",
        "'text'",
        "true",
        "[1]",
        "() => 1",
        "Promise.resolve({})",
        "(async () => 1)()",
        "{payload: () => 1}",
        "{payload: Symbol()}",
        "{payload: 1n}",
        "{payload: {a: 1n}}",
        "(() => { const a = {}; a.a = a; return {payload: a}; })()",
        "{payload: {toJSON() { throw new Error('no'); }}}",
        "{content_type: 5}",
        "{headers: 5}",
        "{headers: ['a']}",
        "{headers: {a: 5}}",
        "{headers: {a: null}}",
    ] {
        assert_eq!(failure(returns(expression)).kind, Kind::Invalid, "{expression}");
    }
}

#[test]
fn a_getter_that_throws_is_the_scripts_throw() {
    let failure = failure(returns("{get payload() { throw new Error('got'); }}"));
    assert_eq!((failure.kind, failure.message.as_str()), (Kind::Threw, "Error: got"));
}

#[test]
fn too_much_is_too_large() {
    assert_eq!(failure(returns("{payload: 'x'.repeat(65537)}")).kind, Kind::TooLarge);
    assert_eq!(body(returns("{payload: 'x'.repeat(65536)}")).len(), 65536);
    assert_eq!(failure(returns("{payload: Array(30000).fill(1.5)}")).kind, Kind::TooLarge);
}

#[test]
fn what_never_ends_is_ended() {
    for work in [
        "while (true);",
        "for (;;) try { for (;;); } catch (e) {} finally { for (;;); }",
        "/^(a+)+$/.test('a'.repeat(40) + 'b');",
        "(function f() { try { f(); } finally { f(); } })();",
        "[...Array(1e9).keys()].sort();",
        "JSON.stringify({toJSON() { for (;;); }});",
    ] {
        let script = format!("function transform() {{ {work} }}");
        let kind = failure(over(&script, b"{}")).kind;
        assert!(matches!(kind, Kind::Timeout | Kind::Memory), "{work}: {kind:?}");
    }
    assert_eq!(failure(over("while (true);", b"{}")).kind, Kind::Timeout);
    let getter = failure(returns("{get headers() { while (true); }}"));
    assert_eq!(getter.kind, Kind::Timeout);
}

#[test]
fn an_allocation_without_end_is_memory() {
    for work in [
        "const a = []; for (;;) a.push({});",
        "let s = 'x'; for (;;) s += s + Math.random();",
        "const a = []; for (;;) a.push('x'.repeat(100000) + a.length);",
        "let o = {}; for (let i = 0;; i++) o['k' + i] = i;",
    ] {
        let script = format!("function transform() {{ {work} }}");
        let failed = failure(over(&script, b"{}"));
        let is_string_limit = failed.message.contains("string");
        assert!(failed.kind == Kind::Memory || is_string_limit, "{work}: {failed:?}");
    }
}

#[test]
fn deep_recursion_is_a_throw() {
    for work in ["transform()", "JSON.parse('['.repeat(1e6))"] {
        let failed = failure(over(&format!("function transform() {{ return {work}; }}"), b"{}"));
        assert_eq!(failed.kind, Kind::Threw, "{work}: {failed:?}");
    }
    let deep =
        "(() => { let a = {}; for (let i = 0; i < 1e4; i++) a = {a}; return {payload: a}; })()";
    assert_eq!(failure(returns(deep)).kind, Kind::Invalid);
    let bomb = "[".repeat(500_000);
    assert_eq!(
        body(over(
            "function transform(e) { return {payload: typeof e.payload}; }",
            bomb.as_bytes()
        )),
        "string"
    );
}

#[test]
fn nothing_is_left_for_the_next_run() {
    let script = "
        var seen = globalThis.left; globalThis.left = 1;
        Object.prototype.evil = 'x'; Array.prototype.map = null; JSON.stringify = () => 'mine';
        String.prototype.toWellFormed = () => 'mine';
        function transform(event) { return {payload: {seen: seen === undefined, evil: event.evil}}; }";
    for _ in 0..3 {
        assert_eq!(body(over(script, b"{}")), r#"{"seen":true,"evil":"x"}"#);
    }
    assert_eq!(
        body(returns("{payload: [typeof {}.evil, typeof left, typeof [].map]}")),
        r#"["undefined","undefined","function"]"#
    );
}

#[test]
fn a_polluting_payload_pollutes_nothing() {
    let script =
        "function transform(e) { return {payload: [typeof {}.x, Object.keys(e.payload)]}; }";
    let body = body(over(script, br#"{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}"#));
    assert_eq!(body, r#"["undefined",["__proto__","constructor"]]"#);
}

#[test]
fn there_is_nothing_to_reach_out_with() {
    let names = "['std', 'os', 'process', 'require', 'WebAssembly', 'SharedArrayBuffer', 'Atomics', \
        'ArrayBuffer', 'Proxy', 'WeakRef', 'performance', 'fetch', 'XMLHttpRequest', 'setTimeout', \
        'console', 'print', 'Worker', 'FinalizationRegistry', 'gc', 'scriptArgs', 'navigator']";
    let script = format!(
        "const all = Function('return this')(); function transform() {{ \
         return {{payload: {names}.filter(one => typeof all[one] !== 'undefined')}}; }}"
    );
    assert_eq!(body(over(&script, b"{}")), "[]");
    let constructed = "event.constructor.constructor('return typeof process + typeof std')()";
    assert_eq!(body(returns(&format!("{{payload: {constructed}}}"))), "undefinedundefined");
    assert_eq!(failure(returns("import('os')")).kind, Kind::Invalid); // a promise, never kept
    assert_eq!(failure(over("import * as os from 'os';", b"{}")).kind, Kind::Threw);
    assert_eq!(
        failure(over("function transform() { return import.meta; }", b"{}")).kind,
        Kind::Threw
    );
}

#[test]
fn a_check_reads_and_runs_nothing() {
    for good in [
        "function transform(event) { return event; }",
        "const a = 1;\nwhile (true);\nfunction transform(e) {}",
        "'use strict'; function transform(e) { return null }",
        "throw new Error('at once'); function transform(e) {}",
    ] {
        assert_eq!(check(good), None, "{good}");
    }
    for bad in
        ["", "let transform = () => 1;", "var transform = 1;", "const x = 1;", "class transform {}"]
    {
        let found = check(bad);
        assert!(
            found.as_ref().is_some_and(|one| one.message.contains("function transform")),
            "{bad}: {found:?}"
        );
    }
    for bad in ["async function transform(e) {}", "function* transform(e) {}"] {
        assert!(check(bad).is_some_and(|one| one.message.contains("plain function")), "{bad}");
    }
    let found = check("function transform(event) {\n  return {payload: ;\n}");
    assert!(found.as_ref().is_some_and(|one| one.line == 2 && one.column > 0), "{found:?}");
    assert!(check("import os from 'os'; function transform() {}").is_some());
    assert!(check("function transform() {}\0").is_some());
    assert!(check(&format!("function transform() {{}} {}", "(".repeat(30_000))).is_some());
    assert!(check("function transform() {} })(); throw 'Function'; (() => {").is_some());
}

#[test]
fn the_loop_answers_each_request_and_ends_with_its_input() {
    let frame = |source: &str, body: &[u8]| {
        let mut content = Vec::new();
        for part in [source.as_bytes(), EVENT] {
            content.extend(u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
            content.extend(part);
        }
        content.extend(body);
        let mut frame = u32::try_from(content.len()).unwrap_or_default().to_be_bytes().to_vec();
        frame.extend(content);
        frame
    };
    let mut input = frame("function transform(e) { return {payload: 'one'}; }", b"{}");
    input.extend(frame("function transform(e) { return null; }", b"{}"));
    input.extend(frame("nonsense(", b"{}"));
    let mut output = Vec::new();
    assert!(serve(&mut &input[..], &mut output, "{}", &LIMITS, 1000).is_ok());
    let text = String::from_utf8_lossy(&output);
    assert!(
        text.contains("one") && text.contains("dropped") && text.contains("SyntaxError"),
        "{text}"
    );
    let mut output = Vec::new();
    assert!(serve(&mut &input[..], &mut output, "{}", &LIMITS, 10).is_err());
    assert!(serve(&mut &b"\0\0\0\x02ab"[..], &mut output, "{}", &LIMITS, 10).is_err());
}
