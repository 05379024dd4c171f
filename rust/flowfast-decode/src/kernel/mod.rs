//! Runs plans: for each op, over all records of a tile, from the wire's octets into columns. Nothing here can fail: `split` has
//! checked that every field lies inside the tile.

mod biflow;
mod field;
mod flattened;
mod lists;
mod neighbours;
mod plain;
mod several;
mod strided;
mod time;

use std::ops::Range;

use crate::batch::{MessageContext, Run, Table};
use crate::bytes::be_uint;
use crate::column::Column;
use crate::convert::Convert;
use crate::error::Warning;
use crate::plan::{FieldSource, Op, Piece, RecordShape, SubTemplate};
use crate::stats::Stats;
use crate::template::options::OptionsState;

pub(crate) use biflow::Biflows;
pub(crate) use lists::check_list;
pub(crate) use neighbours::Neighbours;

use field::{append_field, append_time};
use flattened::append_from_lists;
use lists::append_lists;
use neighbours::Rows;
use several::{
    append_biflow_directions, append_either, append_icmp_in_port, append_names, append_sampling,
    label_stack, port_range_size,
};
use time::{Uptimes, append_uptimes, eras, signed_offset};

/// How records become columns. All kernels give bit-identical rows (FF-ORD-06).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernel {
    /// The fastest: one field after the other, for all records, and short neighbours together.
    #[default]
    Auto,
    /// One field after the other, for all records.
    Scalar,
    /// One record after the other, field by field: what a decoder does that has no plan.
    Plain,
}

impl Kernel {
    /// Every kernel.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Scalar, Self::Plain];

    /// As written on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Scalar => "scalar",
            Self::Plain => "plain",
        }
    }
}

/// Records of one plan, end to end: those of a set, or staged from many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) records: usize,
    pub(crate) shape: TileShape<'a>,
    /// Short neighbours, transposed.
    rows: Rows<'a>,
}

/// Where the records of a tile begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TileShape<'a> {
    /// Every so many octets.
    Strided(usize),
    /// Where their pieces say.
    Pieces {
        per_record: usize,
        pieces: &'a [Piece],
    },
}

impl<'a> Tile<'a> {
    /// Records of a shape; `pieces`: as `split` found them.
    pub(crate) fn new(
        shape: &RecordShape,
        bytes: &'a [u8],
        pieces: &'a [Piece],
        records: usize,
    ) -> Self {
        let shape = match shape {
            RecordShape::Fixed(record_len) => TileShape::Strided(record_len.get()),
            RecordShape::Variable { .. } => TileShape::Pieces {
                per_record: shape.pieces_per_record(),
                pieces,
            },
        };
        Self::of(bytes, records, shape)
    }

    /// So many records that begin where `shape` says.
    pub(crate) fn of(bytes: &'a [u8], records: usize, shape: TileShape<'a>) -> Self {
        Self {
            bytes,
            records,
            shape,
            rows: Rows::default(),
        }
    }

    /// The octets of one record.
    pub(crate) fn record(&self, record: usize) -> &'a [u8] {
        match self.shape {
            TileShape::Strided(stride) => &self.bytes[record * stride..][..stride],
            TileShape::Pieces { per_record, pieces } => {
                let whole = pieces[record * per_record];
                &self.bytes[whole.start as usize..][..whole.len as usize]
            }
        }
    }

    /// The octets of one field of one record.
    #[inline(always)]
    pub(crate) fn field(&self, record: usize, source: FieldSource) -> &'a [u8] {
        match self.shape {
            TileShape::Strided(stride) => {
                let FieldSource::Start { offset, length } = source else {
                    return &[];
                };
                &self.bytes[record * stride + offset..][..length]
            }
            TileShape::Pieces { per_record, pieces } => locate(
                self.bytes,
                source,
                &pieces[record * per_record..][..per_record],
            ),
        }
    }
}

impl<'a> Tile<'a> {
    /// Some of its records, as a tile.
    fn part(&self, records: Range<usize>) -> Self {
        let (first, count) = (records.start, records.len());
        let (bytes, shape) = match self.shape {
            TileShape::Strided(stride) => {
                (&self.bytes[first * stride..][..count * stride], self.shape)
            }
            TileShape::Pieces { per_record, pieces } => {
                let pieces = &pieces[first * per_record..][..count * per_record];
                (self.bytes, TileShape::Pieces { per_record, pieces })
            }
        };
        Self::of(bytes, count, shape)
    }
}

/// The octets of a field in a record of variable length.
#[inline(always)]
fn locate<'a>(bytes: &'a [u8], source: FieldSource, pieces: &[Piece]) -> &'a [u8] {
    let (start, length) = match source {
        FieldSource::Start { offset, length } => (pieces[0].start as usize + offset, length),
        FieldSource::After {
            piece,
            offset,
            length,
        } => (
            (pieces[piece].start + pieces[piece].len) as usize + offset,
            length,
        ),
        FieldSource::Piece { piece } => (pieces[piece].start as usize, pieces[piece].len as usize),
    };
    &bytes[start..start + length]
}

