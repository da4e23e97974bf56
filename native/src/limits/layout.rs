//! Where things are in the table's memory.

use super::memory::{Memory, WORD};
use crate::error::Error;
use sha2::{Digest, Sha256};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// What a file of ours begins with.
const MAGIC: u64 = u64::from_le_bytes(*b"xdlimits");
/// Raised when any of this changes its meaning.
const VERSION: u64 = 1;
/// A page, of which only the first words are used. What is read at each take has a cache line of
/// its own, away from what is written now and then.
const HEADER: usize = 4096 / WORD;
/// Arrival time, owner, usage and nothing: two slots share a cache line, and none crosses one.
const OWNED: usize = 4;
/// Arrival time and usage.
const COMMON: usize = 2;
/// Slots for subjects without number. The same on all nodes, which name them by their place.
pub const COMMON_SLOTS: usize = 1 << 17;

/// How many subjects have a slot of their own at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(usize);

/// The first page.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a>(&'a [AtomicU64]);

/// A slot that one subject owns at a time.
#[derive(Debug, Clone, Copy)]
pub struct Owned<'a> {
    /// When the owner's units will all be back; see `slots.rs` for what else it may hold.
    pub arrival: &'a AtomicU64,
    /// Whose it is.
    pub owner: &'a AtomicU64,
    /// What was taken here since the last drain, in nanoseconds.
    pub usage: &'a AtomicU64,
}

/// A slot that belongs to all whose hash leads here.
#[derive(Debug, Clone, Copy)]
pub struct Common<'a> {
    /// When the units will all be back.
    pub arrival: &'a AtomicU64,
    /// What was taken here since the last drain, in nanoseconds.
    pub usage: &'a AtomicU64,
}

impl Size {
    /// Room for as many, rounded up to a power of two.
    pub fn new(slots: usize) -> Result<Self, Error> {
        const LEAST: usize = 64;
        const MOST: usize = 1 << 24;
        if !(LEAST..=MOST).contains(&slots) {
            return Err(Error::Limit("slots must be 64 to 16,777,216"));
        }
        Ok(Self(slots.next_power_of_two()))
    }

    /// Slots with one owner each.
    pub fn slots(self) -> usize {
        self.0
    }

    /// Words in all.
    pub fn words(self) -> usize {
        HEADER + self.0 * OWNED + COMMON_SLOTS * COMMON
    }

    /// The header, of memory that has this size.
    pub fn header(self, memory: &Memory) -> Header<'_> {
        Header(&memory.words()[..HEADER])
    }

    /// The slot at a place, counted around.
    pub fn owned(self, memory: &Memory, place: usize) -> Owned<'_> {
        let first = HEADER + (place & (self.0 - 1)) * OWNED;
        let words = &memory.words()[first..first + OWNED];
        Owned { arrival: &words[0], owner: &words[1], usage: &words[2] }
    }

    /// The common slot at a place, counted around.
    pub fn common(self, memory: &Memory, place: usize) -> Common<'_> {
        let first = HEADER + self.0 * OWNED + (place & (COMMON_SLOTS - 1)) * COMMON;
        let words = &memory.words()[first..first + COMMON];
        Common { arrival: &words[0], usage: &words[1] }
    }
}

impl<'a> Header<'a> {
    /// Makes zeroed memory a table.
    pub fn write(self, size: Size, boot: &[u8], now: u64) {
        for (word, value) in self.0.iter().zip(identity(size, boot)) {
            word.store(value, Relaxed);
        }
        self.share().store(1, Relaxed);
        self.clock().store(now, Relaxed);
    }

    /// Whether this is a table of that size, of this boot, and of this clock: one that read a
    /// later time than now came from another.
    pub fn fits(self, size: Size, boot: &[u8], now: u64) -> bool {
        const APART: u64 = 1_000_000_000;
        let same = self
            .0
            .iter()
            .zip(identity(size, boot))
            .all(|(word, expected)| word.load(Relaxed) == expected);
        let nodes = 1..=super::gcra::MAX_NODES;
        same && nodes.contains(&self.share().load(Relaxed))
            && self.clock().load(Relaxed) <= now.saturating_add(APART)
    }

    /// Among how many nodes limits are divided.
    pub fn share(self) -> &'a AtomicU64 {
        &self.0[8]
    }

    /// When the table was last drained; 0 for never.
    pub fn drained(self) -> &'a AtomicU64 {
        &self.0[9]
    }

    /// The latest time that was noted.
    pub fn clock(self) -> &'a AtomicU64 {
        &self.0[16]
    }

    /// Slots that changed hands.
    pub fn evicted(self) -> &'a AtomicU64 {
        &self.0[24]
    }

    /// Subjects that found the first of their slots in use.
    pub fn collisions(self) -> &'a AtomicU64 {
        &self.0[25]
    }

    /// Takes that were admitted for want of a slot.
    pub fn crowded(self) -> &'a AtomicU64 {
        &self.0[26]
    }
}

/// What tells one table from another.
fn identity(size: Size, boot: &[u8]) -> [u64; 6] {
    let digest = Sha256::digest(boot);
    let (words, _) = digest.as_chunks::<WORD>();
    let word = |place: usize| words.get(place).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    [MAGIC, VERSION, size.0 as u64, COMMON_SLOTS as u64, word(0), word(1)]
}

#[cfg(test)]
mod tests {
    use super::{Memory, Size};
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn sizes_are_powers_of_two_within_range() {
        let slots = |slots| Size::new(slots).map_or(0, Size::slots);
        assert_eq!([64, 65, 1 << 24].map(slots), [64, 128, 1 << 24]);
        assert_eq!([0, 63, (1 << 24) + 1, usize::MAX].map(slots), [0; 4]);
    }

    #[test]
    fn no_word_has_two_meanings() -> Result<(), Box<dyn std::error::Error>> {
        let size = Size::new(64)?;
        let memory = Memory::private(size.words())?;
        for place in 0..64 {
            let slot = size.owned(&memory, place);
            for word in [slot.arrival, slot.owner, slot.usage] {
                assert_eq!(word.fetch_add(1, Relaxed), 0);
            }
        }
        for place in 0..super::COMMON_SLOTS {
            let slot = size.common(&memory, place);
            assert_eq!(slot.arrival.fetch_add(1, Relaxed), 0);
            assert_eq!(slot.usage.fetch_add(1, Relaxed), 0);
        }
        let header = size.header(&memory);
        assert!(header.0.iter().all(|word| word.load(Relaxed) == 0));
        Ok(())
    }

    #[test]
    fn a_table_fits_only_its_own_size_boot_and_clock() -> Result<(), Box<dyn std::error::Error>> {
        let (size, other) = (Size::new(64)?, Size::new(128)?);
        let memory = Memory::private(other.words())?;
        let header = size.header(&memory);
        assert!(!header.fits(size, b"boot", 5), "zeroes are no table");
        header.write(size, b"boot", 5_000_000_000);
        assert!(header.fits(size, b"boot", 5_000_000_000));
        assert!(header.fits(size, b"boot", 4_000_000_000));
        assert!(!header.fits(size, b"boot", 3_999_999_999));
        assert!(!header.fits(size, b"another", 5_000_000_000));
        assert!(!header.fits(other, b"boot", 5_000_000_000));
        header.share().store(0, Relaxed);
        assert!(!header.fits(size, b"boot", 5_000_000_000));
        Ok(())
    }
}
