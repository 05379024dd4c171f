//! Several fields to one column: whichever IP version a record has, label stacks, sampling.

use std::ops::Range;

use super::field::{four_octets, ipv6, mapped_ipv4};
use super::strided::records_with;
use super::{Surroundings, Tile, TileShape};
use crate::batch::{MessageContext, Run, Table};
use crate::bytes::{be_uint, be16};
use crate::column::{Append, Column, Primitive};
use crate::error::Warning;
use crate::plan::{FamilyValue, FieldSource, PortRange, SamplingFields, sampling_source};
use crate::schema::SAMPLING_SOURCES;
use crate::stats::Stats;
use crate::template::options::{Naming, OptionsState, RateKey, rate_as_integer};

/// Labels, top first, down to the bottom of the stack (RFC 3032 section 2.1); entries of zeros are unused.
pub(super) fn label_stack(entries: impl Iterator<Item = u32>) -> impl Iterator<Item = u32> {
    let mut bottom = false;
    entries
        .take_while(move |entry| {
            let go_on = !bottom && *entry != 0;
            bottom = entry & 1 == 1;
            go_on
        })
        .map(|entry| entry >> 4)
}

/// Picks between two fields by the record's IP version: element 60 if it is there, else whether the IPv6 address is set.
pub(super) fn append_either(
    column: &mut Column,
    tile: &Tile<'_>,
    ipv4_source: FieldSource,
    ipv6_source: FieldSource,
    ip_version: Option<FieldSource>,
    what: FamilyValue,
) {
    let is_ipv6 = |record| match tile.field(record, ip_version.unwrap_or(ipv6_source)) {
        [version @ (4 | 6)] => *version == 6,
        [_] => is_set(tile.field(record, ipv6_source)),
        address => is_set(address),
    };
    match (column, what) {
        (Column::Addresses(column), FamilyValue::Address) => {
            column.extend((0..tile.records).map(|record| {
                if is_ipv6(record) {
                    ipv6(tile.field(record, ipv6_source))
                } else {
                    mapped_ipv4(four_octets(tile.field(record, ipv4_source)))
                }
            }))
        }
        (Column::U8(column), FamilyValue::PrefixLength) => {
            column.extend((0..tile.records).map(|record| {
                let field = tile.field(
                    record,
                    if is_ipv6(record) {
                        ipv6_source
                    } else {
                        ipv4_source
                    },
                );
                field.first().copied().unwrap_or_default()
            }))
        }
        (Column::U16(column), FamilyValue::EtherType) => {
            column.extend(
                (0..tile.records).map(|record| if is_ipv6(record) { 0x86dd } else { 0x0800 }),
            );
        }
        (column, what) => debug_assert!(false, "no {what:?} in {column:?}"),
    }
}

/// The type and the code of ICMP, which these formats put into the destination port; null for other protocols.
pub(super) fn append_icmp_in_port(
    column: &mut Primitive<u8>,
    tile: &Tile<'_>,
    protocol: FieldSource,
    port: FieldSource,
    shift: u8,
) {
    const ICMP: u8 = 1;
    match (tile.shape, protocol, port) {
        (
            TileShape::Strided(stride),
            FieldSource::Start {
                offset: protocol,
                length: 1,
            },
            FieldSource::Start {
                offset: port,
                length: 2,
            },
        ) => {
            let are_icmp =
                |records: Range<usize>| records_with(tile, stride, records, protocol, ICMP);
            column.extend_few(tile.records, are_icmp, |record| {
                (be16(tile.bytes, record * stride + port) >> shift) as u8
            });
        }
        _ => {
            column.extend_optional((0..tile.records).map(|record| {
                let is_icmp = be_uint(tile.field(record, protocol)).0 == u64::from(ICMP);
                is_icmp.then(|| (be_uint(tile.field(record, port)).0 >> shift) as u8)
            }));
        }
    }
}

/// As the exporter says, or of the ports from start to end, every step; zeros say nothing (FF-NAT-03).
pub(super) fn port_range_size(tile: &Tile<'_>, record: usize, fields: PortRange) -> Option<u16> {
    let read = |source| {
        let (value, too_wide) = be_uint(tile.field(record, source));
        u16::try_from(value)
            .ok()
            .filter(|&value| value > 0 && !too_wide)
    };
    if let Some(size) = fields.size.and_then(read) {
        return Some(size);
    }
    let (start, end) = fields.ends?;
    let ports = read(end)?.checked_sub(read(start)?)?;
    let step = fields.step.and_then(read).unwrap_or(1);
    Some(ports / step + 1)
}

fn is_set(octets: &[u8]) -> bool {
    octets.iter().any(|&octet| octet != 0)
}

