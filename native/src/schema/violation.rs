//! What is said of a body that breaks its schema: enough to find the place, and no more of the
//! payload than it takes to recognise it.

use super::Unusable;
use super::sets::Violation;
use crate::json::tree::Kind;
use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;
use std::fmt::Write;

/// At most so many are told.
pub const MAX_VIOLATIONS: usize = 5;
/// Characters of a detail.
const MAX_DETAIL: usize = 200;
/// Characters of the payload that a detail quotes.
const MAX_QUOTE: usize = 64;
/// Bytes of a pointer.
const MAX_POINTER: usize = 512;

/// The tag of a value that was looked at after the work was too much.
pub const SPENT: u32 = u32::MAX;

/// How a message shows a value, by its text and kind; null for one that is [`SPENT`].
///
/// The crate hands this back as the "instance" of an error: it never sees the real one.
pub fn quoted(text: &[u8], kind: u32) -> Value {
    const OBJECT: u32 = Kind::Object as u32;
    const ARRAY: u32 = Kind::Array as u32;
    const STRING: u32 = Kind::String as u32;
    let text = std::str::from_utf8(text).unwrap_or_default();
    match kind {
        SPENT => Value::Null,
        OBJECT => "the object".into(),
        ARRAY => "the array".into(),
        STRING => quote(text).into(),
        _ => cut(text, MAX_QUOTE).into(),
    }
}

/// A string in quotes, at most [`MAX_QUOTE`] characters with them.
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    let mut length = 1;
    for letter in text.chars() {
        let piece: String = match letter {
            '"' | '\\' => format!("\\{letter}"),
            letter if letter.is_control() => format!("\\u{:04x}", u32::from(letter)),
            letter => letter.into(),
        };
        length += piece.chars().count();
        if length > MAX_QUOTE - 2 {
            quoted.push('…');
            break;
        }
        quoted.push_str(&piece);
    }
    quoted.push('"');
    quoted
}

/// At most so many characters, the last an ellipsis if there were more.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A pointer of bearable length: where a name is too long, to what it is in.
fn pointer(whole: &str) -> String {
    let mut end = 0;
    for token in whole.split('/').skip(1) {
        let next = end + 1 + token.len();
        if token.chars().count() > MAX_QUOTE || next > MAX_POINTER {
            break;
        }
        end = next;
    }
    whole[..end].to_owned()
}

/// What an error says; `None` if it was made up after the work was too much.
pub fn violation(error: &ValidationError<'_>) -> Option<Violation> {
    let shown = error.instance();
    let value = shown.as_str()?;
    let unknown = matches!(error.kind(), ValidationErrorKind::FalseSchema)
        && error.schema_path().as_str().ends_with("/additionalProperties");
    let say = |quotes: Option<&str>| {
        if unknown {
            return "the object has a property that its schema does not know".to_owned();
        }
        cut(&detail(quotes, error.kind()), MAX_DETAIL)
    };
    let pointer = pointer(error.instance_path().as_str());
    Some(Violation { pointer, detail: say(Some(value)), unquoted: say(None) })
}

/// Why a schema is not compiled that was not refused before.
pub fn unusable(error: &ValidationError<'_>) -> Unusable {
    let reason = cut(&error.masked().to_string(), MAX_DETAIL);
    Unusable::at(pointer(error.instance_path().as_str()), reason)
}

/// A violation of the whole body.
pub fn of_all(detail: &str) -> Vec<Violation> {
    let (pointer, detail) = (String::new(), detail.to_owned());
    vec![Violation { pointer, unquoted: detail.clone(), detail }]
}

/// What an error says of a value, or without `quotes` of any.
#[expect(clippy::match_same_arms, reason = "one line for each keyword")]
fn detail(quotes: Option<&str>, kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Kind;
    let value = quotes.unwrap_or("the value");
    match kind {
        Kind::Type { kind } => format!("{value} is not of type {}", types(kind)),
        Kind::Required { property } => format!("the property {} is missing", stated(property)),
        Kind::Enum { options } => format!("{value} is none of {}", stated(options)),
        Kind::Constant { expected_value } => format!("{value} is not {}", stated(expected_value)),
        Kind::Pattern { pattern } => {
            format!("{value} does not match the pattern {}", quote(pattern))
        }
        Kind::MinLength { limit } => format!("{value} is shorter than {limit} characters"),
        Kind::MaxLength { limit } => format!("{value} is longer than {limit} characters"),
        Kind::Minimum { limit } => format!("{value} is less than {limit}"),
        Kind::Maximum { limit } => format!("{value} is more than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("{value} is not more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("{value} is not less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("{value} is no multiple of {multiple_of}"),
        Kind::MinItems { limit } => format!("the array has fewer than {limit} items"),
        Kind::MaxItems { limit } => format!("the array has more than {limit} items"),
        Kind::AdditionalItems { limit } => format!("the array has more than {limit} items"),
        Kind::MinProperties { limit } => format!("the object has fewer than {limit} properties"),
        Kind::MaxProperties { limit } => format!("the object has more than {limit} properties"),
        Kind::UniqueItems => "the array has an item twice".to_owned(),
        Kind::Contains => "the array does not contain what it must, as often as it must".to_owned(),
        Kind::AdditionalProperties { unexpected } => unexpected_ones(quotes, unexpected),
        Kind::UnevaluatedProperties { unexpected } => unexpected_ones(quotes, unexpected),
        Kind::UnevaluatedItems { unexpected } => {
            format!("the array has {} items that the schema does not know", unexpected.len())
        }
        Kind::PropertyNames { error } => match violation(error) {
            Some(inner) => {
                let why = if quotes.is_some() { inner.detail } else { inner.unquoted };
                format!("a property's name is wrong: {why}")
            }
            None => "a property's name is wrong".to_owned(),
        },
        Kind::AnyOf { .. } => format!("{value} fits none of the schemas of anyOf"),
        Kind::OneOfNotValid { .. } => format!("{value} fits none of the schemas of oneOf"),
        Kind::OneOfMultipleValid { .. } => {
            format!("{value} fits more than one of the schemas of oneOf")
        }
        Kind::Not { .. } => format!("{value} fits a schema that it must not fit"),
        Kind::FalseSchema => format!("{value} is not allowed here"),
        _ => format!("{value} breaks {}", kind.keyword()),
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(many) => {
            let names: Vec<_> = many.iter().map(|one| one.to_string()).collect();
            names.join(" or ")
        }
    }
}

/// A value of the schema.
fn stated(value: &Value) -> String {
    cut(&value.to_string(), 2 * MAX_QUOTE)
}

/// Names from the payload, as many as fit into one quotation; without `quotes` none of them.
fn unexpected_ones(quotes: Option<&str>, names: &[String]) -> String {
    if quotes.is_none() {
        return "the object has properties that its schema does not know".to_owned();
    }
    let mut text = String::new();
    for (place, name) in names.iter().enumerate() {
        let shown = quote(name);
        if place > 0 && text.chars().count() + shown.chars().count() + 2 > MAX_QUOTE {
            // Writing to a String cannot fail.
            let _ = write!(text, " and {} more", names.len() - place);
            break;
        }
        if place > 0 {
            text.push_str(", ");
        }
        text.push_str(&shown);
    }
    let plural = if names.len() == 1 { "property" } else { "properties" };
    format!("the object has the unknown {plural} {text}")
}
