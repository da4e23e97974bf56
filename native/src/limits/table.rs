//! The table: limits taken all or none, and what nodes tell each other of it.

use super::clock::Clock;
use super::file;
use super::gcra::MAX_NODES;
use super::layout::{COMMON_SLOTS, Size};
use super::limit::Limit;
use super::memory::Memory;
use super::outcome::{Outcome, Seen};
use super::receipt::Receipt;
use super::slots::{Advanced, MOVING, Slots, owner};
use super::usage::{Key, Usage, read};
use crate::error::Error;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicU64, AtomicUsize};

/// Limits of one take.
pub const MAX_LIMITS: usize = 8;

/// Beyond any arrival time that taking leads to, and below [`MOVING`].
const LAST_ARRIVAL: u64 = 1 << 62;

/// See the stub's `LimitTable`.
#[derive(Debug)]
pub struct Table {
    memory: Memory,
    size: Size,
    /// Where the next drain begins, so that none is always left for later.
    cursor: AtomicUsize,
}

/// The stub's `LimitTable.stats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Subjects that have room at once.
    pub slots: u64,
    /// Those whose units are not all back.
    pub used: u64,
    /// Slots that changed hands.
    pub evicted: u64,
    /// Subjects that found the first of their slots in use.
    pub collisions: u64,
    /// Takes that were admitted for want of a slot.
    pub crowded: u64,
}

/// What one limit said.
enum Charged<'a> {
    /// It had room.
    Yes { seen: Seen, receipt: Receipt<'a> },
    /// It had none.
    No(Seen),
    /// There is no slot to count in.
    Crowded,
}

impl Table {
    /// One of this process's own.
    pub fn private(size: Size, clock: Clock) -> io::Result<Self> {
        let memory = Memory::private(size.words())?;
        size.header(&memory).write(size, b"", clock.now());
        Ok(Self { memory, size, cursor: AtomicUsize::new(0) })
    }

    /// The one in a file, which is made if need be.
    pub fn open(path: &Path, boot: &[u8], size: Size, clock: Clock) -> io::Result<Self> {
        let memory = file::open(path, boot, size, clock.now())?;
        Ok(Self { memory, size, cursor: AtomicUsize::new(0) })
    }

