//! Regular expressions of filters: RE2's syntax, matched in time linear in the text.

use super::budget::Budget;
use super::wrong::Wrong;
use crate::schema::patterns::{Room, places, price};
use regex::{Regex, RegexBuilder};

/// Bytes of a pattern that is written in the filter.
pub const MAX_PATTERN: usize = 1_000;
/// Bytes of a pattern that comes from an event.
pub const MAX_FOREIGN: usize = 256;
/// Its places, each repetition counted.
const MAX_FOREIGN_PLACES: u64 = 200;
/// Bytes of what a pattern is compiled to.
const COMPILED: usize = 512 << 10;
/// Of one that comes from an event.
const FOREIGN_COMPILED: usize = 128 << 10;
/// Bytes of what the engine remembers of one.
const REMEMBERED: usize = 2 << 20;
/// Steps to compile a foreign one.
const COMPILING: u64 = 20_000;

/// A pattern, compiled.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    /// Steps, in eighths, for each byte of a text.
    weight: u64,
}

impl Pattern {
    /// Compiles a pattern of a filter; those of one filter share room.
    pub fn new(text: &str, room: &mut Room) -> Result<Self, String> {
        if text.len() > MAX_PATTERN {
            return Err(format!("a pattern has at most {MAX_PATTERN} bytes"));
        }
        let hir = regex_syntax::parse(text).map_err(|error| unread(&error))?;
        let weight = price(&hir, room)?;
        let regex = compile(text, COMPILED)?;
        Ok(Self { regex, weight: weight.0 })
    }

    /// Compiles a pattern that comes from an event.
    pub fn foreign(text: &str, budget: &Budget<'_>) -> Result<Self, Wrong> {
        if text.len() > MAX_FOREIGN {
            let most = MAX_FOREIGN;
            return Err(Wrong::new(format!("a pattern that an event has is over {most} bytes")));
        }
        budget.spend(COMPILING)?;
        let hir = regex_syntax::parse(text).map_err(|error| Wrong::new(unread(&error)))?;
        let places = places(&hir);
        if places > MAX_FOREIGN_PLACES {
            return Err(Wrong::new("a pattern that an event has is too large"));
        }
        let regex = compile(text, FOREIGN_COMPILED).map_err(Wrong::new)?;
        Ok(Self { regex, weight: 8 * places.max(1) })
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether any part of a text matches.
    pub fn is_match(&self, text: &str, budget: &Budget<'_>) -> Result<bool, Wrong> {
        budget.spend(2)?;
        budget.spend((text.len() as u64).saturating_mul(self.weight) / 64)?;
        Ok(self.regex.is_match(text))
    }
}

fn compile(text: &str, bytes: usize) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .size_limit(bytes)
        .dfa_size_limit(REMEMBERED)
        .build()
        .map_err(|_| "this regular expression is too large".to_owned())
}

/// Says what is wrong in one line.
fn unread(error: &regex_syntax::Error) -> String {
    let kind = match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        _ => return "this is not a regular expression (RE2)".to_owned(),
    };
    format!("this is not a regular expression (RE2): {kind}")
}
