//! Structured data (RFC 6313): lists are read whole before anything of them is appended, and kept as they were sent if they can
//! not be read.

use super::field::{append_field, append_time};
use super::time::Era;
use super::{Surroundings, Tile, TileShape, contexts};
use crate::column::{Column, Lists};
use crate::convert::{self, Convert};
use crate::element::ElementId;
use crate::error::{DecodeError, Warning};
use crate::plan::{FieldSource, Piece, SubTemplate, ValueColumn};
use crate::stats::Stats;
use crate::wire::list::{BasicList, Block, ListKind, sub_template_list, sub_template_multi_list};

/// Columns that the lists of one field may have together, whatever they hold.
const MAX_WIDTH: usize = 512;

/// Appends one field as lists.
pub(super) fn append_lists(
    lists: &mut Lists,
    tile: &Tile<'_>,
    source: FieldSource,
    around: &Surroundings<'_, '_>,
    stats: &mut Stats,
) {
    let mut room = MAX_WIDTH.saturating_sub(lists.width());
    for (record, context) in contexts(around.runs).enumerate() {
        let reader = Reader {
            templates: &|template_id| (around.sub_templates)(context, template_id),
            max_depth: around.list_depth,
            era: Era::of(context.received_ns),
        };
        append_list(
            lists,
            tile.field(record, source),
            &reader,
            1,
            &mut room,
            stats,
        );
    }
}

/// Appends one list, `depth` deep. `room`: columns that may still be added.
fn append_list(
    lists: &mut Lists,
    octets: &[u8],
    reader: &Reader<'_, '_>,
    depth: usize,
    room: &mut usize,
    stats: &mut Stats,
) {
    let outcome = reader.read(lists.kind(), octets, depth).and_then(|list| {
        let missing = lists.missing(list.columns().iter());
        *room = room.checked_sub(missing).ok_or(Warning::ListTooWide)?;
        Ok(list)
    });
    match outcome {
        Err(fault) => {
            stats.warn(fault);
            // FF-SD-05: the record is not lost, and neither is the list.
            stats.warnings[Warning::ValueOutOfRange as usize] += lists.append_octets(octets);
        }
        Ok(List::Values {
            semantic,
            element,
            value_length,
            values,
        }) => {
            let (column, convert, shown) = ValueColumn::of_value(element, value_length);
            let tile = values_tile(octets, &values);
            lists.append_basic(semantic, (&column, convert, shown), |items| {
                append_values(
                    items,
                    &tile,
                    FieldSource::Piece { piece: 0 },
                    convert,
                    reader,
                    depth,
                    room,
                    stats,
                );
            });
        }
        Ok(List::Records { semantic, blocks }) => {
            for block in &blocks {
                let tile = block.tile();
                for (hint, field) in block.template.fields.iter().enumerate() {
                    let items =
                        lists.child_of_records(&field.column, field.convert, field.semantic, hint);
                    append_values(
                        items,
                        &tile,
                        field.source,
                        field.convert,
                        reader,
                        depth,
                        room,
                        stats,
                    );
                }
                lists.end_block(block.template_id, block.records);
            }
            lists.end_list(semantic);
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "two of them are the state of the walk"
)]
fn append_values(
    items: &mut Column,
    tile: &Tile<'_>,
    source: FieldSource,
    convert: Convert,
    reader: &Reader<'_, '_>,
    depth: usize,
    room: &mut usize,
    stats: &mut Stats,
) {
    match (items, convert) {
        (Column::Lists(lists), _) => {
            for record in 0..tile.records {
                append_list(
                    lists,
                    tile.field(record, source),
                    reader,
                    depth + 1,
                    room,
                    stats,
                );
            }
        }
        (Column::I64(column), Convert::Time { from, to }) => {
            append_time(column, tile, source, (from, to), reader.era, stats);
        }
        (items, _) => append_field(items, tile, source, convert, stats),
    }
}

/// The values of a basicList as records of one field each.
fn values_tile<'a>(octets: &'a [u8], values: &'a [Piece]) -> Tile<'a> {
    let shape = TileShape::Pieces {
        per_record: 1,
        pieces: values,
    };
    Tile::of(octets, values.len(), shape)
}

/// Whether a list and the lists in it fill their fields exactly (FF-SD-04), with values of legal lengths (FF-DT-02). A list whose
/// template is not known says neither.
pub(crate) fn check_list<'t>(
    kind: ListKind,
    octets: &[u8],
    templates: &dyn Fn(u16) -> Option<&'t SubTemplate>,
    max_depth: usize,
) -> Result<(), DecodeError> {
    let reader = Reader {
        templates,
        max_depth,
        era: Era::of(0), // no value is read
    };
    let mut faults = Stats::default();
    let mut is_legal = true;
    reader.visit(kind, octets, 1, &mut faults, &mut |element, octets| {
        if let Some(known) = element.describe() {
            is_legal &= convert::is_legal(known.data_type, octets.len() as u16);
        }
    });
    match (faults.warnings[Warning::ListMalformed as usize], is_legal) {
        (1.., _) => Err(DecodeError::ListMalformed),
        (0, false) => Err(DecodeError::FieldLength),
        (0, true) => Ok(()),
    }
}

