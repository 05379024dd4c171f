//! Columns while they grow: plain vectors and null bits, one file per storage kind. They become Arrow arrays without a copy.
//!
//! Columns that a template has no field for are not touched: they are padded with nulls when next written, or at the flush.

mod absent;
mod addresses;
mod boolean;
mod fixed_octets;
mod labels;
mod lists;
mod primitive;
mod validity;
mod variable_octets;

use arrow_array::ArrayRef;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, TimeUnit};

use crate::convert::Convert;

pub(crate) use absent::Absent;
pub(crate) use addresses::{Address, Addresses};
pub(crate) use boolean::Booleans;
pub(crate) use fixed_octets::FixedOctets;
pub(crate) use labels::Labels;
pub(crate) use lists::Lists;
pub(crate) use primitive::{Keys, Primitive};
pub(crate) use variable_octets::VariableOctets;

/// A column that takes values of one type.
pub(crate) trait Append<T> {
    /// Appends values; none is missing.
    fn extend(&mut self, values: impl Iterator<Item = T>);

    /// Appends the first `rows` of these values; none is missing. More may come, up to a block.
    fn extend_blocks<const N: usize>(&mut self, blocks: impl Iterator<Item = [T; N]>, rows: usize);
}

/// Values that are written at once where they repeat.
const REPEATED: usize = 16;

/// Appends `count` times the same, by whole blocks: messages have few records, and what is too much is cut off again.
fn repeat<T: Copy>(values: &mut Vec<T>, value: T, count: usize) {
    let end = values.len() + count;
    while values.len() < end {
        values.extend_from_slice(&[value; REPEATED]);
    }
    values.truncate(end);
}

/// Room for the next batch, after one of so many values: batches close at the end of a message, and one a little longer than the one
/// before shall not have to be copied into more room.
fn room_after(values: usize) -> usize {
    values + values / 16
}

/// A growing column, by how its values are stored.
#[derive(Debug)]
pub(crate) enum Column {
    U8(Primitive<u8>),
    U16(Primitive<u16>),
    U32(Primitive<u32>),
    U64(Primitive<u64>),
    I8(Primitive<i8>),
    I16(Primitive<i16>),
    I32(Primitive<i32>),
    /// Signed integers and timestamps.
    I64(Primitive<i64>),
    F32(Primitive<f32>),
    F64(Primitive<f64>),
    Boolean(Booleans),
    /// `fixed_size_binary(16)`.
    Addresses(Addresses),
    /// Other fixed widths: IPv4 and MAC addresses of `wire`, wide integers.
    Fixed(FixedOctets),
    /// Strings and octet arrays.
    Variable(VariableOctets),
    /// `list<uint32>`.
    Labels(Labels),
    /// Structured data.
    Lists(Box<Lists>),
    /// A dictionary of few, constant strings.
    Keys(Keys),
}

/// Calls the same method on whichever storage a column has.
macro_rules! each {
    ($column:expr, $storage:ident => $body:expr) => {
        match $column {
            Column::U8($storage) => $body,
            Column::U16($storage) => $body,
            Column::U32($storage) => $body,
            Column::U64($storage) => $body,
            Column::I8($storage) => $body,
            Column::I16($storage) => $body,
            Column::I32($storage) => $body,
            Column::I64($storage) => $body,
            Column::F32($storage) => $body,
            Column::F64($storage) => $body,
            Column::Boolean($storage) => $body,
            Column::Addresses($storage) => $body,
            Column::Fixed($storage) => $body,
            Column::Variable($storage) => $body,
            Column::Labels($storage) => $body,
            Column::Lists($storage) => $body,
            Column::Keys($storage) => $body,
        }
    };
}

