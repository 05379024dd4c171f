//! What options data says of fields that are MIB objects (RFC 8038): the object identifier of each, and the names of objects.

use std::fmt::Write;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::fact::Fact;
use crate::bytes::be_uint;
use crate::element::ElementId;
use crate::kernel::Tile;
use crate::plan::{FieldSource, Layout};

/// Octets of an object identifier that are kept: longer ones are refused. SNMP's have 128 sub-identifiers at most (RFC 2578 section
/// 3.5), and those of objects are small numbers.
pub(super) const MAX_OCTETS: usize = 256;

/// 434 mibObjectValueInteger to 444 mibObjectValueRow: what they mean, a MIB Field Option says (RFC 8038 section 5.3.1).
const VALUES: RangeInclusive<u32> = 434..=444;

/// Indices of the fields that are MIB objects.
pub(crate) fn mib_fields(layout: &Layout<'_>) -> Box<[u16]> {
    let values = layout.values();
    let objects =
        values.filter(|(_, element, ..)| element.pen == 0 && VALUES.contains(&element.id));
    objects
        .filter_map(|(index, ..)| u16::try_from(index).ok())
        .collect()
}

/// A managed object, as an exporter tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct MibObject {
    /// The contents octets of its OBJECT IDENTIFIER, in BER.
    pub(super) oid: Box<[u8]>,
    /// Its descriptor, such as `ifInOctets`, if that was told.
    pub(crate) name: Option<Box<str>>,
}

impl MibObject {
    /// Its object identifier in dots.
    pub(crate) fn oid(&self) -> String {
        let mut text = String::new();
        for (index, number) in sub_identifiers(&self.oid).flatten().enumerate() {
            // The first one holds two: 0 to 2, and what is left (X.690 section 8.19.4). Writing to a string does not fail.
            let _ = match index {
                0 => {
                    let root = (number / 40).min(2);
                    write!(text, "{root}.{}", number - root * 40)
                }
                _ => write!(text, ".{number}"),
            };
        }
        text
    }
}

/// The fields of a template that are MIB objects, by index, and what they are.
pub(crate) type FieldObject = (u16, Arc<MibObject>);

/// The sub-identifiers of contents octets; `None` for one that is not whole, or too large (RFC 2578 section 3.5: 32 bits).
fn sub_identifiers(octets: &[u8]) -> impl Iterator<Item = Option<u64>> {
    let is_last = |octet: &u8| octet & 0x80 == 0;
    octets.split_inclusive(is_last).map(move |digits| {
        let number = |sum, digit: &u8| sum << 7 | u64::from(digit & 0x7f);
        let is_number = digits.len() <= 5 && digits.last().is_some_and(is_last);
        is_number.then(|| digits.iter().fold(0, number))
    })
}

/// Fields of an options template that tell of MIB objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ObjectFields {
    /// 445 mibObjectIdentifier.
    oid: FieldSource,
    /// 145 templateId and 287 informationElementIndex: the field that is the object (RFC 8038 section 5.4).
    field: Option<(FieldSource, FieldSource)>,
    /// 451 mibObjectName.
    name: Option<FieldSource>,
}

impl ObjectFields {
    /// `None` if the template tells nothing of them.
    pub(super) fn find(layout: &Layout<'_>) -> Option<Self> {
        let source = |id| layout.find(ElementId::iana(id)).map(|(source, _)| source);
        let found = Self {
            oid: source(445)?,
            field: source(145).zip(source(287)),
            name: source(451),
        };
        (found.field.is_some() || found.name.is_some()).then_some(found)
    }

    /// What a record tells: of a field, of an object, of both.
    pub(super) fn read<'a>(
        &self,
        tile: &Tile<'a>,
        record: usize,
        text: impl Fn(&'a [u8]) -> Option<&'a str>,
    ) -> impl Iterator<Item = Fact<'a>> {
        let oid = tile.field(record, self.oid);
        let is_whole = !oid.is_empty() && sub_identifiers(oid).all(|number| number.is_some());
        let field = self
            .field
            .filter(|_| is_whole)
            .and_then(|(template, index)| {
                let value = |source| u16::try_from(be_uint(tile.field(record, source)).0).ok();
                Some(Fact::Object((value(template)?, value(index)?), oid))
            });
        let name = self.name.filter(|_| is_whole);
        let name = name.and_then(|name| text(tile.field(record, name)));
        let name = name.map(|name| Fact::ObjectName(oid, name));
        field.into_iter().chain(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_identifiers_in_dots() {
        let dots = |octets: &[u8]| {
            let object = MibObject {
                oid: octets.into(),
                name: None,
            };
            object.oid()
        };
        // X.690 section 8.19.5: {joint-iso-itu-t 100 3} is 81 34 03; ifInOctets of RFC 2863.
        assert_eq!(dots(&[0x81, 0x34, 3]), "2.100.3");
        assert_eq!(
            dots(&[0x2b, 6, 1, 2, 1, 2, 2, 1, 10]),
            "1.3.6.1.2.1.2.2.1.10"
        );
        assert_eq!(
            dots(&[0x2b, 0x8f, 0xff, 0xff, 0xff, 0x7f]),
            "1.3.4294967295"
        );
        assert_eq!(dots(&[0x27]), "0.39");
        let is_whole = |octets| sub_identifiers(octets).all(|number| number.is_some());
        assert!(is_whole(&[0x2b, 6]));
        assert!(!is_whole(&[0x2b, 0x86]));
        assert!(!is_whole(&[0x2b, 0x81, 0x80, 0x80, 0x80, 0x80, 0]));
    }
}
