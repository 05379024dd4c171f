//! Biflows (RFC 5103): a template as the reverse direction sees it.

use super::{FieldSource, Layout};
use crate::element::{ElementId, PADDING_OCTETS, REVERSE_PEN};
use crate::template::{Definition, FieldSpecifier};

/// Elements that change places: endpoints and what belongs to them, and what the initiator and the responder sent.
#[rustfmt::skip]
const ENDS: [(u32, u32); 22] = [
    (7, 11), (8, 12), (9, 13), (10, 14), (16, 17), (27, 28), (29, 30), (44, 45), (56, 80), (57, 81), (58, 59),
    (128, 129), (169, 170), (180, 181), (182, 183), (225, 226), (227, 228), (231, 232), (234, 235), (252, 253), (281, 282), (298, 299),
];

/// Measured in one direction: nothing is known of it in the other, unless its reverse element is sent (RFC 5103 section 5).
#[rustfmt::skip]
const ONE_WAY: [u32; 36] = [
    1, 2, 5, 6, 15, 18, 23, 24, 31, 32, 52, 54, 61, 62, 63, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 85, 86, 88, 89, 139, 176, 177, 192, 239, 243, 352,
];

/// Any of these says that there was a reverse direction.
const COUNTERS: [ElementId; 6] = [
    ElementId::reverse(1),
    ElementId::reverse(2),
    ElementId::reverse(85),
    ElementId::reverse(86),
    ElementId::iana(232),
    ElementId::iana(299),
];

/// Whether the records of a template say anything of a reverse direction.
pub(super) fn is_biflow(definition: &Definition) -> bool {
    let mut elements = definition.fields.iter().map(|field| field.element);
    elements.any(|element| element.pen == REVERSE_PEN || COUNTERS.contains(&element))
}

/// The counters of the reverse direction that a template has; none if its records are no biflows.
pub(crate) fn reverse_counters(layout: &Layout<'_>) -> Box<[FieldSource]> {
    let counters = COUNTERS.iter().filter_map(|&element| layout.find(element));
    counters.map(|(source, _)| source).collect()
}

/// The same fields, with the elements that they are in the reverse direction (FF-BI-04).
pub(crate) fn reversed(definition: &Definition) -> Definition {
    let is_sent = |element| {
        definition
            .fields
            .iter()
            .any(|field| field.element == element)
    };
    let element = |element: ElementId| match element {
        ElementId {
            pen: REVERSE_PEN,
            id,
        } => ElementId::iana(id),
        ElementId { pen: 0, id } => {
            let end = ENDS.iter().find_map(|&(one, other)| match id {
                _ if id == one => Some(other),
                _ if id == other => Some(one),
                _ => None,
            });
            match end {
                Some(other) => ElementId::iana(other),
                None if ONE_WAY.contains(&id) || is_sent(ElementId::reverse(id)) => PADDING_OCTETS,
                None => element,
            }
        }
        other => other,
    };
    Definition {
        fields: definition
            .fields
            .iter()
            .map(|field| FieldSpecifier {
                element: element(field.element),
                length: field.length,
            })
            .collect(),
        ..definition.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_element_has_two_places() {
        let mut ids: Vec<u32> = ENDS.iter().flat_map(|&(one, other)| [one, other]).collect();
        ids.extend(ONE_WAY);
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    }
}