/// Binds an iterator over the octets of one field in every record, compiled apart for each shape.
macro_rules! with_field {
    ($tile:expr, $source:expr, $fields:ident => $body:expr) => {{
        let (tile, source): (&Tile<'_>, FieldSource) = ($tile, $source);
        match (tile.shape, source) {
            (TileShape::Strided(stride), FieldSource::Start { offset, length }) => {
                let records = tile.bytes.chunks_exact(stride);
                let $fields = records.map(move |record| &record[offset..offset + length]);
                $body
            }
            (TileShape::Strided(_), _) => Default::default(),
            (TileShape::Pieces { per_record, pieces }, source) => {
                let records = pieces.chunks_exact(per_record);
                let bytes = tile.bytes;
                let $fields = records.map(move |pieces| locate(bytes, source, pieces));
                $body
            }
        }
    }};
}

use with_field;

/// What ops read besides the tile.
pub(crate) struct Surroundings<'a, 'o> {
    /// The messages that the tile's records came in.
    pub(crate) runs: &'a [Run],
    /// What options data has taught about a message's records.
    pub(crate) options: &'a dyn Fn(&MessageContext) -> Option<&'o OptionsState>,
    /// The template of an id that a message's records would be decoded with.
    pub(crate) sub_templates: &'a dyn Fn(&MessageContext, u16) -> Option<&'o SubTemplate>,
    /// Lists within lists that are read.
    pub(crate) list_depth: usize,
}

/// Appends a tile to a table.
pub(crate) fn execute(
    kernel: Kernel,
    ops: &[Op],
    tile: &Tile<'_>,
    table: &mut Table,
    around: &Surroundings<'_, '_>,
    stats: &mut Stats,
) {
    if kernel == Kernel::Plain {
        plain::execute(ops, tile, table, around, stats);
        return;
    }
    for op in ops {
        execute_op(op, tile, table, around, stats);
    }
    table.add_records(tile.records);
    table.add_runs(around.runs);
}

fn execute_op(
    op: &Op,
    tile: &Tile<'_>,
    table: &mut Table,
    around: &Surroundings<'_, '_>,
    stats: &mut Stats,
) {
    match *op {
        Op::Field {
            column,
            source,
            convert,
        } => match (table.field(column), convert) {
            (Some(Column::I64(column)), Convert::Time { from, to }) => {
                for (records, era) in eras(around.runs) {
                    let tile = &tile.part(records);
                    append_time(column, tile, source, (from, to), era, stats);
                }
            }
            (Some(column), _) => append_field(column, tile, source, convert, stats),
            (None, _) => {}
        },
        Op::List { column, source } => {
            if let Some(Column::Lists(lists)) = table.field(column) {
                append_lists(lists, tile, source, around, stats);
            }
        }
        Op::FromLists {
            ref lists,
            ref columns,
        } => append_from_lists(table, tile, lists, columns, around, stats),
        Op::Constant { column, value } => {
            if let Some(Column::U16(column)) = table.field(column) {
                column.extend_constant(value as u16, tile.records);
            }
        }
        Op::EitherFamily {
            column,
            ipv4,
            ipv6,
            ip_version,
            what,
        } => {
            if let Some(column) = table.field(column) {
                append_either(column, tile, ipv4, ipv6, ip_version, what);
            }
        }
        Op::Uptime {
            column,
            edge,
            first,
            last,
            boot,
            to,
        } => {
            let times = Uptimes {
                edge,
                first,
                last,
                boot,
                to,
            };
            if let Some(Column::I64(column)) = table.field(column) {
                append_uptimes(column, tile, times, around, stats);
            }
        }
        Op::BeforeExport { column, source } => {
            if let Some(Column::I64(column)) = table.field(column) {
                // RFC 7011 section 6.1, elements 158 and 159; FF-DT-07.
                let times = contexts(around.runs).enumerate().map(|(record, context)| {
                    signed_offset(tile.field(record, source))
                        .zip(context.export_time_ms)
                        .and_then(|(before, export_ms)| (export_ms * 1000).checked_sub(before))
                });
                stats.warnings[Warning::ValueOutOfRange as usize] += column.extend_optional(times);
            }
        }
        Op::IcmpInPort {
            column,
            protocol,
            port,
            shift,
        } => {
            if let Some(Column::U8(column)) = table.field(column) {
                append_icmp_in_port(column, tile, protocol, port, shift);
            }
        }
        Op::MplsLabels {
            column,
            ref entries,
        } => {
            if let Some(Column::Labels(column)) = table.field(column) {
                for record in 0..tile.records {
                    column.append(label_stack(
                        entries
                            .iter()
                            .map(|&entry| be_uint(tile.field(record, entry)).0 as u32),
                    ));
                }
            }
        }
        Op::Sampling {
            rate,
            source,
            ref fields,
        } => append_sampling(table, tile, rate, source, fields, around),
        Op::Enumerated {
            column,
            source,
            mask,
            of,
        } => {
            if let Some(Column::Keys(column)) = table.field(column) {
                let keys = (0..tile.records).map(|record| {
                    let (value, too_wide) = be_uint(tile.field(record, source));
                    of.find(value & mask).filter(|_| !too_wide)
                });
                column.extend_optional(of.names, keys);
            }
        }
        Op::PortRangeSize { column, fields } => {
            if let Some(Column::U16(column)) = table.field(column) {
                column.extend_optional(
                    (0..tile.records).map(|record| port_range_size(tile, record, fields)),
                );
            }
        }
        Op::Name { column, of, id } => append_names(table, tile, column, of, id, around, stats),
        Op::BiflowDirection { column } => append_biflow_directions(table, column, around),
    }
}

/// The message of each record.
fn contexts<'a>(runs: &'a [Run]) -> impl Iterator<Item = &'a MessageContext> + 'a {
    runs.iter()
        .flat_map(|run| std::iter::repeat_n(&run.context, run.records))
}
