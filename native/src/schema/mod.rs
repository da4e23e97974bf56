//! JSON Schema, draft 2020-12: schemas that strangers wrote, held against bodies that strangers
//! sent.
//!
//! The crate `jsonschema` compiles and validates. Around it: what a schema may be ([`guard`]), a
//! representation of bodies that is read once and without copies ([`view`]), what the work on one
//! may cost ([`work`]), and what is said of those that are wrong ([`violation`]).

mod amount;
pub mod guard;
pub(crate) mod patterns;
mod refs;
mod sets;
mod unique;
mod view;
mod violation;
pub mod work;

pub use sets::{Mode, Registered, Schemas, Violation, unquoted, violations_json};

use self::guard::Checked;
use self::view::{Bodies, Body};
use self::work::Work;
use crate::json::Fault;
use crate::json::tree::{Tree, Unread};
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a schema is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Where in the schema: a JSON pointer, empty for the whole.
    pub pointer: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Unusable {
    fn at(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), reason: reason.into() }
    }
}

/// A compiled schema.
pub struct Schema {
    validator: Validator<Bodies>,
    checked: Checked,
    size: usize,
}

/// Bytes of a compiled schema for each of its text, patterns apart, more or less.
const COMPILED_A_BYTE: usize = 20;

impl Schema {
    /// Compiles a schema.
    pub fn new(text: &[u8]) -> Result<Self, Unusable> {
        if text.len() > guard::MAX_BYTES {
            let reason = format!("a schema has at most {} bytes", guard::MAX_BYTES);
            return Err(Unusable::at("", reason));
        }
        let value: Value = serde_json::from_slice(text)
            .map_err(|error| Unusable::at("", format!("this is not JSON: {error}")))?;
        let checked = guard::check(&value)?;
        let options = jsonschema::options_for::<Bodies>()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(
                PatternOptions::regex()
                    .size_limit(patterns::COMPILED)
                    .dfa_size_limit(patterns::REMEMBERED),
            )
            .should_validate_formats(false)
            .offline();
        // Nothing in there is known to panic; but a schema is a stranger's.
        let built = catch_unwind(AssertUnwindSafe(|| options.build(&value)));
        let Ok(built) = built else {
            return Err(Unusable::at("", "this schema cannot be compiled"));
        };
        let validator = built.map_err(|error| violation::unusable(&error))?;
        let size = COMPILED_A_BYTE * text.len() + checked.patterns;
        Ok(Self { validator, checked, size })
    }

    /// About the bytes that it takes.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// What is wrong with a body, at most five things; nothing if it is valid.
    pub fn validate(&self, body: &[u8]) -> Vec<Violation> {
        let tree = match Tree::read(body) {
            Ok(tree) => tree,
            Err(why) => return violation::of_all(unread(why)),
        };
        let mut body = Body { tree, work: Work::new(body.len(), self.checked.prices) };
        let judged = catch_unwind(AssertUnwindSafe(|| {
            let valid = self.validator.is_valid(body.whole());
            (!body.work.is_spent()).then_some(valid)
        }));
        match judged {
            Ok(Some(true)) => Vec::new(),
            Ok(Some(false)) => {
                body.work.renew();
                self.tell(&body)
            }
            Ok(None) => violation::of_all("it takes too much work to hold the body to its schema"),
            Err(_) => violation::of_all("the body cannot be held to its schema"),
        }
    }

    /// The first of the errors of a body that has some.
    fn tell(&self, body: &Body<'_>) -> Vec<Violation> {
        let mut told: Vec<Violation> = Vec::new();
        let collect = || {
            for error in self.validator.iter_errors(body.whole()) {
                let one = violation::violation(&error).filter(|one| !told.contains(one));
                told.extend(one);
                if told.len() == violation::MAX_VIOLATIONS {
                    break;
                }
            }
        };
        if self.checked.telling && catch_unwind(AssertUnwindSafe(collect)).is_err() {
            told.clear();
        }
        if told.is_empty() {
            return violation::of_all("the body does not fit its schema");
        }
        told
    }
}