/// Reads lists, by the templates of the session that sent them (FF-SD-07).
pub(super) struct Reader<'f, 't> {
    pub(super) templates: &'f dyn Fn(u16) -> Option<&'t SubTemplate>,
    /// FF-SD-03.
    pub(super) max_depth: usize,
    /// Of the message that the list came in.
    pub(super) era: Era,
}

/// A list that can be appended without fault.
#[derive(Debug)]
pub(super) enum List<'a, 't> {
    Values {
        semantic: u8,
        element: ElementId,
        value_length: u16,
        values: Vec<Piece>,
    },
    Records {
        semantic: u8,
        blocks: Vec<Records<'a, 't>>,
    },
}

/// Records of one template in a list.
#[derive(Debug)]
pub(super) struct Records<'a, 't> {
    template_id: u16,
    template: &'t SubTemplate,
    octets: &'a [u8],
    records: usize,
    pieces: Vec<Piece>,
}

impl Records<'_, '_> {
    fn tile(&self) -> Tile<'_> {
        Tile::new(
            &self.template.shape,
            self.octets,
            &self.pieces,
            self.records,
        )
    }
}

impl List<'_, '_> {
    /// The columns that its values need.
    fn columns(&self) -> Vec<ValueColumn> {
        match self {
            Self::Values {
                element,
                value_length,
                ..
            } => vec![ValueColumn::of_value(*element, *value_length).0],
            Self::Records { blocks, .. } => {
                let fields = blocks.iter().flat_map(|block| &block.template.fields);
                fields.map(|field| field.column.clone()).collect()
            }
        }
    }
}

impl<'t> Reader<'_, 't> {
    /// Why not, if it can not be read.
    pub(super) fn read<'a>(
        &self,
        kind: ListKind,
        octets: &'a [u8],
        depth: usize,
    ) -> Result<List<'a, 't>, Warning> {
        if depth > self.max_depth {
            return Err(Warning::ListTooDeep);
        }
        let malformed = Warning::ListMalformed;
        match kind {
            ListKind::Basic => {
                let list = BasicList::parse(octets).ok_or(malformed)?;
                Ok(List::Values {
                    semantic: list.semantic,
                    element: list.element,
                    value_length: list.value_length,
                    values: list.values(octets).ok_or(malformed)?,
                })
            }
            ListKind::SubTemplate => {
                let (semantic, block) = sub_template_list(octets).ok_or(malformed)?;
                let blocks = vec![self.records(block)?];
                Ok(List::Records { semantic, blocks })
            }
            ListKind::SubTemplateMulti => {
                let (semantic, blocks) = sub_template_multi_list(octets).ok_or(malformed)?;
                let blocks = blocks.into_iter().map(|block| self.records(block));
                Ok(List::Records {
                    semantic,
                    blocks: blocks.collect::<Result<_, _>>()?,
                })
            }
        }
    }

    fn records<'a>(&self, block: Block<'a>) -> Result<Records<'a, 't>, Warning> {
        let template = (self.templates)(block.template_id).ok_or(Warning::ListTemplateMissing)?;
        let mut pieces = Vec::new();
        let split = template.shape.split(block.records, &mut pieces);
        // There is no padding in lists: FF-SD-04.
        let (records, _) = split
            .ok()
            .filter(|(_, octets)| *octets == block.records.len())
            .ok_or(Warning::ListMalformed)?;
        Ok(Records {
            template_id: block.template_id,
            template,
            octets: block.records,
            records,
            pieces,
        })
    }

    /// Calls `visit` for each value in a list and the lists in it, in order; faults are counted.
    pub(super) fn visit(
        &self,
        kind: ListKind,
        octets: &[u8],
        depth: usize,
        stats: &mut Stats,
        visit: &mut dyn FnMut(ElementId, &[u8]),
    ) {
        match self.read(kind, octets, depth) {
            Err(fault) => stats.warn(fault),
            Ok(List::Values {
                element,
                value_length,
                values,
                ..
            }) => {
                let (_, convert, _) = ValueColumn::of_value(element, value_length);
                for value in values {
                    let octets = &octets[value.start as usize..][..value.len as usize];
                    match convert {
                        Convert::List(kind) => self.visit(kind, octets, depth + 1, stats, visit),
                        _ => visit(element, octets),
                    }
                }
            }
            Ok(List::Records { blocks, .. }) => {
                for block in &blocks {
                    self.visit_records(block, depth, stats, visit);
                }
            }
        }
    }

    fn visit_records(
        &self,
        block: &Records<'_, 't>,
        depth: usize,
        stats: &mut Stats,
        visit: &mut dyn FnMut(ElementId, &[u8]),
    ) {
        let tile = block.tile();
        for record in 0..tile.records {
            for field in &block.template.fields {
                let octets = tile.field(record, field.source);
                match field.convert {
                    Convert::List(kind) => self.visit(kind, octets, depth + 1, stats, visit),
                    _ => visit(field.column.element, octets),
                }
            }
        }
    }
}
