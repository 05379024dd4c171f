//! Fields that have the same length and the same place in every record: the loops that most values go through.

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

/// In which of at most 64 records this octet is `wanted`, the first in the lowest bit.
pub(super) fn records_with(bytes: &[u8], stride: usize, offset: usize, wanted: u8) -> u64 {
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
fn octets<const W: usize>(bytes: &[u8], at: usize) -> [u8; W] {
    let mut octets = [0; W];
    octets.copy_from_slice(&bytes[at..at + W]);
    octets
}
