//! Biflows of a tile that have a reverse direction (RFC 5103; FF-BI-04).

use super::{Tile, TileShape};
use crate::batch::Run;
use crate::plan::{FieldSource, Piece};

/// Where they are brought together; kept so that no tile allocates.
#[derive(Debug, Default)]
pub(crate) struct Biflows {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    runs: Vec<Run>,
}

impl Biflows {
    /// The records of which any of the counters is not zero, and their messages.
    pub(crate) fn select<'a>(
        &'a mut self,
        counters: &[FieldSource],
        tile: &Tile<'a>,
        runs: &[Run],
    ) -> (Tile<'a>, &'a [Run]) {
        let Self {
            bytes,
            pieces,
            runs: selected,
        } = self;
        bytes.clear();
        pieces.clear();
        selected.clear();
        let mut record = 0;
        for run in runs {
            let mut records = 0;
            for record in record..record + run.records {
                let is_set = |&source| tile.field(record, source).iter().any(|&octet| octet != 0);
                if !counters.iter().any(is_set) {
                    continue;
                }
                records += 1;
                match tile.shape {
                    TileShape::Strided(_) => bytes.extend_from_slice(tile.record(record)),
                    TileShape::Pieces {
                        per_record,
                        pieces: all,
                    } => pieces.extend_from_slice(&all[record * per_record..][..per_record]),
                }
            }
            record += run.records;
            if records > 0 {
                selected.push(Run { records, ..*run });
            }
        }
        let (bytes, shape) = match tile.shape {
            TileShape::Strided(stride) => (&bytes[..], TileShape::Strided(stride)),
            TileShape::Pieces { per_record, .. } => {
                (tile.bytes, TileShape::Pieces { per_record, pieces })
            }
        };
        let records = selected.iter().map(|run| run.records).sum();
        (Tile::of(bytes, records, shape), selected)
    }
}
