//! Tenants' scripts: JavaScript that makes of an event what is sent instead of it.
//!
//! Each run has a runtime of its own, thrown away after it, so that nothing is left for the next.
//! It runs in a process that [`confine`] has taken everything from but two pipes, its memory and
//! the clock. What the engine itself can bound is bounded here; a native function that runs on
//! without asking (`indexOf` over megabytes) ends with its process, which is the caller's part.

mod answer;
mod check;
pub mod confine;
mod engine;
mod run;
mod serve;
mod thrown;
mod wire;

pub use check::check;
pub use run::{Request, run};
pub use serve::serve;

use std::time::Duration;

/// What one run may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of the processor.
    pub cpu: Duration,
    /// Bytes of the script's heap, the event in it included.
    pub memory: usize,
    /// Bytes of the body that it returns.
    pub output: usize,
}

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something is sent; what is `None` stays as it came.
    Changed(Changed),
    /// Nothing is sent.
    Dropped,
    /// There is nothing to send, and a reason.
    Failed(Failure),
}

/// What is sent instead.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The media type that the script named.
    pub content_type: Option<String>,
    /// Headers that the script named, unchecked.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// The body is JSON made of a value, and not a text of the script's.
    pub is_json: bool,
}

/// Why there is nothing to send.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which way it failed.
    pub kind: Kind,
    /// In words for the script's author.
    pub message: String,
    /// Where in the script, counted from 1; 0 where that is not known.
    pub line: u32,
    /// Counted from 1; 0 where that is not known.
    pub column: u32,
}

impl Failure {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), line: 0, column: 0 }
    }
}

/// The ways to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The script threw, or is no script.
    Threw,
    /// What it returned can't be sent.
    Invalid,
    /// What it returned is over the limit.
    TooLarge,
    /// It took more than its time.
    Timeout,
    /// It wanted more than its memory.
    Memory,
}

impl Kind {
    /// As the other side of the pipe knows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Threw => "threw",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
        }
    }
}

#[cfg(test)]
mod tests;
