//! Times: absolute ones of every encoding, and those on the exporter's own clock.

use arrow_schema::TimeUnit;

use crate::bytes::be_uint;
use crate::convert::TimeFormat;
use crate::plan::Edge;

/// An absolute time in `to`'s unit since the UNIX epoch; `None` if that has no place in 63 bits.
pub(super) fn absolute_time(raw: u64, from: TimeFormat, to: TimeUnit) -> Option<i64> {
    let units_per_second = match to {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    match from {
        TimeFormat::Seconds => Some(raw as i64 * units_per_second),
        TimeFormat::Milliseconds => i64::try_from(raw)
            .ok()?
            .checked_mul(units_per_second / 1000),
        // Without its low bits the fraction is up to half a microsecond short: the nearest one is what was meant.
        TimeFormat::NtpMicroseconds => Some(ntp(raw & !0x7ff, units_per_second, 1 << 31)),
        TimeFormat::NtpNanoseconds => Some(ntp(raw, units_per_second, 0)),
    }
}

/// NTP seconds and fraction (RFC 7011 section 6.1.9; FF-DT-01), `rounding` being added to the fraction of a unit. Seconds without
/// the top bit are of era 1, which begins in 2036 (FF-SQ-07): nearer than 1900 to any time we receive at.
fn ntp(raw: u64, units_per_second: i64, rounding: u64) -> i64 {
    const UNIX_EPOCH: i64 = 2_208_988_800;
    let seconds = (raw >> 32) as i64;
    let era = if seconds < 1 << 31 { 1 << 32 } else { 0 };
    let fraction = ((raw & 0xffff_ffff) * units_per_second as u64 + rounding) >> 32;
    (seconds + era - UNIX_EPOCH) * units_per_second + fraction as i64
}

/// Milliseconds since the UNIX epoch of a flow's first or last packet, given on the exporter's 32-bit uptime clock.
///
/// FF-NF-07: a time more than 100 s ahead of the uptime is from before the clock wrapped. FF-NF-06: so is a first packet after
/// the last.
pub(super) fn uptime_to_ms(
    edge: Edge,
    first: Option<u32>,
    last: Option<u32>,
    boot_ms: i64,
    uptime_ms: Option<u32>,
) -> Option<i64> {
    const WRAP: i64 = 1 << 32;
    const AHEAD_MS: u64 = 100_000;
    let reference = last.or(first)?;
    let is_ahead =
        uptime_ms.is_some_and(|uptime| u64::from(reference) > u64::from(uptime) + AHEAD_MS);
    let reference_ms =
        boot_ms.checked_add(i64::from(reference) - if is_ahead { WRAP } else { 0 })?;
    match (edge, first, last) {
        (Edge::Start, Some(first), Some(last)) => {
            // FF-Q-07: a first packet a little after the last is rounding, and stays as it was sent.
            if let Some(after @ 1..=AHEAD_MS) = first.checked_sub(last).map(u64::from) {
                return reference_ms.checked_add(after as i64);
            }
            reference_ms.checked_sub(i64::from(last.wrapping_sub(first)))
        }
        _ => Some(reference_ms),
    }
}

/// An unsigned field to reckon times with; `None` if it is above 63 bits.
pub(super) fn signed_offset(field: &[u8]) -> Option<i64> {
    let (value, too_wide) = be_uint(field);
    i64::try_from(value).ok().filter(|_| !too_wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_clock_wraps() {
        let boot = 1_000_000_000_000;
        let start = |first, last, uptime| {
            uptime_to_ms(Edge::Start, Some(first), Some(last), boot, Some(uptime)).unwrap()
        };
        let end = |first, last, uptime| {
            uptime_to_ms(Edge::End, Some(first), Some(last), boot, Some(uptime)).unwrap()
        };
        assert_eq!((start(10, 20, 30), end(10, 20, 30)), (boot + 10, boot + 20));
        // FF-NF-06: First is before the wrap, Last after it.
        assert_eq!(start(u32::MAX, 9, 30), boot - 1);
        // FF-NF-07: both before the wrap, uptime after it.
        let (first, last) = (u32::MAX - 20, u32::MAX - 10);
        assert_eq!(
            (start(first, last, 30), end(first, last, 30)),
            (boot - 21, boot - 11)
        );
        // A little ahead is rounding, not a wrap; and so is a first packet a little after the last (FF-Q-07).
        assert_eq!(start(22, 20, 30), boot + 22);
        assert_eq!(end(10, 50_000, 30), boot + 50_000);
    }

    #[test]
    fn ntp_times() {
        // FF-DT-01: 1700000000.5 with low fraction bits set.
        let raw = (1_700_000_000 + 2_208_988_800) << 32 | 0x8000_0fff;
        assert_eq!(
            absolute_time(raw, TimeFormat::NtpMicroseconds, TimeUnit::Microsecond),
            Some(1_700_000_000_500_000)
        );
        assert_eq!(
            absolute_time(raw, TimeFormat::NtpNanoseconds, TimeUnit::Nanosecond),
            Some(1_700_000_000_500_000_953)
        );
        // From a capture of softflowd, which sent 1700000000.012207: its fraction lost 0.42 microseconds with its low bits.
        let fraction = (12_207_u64 << 32) / 1_000_000;
        assert_eq!(
            absolute_time(
                (1_700_000_000 + 2_208_988_800) << 32 | fraction,
                TimeFormat::NtpMicroseconds,
                TimeUnit::Microsecond
            ),
            Some(1_700_000_000_012_207)
        );
        // FF-SQ-07: era 1 begins on 7 February 2036.
        assert_eq!(
            absolute_time(1 << 32, TimeFormat::NtpMicroseconds, TimeUnit::Microsecond),
            Some(2_085_978_497_000_000)
        );
        assert_eq!(
            absolute_time(u64::MAX, TimeFormat::Milliseconds, TimeUnit::Microsecond),
            None
        );
    }
}
