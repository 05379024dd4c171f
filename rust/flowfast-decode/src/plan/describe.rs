//! A compiled plan in words: where each field stands, what is done to it, and which column it goes to (FF-ORD-03).

use std::iter;

use arrow_schema::{DataType, TimeUnit};

use super::{DecodePlan, Edge, FamilyValue, FieldSource, Layout, Op, PortRange, SamplingFields};
use crate::convert::{Convert, TimeFormat};
use crate::element::{AbstractDataType, PADDING_OCTETS};
use crate::template::VARIABLE;

/// What a plan does with one field of its template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedField {
    /// Octets from the start of the record, or from the end of the field `after`.
    pub offset: usize,
    /// Index of the last field of variable length before it.
    pub after: Option<usize>,
    /// Columns that it goes to, or has a part in.
    pub uses: Vec<PlannedColumn>,
    /// Why there are none, if there are none: its octets are skipped.
    pub skipped: Option<&'static str>,
}

/// What is done for a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedColumn {
    /// Its name; `None`: any column that no field fills.
    pub column: Option<String>,
    /// In a few words.
    pub operation: String,
}

/// A column that a plan can fill.
pub(crate) struct TargetColumn {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    /// What fills it in place of a plan.
    pub(crate) filled_by: Option<&'static str>,
}

/// What one op does: the column that it fills, and the part that each field has in that.
#[derive(Clone)]
struct Step {
    /// `None`: any that no field fills.
    column: Option<usize>,
    fields: Vec<(FieldSource, String)>,
    /// What fills the column if no field has a part.
    otherwise: String,
}

/// What a plan does with each field of its template, and the columns that no field fills.
pub(crate) fn describe(
    plan: &DecodePlan,
    layout: &Layout<'_>,
    columns: &[TargetColumn],
) -> (Vec<PlannedField>, Vec<PlannedColumn>) {
    let mut steps: Vec<Step> = plan
        .ops
        .iter()
        .flat_map(|op| {
            let step = step(op, layout, columns);
            let also = source_of_rate(op).map(|column| Step {
                column: Some(column),
                ..step.clone()
            });
            iter::once(step).chain(also)
        })
        .collect();
    let wholly = |fields: Vec<FieldSource>, words: &str| Step {
        column: None,
        fields: with(words, fields),
        otherwise: String::new(),
    };
    if let Some(section) = &plan.section {
        steps.push(wholly(section.sources().collect(), "headers of the packet"));
    }
    if !plan.property_ids.is_empty() {
        let ids = plan.property_ids.to_vec();
        steps.push(wholly(ids, "looks up common properties"));
    }
    (
        fields(plan, layout, &steps, columns),
        unfilled(&steps, columns),
    )
}

fn fields(
    plan: &DecodePlan,
    layout: &Layout<'_>,
    steps: &[Step],
    columns: &[TargetColumn],
) -> Vec<PlannedField> {
    let (mut offset, mut after) = (0, None);
    let specifiers = &layout.definition.fields;
    let place = |(index, source): (usize, &FieldSource)| {
        let field = specifiers[index];
        let uses = match field.length {
            0 => Vec::new(),
            _ => uses(*source, steps, columns),
        };
        let is_repeated = || {
            specifiers[..index]
                .iter()
                .any(|before| before.element == field.element)
        };
        let skipped = match () {
            () if !uses.is_empty() => None,
            () if field.element == PADDING_OCTETS => Some("padding"),
            () if field.length == 0 => Some("no octets"),
            () if plan.table.is_none() => Some("no table for such records"),
            () if is_repeated() => Some("the first of its element counts"),
            () => Some("no column"),
        };
        let planned = PlannedField {
            offset,
            after,
            uses,
            skipped,
        };
        if field.length == VARIABLE {
            (offset, after) = (0, Some(index));
        } else {
            offset += usize::from(field.length);
        }
        planned
    };
    layout.sources.iter().enumerate().map(place).collect()
}

/// The columns that a field has a part in: those first that it is the first or only part of.
fn uses(source: FieldSource, steps: &[Step], columns: &[TargetColumn]) -> Vec<PlannedColumn> {
    let mut uses: Vec<_> = steps
        .iter()
        .filter_map(|step| {
            let part = step.fields.iter().position(|(field, _)| *field == source)?;
            Some((part, step))
        })
        .collect();
    uses.sort_by_key(|(part, step)| (*part, step.fields.len()));
    let planned = |(part, step): (usize, &Step)| PlannedColumn {
        column: step.column.map(|index| columns[index].name.clone()),
        operation: step.fields[part].1.clone(),
    };
    uses.into_iter().map(planned).collect()
}

