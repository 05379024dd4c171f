//! Octets of one width: IPv4 and MAC addresses of `wire`, 256-bit integers.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeBinaryArray};
use arrow_buffer::Buffer;

use super::validity::Validity;
use super::{Append, room_after};

/// Values of `width` octets each.
#[derive(Debug)]
pub(crate) struct FixedOctets {
    width: usize,
    octets: Vec<u8>,
    validity: Validity,
}

/// Values of this column's width.
impl<const W: usize> Append<[u8; W]> for FixedOctets {
    fn extend(&mut self, values: impl Iterator<Item = [u8; W]>) {
        debug_assert_eq!(W, self.width);
        let before = self.len();
        self.octets.reserve(W * values.size_hint().0);
        values.for_each(|value| self.octets.extend_from_slice(&value));
        self.validity.append_values(self.len() - before);
    }

    fn extend_blocks<const N: usize>(
        &mut self,
        blocks: impl Iterator<Item = [[u8; W]; N]>,
        rows: usize,
    ) {
        self.extend(blocks.flatten().take(rows));
    }
}

impl FixedOctets {
    pub(crate) fn new(width: usize) -> Self {
        Self {
            width,
            octets: Vec::new(),
            validity: Validity::default(),
        }
    }

    pub(crate) fn give_memory_back(&mut self) {
        *self = Self::new(self.width);
    }

    pub(crate) fn len(&self) -> usize {
        self.octets.len() / self.width
    }

    /// Octets of a value.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Octets of all values.
    pub(crate) fn octets(&self) -> usize {
        self.octets.len()
    }

    pub(crate) fn append_nulls(&mut self, count: usize) {
        self.octets
            .resize(self.octets.len() + count * self.width, 0);
        self.validity.append_nulls(count);
    }

    /// Appends values that are this column's width; others become null. Returns how many.
    pub(crate) fn extend_fitting<'a>(&mut self, values: impl Iterator<Item = &'a [u8]>) -> u64 {
        let mut misfits = 0;
        for value in values {
            if value.len() == self.width {
                self.octets.extend_from_slice(value);
                self.validity.append_values(1);
            } else {
                self.append_nulls(1);
                misfits += 1;
            }
        }
        misfits
    }

    /// Appends values of at most this column's width, zeros first (reduced-size unsigned256); longer ones become null. Returns how
    /// many.
    pub(crate) fn extend_left_padded<'a>(&mut self, values: impl Iterator<Item = &'a [u8]>) -> u64 {
        let mut misfits = 0;
        for value in values {
            if value.len() > self.width {
                self.append_nulls(1);
                misfits += 1;
                continue;
            }
            self.octets
                .resize(self.octets.len() + self.width - value.len(), 0);
            self.octets.extend_from_slice(value);
            self.validity.append_values(1);
        }
        misfits
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let next = Vec::with_capacity(room_after(self.octets.len()));
        let octets = Buffer::from_vec(std::mem::replace(&mut self.octets, next));
        Arc::new(FixedSizeBinaryArray::new(
            self.width as i32,
            octets,
            self.validity.finish(),
        ))
    }
}
