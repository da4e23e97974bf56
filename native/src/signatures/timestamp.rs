//! Timestamps as providers write them, read strictly.

use super::{Refusal, Refused};
use crate::error::Error;

/// The last second of the year 9999.
const LATEST: f64 = 253_402_300_799.0;

/// The form of a timestamp header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Seconds since 1970.
    Unix,
    /// `2021-03-25T05:09:27Z`, with or without a fraction (Zendesk).
    Iso8601,
}

impl Form {
    /// Seconds since 1970.
    pub fn read(self, text: &[u8]) -> Result<f64, Refused> {
        let seconds = match self {
            Self::Unix => digits(text, 12),
            Self::Iso8601 => iso8601(text),
        };
        seconds.ok_or_else(|| Refused::invalid("the timestamp is malformed"))
    }

    /// The text a sender would write.
    pub fn write(self, now: f64) -> Result<String, Error> {
        let seconds = whole_seconds(now)?;
        Ok(match self {
            Self::Unix => seconds.to_string(),
            Self::Iso8601 => {
                let (days, second) = (seconds / 86_400, seconds % 86_400);
                let (year, month, day) = civil(days);
                let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
            }
        })
    }
}

/// A clock reading, cut to whole seconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked first, and cutting is what is asked"
)]
pub fn whole_seconds(now: f64) -> Result<u64, Error> {
    if (0.0..=LATEST).contains(&now) { Ok(now as u64) } else { Err(Error::Clock) }
}

/// Strictly digits, and a bounded number of them.
#[expect(clippy::cast_precision_loss, reason = "15 digits fit a float exactly")]
pub fn digits(text: &[u8], most: usize) -> Option<f64> {
    if text.is_empty() || text.len() > most.min(15) {
        return None;
    }
    number(text).map(|value| value as f64)
}

fn number(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0_u64, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0'))
    })
}

fn iso8601(text: &[u8]) -> Option<f64> {
    let (whole, fraction) = text.strip_suffix(b"Z")?.split_at_checked(19)?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| whole[*at] != *mark) {
        return None;
    }
    let part = |from: usize, to: usize| number(&whole[from..to]);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let days = days(year, month, day).filter(|days| civil(*days) == (year, month, day))?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let fraction = match fraction {
        [] => 0.0,
        [b'.', places @ ..] => digits(places, 9)? / 10_f64.powi(i32::try_from(places.len()).ok()?),
        _ => return None,
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds to the year 9999 fit a float exactly")]
    let seconds = (days * 86_400 + hour * 3600 + minute * 60 + second) as f64;
    Some(seconds + fraction)
}

/// Days since 1970 of a proleptic Gregorian date from then on (Howard Hinnant's algorithm).
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    (era * 146_097 + of_era).checked_sub(719_468)
}

/// Year, month and day of a number of days since 1970; the inverse of [`days`].
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = (shifted_month + 2) % 12 + 1;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// Whether the sender's clock and ours agree well enough, in both directions.
pub fn check(sent: f64, now: f64, tolerance: f64) -> Result<(), Refused> {
    // Written so that a clock that is not a number is refused.
    if (now - sent).abs() <= tolerance {
        return Ok(());
    }
    let detail = if sent > now {
        "the timestamp lies too far in the future"
    } else {
        "the timestamp lies too far in the past"
    };
    Err(Refused { refusal: Refusal::Tolerance, detail: detail.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_timestamps_are_strictly_digits() {
        assert_eq!(Form::Unix.read(b"1614265330"), Ok(1_614_265_330.0));
        for bad in [&b""[..], b"+1", b"-1", b" 1", b"1 ", b"1.0", b"1e9", b"0x1", b"1234567890123"]
        {
            assert!(Form::Unix.read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn iso_timestamps_are_read_and_written() -> Result<(), Error> {
        assert_eq!(Form::Iso8601.read(b"2021-03-25T05:09:27Z"), Ok(1_616_648_967.0));
        assert_eq!(Form::Iso8601.read(b"2021-03-25T05:09:27.250Z"), Ok(1_616_648_967.25));
        assert_eq!(Form::Iso8601.write(1_616_648_967.9)?, "2021-03-25T05:09:27Z");
        for bad in [
            "2021-02-29T00:00:00Z",
            "2021-13-01T00:00:00Z",
            "2021-00-01T00:00:00Z",
            "2021-01-00T00:00:00Z",
            "2021-01-01T24:00:00Z",
            "2021-01-01T00:60:00Z",
            "2021-01-01 00:00:00Z",
            "2021-01-01T00:00:00",
            "2021-01-01T00:00:00.Z",
            "2021-01-01T00:00:00+00:00",
            "1969-12-31T23:59:59Z",
            "Z",
        ] {
            assert!(Form::Iso8601.read(bad.as_bytes()).is_err(), "{bad}");
        }
        Ok(())
    }

    #[test]
    fn every_day_of_four_centuries_survives_the_round_trip() {
        for day in 0..146_097 {
            let (year, month, date) = civil(day);
            assert_eq!(days(year, month, date), Some(day));
        }
    }

    #[test]
    fn the_window_is_closed_on_both_sides_and_shut_to_nan() {
        assert!(check(1000.0, 1300.0, 300.0).is_ok());
        assert!(check(1300.0, 1000.0, 300.0).is_ok());
        assert!(check(1000.0, 1300.5, 300.0).is_err());
        assert!(check(1301.0, 1000.0, 300.0).is_err());
        assert!(check(1000.0, f64::NAN, 300.0).is_err());
        assert_eq!(whole_seconds(f64::NAN), Err(Error::Clock));
        assert_eq!(whole_seconds(-1.0), Err(Error::Clock));
    }
}
