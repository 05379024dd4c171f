//! Booleans (RFC 7011 section 6.1.5).

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::BooleanBuilder;

/// True, false or null.
#[derive(Debug, Default)]
pub(crate) struct Booleans {
    builder: BooleanBuilder,
    len: usize,
}

impl Booleans {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn append_nulls(&mut self, count: usize) {
        self.builder.append_nulls(count);
        self.len += count;
    }

    pub(crate) fn extend_optional(&mut self, values: impl Iterator<Item = Option<bool>>) {
        for value in values {
            self.builder.append_option(value);
            self.len += 1;
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let array = self.builder.finish();
        self.len = 0;
        Arc::new(array)
    }
}