    /// Takes the cost of each limit, or nothing.
    pub fn take(&self, limits: &[&Limit], cost: u64, clock: Clock) -> Outcome {
        let now = clock.now();
        let nodes = self.share();
        // A look costs little, and saves taking from some what another then refuses.
        let looked = self.look(limits, cost, nodes, now);
        if !looked.admitted() {
            return looked;
        }
        let mut outcome = Outcome::default();
        let mut receipts: [Option<Receipt<'_>>; MAX_LIMITS] = Default::default();
        for (limit, receipt) in limits.iter().zip(&mut receipts) {
            match self.charge(limit, cost, nodes, clock, now) {
                Charged::Yes { seen, receipt: given } => {
                    outcome.add(seen);
                    *receipt = Some(given);
                }
                Charged::Crowded => {
                    self.header().crowded().fetch_add(1, Relaxed);
                    let rate = limit.rate.of_one_among(nodes);
                    let after = rate.take(0, now, cost).unwrap_or(now);
                    outcome.add(Seen::after(rate, after, now, limit.burst));
                }
                Charged::No(seen) => {
                    for receipt in receipts.iter().flatten() {
                        receipt.give_back(clock);
                    }
                    return self.refuse(limits, limit, seen, (cost, nodes, now));
                }
            }
        }
        outcome
    }

    /// What `take` would say to one unit of each.
    pub fn peek(&self, limits: &[&Limit], clock: Clock) -> Outcome {
        self.look(limits, 1, self.share(), clock.now())
    }

    /// What was taken since the last time, as [`read`] reads it.
    pub fn drain(&self, clock: Clock) -> Vec<u8> {
        let now = clock.now();
        self.note(now);
        // Not 0, which says that nobody drains.
        self.header().drained().store(now.max(1), Relaxed);
        let mut usage = Usage::default();
        let all = self.size.slots() + COMMON_SLOTS;
        let first = self.cursor.load(Relaxed);
        for step in 0..all {
            if usage.is_full() {
                self.cursor.store((first + step) % all, Relaxed);
                break;
            }
            self.drain_one((first + step) % all, &mut usage);
        }
        usage.into_bytes()
    }

    /// Counts what another node took.
    pub fn apply(&self, usage: &[u8], clock: Clock) -> Result<(), Error> {
        let pairs = read(usage)?;
        let now = clock.now();
        self.note(now);
        for (key, charge) in pairs {
            let later = |arrival: u64, now: u64| {
                Some(arrival.max(now).saturating_add(charge).min(LAST_ARRIVAL))
            };
            match key {
                Key::Subject(hash) => {
                    if self.slots().advance(hash, clock, now, later) == Advanced::Nowhere {
                        self.header().crowded().fetch_add(1, Relaxed);
                    }
                }
                Key::Common(place) => {
                    let slot = self.size.common(&self.memory, place);
                    let _ = advance(slot.arrival, |arrival| later(arrival, now));
                }
            }
        }
        Ok(())
    }

    /// Among how many nodes limits are divided.
    pub fn share(&self) -> u64 {
        self.header().share().load(Relaxed).clamp(1, MAX_NODES)
    }

    /// Divides limits among so many nodes.
    pub fn set_share(&self, nodes: u64) -> Result<(), Error> {
        if !(1..=MAX_NODES).contains(&nodes) {
            return Err(Error::Limit("nodes must be 1 to 1,024"));
        }
        self.header().share().store(nodes, Relaxed);
        Ok(())
    }

    /// The table in numbers.
    pub fn stats(&self, clock: Clock) -> Stats {
        let now = clock.now();
        let in_use = |place: &usize| {
            let slot = self.slots().at(*place);
            let arrival = slot.arrival.load(Relaxed);
            owner(slot) != 0 && arrival & MOVING == 0 && arrival > now
        };
        let header = self.header();
        Stats {
            slots: self.size.slots() as u64,
            used: (0..self.size.slots()).filter(in_use).count() as u64,
            evicted: header.evicted().load(Relaxed),
            collisions: header.collisions().load(Relaxed),
            crowded: header.crowded().load(Relaxed),
        }
    }

    fn look(&self, limits: &[&Limit], cost: u64, nodes: u64, now: u64) -> Outcome {
        let mut outcome = Outcome::default();
        for limit in limits {
            outcome.add(self.seen(limit, cost, nodes, now));
        }
        outcome
    }

    fn seen(&self, limit: &Limit, cost: u64, nodes: u64, now: u64) -> Seen {
        let arrival = if limit.shared_slot {
            self.size.common(&self.memory, place_of(limit)).arrival.load(Acquire)
        } else {
            self.slots().arrival(limit.hash)
        };
        Seen::before(limit.rate.of_one_among(nodes), arrival, now, cost, limit.burst)
    }

    /// What is said when one limit, and it alone for sure, had no room.
    fn refuse(
        &self,
        limits: &[&Limit],
        by: &Limit,
        seen: Seen,
        (cost, nodes, now): (u64, u64, u64),
    ) -> Outcome {
        let mut outcome = Outcome::default();
        for limit in limits {
            let itself = std::ptr::eq(*limit, by);
            outcome.add(if itself { seen } else { self.seen(limit, cost, nodes, now) });
        }
        outcome
    }

    fn charge(&self, limit: &Limit, cost: u64, nodes: u64, clock: Clock, now: u64) -> Charged<'_> {
        let rate = limit.rate.of_one_among(nodes);
        let next = |arrival: u64, now: u64| rate.take(arrival, now, cost);
        let no = |arrival: u64, now: u64| {
            Charged::No(Seen::before(rate, arrival, now, cost, limit.burst))
        };
        let (arrival, usage, after, now) = if limit.shared_slot {
            let slot = self.size.common(&self.memory, place_of(limit));
            match advance(slot.arrival, |arrival| next(arrival, now)) {
                Ok(after) => (slot.arrival, slot.usage, after, now),
                Err(before) => return no(before, now),
            }
        } else {
            match self.slots().advance(limit.hash, clock, now, next) {
                Advanced::To { place, arrival, now } => {
                    let slot = self.slots().at(place);
                    (slot.arrival, slot.usage, arrival, now)
                }
                Advanced::Not { arrival, now } => return no(arrival, now),
                Advanced::Nowhere => return Charged::Crowded,
            }
        };
        let told = limit.rate.charge(cost);
        usage.fetch_add(told, Relaxed);
        Charged::Yes {
            seen: Seen::after(rate, after, now, limit.burst),
            receipt: Receipt { arrival, usage, after, charge: rate.charge(cost), told },
        }
    }

    /// Adds what was taken in the slot at a place, of owned and common ones counted together.
    pub(super) fn drain_one(&self, place: usize, usage: &mut Usage) {
        let (key, word) = if let Some(place) = place.checked_sub(self.size.slots()) {
            (Key::Common(place), self.size.common(&self.memory, place).usage)
        } else {
            let slot = self.slots().at(place);
            // Of a slot with usage the owner stays the same while there are drains.
            (Key::Subject(owner(slot)), slot.usage)
        };
        if word.load(Relaxed) == 0 || key == Key::Subject(0) {
            return;
        }
        let charge = word.swap(0, AcqRel);
        if charge > 0 {
            usage.push(key, charge);
        }
    }

