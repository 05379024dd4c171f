//! Sets of NetFlow v9 (RFC 3954 section 5) and IPFIX (RFC 7011 section 3.3), which differ in an id only.

use crate::exporter::{
    mix::{Family, Flow},
    template::{Template, Templates},
};

const SET_HEADER_OCTETS: usize = 4;
/// Sets end on a multiple of 4 (RFC 3954 section 5.3; RFC 7011 section 3.3.1 allows it).
const ALIGNMENT: usize = 4;

/// Octets of the Data Sets with so many records of each address family; an empty set is left out.
pub(super) fn data_sets_octets(templates: &Templates, ipv4: usize, ipv6: usize) -> usize {
    [(Family::Ipv4, ipv4), (Family::Ipv6, ipv6)]
        .into_iter()
        .filter(|(_, records)| *records > 0)
        .filter_map(|(family, records)| Some((templates.of(family)?, records)))
        .map(|(template, records)| {
            (SET_HEADER_OCTETS + records * template.record_octets()).next_multiple_of(ALIGNMENT)
        })
        .sum()
}

/// Appends a Data Set for each address family among the flows.
pub(super) fn append_data_sets(
    message: &mut Vec<u8>,
    templates: &Templates,
    flows: &[Flow],
    boot_time_ms: u64,
) {
    for flows in flows.chunk_by(|a, b| a.family == b.family) {
        let Some(template) = flows.first().and_then(|flow| templates.of(flow.family)) else {
            continue;
        };
        append_set(message, template.id, |records| {
            for flow in flows {
                template.encode(flow, boot_time_ms, records);
            }
        });
    }
}

/// Appends one Template Set with all Templates.
pub(super) fn append_template_set(message: &mut Vec<u8>, set_id: u16, templates: &Templates) {
    append_set(message, set_id, |records| {
        for template in templates.all() {
            append_template_record(template, records);
        }
    });
}

fn append_template_record(template: &Template, records: &mut Vec<u8>) {
    records.extend(template.id.to_be_bytes());
    records.extend((template.fields.len() as u16).to_be_bytes());
    for field in &template.fields {
        records.extend((field.element as u16).to_be_bytes());
        records.extend(field.octets.to_be_bytes());
    }
}

/// Appends a set around what `fill` appends, padded, its length known at last.
fn append_set(message: &mut Vec<u8>, set_id: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = message.len();
    message.extend(set_id.to_be_bytes());
    message.extend([0, 0]);
    fill(message);
    let length = (message.len() - start).next_multiple_of(ALIGNMENT);
    message.resize(start + length, 0);
    super::put(message, start + 2, (length as u16).to_be_bytes());
}
