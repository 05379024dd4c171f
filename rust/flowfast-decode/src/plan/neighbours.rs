//! Short fields that stand side by side in every record, and can be read together (spec 3.3).

use super::{FieldSource, Op, RecordShape};
use crate::convert::Convert;

/// Octets that are read together.
pub(crate) const NEIGHBOURHOOD: usize = 8;

/// Where neighbourhoods begin in a record: those with two fields or more of one or two octets. Wider ones save nothing.
pub(crate) fn neighbourhoods(shape: &RecordShape, ops: &[Op]) -> Box<[usize]> {
    let RecordShape::Fixed(record_len) = shape else {
        return Box::default();
    };
    let Some(last) = record_len.get().checked_sub(NEIGHBOURHOOD) else {
        return Box::default();
    };
    let mut fields: Vec<_> = ops.iter().filter_map(short_field).collect();
    fields.sort_unstable();
    fields.dedup();
    let mut found = Vec::new();
    while let [(offset, _), ..] = fields[..] {
        let start = offset.min(last);
        let together = fields
            .iter()
            .take_while(|(offset, length)| offset + length <= start + NEIGHBOURHOOD);
        let together = together.count();
        if together > 1 {
            found.push(start);
        }
        fields.drain(..together);
    }
    found.into()
}

/// Offset and length of the field that an op reads as a number of one or two octets.
fn short_field(op: &Op) -> Option<(usize, usize)> {
    match *op {
        Op::Field {
            source:
                FieldSource::Start {
                    offset,
                    length: length @ 1..=2,
                },
            convert: Convert::Unsigned { .. },
            ..
        } => Some((offset, length)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    fn found(record_len: usize, fields: &[(usize, usize)]) -> Vec<usize> {
        let ops: Vec<_> = (fields.iter())
            .map(|&(offset, length)| Op::Field {
                column: 0,
                source: FieldSource::Start { offset, length },
                convert: crate::convert::UNSIGNED,
            })
            .collect();
        let shape = RecordShape::Fixed(NonZeroUsize::new(record_len).unwrap());
        neighbourhoods(&shape, &ops).into()
    }

    #[test]
    fn short_fields_side_by_side_are_read_together() {
        assert_eq!(found(12, &[(0, 2), (2, 1), (3, 1)]), [0]);
        // Neither alone, nor wide ones, nor in records of less than eight octets.
        assert!(found(40, &[(0, 4), (4, 4), (8, 2), (16, 1), (17, 3)]).is_empty());
        assert!(found(7, &[(0, 2), (2, 2), (4, 2)]).is_empty());
        // Whatever stands between them, in any order; the same field twice is one.
        assert_eq!(found(40, &[(20, 1), (14, 2), (30, 1), (30, 1)]), [14]);
        // Sixteen octets are two neighbourhoods; the last one ends with the record.
        assert_eq!(found(16, &from_to(0, 16)), [0, 8]);
        assert_eq!(found(10, &from_to(0, 10)), [0, 2]);
    }

    fn from_to(start: usize, end: usize) -> Vec<(usize, usize)> {
        (start..end).map(|offset| (offset, 1)).collect()
    }
}
