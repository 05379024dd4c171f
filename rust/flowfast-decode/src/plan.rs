//! Decode plans: a template compiled against a schema, once. Running one is `kernel`'s work.

use std::num::NonZeroUsize;

use arrow_schema::{DataType, TimeUnit};

use crate::convert::{Convert, TimeFormat, UNSIGNED, natural};
use crate::element::{AbstractDataType, ElementId, PADDING_OCTETS};
use crate::error::DecodeError;
use crate::schema::{FlowColumn, SAMPLING_SOURCES, Value};
use crate::template::options::OptionsFields;
use crate::template::{Definition, RecordKind, VARIABLE};

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

/// Where a piece of a record stands: piece 0 is the record, the others its variable-length fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// How long records are.
#[derive(Clone, Debug)]
pub(crate) enum RecordShape {
    /// All alike.
    Fixed(NonZeroUsize),
    /// Fixed octets before, between and after variable-length fields: one stretch more than there are such fields.
    Variable {
        stretches: Box<[usize]>,
        min_len: usize,
    },
}

impl RecordShape {
    /// `None` if records would have no length (FF-V9-13).
    fn of(definition: &Definition) -> Option<Self> {
        let mut stretches = vec![0];
        for field in &definition.fields {
            match field.length {
                VARIABLE => stretches.push(0),
                length => *stretches.last_mut()? += usize::from(length),
            }
        }
        if stretches.len() == 1 {
            return NonZeroUsize::new(stretches[0]).map(Self::Fixed);
        }
        Some(Self::Variable {
            min_len: definition.min_record_len(),
            stretches: stretches.into(),
        })
    }

    /// Pieces per record: 0 for fixed records, whose fields need none.
    pub(crate) fn pieces_per_record(&self) -> usize {
        match self {
            Self::Fixed(_) => 0,
            Self::Variable { stretches, .. } => stretches.len(),
        }
    }

    /// Counts the records of a set and, where they vary in length, finds their pieces. What is left is padding (FF-IX-08).
    ///
    /// After this no field of any record lies outside `body`. Returns (records, octets of records).
    pub(crate) fn split(
        &self,
        body: &[u8],
        pieces: &mut Vec<Piece>,
    ) -> Result<(usize, usize), DecodeError> {
        match self {
            Self::Fixed(record_len) => {
                let records = body.len() / *record_len;
                Ok((records, records * record_len.get()))
            }
            Self::Variable { stretches, min_len } => {
                let mut at = 0;
                let mut records = 0;
                while body.len() - at >= *min_len {
                    at = split_record(body, at, stretches, pieces)?;
                    records += 1;
                }
                Ok((records, at))
            }
        }
    }
}

/// Finds the pieces of the record at `at`; returns its end.
fn split_record(
    body: &[u8],
    at: usize,
    stretches: &[usize],
    pieces: &mut Vec<Piece>,
) -> Result<usize, DecodeError> {
    let record = pieces.len();
    pieces.push(Piece {
        start: at as u32,
        len: 0,
    });
    let (last, stretches) = stretches.split_last().ok_or(DecodeError::VariableOverrun)?;
    let mut end = at;
    for stretch in stretches {
        // RFC 7011 section 7: one octet, or 255 and two; FF-DT-05.
        let prefix = end + stretch;
        let (start, len) = match body.get(prefix) {
            Some(255) => {
                let long = body
                    .get(prefix + 1..prefix + 3)
                    .ok_or(DecodeError::VariableOverrun)?;
                (
                    prefix + 3,
                    usize::from(u16::from_be_bytes([long[0], long[1]])),
                )
            }
            Some(&short) => (prefix + 1, usize::from(short)),
            None => return Err(DecodeError::VariableOverrun),
        };
        end = start + len;
        if end > body.len() {
            return Err(DecodeError::VariableOverrun);
        }
        pieces.push(Piece {
            start: start as u32,
            len: len as u32,
        });
    }
    end += last;
    if end > body.len() {
        return Err(DecodeError::VariableOverrun);
    }
    pieces[record].len = (end - at) as u32;
    Ok(end)
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
        fields: SamplingFields,
    },
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

