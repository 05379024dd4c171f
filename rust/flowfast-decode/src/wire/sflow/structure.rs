//! Structures of sFlow, read by their layouts into the fields of a record.
//!
//! XDR's integers are what an IPFIX record has, so most structures are copied as they are and only need a template.

use std::net::IpAddr;

use super::cursor::Cursor;
use crate::element::ElementId;
use crate::template::FieldSpecifier;

/// A field of a record: element of the IANA or local registry, and octets or `VARIABLE`. One word, to be hashed fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Field(u64);

/// Names a field.
pub(crate) const fn field(element: u32, octets: u16) -> Field {
    Field((element as u64) << 16 | octets as u64)
}

impl From<Field> for FieldSpecifier {
    fn from(Field(word): Field) -> Self {
        Self {
            element: ElementId::iana((word >> 16) as u32),
            length: word as u16,
        }
    }
}

/// A stretch of a structure.
#[derive(Debug)]
pub(crate) enum Part {
    /// So many octets, as they are.
    Fixed(usize, &'static [Field]),
    /// The same, if they are there: added to the structure after its first definition.
    Optional(usize, &'static [Field]),
    /// A string or opaque data.
    Opaque(Field),
    /// An array of integers, as octets.
    Array(Field),
    /// An AS path (v4, v5): segments, each with its type and an array, as octets.
    AsPath(Field),
    /// An AS path (v2): an array.
    AsSequence(Field),
    /// Whatever is left, as octets.
    Rest(Field),
    /// An address; no field if its type is unknown.
    Address { ipv4: u32, ipv6: u32 },
    /// A prefix length, of the family of the address before.
    Prefix { ipv4: u32, ipv6: u32 },
}

/// First and last AS of a path: the next one, and the destination's.
const PATH_ENDS: [Field; 2] = [field(128, 4), field(17, 4)];

/// The layout of a structure.
#[derive(Debug)]
pub(crate) struct Structure {
    pub(super) tag: u32,
    pub(super) parts: &'static [Part],
}

impl Structure {
    /// Finds a structure in a table that is sorted by tag.
    pub(crate) fn find(structures: &'static [Self], tag: u32) -> Option<&'static Self> {
        let found = structures.binary_search_by_key(&tag, |structure| structure.tag);
        found.ok().map(|index| &structures[index])
    }

    /// Reads one such structure. `None` if what is left is shorter; then `record` has some of its fields.
    pub(crate) fn read(&self, cursor: &mut Cursor<'_>, record: &mut RecordBuilder) -> Option<()> {
        let mut is_ipv6 = false;
        for part in self.parts {
            match *part {
                Part::Fixed(octets, fields) => record.put(fields, cursor.take(octets)?),
                Part::Optional(octets, fields) => {
                    if let Some(octets) = cursor.take(octets) {
                        record.put(fields, octets);
                    }
                }
                Part::Opaque(field) => record.put_variable(field, cursor.opaque()?)?,
                Part::Array(field) => record.put_variable(field, cursor.array()?)?,
                Part::AsPath(field) => {
                    let (path, ends) = as_path(cursor)?;
                    record.put_variable(field, path)?;
                    record.put_ends(ends);
                }
                Part::AsSequence(field) => {
                    let path = cursor.array()?;
                    record.put_variable(field, path)?;
                    record.put_ends(ends_of(path));
                }
                Part::Rest(field) => {
                    let rest = cursor.rest().len();
                    record.put_variable(field, cursor.take(rest)?)?;
                }
                Part::Address { ipv4, ipv6 } => match cursor.address()? {
                    Some(IpAddr::V4(address)) => record.put(&[field(ipv4, 4)], &address.octets()),
                    Some(IpAddr::V6(address)) => {
                        is_ipv6 = true;
                        record.put(&[field(ipv6, 16)], &address.octets());
                    }
                    None => {}
                },
                Part::Prefix { ipv4, ipv6 } => {
                    let element = if is_ipv6 { ipv6 } else { ipv4 };
                    record.put(&[field(element, 4)], cursor.take(4)?);
                }
            }
        }
        Some(())
    }
}

/// The octets of an AS path's segments, and its first and last AS.
fn as_path<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], Option<PathEnds>)> {
    let segments = cursor.unsigned()?;
    let path = cursor.rest();
    let mut ends: Option<PathEnds> = None;
    // Each segment takes octets, or ends the loop: no count keeps it busy.
    for _ in 0..segments {
        let _segment_type = cursor.unsigned()?;
        if let Some((first, last)) = ends_of(cursor.array()?) {
            ends = Some((ends.map_or(first, |(first, _)| first), last));
        }
    }
    Some((&path[..path.len() - cursor.rest().len()], ends))
}

/// First and last AS, as octets.
type PathEnds = ([u8; 4], [u8; 4]);

fn ends_of(path: &[u8]) -> Option<PathEnds> {
    Some((*path.first_chunk()?, *path.last_chunk()?))
}

/// A record in the making: fields and their octets, those of variable length last, for fixed offsets are read faster.
#[derive(Debug, Default)]
pub(crate) struct RecordBuilder {
    fields: Vec<Field>,
    octets: Vec<u8>,
    variable_fields: Vec<Field>,
    variable_octets: Vec<u8>,
}

/// How far a record had grown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkpoint([usize; 4]);

impl RecordBuilder {
    /// Forgets the record before.
    pub(crate) fn clear(&mut self) {
        self.rollback(Checkpoint([0; 4]));
    }

    /// Adds fields of fixed length and the octets of all of them.
    pub(crate) fn put(&mut self, fields: &[Field], octets: &[u8]) {
        self.fields.extend_from_slice(fields);
        self.octets.extend_from_slice(octets);
    }

    /// Adds a field of variable length. `None` if it is longer than such a field can be.
    pub(crate) fn put_variable(&mut self, field: Field, octets: &[u8]) -> Option<()> {
        let len = u16::try_from(octets.len()).ok()?;
        self.variable_fields.push(field);
        // RFC 7011 section 7.
        match u8::try_from(len) {
            Ok(short) if short < 255 => self.variable_octets.push(short),
            _ => {
                self.variable_octets.push(255);
                self.variable_octets.extend(len.to_be_bytes());
            }
        }
        self.variable_octets.extend_from_slice(octets);
        Some(())
    }

    fn put_ends(&mut self, ends: Option<PathEnds>) {
        if let Some((first, last)) = ends {
            self.put(&PATH_ENDS, &[first, last].concat());
        }
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint([
            self.fields.len(),
            self.octets.len(),
            self.variable_fields.len(),
            self.variable_octets.len(),
        ])
    }

    /// Takes back what was added since.
    pub(crate) fn rollback(&mut self, checkpoint: Checkpoint) {
        let [fields, octets, variable_fields, variable_octets] = checkpoint.0;
        self.fields.truncate(fields);
        self.octets.truncate(octets);
        self.variable_fields.truncate(variable_fields);
        self.variable_octets.truncate(variable_octets);
    }

    /// Ends the record: appends its octets to `arena`, and tells its fields.
    pub(crate) fn finish(&mut self, arena: &mut Vec<u8>) -> &[Field] {
        self.fields.append(&mut self.variable_fields);
        arena.extend_from_slice(&self.octets);
        arena.extend_from_slice(&self.variable_octets);
        &self.fields
    }
}
