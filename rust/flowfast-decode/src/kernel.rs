//! Runs plans: for each op, over all records of a tile, from the wire's octets into columns. Nothing here can fail: `split` has
//! checked that every field lies inside the tile.

use arrow_buffer::ArrowNativeType;
use arrow_schema::TimeUnit;

use crate::batch::{MessageContext, Run, Table};
use crate::bytes::be_uint;
use crate::column::{Address, Addresses, Booleans, Column, Primitive};
use crate::convert::{Convert, TimeFormat};
use crate::error::Warning;
use crate::plan::{Edge, FamilyValue, FieldSource, Op, Piece, SamplingFields, sampling_source};
use crate::schema::SAMPLING_SOURCES;
use crate::stats::Stats;
use crate::template::options::{OptionsState, saturate, systematic_rate};

/// Records of one plan, end to end: those of a set, or staged from many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) records: usize,
    pub(crate) shape: TileShape<'a>,
}

/// Where the records of a tile begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TileShape<'a> {
    /// Every so many octets.
    Strided(usize),
    /// Where their pieces say.
    Pieces {
        per_record: usize,
        pieces: &'a [Piece],
    },
}

impl<'a> Tile<'a> {
    /// The octets of one field of one record.
    #[inline(always)]
    pub(crate) fn field(&self, record: usize, source: FieldSource) -> &'a [u8] {
        match self.shape {
            TileShape::Strided(stride) => {
                let FieldSource::Start { offset, length } = source else {
                    return &[];
                };
                &self.bytes[record * stride + offset..][..length]
            }
            TileShape::Pieces { per_record, pieces } => locate(
                self.bytes,
                source,
                &pieces[record * per_record..][..per_record],
            ),
        }
    }
}

/// The octets of a field in a record of variable length.
#[inline(always)]
fn locate<'a>(bytes: &'a [u8], source: FieldSource, pieces: &[Piece]) -> &'a [u8] {
    let (start, length) = match source {
        FieldSource::Start { offset, length } => (pieces[0].start as usize + offset, length),
        FieldSource::After {
            piece,
            offset,
            length,
        } => (
            (pieces[piece].start + pieces[piece].len) as usize + offset,
            length,
        ),
        FieldSource::Piece { piece } => (pieces[piece].start as usize, pieces[piece].len as usize),
    };
    &bytes[start..start + length]
}

/// Binds an iterator over the octets of one field in every record, compiled apart for each shape.
macro_rules! with_field {
    ($tile:expr, $source:expr, $fields:ident => $body:expr) => {{
        let (tile, source): (&Tile<'_>, FieldSource) = ($tile, $source);
        match (tile.shape, source) {
            (TileShape::Strided(stride), FieldSource::Start { offset, length }) => {
                let $fields = tile
                    .bytes
                    .chunks_exact(stride)
                    .map(move |record| &record[offset..offset + length]);
                $body
            }
            (TileShape::Strided(_), _) => {}
            (TileShape::Pieces { per_record, pieces }, source) => {
                let bytes = tile.bytes;
                let $fields = pieces
                    .chunks_exact(per_record)
                    .map(move |pieces| locate(bytes, source, pieces));
                $body
            }
        }
    }};
}

/// What ops read besides the tile.
pub(crate) struct Surroundings<'a> {
    /// The messages that the tile's records came in.
    pub(crate) runs: &'a [Run],
    /// Options state by `MessageContext::domain_index`.
    pub(crate) options: &'a dyn Fn(usize) -> Option<&'a OptionsState>,
}

/// Appends a tile to a table.
pub(crate) fn execute(
    ops: &[Op],
    tile: &Tile<'_>,
    table: &mut Table,
    around: &Surroundings<'_>,
    stats: &mut Stats,
) {
    for op in ops {
        execute_op(op, tile, table, around, stats);
    }
    table.add_rows(tile.records, around.runs);
}