/// Fields of a record that tell its sampling rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SamplingFields {
    /// 34 samplingInterval or 50 samplerRandomInterval.
    pub(crate) interval: Option<FieldSource>,
    /// 305 samplingPacketInterval and 306 samplingPacketSpace.
    pub(crate) packet_interval: Option<FieldSource>,
    pub(crate) packet_space: Option<FieldSource>,
    /// 48 samplerId or 302 selectorId.
    pub(crate) sampler: Option<FieldSource>,
}

/// A compiled template.
#[derive(Debug)]
pub(crate) struct DecodePlan {
    pub(crate) shape: RecordShape,
    pub(crate) kind: RecordKind,
    /// Where rows go; `None` if no sink asked for records of this kind.
    pub(crate) table: Option<usize>,
    pub(crate) ops: Box<[Op]>,
    /// What options data teaches, if it teaches anything.
    pub(crate) options: Option<OptionsFields>,
}

/// A template's fields, placed: what compiling a plan starts from.
pub(crate) struct Layout<'a> {
    pub(crate) definition: &'a Definition,
    sources: Vec<FieldSource>,
    pub(crate) shape: RecordShape,
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

    fn source(&self, id: u32) -> Option<FieldSource> {
        self.find(ElementId::iana(id)).map(|(source, _)| source)
    }

    /// A field of an element whose length its type allows.
    fn legal(
        &self,
        element: ElementId,
    ) -> Option<(FieldSource, AbstractDataType, DataType, Convert)> {
        let (source, length) = self.find(element)?;
        let data_type = element.describe()?.data_type;
        let (arrow, convert) = natural(data_type, length)?;
        Some((source, data_type, arrow, convert))
    }
}

/// Compiles what fills one column of the `flows` schema; nothing if no field does. `columns`: of the sampling pair.
pub(crate) fn flow_ops(layout: &Layout<'_>, column: usize, flow: &FlowColumn, ops: &mut Vec<Op>) {
    let op = match flow.value {
        Value::FlowStart => time(layout, column, flow, Edge::Start),
        Value::FlowEnd => time(layout, column, flow, Edge::End),
        Value::EtherType => ether_type(layout, column),
        Value::IcmpType => {
            unsigned(layout, column, flow).or_else(|| icmp_in_port(layout, column, 8))
        }
        Value::IcmpCode => {
            unsigned(layout, column, flow).or_else(|| icmp_in_port(layout, column, 0))
        }
        Value::Address => address(layout, column, flow),
        Value::PrefixLength => prefix_length(layout, column, flow),
        Value::MplsLabels => mpls_labels(layout, column, flow),
        Value::SamplingRate => Some(sampling(layout, Some(column), None)),
        Value::SamplingSource => Some(sampling(layout, None, Some(column))),
        Value::Mac => flow.feeds.iter().find_map(|feed| {
            let (source, length) = layout.find(feed.element)?;
            (length == 6).then_some(Op::Field {
                column,
                source,
                convert: UNSIGNED,
            })
        }),
        Value::Text | Value::Octets => flow.feeds.iter().find_map(|feed| {
            let (source, _, _, convert) = layout.legal(feed.element)?;
            Some(Op::Field {
                column,
                source,
                convert,
            })
        }),
        Value::U8 | Value::U16 | Value::U32 | Value::U64 => unsigned(layout, column, flow),
        Value::FormatName
        | Value::TimeReceived
        | Value::Exporter
        | Value::Domain
        | Value::Sequence
        | Value::TemplateId
        | Value::BytesScaled
        | Value::PacketsScaled => None,
    };
    ops.extend(op);
}

fn unsigned(layout: &Layout<'_>, column: usize, flow: &FlowColumn) -> Option<Op> {
    flow.feeds.iter().find_map(|feed| {
        let (source, _, _, convert) = layout.legal(feed.element)?;
        let convert = match convert {
            Convert::Unsigned { .. } => Convert::Unsigned {
                shift: feed.shift,
                mask: feed.mask,
            },
            // A few vendors' lists say octets for what is a number.
            _ => return None,
        };
        Some(Op::Field {
            column,
            source,
            convert,
        })
    })
}