const fn unread(why: Unread) -> &'static str {
    match why {
        Unread::Fault(Fault::Encoding) => "the body is not UTF-8",
        Unread::Fault(Fault::Syntax) => "the body is not JSON",
        Unread::Fault(Fault::Depth) => "the body nests more than 128 levels",
        Unread::Surrogate => "the body has a string with half of a surrogate pair",
        Unread::Values => "the body has more than 1,000,000 values",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(schema: &str, body: &str) -> Vec<(String, String)> {
        match Schema::new(schema.as_bytes()) {
            Ok(schema) => {
                let told = schema.validate(body.as_bytes()).into_iter();
                told.map(|one| (one.pointer, one.detail)).collect()
            }
            Err(why) => vec![("unusable".to_owned(), why.reason)],
        }
    }

    fn valid(schema: &str, body: &str) -> bool {
        said(schema, body).is_empty()
    }

    #[test]
    fn numbers_of_any_size_are_compared() {
        for (schema, body, expected) in [
            (r#"{"type":"integer"}"#, "1e400", true),
            (r#"{"type":"integer"}"#, "123456789012345678901234567890", true),
            (r#"{"type":"integer"}"#, "1.0", true),
            (r#"{"type":"integer"}"#, "-0", true),
            (r#"{"type":"integer"}"#, "1.5", false),
            (r#"{"type":"integer"}"#, "1e-400", true),
            (r#"{"maximum":9223372036854775807}"#, "9223372036854775808", false),
            (r#"{"maximum":18446744073709551615}"#, "18446744073709551615", true),
            (r#"{"maximum":18446744073709551615}"#, "18446744073709551617", false),
            (r#"{"maximum":18446744073709551615}"#, "1e999999999", false),
            (r#"{"minimum":0}"#, "-1e999999999", false),
            (r#"{"const":9007199254740993}"#, "9007199254740993", true),
            (r#"{"const":9007199254740993}"#, "9007199254740992", false),
            (r#"{"enum":[1]}"#, "1.0", true),
            (r#"{"multipleOf":0.01}"#, "19.99", true),
        ] {
            assert_eq!(valid(schema, body), expected, "{schema} {body}");
        }
        assert_eq!(said(r#"{"maximum":1e400}"#, "1")[0].0, "unusable");
    }

    #[test]
    fn items_are_told_apart_however_they_are_written() {
        let unique = r#"{"uniqueItems":true}"#;
        for (body, expected) in [
            ("[]", true),
            ("[1]", true),
            ("[1,1.0]", false),
            ("[0,-0.0]", false),
            ("[1e2,100]", false),
            (r#"[1,"1",true,[1],{"a":1},null]"#, true),
            (r#"[{"a":1,"b":2},{"b":2.0,"a":1}]"#, false),
            (r#"[{"a":9,"a":1},{"a":1}]"#, false),
            (r#"[{"a":1},{"b":1}]"#, true),
            (r#"["a","\u0061"]"#, false),
            ("[[[],1],[[],[1]],[[1]]]", true),
            ("[18446744073709551615,18446744073709551616]", true),
        ] {
            assert_eq!(valid(unique, body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_no_json_breaks_any_schema() {
        for (body, detail) in [
            ("", "not JSON"),
            ("NaN", "not JSON"),
            ("\u{feff}{}", "not JSON"),
            ("{} {}", "not JSON"),
            (r#""\ud800""#, "surrogate"),
        ] {
            let said = said("true", body);
            assert!(said.len() == 1 && said[0].0.is_empty() && said[0].1.contains(detail));
        }
        assert!(said("{}", &"[".repeat(129))[0].1.contains("128 levels"));
    }

    #[test]
    fn names_count_once_and_the_last_value_counts() {
        assert!(valid(r#"{"maxProperties":1,"properties":{"a":{"const":2}}}"#, r#"{"a":1,"a":2}"#));
        assert!(!valid(r#"{"properties":{"a":{"const":1}}}"#, r#"{"a":1,"\u0061":2}"#));
    }

    #[test]
    fn of_the_payload_little_is_said() {
        let long = "x".repeat(10_000);
        for schema in [
            r#"{"type":"object"}"#,
            r#"{"const":1}"#,
            r#"{"maxLength":3}"#,
            r#"{"pattern":"^y$"}"#,
            r#"{"anyOf":[{"type":"null"}]}"#,
            "false",
        ] {
            let said = said(schema, &format!("\"{long}\""));
            assert!(said.iter().all(|one| one.1.matches('x').count() <= 64), "{said:?}");
            assert!(!said.is_empty());
        }
        let names = format!(r#"{{"{long}":1,"a":{{"{long}":1}}}}"#);
        for schema in [
            r#"{"additionalProperties":{"type":"string"}}"#,
            r#"{"additionalProperties":false}"#,
            r#"{"unevaluatedProperties":false}"#,
            r#"{"properties":{"a":false},"additionalProperties":false}"#,
            r#"{"propertyNames":{"maxLength":3}}"#,
        ] {
            for (pointer, detail) in said(schema, &names) {
                assert!(detail.chars().count() <= 200 && detail.matches('x').count() <= 64);
                assert!(pointer.len() <= 512 && !pointer.contains('x'), "{pointer}");
            }
        }
    }

    #[test]
    fn at_most_five_are_told_and_none_twice() {
        let said = said(r#"{"items":{"type":"string"}}"#, &format!("[{}0]", "0,".repeat(100)));
        let pointers: Vec<_> = said.iter().map(|one| one.0.as_str()).collect();
        assert_eq!(pointers, ["/0", "/1", "/2", "/3", "/4"]);
    }
}