fn execute_op(
    op: &Op,
    tile: &Tile<'_>,
    table: &mut Table,
    around: &Surroundings<'_>,
    stats: &mut Stats,
) {
    match *op {
        Op::Field {
            column,
            source,
            convert,
        } => {
            if let Some(column) = table.field(column) {
                append_field(column, tile, source, convert, stats);
            }
        }
        Op::Constant { column, value } => {
            if let Some(Column::U16(column)) = table.field(column) {
                column.extend_constant(value as u16, tile.records);
            }
        }
        Op::EitherFamily {
            column,
            ipv4,
            ipv6,
            ip_version,
            what,
        } => {
            if let Some(column) = table.field(column) {
                append_either(column, tile, ipv4, ipv6, ip_version, what);
            }
        }
        Op::Uptime {
            column,
            edge,
            first,
            last,
            boot,
            to,
        } => {
            if let Some(Column::I64(column)) = table.field(column) {
                let mut misfits = 0;
                let times = contexts(around.runs).enumerate().map(|(record, context)| {
                    let read = |source: Option<FieldSource>| {
                        source.map(|source| be_uint(tile.field(record, source)).0 as u32)
                    };
                    let boot_ms = match boot {
                        Some(source) => signed_offset(tile.field(record, source)),
                        None => context.boot_ms().or_else(|| {
                            (around.options)(context.domain_index)?.system_init_time_ms()
                        }),
                    };
                    let time = boot_ms
                        .and_then(|boot_ms| {
                            uptime_to_ms(edge, read(first), read(last), boot_ms, context.uptime_ms)
                        })
                        .and_then(|ms| match to {
                            TimeUnit::Millisecond => Some(ms),
                            _ => ms.checked_mul(1000),
                        });
                    misfits += u64::from(boot_ms.is_some() && time.is_none());
                    time
                });
                column.extend_optional(times);
                stats.warnings[Warning::ValueOutOfRange as usize] += misfits;
            }
        }
        Op::BeforeExport { column, source } => {
            if let Some(Column::I64(column)) = table.field(column) {
                // RFC 7011 section 6.1, elements 158 and 159; FF-DT-07.
                let mut misfits = 0;
                let times = contexts(around.runs).enumerate().map(|(record, context)| {
                    let time = signed_offset(tile.field(record, source))
                        .zip(context.export_time_ms)
                        .and_then(|(before, export_ms)| (export_ms * 1000).checked_sub(before));
                    misfits += u64::from(time.is_none());
                    time
                });
                column.extend_optional(times);
                stats.warnings[Warning::ValueOutOfRange as usize] += misfits;
            }
        }
        Op::IcmpInPort {
            column,
            protocol,
            port,
            shift,
        } => {
            if let Some(Column::U8(column)) = table.field(column) {
                let values = (0..tile.records).map(|record| {
                    let is_icmp = be_uint(tile.field(record, protocol)).0 == 1;
                    is_icmp.then(|| (be_uint(tile.field(record, port)).0 >> shift) as u8)
                });
                column.extend_optional(values);
            }
        }
        Op::MplsLabels {
            column,
            ref entries,
        } => {
            if let Some(Column::Labels(column)) = table.field(column) {
                for record in 0..tile.records {
                    column.append(label_stack(
                        entries
                            .iter()
                            .map(|&entry| be_uint(tile.field(record, entry)).0 as u32),
                    ));
                }
            }
        }
        Op::Sampling {
            rate,
            source,
            fields,
        } => append_sampling(table, tile, rate, source, fields, around),
    }
}

/// An unsigned field to reckon times with; `None` if it is above 63 bits.
fn signed_offset(field: &[u8]) -> Option<i64> {
    let (value, too_wide) = be_uint(field);
    i64::try_from(value).ok().filter(|_| !too_wide)
}

/// The message of each record.
fn contexts<'a>(runs: &'a [Run]) -> impl Iterator<Item = &'a MessageContext> + 'a {
    runs.iter()
        .flat_map(|run| std::iter::repeat_n(&run.context, run.records))
}

