//! The generic cell rate algorithm: one number a subject, in nanoseconds.
//!
//! The number is the arrival time: when the subject's units will all be back. Each unit taken moves
//! it on by the interval in which one comes back, and it may be ahead of the clock by no more than
//! the tolerance, in which a whole burst comes back. A time in the past is as good as now.

/// Among how many nodes a limit may be divided.
pub const MAX_NODES: u64 = 1024;

const SECOND: u64 = 1_000_000_000;
/// What delayed news from other nodes may add to an arrival time, at most, and far more than it does.
const DELAYED: u64 = 3600 * SECOND;

/// How fast units come back, and how many there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In which one unit comes back.
    pub interval: u64,
    /// In which a whole burst comes back.
    pub tolerance: u64,
}

/// What a subject has at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Whole units that may be taken now.
    pub remaining: u64,
    /// Nanoseconds until all are back.
    pub until_full: u64,
    rate: Rate,
}

impl Rate {
    /// The part of it that one of so many nodes has; one unit at least.
    pub fn of_one_among(self, nodes: u64) -> Self {
        let interval = self.interval.saturating_mul(nodes);
        Self { interval, tolerance: self.tolerance.max(interval) }
    }

    /// By how much a cost moves the arrival time on.
    pub fn charge(self, cost: u64) -> u64 {
        self.interval.saturating_mul(cost)
    }

    /// The arrival time after the cost was taken, or None if there is not so much.
    pub fn take(self, arrival: u64, now: u64, cost: u64) -> Option<u64> {
        let after = self.settled(arrival, now).saturating_add(self.charge(cost));
        (after <= now.saturating_add(self.tolerance)).then_some(after)
    }

    /// What there is.
    pub fn level(self, arrival: u64, now: u64) -> Level {
        let until_full = self.settled(arrival, now) - now;
        let remaining = self.tolerance.saturating_sub(until_full) / self.interval;
        Level { remaining, until_full, rate: self }
    }

    /// The arrival time as it counts: not before now, and nothing that taking cannot have led to.
    ///
    /// Nodes that have not heard of one another take a burst each, and no more until they are back.
    /// What is further ahead is of a clock that went back, and would refuse for as long.
    fn settled(self, arrival: u64, now: u64) -> u64 {
        let furthest = self.tolerance.saturating_mul(MAX_NODES).saturating_add(DELAYED);
        if arrival > now.saturating_add(furthest) { now } else { arrival.max(now) }
    }
}

impl Level {
    /// Nanoseconds until the cost fits; until all units are back if it never does.
    pub fn until(self, cost: u64) -> u64 {
        let charge = self.rate.charge(cost);
        self.until_full
            .saturating_add(charge)
            .saturating_sub(self.rate.tolerance)
            .min(self.until_full)
    }
}

/// Whole seconds in which so many nanoseconds have passed.
pub fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(SECOND)
}

#[cfg(test)]
mod tests {
    use super::super::clock::LAST;
    use super::{DELAYED, MAX_NODES, Rate, SECOND, seconds};

    /// Three at once, one each 10 ns.
    const RATE: Rate = Rate { interval: 10, tolerance: 30 };
    const NOW: u64 = 1_000;

    #[test]
    fn a_burst_is_there_at_once_and_comes_back_one_by_one() {
        let mut arrival = 0;
        for after in [1_010, 1_020, 1_030] {
            arrival = RATE.take(arrival, NOW, 1).unwrap_or_default();
            assert_eq!(arrival, after);
        }
        assert_eq!(RATE.take(arrival, NOW, 1), None);
        assert_eq!(RATE.take(arrival, NOW + 9, 1), None);
        assert_eq!(RATE.take(arrival, NOW + 10, 1), Some(1_040));
        assert_eq!(RATE.take(arrival, NOW + 10, 2), None);
    }

    #[test]
    fn the_past_gives_no_more_than_a_burst() {
        assert_eq!(RATE.take(5, NOW, 3), Some(1_030));
        assert_eq!(RATE.take(5, NOW, 4), None);
    }

    #[test]
    fn a_level_says_what_is_there_and_when_more_will_be() {
        let level = RATE.level(1_015, NOW);
        assert_eq!((level.remaining, level.until_full), (1, 15));
        assert_eq!((level.until(1), level.until(2), level.until(3)), (0, 5, 15));
        assert_eq!(level.until(4), 15, "never fits: until full");
        assert_eq!(RATE.level(1_030, NOW).until(1), 10);
        assert_eq!(RATE.level(0, NOW).remaining, 3);
    }

    #[test]
    fn any_cost_is_computed_without_wrapping() {
        assert_eq!(RATE.take(0, NOW, u64::MAX), None);
        assert_eq!(RATE.level(1_010, NOW).until(u64::MAX), 10);
        assert_eq!(RATE.take(u64::MAX, LAST - 1, u64::MAX), None);
        let longest = Rate { interval: 31 * 86_400 * SECOND, tolerance: 366 * 86_400 * SECOND };
        let share = longest.of_one_among(MAX_NODES);
        assert_eq!(share.take(LAST, LAST - 1, 1), None);
        assert_eq!(share.take(0, LAST - 1, 1), Some(LAST - 1 + share.interval));
    }

    #[test]
    fn a_node_s_share_comes_back_slower_and_is_one_unit_at_least() {
        let half = RATE.of_one_among(2);
        assert_eq!(half.level(0, NOW).remaining, 1);
        assert_eq!(half.take(0, NOW, 1), Some(1_020));
        let tenth = RATE.of_one_among(10);
        assert_eq!(tenth.level(0, NOW).remaining, 1);
        assert_eq!(tenth.take(1_100, NOW + 99, 1), None);
        assert_eq!(tenth.take(1_100, NOW + 100, 1), Some(1_200));
    }

    #[test]
    fn a_clock_that_went_back_refuses_nobody_for_long() {
        let furthest = NOW + 30 * MAX_NODES + DELAYED;
        assert_eq!(RATE.take(furthest, NOW, 1), None);
        assert_eq!(RATE.take(furthest + 1, NOW, 1), Some(1_010));
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!([0, 1, 1_000_000_000, 1_000_000_001].map(seconds), [0, 1, 1, 2]);
    }
}
