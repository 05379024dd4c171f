//! Rows as text: addresses, MAC addresses, octets and times as people write them.

use std::io::Write;
use std::net::Ipv6Addr;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, DictionaryArray, Int8Array, ListArray, RecordBatch,
    StringArray, StructArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_json::writer::{EncoderOptions, LineDelimitedWriter, make_encoder};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use chrono::DateTime;

/// Rows that become text at once: few enough for the processor's cache.
const ROWS_AT_ONCE: usize = 4096;

/// One JSON object a row, nulls left out; with `table`, that is its first key.
pub(crate) fn to_ndjson(batch: &RecordBatch, table: Option<&str>) -> Result<Vec<u8>, ArrowError> {
    let mut writer = LineDelimitedWriter::new(Vec::with_capacity(512 * batch.num_rows()));
    for rows in in_parts(batch) {
        let text = as_text(&rows)?;
        match table {
            Some(table) => writer.write(&with_table(&text, table)?)?,
            None => writer.write(&text)?,
        }
    }
    writer.finish()?;
    Ok(writer.into_inner())
}

/// Comma-separated rows, nulls empty, lists as JSON; with a line of column names first if `header`.
pub(crate) fn to_csv(batch: &RecordBatch, header: bool) -> Result<Vec<u8>, ArrowError> {
    let octets = Vec::with_capacity(256 * batch.num_rows());
    let mut writer = arrow_csv::WriterBuilder::new()
        .with_header(header)
        .build(octets);
    for rows in in_parts(batch) {
        writer.write(&map_columns(&as_text(&rows)?, flat_column)?)?;
    }
    Ok(writer.into_inner())
}

/// The rows in parts; a batch without rows is one part.
fn in_parts(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let starts = (0..batch.num_rows().max(1)).step_by(ROWS_AT_ONCE);
    starts.map(|start| batch.slice(start, ROWS_AT_ONCE.min(batch.num_rows() - start)))
}

/// The same rows, with text in every column whose values people write as text:
/// addresses (RFC 5952; IPv4-mapped ones as IPv4), MAC addresses, other octets (lowercase hex), times (RFC 3339, UTC).
pub(crate) fn as_text(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    map_columns(batch, text_column)
}