/// The columns that no field has a part in.
fn unfilled(steps: &[Step], columns: &[TargetColumn]) -> Vec<PlannedColumn> {
    let otherwise = match steps.iter().any(|step| step.column.is_none()) {
        true => "null, unless one of the fields above has it",
        false => "null",
    };
    let how = |index: usize, column: &TargetColumn| {
        if let Some(filled_by) = column.filled_by {
            return Some(filled_by.to_owned());
        }
        match steps.iter().find(|step| step.column == Some(index)) {
            Some(step) if step.fields.is_empty() => Some(step.otherwise.clone()),
            Some(_) => None,
            None => Some(otherwise.to_owned()),
        }
    };
    let columns = columns.iter().enumerate().filter_map(|(index, column)| {
        Some(PlannedColumn {
            operation: how(index, column)?,
            column: Some(column.name.clone()),
        })
    });
    columns.collect()
}

/// The same words for each field.
fn with(words: &str, fields: impl IntoIterator<Item = FieldSource>) -> Vec<(FieldSource, String)> {
    let fields = fields.into_iter();
    fields.map(|source| (source, words.to_owned())).collect()
}

fn step(op: &Op, layout: &Layout<'_>, columns: &[TargetColumn]) -> Step {
    let mut otherwise = String::new();
    let (column, fields) = match op {
        Op::Field {
            column,
            source,
            convert,
        } => {
            let words = conversion(*convert, *source, layout, &columns[*column].data_type);
            (Some(*column), vec![(*source, words)])
        }
        Op::List { column, source } => (Some(*column), with("list", [*source])),
        Op::FromLists { lists, .. } => {
            let lists = lists.iter().map(|list| list.source);
            (None, with("first value in the list", lists))
        }
        Op::Constant { column, value } => {
            otherwise = format!("{value:#06x} in every record");
            (Some(*column), Vec::new())
        }
        Op::EitherFamily {
            column,
            ipv4,
            ipv6,
            ip_version,
            what,
        } => {
            let (of_ipv4, of_ipv6) = match what {
                FamilyValue::Address => (
                    "IPv4 to ::ffff:a.b.c.d, of IPv4 records",
                    "copy, of IPv6 records",
                ),
                FamilyValue::PrefixLength => ("copy, of IPv4 records", "copy, of IPv6 records"),
                FamilyValue::EtherType => ("0x0800 where it is set", "0x86dd where it is set"),
            };
            let mut fields = with(of_ipv4, [*ipv4]);
            fields.extend(with(of_ipv6, [*ipv6]));
            fields.extend(with("tells the IP version", *ip_version));
            (Some(*column), fields)
        }
        Op::Uptime {
            column,
            edge,
            first,
            last,
            boot,
            to,
        } => {
            let (own, other) = match edge {
                Edge::Start => (first, last),
                Edge::End => (last, first),
            };
            let words = format!("milliseconds since boot to {} UTC", unit(*to));
            let mut fields = with(&words, *own);
            fields.extend(with("tells if the clock wrapped", *other));
            fields.extend(with("tells when the exporter booted", *boot));
            (Some(*column), fields)
        }
        Op::BeforeExport { column, source } => {
            let words = "microseconds before export to microseconds UTC";
            (Some(*column), with(words, [*source]))
        }
        Op::IcmpInPort {
            column,
            protocol,
            port,
            shift,
        } => {
            let words = format!("bits {shift} to {}, of ICMP", shift + 7);
            let mut fields = with(&words, [*port]);
            fields.extend(with("tells if it is ICMP", [*protocol]));
            (Some(*column), fields)
        }
        Op::MplsLabels { column, entries } => (
            Some(*column),
            with("label out of the stack entry", entries.iter().copied()),
        ),
        Op::Sampling {
            rate,
            source,
            fields,
        } => {
            otherwise = "options data or the message header".to_owned();
            (rate.or(*source), sampling(fields))
        }
        Op::Enumerated { column, source, .. } => (Some(*column), with("name of it", [*source])),
        Op::PortRangeSize { column, fields } => (
            Some(*column),
            with("size of the range of ports", port_range(fields)),
        ),
        Op::Name { column, id, .. } => (
            Some(*column),
            with("looks up its name in options data", [*id]),
        ),
        Op::BiflowDirection { column } => {
            otherwise = "options data".to_owned();
            (Some(*column), Vec::new())
        }
    };
    Step {
        column,
        fields,
        otherwise,
    }
}

