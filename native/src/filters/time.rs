//! Moments and spans, in nanoseconds, within the years 1 to 9999.

use super::value::Value;
use super::wrong::Wrong;
use chrono::{DateTime, Datelike, FixedOffset, NaiveDateTime, SecondsFormat, Timelike, Utc};
use chrono_tz::Tz;

const SECOND: i128 = 1_000_000_000;
/// 0001-01-01T00:00:00Z
const FIRST: i128 = -62_135_596_800 * SECOND;
/// 9999-12-31T23:59:59.999999999Z
const LAST: i128 = 253_402_300_800 * SECOND - 1;
/// 10,000 years, about.
const LONGEST: i128 = 315_576_000_000 * SECOND;
/// Bytes of a text that is a moment or a span.
const MAX_TEXT: usize = 64;

/// A part of a moment or a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The year.
    Year,
    /// The month, from 0.
    Month,
    /// The day of the month, from 1.
    Date,
    /// The day of the month, from 0.
    DayOfMonth,
    /// The day of the week, from 0 for Sunday.
    DayOfWeek,
    /// The day of the year, from 0.
    DayOfYear,
    /// The hour, or a span's whole hours.
    Hours,
    /// The minute, or a span's whole minutes.
    Minutes,
    /// The second, or a span's whole seconds.
    Seconds,
    /// The millisecond within the second.
    Milliseconds,
}

/// A moment, where it is within range.
pub fn moment<'s>(nanos: i128) -> Result<Value<'s>, Wrong> {
    if (FIRST..=LAST).contains(&nanos) { Ok(Value::Time(nanos)) } else { Err(range("timestamp")) }
}

/// A span, where it is within range.
pub fn span<'s>(nanos: i128) -> Result<Value<'s>, Wrong> {
    if nanos.abs() <= LONGEST { Ok(Value::Span(nanos)) } else { Err(range("duration")) }
}

fn range(what: &str) -> Wrong {
    Wrong::new(format!("this {what} is out of range"))
}

/// The moment that so many seconds since 1970 are.
pub fn moment_of_seconds<'s>(seconds: i64) -> Result<Value<'s>, Wrong> {
    moment(i128::from(seconds) * SECOND)
}

/// The whole seconds of a moment since 1970, or of a span.
pub fn seconds(nanos: i128) -> Option<i64> {
    i64::try_from(nanos.div_euclid(SECOND)).ok()
}

/// Reads a moment as RFC 3339 writes it.
pub fn read_moment<'s>(text: &str) -> Result<Value<'s>, Wrong> {
    let wrong = || Wrong::new("this is no timestamp (RFC 3339)");
    if text.len() > MAX_TEXT {
        return Err(wrong());
    }
    let read = DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
    moment(i128::from(read.timestamp()) * SECOND + i128::from(read.timestamp_subsec_nanos()))
}

/// Writes a moment as RFC 3339 does, in UTC.
pub fn write_moment(nanos: i128) -> String {
    let Some(moment) = utc(nanos) else {
        return String::new();
    };
    let text = moment.to_rfc3339_opts(SecondsFormat::Nanos, true);
    // There are always nine digits after the dot.
    let bare = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    format!("{bare}Z")
}

/// Reads a span such as `1h30m`, `-1.5s` or `250ms`.
pub fn read_span<'s>(text: &str) -> Result<Value<'s>, Wrong> {
    let wrong = || Wrong::new("this is no duration such as 1h30m or 1.5s");
    let (sign, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Ok(Value::Span(0));
    }
    if rest.is_empty() || text.len() > MAX_TEXT {
        return Err(wrong());
    }
    let mut nanos = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(end);
        let length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(length);
        let unit = match unit {
            "h" => 3_600 * SECOND,
            "m" => 60 * SECOND,
            "s" => SECOND,
            "ms" => 1_000_000,
            "us" | "µs" => 1_000,
            "ns" => 1,
            _ => return Err(wrong()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') || whole.len() > 20 {
            return Err(wrong());
        }
        let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
        let fraction = &fraction[..fraction.len().min(15)];
        let scale = 10_i128.pow(u32::try_from(fraction.len()).unwrap_or_default());
        nanos += digits(whole).ok_or_else(wrong)? * unit
            + digits(fraction).ok_or_else(wrong)? * unit / scale;
        rest = after;
    }
    span(sign * nanos)
}

/// Writes a span in seconds, such as `-1.5s`.
pub fn write_span(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, rest) = (nanos.abs() / SECOND, nanos.abs() % SECOND);
    if rest == 0 {
        return format!("{sign}{whole}s");
    }
    let fraction = format!("{rest:09}");
    format!("{sign}{whole}.{}s", fraction.trim_end_matches('0'))
}

