//! Short fields that stand side by side: eight octets of sixteen records are transposed in registers, after which what was in a column
//! of octets is in a row, and a field of one or two octets of sixteen records is read at once (spec 3.3).

use std::array::from_fn;

use wide::{u8x16, u64x2};

use super::strided::octets;
use super::{Tile, TileShape};
use crate::plan::NEIGHBOURHOOD;

/// Records that are transposed at once.
pub(super) const BLOCK: usize = 16;

/// The octets of one neighbourhood: those of the records of a block, from the first place to the last.
pub(super) type Block = [[u8; BLOCK]; NEIGHBOURHOOD];

/// Where neighbours are transposed; kept so that no tile allocates.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    blocks: Vec<Block>,
}

/// The neighbourhoods of a tile, transposed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rows<'a> {
    neighbourhoods: &'a [usize],
    /// As many for each neighbourhood; the last one of each may have fewer records.
    blocks: &'a [Block],
}

impl Neighbours {
    /// The same tile, with the octets of these neighbourhoods transposed.
    pub(crate) fn transpose<'a>(
        &'a mut self,
        tile: Tile<'a>,
        neighbourhoods: &'a [usize],
    ) -> Tile<'a> {
        let TileShape::Strided(stride) = tile.shape else {
            return tile;
        };
        self.blocks.clear();
        for &offset in neighbourhoods {
            let blocks = tile.bytes.chunks_exact(BLOCK * stride);
            let rest = blocks.remainder();
            let word = |records: &[u8], record| octets(records, record * stride + offset);
            self.blocks
                .extend(blocks.map(|records| transposed(|record| word(records, record))));
            if !rest.is_empty() {
                let last = rest.len() / stride;
                self.blocks.push(transposed(|record| match record < last {
                    true => word(rest, record),
                    false => [0; NEIGHBOURHOOD],
                }));
            }
        }
        let rows = Rows {
            neighbourhoods,
            blocks: &self.blocks,
        };
        Tile { rows, ..tile }
    }
}

/// Octets by their place in a word, out of the words of sixteen records.
///
/// In pairs of words, a record and the eighth after it, an octet is numbered by seven bits: three of the record, one of which of the two, three
/// of its place. To interleave the octets of the lower and the upper half of all makes the first bit the last, as when cards are
/// shuffled; after three times the place stands before the record.
#[inline(always)]
fn transposed(word: impl Fn(usize) -> [u8; NEIGHBOURHOOD]) -> Block {
    const PAIRS: usize = BLOCK / 2;
    let number = |record| u64::from_ne_bytes(word(record));
    let mut pairs: [u8x16; PAIRS] =
        from_fn(|record| bytemuck::cast(u64x2::new([number(record), number(record + PAIRS)])));
    for _ in 0..3 {
        pairs = from_fn(|index| {
            let (lower, upper) = (pairs[index / 2], pairs[index / 2 + PAIRS / 2]);
            match index % 2 {
                0 => u8x16::unpack_low(lower, upper),
                _ => u8x16::unpack_high(lower, upper),
            }
        });
    }
    // Now in order of: which of the two, place, record.
    let halves: [[[u8; PAIRS]; NEIGHBOURHOOD]; 2] = bytemuck::cast(pairs);
    from_fn(|place| bytemuck::cast([halves[0][place], halves[1][place]]))
}

impl<'a> Rows<'a> {
    /// The blocks with a field of one or two octets, and its place in them, if it has neighbours.
    #[inline(always)]
    pub(super) fn of<const W: usize>(&self, offset: usize) -> Option<(&'a [Block], usize)> {
        if W > 2 {
            return None;
        }
        let is_around = |start: &usize| (*start..=start + NEIGHBOURHOOD - W).contains(&offset);
        let index = self.neighbourhoods.iter().position(is_around)?;
        let blocks = self.blocks.len() / self.neighbourhoods.len();
        let place = offset - self.neighbourhoods[index];
        Some((&self.blocks[index * blocks..][..blocks], place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_of_one_place_come_together() {
        let word = |record: usize| from_fn(|place| (16 * place + record) as u8);
        let blocks = transposed(word);
        for (place, octets) in blocks.iter().enumerate() {
            let expected: Vec<_> = (0..16).map(|record| (16 * place + record) as u8).collect();
            assert_eq!(octets, expected.as_slice(), "place {place}");
        }
    }

    #[test]
    fn rows_are_those_of_the_records() {
        // FF-ORD-07: up to the last octet of the last record, and none beyond.
        const STRIDE: usize = 11;
        let mut neighbours = Neighbours::default();
        for records in [0, 1, 15, 16, 17, 31, 32, 100] {
            let bytes: Vec<u8> = (0..records * STRIDE).map(|octet| octet as u8).collect();
            let tile = Tile::of(&bytes, records, TileShape::Strided(STRIDE));
            let tile = neighbours.transpose(tile, &[0, 3]);
            for offset in 0..STRIDE {
                let (blocks, place) = tile.rows.of::<1>(offset).unwrap();
                let found: Vec<_> = blocks.iter().flat_map(|block| block[place]).collect();
                let expected: Vec<_> = bytes.iter().skip(offset).step_by(STRIDE).collect();
                assert!(expected.into_iter().eq(&found[..records]), "{records}");
            }
            // A field that begins in one neighbourhood and ends in the other is whole in the other.
            assert_eq!(tile.rows.of::<2>(7).unwrap().1, 4);
            assert!(tile.rows.of::<2>(10).is_none() && tile.rows.of::<4>(0).is_none());
        }
    }
}
