//! Slots that one subject owns at a time: how they are found, taken over and counted in.
//!
//! Nothing locks, and a process may end at any point. Two words make it exact:
//!
//! - *arrival* is the arrival time; while a slot changes hands it is [`MOVING`] and a number that
//!   no other take-over of it has. Only whoever put that number there may end the take-over.
//! - *owner* is the owner's hash, 0 for nobody, and how many take-overs of the slot were undone, so
//!   that whoever fell asleep in one cannot go on with it.
//!
//! Who takes units reads the arrival time, sees that the owner is right, and swaps the arrival time
//! for a later one. The swap fails if the slot changed hands in between, because a slot is taken
//! over only if its arrival time is in the past, and then gets a later one: no value comes again.
//!
//! Two who make a slot for the same subject at the same time write their owner's hash first and
//! look at the other slots then, so at least one of them sees the other.

use super::clock::Clock;
use super::layout::{Header, Owned, Size};
use super::memory::Memory;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

/// Set in an arrival time while its slot changes hands.
pub const MOVING: u64 = 1 << 63;

/// Slots in which a subject may be: eight cache lines.
const WINDOW: usize = 16;
const UNDONE_BITS: u32 = u64::BITS - super::limit::HASH_BITS;
const UNDONE: u64 = (1 << UNDONE_BITS) - 1;
/// How often to look before another's take-over is undone, and before giving up.
const PATIENCE: usize = 512;
const ATTEMPTS: usize = 4 * PATIENCE;
/// A take-over is over in a microsecond. This one's process is gone, or will find it undone.
const ABANDONED: u64 = 100_000_000;
/// What was taken is for other nodes to know: its slot is kept so long for the drain to come.
const KEPT_FOR_DRAIN: u64 = 2_000_000_000;

/// The owned slots of a table.
#[derive(Debug, Clone, Copy)]
pub struct Slots<'a> {
    memory: &'a Memory,
    size: Size,
}

/// What became of an arrival time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advanced {
    /// It is this now, in the slot at that place.
    To {
        /// Where.
        place: usize,
        /// What it is.
        arrival: u64,
        /// The time that was taken for now.
        now: u64,
    },
    /// There is no next one.
    Not {
        /// What it is.
        arrival: u64,
        /// The time that was taken for now.
        now: u64,
    },
    /// There is no slot to be had.
    Nowhere,
}

/// A slot that changes hands: where, what its arrival time is meanwhile, and whose it was.
#[derive(Debug, Clone, Copy)]
struct TakeOver {
    place: usize,
    moving: u64,
    before: u64,
}

/// What a look for a subject's slot shows.
enum Found {
    Here(usize, u64),
    Moving(usize, u64),
    Nowhere,
}

impl<'a> Slots<'a> {
    /// Those of a table.
    pub fn new(memory: &'a Memory, size: Size) -> Self {
        Self { memory, size }
    }

