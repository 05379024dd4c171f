//! Columns of `flows` that no field of a record fills, but a list in it does.

use super::field::append_field;
use super::lists::Reader;
use super::several::label_stack;
use super::time::Era;
use super::{Surroundings, Tile, TileShape, contexts};
use crate::batch::Table;
use crate::bytes::be_uint;
use crate::column::Column;
use crate::convert::{Convert, UNSIGNED};
use crate::plan::{FieldSource, ListColumn, ListColumns, ListSource, Piece};
use crate::schema::Value;
use crate::stats::Stats;

/// What a record's lists hold for one column.
#[derive(Clone, Debug, Default)]
struct Found {
    /// Which of the column's feeds; earlier ones win.
    feed: usize,
    /// Values of that feed.
    values: usize,
    /// The last of them.
    octets: Vec<u8>,
    /// Entries of a label stack: each has an element of its own.
    entries: Vec<u32>,
}

/// A column gets the value of its element if all lists of the record together hold one, and not several; a column of labels gets
/// all of them. Faults are counted also where no column is filled.
pub(super) fn append_from_lists(
    table: &mut Table,
    tile: &Tile<'_>,
    lists: &[ListSource],
    columns: &ListColumns,
    around: &Surroundings<'_, '_>,
    stats: &mut Stats,
) {
    let rows = table.rows();
    let mut found = vec![Found::default(); columns.columns.len()];
    for (record, context) in contexts(around.runs).enumerate() {
        found.iter_mut().for_each(Found::clear);
        let reader = Reader {
            templates: &|template_id| (around.sub_templates)(context, template_id),
            max_depth: around.list_depth,
            era: Era::of(context.received_ns),
        };
        for list in lists {
            let octets = tile.field(record, list.source);
            reader.visit(list.kind, octets, 1, stats, &mut |element, octets| {
                for (column, feed) in columns.fed_by(element) {
                    found[column].add(feed, octets);
                }
            });
        }
        for (to, found) in columns.columns.iter().zip(&found) {
            if let Some(column) = table.field(to.column).filter(|_| found.values > 0) {
                column.pad_to(rows + record);
                append_found(column, to, found, stats);
            }
        }
    }
}

impl Found {
    fn clear(&mut self) {
        self.values = 0;
        self.entries.clear();
    }

    fn add(&mut self, feed: usize, octets: &[u8]) {
        if octets.len() == 3 {
            self.entries.push(be_uint(octets).0 as u32);
        }
        if self.values == 0 || feed < self.feed {
            (self.feed, self.values) = (feed, 0);
        }
        if feed == self.feed {
            self.values += 1;
            self.octets.clear();
            self.octets.extend_from_slice(octets);
        }
    }
}

fn append_found(column: &mut Column, to: &ListColumn, found: &Found, stats: &mut Stats) {
    if let Column::Labels(labels) = column {
        labels.append(label_stack(found.entries.iter().copied()));
        return;
    }
    if found.values != 1 {
        return;
    }
    let octets = &found.octets[..];
    let feed = &to.feeds[found.feed];
    let convert = match (to.value, octets.len()) {
        (Value::Address, 4) => Convert::MappedIpv4,
        (Value::Address, _) => Convert::Fixed,
        (Value::Text, _) => Convert::Text { trim: true },
        (Value::Octets, _) => Convert::Octets,
        (Value::Mac, _) => UNSIGNED,
        _ => Convert::Unsigned {
            shift: feed.shift,
            mask: feed.mask,
        },
    };
    let whole = [Piece {
        start: 0,
        len: octets.len() as u32,
    }];
    let shape = TileShape::Pieces {
        per_record: 1,
        pieces: &whole,
    };
    let tile = Tile::of(octets, 1, shape);
    let source = FieldSource::Piece { piece: 0 };
    append_field(column, &tile, source, convert, stats);
}