fn map_columns(
    batch: &RecordBatch,
    column: impl Fn(&FieldRef, &ArrayRef) -> Result<(FieldRef, ArrayRef), ArrowError>,
) -> Result<RecordBatch, ArrowError> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    let (fields, columns): (Vec<_>, Vec<_>) = columns
        .map(|(field, array)| column(field, array))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn with_table(batch: &RecordBatch, table: &str) -> Result<RecordBatch, ArrowError> {
    let keys = Int8Array::from(vec![0; batch.num_rows()]);
    let names =
        DictionaryArray::<Int8Type>::try_new(keys, Arc::new(StringArray::from(vec![table])))?;
    let mut fields = vec![Arc::new(Field::new(
        "_table",
        names.data_type().clone(),
        false,
    ))];
    fields.extend(batch.schema_ref().fields().iter().cloned());
    let mut columns: Vec<ArrayRef> = vec![Arc::new(names)];
    columns.extend(batch.columns().iter().cloned());
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// A column as text, or as it is if that is text enough.
fn text_column(field: &FieldRef, array: &ArrayRef) -> Result<(FieldRef, ArrayRef), ArrowError> {
    let semantic = field
        .metadata()
        .get("flowfast.semantic")
        .map(String::as_str);
    let text: ArrayRef = match (array.data_type(), semantic) {
        (DataType::FixedSizeBinary(4 | 16), Some("ip")) => octets(array, write_address)?,
        (DataType::FixedSizeBinary(6), Some("mac")) => octets(array, write_mac)?,
        (DataType::UInt64, Some("mac")) => {
            let macs = array.as_primitive::<UInt64Type>();
            strings(array, |row, text| {
                write_mac(&macs.value(row).to_be_bytes()[2..], text)
            })?
        }
        (DataType::FixedSizeBinary(_) | DataType::Binary, _) => octets(array, write_hex)?,
        (DataType::Timestamp(unit, _), _) => times(array, *unit)?,
        (DataType::Dictionary(_, _), _) => dictionary(field, array)?,
        (DataType::List(item), _) => list(item, array.as_list::<i32>())?,
        (DataType::Struct(fields), _) => structure(fields, array.as_struct())?,
        _ => return Ok((Arc::clone(field), Arc::clone(array))),
    };
    Ok(renamed(field, text))
}

/// The field of the same name for an array of another type.
fn renamed(field: &FieldRef, array: ArrayRef) -> (FieldRef, ArrayRef) {
    let field = Field::new(field.name(), array.data_type().clone(), true);
    (Arc::new(field), array)
}

fn dictionary(field: &FieldRef, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values();
    let value_field = Arc::new(
        field
            .as_ref()
            .clone()
            .with_data_type(values.data_type().clone()),
    );
    Ok(dictionary.with_values(text_column(&value_field, values)?.1))
}

/// Of a slice of a longer list, only the items that are in it.
fn list(item: &FieldRef, array: &ListArray) -> Result<ArrayRef, ArrowError> {
    let offsets = array.value_offsets();
    let (first, end) = (offsets[0], offsets[array.len()]);
    let items = array.values().slice(first as usize, (end - first) as usize);
    let (item, items) = text_column(item, &items)?;
    let offsets = offsets
        .iter()
        .map(|offset| offset - first)
        .collect::<Vec<_>>();
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(Arc::new(ListArray::try_new(
        item,
        offsets,
        items,
        array.nulls().cloned(),
    )?))
}

fn structure(fields: &Fields, array: &StructArray) -> Result<ArrayRef, ArrowError> {
    let columns = fields
        .iter()
        .zip(array.columns())
        .map(|(field, column)| text_column(field, column));
    let (fields, columns): (Vec<_>, Vec<_>) =
        columns.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    Ok(Arc::new(StructArray::try_new(
        fields.into(),
        columns,
        array.nulls().cloned(),
    )?))
}

/// One string a row, written by `write` unless the row is null.
fn strings(
    array: &dyn Array,
    mut write: impl FnMut(usize, &mut Vec<u8>),
) -> Result<ArrayRef, ArrowError> {
    let nulls = array.nulls();
    let mut text = Vec::with_capacity(24 * array.len());
    let mut offsets = Vec::with_capacity(array.len() + 1);
    offsets.push(0);
    for row in 0..array.len() {
        if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
            write(row, &mut text);
        }
        offsets.push(text.len() as i32);
    }
    // The last offset is the largest.
    i32::try_from(text.len()).map_err(|_| ArrowError::OffsetOverflowError(text.len()))?;
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(Arc::new(StringArray::try_new(
        offsets,
        text.into(),
        nulls.cloned(),
    )?))
}

fn octets(array: &ArrayRef, write: impl Fn(&[u8], &mut Vec<u8>)) -> Result<ArrayRef, ArrowError> {
    if let Some(fixed) = array.as_fixed_size_binary_opt() {
        strings(array, |row, text| write(fixed.value(row), text))
    } else {
        let variable = array.as_binary::<i32>();
        strings(array, |row, text| write(variable.value(row), text))
    }
}

// These are written by hand: `write!` took most of the time of text output.

fn write_address(octets: &[u8], text: &mut Vec<u8>) {
    match *octets {
        [a, b, c, d] | [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => {
            write_ipv4([a, b, c, d], text)
        }
        _ => {
            if let Ok(octets) = <[u8; 16]>::try_from(octets) {
                // As RFC 5952 has it. Writing to memory does not fail.
                let _ = write!(text, "{}", Ipv6Addr::from(octets));
            }
        }
    }
}

fn write_ipv4(octets: [u8; 4], text: &mut Vec<u8>) {
    let mut written = *b"255.255.255.255.";
    let mut end = 0;
    for octet in octets {
        let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|digit| b'0' + digit);
        let skipped = usize::from(octet < 100) + usize::from(octet < 10);
        let length = 3 - skipped;
        written[end..end + length].copy_from_slice(&digits[skipped..]);
        written[end + length] = b'.';
        end += length + 1;
    }
    text.extend_from_slice(&written[..end - 1]);
}