/// A part of a moment, in UTC or where somebody is.
pub fn part_of_moment(nanos: i128, part: Part, zone: Option<&str>) -> Result<i64, Wrong> {
    let moment = utc(nanos).ok_or_else(|| range("timestamp"))?;
    let local = match zone {
        None => moment.naive_utc(),
        Some(zone) => local(moment, zone)?,
    };
    Ok(match part {
        Part::Year => i64::from(local.year()),
        Part::Month => i64::from(local.month0()),
        Part::Date => i64::from(local.day()),
        Part::DayOfMonth => i64::from(local.day0()),
        Part::DayOfWeek => i64::from(local.weekday().num_days_from_sunday()),
        Part::DayOfYear => i64::from(local.ordinal0()),
        Part::Hours => i64::from(local.hour()),
        Part::Minutes => i64::from(local.minute()),
        Part::Seconds => i64::from(local.second()),
        Part::Milliseconds => i64::from(local.nanosecond() / 1_000_000),
    })
}

/// A part of a span; `None` for one that only a moment has.
pub fn part_of_span(nanos: i128, part: Part) -> Option<i64> {
    let whole = match part {
        Part::Hours => nanos / (3_600 * SECOND),
        Part::Minutes => nanos / (60 * SECOND),
        Part::Seconds => nanos / SECOND,
        Part::Milliseconds => nanos % SECOND / 1_000_000,
        _ => return None,
    };
    i64::try_from(whole).ok()
}

fn utc(nanos: i128) -> Option<DateTime<Utc>> {
    let rest = u32::try_from(nanos.rem_euclid(SECOND)).ok()?;
    DateTime::from_timestamp(seconds(nanos)?, rest)
}

/// What a clock shows in a zone: the name of one, or an offset such as `+05:30`.
fn local(moment: DateTime<Utc>, zone: &str) -> Result<NaiveDateTime, Wrong> {
    let unknown = || Wrong::new("this is no time zone such as Europe/Berlin or +05:30");
    if zone.len() > MAX_TEXT {
        return Err(unknown());
    }
    if let Some((hours, minutes)) = zone.split_once(':') {
        let (sign, hours) = match hours.as_bytes().first() {
            Some(b'-') => (-1, &hours[1..]),
            Some(b'+') => (1, &hours[1..]),
            _ => (1, hours),
        };
        let read = |text: &str, below: i32| {
            let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i32>().ok().filter(|value| plain && *value < below)
        };
        let (hours, minutes) = read(hours, 24).zip(read(minutes, 60)).ok_or_else(unknown)?;
        let offset = FixedOffset::east_opt(sign * (hours * 3_600 + minutes * 60));
        return Ok(moment.with_timezone(&offset.ok_or_else(unknown)?).naive_local());
    }
    let zone: Tz = zone.parse().map_err(|_| unknown())?;
    Ok(moment.with_timezone(&zone).naive_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(value: &Result<Value<'_>, Wrong>) -> Option<i128> {
        match value {
            Ok(Value::Time(nanos) | Value::Span(nanos)) => Some(*nanos),
            _ => None,
        }
    }

    #[test]
    fn spans_are_read_and_written() {
        for (text, written) in [
            ("1h30m", "5400s"),
            ("-1.5s", "-1.5s"),
            ("250ms", "0.25s"),
            ("1us2ns", "0.000001002s"),
            ("0", "0s"),
            (".5s", "0.5s"),
        ] {
            assert_eq!(nanos(&read_span(text)).map(write_span).as_deref(), Some(written), "{text}");
        }
        for text in ["", "-", "1", "s", "1x", "1.2.3s", ".s", "1 s", "é", "1é", "9999999999999h"]
        {
            assert!(read_span(text).is_err(), "{text}");
        }
        assert!(read_span(&"9".repeat(60)).is_err());
        assert!(read_span(&format!("{}s", "9".repeat(19))).is_err());
    }

    #[test]
    fn moments_are_read_and_written() {
        for (text, written) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:00+01:00", "2026-01-02T02:04:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(nanos(&read_moment(text)).map(write_moment).as_deref(), Some(written));
        }
        for text in ["", "2026-01-02", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-00:01"] {
            assert!(read_moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn zones_are_names_or_offsets() {
        let moment = nanos(&read_moment("2026-07-01T23:30:00Z")).unwrap_or_default();
        let hour = |zone| part_of_moment(moment, Part::Hours, Some(zone)).ok();
        assert_eq!(hour("Europe/Berlin"), Some(1));
        assert_eq!(hour("+05:30"), Some(5));
        assert_eq!(hour("-02:00"), Some(21));
        for zone in ["Mars/Base", "24:00", "+01:60", "ab:00", "+1:00", ":", "é:00", "+é:00"] {
            assert_eq!(hour(zone), None, "{zone}");
        }
    }
}
