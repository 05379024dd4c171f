//! Columns that no record had a field for: nulls that share one buffer of zeros, whatever their type.

use arrow_array::{ArrayRef, make_array, new_null_array};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::DataType;

/// Zeros for every absent column of a batch: their values, their null bits, their offsets.
#[derive(Debug)]
pub(crate) struct Zeros(Buffer);

impl Default for Zeros {
    fn default() -> Self {
        Self(Buffer::from_vec(Vec::<u8>::new()))
    }
}

impl Zeros {
    /// `rows` nulls. Buffers of earlier batches stay valid when this one grows.
    pub(crate) fn nulls(&mut self, data_type: &DataType, rows: usize) -> ArrayRef {
        let width = match data_type {
            DataType::FixedSizeBinary(width) => width.unsigned_abs() as usize,
            DataType::Utf8 | DataType::Binary => 4,
            other => match other.primitive_width() {
                Some(width) => width,
                // Lists, booleans and dictionaries are few.
                None => return new_null_array(data_type, rows),
            },
        };
        let octets = (rows + 1) * width;
        if self.0.len() < octets {
            self.0 = Buffer::from_vec(vec![0u64; octets.next_power_of_two().div_ceil(8)]);
        }
        let mut data = ArrayData::builder(data_type.clone())
            .len(rows)
            .null_bit_buffer(Some(self.0.clone()))
            .add_buffer(self.0.clone());
        if matches!(data_type, DataType::Utf8 | DataType::Binary) {
            data = data.add_buffer(Buffer::from_vec(Vec::<u8>::new()));
        }
        data.build()
            .map_or_else(|_| new_null_array(data_type, rows), make_array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::TimeUnit;

    #[test]
    fn absent_columns_equal_arrays_of_nulls() {
        let types = [
            DataType::UInt8,
            DataType::UInt64,
            DataType::Utf8,
            DataType::Binary,
            DataType::Boolean,
            DataType::FixedSizeBinary(16),
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ];
        let mut zeros = Zeros::default();
        for rows in [1, 7, 1000, 3] {
            for data_type in &types {
                let nulls = zeros.nulls(data_type, rows);
                assert_eq!(
                    (nulls.len(), nulls.null_count(), nulls.data_type()),
                    (rows, rows, data_type)
                );
                assert_eq!(&nulls, &new_null_array(data_type, rows));
            }
        }
    }
}
