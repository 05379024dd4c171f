//! Decode plans: a template compiled against a schema, once. Running one is `kernel`'s work.

mod biflow;
mod describe;
mod exporter;
mod flows;
mod inner;
mod neighbours;
mod runs;
mod sections;
mod shape;
mod values;

use arrow_schema::{DataType, TimeUnit};

use crate::convert::{Convert, natural};
use crate::element::{AbstractDataType, ElementId, Enumeration, PADDING_OCTETS};
use crate::schema::{Feed, SAMPLING_SOURCES, Value};
use crate::template::options::{Naming, OptionsFields, RateFields};
use crate::template::types::TypeFields;
use crate::template::{Definition, RecordKind, VARIABLE};
use crate::wire::list::ListKind;

use biflow::is_biflow;
pub(crate) use biflow::{reverse_counters, reversed};
pub use describe::{PlannedColumn, PlannedField};
pub(crate) use describe::{TargetColumn, describe};
pub(crate) use exporter::NamedExporter;
pub(crate) use flows::{flow_op, list_op, sampling_op, uptime};
pub(crate) use inner::with_inner;
pub(crate) use neighbours::{NEIGHBOURHOOD, neighbourhoods};
pub(crate) use runs::canonical_runs;
pub(crate) use sections::SectionField;
pub(crate) use shape::{Piece, RecordShape};
pub(crate) use values::{SubTemplate, ValueColumn, ValueField, element_type, value_fields};

/// Where a field stands in each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldSource {
    /// At this offset from the start of the record.
    Start { offset: usize, length: usize },
    /// At this offset from the end of a variable-length field.
    After {
        piece: usize,
        offset: usize,
        length: usize,
    },
    /// A variable-length field itself.
    Piece { piece: usize },
}

/// What is done for all records of a tile, to one column or a few.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// One field to one column.
    Field {
        column: usize,
        source: FieldSource,
        convert: Convert,
    },
    /// One field to a column of lists.
    List { column: usize, source: FieldSource },
    /// What lists hold for columns that no field fills.
    FromLists {
        lists: Box<[ListSource]>,
        columns: ListColumns,
    },
    /// The same for every record.
    Constant { column: usize, value: u64 },
    /// Whichever of two fields belongs to the record's IP version.
    EitherFamily {
        column: usize,
        ipv4: FieldSource,
        ipv6: FieldSource,
        ip_version: Option<FieldSource>,
        what: FamilyValue,
    },
    /// A time relative to the exporter's start, in `to`'s unit.
    Uptime {
        column: usize,
        edge: Edge,
        first: Option<FieldSource>,
        last: Option<FieldSource>,
        boot: Option<FieldSource>,
        to: TimeUnit,
    },
    /// A time that lies so many microseconds before the export time (FF-DT-07).
    BeforeExport { column: usize, source: FieldSource },
    /// ICMP type (shift 8) or code (shift 0) out of the destination port.
    IcmpInPort {
        column: usize,
        protocol: FieldSource,
        port: FieldSource,
        shift: u8,
    },
    /// A label stack out of its entries.
    MplsLabels {
        column: usize,
        entries: Box<[FieldSource]>,
    },
    /// The sampling rate and where it comes from (FF-SMP-02).
    Sampling {
        rate: Option<usize>,
        source: Option<usize>,
        fields: Box<SamplingFields>,
    },
    /// The name of a number.
    Enumerated {
        column: usize,
        source: FieldSource,
        mask: u64,
        of: &'static Enumeration,
    },
    /// How many ports a range has.
    PortRangeSize { column: usize, fields: PortRange },
    /// What the exporter calls what a field refers to, as of the record's time (FF-EN-01).
    Name {
        column: usize,
        of: Naming,
        id: FieldSource,
    },
    /// What options data says of the direction of a template's biflows (FF-BI-03).
    BiflowDirection { column: usize },
}

/// Fields of a range of ports (RFC 8158 section 5.5): 361 to 364.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortRange {
    pub(crate) size: Option<FieldSource>,
    pub(crate) ends: Option<(FieldSource, FieldSource)>,
    pub(crate) step: Option<FieldSource>,
}

/// A field that is a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListSource {
    pub(crate) kind: ListKind,
    pub(crate) source: FieldSource,
}

/// A column of `flows` that lists may fill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListColumn {
    pub(crate) column: usize,
    pub(crate) value: Value,
    pub(crate) feeds: &'static [Feed],
}

/// Columns of `flows` that lists may fill, by what feeds them: lists may be long.
#[derive(Clone, Debug)]
pub(crate) struct ListColumns {
    pub(crate) columns: Box<[ListColumn]>,
    /// Element, which of `columns` it feeds, and which of that column's feeds it is; sorted.
    feeds: Box<[(ElementId, usize, usize)]>,
}

