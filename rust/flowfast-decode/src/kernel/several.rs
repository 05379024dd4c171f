//! Several fields to one column: whichever IP version a record has, label stacks, sampling.

use super::field::{ipv6, mapped_ipv4};
use super::{Surroundings, Tile};
use crate::batch::{MessageContext, Table};
use crate::bytes::be_uint;
use crate::column::Column;
use crate::plan::{FamilyValue, FieldSource, SamplingFields, sampling_source};
use crate::schema::SAMPLING_SOURCES;
use crate::template::options::{saturate, systematic_rate};

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
                    mapped_ipv4(tile.field(record, ipv4_source))
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

fn is_set(octets: &[u8]) -> bool {
    octets.iter().any(|&octet| octet != 0)
}

/// FF-SMP-02: the record, then options by sampler, then options of the exporter, then the header; 0 where none tells.
pub(super) fn append_sampling(
    table: &mut Table,
    tile: &Tile<'_>,
    rate: Option<usize>,
    source: Option<usize>,
    fields: SamplingFields,
    around: &Surroundings<'_>,
) {
    // Where no field tells, all records of a run are alike.
    let is_per_run = fields == SamplingFields::default();
    let each = |append: &mut dyn FnMut((u32, u8), usize)| {
        let mut record = 0;
        for run in around.runs {
            let end = record + run.records;
            let step = if is_per_run { run.records } else { 1 };
            while record < end {
                append(
                    sampling_of(tile, record, fields, &run.context, around),
                    step,
                );
                record += step;
            }
        }
    };
    if let Some(Column::U32(column)) = rate.and_then(|column| table.field(column)) {
        each(&mut |(rate, _), records| column.extend_constant(rate, records));
    }
    if let Some(Column::Keys(column)) = source.and_then(|column| table.field(column)) {
        each(&mut |(_, source), records| {
            column.extend_constant(SAMPLING_SOURCES, source, records);
        });
    }
}

/// (rate, key of its source) of one record.
fn sampling_of(
    tile: &Tile<'_>,
    record: usize,
    fields: SamplingFields,
    context: &MessageContext,
    around: &Surroundings<'_>,
) -> (u32, u8) {
    let read = |source: FieldSource| be_uint(tile.field(record, source)).0;
    let in_record = match fields {
        // FF-SMP-04: 0 or 1 is unsampled.
        SamplingFields {
            interval: Some(interval),
            ..
        } => Some(saturate(read(interval).max(1))),
        SamplingFields {
            packet_interval: Some(interval),
            packet_space: Some(space),
            ..
        } => Some(systematic_rate(read(interval), read(space))),
        _ => None,
    };
    if let Some(rate) = in_record {
        return (rate, sampling_source::RECORD);
    }
    let options = (around.options)(context);
    if let Some(rate) = options.and_then(|options| options.sampling_rate(fields.sampler.map(read)))
    {
        return (rate, sampling_source::OPTIONS);
    }
    match context.header_sampling_rate {
        Some(rate) => (rate, sampling_source::HEADER),
        None => (0, sampling_source::NONE),
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