/// FF-SMP-02: the record, then options by sampler, by interface, of the exporter, then the header; 0 where none tells.
pub(super) fn append_sampling(
    table: &mut Table,
    tile: &Tile<'_>,
    rate: Option<usize>,
    source: Option<usize>,
    fields: &SamplingFields,
    around: &Surroundings<'_, '_>,
) {
    let mut append = |(told_rate, told_source): (u32, u8), records| {
        if let Some(Column::U32(column)) = rate.and_then(|column| table.field(column)) {
            column.extend_constant(told_rate, records);
        }
        if let Some(Column::Keys(column)) = source.and_then(|column| table.field(column)) {
            column.extend_constant(SAMPLING_SOURCES, told_source, records);
        }
    };
    // Records that tell the same, of whatever messages: nearly always all of the tile.
    let mut stretch = None;
    let mut tell = |told, records| match &mut stretch {
        Some((same, count)) if *same == told => *count += records,
        _ => {
            if let Some((before, count)) = stretch.replace((told, records)) {
                append(before, count);
            }
        }
    };
    let mut record = 0;
    for alike in around
        .runs
        .chunk_by(|a, b| is_sampled_alike(&a.context, &b.context))
    {
        let end = record + alike.iter().map(|run| run.records).sum::<usize>();
        let context = &alike[0].context;
        let options = (around.options)(context);
        // Where neither a field nor options data makes a difference, all records are alike.
        let may_differ =
            fields.rate.is_some() || options.is_some_and(|options| options.has_several_rates());
        let step = if may_differ { 1 } else { end - record };
        while record < end {
            tell(sampling_of(tile, record, fields, context, options), step);
            record += step;
        }
    }
    if let Some((told, count)) = stretch {
        append(told, count);
    }
}

/// Messages of one sender that say the same of their sampling: what options data says of it is the same, too.
fn is_sampled_alike(a: &MessageContext, b: &MessageContext) -> bool {
    let of = |context: &MessageContext| {
        (
            context.domain_index,
            context.session,
            context.template_id,
            context.header_sampling_rate,
        )
    };
    of(a) == of(b)
}

/// (rate, key of its source) of one record.
fn sampling_of(
    tile: &Tile<'_>,
    record: usize,
    fields: &SamplingFields,
    context: &MessageContext,
    options: Option<&OptionsState>,
) -> (u32, u8) {
    let in_record = fields
        .rate
        .and_then(|fields| fields.whole_rate(tile, record));
    if let Some(rate) = in_record {
        return (rate, sampling_source::RECORD);
    }
    if let Some(rate) =
        options.and_then(|options| rate_taught(tile, record, fields, context, options))
    {
        return (rate_as_integer(rate), sampling_source::OPTIONS);
    }
    match context.header_sampling_rate {
        Some(rate) => (rate, sampling_source::HEADER),
        None => (0, sampling_source::NONE),
    }
}

/// What options data says of the record's sampler; else of its interface, the one where it was sampled first; else of larger parts
/// of the exporter.
fn rate_taught(
    tile: &Tile<'_>,
    record: usize,
    fields: &SamplingFields,
    context: &MessageContext,
    options: &OptionsState,
) -> Option<f64> {
    if !options.has_several_rates() {
        return options.rate(RateKey::Exporter);
    }
    let read = |source: FieldSource| be_uint(tile.field(record, source)).0;
    let [ingress, egress] = fields.interfaces;
    let leaves = fields
        .direction
        .is_some_and(|direction| read(direction) == 1);
    let (first, second) = if leaves {
        (egress, ingress)
    } else {
        (ingress, egress)
    };
    let keys = [
        fields.sampler.map(|id| RateKey::Sampler(read(id))),
        fields.sequence.map(|id| RateKey::Sequence(read(id))),
        first.map(|id| RateKey::Interface(read(id))),
        second.map(|id| RateKey::Interface(read(id))),
        fields.line_card.map(|id| RateKey::LineCard(read(id))),
        context.template_id.map(|id| RateKey::Template(id.into())),
        Some(RateKey::Exporter),
    ];
    keys.into_iter().flatten().find_map(|key| options.rate(key))
}

/// What the exporter calls what a field refers to; null where it has not said.
pub(super) fn append_names(
    table: &mut Table,
    tile: &Tile<'_>,
    column: usize,
    of: Naming,
    id: FieldSource,
    around: &Surroundings<'_, '_>,
    stats: &mut Stats,
) {
    let named = |run: &Run| (around.options)(&run.context).filter(|options| options.has_names(of));
    // Most exporters send no names: their rows are padded at the flush.
    if around.runs.iter().all(|run| named(run).is_none()) {
        return;
    }
    let Some(Column::Variable(column)) = table.field(column) else {
        return;
    };
    let mut record = 0;
    for run in around.runs {
        let records = record..record + run.records;
        record = records.end;
        let Some(options) = named(run) else {
            column.append_nulls(run.records);
            continue;
        };
        let names = records.map(|record| {
            let name = options.name(of.key(tile.field(record, id))?)?;
            Some(name.as_bytes())
        });
        stats.warnings[Warning::ValueOutOfRange as usize] += column.extend_optional(names);
    }
}

/// How the ends of biflows were told apart; null where the exporter has not said.
pub(super) fn append_biflow_directions(
    table: &mut Table,
    column: usize,
    around: &Surroundings<'_, '_>,
) {
    let told =
        |context: &MessageContext| (around.options)(context)?.biflow_direction(context.template_id);
    // Most exporters say nothing of it: their rows are padded at the flush.
    if around.runs.iter().all(|run| told(&run.context).is_none()) {
        return;
    }
    if let Some(Column::U8(column)) = table.field(column) {
        for run in around.runs {
            match told(&run.context) {
                Some(direction) => column.extend_constant(direction, run.records),
                None => column.append_nulls(run.records),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_stacks_end_at_the_bottom() {
        // RFC 3032 section 2.1: label 20 bits, traffic class 3, bottom of stack 1.
        let labels: Vec<_> = label_stack([16 << 4, 17 << 4 | 1, 18 << 4].into_iter()).collect();
        assert_eq!(labels, [16, 17]);
        assert_eq!(label_stack([0, 0].into_iter()).count(), 0);
    }
}
