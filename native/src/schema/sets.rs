//! The schemas of a tenant's event types, and what becomes of a body that breaks one.

use super::Schema;
use crate::error::Error;
use std::collections::HashMap;
use std::sync::Arc;

/// One thing that is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the body: a JSON pointer, empty for the whole.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
    /// The same in words that quote nothing of the body.
    pub unquoted: String,
}

/// Violations whose details quote nothing of the body; those that say the same are one.
pub fn unquoted(violations: &[Violation]) -> Vec<Violation> {
    let mut told: Vec<Violation> = Vec::new();
    for one in violations {
        let (pointer, words) = (one.pointer.clone(), one.unquoted.clone());
        let plain = Violation { pointer, detail: words.clone(), unquoted: words };
        if !told.contains(&plain) {
            told.push(plain);
        }
    }
    told
}

/// Violations as they are stored: `[{"pointer": …, "detail": …}]`.
pub fn violations_json(violations: &[Violation]) -> String {
    let items: Vec<_> = violations
        .iter()
        .map(|one| serde_json::json!({"pointer": one.pointer, "detail": one.detail}))
        .collect();
    serde_json::Value::Array(items).to_string()
}

/// What a broken schema does to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: it is not looked at.
    Off,
    /// It is delivered, and says so.
    Warn,
    /// It is kept, and not delivered.
    Quarantine,
    /// It is refused.
    Reject,
}

impl Mode {
    /// Reads a mode's name.
    pub fn parse(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "off" => Self::Off,
            "warn" => Self::Warn,
            "quarantine" => Self::Quarantine,
            "reject" => Self::Reject,
            _ => return Err(Error::Schemas("a mode is off, warn, quarantine or reject".into())),
        })
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// One event type's schema.
#[derive(Clone)]
pub struct Registered {
    /// What a broken one does.
    pub mode: Mode,
    /// The version of the schema.
    pub number: u32,
    /// The schema.
    pub schema: Arc<Schema>,
}

/// A tenant's schemas by event type.
#[derive(Default)]
pub struct Schemas(HashMap<String, Registered>);

impl Schemas {
    /// Adds a type, which must not be there yet.
    pub fn add(&mut self, name: &str, registered: Registered) -> Result<(), Error> {
        match self.0.insert(name.to_owned(), registered) {
            None => Ok(()),
            Some(_) => Err(Error::Schemas(format!("the event type {name:?} is there twice"))),
        }
    }

    /// The schema that an event of this type is held to.
    pub fn get(&self, event_type: &str) -> Option<&Registered> {
        self.0.get(event_type)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
