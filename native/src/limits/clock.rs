//! The clock that arrival times are read from.

use rustix::time::{ClockId, clock_gettime};

/// Counts from the machine's start, and in its sleep too. Darwin's monotonic clock is of that kind.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SOURCE: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SOURCE: ClockId = ClockId::Monotonic;

/// Times are below this, 36 years, so that sums of them and of charges stay far from 64 bits.
pub const LAST: u64 = 1 << 60;

/// Where the time comes from.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's clock.
    Machine,
    /// A test's time: nanoseconds below [`LAST`].
    Fixed(u64),
}

impl Clock {
    /// Nanoseconds since the machine started.
    pub fn now(self) -> u64 {
        match self {
            Self::Fixed(now) => now,
            Self::Machine => {
                let time = clock_gettime(SOURCE);
                let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
                let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
                seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds).min(LAST - 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn the_machine_s_clock_goes_on() {
        let before = Clock::Machine.now();
        let after = Clock::Machine.now();
        assert!(0 < before && before <= after);
        assert_eq!(Clock::Fixed(7).now(), 7);
    }
}
