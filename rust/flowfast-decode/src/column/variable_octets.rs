//! Strings and octet arrays of any length.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::room_after;
use super::validity::Validity;

/// What 32-bit offsets reach.
const MAX_OCTETS: usize = i32::MAX as usize;

/// Values end to end, with their ends.
#[derive(Debug)]
pub(crate) struct VariableOctets {
    offsets: Vec<i32>,
    octets: Vec<u8>,
    validity: Validity,
}

impl Default for VariableOctets {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            octets: Vec::new(),
            validity: Validity::default(),
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
        self.validity.append_nulls(count);
    }

    /// Appends values. For a string column they must be UTF-8. Returns how many became null because the column is full: it
    /// holds 2 GiB, which the collector's batches never reach.
    pub(crate) fn extend_optional<'a>(
        &mut self,
        values: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> u64 {
        let mut misfits = 0;
        for value in values {
            let fitting = value.filter(|octets| self.octets.len() + octets.len() <= MAX_OCTETS);
            misfits += u64::from(value.is_some() && fitting.is_none());
            self.octets.extend_from_slice(fitting.unwrap_or_default());
            self.offsets.push(self.octets.len() as i32);
            self.validity.append_bits(u64::from(fitting.is_some()), 1);
        }
        misfits
    }

    /// The array; the next batch starts with room for as much.
    pub(super) fn finish(&mut self, data_type: &DataType) -> ArrayRef {
        let mut next = Vec::with_capacity(room_after(self.offsets.len()));
        next.push(0);
        let offsets = std::mem::replace(&mut self.offsets, next);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let next = Vec::with_capacity(room_after(self.octets.len()));
        let octets = Buffer::from_vec(std::mem::replace(&mut self.octets, next));
        let nulls = self.validity.finish();
        match data_type {
            DataType::Utf8 => Arc::new(StringArray::new(offsets, octets, nulls)),
            _ => Arc::new(BinaryArray::new(offsets, octets, nulls)),
        }
    }
}