fn append_field(
    column: &mut Column,
    tile: &Tile<'_>,
    source: FieldSource,
    convert: Convert,
    stats: &mut Stats,
) {
    match (column, convert) {
        (Column::U8(column), Convert::Unsigned { shift, mask }) => {
            append_unsigned(column, tile, source, shift, mask, stats)
        }
        (Column::U16(column), Convert::Unsigned { shift, mask }) => {
            append_unsigned(column, tile, source, shift, mask, stats)
        }
        (Column::U32(column), Convert::Unsigned { shift, mask }) => {
            append_unsigned(column, tile, source, shift, mask, stats)
        }
        (Column::U64(column), Convert::Unsigned { shift, mask }) => {
            append_unsigned(column, tile, source, shift, mask, stats)
        }
        (Column::I8(column), Convert::Signed) => {
            append_checked(column, tile, source, signed, stats)
        }
        (Column::I16(column), Convert::Signed) => {
            append_checked(column, tile, source, signed, stats)
        }
        (Column::I32(column), Convert::Signed) => {
            append_checked(column, tile, source, signed, stats)
        }
        (Column::I64(column), Convert::Signed) => {
            append_checked(column, tile, source, signed, stats)
        }
        (Column::F32(column), Convert::Float) => {
            // No float64 in a float32 (RFC 7011 section 6.2), though a variable-length field may carry its octets.
            let narrow = |field: &[u8]| Some(f32::from_be_bytes(field.try_into().ok()?));
            append_checked(column, tile, source, narrow, stats);
        }
        (Column::F64(column), Convert::Float) => append_checked(column, tile, source, float, stats),
        (Column::Boolean(column), Convert::Boolean) => append_booleans(column, tile, source, stats),
        (Column::Addresses(column), Convert::Fixed) => {
            append_addresses(column, tile, source, stats)
        }
        (Column::Fixed(column), Convert::Fixed) => {
            with_field!(tile, source, fields => {
                stats.warnings[Warning::ValueOutOfRange as usize] += column.extend(fields);
            })
        }
        (Column::Fixed(column), Convert::LeftPadded) => {
            with_field!(tile, source, fields => {
                stats.warnings[Warning::ValueOutOfRange as usize] += column.extend_left_padded(fields);
            })
        }
        (Column::Addresses(column), Convert::MappedIpv4) => {
            with_field!(tile, source, fields => column.extend(fields.map(mapped_ipv4)));
        }
        (Column::Variable(column), Convert::Octets) => {
            with_field!(tile, source, fields => column.extend_optional(fields.map(Some)))
        }
        (Column::Variable(column), Convert::Text { trim }) => {
            let mut illegal = 0;
            with_field!(tile, source, fields => column.extend_optional(fields.map(|field| {
                let text = if trim { field.split(|&octet| octet == 0).next().unwrap_or_default() } else { field };
                // RFC 7011 section 6.1.6: ill-formed UTF-8 is ignored.
                let legal = std::str::from_utf8(text).is_ok();
                illegal += u64::from(!legal);
                legal.then_some(text)
            })));
            stats.warnings[Warning::IllegalUtf8 as usize] += illegal;
        }
        (Column::I64(column), Convert::Time { from, to }) => {
            append_time(column, tile, source, from, to, stats)
        }
        (column, convert) => debug_assert!(false, "no conversion {convert:?} into {column:?}"),
    }
}

/// Appends one field as unsigned integers; values that do not fit become null (FF-DT-04).
fn append_unsigned<T: ArrowNativeType + TryFrom<u64>>(
    column: &mut Primitive<T>,
    tile: &Tile<'_>,
    source: FieldSource,
    shift: u8,
    mask: u64,
    stats: &mut Stats,
) {
    let length = match source {
        FieldSource::Start { length, .. } | FieldSource::After { length, .. } => length,
        FieldSource::Piece { .. } => 0,
    };
    let wanted = |value: u64| (value >> shift) & mask;
    // Every value fits: the field is no wider than the column, or masked to fit.
    let always_fits = (1..=size_of::<T>()).contains(&length)
        || (1..=8).contains(&length) && T::try_from(mask).is_ok();
    macro_rules! width {
        ($width:literal) => {
            with_field!(tile, source, fields => column.extend(fields.map(|field| {
                let mut octets = [0; 8];
                octets[8 - $width..].copy_from_slice(&field[..$width]);
                T::try_from(wanted(u64::from_be_bytes(octets))).unwrap_or_default()
            })))
        };
    }
    match length {
        1 if always_fits => width!(1),
        2 if always_fits => width!(2),
        3 if always_fits => width!(3),
        4 if always_fits => width!(4),
        5 if always_fits => width!(5),
        6 if always_fits => width!(6),
        7 if always_fits => width!(7),
        8 if always_fits => width!(8),
        _ => {
            let mut misfits = 0;
            with_field!(tile, source, fields => column.extend_optional(fields.map(|field| {
                let (value, too_wide) = be_uint(field);
                let value = T::try_from(wanted(value)).ok().filter(|_| !too_wide && !field.is_empty());
                misfits += u64::from(value.is_none());
                value
            })));
            stats.warnings[Warning::ValueOutOfRange as usize] += misfits;
        }
    }
}

/// Appends what `read` makes of each field; what it makes nothing of becomes null, and is counted (FF-RB-05).
fn append_checked<T: ArrowNativeType>(
    column: &mut Primitive<T>,
    tile: &Tile<'_>,
    source: FieldSource,
    read: impl Fn(&[u8]) -> Option<T>,
    stats: &mut Stats,
) {
    let mut misfits = 0;
    with_field!(tile, source, fields => column.extend_optional(fields.map(|field| {
        let value = read(field);
        misfits += u64::from(value.is_none());
        value
    })));
    stats.warnings[Warning::ValueOutOfRange as usize] += misfits;
}

