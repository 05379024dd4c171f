//! Integers, floats, timestamps, and the keys of constant dictionaries.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Int8Type};
use arrow_array::{ArrayRef, DictionaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{ArrowNativeType, NullBufferBuilder};
use arrow_schema::DataType;

/// Values of one native type.
#[derive(Debug)]
pub(crate) struct Primitive<T> {
    values: Vec<T>,
    nulls: NullBufferBuilder,
}

impl<T> Default for Primitive<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            nulls: NullBufferBuilder::new(0),
        }
    }
}

impl<T: ArrowNativeType> Primitive<T> {
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn append_nulls(&mut self, count: usize) {
        self.values.resize(self.values.len() + count, T::default());
        self.nulls.append_n_nulls(count);
    }

    pub(crate) fn extend(&mut self, values: impl Iterator<Item = T>) {
        let before = self.values.len();
        self.values.extend(values);
        self.nulls.append_n_non_nulls(self.values.len() - before);
    }

    pub(crate) fn extend_constant(&mut self, value: T, count: usize) {
        self.values.resize(self.values.len() + count, value);
        self.nulls.append_n_non_nulls(count);
    }

    /// Like `extend_optional`, for values that are nearly always there: tried without null bits first. Returns how many are not.
    pub(crate) fn extend_mostly(&mut self, values: impl Iterator<Item = Option<T>> + Clone) -> u64 {
        let before = self.values.len();
        let mut missing = 0;
        self.values.extend(values.clone().map(|value| {
            missing += u64::from(value.is_none());
            value.unwrap_or_default()
        }));
        if missing == 0 {
            self.nulls.append_n_non_nulls(self.values.len() - before);
        } else {
            values.for_each(|value| self.nulls.append(value.is_some()));
        }
        missing
    }

    pub(crate) fn extend_optional(&mut self, values: impl Iterator<Item = Option<T>>) {
        for value in values {
            self.nulls.append(value.is_some());
            self.values.push(value.unwrap_or_default());
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
            PrimitiveArray::<P>::new(values.into(), self.nulls.finish())
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

    pub(super) fn finish(&mut self) -> ArrayRef {
        let values = Arc::new(StringArray::from(self.values.to_vec()));
        let next = Vec::with_capacity(self.keys.values.len());
        let keys = PrimitiveArray::<Int8Type>::new(
            std::mem::replace(&mut self.keys.values, next).into(),
            self.keys.nulls.finish(),
        );
        Arc::new(DictionaryArray::new(keys, values))
    }
}
