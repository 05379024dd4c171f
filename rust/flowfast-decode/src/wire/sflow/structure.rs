//! Structures of sFlow, read by their layouts into the fields of a record.
//!
//! XDR's integers are what an IPFIX record has, so most structures are copied as they are and only need a template.

use std::net::IpAddr;

use super::cursor::Cursor;
use super::record::{Field, PathEnds, RecordBuilder, field};

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

    /// Its fields of variable length.
    pub(super) fn variable_fields(&self) -> impl Iterator<Item = Field> {
        self.parts.iter().filter_map(|part| match *part {
            Part::Opaque(field)
            | Part::Array(field)
            | Part::AsPath(field)
            | Part::AsSequence(field)
            | Part::Rest(field) => Some(field),
            Part::Fixed(..) | Part::Optional(..) | Part::Address { .. } | Part::Prefix { .. } => {
                None
            }
        })
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

fn ends_of(path: &[u8]) -> Option<PathEnds> {
    Some((*path.first_chunk()?, *path.last_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::super::layouts::{COUNTER, FLOW, FLOW_V2, FLOW_V4, SAMPLE};
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    type Values = Vec<(u32, Vec<u8>)>;

    /// The fields of a structure, and how many octets it left.
    fn read(structures: &'static [Structure], tag: u32, body: &[u8]) -> Option<(Values, usize)> {
        let mut record = RecordBuilder::default();
        let mut cursor = Cursor::new(body);
        Structure::find(structures, tag)?.read(&mut cursor, &mut record)?;
        Some((record.values(), cursor.rest().len()))
    }

    #[test]
    fn layouts_are_sorted_and_of_the_published_lengths() {
        for table in [SAMPLE, FLOW, FLOW_V2, FLOW_V4, COUNTER] {
            assert!(table.windows(2).all(|pair| pair[0].tag < pair[1].tag));
        }
        // Octets of structures without variable parts, as exporters send them.
        let lengths = [
            (1, 88),
            (2, 52),
            (3, 72),
            (4, 80),
            (5, 28),
            (6, 80),
            (7, 56),
            (1001, 28),
            (1002, 12),
            (1004, 12),
            (2002, 8),
            (2003, 68),
            (2004, 72),
            (2005, 52),
            (2006, 40),
            (2007, 76),
            (2008, 100),
            (2009, 60),
            (2010, 28),
            (2100, 28),
            (2101, 12),
            (2102, 16),
            (2103, 52),
            (2104, 40),
            (2106, 100),
            (2201, 60),
            (2203, 40),
            (2204, 140),
            (2206, 20),
            (2207, 24),
        ];
        for (tag, len) in lengths {
            assert_eq!(read(COUNTER, tag, &vec![0; len]).unwrap().1, 0, "{tag}");
            assert!(read(COUNTER, tag, &vec![0; len - 1]).is_none(), "{tag}");
        }
        for (tag, len) in [
            (2, 24),
            (3, 32),
            (4, 56),
            (1001, 16),
            (1020, 8),
            (1021, 24),
            (1025, 56),
            (2100, 20),
            (2101, 44),
            (2209, 48),
        ] {
            assert_eq!(read(FLOW, tag, &vec![0; len]).unwrap().1, 0, "{tag}");
            assert!(read(FLOW, tag, &vec![0; len - 1]).is_none(), "{tag}");
        }
    }

    #[test]
    fn tails_are_left_and_later_additions_are_taken() {
        assert_eq!(read(COUNTER, 1, &[0; 100]).unwrap().1, 12);
        // host_cpu grew by three words.
        let count = |len| read(COUNTER, 2003, &vec![0; len]).unwrap().0.len();
        assert_eq!((count(68), count(76), count(80)), (17, 17, 20));
    }

    #[test]
    fn addresses_choose_the_element() {
        let router = words(&[1, 0x0a00_0001, 24, 16]);
        let ids = |body: &[u8]| -> Vec<u32> {
            let (values, _) = read(FLOW, 1002, body).unwrap();
            values.iter().map(|value| value.0).collect()
        };
        assert_eq!(ids(&router), [15, 9, 13]);
        assert_eq!(ids(&words(&[2, 1, 2, 3, 4, 64, 48])), [62, 29, 30]);
        assert_eq!(ids(&words(&[0, 24, 16])), [9, 13]);
        assert!(read(FLOW, 1002, &words(&[3, 1, 24, 16])).is_none());
    }

    #[test]
    fn as_paths_tell_the_next_and_the_last_as() {
        let gateway = words(&[
            1,
            0x0a00_0001,
            64500,
            64501,
            64502,
            2,
            2,
            2,
            11,
            12,
            1,
            1,
            13,
            1,
            77,
            100,
        ]);
        let (values, left) = read(FLOW, 1003, &gateway).unwrap();
        let value = |id| {
            values
                .iter()
                .find(|value| value.0 == id)
                .map(|value| value.1.clone())
        };
        assert_eq!(
            (value(128), value(17)),
            (Some(words(&[11])), Some(words(&[13])))
        );
        assert_eq!(
            (value(16), value(129), left),
            (Some(words(&[64501])), Some(words(&[64502])), 0)
        );
        // An empty path: the destination is local, its AS not sent.
        let (values, _) = read(FLOW, 1003, &words(&[0, 64500, 64501, 64502, 0, 0, 100])).unwrap();
        assert!(values.iter().all(|value| value.0 != 17 && value.0 != 128));
        // Counts beyond what is there.
        for lie in [
            &[0, 1, 2, 3, u32::MAX, 2, 0][..],
            &[0, 1, 2, 3, 1, 2, u32::MAX],
        ] {
            assert!(read(FLOW, 1003, &words(lie)).is_none());
        }
    }

    #[test]
    fn long_strings_take_the_long_prefix() {
        // RFC 7011 section 7.
        for len in [0u32, 1, 254, 255, 256, 1000] {
            let mut body = len.to_be_bytes().to_vec();
            body.resize(4 + len.next_multiple_of(4) as usize, b'x');
            let (values, left) = read(COUNTER, 1005, &body).unwrap();
            assert_eq!(
                (values[0].0, values[0].1.len(), left),
                (82, len as usize, 0)
            );
        }
        let mut record = RecordBuilder::default();
        assert!(record.put_variable(field(82, 65535), &[0; 65536]).is_none());
    }
}
