//! Values of the language. What is within a payload is read where it stands.

use super::budget::Budget;
use super::number::{self, Number};
use super::scene::Scene;
use super::wrong::Wrong;
use crate::json::tree::{Kind, Tree};
use std::cmp::Ordering;
use std::rc::Rc;

/// A string, lent by the event or made by the filter.
#[derive(Clone, Debug)]
pub enum Text<'s> {
    /// Part of the event or of the filter.
    Lent(&'s str),
    /// Made on the way.
    Own(Rc<str>),
}

impl Text<'_> {
    /// Its characters.
    #[inline]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Lent(text) => text,
            Self::Own(text) => text,
        }
    }
}

/// A value.
#[derive(Clone, Debug)]
pub enum Value<'s> {
    /// `null`
    Null,
    /// A truth value.
    Bool(bool),
    /// 64 bits.
    Int(i64),
    /// 64 bits without a sign.
    Uint(u64),
    /// A double.
    Double(f64),
    /// A string.
    Text(Text<'s>),
    /// Bytes.
    Bytes(Rc<[u8]>),
    /// A list that the filter made.
    List(Rc<Vec<Value<'s>>>),
    /// A map that the filter made: it is as long as the filter wrote it.
    Map(Rc<Vec<(Value<'s>, Value<'s>)>>),
    /// An array of the payload, by its place.
    Array(u32),
    /// An object of the payload, by its place.
    Object(u32),
    /// The request headers.
    Headers,
    /// What is known of the event.
    Event,
    /// Nanoseconds since 1970.
    Time(i128),
    /// Nanoseconds.
    Span(i128),
    /// A type, by its name.
    Type(&'static str),
}

impl<'s> Value<'s> {
    /// A string that was made on the way.
    pub fn own(text: impl AsRef<str>) -> Self {
        Self::Text(Text::Own(Rc::from(text.as_ref())))
    }

    /// A string that stays where it is.
    pub const fn lent(text: &'s str) -> Self {
        Self::Text(Text::Lent(text))
    }

    /// A list.
    pub fn list(values: Vec<Value<'s>>) -> Self {
        Self::List(Rc::new(values))
    }

    /// What stands at a place of the payload.
    pub fn at(tree: &'s Tree<'_>, place: u32) -> Self {
        match tree.kind(place) {
            Kind::Null => Self::Null,
            Kind::True => Self::Bool(true),
            Kind::False => Self::Bool(false),
            Kind::Number => number::read(tree.scalar(place)),
            Kind::String => Self::lent(tree.scalar(place)),
            Kind::Array => Self::Array(place),
            Kind::Object => Self::Object(place),
        }
    }

    /// The name of its type.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) | Self::Array(_) => "list",
            Self::Map(_) | Self::Object(_) | Self::Headers | Self::Event => "map",
            Self::Time(_) => "google.protobuf.Timestamp",
            Self::Span(_) => "google.protobuf.Duration",
            Self::Type(_) => "type",
        }
    }

    /// Its number, if it is one.
    pub const fn number(&self) -> Option<Number> {
        match self {
            Self::Int(value) => Some(Number::Int(*value)),
            Self::Uint(value) => Some(Number::Uint(*value)),
            Self::Double(value) => Some(Number::Double(*value)),
            _ => None,
        }
    }
}

/// Which of two values comes first; `None` for a NaN, which is neither before nor after.
pub fn order(
    sign: &str,
    left: &Value<'_>,
    right: &Value<'_>,
    budget: &Budget<'_>,
) -> Result<Option<Ordering>, Wrong> {
    if let (Some(left), Some(right)) = (left.number(), right.number()) {
        return Ok(number::compare(left, right));
    }
    Ok(Some(match (left, right) {
        (Value::Text(left), Value::Text(right)) => {
            let (left, right) = (left.as_str(), right.as_str());
            budget.spend_bytes(left.len().min(right.len()))?;
            left.cmp(right)
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            budget.spend_bytes(left.len().min(right.len()))?;
            left.cmp(right)
        }
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Time(left), Value::Time(right)) | (Value::Span(left), Value::Span(right)) => {
            left.cmp(right)
        }
        _ => return Err(Wrong::overload(sign, &[left.kind(), right.kind()])),
    }))
}

/// Whether two values are equal; those of different types are not, but numbers are compared by
/// what they are worth.
pub fn equal(
    scene: &Scene<'_>,
    left: &Value<'_>,
    right: &Value<'_>,
    budget: &Budget<'_>,
) -> Result<bool, Wrong> {
    budget.spend(1)?;
    if let (Some(left), Some(right)) = (left.number(), right.number()) {
        return Ok(number::compare(left, right) == Some(Ordering::Equal));
    }
    match (left, right) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Text(left), Value::Text(right)) => {
            let (left, right) = (left.as_str(), right.as_str());
            if left.len() == right.len() {
                budget.spend_bytes(left.len())?;
            }
            Ok(left == right)
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            budget.spend_bytes(left.len().min(right.len()))?;
            Ok(left == right)
        }
        (Value::Time(left), Value::Time(right)) | (Value::Span(left), Value::Span(right)) => {
            Ok(left == right)
        }
        (Value::Type(left), Value::Type(right)) => Ok(left == right),
        _ => match (scene.length(left), scene.length(right)) {
            (Some(count), Some(other)) if left.kind() == right.kind() => {
                Ok(count == other && all_equal(scene, left, right, budget)?)
            }
            _ => Ok(false),
        },
    }
}

/// Whether two lists, or two maps, of one length hold the same.
fn all_equal(
    scene: &Scene<'_>,
    left: &Value<'_>,
    right: &Value<'_>,
    budget: &Budget<'_>,
) -> Result<bool, Wrong> {
    if left.kind() == "list" {
        for (one, other) in scene.elements(left).zip(scene.elements(right)) {
            if !equal(scene, &one, &other, budget)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    for key in scene.elements(left) {
        let (one, other) = (scene.get(left, &key, budget)?, scene.get(right, &key, budget)?);
        match (one, other) {
            (Some(one), Some(other)) if equal(scene, &one, &other, budget)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}
