//! What fills each column of the `flows` schema, by a template's fields.

use arrow_schema::{DataType, TimeUnit};

use super::{
    Edge, FamilyValue, FieldSource, Layout, ListColumn, ListColumns, NamedExporter, Op, PortRange,
    SamplingFields,
};
use crate::convert::{Convert, TimeFormat, UNSIGNED};
use crate::element::{ElementId, Enumeration};
use crate::schema::{FlowColumn, Value};
use crate::template::options::{Naming, RateFields};

/// Compiles what fills one column of the `flows` schema; nothing if no field does.
pub(crate) fn flow_op(layout: &Layout<'_>, column: usize, flow: &FlowColumn) -> Option<Op> {
    match flow.value {
        Value::FlowStart => time(layout, column, flow, Edge::Start),
        Value::FlowEnd => time(layout, column, flow, Edge::End),
        Value::EtherType => ether_type(layout, column),
        Value::IcmpType => {
            unsigned(layout, column, flow).or_else(|| icmp_in_port(layout, column, 8))
        }
        Value::IcmpCode => {
            unsigned(layout, column, flow).or_else(|| icmp_in_port(layout, column, 0))
        }
        Value::BiflowDirection => unsigned(layout, column, flow)
            .or_else(|| (layout.has_biflows).then_some(Op::BiflowDirection { column })),
        Value::Address => address(layout, column, flow),
        Value::OriginalExporter => NamedExporter::find(layout)?.op(column),
        Value::PrefixLength => prefix_length(layout, column, flow),
        Value::MplsLabels => mpls_labels(layout, column, flow),
        Value::Mac => flow.feeds.iter().find_map(|feed| {
            let (source, length) = layout.find(feed.element)?;
            (length == 6).then_some(Op::Field {
                column,
                source,
                convert: UNSIGNED,
            })
        }),
        Value::Enumerated(of) => enumerated(layout, column, flow, of),
        Value::PortRangeSize => port_range_size(layout, column),
        Value::Name(of) => name(layout, column, flow, of),
        Value::Text | Value::Octets => flow.feeds.iter().find_map(|feed| {
            let (source, _, _, convert) = layout.legal(feed.element)?;
            Some(Op::Field {
                column,
                source,
                convert,
            })
        }),
        Value::U8 | Value::U16 | Value::U32 | Value::U64 => unsigned(layout, column, flow),
        // One op fills both.
        Value::SamplingRate | Value::SamplingSource => None,
        Value::FormatName
        | Value::TimeReceived
        | Value::Exporter
        | Value::Domain
        | Value::Sequence
        | Value::TemplateId
        | Value::BytesScaled
        | Value::PacketsScaled => None,
    }
}

/// Compiles what the lists of a record may fill: columns that no field does.
pub(crate) fn list_op(
    layout: &Layout<'_>,
    unfilled: &[(usize, &'static FlowColumn)],
) -> Option<Op> {
    let lists: Box<[_]> = layout.lists().collect();
    let columns = unfilled.iter().filter_map(|&(column, flow)| {
        let is_fillable = matches!(
            flow.value,
            Value::U8
                | Value::U16
                | Value::U32
                | Value::U64
                | Value::IcmpType
                | Value::IcmpCode
                | Value::PrefixLength
                | Value::Address
                | Value::Mac
                | Value::Text
                | Value::Octets
                | Value::MplsLabels
        );
        is_fillable.then_some(ListColumn {
            column,
            value: flow.value,
            feeds: flow.feeds,
        })
    });
    (!lists.is_empty()).then(|| Op::FromLists {
        columns: ListColumns::new(columns.collect()),
        lists,
    })
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

fn enumerated(
    layout: &Layout<'_>,
    column: usize,
    flow: &FlowColumn,
    of: &'static Enumeration,
) -> Option<Op> {
    let Op::Field {
        source,
        convert: Convert::Unsigned { mask, .. },
        ..
    } = unsigned(layout, column, flow)?
    else {
        return None;
    };
    Some(Op::Enumerated {
        column,
        source,
        mask,
        of,
    })
}

/// RFC 8158 section 5.5; FF-NAT-03.
fn port_range_size(layout: &Layout<'_>, column: usize) -> Option<Op> {
    let field = |id| {
        let (source, _, _, convert) = layout.legal(ElementId::iana(id))?;
        matches!(convert, Convert::Unsigned { .. }).then_some(source)
    };
    let fields = PortRange {
        size: field(364),
        ends: field(361).zip(field(362)),
        step: field(363),
    };
    (fields.size.is_some() || fields.ends.is_some()).then_some(Op::PortRangeSize { column, fields })
}

/// The name in the record itself, or of what the record refers to by a number.
fn name(layout: &Layout<'_>, column: usize, flow: &FlowColumn, of: Naming) -> Option<Op> {
    flow.feeds.iter().find_map(|feed| {
        let (id, _, arrow, convert) = layout.legal(feed.element)?;
        Some(match arrow {
            DataType::Utf8 => Op::Field {
                column,
                source: id,
                convert,
            },
            _ => Op::Name { column, of, id },
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
    let field = |source, convert| Op::Field {
        column,
        source,
        convert,
    };
    match families(layout, flow) {
        (Some(ipv4), Some(ipv6)) => Some(match (layout.source(60), record_families(layout)) {
            // A template for one version may have next hops of both.
            (None, (Some(_), None)) => field(ipv4, Convert::MappedIpv4),
            (None, (None, Some(_))) => field(ipv6, Convert::Fixed),
            (ip_version, (_, tells)) => Op::EitherFamily {
                column,
                ipv4,
                ipv6,
                ip_version: ip_version.or(tells),
                what: FamilyValue::Address,
            },
        }),
        (Some(source), None) => Some(field(source, Convert::MappedIpv4)),
        (None, Some(source)) => Some(field(source, Convert::Fixed)),
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

/// Compiles what fills the sampling rate and its source, if these are among the columns that no field alone fills.
pub(crate) fn sampling_op(
    layout: &Layout<'_>,
    unfilled: &[(usize, &'static FlowColumn)],
) -> Option<Op> {
    let column = |is_wanted: fn(Value) -> bool| {
        let found = unfilled.iter().find(|(_, flow)| is_wanted(flow.value));
        found.map(|&(column, _)| column)
    };
    let rate = column(|value| matches!(value, Value::SamplingRate));
    let source = column(|value| matches!(value, Value::SamplingSource));
    rate.or(source)?;
    let fields = Box::new(SamplingFields {
        rate: RateFields::find(layout),
        sampler: layout.source(48).or(layout.source(302)),
        sequence: layout.source(301),
        interfaces: [layout.source(10), layout.source(14)],
        direction: layout.source(61),
        line_card: layout.source(141),
    });
    Some(Op::Sampling {
        rate,
        source,
        fields,
    })
}
