//! Strings and octet arrays of any length.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

/// Values end to end, with their ends.
#[derive(Debug)]
pub(crate) struct VariableOctets {
    offsets: Vec<i32>,
    octets: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Default for VariableOctets {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            octets: Vec::new(),
            nulls: NullBufferBuilder::new(0),
        }
    }
}

impl VariableOctets {
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(crate) fn octets(&self) -> usize {
        self.octets.len() + self.offsets.len() * 4
    }

    pub(crate) fn append_nulls(&mut self, count: usize) {
        let end = self.octets.len() as i32;
        self.offsets.resize(self.offsets.len() + count, end);
        self.nulls.append_n_nulls(count);
    }

    /// Appends values. For a string column they must be UTF-8.
    pub(crate) fn extend_optional<'a>(&mut self, values: impl Iterator<Item = Option<&'a [u8]>>) {
        for value in values {
            self.octets.extend_from_slice(value.unwrap_or_default());
            // A batch is flushed long before 2 GiB: the decoder bounds its pending octets.
            self.offsets.push(self.octets.len() as i32);
            self.nulls.append(value.is_some());
        }
    }

    pub(super) fn finish(&mut self, data_type: &DataType) -> ArrayRef {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(
            &mut self.offsets,
            vec![0],
        )));
        let octets = Buffer::from_vec(std::mem::take(&mut self.octets));
        let nulls = self.nulls.finish();
        match data_type {
            DataType::Utf8 => Arc::new(StringArray::new(offsets, octets, nulls)),
            _ => Arc::new(BinaryArray::new(offsets, octets, nulls)),
        }
    }
}