/// The first IPv4 and the first IPv6 address that feed a column.
fn families(layout: &Layout<'_>, flow: &FlowColumn) -> (Option<FieldSource>, Option<FieldSource>) {
    let first = |width: i32| {
        flow.feeds.iter().find_map(|feed| {
            let (source, _, arrow, _) = layout.legal(feed.element)?;
            (arrow == DataType::FixedSizeBinary(width)
                && !matches!(source, FieldSource::Piece { .. }))
            .then_some(source)
        })
    };
    (first(4), first(16))
}

fn address(layout: &Layout<'_>, column: usize, flow: &FlowColumn) -> Option<Op> {
    match families(layout, flow) {
        (Some(ipv4), Some(ipv6)) => Some(Op::EitherFamily {
            column,
            ipv4,
            ipv6,
            ip_version: layout.source(60),
            what: FamilyValue::Address,
        }),
        (Some(source), None) => Some(Op::Field {
            column,
            source,
            convert: Convert::MappedIpv4,
        }),
        (None, Some(source)) => Some(Op::Field {
            column,
            source,
            convert: Convert::Fixed,
        }),
        (None, None) => None,
    }
}

/// The source addresses of a record, or else its destination addresses, tell its IP version.
fn record_families(layout: &Layout<'_>) -> (Option<FieldSource>, Option<FieldSource>) {
    let legal = |id, width| {
        layout
            .legal(ElementId::iana(id))
            .filter(|found| found.2 == DataType::FixedSizeBinary(width))
            .map(|found| found.0)
    };
    (
        legal(8, 4)
            .or(legal(12, 4))
            .or(legal(44, 4))
            .or(legal(45, 4)),
        legal(27, 16)
            .or(legal(28, 16))
            .or(legal(170, 16))
            .or(legal(169, 16)),
    )
}

fn prefix_length(layout: &Layout<'_>, column: usize, flow: &FlowColumn) -> Option<Op> {
    let [of_ipv4, of_ipv6] = flow.feeds else {
        return unsigned(layout, column, flow);
    };
    let (first, second) = (layout.find(of_ipv4.element), layout.find(of_ipv6.element));
    let (Some((ipv4_len, 1)), Some((ipv6_len, 1)), (Some(_), Some(ipv6))) =
        (first, second, record_families(layout))
    else {
        return unsigned(layout, column, flow);
    };
    // Both are there: the IPv6 one counts where the record is IPv6. `ipv6` tells by its address if no version is sent.
    Some(Op::EitherFamily {
        column,
        ipv4: ipv4_len,
        ipv6: ipv6_len,
        ip_version: layout.source(60).or(Some(ipv6)),
        what: FamilyValue::PrefixLength,
    })
}

fn ether_type(layout: &Layout<'_>, column: usize) -> Option<Op> {
    // sFlow has it as a word.
    if let Some((source, 1..=4)) = layout.find(ElementId::iana(256)) {
        return Some(Op::Field {
            column,
            source,
            convert: UNSIGNED,
        });
    }
    match record_families(layout) {
        (Some(_), None) => Some(Op::Constant {
            column,
            value: 0x0800,
        }),
        (None, Some(_)) => Some(Op::Constant {
            column,
            value: 0x86dd,
        }),
        (Some(ipv4), Some(ipv6)) => Some(Op::EitherFamily {
            column,
            ipv4,
            ipv6,
            ip_version: layout.source(60),
            what: FamilyValue::EtherType,
        }),
        (None, None) => None,
    }
}

fn time(layout: &Layout<'_>, column: usize, flow: &FlowColumn, edge: Edge) -> Option<Op> {
    flow.feeds.iter().find_map(|feed| {
        let id = feed.element.id;
        let (source, data_type, ..) = layout.legal(feed.element)?;
        match id {
            21 | 22 => uptime(layout, column, edge, TimeUnit::Microsecond),
            158 | 159 => Some(Op::BeforeExport { column, source }),
            _ => {
                let from = TimeFormat::of(data_type)?;
                Some(Op::Field {
                    column,
                    source,
                    convert: Convert::Time {
                        from,
                        to: TimeUnit::Microsecond,
                    },
                })
            }
        }
    })
}

