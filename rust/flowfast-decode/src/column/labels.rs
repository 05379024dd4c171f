//! `list<uint32>`: MPLS label stacks.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, UInt32Array};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::validity::Validity;

/// Lists end to end, with their ends.
#[derive(Debug)]
pub(crate) struct Labels {
    offsets: Vec<i32>,
    values: Vec<u32>,
    validity: Validity,
}

impl Default for Labels {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            values: Vec::new(),
            validity: Validity::default(),
        }
    }
}

impl Labels {
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(crate) fn append_nulls(&mut self, count: usize) {
        let end = self.values.len() as i32;
        self.offsets.resize(self.offsets.len() + count, end);
        self.validity.append_nulls(count);
    }

    /// Appends one list.
    pub(crate) fn append(&mut self, labels: impl Iterator<Item = u32>) {
        self.values.extend(labels);
        self.offsets.push(self.values.len() as i32);
        self.validity.append_values(1);
    }

    pub(super) fn finish(&mut self, data_type: &DataType) -> ArrayRef {
        let DataType::List(item) = data_type else {
            unreachable!("a list column has a list type")
        };
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(
            &mut self.offsets,
            vec![0],
        )));
        let values = Arc::new(UInt32Array::from(std::mem::take(&mut self.values)));
        Arc::new(ListArray::new(
            item.clone(),
            offsets,
            values,
            self.validity.finish(),
        ))
    }
}
