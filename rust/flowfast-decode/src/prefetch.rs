//! Asking for memory before it is needed.

use std::slice;

use prefetch_index::prefetch_index;

/// Has the processor bring the cache line in which `place` begins, while it goes on. Reads nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(place: &T) {
    prefetch_index(slice::from_ref(place), 0);
}
