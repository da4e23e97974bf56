//! `UUIDv7` (RFC 9562) and its `TypeID` text.

use crate::error::Error;
use std::sync::{Mutex, PoisonError};

/// The 74 bits of a `UUIDv7` that are not its time, version or variant.
const COUNTER_BITS: u32 = 74;
const COUNTER_MAX: u128 = (1 << COUNTER_BITS) - 1;
/// Lower-case Crockford base32: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX: usize = 26;

/// Hands out ids that sort in the order they were made.
///
/// The random field is a counter: within a millisecond it grows by a random step of 1 to 2^32, so
/// ids stay unguessable and two processes that share a millisecond don't collide (RFC 9562,
/// section 6.2, method 2).
struct Generator {
    last_ms: u64,
    counter: u128,
}

impl Generator {
    const fn new() -> Self {
        Self { last_ms: 0, counter: 0 }
    }

    fn next(&mut self, unix_ms: u64, random: u128) -> [u8; 16] {
        if unix_ms > self.last_ms {
            self.last_ms = unix_ms;
            // The top bit stays clear, which leaves at least 2^41 ids to the millisecond.
            self.counter = random & (COUNTER_MAX >> 1);
        } else {
            self.counter += (random & 0xffff_ffff) + 1;
            if self.counter > COUNTER_MAX {
                self.last_ms += 1;
                self.counter &= COUNTER_MAX >> 1;
            }
        }
        let high = self.counter >> 62;
        let low = self.counter & ((1 << 62) - 1);
        let bits =
            (u128::from(self.last_ms) << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low;
        bits.to_be_bytes()
    }
}

static GENERATOR: Mutex<Generator> = Mutex::new(Generator::new());

/// A new `UUIDv7` for `unix_ms`, greater than every one this process made before.
///
/// A time before the last one given is answered with the last one: ids never go backwards.
pub fn uuid7(unix_ms: u64) -> Result<[u8; 16], Error> {
    if unix_ms >= 1 << 48 {
        return Err(Error::Milliseconds);
    }
    let random = random()?;
    // A poisoned lock still guards two numbers that are valid in any state.
    let mut generator = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(generator.next(unix_ms, random))
}

/// A new `UUIDv7` for any time, before or after all others: it neither follows nor moves the
/// process's clock, for ids whose time a caller makes up.
pub fn detached_uuid7(unix_ms: u64) -> Result<[u8; 16], Error> {
    Ok(Generator::new().next(unix_ms, random()?))
}

fn random() -> Result<u128, Error> {
    // Read from the system each time: a buffer would be the same in both halves of a fork.
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Error::Randomness)?;
    Ok(u128::from_le_bytes(bytes))
}

/// The `TypeID` text of a UUID: `prefix_` and 26 characters of base32 (`TypeID` specification 0.3).
pub fn typeid(prefix: &str, uuid: &[u8]) -> Result<String, Error> {
    check_prefix(prefix)?;
    let bytes: [u8; 16] = uuid.try_into().map_err(|_| Error::UuidLength)?;
    let bits = u128::from_be_bytes(bytes);
    let mut text = String::with_capacity(prefix.len() + 1 + SUFFIX);
    text.push_str(prefix);
    if !prefix.is_empty() {
        text.push('_');
    }
    for place in (0..SUFFIX).rev() {
        text.push(char::from(ALPHABET[(bits >> (5 * place)) as usize & 31]));
    }
    Ok(text)
}

/// The UUID of a `TypeID` that has exactly this prefix; the strict inverse of [`typeid`].
pub fn typeid_parse(prefix: &str, text: &str) -> Result<[u8; 16], Error> {
    check_prefix(prefix)?;
    let suffix = if prefix.is_empty() {
        Some(text)
    } else {
        text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'))
    };
    let suffix = suffix.ok_or_else(|| Error::TypeIdKind(prefix.to_owned()))?.as_bytes();
    // 26 characters hold 130 bits; the first one may only use its lower three.
    if suffix.len() != SUFFIX || suffix[0] > b'7' {
        return Err(Error::TypeIdSuffix);
    }
    let mut bits: u128 = 0;
    for byte in suffix {
        let digit = ALPHABET.iter().position(|known| known == byte).ok_or(Error::TypeIdSuffix)?;
        bits = (bits << 5) | digit as u128;
    }
    Ok(bits.to_be_bytes())
}

fn check_prefix(prefix: &str) -> Result<(), Error> {
    let clean = prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if clean && prefix.len() <= 63 && !prefix.starts_with('_') && !prefix.ends_with('_') {
        Ok(())
    } else {
        Err(Error::TypeIdPrefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_time_version_and_variant() {
        let id = Generator::new().next(0x0123_4567_89ab, u128::MAX);
        assert_eq!(id[..6], [0x01, 0x23, 0x45, 0x67, 0x89, 0xab]);
        assert_eq!(id[6] >> 4, 7);
        assert_eq!(id[8] >> 6, 0b10);
    }

    #[test]
    fn ids_only_grow_even_when_the_clock_steps_back() {
        let mut generator = Generator::new();
        let mut last = generator.next(1000, 7);
        for (ms, random) in [(1000, 0), (999, 1), (0, u128::MAX), (1001, 0), (1001, 0)] {
            let next = generator.next(ms, random);
            assert!(next > last, "{ms}");
            last = next;
        }
    }

    #[test]
    fn a_full_counter_borrows_the_next_millisecond() {
        let mut generator = Generator { last_ms: 5, counter: COUNTER_MAX };
        let before = Generator { last_ms: 5, counter: COUNTER_MAX - 1 }.next(5, 0);
        let after = generator.next(5, 0);
        assert!(after > before);
        assert_eq!(generator.last_ms, 6);
    }

    #[test]
    fn typeid_agrees_with_the_specifications_examples() -> Result<(), Error> {
        // From valid.yml of the TypeID specification.
        let nil = [0; 16];
        assert_eq!(typeid("", &nil)?, "00000000000000000000000000");
        assert_eq!(typeid("", &[0xff; 16])?, "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        let id = 0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881_u128.to_be_bytes();
        assert_eq!(typeid("prefix", &id)?, "prefix_01h2xcejqtf2nbrexx3vqjhp41"[..].to_owned());
        assert_eq!(typeid_parse("prefix", "prefix_01h2xcejqtf2nbrexx3vqjhp41")?, id);
        Ok(())
    }

    #[test]
    fn typeid_parse_is_strict() {
        for text in [
            "evt_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "evt_0000000000000000000000000",
            "evt_000000000000000000000000000",
            "evt_0000000000000000000000000U",
            "evt_0000000000000000000000000A",
            "dst_00000000000000000000000000",
            "evt00000000000000000000000000",
            "00000000000000000000000000",
            "",
        ] {
            assert!(typeid_parse("evt", text).is_err(), "{text}");
        }
        assert_eq!(typeid("_evt", &[0; 16]), Err(Error::TypeIdPrefix));
        assert_eq!(typeid("evt", &[0; 15]), Err(Error::UuidLength));
    }
}
