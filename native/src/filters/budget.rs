//! What judging may cost. Work is counted as it is done: whether a filter is over its budget depends
//! on filter and event only. The clock is looked at now and then, in case a step is dearer than
//! it should be.

use super::wrong::Wrong;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Steps of one filter on any event; a step takes 5 to 50 ns.
const FILTER_STEPS: u64 = 100_000;
/// Steps of all filters of a tenant together, on one event.
const EVENT_STEPS: u64 = 1_000_000;
/// Each byte of a body adds to both, in quarters of a step.
const QUARTERS_A_BYTE: u64 = 1;
/// For all filters of a tenant together, on one event.
const LONGEST: Duration = Duration::from_secs(2);
/// Steps between two looks at the clock.
const LOOK: u64 = 4_096;
/// Bytes of a text that are one step.
const BYTES_A_STEP: usize = 16;

const FILTER_SPENT: &str = "it takes more steps than a filter may";
const EVENT_SPENT: &str = "the filters before it took all steps that an event's filters may";
const LATE: &str = "the event's filters took longer than they may";

/// What all filters may take on one event.
#[derive(Debug)]
pub struct Allowance {
    bytes: usize,
    left: Cell<u64>,
    until: Instant,
}

impl Allowance {
    /// For a body of so many bytes.
    pub fn new(bytes: usize) -> Self {
        let left = EVENT_STEPS + bytes as u64 * QUARTERS_A_BYTE / 4;
        Self { bytes, left: Cell::new(left), until: Instant::now() + LONGEST }
    }

    /// What the next filter may take.
    pub fn budget(&self) -> Budget<'_> {
        let own = FILTER_STEPS + self.bytes as u64 * QUARTERS_A_BYTE / 4;
        let steps = own.min(self.left.get());
        Budget {
            all: self,
            start: steps,
            left: Cell::new(steps),
            look: Cell::new(steps.saturating_sub(LOOK)),
            reason: if steps < own { EVENT_SPENT } else { FILTER_SPENT },
        }
    }
}

/// What one filter may take on one event.
#[derive(Debug)]
pub struct Budget<'a> {
    all: &'a Allowance,
    start: u64,
    left: Cell<u64>,
    look: Cell<u64>,
    reason: &'static str,
}

impl Budget<'_> {
    /// Takes steps.
    #[inline]
    pub fn spend(&self, steps: u64) -> Result<(), Wrong> {
        let Some(left) = self.left.get().checked_sub(steps) else {
            self.left.set(0);
            return Err(Wrong::Spent(self.reason));
        };
        self.left.set(left);
        if left < self.look.get() {
            self.look.set(left.saturating_sub(LOOK));
            if Instant::now() > self.all.until {
                self.left.set(0);
                return Err(Wrong::Spent(LATE));
            }
        }
        Ok(())
    }

    /// Takes what it takes to look at so many bytes of text.
    #[inline]
    pub fn spend_bytes(&self, bytes: usize) -> Result<(), Wrong> {
        self.spend(1 + (bytes / BYTES_A_STEP) as u64)
    }
}

impl Drop for Budget<'_> {
    fn drop(&mut self) {
        let taken = self.start - self.left.get();
        self.all.left.set(self.all.left.get().saturating_sub(taken));
    }
}
