//! One field to one column.

use std::iter::once;

use arrow_buffer::ArrowNativeType;
use arrow_schema::TimeUnit;

use super::strided::append_octets;
use super::time::{Era, absolute_time, units_per_second};
use super::{Tile, TileShape, locate, with_field};
use crate::bytes::be_uint;
use crate::column::{Address, Addresses, Append, Booleans, Column, Primitive, VariableOctets};
use crate::convert::{Convert, TimeFormat};
use crate::error::Warning;
use crate::plan::FieldSource;
use crate::stats::Stats;

/// All but times, for which see `append_time`, and lists.
pub(super) fn append_field(
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
        (Column::Fixed(column), Convert::Fixed) => match (length_of(source), column.width()) {
            (Some(4), 4) => append_octets(column, tile, source, |octets: [u8; 4]| octets),
            (Some(6), 6) => append_octets(column, tile, source, |octets: [u8; 6]| octets),
            _ => with_field!(tile, source, fields => {
                stats.warnings[Warning::ValueOutOfRange as usize] += column.extend_fitting(fields);
            }),
        },
        (Column::Fixed(column), Convert::LeftPadded) => {
            with_field!(tile, source, fields => {
                stats.warnings[Warning::ValueOutOfRange as usize] += column.extend_left_padded(fields);
            })
        }
        (Column::Addresses(column), Convert::MappedIpv4) => {
            append_octets(column, tile, source, mapped_ipv4);
        }
        (Column::Variable(column), Convert::Octets) => {
            with_field!(tile, source, fields => {
                stats.warnings[Warning::ValueOutOfRange as usize] += column.extend_optional(fields.map(Some));
            })
        }
        (Column::Variable(column), Convert::Text { trim }) => {
            append_text(column, tile, source, trim, stats)
        }
        (column, convert) => debug_assert!(false, "no conversion {convert:?} into {column:?}"),
    }
}