    /// Remembers a time, so that a table of another clock is known for one.
    fn note(&self, now: u64) {
        self.header().clock().fetch_max(now, Relaxed);
    }

    fn header(&self) -> super::layout::Header<'_> {
        self.size.header(&self.memory)
    }

    fn slots(&self) -> Slots<'_> {
        Slots::new(&self.memory, self.size)
    }
}

/// Swaps a common slot's arrival time for the next one, or says which one has none.
fn advance(arrival: &AtomicU64, next: impl Fn(u64) -> Option<u64>) -> Result<u64, u64> {
    let mut before = arrival.load(Acquire);
    loop {
        let after = next(before).ok_or(before)?;
        match arrival.compare_exchange_weak(before, after, AcqRel, Acquire) {
            Ok(_) => return Ok(after),
            Err(changed) => before = changed,
        }
    }
}

/// Where a limit with a common slot is counted.
fn place_of(limit: &Limit) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "the slots are fewer than 2^32")]
    let place = limit.hash as usize;
    place & (COMMON_SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::{Charged, Clock, Limit, Size, Table};
    use std::error::Error;

    const NOW: u64 = 1_000_000_000_000;
    const SECOND: u64 = 1_000_000_000;

    fn table() -> Result<Table, Box<dyn Error>> {
        Ok(Table::private(Size::new(64)?, Clock::Fixed(NOW))?)
    }

    #[test]
    fn units_that_came_back_are_not_given_back_again() -> Result<(), Box<dyn Error>> {
        for shared_slot in [false, true] {
            let table = table()?;
            let limit = Limit::new("a", b"", 1, 1.0, Some(10), shared_slot)?;
            let left = |at: u64| table.peek(&[&limit], Clock::Fixed(at)).remaining();
            let Charged::Yes { receipt, .. } = table.charge(&limit, 3, 1, Clock::Fixed(NOW), NOW)
            else {
                return Err("refused".into());
            };
            assert_eq!(left(NOW), 7);
            receipt.give_back(Clock::Fixed(NOW));
            assert_eq!(left(NOW), 10);
            assert!(table.drain(Clock::Fixed(NOW)).is_empty());
            let Charged::Yes { receipt, .. } = table.charge(&limit, 3, 1, Clock::Fixed(NOW), NOW)
            else {
                return Err("refused".into());
            };
            receipt.give_back(Clock::Fixed(NOW + SECOND));
            assert_eq!(left(NOW + SECOND), 10);
            assert!(table.take(&[&limit], 10, Clock::Fixed(NOW + 4 * SECOND)).admitted());
            receipt.give_back(Clock::Fixed(NOW + 4 * SECOND));
            assert_eq!(left(NOW + 4 * SECOND), 0);
            assert_eq!(table.drain(Clock::Fixed(NOW)).len(), 17);
        }
        Ok(())
    }

    #[test]
    fn what_is_applied_is_not_told_again() -> Result<(), Box<dyn Error>> {
        let (one, two) = (table()?, table()?);
        let clock = Clock::Fixed(NOW);
        for shared_slot in [false, true] {
            let limit = Limit::new("a", b"", 1, 1.0, Some(10), shared_slot)?;
            assert!(one.take(&[&limit], 4, clock).admitted());
            two.apply(&one.drain(clock), clock)?;
            assert_eq!(two.peek(&[&limit], clock).remaining(), 6);
        }
        assert!(one.drain(clock).is_empty());
        assert!(two.drain(clock).is_empty());
        Ok(())
    }

    #[test]
    fn drains_of_a_full_table_come_in_parts_and_leave_nothing() -> Result<(), Box<dyn Error>> {
        let (one, two) = (table()?, table()?);
        let clock = Clock::Fixed(NOW);
        let limits = (0..100_000_u32)
            .map(|subject| Limit::new("a", &subject.to_le_bytes(), 1, 1.0, Some(1_000), true))
            .collect::<Result<Vec<_>, _>>()?;
        let mut drains = 0;
        for _ in 0..3 {
            // All are always busy: what did not fit last time comes first now.
            for limit in &limits {
                assert!(one.take(&[limit], 1, clock).admitted());
            }
            two.apply(&one.drain(clock), clock)?;
        }
        for limit in &limits {
            assert!(two.peek(&[limit], clock).remaining() < 1_000);
        }
        loop {
            let usage = one.drain(clock);
            if usage.is_empty() {
                break;
            }
            assert!(usage.len() <= 1 + 512 * 1024);
            two.apply(&usage, clock)?;
            drains += 1;
        }
        assert!(drains >= 2);
        for limit in &limits {
            let left = |table: &Table| table.peek(&[limit], clock).remaining();
            assert_eq!(left(&one), left(&two));
        }
        Ok(())
    }
}
