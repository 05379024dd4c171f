//! Fields that have the same length and the same place in every record: the loops that most values go through.

use std::array::from_fn;
use std::ops::Range;

use wide::u8x16;

use super::neighbours::{BLOCK, Block};
use super::{Tile, TileShape, locate};
use crate::column::Append;
use crate::plan::FieldSource;

/// Appends what `value` makes of a field of W octets in each record.
pub(super) fn append_octets<T, const W: usize>(
    column: &mut impl Append<T>,
    tile: &Tile<'_>,
    source: FieldSource,
    mut value: impl FnMut([u8; W]) -> T,
) {
    if let FieldSource::Start { offset, .. } = source
        && let Some((blocks, place)) = tile.rows.of::<W>(offset)
    {
        let values = blocks.iter().map(|block| -> [T; BLOCK] {
            from_fn(|record| value(from_fn(|octet| block[place + octet][record])))
        });
        return column.extend_blocks(values, tile.records);
    }
    match (tile.shape, source) {
        // Four records at a time: whether their fields lie inside is looked at once for all, before the loop.
        (TileShape::Strided(stride), FieldSource::Start { offset, .. }) => {
            let fours = tile.bytes.chunks_exact(4 * stride);
            let rest = fours.remainder().chunks_exact(stride);
            column.extend(fours.flat_map(|records| {
                [
                    value(octets(records, offset)),
                    value(octets(records, stride + offset)),
                    value(octets(records, 2 * stride + offset)),
                    value(octets(records, 3 * stride + offset)),
                ]
            }));
            column.extend(rest.map(|record| value(octets(record, offset))));
        }
        (TileShape::Strided(_), _) => {}
        (TileShape::Pieces { per_record, pieces }, source) => {
            let records = pieces.chunks_exact(per_record);
            column
                .extend(records.map(|pieces| value(octets(locate(tile.bytes, source, pieces), 0))));
        }
    }
}

/// In which of at most 64 records, from a multiple of 64 on, the octet at `offset` is `wanted`: the first in the lowest bit.
pub(super) fn records_with(
    tile: &Tile<'_>,
    stride: usize,
    records: Range<usize>,
    offset: usize,
    wanted: u8,
) -> u64 {
    if let Some((blocks, place)) = tile.rows.of::<1>(offset) {
        let blocks = &blocks[records.start / BLOCK..records.end.div_ceil(BLOCK)];
        let bits = |block: &Block| u8x16::new(block[place]).simd_eq(u8x16::splat(wanted));
        let bits = blocks
            .iter()
            .map(|block| u64::from(bits(block).to_bitmask()));
        let bits = bits.rev().fold(0, |later, bits| later << BLOCK | bits);
        return bits & (u64::MAX >> (u64::BITS as usize - records.len()));
    }
    let bytes = &tile.bytes[records.start * stride..records.end * stride];
    let fours = bytes.chunks_exact(4 * stride);
    let rest = fours.remainder().chunks_exact(stride);
    let is_wanted = |records: &[u8], start| u64::from(records[start + offset] == wanted);
    let (mut bits, mut done) = (0, 0);
    for records in fours {
        let four = is_wanted(records, 0)
            | is_wanted(records, stride) << 1
            | is_wanted(records, 2 * stride) << 2
            | is_wanted(records, 3 * stride) << 3;
        bits |= four << done;
        done += 4;
    }
    for record in rest {
        bits |= is_wanted(record, 0) << done;
        done += 1;
    }
    bits
}

#[inline(always)]
pub(super) fn octets<const W: usize>(bytes: &[u8], at: usize) -> [u8; W] {
    let mut octets = [0; W];
    octets.copy_from_slice(&bytes[at..at + W]);
    octets
}
