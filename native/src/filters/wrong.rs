//! What can be wrong with a filter, when it is compiled and when it is judged.

use std::fmt;
use std::rc::Rc;

/// Why a filter is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// From 1; 0 where it is about the whole filter.
    pub line: u32,
    /// In bytes, from 1; 0 where it is about the whole filter.
    pub column: u32,
    /// What to mend.
    pub reason: String,
}

impl Unfit {
    /// About the whole filter.
    pub fn whole(reason: impl Into<String>) -> Self {
        Self { line: 0, column: 0, reason: reason.into() }
    }
}

/// Why a filter said nothing about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It took more than it may. Nothing of a filter can make up for it.
    Spent(&'static str),
    /// An error as the language knows it: `||` and `&&` can do without the side that has it.
    Error(Rc<str>),
}

impl Wrong {
    /// An error of the language.
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self::Error(Rc::from(reason.as_ref()))
    }

    /// A call of what doesn't take these types.
    pub fn overload(what: &str, types: &[&str]) -> Self {
        Self::new(format!("{what} does not take {}", types.join(" and ")))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spent(what) => f.write_str(what),
            Self::Error(reason) => f.write_str(reason),
        }
    }
}
