//! What orders deliveries: a key of an event, hashed to a line.

use crate::json::{Found, MAX_POINTERS, Pointer, scan};
use serde_json::Number;
use sha2::{Digest, Sha256};

/// What a destination's deliveries are ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// One line for each source.
    Source,
    /// A value of the payload.
    Pointer(Pointer),
}

impl Order {
    /// Reads `source` or a JSON pointer; `None` for anything else, which orders nothing.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "source" { Some(Self::Source) } else { Pointer::parse(text).map(Self::Pointer) }
    }
}

/// The lines of an event by so many orders, in their order; `None` where it has no such key.
pub fn lines(source_id: &[u8; 16], body: Option<&[u8]>, orders: &[&Order]) -> Vec<Option<i64>> {
    let mut lines = vec![None; orders.len()];
    let mut pointed = Vec::new();
    for (place, order) in orders.iter().enumerate() {
        match order {
            Order::Source => lines[place] = Some(line(b'S', source_id)),
            Order::Pointer(path) => pointed.push((place, path.clone())),
        }
    }
    let Some(body) = body else {
        return lines;
    };
    for some in pointed.chunks(MAX_POINTERS) {
        let pointers: Vec<Pointer> = some.iter().map(|(_, path)| path.clone()).collect();
        let Ok(found) = scan(body, &pointers) else {
            break;
        };
        for (at, (place, _)) in some.iter().enumerate() {
            lines[*place] = key(&found, at);
        }
    }
    lines
}

/// The line of a string, a number or a truth value.
fn key(found: &Found<'_>, at: usize) -> Option<i64> {
    let raw = found.raw(at)?;
    match raw.first()? {
        b'"' => found.string(at).map(|text| line(b's', &text)),
        b't' => Some(line(b'b', b"1")),
        b'f' => Some(line(b'b', b"0")),
        b'{' | b'[' | b'n' => None,
        _ => Some(line(b'n', worth(raw).as_bytes())),
    }
}

/// A number by what it is worth, as far as a double tells: 1, 1.0 and 1e0 are one key.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn worth(raw: &[u8]) -> String {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let text = String::from_utf8_lossy(raw);
    if let Ok(whole) = text.parse::<i128>() {
        return whole.to_string();
    }
    match text.parse::<f64>() {
        Ok(value) if value.fract() == 0.0 && value.abs() <= EXACT => (value as i64).to_string(),
        Ok(value) => {
            Number::from_f64(value).map_or_else(|| text.to_string(), |one| one.to_string())
        }
        Err(_) => text.to_string(),
    }
}

/// 63 bits of a hash over a type's tag and a key; the same in every release.
fn line(tag: u8, key: &[u8]) -> i64 {
    let hash = Sha256::new_with_prefix(b"crossdock:line\0")
        .chain_update([tag])
        .chain_update(key)
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(first) & i64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Option<i64> {
        let body = format!("{{\"k\":{value}}}");
        let order = Order::parse("/k");
        let orders: Vec<_> = order.iter().collect();
        lines(&[7; 16], Some(body.as_bytes()), &orders).first().copied().flatten()
    }

    #[test]
    fn keys_are_equal_where_their_values_are() {
        assert_eq!(of("1"), of("1.0"));
        assert_eq!(of("10"), of("1e1"));
        assert_eq!(of("\"a\""), of("\"\\u0061\""));
        assert_eq!(of("0.5"), of("5e-1"));
        let different = ["1", "\"1\"", "true", "\"true\"", "2", "-1", "0.5", "\"\"", "1e400"];
        for (at, one) in different.iter().enumerate() {
            assert!(of(one).is_some_and(|line| line >= 0), "{one}");
            for other in &different[at + 1..] {
                assert_ne!(of(one), of(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn what_is_no_scalar_has_no_line() {
        for value in ["null", "{}", "[1]", "\"\\ud800\""] {
            assert_eq!(of(value), None, "{value}");
        }
        let missing = Order::parse("/other");
        let orders: Vec<_> = missing.iter().collect();
        assert_eq!(lines(&[7; 16], Some(b"{\"k\":1}"), &orders), [None]);
        assert_eq!(lines(&[7; 16], Some(b"no json"), &orders), [None]);
        assert_eq!(lines(&[7; 16], None, &orders), [None]);
    }

    #[test]
    fn a_source_is_a_line_and_stays_the_same_one() {
        let orders = [&Order::Source];
        let one = lines(&[1; 16], None, &orders);
        assert_ne!(one, lines(&[2; 16], None, &orders));
        assert_eq!(of("\"customer-1\""), Some(LINE_OF_CUSTOMER_1));
    }

    /// Of releases before: deliveries that wait have it in their rows.
    const LINE_OF_CUSTOMER_1: i64 = 2_683_358_405_448_741_765;
}