    /// The slot at a place.
    pub fn at(self, place: usize) -> Owned<'a> {
        self.size.owned(self.memory, place)
    }

    /// The arrival time of a subject, 0 if it has no slot.
    pub fn arrival(self, hash: u64) -> u64 {
        match self.find(hash) {
            Found::Here(_, arrival) => arrival,
            Found::Moving(..) | Found::Nowhere => 0,
        }
    }

    /// Swaps a subject's arrival time for what `next` makes of it and of the time.
    pub fn advance(
        self,
        hash: u64,
        clock: Clock,
        mut now: u64,
        next: impl Fn(u64, u64) -> Option<u64>,
    ) -> Advanced {
        loop {
            let Some(place) = self.place(hash, clock, &mut now) else { return Advanced::Nowhere };
            if let Some(advanced) = self.swap(place, hash, now, &next) {
                return advanced;
            }
        }
    }

    /// Advances in this slot; None if it is not, or no longer, the subject's.
    fn swap(
        self,
        place: usize,
        hash: u64,
        now: u64,
        next: &impl Fn(u64, u64) -> Option<u64>,
    ) -> Option<Advanced> {
        let slot = self.at(place);
        let mut arrival = slot.arrival.load(Acquire);
        while arrival & MOVING == 0 && owner(slot) == hash {
            let Some(after) = next(arrival, now) else {
                return Some(Advanced::Not { arrival, now });
            };
            match slot.arrival.compare_exchange_weak(arrival, after, AcqRel, Acquire) {
                Ok(_) => return Some(Advanced::To { place, arrival: after, now }),
                Err(changed) => arrival = changed,
            }
        }
        None
    }

    /// The subject's slot, made if it has none; None if all within reach are in use.
    ///
    /// A new slot begins at the time when it is made, not when its take began: the subject may have
    /// lost another slot in between, and what it took there must not be forgotten.
    fn place(self, hash: u64, clock: Clock, now: &mut u64) -> Option<usize> {
        for attempt in 0..ATTEMPTS {
            match self.find(hash) {
                Found::Here(place, _) => return Some(place),
                Found::Moving(place, moving) if attempt >= PATIENCE => {
                    self.release(place, moving, clock.now());
                }
                Found::Moving(..) => pause(attempt),
                Found::Nowhere => {
                    *now = clock.now();
                    let (place, arrival) = self.idle(hash, *now)?;
                    if arrival & MOVING != 0 {
                        self.release(place, arrival, *now);
                    } else if self.take_over(place, arrival, hash, *now) {
                        return Some(place);
                    } else {
                        pause(attempt);
                    }
                }
            }
        }
        None
    }

    fn find(self, hash: u64) -> Found {
        let mut found = Found::Nowhere;
        for place in window(hash) {
            let slot = self.at(place);
            // In this order: an arrival time is the owner's who is read after it, or it has changed.
            let arrival = slot.arrival.load(Acquire);
            if owner(slot) == hash {
                if arrival & MOVING == 0 {
                    return Found::Here(place, arrival);
                }
                found = Found::Moving(place, arrival);
            }
        }
        found
    }

    /// The first slot within reach that nobody needs: its owner's units are all back.
    fn idle(self, hash: u64, now: u64) -> Option<(usize, u64)> {
        let header = self.header();
        let drained = header.drained().load(Relaxed);
        let draining = drained != 0 && drained.saturating_add(KEPT_FOR_DRAIN) > now;
        for (step, place) in window(hash).enumerate() {
            let slot = self.at(place);
            let arrival = slot.arrival.load(Acquire);
            let free = if arrival & MOVING == 0 {
                arrival < now && !(draining && slot.usage.load(Relaxed) != 0)
            } else {
                (arrival & !MOVING).saturating_add(ABANDONED) < now
            };
            if free {
                if step > 0 {
                    header.collisions().fetch_add(1, Relaxed);
                }
                return Some((place, arrival));
            }
        }
        None
    }

    /// Makes an idle slot the subject's, unless somebody is faster.
    fn take_over(self, place: usize, arrival: u64, hash: u64, now: u64) -> bool {
        let Some(take_over) = self.begin(place, arrival, now) else { return false };
        if !self.sign(take_over, hash) {
            return false;
        }
        if !self.alone(place, hash) {
            self.release(place, take_over.moving, now);
            return false;
        }
        let done = self.finish(take_over, now);
        if done && take_over.before >> UNDONE_BITS != 0 {
            self.header().evicted().fetch_add(1, Relaxed);
        }
        done
    }

    /// Begins a take-over. From here on it may be undone by others, whom we seem to keep waiting.
    fn begin(self, place: usize, arrival: u64, now: u64) -> Option<TakeOver> {
        let slot = self.at(place);
        let moving = MOVING | now;
        slot.arrival.compare_exchange(arrival, moving, SeqCst, Relaxed).ok()?;
        let before = slot.owner.load(SeqCst);
        // Still ours, so this is who owned it when it became ours.
        (slot.arrival.load(SeqCst) == moving).then_some(TakeOver { place, moving, before })
    }

    /// Writes the new owner down.
    fn sign(self, take_over: TakeOver, hash: u64) -> bool {
        let slot = self.at(take_over.place);
        let after = (hash << UNDONE_BITS) | (take_over.before & UNDONE);
        let signed = slot.owner.compare_exchange(take_over.before, after, SeqCst, Relaxed).is_ok();
        if signed {
            slot.usage.store(0, Relaxed);
        }
        signed
    }

    /// Ends a take-over: the slot counts from now on.
    fn finish(self, take_over: TakeOver, now: u64) -> bool {
        let slot = self.at(take_over.place);
        slot.arrival.compare_exchange(take_over.moving, now, SeqCst, Relaxed).is_ok()
    }

    /// Whether no other slot is, or is about to be, the subject's.
    ///
    /// Of two who see each other the one further on gives up, and the other waits for that.
    fn alone(self, place: usize, hash: u64) -> bool {
        for attempt in 0..PATIENCE {
            let mut rival = false;
            for other in window(hash) {
                if self.same(other, place) {
                    continue;
                }
                let slot = self.at(other);
                if slot.owner.load(SeqCst) >> UNDONE_BITS == hash {
                    let behind = self.wrapped(other) > self.wrapped(place);
                    if !behind || slot.arrival.load(SeqCst) & MOVING == 0 {
                        return false;
                    }
                    rival = true;
                }
            }
            if !rival {
                return true;
            }
            pause(attempt);
        }
        false
    }

    /// Undoes a take-over, ours or one whose process sleeps or is gone: the slot is nobody's then.
    fn release(self, place: usize, moving: u64, now: u64) {
        if let Some(released) = self.seize(place, moving) {
            self.clear(place, released, now);
        }
    }

    /// Makes a take-over ours alone; whose it was can't go on with it.
    fn seize(self, place: usize, moving: u64) -> Option<u64> {
        let released = moving + 1;
        let slot = self.at(place);
        slot.arrival.compare_exchange(moving, released, SeqCst, Relaxed).ok().map(|_| released)
    }

    /// Ends what was seized.
    fn clear(self, place: usize, released: u64, now: u64) {
        let slot = self.at(place);
        loop {
            let before = slot.owner.load(SeqCst);
            if slot.arrival.load(SeqCst) != released {
                return; // We slept, and it was seized from us.
            }
            // One further: whoever sleeps before signing never will.
            let after = before.wrapping_add(1) & UNDONE;
            if slot.owner.compare_exchange(before, after, SeqCst, Relaxed).is_ok() {
                break;
            }
        }
        // Later than it ever was, as after a take-over.
        let after = (released & !MOVING).max(now);
        let _ = slot.arrival.compare_exchange(released, after, SeqCst, Relaxed);
    }

    fn header(self) -> Header<'a> {
        self.size.header(self.memory)
    }

    fn wrapped(self, place: usize) -> usize {
        place & (self.size.slots() - 1)
    }

    fn same(self, one: usize, other: usize) -> bool {
        self.wrapped(one) == self.wrapped(other)
    }
}

/// The hash of a slot's owner.
pub fn owner(slot: Owned<'_>) -> u64 {
    slot.owner.load(Acquire) >> UNDONE_BITS
}

/// The places where a subject may be.
fn window(hash: u64) -> std::ops::Range<usize> {
    // Any bits will do on machines whose addresses are shorter.
    #[expect(clippy::cast_possible_truncation, reason = "the slots are fewer than 2^32")]
    let home = (hash as usize) & (usize::MAX >> 8);
    home..home + WINDOW
}

fn pause(attempt: usize) {
    const SPINS: usize = 16;
    if attempt < SPINS {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests;
