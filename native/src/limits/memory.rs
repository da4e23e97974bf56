//! The table's memory: 64-bit words that other processes change at the same time.
//!
//! The one module with `unsafe`. Everything else sees a slice of atomics.
#![allow(unsafe_code)]

use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;

/// Bytes in a word.
pub const WORD: usize = 8;

/// Mapped words, zero where nobody wrote.
#[derive(Debug)]
pub struct Memory {
    map: MmapRaw,
    words: usize,
}

impl Memory {
    /// So many words of this process's own.
    pub fn private(words: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(words * WORD).map_anon()?.into();
        Ok(Self { map, words })
    }

    /// So many words of a file, shared with all who map it. The file must be as long.
    pub fn shared(file: &File, words: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(words * WORD).map_raw(file)?;
        Ok(Self { map, words })
    }

    /// The words.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is readable and writable, is `words * WORD` bytes long, begins at a
        // page and lives as long as `self`. Any bytes are a valid `AtomicU64`, and nobody reads or
        // writes them but through atomics of this size: the map is never handed out otherwise. A
        // file that is truncated under us ends the process with SIGBUS, which is no unsoundness.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), self.words) }
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn a_private_memory_is_zero_and_keeps_what_is_written() {
        let memory = Memory::private(1024);
        let words = memory.as_ref().map(Memory::words).unwrap_or_default();
        assert_eq!(words.len(), 1024);
        assert!(words.iter().all(|word| word.load(Relaxed) == 0));
        words[1023].store(7, Relaxed);
        assert_eq!(words[1023].load(Relaxed), 7);
    }
}
