//! Filters as somebody writes them, kind ones and others.

use super::*;

const BODY: &str = r#"{"type":"order.paid","amount":120,"total":99.5,"big":18446744073709551615,
"currency":"EUR","ok":true,"none":null,"customer":{"id":"c-1","tags":["vip","new"],"name":"Zoë"},
"items":[{"sku":"a","n":1},{"sku":"b","n":5}],"at":"2026-01-02T03:04:05Z","re":"^a+$"}"#;
const HEADERS: &[(&str, &str)] = &[("x-shop", "one"), ("X-Shop", "two"), ("accept", "*/*")];

fn event(body: Option<&[u8]>) -> Event<'_> {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&1_767_323_045_000_u64.to_be_bytes()[2..]);
    id[6] = 0x70;
    Event {
        id,
        source_id: [7; 16],
        event_type: "order.paid",
        content_type: "application/json",
        provider_id: None,
        headers: HEADERS,
        body,
    }
}

/// What a filter says of a body.
fn on(filter: &str, body: &[u8]) -> Result<bool, String> {
    let filter = Filter::new(filter)
        .map_err(|unfit| format!("{}:{}: {}", unfit.line, unfit.column, unfit.reason))?;
    let scene = Scene::new(event(Some(body)), filter.roots());
    filter.is_true(&scene, &Allowance::new(body.len()))
}

fn is(filter: &str) -> Result<bool, String> {
    on(filter, BODY.as_bytes())
}

fn fails(filter: &str, with: &str) {
    let found = is(filter);
    assert!(found.as_ref().is_err_and(|why| why.contains(with)), "{filter}: {found:?}");
}

#[test]
fn the_language_is_what_it_says() {
    for filter in [
        "payload.amount > 100",
        "payload.amount == 120.0 && payload.total < 100",
        "payload.amount * 1.2 == 144.0",
        "payload.big == 18446744073709551615u",
        "payload.amount % 50 == 20 && -payload.amount == -120 && payload.amount / 7 == 17",
        "payload.customer.id == 'c-1' || payload.nothing.at.all",
        "payload.nothing.at.all || payload.customer.id == 'c-1'",
        "!(payload.nothing == 1 && false)",
        "has(payload.customer.id) && !has(payload.customer.other)",
        "'vip' in payload.customer.tags && !('old' in payload.customer.tags)",
        "'amount' in payload && payload['amount'] == 120",
        "payload.items[1].n == 5 && payload.items.size() == 2 && size(payload) == 11",
        "payload.items.exists(x, x.n > 4) && payload.items.all(x, x.n > 0)",
        "payload.items.exists_one(x, x.sku == 'a')",
        "payload.items.map(x, x.n) == [1, 5]",
        "payload.items.map(x, x.n > 1, x.sku) == ['b']",
        "payload.items.filter(x, x.n > 1)[0].sku == 'b'",
        "payload.items.exists(x, payload.items.exists(y, y.n == x.n + 4))",
        "payload.items.map(x, payload.items.map(y, y.n * x.n)) == [[1, 5], [5, 25]]",
        "[1, 'a'].exists(x, x > 0)",
        "payload.customer.exists(k, k == 'tags')",
        "payload.none == null && type(payload.none) == null_type",
        "type(payload.amount) == int && type(payload.total) == double && type(1u) == uint",
        "type(event.received_at) == google.protobuf.Timestamp",
        "headers['x-shop'] == 'one' && headers.accept == '*/*' && size(headers) == 2",
        "event.type == 'order.paid' && event.type.startsWith('order.') && event.provider_id == null",
        "event.id.startsWith('evt_') && event.source_id.startsWith('src_')",
        "event.received_at == timestamp('2026-01-02T03:04:05Z')",
        "timestamp(payload.at) + duration('1h') == timestamp('2026-01-02T04:04:05Z')",
        "event.received_at.getFullYear() == 2026 && event.received_at.getHours('+05:30') == 8",
        "event.received_at - timestamp('2026-01-01T00:00:00Z') > duration('24h')",
        "duration('90m').getHours() == 1 && duration('90m').getMinutes() == 90",
        "payload.customer.name.matches('^Z.ë$') && size(payload.customer.name) == 3",
        "'aaa'.matches(payload.re) && matches('b', '[a-c]')",
        "payload.currency.lowerAscii() == 'eur' && 'a,b'.split(',') == ['a', 'b']",
        "'abc'.substring(1, 2) == 'b' && 'abc'.indexOf('c') == 2 && ' a '.trim() == 'a'",
        "'a-b'.replace('-', '+') == 'a+b' && ['a', 'b'].join('-') == 'a-b'",
        "'abc'.contains('b') && 'abc'.endsWith('c') && 'a' + 'b' == 'ab' && [1] + [2] == [1, 2]",
        "int('12') == 12 && int(2.9) == 2 && uint(3) == 3u && double('1.5') == 1.5",
        "string(12) == '12' && string(true) == 'true' && bool('true') && bytes('a') == b'a'",
        "string(duration('1.5s')) == '1.5s' && int(timestamp('1970-01-01T00:01:00Z')) == 60",
        "{'a': 1, 'b': 2}['b'] == 2 && {'a': [1]} == {'a': [1.0]} && 'a' in {'a': 1}",
        "payload.customer == {'id': 'c-1', 'tags': ['vip', 'new'], 'name': 'Zoë'}",
        "payload.amount > 100 ? payload.ok : false",
        "1 != '1' && 1 < 2u && 2.5 > 2 && 'a' < 'b' && false < true && 1 == 1u",
        "9223372036854775807 < 9223372036854775808u && 9007199254740993 > 9007199254740992.0",
        "dyn(1) == 1 && b'\\x00' < b'\\x01' && r'\\d' == '\\\\d' && '''a''' == \"a\"",
        "payload.items.all(items, items.n > 0) && payload.items.size() == 2 // a comment",
    ] {
        assert_eq!(is(filter), Ok(true), "{filter}");
    }
}