/// Reduced sizes are sign-extended (RFC 7011 section 6.2); values beyond the type are none (FF-DT-04).
fn signed<T: TryFrom<i64>>(field: &[u8]) -> Option<T> {
    let unused = 64
        - 8 * u32::try_from(field.len())
            .ok()
            .filter(|len| (1..=8).contains(len))?;
    T::try_from(((be_uint(field).0 << unused) as i64) >> unused).ok()
}

/// Four octets are a float32, also where the element is a float64 (RFC 7011 section 6.2).
fn float(field: &[u8]) -> Option<f64> {
    match *field {
        [a, b, c, d] => Some(f64::from(f32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Some(f64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    }
}

fn append_booleans(column: &mut Booleans, tile: &Tile<'_>, source: FieldSource, stats: &mut Stats) {
    let mut illegal = 0;
    with_field!(tile, source, fields => column.extend_optional(fields.map(|field| match field {
        [1] => Some(true),
        [2] => Some(false),
        _ => {
            illegal += 1;
            None
        }
    })));
    stats.warnings[Warning::IllegalBoolean as usize] += illegal;
}

/// Appends addresses of sixteen octets. A variable-length field may have another length: null (FF-DT-06).
fn append_addresses(
    column: &mut Addresses,
    tile: &Tile<'_>,
    source: FieldSource,
    stats: &mut Stats,
) {
    with_field!(tile, source, fields => {
        if let FieldSource::Piece { .. } = source {
            for field in fields {
                match Address::try_from(field) {
                    Ok(address) => column.extend_constant(address, 1),
                    Err(_) => {
                        column.append_nulls(1);
                        stats.warn(Warning::ValueOutOfRange);
                    }
                }
            }
        } else {
            column.extend(fields.map(ipv6));
        }
    });
}

/// Plans use this for fields of sixteen octets only.
#[inline(always)]
fn ipv6(field: &[u8]) -> Address {
    let mut octets = [0; 16];
    octets.copy_from_slice(&field[..16]);
    octets
}

#[inline(always)]
fn mapped_ipv4(field: &[u8]) -> Address {
    let mut octets = [0; 16];
    (octets[10], octets[11]) = (0xff, 0xff);
    // Plans use this conversion for fields of four octets only.
    octets[12..].copy_from_slice(&field[..4]);
    octets
}

fn append_time(
    column: &mut Primitive<i64>,
    tile: &Tile<'_>,
    source: FieldSource,
    from: TimeFormat,
    to: TimeUnit,
    stats: &mut Stats,
) {
    with_field!(tile, source, fields => {
        let misfits = column.extend_mostly(fields.map(|field| {
            (field.len() == usize::from(from.len())).then(|| absolute_time(be_uint(field).0, from, to)).flatten()
        }));
        stats.warnings[Warning::ValueOutOfRange as usize] += misfits;
    });
}

/// An absolute time in `to`'s unit since the UNIX epoch; `None` if that has no place in 63 bits.
fn absolute_time(raw: u64, from: TimeFormat, to: TimeUnit) -> Option<i64> {
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
fn uptime_to_ms(
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

/// Labels, top first, down to the bottom of the stack (RFC 3032 section 2.1); entries of zeros are unused.
fn label_stack(entries: impl Iterator<Item = u32>) -> impl Iterator<Item = u32> {
    let mut bottom = false;
    entries
        .take_while(move |entry| {
            let go_on = !bottom && *entry != 0;
            bottom = entry & 1 == 1;
            go_on
        })
        .map(|entry| entry >> 4)
}

/// Picks between two fields by the record's IP version: element 60 if it is there, else whether the IPv6 address is set.
fn append_either(
    column: &mut Column,
    tile: &Tile<'_>,
    ipv4_source: FieldSource,
    ipv6_source: FieldSource,
    ip_version: Option<FieldSource>,
    what: FamilyValue,
) {
    let is_ipv6 = |record| match tile.field(record, ip_version.unwrap_or(ipv6_source)) {
        [version @ (4 | 6)] => *version == 6,
        [_] => is_set(tile.field(record, ipv6_source)),
        address => is_set(address),
    };
    match (column, what) {
        (Column::Addresses(column), FamilyValue::Address) => {
            column.extend((0..tile.records).map(|record| {
                if is_ipv6(record) {
                    ipv6(tile.field(record, ipv6_source))
                } else {
                    mapped_ipv4(tile.field(record, ipv4_source))
                }
            }))
        }
        (Column::U8(column), FamilyValue::PrefixLength) => {
            column.extend((0..tile.records).map(|record| {
                let field = tile.field(
                    record,
                    if is_ipv6(record) {
                        ipv6_source
                    } else {
                        ipv4_source
                    },
                );
                field.first().copied().unwrap_or_default()
            }))
        }
        (Column::U16(column), FamilyValue::EtherType) => {
            column.extend(
                (0..tile.records).map(|record| if is_ipv6(record) { 0x86dd } else { 0x0800 }),
            );
        }
        (column, what) => debug_assert!(false, "no {what:?} in {column:?}"),
    }
}

fn is_set(octets: &[u8]) -> bool {
    octets.iter().any(|&octet| octet != 0)
}

/// FF-SMP-02: the record, then options by sampler, then options of the exporter, then the header; 0 where none tells.
fn append_sampling(
    table: &mut Table,
    tile: &Tile<'_>,
    rate: Option<usize>,
    source: Option<usize>,
    fields: SamplingFields,
    around: &Surroundings<'_>,
) {
    // Where no field tells, all records of a run are alike.
    let is_per_run = fields == SamplingFields::default();
    let each = |append: &mut dyn FnMut((u32, u8), usize)| {
        let mut record = 0;
        for run in around.runs {
            let end = record + run.records;
            let step = if is_per_run { run.records } else { 1 };
            while record < end {
                append(
                    sampling_of(tile, record, fields, &run.context, around),
                    step,
                );
                record += step;
            }
        }
    };
    if let Some(Column::U32(column)) = rate.and_then(|column| table.field(column)) {
        each(&mut |(rate, _), records| column.extend_constant(rate, records));
    }
    if let Some(Column::Keys(column)) = source.and_then(|column| table.field(column)) {
        each(&mut |(_, source), records| {
            column.extend_constant(SAMPLING_SOURCES, source, records);
        });
    }
}

/// (rate, key of its source) of one record.
fn sampling_of(
    tile: &Tile<'_>,
    record: usize,
    fields: SamplingFields,
    context: &MessageContext,
    around: &Surroundings<'_>,
) -> (u32, u8) {
    let read = |source: FieldSource| be_uint(tile.field(record, source)).0;
    let in_record = match fields {
        // FF-SMP-04: 0 or 1 is unsampled.
        SamplingFields {
            interval: Some(interval),
            ..
        } => Some(saturate(read(interval).max(1))),
        SamplingFields {
            packet_interval: Some(interval),
            packet_space: Some(space),
            ..
        } => Some(systematic_rate(read(interval), read(space))),
        _ => None,
    };
    if let Some(rate) = in_record {
        return (rate, sampling_source::RECORD);
    }
    let options = (around.options)(context.domain_index);
    if let Some(rate) = options.and_then(|options| options.sampling_rate(fields.sampler.map(read)))
    {
        return (rate, sampling_source::OPTIONS);
    }
    match context.header_sampling_rate {
        Some(rate) => (rate, sampling_source::HEADER),
        None => (0, sampling_source::NONE),
    }
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

    #[test]
    fn label_stacks_end_at_the_bottom() {
        // RFC 3032 section 2.1: label 20 bits, traffic class 3, bottom of stack 1.
        let labels: Vec<_> = label_stack([16 << 4, 17 << 4 | 1, 18 << 4].into_iter()).collect();
        assert_eq!(labels, [16, 17]);
        assert_eq!(label_stack([0, 0].into_iter()).count(), 0);
    }

    #[test]
    fn floats_and_signs() {
        assert_eq!(float(&0.25f32.to_be_bytes()), Some(0.25));
        assert_eq!(float(&[1, 2]), None);
        let tile = Tile {
            bytes: &[0xff, 0xfb, 0, 5],
            records: 2,
            shape: TileShape::Strided(2),
        };
        let mut column = Primitive::<i32>::default();
        append_checked(
            &mut column,
            &tile,
            FieldSource::Start {
                offset: 0,
                length: 2,
            },
            signed,
            &mut Stats::default(),
        );
        assert!(format!("{column:?}").contains("[-5, 5]"));
        // FF-DT-06, FF-DT-04: a variable-length field may carry more than its type holds.
        assert_eq!(signed::<i8>(&[0, 200]), None);
        assert_eq!(signed::<i8>(&[0xff, 0x80]), Some(-128));
    }
}
