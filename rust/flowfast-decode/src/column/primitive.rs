//! Integers, floats, timestamps, and the keys of constant dictionaries.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Int8Type};
use arrow_array::{ArrayRef, DictionaryArray, PrimitiveArray, StringArray};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;

use super::validity::{Validity, WORD_BITS};

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

impl<T: ArrowNativeType> Primitive<T> {
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn append_nulls(&mut self, count: usize) {
        self.values.resize(self.values.len() + count, T::default());
        self.validity.append_nulls(count);
    }

    pub(crate) fn extend(&mut self, values: impl Iterator<Item = T>) {
        let before = self.values.len();
        self.values.extend(values);
        self.validity.append_values(self.values.len() - before);
    }

    pub(crate) fn extend_constant(&mut self, value: T, count: usize) {
        self.values.extend(std::iter::repeat_n(value, count));
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

    /// The array; the next batch starts with this one's capacity.
    pub(super) fn finish<P: ArrowPrimitiveType<Native = T>>(
        &mut self,
        data_type: &DataType,
    ) -> ArrayRef {
        let next = Vec::with_capacity(self.values.len());
        let values = std::mem::replace(&mut self.values, next);
        Arc::new(
            PrimitiveArray::<P>::new(values.into(), self.validity.finish())
                .with_data_type(data_type.clone()),
        )
    }
}

/// Keys into a constant list of strings.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    keys: Primitive<i8>,
    values: &'static [&'static str],
}

impl Keys {
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn append_nulls(&mut self, count: usize) {
        self.keys.append_nulls(count);
    }

    /// Appends `count` times the same key; `values` is the same list in every call.
    pub(crate) fn extend_constant(
        &mut self,
        values: &'static [&'static str],
        key: u8,
        count: usize,
    ) {
        self.values = values;
        self.keys.extend_constant(key as i8, count);
    }

    /// Appends a key, or a null, for each of them; `values` is the same list in every call.
    pub(crate) fn extend_optional(
        &mut self,
        values: &'static [&'static str],
        keys: impl Iterator<Item = Option<u8>>,
    ) {
        self.values = values;
        self.keys
            .extend_optional(keys.map(|key| key.map(|key| key as i8)));
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let values = Arc::new(StringArray::from(self.values.to_vec()));
        let next = Vec::with_capacity(self.keys.values.len());
        let keys = PrimitiveArray::<Int8Type>::new(
            std::mem::replace(&mut self.keys.values, next).into(),
            self.keys.validity.finish(),
        );
        Arc::new(DictionaryArray::new(keys, values))
    }
}
