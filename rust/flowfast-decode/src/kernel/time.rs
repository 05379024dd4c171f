//! Times: absolute ones of every encoding, and those on the exporter's own clock.

use arrow_schema::TimeUnit;

use super::{Surroundings, Tile, TileShape};
use crate::batch::Run;
use crate::bytes::{be_uint, be32};
use crate::column::Primitive;
use crate::convert::TimeFormat;
use crate::error::Warning;
use crate::plan::{Edge, FieldSource};
use crate::stats::Stats;

/// An absolute time in `to`'s unit since the UNIX epoch; `None` if that has no place in 63 bits.
#[inline(always)]
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

/// How far a packet's time may be ahead of the clock it is given on, or a first packet after the last, to be rounding.
const AHEAD_MS: u32 = 100_000;

/// When exporters can have started: some thousand years around 1970. Reckoning from there cannot overflow.
const EARLIEST_BOOT_MS: i64 = -(1 << 47);
const LATEST_BOOT_MS: i64 = 1 << 47;

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
    let reference = last.or(first)?;
    let last_ms = after_boot_ms(reference, wraps_above(uptime_ms));
    let after_boot_ms = match (edge, first, last) {
        (Edge::Start, Some(first), Some(last)) => last_ms - before_last_ms(first, last),
        _ => last_ms,
    };
    boot_ms.checked_add(after_boot_ms)
}

/// Times above this are from before the clock wrapped.
fn wraps_above(uptime_ms: Option<u32>) -> u32 {
    uptime_ms.map_or(u32::MAX, |uptime_ms| uptime_ms.saturating_add(AHEAD_MS))
}

#[inline(always)]
fn after_boot_ms(time: u32, wraps_above: u32) -> i64 {
    i64::from(time) - (i64::from(time > wraps_above) << 32)
}

/// How long before the last packet the first one came.
#[inline(always)]
fn before_last_ms(first: u32, last: u32) -> i64 {
    // FF-Q-07: a first packet a little after the last is rounding, and stays as it was sent.
    let is_rounding = first > last && first.wrapping_sub(last) <= AHEAD_MS;
    i64::from(last.wrapping_sub(first)) - (i64::from(is_rounding) << 32)
}

/// Where a time on the exporter's clock comes from, and what it becomes: the fields of `Op::Uptime`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uptimes {
    pub(super) edge: Edge,
    pub(super) first: Option<FieldSource>,
    pub(super) last: Option<FieldSource>,
    pub(super) boot: Option<FieldSource>,
    pub(super) to: TimeUnit,
}

/// Appends times given on the exporter's clock, run by run: all records of a message have its clock.
pub(super) fn append_uptimes(
    column: &mut Primitive<i64>,
    tile: &Tile<'_>,
    times: Uptimes,
    around: &Surroundings<'_, '_>,
    stats: &mut Stats,
) {
    let mut start = 0;
    for run in around.runs {
        let records = start..start + run.records;
        start = records.end;
        let boot_ms = run
            .context
            .boot_ms()
            .or_else(|| (around.options)(&run.context)?.system_init_time_ms());
        match (boot_ms, tile.shape, times) {
            (
                Some(boot_ms @ EARLIEST_BOOT_MS..=LATEST_BOOT_MS),
                TileShape::Strided(stride),
                Uptimes {
                    edge,
                    first:
                        Some(FieldSource::Start {
                            offset: first,
                            length: 4,
                        }),
                    last:
                        Some(FieldSource::Start {
                            offset: last,
                            length: 4,
                        }),
                    boot: None,
                    to,
                },
            ) => {
                let (per_ms, above) = (units_per_ms(to), wraps_above(run.context.uptime_ms));
                let bytes = &tile.bytes[records.start * stride..records.end * stride];
                let last_ms = |last| boot_ms + after_boot_ms(last, above);
                let records = bytes.chunks_exact(stride);
                match edge {
                    Edge::Start => column.extend(records.map(|record| {
                        let (first, last) = (be32(record, first), be32(record, last));
                        (last_ms(last) - before_last_ms(first, last)) * per_ms
                    })),
                    Edge::End => {
                        column.extend(records.map(|record| last_ms(be32(record, last)) * per_ms))
                    }
                }
            }
            _ => append_checked_uptimes(column, tile, records, times, run, boot_ms, stats),
        }
    }
}

/// The same for whatever fields there are, and for clocks that no exporter has.
fn append_checked_uptimes(
    column: &mut Primitive<i64>,
    tile: &Tile<'_>,
    records: std::ops::Range<usize>,
    times: Uptimes,
    run: &Run,
    boot_ms: Option<i64>,
    stats: &mut Stats,
) {
    let mut misfits = 0;
    column.extend_optional(records.map(|record| {
        let read = |source: Option<FieldSource>| {
            source.map(|source| be_uint(tile.field(record, source)).0 as u32)
        };
        let boot_ms = match times.boot {
            Some(source) => signed_offset(tile.field(record, source)),
            None => boot_ms,
        };
        let (first, last) = (read(times.first), read(times.last));
        let time = boot_ms
            .and_then(|boot_ms| {
                uptime_to_ms(times.edge, first, last, boot_ms, run.context.uptime_ms)
            })
            .and_then(|ms| ms.checked_mul(units_per_ms(times.to)));
        misfits += u64::from(boot_ms.is_some() && time.is_none());
        time
    }));
    stats.warnings[Warning::ValueOutOfRange as usize] += misfits;
}

/// Times are given in milliseconds or, where the column wants them, microseconds.
fn units_per_ms(to: TimeUnit) -> i64 {
    if to == TimeUnit::Millisecond { 1 } else { 1000 }
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