impl ListColumns {
    pub(crate) fn new(columns: Box<[ListColumn]>) -> Self {
        let mut feeds: Vec<_> = (columns.iter().enumerate())
            .flat_map(|(index, column)| {
                let feeds = column.feeds.iter().enumerate();
                feeds.map(move |(feed, of)| (of.element, index, feed))
            })
            .collect();
        feeds.sort_unstable();
        feeds.dedup_by_key(|&mut (element, index, _)| (element, index)); // earlier feeds win
        Self {
            columns,
            feeds: feeds.into(),
        }
    }

    /// The columns that an element feeds, each with which of its feeds that is.
    pub(crate) fn fed_by(&self, element: ElementId) -> impl Iterator<Item = (usize, usize)> + '_ {
        let first = self.feeds.partition_point(|&(of, ..)| of < element);
        let feeds = self.feeds[first..].iter();
        let of_element = feeds.take_while(move |&&(of, ..)| of == element);
        of_element.map(|&(_, column, feed)| (column, feed))
    }
}

/// Which end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    Start,
    End,
}

/// What is picked by IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FamilyValue {
    Address,
    PrefixLength,
    EtherType,
}

/// Fields of a record that tell its sampling rate, or by what it was sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SamplingFields {
    pub(crate) rate: Option<RateFields>,
    /// 48 samplerId or 302 selectorId.
    pub(crate) sampler: Option<FieldSource>,
    /// 301 selectionSequenceId.
    pub(crate) sequence: Option<FieldSource>,
    /// 10 ingressInterface and 14 egressInterface.
    pub(crate) interfaces: [Option<FieldSource>; 2],
    /// 61 flowDirection: egress flows are sampled where they leave.
    pub(crate) direction: Option<FieldSource>,
    /// 141 lineCardId.
    pub(crate) line_card: Option<FieldSource>,
}

/// Keys of `SAMPLING_SOURCES`.
pub(crate) mod sampling_source {
    pub(crate) const NONE: u8 = 0;
    pub(crate) const HEADER: u8 = 1;
    pub(crate) const OPTIONS: u8 = 2;
    pub(crate) const RECORD: u8 = 3;
    const _: () = assert!(super::SAMPLING_SOURCES.len() == 5);
}

/// A compiled template.
#[derive(Debug)]
pub(crate) struct DecodePlan {
    pub(crate) shape: RecordShape,
    pub(crate) kind: RecordKind,
    /// Where rows go; `None` if no sink asked for records of this kind.
    pub(crate) table: Option<usize>,
    pub(crate) ops: Box<[Op]>,
    /// Where short fields stand side by side in each record: offsets at which they are read together.
    pub(crate) neighbourhoods: Box<[usize]>,
    /// The packet section that tells what the fields do not.
    pub(crate) section: Option<SectionField>,
    /// Where records refer to common properties, which are to become fields of theirs (RFC 5473).
    pub(crate) property_ids: Box<[FieldSource]>,
    /// The Exporter that records name, if they are its.
    pub(crate) exporter: Option<NamedExporter>,
    /// How the reverse direction of biflows becomes rows, if it is to.
    pub(crate) reverse: Option<ReversePlan>,
    /// Records have lists: they are not staged, for what their lists mean depends on the templates of the moment.
    pub(crate) has_lists: bool,
    /// Fields of which each value tells whether it is legal: lists, and fixed-length types sent with a variable length.
    pub(crate) told_by_value: Box<[(FieldSource, AbstractDataType)]>,
    /// Has elements that are in no registry: their exporter may tell their types (RFC 5610).
    pub(crate) has_unknown: bool,
    /// Fields that are MIB objects: their exporter may tell which (RFC 8038).
    pub(crate) mib_fields: Box<[u16]>,
    /// What options data tells of the types of elements, if it tells any.
    pub(crate) types: Option<TypeFields>,
    /// What options data teaches, if it teaches anything.
    pub(crate) options: Option<OptionsFields>,
    /// Its records tell their own sampling rate.
    pub(crate) tells_rate: bool,
}

impl DecodePlan {
    /// Records teach nothing, and nothing that exporters told, or that the records hold, makes other records of them.
    pub(crate) fn is_plain(&self) -> bool {
        self.kind != RecordKind::Options
            && !self.has_unknown
            && self.mib_fields.is_empty()
            && self.property_ids.is_empty()
            && self.section.is_none()
            && self.exporter.is_none()
    }
}

/// What makes rows of the reverse direction of biflows (RFC 5103).
#[derive(Debug)]
pub(crate) struct ReversePlan {
    /// Any of these is set where there was a reverse direction.
    pub(crate) counters: Box<[FieldSource]>,
    pub(crate) ops: Box<[Op]>,
}

