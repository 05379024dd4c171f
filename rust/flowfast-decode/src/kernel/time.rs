//! Times: absolute ones of every encoding, and those on the exporter's own clock.

use arrow_schema::TimeUnit;

use super::{Surroundings, Tile, TileShape};
use crate::batch::Run;
use crate::bytes::{be_uint, be32};
use crate::column::{Append, Primitive};
use crate::convert::TimeFormat;
use crate::error::Warning;
use crate::plan::{Edge, FieldSource};
use crate::stats::Stats;

/// What seconds of 32 bits mean, which begin again every 136 years: the time nearest to when their message was received (FF-SQ-07).
///
/// Receive times of one fortnight, about, have the same era, so that all records of a stage are read alike; which of two times
/// 136 years apart is meant does not hang on a fortnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Era {
    /// The earliest time that can be meant, seconds since the UNIX epoch: 68 years before, but no time before 1970.
    earliest_s: i64,
}

impl Era {
    /// The era of what is received at a time, up to 2191: no time in it is too late for nanoseconds in 63 bits.
    pub(super) fn of(received_ns: i64) -> Self {
        const FORTNIGHT_NS: i64 = 14 * 24 * 3600 * 1_000_000_000;
        const LATEST_S: i64 = 7_000_000_000;
        let fortnight_s = received_ns.div_euclid(FORTNIGHT_NS) * (FORTNIGHT_NS / 1_000_000_000);
        Self {
            earliest_s: (fortnight_s.min(LATEST_S) - (1 << 31)).max(0),
        }
    }

    /// Seconds since the UNIX epoch, of seconds since then modulo 2^32.
    #[inline(always)]
    pub(super) fn unix_s(self, seconds: u32) -> i64 {
        self.earliest_s + i64::from(seconds.wrapping_sub(self.earliest_s as u32))
    }
}

/// Consecutive runs of one era: their records, counted from the first of the tile, and it.
pub(super) fn eras(runs: &[Run]) -> impl Iterator<Item = (std::ops::Range<usize>, Era)> + '_ {
    let era = |run: &Run| Era::of(run.context.received_ns);
    let times = || runs.iter().map(|run| run.context.received_ns);
    // Nearly always: the earliest and the latest are, and nothing has to be worked out for each run.
    let is_one = times().min().map(Era::of) == times().max().map(Era::of);
    let mut start = 0;
    runs.chunk_by(move |a, b| is_one || era(a) == era(b))
        .map(move |alike| {
            let records = alike.iter().map(|run| run.records).sum::<usize>();
            start += records;
            (start - records..start, era(&alike[0]))
        })
}

pub(super) fn units_per_second(of: TimeUnit) -> i64 {
    match of {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// An absolute time in `to`'s unit since the UNIX epoch; `None` if that has no place in 63 bits.
#[inline(always)]
pub(super) fn absolute_time(raw: u64, from: TimeFormat, to: TimeUnit, era: Era) -> Option<i64> {
    let units_per_second = units_per_second(to);
    match from {
        TimeFormat::Seconds => Some(era.unix_s(raw as u32) * units_per_second),
        TimeFormat::Milliseconds => i64::try_from(raw)
            .ok()?
            .checked_mul(units_per_second / 1000),
        // Without its low bits the fraction is up to half a microsecond short: the nearest one is what was meant.
        TimeFormat::NtpMicroseconds => Some(ntp(raw & !0x7ff, units_per_second, 1 << 31, era)),
        TimeFormat::NtpNanoseconds => Some(ntp(raw, units_per_second, 0, era)),
    }
}

/// NTP seconds and fraction (RFC 7011 section 6.1.9; FF-DT-01), `rounding` being added to the fraction of a unit. NTP's first era
/// ends on 8 February 2036 (FF-SQ-07).
#[inline(always)]
fn ntp(raw: u64, units_per_second: i64, rounding: u64, era: Era) -> i64 {
    const UNIX_EPOCH: u32 = 2_208_988_800;
    let seconds = era.unix_s(((raw >> 32) as u32).wrapping_sub(UNIX_EPOCH));
    let fraction = ((raw & 0xffff_ffff) * units_per_second as u64 + rounding) >> 32;
    seconds * units_per_second + fraction as i64
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
                let clock = Clock {
                    boot_ms,
                    wraps_above: wraps_above(run.context.uptime_ms),
                    per_ms: units_per_ms(to),
                };
                let records = tile.bytes[records.start * stride..records.end * stride]
                    .chunks_exact(stride)
                    .map(|record| (be32(record, first), be32(record, last)));
                clock.append(column, edge, records);
            }
            _ => append_checked_uptimes(column, tile, records, times, run, boot_ms, stats),
        }
    }
}

