//! Units that are given back, because another limit had none.

use super::clock::Clock;
use super::slots::MOVING;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// What is needed to give units back.
pub struct Receipt<'a> {
    /// The slot's arrival time.
    pub arrival: &'a AtomicU64,
    /// The slot's usage.
    pub usage: &'a AtomicU64,
    /// What the arrival time became.
    pub after: u64,
    /// By how much it was moved on.
    pub charge: u64,
    /// What other nodes would be told.
    pub told: u64,
}

impl Receipt<'_> {
    /// Undoes a take, unless its units have come back by themselves.
    ///
    /// Until the time that the take led to, nobody found the slot idle: the arrival time is the sum
    /// of what was taken, and the slot is still the subject's. After it units may have been
    /// forgotten as being back already, and these are not to come back twice. The time is read
    /// after the arrival time, so that it is later than any other's that led to that.
    pub fn give_back(&self, clock: Clock) {
        let mut arrival = self.arrival.load(Acquire);
        while arrival & MOVING == 0 && clock.now() < self.after {
            let before = arrival.saturating_sub(self.charge);
            match self.arrival.compare_exchange_weak(arrival, before, AcqRel, Acquire) {
                Ok(_) => {
                    // If it was drained already the others count it; that is to the strict side.
                    let untold = |usage: u64| Some(usage.saturating_sub(self.told));
                    let _ = self.usage.fetch_update(Relaxed, Relaxed, untold);
                    return;
                }
                Err(changed) => arrival = changed,
            }
        }
    }
}