#[test]
fn what_goes_wrong_is_told() {
    fails("payload.other == 1", "no such key: other");
    fails("payload.customer['x'] == 1", "no such key: x");
    fails("payload.items[2].n == 1", "beyond the list");
    fails("payload.items[-1].n == 1", "beyond the list");
    fails("payload.amount.x == 1", "int has no field x");
    fails("payload.amount > 'a'", "> does not take int and string");
    fails("payload.amount && true", "&& does not take int");
    fails("payload.amount", "no bool but int");
    fails("payload.amount / 0 == 1", "division by zero");
    fails("9223372036854775807 + payload.amount > 0", "+ overflows");
    fails("-9223372036854775808 - payload.amount > 0", "- overflows");
    fails("int(1e300) > 0", "int overflows");
    fails("int(payload.currency) > 0", "no int");
    fails("payload.currency.matches(payload.currency + '(')", "not a regular expression");
    fails("payload.amount.all(x, true)", "no list and no map");
    fails("timestamp('9999-12-31T23:59:59Z') + duration('1h') > event.received_at", "out of range");
    fails("{'a': 1, 'a': 2}.size() > 0", "twice");
}

#[test]
fn what_is_no_json_is_null_and_what_is_not_read_is_wrong() {
    assert_eq!(on("payload == null", b"a=1&b=2"), Ok(true));
    assert_eq!(on("payload == null", b"\xff"), Ok(true));
    assert_eq!(on("payload == null", b""), Ok(true));
    assert_eq!(on("event.type == 'order.paid'", b"{"), Ok(true));
    let deep = b"[".repeat(5_000);
    assert!(on("payload == null", &deep).is_err_and(|why| why.contains("128 levels")));
    assert_eq!(on("event.type == 'order.paid'", &deep), Ok(true));
    let why = on("payload == null", br#""\ud800""#);
    assert!(why.is_err_and(|why| why.contains("surrogate")));
    let filter = Filter::new("payload == null");
    let gone = filter.map(|filter| {
        let scene = Scene::new(event(None), filter.roots());
        filter.is_true(&scene, &Allowance::new(0))
    });
    assert!(gone.is_ok_and(|why| why.is_err_and(|why| why.contains("opened"))));
}

#[test]
fn what_cannot_be_a_filter_is_refused_with_its_place() {
    let long = format!("'{}' == ''", "a".repeat(MAX_BYTES));
    for (filter, at, with) in [
        ("", (0, 0), "empty"),
        ("payload.", (1, 9), ""),
        ("payload.a ==\n  && 1", (2, 3), ""),
        ("true && paylod.a", (1, 9), "no variable 'paylod'"),
        ("'paylod' == paylod.a", (1, 13), "no variable"),
        ("payload.a.starts('x')", (1, 11), "no function 'starts'"),
        ("size(payload, 1) == 1", (1, 1), "takes 1 arguments"),
        ("payload.a.int() == 1", (1, 11), "called as int(x)"),
        ("startsWith('a', 'b')", (1, 1), "called as x.startsWith"),
        ("payload.a.matches('(')", (1, 11), "not a regular expression"),
        ("payload.a.matches('(?=a)')", (1, 11), "not a regular expression"),
        ("payload.a.matches('((a{100}){100}){100}')", (1, 11), "too large"),
        ("has(payload)", (1, 5), ""),
        ("'text'", (0, 0), "a literal"),
        ("[1]", (0, 0), "a list"),
        ("Thing{a: 1}", (1, 1), "no type"),
        ("payload.?a == 1", (1, 8), ""),
        ("1 == 1 /", (1, 9), ""),
        ("\"\\ud800\" == ''", (1, 1), ""),
        ("payload.for == 1 && for", (1, 21), ""),
        (&long, (0, 0), "4096 bytes"),
    ] {
        match Filter::new(filter) {
            Ok(_) => assert_eq!(filter, "refused"),
            Err(unfit) => {
                assert_eq!((unfit.line, unfit.column), at, "{filter}: {}", unfit.reason);
                assert!(unfit.reason.contains(with), "{filter}: {}", unfit.reason);
            }
        }
    }
}
