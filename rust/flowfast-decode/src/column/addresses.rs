//! Addresses: sixteen octets, IPv4 as `::ffff:a.b.c.d`.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeBinaryArray};
use arrow_buffer::Buffer;

use super::validity::Validity;
use super::{Append, REPEATED, repeat, room_after};

/// An address in the one form that all address columns have.
pub(crate) type Address = [u8; 16];

/// Values of sixteen octets each.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    values: Vec<Address>,
    validity: Validity,
}

impl Append<Address> for Addresses {
    fn extend(&mut self, values: impl Iterator<Item = Address>) {
        let before = self.values.len();
        self.values.extend(values);
        self.validity.append_values(self.values.len() - before);
    }

    fn extend_blocks<const N: usize>(
        &mut self,
        blocks: impl Iterator<Item = [Address; N]>,
        rows: usize,
    ) {
        let after = self.values.len() + rows;
        self.values.extend(blocks.flatten());
        self.values.truncate(after);
        self.validity.append_values(rows);
    }
}

impl Addresses {
    /// With room for so many values, also where they repeat.
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self {
            values: Vec::with_capacity(rows + REPEATED),
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn append_nulls(&mut self, count: usize) {
        self.values.resize(self.values.len() + count, [0; 16]);
        self.validity.append_nulls(count);
    }

    pub(crate) fn extend_constant(&mut self, value: Address, count: usize) {
        repeat(&mut self.values, value, count);
        self.validity.append_values(count);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let rows = self.values.len();
        let array = self.take_array();
        self.values = Vec::with_capacity(room_after(rows));
        Arc::new(array)
    }

    /// The array, and nothing for another one.
    pub(crate) fn take_array(&mut self) -> FixedSizeBinaryArray {
        let octets = Buffer::from_vec(std::mem::take(&mut self.values).into_flattened());
        FixedSizeBinaryArray::new(16, octets, self.validity.finish())
    }
}
