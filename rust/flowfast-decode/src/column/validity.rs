//! Which rows of a column hold a value.

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};

use super::room_after;

/// Rows of one word.
pub(super) const WORD_BITS: usize = u64::BITS as usize;

/// A bit a row, set where there is a value; no bits at all while every row has one.
#[derive(Debug, Default)]
pub(crate) struct Validity {
    rows: usize,
    /// Empty while no value is missing. Bits from `rows` on are zero.
    words: Vec<u64>,
}

impl Validity {
    /// So many rows with a value.
    pub(crate) fn append_values(&mut self, count: usize) {
        if !self.words.is_empty() {
            self.append_words(count, u64::MAX);
        }
        self.rows += count;
    }

    /// So many rows without.
    pub(crate) fn append_nulls(&mut self, count: usize) {
        if count > 0 {
            self.have_words();
            self.append_words(count, 0);
            self.rows += count;
        }
    }

    /// At most 64 rows, the lowest bit first; bits from `count` on are zero.
    pub(crate) fn append_bits(&mut self, bits: u64, count: usize) {
        if bits.count_ones() as usize == count {
            self.append_values(count);
        } else {
            self.have_words();
            self.append_word(self.rows, bits, count);
            self.rows += count;
        }
    }

    /// Forgets the rows from `rows` on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        self.words.truncate(self.rows.div_ceil(WORD_BITS));
        let used = self.rows % WORD_BITS;
        if used > 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= u64::MAX >> (WORD_BITS - used);
        }
    }

    /// Bits for the rows before the first one without a value.
    fn have_words(&mut self) {
        if self.words.is_empty() {
            self.append_words_at(0, self.rows, u64::MAX);
        }
    }

    fn append_words(&mut self, count: usize, word: u64) {
        self.append_words_at(self.rows, count, word);
    }

    /// `count` bits of a word that repeats, from row `start` on.
    fn append_words_at(&mut self, start: usize, count: usize, word: u64) {
        let mut done = 0;
        while done < count {
            // To the end of a word, then whole words.
            let part = (WORD_BITS - (start + done) % WORD_BITS).min(count - done);
            self.append_word(start + done, word & (u64::MAX >> (WORD_BITS - part)), part);
            done += part;
        }
    }

    /// 1 to 64 bits at `row`, which may reach into the next word.
    fn append_word(&mut self, row: usize, bits: u64, count: usize) {
        let shift = row % WORD_BITS;
        if shift == 0 {
            self.words.push(bits);
            return;
        }
        if let Some(last) = self.words.last_mut() {
            *last |= bits << shift;
        }
        if shift + count > WORD_BITS {
            self.words.push(bits >> (WORD_BITS - shift));
        }
    }

    /// What Arrow wants, `None` if no value is missing. The next batch starts with room for as much.
    pub(super) fn finish(&mut self) -> Option<NullBuffer> {
        let rows = std::mem::take(&mut self.rows);
        if self.words.is_empty() {
            return None;
        }
        let next = Vec::with_capacity(room_after(self.words.len()));
        let bits = Buffer::from_vec(std::mem::replace(&mut self.words, next));
        Some(NullBuffer::new(BooleanBuffer::new(bits, 0, rows)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_buffer::NullBufferBuilder;

    #[test]
    fn the_same_bits_as_arrows_own_builder() {
        let mut validity = Validity::default();
        let mut state: u64 = 7;
        for _ in 0..40 {
            let mut builder = NullBufferBuilder::new(0);
            for _ in 0..30 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let (kind, count) = (state >> 62, (state >> 40) as usize % 130);
                match kind {
                    0 | 1 => {
                        validity.append_values(count);
                        builder.append_n_non_nulls(count);
                    }
                    2 if state & 1 == 0 => {
                        validity.append_nulls(count);
                        builder.append_n_nulls(count);
                    }
                    _ => {
                        let bit = |row: usize| state >> (row % 40) & 3 != 0;
                        (0..count).for_each(|row| builder.append(bit(row)));
                        for start in (0..count).step_by(WORD_BITS) {
                            let rows = WORD_BITS.min(count - start);
                            let bits = (0..rows).map(|row| u64::from(bit(start + row)) << row);
                            validity.append_bits(bits.sum(), rows);
                        }
                    }
                }
            }
            assert_eq!(validity.rows, builder.len());
            assert_eq!(validity.finish(), builder.finish());
        }
    }

    #[test]
    fn rows_that_were_forgotten_leave_nothing_behind() {
        for keep in [0, 1, 63, 64, 65, 129, 200] {
            let (mut validity, mut builder) = (Validity::default(), NullBufferBuilder::new(0));
            validity.append_values(129);
            validity.append_nulls(1);
            validity.append_values(70);
            validity.truncate(keep);
            builder.append_n_non_nulls(keep.min(129));
            if keep > 129 {
                builder.append_null();
                builder.append_n_non_nulls(keep - 130);
            }
            validity.append_nulls(3);
            builder.append_n_nulls(3);
            assert_eq!(validity.finish(), builder.finish(), "{keep}");
        }
    }

    #[test]
    fn no_memory_while_nothing_is_missing() {
        let mut validity = Validity::default();
        validity.append_values(100_000);
        assert_eq!((validity.words.capacity(), validity.rows), (0, 100_000));
        assert_eq!(validity.finish(), None);
    }
}