/// The column that an op fills beside that of the sampling rate.
fn source_of_rate(op: &Op) -> Option<usize> {
    match op {
        Op::Sampling { rate, source, .. } => rate.and(*source),
        _ => None,
    }
}

fn sampling(fields: &SamplingFields) -> Vec<(FieldSource, String)> {
    let rate = fields.rate.iter().flat_map(|rate| rate.sources());
    let keys = [
        fields.sampler,
        fields.sequence,
        fields.direction,
        fields.line_card,
    ];
    let keys = keys.into_iter().chain(fields.interfaces).flatten();
    let mut told = with("rate of the record", rate);
    told.extend(with("looks up the rate in options data", keys));
    told
}

fn port_range(fields: &PortRange) -> impl Iterator<Item = FieldSource> {
    let ends = fields.ends.map(|(first, last)| [first, last]);
    let ends = ends.into_iter().flatten();
    fields.size.into_iter().chain(ends).chain(fields.step)
}

/// What a field becomes on its way into a column of this type.
fn conversion(
    convert: Convert,
    source: FieldSource,
    layout: &Layout<'_>,
    data_type: &DataType,
) -> String {
    let length = match source {
        FieldSource::Start { length, .. } | FieldSource::After { length, .. } => Some(length),
        FieldSource::Piece { .. } => None,
    };
    match convert {
        Convert::Unsigned { shift, mask } => {
            let most = u64::MAX >> (64 - 8 * length.unwrap_or(8).clamp(1, 8));
            if shift > 0 || mask & most != most {
                return format!(
                    "bits {shift} to {}",
                    u32::from(shift) + mask.count_ones() - 1
                );
            }
            if is_mac_address(source, layout) {
                return "MAC address to a number".to_owned();
            }
            resized(length, data_type)
        }
        Convert::Signed | Convert::Float => resized(length, data_type),
        Convert::Boolean => "1 true, 2 false".to_owned(),
        Convert::Fixed | Convert::Octets => "copy".to_owned(),
        Convert::LeftPadded => "zeros before it".to_owned(),
        Convert::MappedIpv4 => "IPv4 to ::ffff:a.b.c.d".to_owned(),
        Convert::Text { trim: true } => "text up to the first NUL".to_owned(),
        Convert::Text { trim: false } => "text".to_owned(),
        Convert::Time { from, to } => time(from, to),
        Convert::List(_) => "list".to_owned(),
    }
}

fn is_mac_address(source: FieldSource, layout: &Layout<'_>) -> bool {
    layout
        .values()
        .filter(|(.., of)| *of == source)
        .filter_map(|(_, element, ..)| layout.definition.describe(element))
        .any(|known| known.data_type == AbstractDataType::MacAddress)
}

/// A number of `length` octets, or of as many as each record says, into a column of another width.
fn resized(length: Option<usize>, data_type: &DataType) -> String {
    let (Some(length), Some(width)) = (length, data_type.primitive_width()) else {
        return "number of any length".to_owned();
    };
    match length {
        _ if length < width => format!("widen {length} to {width} octets"),
        _ if length > width => format!("narrow {length} to {width} octets, null if too large"),
        _ => "copy".to_owned(),
    }
}

fn time(from: TimeFormat, to: TimeUnit) -> String {
    match (from, to) {
        (TimeFormat::Seconds, TimeUnit::Second)
        | (TimeFormat::Milliseconds, TimeUnit::Millisecond) => "copy".to_owned(),
        (TimeFormat::Seconds, _) => format!("seconds to {}", unit(to)),
        (TimeFormat::Milliseconds, _) => format!("milliseconds to {}", unit(to)),
        (TimeFormat::NtpMicroseconds | TimeFormat::NtpNanoseconds, _) => {
            format!("NTP to {}", unit(to))
        }
    }
}

fn unit(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "seconds",
        TimeUnit::Millisecond => "milliseconds",
        TimeUnit::Microsecond => "microseconds",
        TimeUnit::Nanosecond => "nanoseconds",
    }
}
