//! Flow Records of tunnels whose template has the fields of two headers, the outer one's first (RFC 7011 section 8: fields that repeat
//! stand in the order in which they were metered), as Cisco IOS XR sends them of SRv6.

use crate::element::{ElementId, INNER_FIELD_BASE};
use crate::template::{Definition, FieldSpecifier};

/// protocolIdentifier and the ports: where these repeat, headers do, and not some field by mistake.
const TELLING: [u32; 3] = [4, 7, 11];

/// What of a header has a column for the inner packet: what can stand in for each other stands together.
const HEADER: [&[u32]; 6] = [&[4], &[6], &[7], &[11], &[8, 27], &[12, 28]];

/// The definition with the fields of the inner header as such; `None` if there is no second header.
pub(crate) fn with_inner(definition: &Definition) -> Option<Definition> {
    let occurrences = |ids: &'static [u32]| {
        let fields = definition.fields.iter().enumerate();
        fields.filter(move |(_, field)| field.length != 0 && is_one_of(field, ids))
    };
    let repeats = |id: &'static u32| occurrences(std::slice::from_ref(id)).nth(1).is_some();
    if !TELLING.iter().all(repeats) {
        return None;
    }
    let mut fields = definition.fields.clone();
    for ids in HEADER {
        if let Some((index, field)) = occurrences(ids).nth(1) {
            fields[index].element = ElementId::iana(INNER_FIELD_BASE + field.element.id);
        }
    }
    Some(Definition {
        fields,
        ..definition.clone()
    })
}

fn is_one_of(field: &FieldSpecifier, ids: &[u32]) -> bool {
    field.element.pen == 0 && ids.contains(&field.element.id)
}
