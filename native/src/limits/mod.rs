//! Rate limits, counted in memory that the processes of a machine share.

mod clock;
mod file;
mod gcra;
mod layout;
mod limit;
mod memory;
mod outcome;
mod receipt;
mod slots;
mod table;
#[cfg(test)]
mod threads;
mod usage;

pub use clock::{Clock, LAST};
pub use layout::Size;
pub use limit::Limit;
pub use outcome::Outcome;
pub use table::{MAX_LIMITS, Stats, Table};
