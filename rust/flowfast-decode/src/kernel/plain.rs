//! What a decoder does that has no plan to speak of: record by record, field by field, a decision on the type for every value.
//!
//! The other kernels are measured against it, and, since it converts values on its own, tested against it (FF-ORD-06).

use std::iter::once;

use arrow_buffer::ArrowNativeType;

use super::time::{Era, absolute_time};
use super::{Surroundings, Tile, execute_op};
use crate::batch::{Run, Table};
use crate::column::{Append, Column, Primitive};
use crate::convert::Convert;
use crate::error::Warning;
use crate::plan::Op;
use crate::stats::Stats;

/// Runs all ops for one record, then for the next.
pub(super) fn execute(
    ops: &[Op],
    tile: &Tile<'_>,
    table: &mut Table,
    around: &Surroundings<'_, '_>,
    stats: &mut Stats,
) {
    let runs = around.runs.iter();
    let each = runs.flat_map(|run| std::iter::repeat_n(Run { records: 1, ..*run }, run.records));
    for (index, run) in each.enumerate() {
        let record = tile.part(index..index + 1);
        let around = Surroundings {
            runs: &[run],
            ..*around
        };
        for op in ops {
            match *op {
                Op::Field {
                    column,
                    source,
                    convert,
                } => {
                    if let Some(column) = table.field(column) {
                        append(
                            column,
                            record.field(0, source),
                            convert,
                            run.context.received_ns,
                            stats,
                        );
                    }
                }
                // What is made of several fields is made one way.
                _ => execute_op(op, &record, table, &around, stats),
            }
        }
        table.add_records(1);
    }
    table.add_runs(around.runs);
}

/// Appends one value, or a null for a field that does not hold one.
fn append(
    column: &mut Column,
    field: &[u8],
    convert: Convert,
    received_ns: i64,
    stats: &mut Stats,
) {
    let misfits = match (column, convert) {
        (Column::U8(column), Convert::Unsigned { shift, mask }) => {
            push(column, unsigned(field, shift, mask))
        }
        (Column::U16(column), Convert::Unsigned { shift, mask }) => {
            push(column, unsigned(field, shift, mask))
        }
        (Column::U32(column), Convert::Unsigned { shift, mask }) => {
            push(column, unsigned(field, shift, mask))
        }
        (Column::U64(column), Convert::Unsigned { shift, mask }) => {
            push(column, unsigned(field, shift, mask))
        }
        (Column::I8(column), Convert::Signed) => push(column, signed(field)),
        (Column::I16(column), Convert::Signed) => push(column, signed(field)),
        (Column::I32(column), Convert::Signed) => push(column, signed(field)),
        (Column::I64(column), Convert::Signed) => push(column, signed(field)),
        (Column::F32(column), Convert::Float) => {
            push(column, field.try_into().ok().map(f32::from_be_bytes))
        }
        (Column::F64(column), Convert::Float) => push(column, float(field)),
        (Column::I64(column), Convert::Time { from, to }) => {
            let is_whole = field.len() == usize::from(from.len());
            let time = unsigned(field, 0, u64::MAX).filter(|_| is_whole);
            let era = Era::of(received_ns);
            push(
                column,
                time.and_then(|raw| absolute_time(raw, from, to, era)),
            )
        }
        (Column::Boolean(column), Convert::Boolean) => {
            let value = match field {
                [1] => Some(true),
                [2] => Some(false),
                _ => None,
            };
            column.extend_optional(once(value));
            stats.warnings[Warning::IllegalBoolean as usize] += u64::from(value.is_none());
            0
        }
        (Column::Addresses(column), Convert::Fixed) => match field.try_into() {
            Ok(address) => {
                column.extend(once(address));
                0
            }
            Err(_) => {
                column.append_nulls(1);
                1
            }
        },
        (Column::Addresses(column), Convert::MappedIpv4) => {
            let mut address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
            address[12..].copy_from_slice(field);
            column.extend(once(address));
            0
        }
        (Column::Fixed(column), Convert::Fixed) => column.extend_fitting(once(field)),
        (Column::Fixed(column), Convert::LeftPadded) => column.extend_left_padded(once(field)),
        (Column::Variable(column), Convert::Octets) => column.extend_optional(once(Some(field))),
        (Column::Variable(column), Convert::Text { trim }) => {
            let end = field.iter().position(|&octet| octet == 0).filter(|_| trim);
            let text = std::str::from_utf8(&field[..end.unwrap_or(field.len())]).ok();
            stats.warnings[Warning::IllegalUtf8 as usize] += u64::from(text.is_none());
            column.extend_optional(once(text.map(str::as_bytes)))
        }
        (column, convert) => {
            debug_assert!(false, "no conversion {convert:?} into {column:?}");
            0
        }
    };
    stats.warnings[Warning::ValueOutOfRange as usize] += misfits;
}

/// Returns how many values are missing.
fn push<T: ArrowNativeType>(column: &mut Primitive<T>, value: Option<T>) -> u64 {
    match value {
        Some(value) => column.extend(once(value)),
        None => column.append_nulls(1),
    }
    u64::from(value.is_none())
}

/// FF-DT-03, FF-DT-04.
fn unsigned<T: TryFrom<u64>>(field: &[u8], shift: u8, mask: u64) -> Option<T> {
    let mut value: u64 = 0;
    for &octet in field {
        if value >> 56 != 0 {
            return None;
        }
        value = value << 8 | u64::from(octet);
    }
    if field.is_empty() {
        return None;
    }
    T::try_from(value >> shift & mask).ok()
}

/// RFC 7011 section 6.2.
fn signed<T: TryFrom<i64>>(field: &[u8]) -> Option<T> {
    if field.len() > 8 {
        return None;
    }
    let sign = if field.first()? & 0x80 == 0 { 0 } else { -1 };
    let value = field
        .iter()
        .fold(sign, |value: i64, &octet| value << 8 | i64::from(octet));
    T::try_from(value).ok()
}

/// RFC 7011 section 6.2: a float64 may be sent as a float32.
fn float(field: &[u8]) -> Option<f64> {
    match field.len() {
        4 => Some(f64::from(f32::from_be_bytes(field.try_into().ok()?))),
        8 => Some(f64::from_be_bytes(field.try_into().ok()?)),
        _ => None,
    }
}