/// A template's fields, placed: what compiling a plan starts from.
pub(crate) struct Layout<'a> {
    pub(crate) definition: &'a Definition,
    sources: Vec<FieldSource>,
    pub(crate) shape: RecordShape,
    /// Its records are biflows (RFC 5103).
    pub(crate) has_biflows: bool,
}

impl<'a> Layout<'a> {
    /// `None` if records would have no length.
    pub(crate) fn new(definition: &'a Definition) -> Option<Self> {
        let shape = RecordShape::of(definition)?;
        let mut sources = Vec::with_capacity(definition.fields.len());
        let (mut piece, mut offset) = (0, 0);
        for field in &definition.fields {
            let length = usize::from(field.length);
            if field.length == VARIABLE {
                piece += 1;
                offset = 0;
                sources.push(FieldSource::Piece { piece });
                continue;
            }
            sources.push(match piece {
                0 => FieldSource::Start { offset, length },
                _ => FieldSource::After {
                    piece,
                    offset,
                    length,
                },
            });
            offset += length;
        }
        Some(Self {
            definition,
            sources,
            shape,
            has_biflows: is_biflow(definition),
        })
    }

    /// Fields that carry a value: (index, element, length, source). Padding and zero-length fields do not (FF-IX-10, FF-Q-05).
    pub(crate) fn values(&self) -> impl Iterator<Item = (usize, ElementId, u16, FieldSource)> + '_ {
        let fields = self.definition.fields.iter().zip(&self.sources).enumerate();
        fields
            .filter(|(_, (field, _))| field.element != PADDING_OCTETS && field.length != 0)
            .map(|(index, (field, source))| (index, field.element, field.length, *source))
    }

    /// The first field of an element, and its length.
    pub(crate) fn find(&self, element: ElementId) -> Option<(FieldSource, u16)> {
        self.values()
            .find(|(_, id, ..)| *id == element)
            .map(|(_, _, length, source)| (source, length))
    }

    /// The fields that are lists (RFC 6313).
    pub(crate) fn lists(&self) -> impl Iterator<Item = ListSource> + '_ {
        self.values().filter_map(|(_, element, length, source)| {
            let data_type = self.definition.describe(element)?.data_type;
            match natural(data_type, length)? {
                (_, Convert::List(kind)) => Some(ListSource { kind, source }),
                _ => None,
            }
        })
    }

    /// Fields whose length, or what is in them, may be illegal in one record and legal in the next.
    pub(crate) fn told_by_value(&self) -> Box<[(FieldSource, AbstractDataType)]> {
        let fields = self.values().filter_map(|(_, element, length, source)| {
            let data_type = self.definition.describe(element)?.data_type;
            let is_told = match data_type {
                AbstractDataType::OctetArray | AbstractDataType::String => false,
                _ => {
                    length == VARIABLE
                        || matches!(natural(data_type, length), Some((_, Convert::List(_))))
                }
            };
            is_told.then_some((source, data_type))
        });
        fields.collect()
    }

    fn source(&self, id: u32) -> Option<FieldSource> {
        self.find(ElementId::iana(id)).map(|(source, _)| source)
    }

    /// A field of an element whose length its type allows.
    fn legal(
        &self,
        element: ElementId,
    ) -> Option<(FieldSource, AbstractDataType, DataType, Convert)> {
        let (source, length) = self.find(element)?;
        let data_type = self.definition.describe(element)?.data_type;
        let (arrow, convert) = natural(data_type, length)?;
        Some((source, data_type, arrow, convert))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::FLOW_COLUMNS;

    #[test]
    fn columns_are_found_by_what_feeds_them() {
        let columns: Box<[_]> = (FLOW_COLUMNS.iter().enumerate())
            .map(|(column, flow)| ListColumn {
                column,
                value: flow.value,
                feeds: flow.feeds,
            })
            .collect();
        let feeds = FLOW_COLUMNS.iter().flat_map(|flow| flow.feeds);
        let unknown = ElementId::iana(1 << 20);
        let all = ListColumns::new(columns.clone());
        for element in feeds.map(|feed| feed.element).chain([unknown]) {
            let first_feed = |(index, column): (usize, &ListColumn)| {
                let feed = column.feeds.iter().position(|feed| feed.element == element);
                Some((index, feed?))
            };
            let expected: Vec<_> = columns.iter().enumerate().filter_map(first_feed).collect();
            assert_eq!(all.fed_by(element).collect::<Vec<_>>(), expected);
            assert_eq!(expected.is_empty(), element == unknown);
        }
    }
}
