//! Which destinations want an event: by source, by type, and by a filter in CEL.
//!
//! The `cel` crate parses filters; they are compiled to a form of our own, which is judged on the
//! body where it stands, with every step counted. What an expression can cost is bounded by its
//! size, by its budget and by the body's size; see `docs/routing.md` for the language.

mod budget;
mod calls;
mod compile;
#[cfg(test)]
mod hostile;
mod judge;
mod line;
mod matcher;
mod node;
mod number;
mod patterns;
mod scene;
#[cfg(test)]
mod tests;
mod time;
mod types;
mod value;
mod wrong;

pub use self::compile::{MAX_BYTES, MAX_DEPTH, MAX_PARTS};
pub use self::matcher::{Matched, Matcher, Subscription};
pub use self::scene::Event;
pub use self::wrong::Unfit;

use self::budget::Allowance;
use self::compile::{Compiled, compile};
use self::judge::Judge;
use self::node::Root;
use self::scene::Scene;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A filter, compiled once.
#[derive(Debug)]
pub struct Filter(Compiled);

impl Filter {
    /// Compiles a filter.
    pub fn new(text: &str) -> Result<Self, Unfit> {
        compile(text).map(Self)
    }

    /// About the bytes that it takes.
    pub const fn size(&self) -> usize {
        self.0.parts * size_of::<node::Node>() * 2 + self.0.patterns * 2
    }

    /// What it looks at.
    fn roots(&self) -> &[Root] {
        &self.0.roots
    }

    /// Whether it is true of an event, or why that can't be said.
    fn is_true(&self, scene: &Scene<'_>, allowance: &Allowance) -> Result<bool, String> {
        let budget = allowance.budget();
        // Nothing in there panics that we know of; if it did, it would be this filter's error only.
        let judged =
            catch_unwind(AssertUnwindSafe(|| Judge::new(scene, &budget).is_true(&self.0.node)));
        match judged {
            Ok(judged) => judged.map_err(|wrong| wrong.to_string()),
            Err(_) => Err("it broke the evaluator".to_owned()),
        }
    }
}
