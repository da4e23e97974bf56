//! What one node tells the others: keys and how far they moved on, in nanoseconds.

use super::layout::COMMON_SLOTS;
use super::limit::HASH_BITS;
use crate::error::Error;

/// Pairs in a message, at most: half of what a broker takes.
pub const MOST: usize = 32 * 1024;

const VERSION: u8 = 1;
const PAIR: usize = 16;
/// Set in the key of a common slot, which is its place; any other key is a subject's hash.
const COMMON: u64 = 1 << 63;
/// No drain has more than an interval's takes, and those not this much: 146 years.
const MOST_CHARGE: u64 = 1 << 62;

/// Whose usage it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A subject with a slot of its own.
    Subject(u64),
    /// All subjects of a common slot.
    Common(usize),
}

/// Writes pairs down.
#[derive(Debug, Default)]
pub struct Usage(Vec<u8>);

impl Usage {
    /// Whether there is no room for another.
    pub fn is_full(&self) -> bool {
        self.0.len() > MOST * PAIR
    }

    /// Adds one.
    pub fn push(&mut self, key: Key, charge: u64) {
        if self.0.is_empty() {
            self.0.push(VERSION);
        }
        let key = match key {
            Key::Subject(hash) => hash,
            Key::Common(place) => COMMON | place as u64,
        };
        self.0.extend_from_slice(&key.to_le_bytes());
        self.0.extend_from_slice(&charge.min(MOST_CHARGE).to_le_bytes());
    }

    /// The message; empty if nothing was added.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads all pairs, or none if one is wrong.
pub fn read(bytes: &[u8]) -> Result<Vec<(Key, u64)>, Error> {
    let Some((version, pairs)) = bytes.split_first() else { return Ok(Vec::new()) };
    let (pairs, rest) = pairs.as_chunks::<PAIR>();
    if *version != VERSION || !rest.is_empty() || pairs.len() > MOST {
        return Err(Error::Usage);
    }
    pairs.iter().map(|pair| read_pair(*pair).ok_or(Error::Usage)).collect()
}

fn read_pair(pair: [u8; PAIR]) -> Option<(Key, u64)> {
    let both = u128::from_le_bytes(pair);
    let (charge, key) =
        (u64::try_from(both >> 64).ok()?, u64::try_from(both & u128::from(u64::MAX)).ok()?);
    let key = if key & COMMON == 0 {
        (1..1 << HASH_BITS).contains(&key).then_some(Key::Subject(key))
    } else {
        let place = usize::try_from(key & !COMMON).ok()?;
        (place < COMMON_SLOTS).then_some(Key::Common(place))
    }?;
    (1..=MOST_CHARGE).contains(&charge).then_some((key, charge))
}

#[cfg(test)]
mod tests {
    use super::{COMMON, COMMON_SLOTS, Key, MOST, MOST_CHARGE, PAIR, Usage, VERSION, read};

    fn message(pairs: &[(u64, u64)]) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for (key, charge) in pairs {
            bytes.extend_from_slice(&key.to_le_bytes());
            bytes.extend_from_slice(&charge.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let pairs = vec![(Key::Subject(1), 1), (Key::Common(COMMON_SLOTS - 1), MOST_CHARGE)];
        let mut usage = Usage::default();
        for (key, charge) in &pairs {
            usage.push(*key, *charge);
        }
        assert_eq!(read(&usage.into_bytes()), Ok(pairs));
        assert_eq!(read(&Usage::default().into_bytes()), Ok(Vec::new()));
    }

    #[test]
    fn a_full_message_is_read_and_a_fuller_one_is_not() {
        let mut usage = Usage::default();
        while !usage.is_full() {
            usage.push(Key::Subject(7), 1);
        }
        let mut bytes = usage.into_bytes();
        assert_eq!(bytes.len(), 1 + MOST * PAIR);
        assert!(read(&bytes).is_ok());
        bytes.extend_from_within(1..=PAIR);
        assert!(read(&bytes).is_err());
    }

    #[test]
    fn nothing_of_a_malformed_message_is_read() {
        for pair in [
            (0, 1),
            (1 << 56, 1),
            (1, 0),
            (1, MOST_CHARGE + 1),
            (COMMON | COMMON_SLOTS as u64, 1),
            (u64::MAX, 1),
        ] {
            assert!(read(&message(&[(1, 1), pair])).is_err(), "{pair:?}");
        }
        let right = message(&[(1, 1)]);
        assert!(read(&right).is_ok());
        assert!(read(&right[..right.len() - 1]).is_err());
        assert!(read(&[&right[..], b"x"].concat()).is_err());
        assert!(read(&[&[2], &right[1..]].concat()).is_err());
    }
}
