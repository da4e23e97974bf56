//! Numbers of a body: 64 bits where they fit, the nearest double where they don't.

use jsonschema::json::JsonNumber;
use serde_json::Number;
use std::borrow::Cow;

/// A number.
pub struct Digits<'a> {
    text: &'a str,
    value: Amount,
}

/// What a number is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// Written without fraction and exponent, and within 64 bits.
    Positive(u64),
    /// The same, below zero.
    Negative(i64),
    /// All others, to the nearest double; beyond its range the largest one.
    Float(f64),
}

impl Amount {
    /// Reads a valid JSON number.
    pub fn read(text: &str) -> Self {
        if let Ok(value) = text.parse() {
            return Self::Positive(value);
        }
        match text.parse() {
            Ok(value) if value < 0 => Self::Negative(value),
            _ => {
                let value: f64 = text.parse().unwrap_or_default();
                Self::Float(value.clamp(f64::MIN, f64::MAX))
            }
        }
    }
}

impl<'a> Digits<'a> {
    /// Reads a valid JSON number.
    pub fn read(text: &'a str) -> Self {
        Self { text, value: Amount::read(text) }
    }
}

impl JsonNumber for Digits<'_> {
    #[inline]
    fn as_u64(&self) -> Option<u64> {
        if let Amount::Positive(value) = self.value { Some(value) } else { None }
    }

    #[inline]
    fn as_i64(&self) -> Option<i64> {
        match self.value {
            Amount::Positive(value) => i64::try_from(value).ok(),
            Amount::Negative(value) => Some(value),
            Amount::Float(_) => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the nearest double is what is asked for")]
    fn as_f64(&self) -> Option<f64> {
        Some(match self.value {
            Amount::Positive(value) => value as f64,
            Amount::Negative(value) => value as f64,
            Amount::Float(value) => value,
        })
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.text)
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(match self.value {
            Amount::Positive(value) => value.into(),
            Amount::Negative(value) => value.into(),
            Amount::Float(value) => Number::from_f64(value).unwrap_or_else(|| 0.into()),
        })
    }

    fn is_integer(&self) -> bool {
        match self.value {
            Amount::Float(value) => value.fract() == 0.0,
            _ => true,
        }
    }
}
