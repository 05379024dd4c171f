//! Columns that are the same in all rows, above all those that no record had a field for: slices of one array for each value.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, PrimitiveArray, StringArray, new_null_array};
use arrow_schema::DataType;

/// Values of a constant list of strings, and which of them.
pub(crate) type Label = (&'static [&'static str], u8);

/// Nulls of every type that an absent column had so far, and labels that all rows of a batch had.
#[derive(Debug, Default)]
pub(crate) struct Absent {
    nulls: HashMap<DataType, Kept>,
    labels: HashMap<Label, Kept>,
}

/// An array that is kept, and its first rows, as many as were last asked for: to cut them counts their nulls.
#[derive(Debug)]
struct Kept {
    whole: ArrayRef,
    first: ArrayRef,
}

impl Absent {
    /// `rows` nulls.
    pub(crate) fn nulls(&mut self, data_type: &DataType, rows: usize) -> ArrayRef {
        slice_of(&mut self.nulls, data_type, rows, |rows| {
            new_null_array(data_type, rows)
        })
    }

    /// `rows` times the same label.
    pub(crate) fn labels(&mut self, label: Label, rows: usize) -> ArrayRef {
        slice_of(&mut self.labels, &label, rows, |rows| {
            dictionary(label.0, vec![label.1 as i8; rows].into())
        })
    }
}

/// The first `rows` of an array that is kept, and made anew if it is shorter: those of earlier batches stay valid.
fn slice_of<K: Clone + Eq + Hash>(
    kept: &mut HashMap<K, Kept>,
    key: &K,
    rows: usize,
    make: impl FnOnce(usize) -> ArrayRef,
) -> ArrayRef {
    let whole = match kept.get(key) {
        Some(kept) if kept.first.len() == rows => return kept.first.clone(),
        Some(kept) if kept.whole.len() >= rows => kept.whole.clone(),
        _ => make(rows.next_power_of_two()),
    };
    let first = whole.slice(0, rows);
    let made = Kept {
        whole,
        first: first.clone(),
    };
    kept.insert(key.clone(), made);
    first
}

/// Keys into a constant list of strings, as an array.
pub(super) fn dictionary(values: &[&'static str], keys: PrimitiveArray<Int8Type>) -> ArrayRef {
    let values = Arc::new(StringArray::from(values.to_vec()));
    Arc::new(DictionaryArray::new(keys, values))
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