/// An exporter's clock, in a message that says when it started.
#[derive(Clone, Copy)]
struct Clock {
    boot_ms: i64,
    /// Times above this are from before the clock wrapped.
    wraps_above: u32,
    /// Units of the column in a millisecond.
    per_ms: i64,
}

impl Clock {
    /// Appends the first or the last of each two times. Nearly never has a clock wrapped: then each is so long after the start of the
    /// exporter, which is tried first.
    fn append(
        self,
        column: &mut Primitive<i64>,
        edge: Edge,
        times: impl Iterator<Item = (u32, u32)> + Clone,
    ) {
        let before = column.len();
        let (boot, above) = (self.boot_ms * self.per_ms, i64::from(self.wraps_above));
        let mut signs = 0; // negative if any of them is: the last time above, or the first one after the last
        match edge {
            Edge::Start => column.extend(times.clone().map(|(first, last)| {
                let (first, last) = (i64::from(first), i64::from(last));
                signs |= (above - last) | (last - first);
                boot + first * self.per_ms
            })),
            Edge::End => column.extend(times.clone().map(|(_, last)| {
                let last = i64::from(last);
                signs |= above - last;
                boot + last * self.per_ms
            })),
        }
        if signs >= 0 {
            return;
        }
        column.truncate(before);
        column.extend(times.map(|(first, last)| {
            let last_ms = self.boot_ms + after_boot_ms(last, self.wraps_above);
            match edge {
                Edge::Start => (last_ms - before_last_ms(first, last)) * self.per_ms,
                Edge::End => last_ms * self.per_ms,
            }
        }));
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

    /// 14 November 2023, 22:13:20 UTC.
    const NOW_S: i64 = 1_700_000_000;
    const S_NS: i64 = 1_000_000_000;

    fn micros(raw: u64, from: TimeFormat, received_s: i64) -> Option<i64> {
        let era = Era::of(received_s * S_NS);
        absolute_time(raw, from, TimeUnit::Microsecond, era)
    }

    #[test]
    fn ntp_times() {
        // FF-DT-01: 1700000000.5 with low fraction bits set.
        let raw = (1_700_000_000 + 2_208_988_800) << 32 | 0x8000_0fff;
        assert_eq!(
            micros(raw, TimeFormat::NtpMicroseconds, NOW_S),
            Some(1_700_000_000_500_000)
        );
        let era = Era::of(NOW_S * S_NS);
        assert_eq!(
            absolute_time(raw, TimeFormat::NtpNanoseconds, TimeUnit::Nanosecond, era),
            Some(1_700_000_000_500_000_953)
        );
        // From a capture of softflowd, which sent 1700000000.012207: its fraction lost 0.42 microseconds with its low bits.
        let fraction = (12_207_u64 << 32) / 1_000_000;
        assert_eq!(
            micros(
                (1_700_000_000 + 2_208_988_800) << 32 | fraction,
                TimeFormat::NtpMicroseconds,
                NOW_S
            ),
            Some(1_700_000_000_012_207)
        );
        assert_eq!(micros(u64::MAX, TimeFormat::Milliseconds, NOW_S), None);
    }

    #[test]
    fn seconds_are_near_the_receive_time() {
        // FF-SQ-07. NTP's era 0 ends at 2^32 s after 1900: 2085978496 s after 1970, 7 February 2036, 06:28:16 UTC.
        let (wrap_ntp_s, wrap_s) = ((1_i64 << 32) - 2_208_988_800, 1_i64 << 32);
        assert_eq!(wrap_ntp_s, 2_085_978_496);
        for (format, zero_s) in [
            (TimeFormat::Seconds, 0),
            (TimeFormat::NtpMicroseconds, 2_208_988_800),
            (TimeFormat::NtpNanoseconds, 2_208_988_800),
        ] {
            let raw = |unix_s: i64| {
                let seconds = (unix_s + zero_s).rem_euclid(1 << 32) as u64;
                seconds << if zero_s == 0 { 0 } else { 32 }
            };
            for received_s in [
                0,
                NOW_S,
                wrap_ntp_s - 1,
                wrap_ntp_s + 1,
                wrap_s - 1,
                wrap_s,
                2 * wrap_s - 3_000_000_000,
            ] {
                // Just before and after, a day, and sixty years to either side.
                for apart_s in [0, 1, 86_400, 60 * 31_557_600] {
                    for sent_s in [(received_s - apart_s).max(0), received_s + apart_s] {
                        assert_eq!(
                            micros(raw(sent_s), format, received_s),
                            Some(sent_s * 1_000_000),
                            "{format:?} {sent_s} received at {received_s}"
                        );
                    }
                }
            }
        }
    }
}