impl Column {
    /// An empty column for values of `data_type`, one of those that `schema` and `wire_schema` use.
    pub(crate) fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::UInt8 => Self::U8(Primitive::default()),
            DataType::UInt16 => Self::U16(Primitive::default()),
            DataType::UInt32 => Self::U32(Primitive::default()),
            DataType::UInt64 => Self::U64(Primitive::default()),
            DataType::Int8 => Self::I8(Primitive::default()),
            DataType::Int16 => Self::I16(Primitive::default()),
            DataType::Int32 => Self::I32(Primitive::default()),
            DataType::Int64 | DataType::Timestamp(..) => Self::I64(Primitive::default()),
            DataType::Float32 => Self::F32(Primitive::default()),
            DataType::Float64 => Self::F64(Primitive::default()),
            DataType::Boolean => Self::Boolean(Booleans::default()),
            DataType::FixedSizeBinary(16) => Self::Addresses(Addresses::default()),
            DataType::FixedSizeBinary(width) => {
                Self::Fixed(FixedOctets::new(width.unsigned_abs() as usize))
            }
            DataType::List(_) => Self::Labels(Labels::default()),
            DataType::Dictionary(..) => Self::Keys(Keys::default()),
            _ => Self::Variable(VariableOctets::default()),
        }
    }

    /// An empty column for values of a conversion to `data_type`.
    pub(crate) fn of(convert: Convert, data_type: &DataType) -> Self {
        match convert {
            Convert::List(kind) => Self::Lists(Box::new(Lists::new(kind))),
            _ => Self::new(data_type),
        }
    }

    /// Rows so far.
    pub(crate) fn len(&self) -> usize {
        each!(self, storage => storage.len())
    }

    /// Fills up with nulls to `rows`.
    pub(crate) fn pad_to(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.len());
        if missing > 0 {
            each!(self, storage => storage.append_nulls(missing));
        }
    }

    /// Octets of values so far, about.
    pub(crate) fn octets(&self) -> usize {
        match self {
            Self::Variable(storage) => storage.octets(),
            Self::Addresses(storage) => storage.len() * 16,
            Self::Fixed(storage) => storage.octets(),
            Self::Lists(storage) => storage.size(),
            _ => self.len() * 8,
        }
    }

    /// Empties the column and forgets how large it was.
    pub(crate) fn give_memory_back(&mut self) {
        match self {
            Self::U8(storage) => *storage = Primitive::default(),
            Self::U16(storage) => *storage = Primitive::default(),
            Self::U32(storage) => *storage = Primitive::default(),
            Self::U64(storage) => *storage = Primitive::default(),
            Self::I8(storage) => *storage = Primitive::default(),
            Self::I16(storage) => *storage = Primitive::default(),
            Self::I32(storage) => *storage = Primitive::default(),
            Self::I64(storage) => *storage = Primitive::default(),
            Self::F32(storage) => *storage = Primitive::default(),
            Self::F64(storage) => *storage = Primitive::default(),
            Self::Boolean(storage) => *storage = Booleans::default(),
            Self::Addresses(storage) => *storage = Addresses::default(),
            Self::Fixed(storage) => storage.give_memory_back(),
            Self::Variable(storage) => *storage = VariableOctets::default(),
            Self::Labels(storage) => *storage = Labels::default(),
            Self::Lists(storage) => storage.give_memory_back(),
            Self::Keys(storage) => *storage = Keys::default(),
        }
    }

    /// The column as an array of `data_type` and `rows` rows; the column is empty afterwards.
    pub(crate) fn finish(
        &mut self,
        data_type: &DataType,
        rows: usize,
        absent: &mut Absent,
    ) -> ArrayRef {
        if self.len() == 0 && !matches!(self, Self::Lists(_)) {
            return absent.nulls(data_type, rows);
        }
        self.pad_to(rows);
        match self {
            Self::U8(storage) => storage.finish::<UInt8Type>(data_type),
            Self::U16(storage) => storage.finish::<UInt16Type>(data_type),
            Self::U32(storage) => storage.finish::<UInt32Type>(data_type),
            Self::U64(storage) => storage.finish::<UInt64Type>(data_type),
            Self::I8(storage) => storage.finish::<Int8Type>(data_type),
            Self::I16(storage) => storage.finish::<Int16Type>(data_type),
            Self::I32(storage) => storage.finish::<Int32Type>(data_type),
            Self::I64(storage) => match data_type {
                DataType::Timestamp(TimeUnit::Second, _) => {
                    storage.finish::<TimestampSecondType>(data_type)
                }
                DataType::Timestamp(TimeUnit::Millisecond, _) => {
                    storage.finish::<TimestampMillisecondType>(data_type)
                }
                DataType::Timestamp(TimeUnit::Microsecond, _) => {
                    storage.finish::<TimestampMicrosecondType>(data_type)
                }
                DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                    storage.finish::<TimestampNanosecondType>(data_type)
                }
                _ => storage.finish::<Int64Type>(data_type),
            },
            Self::F32(storage) => storage.finish::<Float32Type>(data_type),
            Self::F64(storage) => storage.finish::<Float64Type>(data_type),
            Self::Boolean(storage) => storage.finish(),
            Self::Addresses(storage) => storage.finish(),
            Self::Fixed(storage) => storage.finish(),
            Self::Variable(storage) => storage.finish(data_type),
            Self::Labels(storage) => storage.finish(data_type),
            Self::Lists(storage) => storage.finish(absent),
            Self::Keys(storage) => storage.finish(absent),
        }
    }
}
