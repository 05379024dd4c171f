//! The canonical order of a template's fields: the widest first, and those of one width by element (spec 3.3). In it, what is copied into
//! rows of that order is copied at once, and short fields stand side by side.

use std::cmp::Reverse;

use crate::element::PADDING_OCTETS;
use crate::template::{FieldSpecifier, VARIABLE};

/// In how many stretches of fields that follow each other in the canonical order, too, a template has its fields: one, if its order is that.
/// Padding ends a stretch, and a field of variable length, which has no place in a row, is one of its own.
pub(crate) fn canonical_runs(fields: &[FieldSpecifier]) -> usize {
    let is_value = |(_, field): &(usize, &FieldSpecifier)| field.element != PADDING_OCTETS;
    let mut canonical: Vec<_> = fields.iter().enumerate().filter(is_value).collect();
    canonical.sort_by_key(|(_, field)| {
        (
            field.length == VARIABLE,
            Reverse(field.length),
            field.element,
        )
    });
    let neighbours = canonical.iter().zip(canonical.iter().skip(1));
    let joined = neighbours
        .filter(|((before, _), (index, field))| *index == before + 1 && field.length != VARIABLE);
    canonical.len() - joined.count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::ElementId;

    fn runs(fields: &[(u32, u16)]) -> usize {
        let fields = fields.iter().map(|&(id, length)| FieldSpecifier {
            element: ElementId::iana(id),
            length,
        });
        canonical_runs(&fields.collect::<Vec<_>>())
    }

    #[test]
    fn fields_in_the_canonical_order_are_one_run() {
        // FF-ORD-03: the widest first, then by element.
        assert_eq!(runs(&[(1, 8), (2, 8), (8, 4), (12, 4), (7, 2), (4, 1)]), 1);
        assert_eq!(runs(&[(8, 4), (12, 4), (1, 8), (2, 8)]), 2);
        assert_eq!(runs(&[(12, 4), (8, 4), (2, 8), (1, 8)]), 4);
        // As it was sent: octetDeltaCount in four octets is a field of four.
        assert_eq!(runs(&[(2, 8), (1, 4), (8, 4)]), 1);
        assert_eq!(runs(&[]), 0);
    }

    #[test]
    fn repeated_elements_keep_their_order() {
        assert_eq!(runs(&[(8, 4), (8, 4), (12, 4)]), 1);
    }

    #[test]
    fn padding_and_variable_lengths_end_a_run() {
        assert_eq!(runs(&[(1, 8), (210, 3), (8, 4)]), 2);
        assert_eq!(runs(&[(1, 8), (82, VARIABLE), (83, VARIABLE)]), 3);
        assert_eq!(runs(&[(82, VARIABLE), (1, 8)]), 2);
    }
}
