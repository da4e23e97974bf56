//! What is said of a take, in numbers and in header fields.

use super::gcra::{Rate, seconds};
use super::limit::Limit;

/// What one limit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    refused: bool,
    remaining: u64,
    /// Units that are there when it is full.
    burst: u64,
    /// Nanoseconds until all units, the next one, or those that were asked for are there.
    reset: u64,
}

/// What all limits of a take say. By default there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    limits: usize,
    refused: u32,
    tightest: Option<(usize, Seen)>,
}

impl Seen {
    /// What a limit has before a cost is taken: whether it fits, and when.
    pub fn before(rate: Rate, arrival: u64, now: u64, cost: u64, burst: u64) -> Self {
        let level = rate.level(arrival, now);
        let refused = rate.take(arrival, now, cost).is_none();
        let reset = match (refused, level.remaining) {
            // A cost that never fits is worth asking no one for; not at once, though.
            (true, _) => level.until(cost).max(1),
            (false, 0) => level.until(1),
            (false, _) => level.until_full,
        };
        Self { refused, remaining: level.remaining, burst, reset }
    }

    /// What is left when the arrival time is this.
    pub fn after(rate: Rate, arrival: u64, now: u64, burst: u64) -> Self {
        let level = rate.level(arrival, now);
        let reset = if level.remaining == 0 { level.until(1) } else { level.until_full };
        Self { refused: false, remaining: level.remaining, burst, reset }
    }

    /// Refusals before others, of these the one that lasts longest; else the one that has the least
    /// part of its units left.
    fn is_tighter(&self, other: &Self) -> bool {
        match (self.refused, other.refused) {
            (true, true) => self.reset > other.reset,
            (false, false) => {
                u128::from(self.remaining) * u128::from(other.burst)
                    < u128::from(other.remaining) * u128::from(self.burst)
            }
            (refused, _) => refused,
        }
    }
}

impl Outcome {
    /// Adds the next limit's.
    pub fn add(&mut self, seen: Seen) {
        if seen.refused {
            self.refused |= 1 << self.limits;
        }
        if self.tightest.is_none_or(|(_, tightest)| seen.is_tighter(&tightest)) {
            self.tightest = Some((self.limits, seen));
        }
        self.limits += 1;
    }

    /// Whether every limit had room.
    pub fn admitted(&self) -> bool {
        self.refused == 0
    }

    /// Whether the limit at this place had none.
    pub fn is_refused(&self, place: usize) -> bool {
        self.refused >> place & 1 == 1
    }

    /// Whole units that the tightest limit still has.
    pub fn remaining(&self) -> u64 {
        self.tightest.map_or(0, |(_, seen)| seen.remaining)
    }

    /// Seconds until the tightest limit has what [`Seen`] says.
    pub fn reset_s(&self) -> u64 {
        self.tightest.map_or(0, |(_, seen)| seconds(seen.reset))
    }

    /// Seconds until all limits have room.
    pub fn retry_after_s(&self) -> u64 {
        if self.admitted() { 0 } else { self.reset_s() }
    }

    /// The field `RateLimit-Policy`.
    pub fn policy_field<'l>(limits: impl Iterator<Item = &'l Limit>) -> String {
        let mut field = String::with_capacity(64);
        for limit in limits {
            if !field.is_empty() {
                field.push_str(", ");
            }
            field.push_str(&limit.policy);
        }
        field
    }

    /// The place of the tightest limit.
    pub fn tightest(&self) -> Option<usize> {
        self.tightest.map(|(place, _)| place)
    }

    /// The field `RateLimit`, of the tightest limit.
    pub fn field(&self, tightest: &Limit) -> String {
        let mut field = String::with_capacity(64);
        field.push('"');
        field.push_str(&tightest.name);
        field.push_str("\";r=");
        push_number(&mut field, self.remaining());
        field.push_str(";t=");
        push_number(&mut field, self.reset_s());
        field
    }
}

/// As `write!` would; that is half of what a field costs.
fn push_number(text: &mut String, mut number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend(digits[first..].iter().map(|digit| char::from(*digit)));
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Rate, Seen, push_number};

    const SECOND: u64 = 1_000_000_000;
    /// Ten at once, one each second.
    const RATE: Rate = Rate { interval: SECOND, tolerance: 10 * SECOND };
    const NOW: u64 = 1_000 * SECOND;

    fn said(seen: &[Seen]) -> (bool, Option<usize>, u64, u64, u64) {
        let mut outcome = Outcome::default();
        for seen in seen {
            outcome.add(*seen);
        }
        let numbers = (outcome.remaining(), outcome.reset_s(), outcome.retry_after_s());
        (outcome.admitted(), outcome.tightest(), numbers.0, numbers.1, numbers.2)
    }

    fn left(units: u64) -> u64 {
        NOW + (10 - units) * SECOND
    }

    #[test]
    fn what_is_admitted_says_when_all_units_are_back_or_the_next() {
        assert_eq!(said(&[Seen::after(RATE, left(3), NOW, 10)]), (true, Some(0), 3, 7, 0));
        assert_eq!(said(&[Seen::after(RATE, left(0), NOW, 10)]), (true, Some(0), 0, 1, 0));
        assert_eq!(said(&[]), (true, None, 0, 0, 0));
    }

    #[test]
    fn a_refusal_says_when_the_cost_fits() {
        let before = |arrival, cost| Seen::before(RATE, arrival, NOW, cost, 10);
        assert_eq!(said(&[before(left(0), 1)]), (false, Some(0), 0, 1, 1));
        assert_eq!(said(&[before(left(0) + SECOND / 2, 1)]), (false, Some(0), 0, 2, 2));
        assert_eq!(said(&[before(left(3), 5)]), (false, Some(0), 3, 2, 2));
        assert_eq!(said(&[before(left(3), 11)]), (false, Some(0), 3, 7, 7));
        assert_eq!(said(&[before(0, u64::MAX)]), (false, Some(0), 10, 1, 1));
        assert_eq!(said(&[before(left(1), 1)]), (true, Some(0), 1, 9, 0));
    }

    #[test]
    fn numbers_are_written_whole() {
        for number in [0, 9, 10, 1_000_000_000, u64::MAX] {
            let mut text = String::from("r=");
            push_number(&mut text, number);
            assert_eq!(text, format!("r={number}"));
        }
    }

    #[test]
    fn the_tightest_is_told() {
        let after = |units, burst| Seen::after(RATE, left(units), NOW, burst);
        assert_eq!(said(&[after(4, 10), after(9, 100)]).1, Some(1));
        assert_eq!(said(&[after(4, 10), after(4, 10)]).1, Some(0));
        let refused = |over| Seen::before(RATE, left(0) + over * SECOND, NOW, 1, 10);
        assert_eq!(said(&[after(0, 10), refused(0), refused(3)]), (false, Some(2), 0, 4, 4));
        assert_eq!(said(&[refused(3), refused(0), after(0, 10)]), (false, Some(0), 0, 4, 4));
    }
}
