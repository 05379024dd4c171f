//! Structured data (RFC 6313 section 4.5): lists as fields of a record.

use super::ipfix::split_specifier;
use crate::bytes::{be16, be32};
use crate::element::ElementId;
use crate::plan::Piece;
use crate::template::VARIABLE;

/// Which of the three structured data types a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ListKind {
    /// Values of one element.
    Basic,
    /// Records of one template.
    SubTemplate,
    /// Blocks of records, each of its own template.
    SubTemplateMulti,
}

/// A basicList (RFC 6313 section 4.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BasicList<'a> {
    /// How its values belong together; unassigned numbers are passed through (FF-SD-08).
    pub(crate) semantic: u8,
    pub(crate) element: ElementId,
    /// Octets of each value, or `VARIABLE`.
    pub(crate) value_length: u16,
    values: &'a [u8],
}

impl<'a> BasicList<'a> {
    /// `None` if it ends within its header.
    pub(crate) fn parse(octets: &'a [u8]) -> Option<Self> {
        let (&semantic, field) = octets.split_first()?;
        let (field, values) = split_specifier(field)?;
        Some(Self {
            semantic,
            element: field.element,
            value_length: field.length,
            values,
        })
    }

    /// Where its values stand in `octets`, the list; `None` if they do not fill it exactly (FF-SD-04). Values of no octets can
    /// not be counted, so there may be none (FF-SD-06).
    pub(crate) fn values(&self, octets: &[u8]) -> Option<Vec<Piece>> {
        let header = octets.len() - self.values.len();
        let length = usize::from(self.value_length);
        if self.value_length != VARIABLE {
            let fills = match length {
                0 => self.values.is_empty(),
                _ => self.values.len().is_multiple_of(length),
            };
            return fills.then(|| {
                (header..octets.len())
                    .step_by(length.max(1))
                    .map(|start| piece(start, length))
                    .collect()
            });
        }
        let mut pieces = Vec::new();
        let mut at = header;
        while at < octets.len() {
            // RFC 7011 section 7: one octet, or 255 and two.
            let (start, length) = match octets[at] {
                255 => (at + 3, usize::from(be16(octets.get(at + 1..at + 3)?, 0))),
                short => (at + 1, usize::from(short)),
            };
            at = start + length;
            if at > octets.len() {
                return None;
            }
            pieces.push(piece(start, length));
        }
        Some(pieces)
    }
}

fn piece(start: usize, length: usize) -> Piece {
    Piece {
        start: start as u32,
        len: length as u32,
    }
}

/// Records of one template, in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    pub(crate) template_id: u16,
    pub(crate) records: &'a [u8],
}

/// A subTemplateList (RFC 6313 section 4.5.2): its semantic and its records. `None` if it ends within its header.
pub(crate) fn sub_template_list(octets: &[u8]) -> Option<(u8, Block<'_>)> {
    let (&[semantic, id_high, id_low], records) = octets.split_first_chunk()?;
    let template_id = u16::from_be_bytes([id_high, id_low]);
    Some((
        semantic,
        Block {
            template_id,
            records,
        },
    ))
}

/// A subTemplateMultiList (RFC 6313 section 4.5.3): its semantic and its blocks. `None` if they do not fill it exactly.
pub(crate) fn sub_template_multi_list(octets: &[u8]) -> Option<(u8, Vec<Block<'_>>)> {
    let (&semantic, mut rest) = octets.split_first()?;
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let header = be32(rest.get(..4)?, 0);
        // The length is that of the block, these four octets included.
        let (block, after) = rest.split_at_checked(usize::from(header as u16))?;
        blocks.push(Block {
            template_id: (header >> 16) as u16,
            records: block.get(4..)?,
        });
        rest = after;
    }
    Some((semantic, blocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(octets: &[u8]) -> Option<Vec<&[u8]>> {
        let pieces = BasicList::parse(octets)?.values(octets)?;
        let slice = |piece: &Piece| &octets[piece.start as usize..][..piece.len as usize];
        Some(pieces.iter().map(slice).collect())
    }

    #[test]
    fn values_of_fixed_and_variable_length() {
        // RFC 6313 section 4.5.1.
        let fixed = [3, 0, 14, 0, 2, 0, 7, 0, 8];
        assert_eq!(values(&fixed), Some(vec![&[0, 7][..], &[0, 8]]));
        let list = BasicList::parse(&fixed).unwrap();
        assert_eq!((list.semantic, list.element), (3, ElementId::iana(14)));
        let variable = [255, 0, 82, 255, 255, 2, b'a', b'b', 0, 255, 0, 1, b'c'];
        assert_eq!(values(&variable), Some(vec![&b"ab"[..], b"", b"c"]));
        let enterprise = [1, 0x80, 7, 0, 1, 0, 0, 3, 0xe7, 9];
        assert_eq!(values(&enterprise), Some(vec![&[9][..]]));
        assert_eq!(
            BasicList::parse(&enterprise).unwrap().element,
            ElementId { pen: 999, id: 7 }
        );
    }

    #[test]
    fn lists_end_where_their_field_ends() {
        // FF-SD-02, FF-SD-04, FF-SD-06.
        assert_eq!(values(&[255, 0, 14, 0, 2]), Some(vec![]));
        assert_eq!(values(&[255, 0, 14, 0, 0]), Some(vec![]));
        for malformed in [
            &[][..],
            &[255, 0, 14, 0],
            &[255, 0x80, 14, 0, 2, 0, 0, 1],
            &[255, 0, 14, 0, 2, 1],
            &[255, 0, 14, 0, 0, 1],
            &[255, 0, 82, 255, 255, 2, b'a'],
            &[255, 0, 82, 255, 255, 255, 0],
        ] {
            assert_eq!(values(malformed), None, "{malformed:?}");
        }
    }

    #[test]
    fn blocks_by_their_lengths() {
        // RFC 6313 section 4.5.3: a length covers the block's header; FF-SD-02: a list without blocks is one.
        let (semantic, blocks) =
            sub_template_multi_list(&[4, 1, 1, 0, 6, 8, 9, 1, 2, 0, 4]).unwrap();
        assert_eq!(semantic, 4);
        let shown: Vec<_> = blocks.iter().map(|b| (b.template_id, b.records)).collect();
        assert_eq!(shown, [(257, &[8, 9][..]), (258, &[])]);
        assert_eq!(sub_template_multi_list(&[4]), Some((4, vec![])));
        for malformed in [&[][..], &[4, 1, 1, 0], &[4, 1, 1, 0, 3], &[4, 1, 1, 0, 5]] {
            assert_eq!(sub_template_multi_list(malformed), None, "{malformed:?}");
        }
        assert_eq!(sub_template_list(&[4, 1]), None);
        assert!(sub_template_list(&[4, 1, 1]).is_some());
    }
}