/// A start or end out of 22 and 21 (FF-NF-06, FF-V9-15). Without a base - in the record, the message header or options data -
/// its values are null (FF-DT-08).
pub(crate) fn uptime(layout: &Layout<'_>, column: usize, edge: Edge, to: TimeUnit) -> Option<Op> {
    let boot = layout.legal(ElementId::iana(160)).map(|found| found.0);
    let field = |id| {
        layout
            .find(ElementId::iana(id))
            .filter(|(_, length)| *length <= 4)
            .map(|(source, _)| source)
    };
    let (first, last) = (field(22), field(21));
    match edge {
        Edge::Start => first?,
        Edge::End => last?,
    };
    Some(Op::Uptime {
        column,
        edge,
        first,
        last,
        boot,
        to,
    })
}

fn icmp_in_port(layout: &Layout<'_>, column: usize, shift: u8) -> Option<Op> {
    if !layout.definition.icmp_in_port {
        return None;
    }
    Some(Op::IcmpInPort {
        column,
        protocol: layout.source(4)?,
        port: layout.source(11)?,
        shift,
    })
}

fn mpls_labels(layout: &Layout<'_>, column: usize, flow: &FlowColumn) -> Option<Op> {
    let entries: Box<[_]> = flow
        .feeds
        .iter()
        .filter_map(|feed| layout.find(feed.element).filter(|(_, len)| *len == 3))
        .map(|f| f.0)
        .collect();
    (!entries.is_empty()).then_some(Op::MplsLabels { column, entries })
}

fn sampling(layout: &Layout<'_>, rate: Option<usize>, source: Option<usize>) -> Op {
    let fields = SamplingFields {
        interval: layout.source(34).or(layout.source(50)),
        packet_interval: layout.source(305),
        packet_space: layout.source(306),
        sampler: layout.source(48).or(layout.source(302)),
    };
    Op::Sampling {
        rate,
        source,
        fields,
    }
}

/// Keys of `SAMPLING_SOURCES`.
pub(crate) mod sampling_source {
    pub(crate) const NONE: u8 = 0;
    pub(crate) const HEADER: u8 = 1;
    pub(crate) const OPTIONS: u8 = 2;
    pub(crate) const RECORD: u8 = 3;
    const _: () = assert!(super::SAMPLING_SOURCES.len() == 5);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::FieldSpecifier;

    fn definition(lengths: &[u16]) -> Definition {
        let fields = lengths
            .iter()
            .map(|&length| FieldSpecifier {
                element: ElementId::iana(82),
                length,
            })
            .collect();
        Definition {
            fields,
            scope_count: 0,
            kind: RecordKind::Data,
            icmp_in_port: false,
        }
    }

    #[test]
    fn fixed_records_leave_padding() {
        // FF-IX-08, FF-IX-09.
        let shape = RecordShape::of(&definition(&[3, 2])).unwrap();
        assert_eq!(shape.split(&[0; 12], &mut Vec::new()), Ok((2, 10)));
        assert!(RecordShape::of(&definition(&[0, 0])).is_none());
    }

    #[test]
    fn variable_records_are_found_piece_by_piece() {
        // RFC 7011 section 7; FF-DT-05: one- and three-octet prefixes, zero length, padding.
        let shape = RecordShape::of(&definition(&[1, VARIABLE, 2])).unwrap();
        let body = [
            7, 2, b'a', b'b', 1, 2, 8, 255, 0, 1, b'c', 3, 4, 9, 0, 5, 6, 0, 0,
        ];
        let mut pieces = Vec::new();
        assert_eq!(shape.split(&body, &mut pieces), Ok((3, 17)));
        let starts: Vec<_> = pieces.iter().map(|p| (p.start, p.len)).collect();
        assert_eq!(starts, [(0, 6), (2, 2), (6, 7), (10, 1), (13, 4), (15, 0)]);
    }

    #[test]
    fn variable_fields_may_not_leave_their_set() {
        // FF-IX-03.
        let shape = RecordShape::of(&definition(&[1, VARIABLE])).unwrap();
        for body in [&[7, 200, 1, 2][..], &[7, 255, 0], &[7, 255, 0, 9, 1]] {
            assert_eq!(
                shape.split(body, &mut Vec::new()),
                Err(DecodeError::VariableOverrun),
                "{body:?}"
            );
        }
        let trailing = RecordShape::of(&definition(&[VARIABLE, 4])).unwrap();
        assert_eq!(
            trailing.split(&[3, 1, 1, 1, 0], &mut Vec::new()),
            Err(DecodeError::VariableOverrun)
        );
    }
}
