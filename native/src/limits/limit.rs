//! One subject under one policy.

use super::gcra::{Rate, seconds};
use crate::error::Error;
use sha2::{Digest, Sha256};

/// A subject's hash has so many bits: the rest of its word in the table is for `slots.rs`.
pub const HASH_BITS: u32 = 56;

const SECOND: f64 = 1e9;
const SHORTEST_S: f64 = 0.001;
const LONGEST_S: f64 = 31.0 * 86_400.0;
const MAX_BURST: u64 = 1_000_000_000;
/// A burst comes back within a leap year.
const MAX_TOLERANCE: u64 = 366 * 86_400 * 1_000_000_000;
/// An interval of a microsecond: rounded up to whole nanoseconds it is 0.1% slower at most.
const SHORTEST_INTERVAL: u64 = 1_000;

/// See the stub's `Limit`.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// The policy's name.
    pub name: String,
    /// Units that come back in a window.
    pub quota: u64,
    /// The window, in seconds.
    pub window_s: f64,
    /// Units that may be taken at once.
    pub burst: u64,
    /// Whether strangers may count in its slot.
    pub shared_slot: bool,
    /// What it is found by: [`HASH_BITS`] bits, never 0, which is nobody's.
    pub hash: u64,
    /// As the algorithm wants it.
    pub rate: Rate,
    /// Its member of the field `RateLimit-Policy`.
    pub policy: String,
}

impl Limit {
    /// A limit, if all is within range.
    pub fn new(
        name: &str,
        subject: &[u8],
        quota: u64,
        window_s: f64,
        burst: Option<u64>,
        shared_slot: bool,
    ) -> Result<Self, Error> {
        let named = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !(1..=32).contains(&name.len()) || !name.bytes().all(named) {
            return Err(Error::Limit("a limit's name is 1 to 32 of a-z, 0-9 and -"));
        }
        if !(SHORTEST_S..=LONGEST_S).contains(&window_s) {
            return Err(Error::Limit("window_s must be 0.001 to 2678400"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above"
        )]
        let window = (window_s * SECOND).round() as u64;
        if quota == 0 || quota > window / SHORTEST_INTERVAL {
            return Err(Error::Limit("quota must be 1 to 1,000,000 for each second of the window"));
        }
        let burst = burst.unwrap_or(quota);
        if !(1..=MAX_BURST).contains(&burst) {
            return Err(Error::Limit("burst must be 1 to 1,000,000,000"));
        }
        // Rounded up: never more than the quota.
        let interval = window.div_ceil(quota);
        let tolerance = interval.saturating_mul(burst);
        if tolerance > MAX_TOLERANCE {
            return Err(Error::Limit("a burst must come back within 366 days"));
        }
        let refill = if burst == quota { window } else { tolerance };
        Ok(Self {
            name: name.to_owned(),
            quota,
            window_s,
            burst,
            shared_slot,
            hash: hash(name, subject, [quota, window, burst]),
            rate: Rate { interval, tolerance },
            policy: format!("\"{name}\";q={burst};w={}", seconds(refill)),
        })
    }
}

/// A name has no zero byte and the numbers have a fixed length, so no two limits hash the same text.
fn hash(name: &str, subject: &[u8], numbers: [u64; 3]) -> u64 {
    let mut digest = Sha256::new();
    digest.update(name);
    digest.update([0]);
    for number in numbers {
        digest.update(number.to_le_bytes());
    }
    digest.update(subject);
    let first = digest.finalize().first_chunk().copied().unwrap_or_default();
    (u64::from_le_bytes(first) >> (u64::BITS - HASH_BITS)).max(1)
}

#[cfg(test)]
mod tests {
    use super::{HASH_BITS, Limit};

    fn limit(name: &str, quota: u64, window_s: f64, burst: Option<u64>) -> Option<Limit> {
        Limit::new(name, b"subject", quota, window_s, burst, false).ok()
    }

    fn policy(quota: u64, window_s: f64, burst: Option<u64>) -> Option<String> {
        limit("tenant", quota, window_s, burst).map(|limit| limit.policy)
    }

    #[test]
    fn a_policy_is_what_a_client_may_rely_on() {
        assert_eq!(policy(300, 60.0, None).as_deref(), Some("\"tenant\";q=300;w=60"));
        assert_eq!(policy(7, 60.0, None).as_deref(), Some("\"tenant\";q=7;w=60"));
        assert_eq!(policy(600, 60.0, Some(200)).as_deref(), Some("\"tenant\";q=200;w=20"));
        assert_eq!(policy(600, 60.0, Some(1)).as_deref(), Some("\"tenant\";q=1;w=1"));
        assert_eq!(policy(1, 0.5, None).as_deref(), Some("\"tenant\";q=1;w=1"));
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for name in ["", "Tenant", "a b", "a\"", "a;b", "é", &"a".repeat(33)] {
            assert_eq!(limit(name, 1, 1.0, None), None, "{name}");
        }
        for window_s in [0.0, -1.0, 0.000_9, 2_678_401.0, f64::NAN, f64::INFINITY] {
            assert_eq!(limit("a", 1, window_s, None), None, "{window_s}");
        }
        assert_eq!(limit("a", 0, 1.0, None), None);
        assert_eq!(limit("a", 1_000_001, 1.0, None), None);
        assert_eq!(limit("a", 1, 1.0, Some(0)), None);
        assert_eq!(limit("a", 1_000, 1.0, Some(1_000_000_001)), None);
        assert_eq!(limit("a", 1, 2_678_400.0, Some(12)), None);
        assert!(limit("a", 1_000_000, 1.0, Some(1_000_000_000)).is_some());
    }

    #[test]
    fn an_interval_is_rounded_to_the_strict_side() {
        let rate = limit("a", 7, 60.0, None).map(|limit| limit.rate);
        assert_eq!(rate.map(|rate| rate.interval), Some(8_571_428_572));
    }

    #[test]
    fn limits_that_differ_in_anything_are_counted_apart() {
        let made = |name, subject: &[u8], quota, window_s, burst| {
            Limit::new(name, subject, quota, window_s, burst, false).map_or(0, |limit| limit.hash)
        };
        let hashes = [
            made("a", b"x", 1, 1.0, None),
            made("b", b"x", 1, 1.0, None),
            made("a", b"y", 1, 1.0, None),
            made("a", b"x", 2, 1.0, None),
            made("a", b"x", 1, 2.0, None),
            made("a", b"x", 1, 1.0, Some(2)),
        ];
        for (place, hash) in hashes.iter().enumerate() {
            assert!(*hash != 0 && hash >> HASH_BITS == 0);
            assert!(!hashes[..place].contains(hash));
        }
        assert_eq!(hashes[0], made("a", b"x", 1, 1.0, Some(1)));
    }
}
