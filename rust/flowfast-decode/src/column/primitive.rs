//! Integers, floats, timestamps, and the keys of constant dictionaries.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{ArrayRef, PrimitiveArray};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;

use super::absent::{Absent, dictionary};
use super::validity::{Validity, WORD_BITS};
use super::{Append, REPEATED, repeat, room_after};

/// Values of one native type.
#[derive(Debug)]
pub(crate) struct Primitive<T> {
    values: Vec<T>,
    validity: Validity,
}

impl<T> Default for Primitive<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            validity: Validity::default(),
        }
    }
}

impl<T: ArrowNativeType> Append<T> for Primitive<T> {
    fn extend(&mut self, values: impl Iterator<Item = T>) {
        let before = self.values.len();
        self.values.extend(values);
        self.validity.append_values(self.values.len() - before);
    }

    fn extend_blocks<const N: usize>(&mut self, blocks: impl Iterator<Item = [T; N]>, rows: usize) {
        let after = self.values.len() + rows;
        self.values.extend(blocks.flatten());
        self.values.truncate(after);
        self.validity.append_values(rows);
    }
}

impl<T: ArrowNativeType> Primitive<T> {
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

    /// Forgets the rows from `rows` on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.validity.truncate(rows);
        self.values.truncate(rows);
    }

    pub(crate) fn append_nulls(&mut self, count: usize) {
        self.values.resize(self.values.len() + count, T::default());
        self.validity.append_nulls(count);
    }

    pub(crate) fn extend_constant(&mut self, value: T, count: usize) {
        repeat(&mut self.values, value, count);
        self.validity.append_values(count);
    }

    /// Like `extend_optional`, for values that are nearly always there: tried without bits first.
    pub(crate) fn extend_mostly(&mut self, values: impl Iterator<Item = Option<T>> + Clone) -> u64 {
        let before = self.values.len();
        let mut is_missing = false;
        self.values.extend(values.clone().map(|value| {
            is_missing |= value.is_none();
            value.unwrap_or_default()
        }));
        if is_missing {
            self.values.truncate(before);
            return self.extend_optional(values);
        }
        self.validity.append_values(self.values.len() - before);
        0
    }

    /// Appends values, nulls among them. Returns how many are missing.
    pub(crate) fn extend_optional(&mut self, mut values: impl Iterator<Item = Option<T>>) -> u64 {
        let mut missing = 0;
        loop {
            let mut block = [T::default(); WORD_BITS];
            let (mut bits, mut count) = (0, 0);
            for (slot, value) in block.iter_mut().zip(&mut values) {
                bits |= u64::from(value.is_some()) << count;
                *slot = value.unwrap_or_default();
                count += 1;
            }
            self.values.extend_from_slice(&block[..count]);
            self.validity.append_bits(bits, count);
            missing += count as u64 - u64::from(bits.count_ones());
            if count < WORD_BITS {
                return missing;
            }
        }
    }

    /// Appends values of which most are missing. `are_there` tells of at most 64 rows at once, the first in the lowest bit, `value` what
    /// is in one.
    pub(crate) fn extend_few(
        &mut self,
        rows: usize,
        are_there: impl Fn(Range<usize>) -> u64,
        value: impl Fn(usize) -> T,
    ) {
        for start in (0..rows).step_by(WORD_BITS) {
            let end = rows.min(start + WORD_BITS);
            let before = self.values.len();
            let mut bits = are_there(start..end);
            self.values.resize(before + end - start, T::default());
            self.validity.append_bits(bits, end - start);
            while bits != 0 {
                let row = bits.trailing_zeros() as usize;
                self.values[before + row] = value(start + row);
                bits &= bits - 1;
            }
        }
    }

    /// The array; the next batch starts with room for as much.
    pub(super) fn finish<P: ArrowPrimitiveType<Native = T>>(
        &mut self,
        data_type: &DataType,
    ) -> ArrayRef {
        let rows = self.values.len();
        let array = self.take_array::<P>();
        self.values = Vec::with_capacity(room_after(rows));
        Arc::new(array.with_data_type(data_type.clone()))
    }

    /// The array, and nothing for another one.
    pub(crate) fn take_array<P: ArrowPrimitiveType<Native = T>>(&mut self) -> PrimitiveArray<P> {
        let values = std::mem::take(&mut self.values);
        PrimitiveArray::new(values.into(), self.validity.finish())
    }
}

/// Keys into a constant list of strings.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    values: &'static [&'static str],
    /// Keys and how often each follows: nearly always one for all rows.
    runs: Vec<(Option<u8>, usize)>,
    rows: usize,
}

impl Keys {
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    pub(crate) fn append_nulls(&mut self, count: usize) {
        self.append(None, count);
    }

    /// Appends `count` times the same key; `values` is the same list in every call.
    pub(crate) fn extend_constant(
        &mut self,
        values: &'static [&'static str],
        key: u8,
        count: usize,
    ) {
        self.values = values;
        self.append(Some(key), count);
    }

    /// Appends a key, or a null, for each of them; `values` is the same list in every call.
    pub(crate) fn extend_optional(
        &mut self,
        values: &'static [&'static str],
        keys: impl Iterator<Item = Option<u8>>,
    ) {
        self.values = values;
        keys.for_each(|key| self.append(key, 1));
    }

    fn append(&mut self, key: Option<u8>, count: usize) {
        self.rows += count;
        match self.runs.last_mut() {
            Some((last, before)) if *last == key => *before += count,
            _ => self.runs.push((key, count)),
        }
    }

    pub(super) fn finish(&mut self, absent: &mut Absent) -> ArrayRef {
        let rows = std::mem::take(&mut self.rows);
        let array = match *self.runs {
            [(Some(key), _)] => absent.labels((self.values, key), rows),
            _ => {
                let mut keys = Primitive::<i8>::with_capacity(rows);
                for &(key, count) in &self.runs {
                    match key {
                        Some(key) => keys.extend_constant(key as i8, count),
                        None => keys.append_nulls(count),
                    }
                }
                dictionary(self.values, keys.take_array())
            }
        };
        self.runs.clear();
        array
    }
}
