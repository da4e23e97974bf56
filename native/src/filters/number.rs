//! Numbers: how they are read, compared and reckoned with. Nothing wraps around: what does not fit is
//! an error.

use super::node::Operator;
use super::value::Value;
use super::wrong::Wrong;
use std::cmp::Ordering;

/// A number of one of the three types.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// 64 bits.
    Int(i64),
    /// 64 bits without a sign.
    Uint(u64),
    /// A double.
    Double(f64),
}

/// 2 to the 63rd.
const ABOVE_INT: f64 = 9_223_372_036_854_775_808.0;
/// 2 to the 64th.
const ABOVE_UINT: f64 = 18_446_744_073_709_551_616.0;

impl Number {
    /// As the nearest double.
    #[expect(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
    pub const fn double(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Uint(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

/// A valid number of JSON: whole ones within 64 bits are `int`, or `uint` where they are too large
/// for that; all others are the nearest double.
pub fn read<'s>(text: &str) -> Value<'s> {
    if let Ok(value) = text.parse() {
        return Value::Int(value);
    }
    if let Ok(value) = text.parse() {
        return Value::Uint(value);
    }
    let value: f64 = text.parse().unwrap_or_default();
    Value::Double(value.clamp(f64::MIN, f64::MAX))
}

/// Which of two numbers is less, by what they are worth; `None` beside a NaN.
pub fn compare(left: Number, right: Number) -> Option<Ordering> {
    match (left, right) {
        (Number::Double(left), Number::Double(right)) => left.partial_cmp(&right),
        (Number::Double(left), right) => by_double(whole(right), left).map(Ordering::reverse),
        (left, Number::Double(right)) => by_double(whole(left), right),
        (left, right) => Some(whole(left).cmp(&whole(right))),
    }
}

/// A number without a fraction.
fn whole(number: Number) -> i128 {
    match number {
        Number::Int(value) => value.into(),
        Number::Uint(value) => value.into(),
        Number::Double(_) => 0,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it was cut to the range before")]
fn by_double(left: i128, right: f64) -> Option<Ordering> {
    if right.is_nan() {
        return None;
    }
    let floor = right.clamp(-2.0 * ABOVE_UINT, 2.0 * ABOVE_UINT).floor();
    let rest = if floor < right { Ordering::Less } else { Ordering::Equal };
    Some(left.cmp(&(floor as i128)).then(rest))
}

/// A double as an `int`, its fraction cut off.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub fn to_int(value: f64) -> Option<i64> {
    (value > -ABOVE_INT && value < ABOVE_INT).then_some(value as i64)
}

/// A double as a `uint`, its fraction cut off.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is checked")]
pub fn to_uint(value: f64) -> Option<u64> {
    (value > -1.0 && value < ABOVE_UINT).then_some(value as u64)
}

/// Two numbers and an operator of arithmetic; `None` where it takes no numbers of these types.
///
/// A whole number beside a double counts as one: JSON doesn't say which of the two a number is.
pub fn reckon<'s>(
    operator: Operator,
    left: Number,
    right: Number,
) -> Option<Result<Value<'s>, Wrong>> {
    let found = match (left, right) {
        (Number::Int(left), Number::Int(right)) => {
            if right == 0 && matches!(operator, Operator::Divide | Operator::Modulo) {
                return Some(Err(zero()));
            }
            let found = match operator {
                Operator::Add => left.checked_add(right),
                Operator::Subtract => left.checked_sub(right),
                Operator::Multiply => left.checked_mul(right),
                Operator::Divide => left.checked_div(right),
                Operator::Modulo => left.checked_rem(right),
                _ => return None,
            };
            found.map(Value::Int)
        }
        (Number::Uint(left), Number::Uint(right)) => {
            if right == 0 && matches!(operator, Operator::Divide | Operator::Modulo) {
                return Some(Err(zero()));
            }
            let found = match operator {
                Operator::Add => left.checked_add(right),
                Operator::Subtract => left.checked_sub(right),
                Operator::Multiply => left.checked_mul(right),
                Operator::Divide => left.checked_div(right),
                Operator::Modulo => left.checked_rem(right),
                _ => return None,
            };
            found.map(Value::Uint)
        }
        (Number::Double(_), _) | (_, Number::Double(_)) => {
            let (left, right) = (left.double(), right.double());
            Some(Value::Double(match operator {
                Operator::Add => left + right,
                Operator::Subtract => left - right,
                Operator::Multiply => left * right,
                Operator::Divide => left / right,
                _ => return None,
            }))
        }
        _ => return None,
    };
    Some(found.ok_or_else(|| Wrong::new(format!("{} overflows", operator.sign()))))
}

fn zero() -> Wrong {
    Wrong::new("a division by zero")
}
