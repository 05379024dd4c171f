//! Columns that no record had a field for: slices of one array of nulls for each type.

use std::collections::HashMap;

use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_schema::DataType;

/// Nulls of every type that an absent column had so far.
#[derive(Debug, Default)]
pub(crate) struct Absent(HashMap<DataType, ArrayRef>);

impl Absent {
    /// `rows` nulls. Arrays of earlier batches stay valid when longer ones are needed.
    pub(crate) fn nulls(&mut self, data_type: &DataType, rows: usize) -> ArrayRef {
        match self.0.get(data_type) {
            Some(nulls) if nulls.len() == rows => nulls.clone(),
            Some(nulls) if nulls.len() > rows => nulls.slice(0, rows),
            _ => {
                let nulls = new_null_array(data_type, rows.next_power_of_two());
                self.0.insert(data_type.clone(), nulls.clone());
                nulls.slice(0, rows)
            }
        }
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
        let mut absent = Absent::default();
        for rows in [1, 7, 1000, 3] {
            for data_type in &types {
                let nulls = absent.nulls(data_type, rows);
                assert_eq!(
                    (nulls.len(), nulls.null_count(), nulls.data_type()),
                    (rows, rows, data_type)
                );
                assert_eq!(&nulls, &new_null_array(data_type, rows));
            }
        }
    }
}
