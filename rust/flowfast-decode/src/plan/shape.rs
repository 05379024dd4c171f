//! How long records are, and where their fields stand when that varies.

use std::num::NonZeroUsize;

use crate::error::DecodeError;
use crate::template::{Definition, VARIABLE};

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
    pub(super) fn of(definition: &Definition) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::ElementId;
    use crate::template::{FieldSpecifier, RecordKind};

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
            learned: Box::default(),
            objects: Box::default(),
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