/// Of a field that has the same length in every record.
fn length_of(source: FieldSource) -> Option<usize> {
    match source {
        FieldSource::Start { length, .. } | FieldSource::After { length, .. } => Some(length),
        FieldSource::Piece { .. } => None,
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
    let length = length_of(source).unwrap_or_default();
    let wanted = |value: u64| (value >> shift) & mask;
    let most = u64::MAX >> (64 - 8 * length.clamp(1, 8));
    let is_whole = shift == 0 && mask & most == most && length <= size_of::<T>();
    // Every value fits: the field is no wider than the column, or masked to fit.
    let always_fits = length <= size_of::<T>() || length <= 8 && T::try_from(mask).is_ok();
    let fit = |value: u64| T::try_from(value).unwrap_or_default();
    // Where a record has eight octets, a part of them.
    if let (TileShape::Strided(stride @ 8..), FieldSource::Start { offset, .. }) =
        (tile.shape, source)
        && matches!(length, 3 | 5 | 6 | 7)
        && always_fits
    {
        let start = offset.min(stride - 8);
        let bits_behind = 8 * (start + 8 - offset - length);
        let (bits_behind, mask) = (bits_behind + usize::from(shift), mask & (most >> shift));
        let eight = FieldSource::Start {
            offset: start,
            length: 8,
        };
        return append_octets(column, tile, eight, |octets| {
            fit((u64::from_be_bytes(octets) >> bits_behind) & mask)
        });
    }
    macro_rules! width {
        ($width:literal) => {{
            let read = |field: [u8; $width]| {
                let mut octets = [0; 8];
                octets[8 - $width..].copy_from_slice(&field);
                u64::from_be_bytes(octets)
            };
            if is_whole {
                append_octets(column, tile, source, |field| fit(read(field)));
            } else {
                append_octets(column, tile, source, |field| fit(wanted(read(field))));
            }
        }};
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
            let misfits: u64 = with_field!(tile, source, fields => column.extend_optional(fields.map(|field| {
                let (value, too_wide) = be_uint(field);
                T::try_from(wanted(value)).ok().filter(|_| !too_wide && !field.is_empty())
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
    let misfits: u64 = with_field!(tile, source, fields => column.extend_mostly(fields.map(&read)));
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

/// Appends strings; what is not UTF-8 becomes null (RFC 7011 section 6.1.6: ill-formed strings are ignored).
fn append_text(
    column: &mut VariableOctets,
    tile: &Tile<'_>,
    source: FieldSource,
    trim: bool,
    stats: &mut Stats,
) {
    let (mut illegal, mut misfits) = (0, 0);
    with_field!(tile, source, fields => misfits += column.extend_optional(fields.map(|field| {
        let text = if trim { field.split(|&octet| octet == 0).next().unwrap_or_default() } else { field };
        let legal = std::str::from_utf8(text).is_ok();
        illegal += u64::from(!legal);
        legal.then_some(text)
    })));
    stats.warnings[Warning::IllegalUtf8 as usize] += illegal;
    stats.warnings[Warning::ValueOutOfRange as usize] += misfits;
}

/// Appends addresses of sixteen octets. A variable-length field may have another length: null (FF-DT-06).
fn append_addresses(
    column: &mut Addresses,
    tile: &Tile<'_>,
    source: FieldSource,
    stats: &mut Stats,
) {
    let FieldSource::Piece { .. } = source else {
        return append_octets(column, tile, source, |address: Address| address);
    };
    with_field!(tile, source, fields => {
        for field in fields {
            match Address::try_from(field) {
                Ok(address) => column.extend(once(address)),
                Err(_) => {
                    column.append_nulls(1);
                    stats.warn(Warning::ValueOutOfRange);
                }
            }
        }
    });
}

/// Plans use this for fields of sixteen octets only.
#[inline(always)]
pub(super) fn ipv6(field: &[u8]) -> Address {
    let mut octets = [0; 16];
    octets.copy_from_slice(&field[..16]);
    octets
}

#[inline(always)]
pub(super) fn mapped_ipv4(field: [u8; 4]) -> Address {
    let mut octets = [0, 0, 0xff, 0xff, 0, 0, 0, 0];
    octets[4..].copy_from_slice(&field);
    bytemuck::cast([0, u64::from_ne_bytes(octets)])
}

/// Plans use this for fields of four octets only.
#[inline(always)]
pub(super) fn four_octets(field: &[u8]) -> [u8; 4] {
    let mut octets = [0; 4];
    octets.copy_from_slice(&field[..4]);
    octets
}

/// Appends absolute times, which messages of one era brought.
pub(super) fn append_time(
    column: &mut Primitive<i64>,
    tile: &Tile<'_>,
    source: FieldSource,
    (from, to): (TimeFormat, TimeUnit),
    era: Era,
    stats: &mut Stats,
) {
    match (from, source) {
        // It may have any length.
        (_, FieldSource::Piece { .. }) => {}
        (TimeFormat::Seconds, _) => {
            let units = units_per_second(to);
            return append_octets(column, tile, source, |field| {
                era.unix_s(u32::from_be_bytes(field)) * units
            });
        }
        (TimeFormat::NtpMicroseconds | TimeFormat::NtpNanoseconds, _) => {
            return append_octets(column, tile, source, |field| {
                absolute_time(u64::from_be_bytes(field), from, to, era).unwrap_or_default()
            });
        }
        // Nearly always all have a place in 63 bits: tried without bits for nulls first.
        (TimeFormat::Milliseconds, _) => {
            let units = units_per_second(to) / 1000;
            let most = i64::MAX as u64 / units as u64;
            let before = column.len();
            let mut bits = 0; // of all: no less than the greatest
            append_octets(column, tile, source, |field| {
                let milliseconds = u64::from_be_bytes(field);
                bits |= milliseconds;
                (milliseconds as i64).wrapping_mul(units)
            });
            if bits <= most {
                return;
            }
            column.truncate(before);
        }
    }
    let len = usize::from(from.len());
    let misfits: u64 = with_field!(tile, source, fields => column.extend_optional(fields.map(|field| {
        (field.len() == len).then(|| absolute_time(be_uint(field).0, from, to, era)).flatten()
    })));
    stats.warnings[Warning::ValueOutOfRange as usize] += misfits;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::FieldSource;

    #[test]
    fn floats_and_signs() {
        assert_eq!(float(&0.25f32.to_be_bytes()), Some(0.25));
        assert_eq!(float(&[1, 2]), None);
        let tile = Tile::of(&[0xff, 0xfb, 0, 5], 2, TileShape::Strided(2));
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
