//! Memory that left in batches, and is filled again when nobody has these any more: pages that the allocator gave back to the system
//! would have to be asked for again, and cost more than decoding into them.

use arrow_buffer::{ArrowNativeType, Buffer};

/// Batches of which the memory is waited for: as many as a target that keeps up has at once.
const MOST: usize = 4;

/// Values of a column that are in the hands of others.
#[derive(Debug, Default)]
pub(super) struct Lent {
    buffers: Vec<Buffer>,
}

impl Lent {
    /// Remembers the values that are given away, and returns an empty vector for the next ones, if one came back that holds so many. What
    /// else came back is freed.
    pub(super) fn exchange<T: ArrowNativeType>(
        &mut self,
        given: &Buffer,
        count: usize,
    ) -> Option<Vec<T>> {
        let mut returned: Option<Vec<T>> = None;
        let is_free = |buffer: &Buffer| buffer.strong_count() == 1;
        while let Some(index) = self.buffers.iter().position(is_free) {
            let buffer = self.buffers.remove(index);
            returned = returned.or_else(|| buffer.into_vec().ok());
        }
        if self.buffers.len() == MOST {
            self.buffers.remove(0);
        }
        self.buffers.push(given.clone());
        let mut values = returned.filter(|values| values.capacity() >= count)?;
        values.clear();
        Some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_when_nobody_has_it() {
        let mut lent = Lent::default();
        let mut values: Vec<u32> = Vec::new();
        let mut seen = Vec::new();
        let mut held = Vec::new();
        for batch in 0..12 {
            values.resize(100, batch);
            let given = Buffer::from_vec(values);
            let address = given.as_ptr();
            values = (lent.exchange(&given, 100)).unwrap_or_else(|| Vec::with_capacity(100));
            assert!(values.is_empty() && values.capacity() >= 100);
            assert_ne!(values.as_ptr().cast(), address, "somebody has it");
            seen.push(address);
            // The first six are kept, and must not change; the others are let go of at once.
            if batch < 6 {
                held.push(given);
            }
        }
        for (batch, given) in (0..).zip(&held) {
            assert_eq!(given.typed_data::<u32>(), [batch; 100]);
        }
        assert_eq!((seen[7], seen[8]), (seen[9], seen[10]));
        assert!(lent.buffers.len() <= MOST);
    }

    #[test]
    fn what_is_too_small_is_not_used() {
        let mut lent = Lent::default();
        let mut next = |given: Vec<u64>, count| {
            let values = lent.exchange(&Buffer::from_vec(given), count);
            values.unwrap_or_else(|| Vec::with_capacity(count))
        };
        let small = next(vec![1; 4], 4);
        assert!(next(small, 50).capacity() >= 50);
    }
}