fn write_mac(octets: &[u8], text: &mut Vec<u8>) {
    for octet in octets {
        text.extend_from_slice(&hex(*octet));
        text.push(b':');
    }
    text.pop();
}

fn write_hex(octets: &[u8], text: &mut Vec<u8>) {
    octets
        .iter()
        .for_each(|octet| text.extend_from_slice(&hex(*octet)));
}

fn hex(octet: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [
        DIGITS[usize::from(octet >> 4)],
        DIGITS[usize::from(octet & 15)],
    ]
}

/// RFC 3339 with the unit's digits; null for the dates that have no name, more than 262,000 years from now.
fn times(array: &ArrayRef, unit: TimeUnit) -> Result<ArrayRef, ArrowError> {
    match unit {
        TimeUnit::Second => times_in::<TimestampSecondType, 1, 0>(array),
        TimeUnit::Millisecond => times_in::<TimestampMillisecondType, 1_000, 3>(array),
        TimeUnit::Microsecond => times_in::<TimestampMicrosecondType, 1_000_000, 6>(array),
        TimeUnit::Nanosecond => times_in::<TimestampNanosecondType, 1_000_000_000, 9>(array),
    }
}

fn times_in<T, const PER_S: i64, const DIGITS: usize>(
    array: &ArrayRef,
) -> Result<ArrayRef, ArrowError>
where
    T: ArrowPrimitiveType<Native = i64>,
{
    let values = array.as_primitive::<T>().values();
    // Rows of one day follow each other.
    let mut date = (0, date_of(0));
    let mut nameless = false;
    let text = strings(array, |row, text| {
        let seconds = values[row].div_euclid(PER_S);
        let day = seconds.div_euclid(86_400);
        if date.0 != day {
            date = (day, date_of(day));
        }
        match &date.1 {
            Some(date) => {
                text.extend_from_slice(date.as_bytes());
                write_time_of_day::<DIGITS>(
                    seconds.rem_euclid(86_400),
                    values[row].rem_euclid(PER_S),
                    text,
                );
            }
            None => nameless = true,
        }
    })?;
    if !nameless {
        return Ok(text);
    }
    let named = text
        .as_string::<i32>()
        .iter()
        .map(|time| time.filter(|time| !time.is_empty()));
    Ok(Arc::new(named.collect::<StringArray>()))
}

/// The date of a day since the epoch, if it has a name.
fn date_of(day: i64) -> Option<String> {
    let midnight = DateTime::from_timestamp(day.checked_mul(86_400)?, 0)?;
    Some(midnight.date_naive().to_string())
}

fn write_time_of_day<const DIGITS: usize>(second: i64, mut fraction: i64, text: &mut Vec<u8>) {
    let mut written = *b"T00:00:00.000000000Z";
    for (at, value) in [(1, second / 3600), (4, second / 60 % 60), (7, second % 60)] {
        written[at] += (value / 10) as u8;
        written[at + 1] += (value % 10) as u8;
    }
    for digit in written[10..10 + DIGITS].iter_mut().rev() {
        *digit += (fraction % 10) as u8;
        fraction /= 10;
    }
    let end = if DIGITS == 0 { 9 } else { 10 + DIGITS };
    written[end] = b'Z';
    text.extend_from_slice(&written[..=end]);
}

/// CSV has no nested values: they become JSON.
fn flat_column(field: &FieldRef, array: &ArrayRef) -> Result<(FieldRef, ArrayRef), ArrowError> {
    if !array.data_type().is_nested() {
        return Ok((Arc::clone(field), Arc::clone(array)));
    }
    let options = EncoderOptions::default();
    let mut encoder = make_encoder(field, array, &options)?;
    let text = strings(array, |row, text| encoder.encode(row, text))?;
    Ok(renamed(field, text))
}

#[cfg(test)]
mod tests;
