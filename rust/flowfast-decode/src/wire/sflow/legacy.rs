//! Samples of sFlow v2 and v4 (spec 2.15.5): without lengths, so that an unknown type ends the datagram.

use super::cursor::Cursor;
use super::datagram::Version;
use super::layouts::{COUNTER, FLOW, FLOW_V2, FLOW_V4, SAMPLE};
use super::record::{RecordBuilder, field};
use super::sample::{
    IN, MAX_RECORDS, OUT, SAMPLED_HEADER, put_header_fields, put_interface, put_packet_count,
    sample_header,
};
use super::structure::Structure;
use crate::element::sflow::SAMPLING_INTERVAL_S;
use crate::error::DecodeError;
use crate::sequence::{SampleHeader, SampleKind};

/// Types of samples.
mod sample_type {
    pub(super) const FLOW: u32 = 1;
    pub(super) const COUNTERS: u32 = 2;
}

/// Extended data of type 1 is v5's structure 1001, and so on.
const EXTENDED: u32 = 1000;

/// Types of packet data, by v5's structures.
const PACKET_DATA: [u32; 3] = [SAMPLED_HEADER, 3, 4];

/// Reads the next sample into a record.
pub(crate) fn read(
    cursor: &mut Cursor<'_>,
    version: Version,
    record: &mut RecordBuilder,
) -> Result<SampleHeader, DecodeError> {
    match cursor.unsigned().ok_or(DecodeError::SampleOverrun)? {
        sample_type::FLOW => {
            let header = sample_header(SampleKind::Flow, false, cursor.rest());
            flow_sample(cursor, version, record)?;
            header.ok_or(DecodeError::SampleOverrun)
        }
        sample_type::COUNTERS => {
            let header = sample_header(SampleKind::Counters, false, cursor.rest());
            counters_sample(cursor, record)?;
            header.ok_or(DecodeError::SampleOverrun)
        }
        _ => Err(DecodeError::UnknownStructure),
    }
}

fn flow_sample(
    cursor: &mut Cursor<'_>,
    version: Version,
    record: &mut RecordBuilder,
) -> Result<(), DecodeError> {
    let next = |cursor: &mut Cursor<'_>| cursor.unsigned().ok_or(DecodeError::SampleOverrun);
    structure(SAMPLE, sample_type::FLOW, cursor, record)?;
    for side in [IN, OUT] {
        put_interface(record, side, next(cursor)?);
    }
    put_packet_count(record);
    let packet_data = (next(cursor)? as usize).wrapping_sub(1);
    let tag = *PACKET_DATA
        .get(packet_data)
        .ok_or(DecodeError::UnknownStructure)?;
    let mut header = *cursor;
    versioned(tag, version, cursor, record)?;
    if tag == SAMPLED_HEADER {
        put_header_fields(record, &mut header, 4);
    }
    let count = next(cursor)?;
    if count as usize > MAX_RECORDS {
        return Err(DecodeError::Unsupported);
    }
    for _ in 0..count {
        let tag = next(cursor)?.saturating_add(EXTENDED);
        if !(EXTENDED + 1..=EXTENDED + 5).contains(&tag) {
            return Err(DecodeError::UnknownStructure);
        }
        versioned(tag, version, cursor, record)?;
    }
    Ok(())
}

/// Reads a flow structure in the form of this version.
fn versioned(
    tag: u32,
    version: Version,
    cursor: &mut Cursor<'_>,
    record: &mut RecordBuilder,
) -> Result<(), DecodeError> {
    let own = match version {
        Version::V2 => Structure::find(FLOW_V2, tag).or(Structure::find(FLOW_V4, tag)),
        Version::V4 => Structure::find(FLOW_V4, tag),
        Version::V5 => None,
    };
    let found = own.or(Structure::find(FLOW, tag));
    let structure = found.ok_or(DecodeError::UnknownStructure)?;
    structure
        .read(cursor, record)
        .ok_or(DecodeError::SampleOverrun)
}

fn counters_sample(cursor: &mut Cursor<'_>, record: &mut RecordBuilder) -> Result<(), DecodeError> {
    structure(SAMPLE, sample_type::COUNTERS, cursor, record)?;
    let interval = cursor.take(4).ok_or(DecodeError::SampleOverrun)?;
    record.put(&[field(SAMPLING_INTERVAL_S, 4)], interval);
    let counters: &[u32] = match cursor.unsigned().ok_or(DecodeError::SampleOverrun)? {
        // Generic, FDDI and WAN interfaces have the generic counters only.
        1 | 4 | 6 => &[1],
        2 => &[1, 2],
        3 => &[1, 3],
        5 => &[1, 4],
        7 => &[5],
        _ => return Err(DecodeError::UnknownStructure),
    };
    for &tag in counters {
        structure(COUNTER, tag, cursor, record)?;
    }
    Ok(())
}

fn structure(
    structures: &'static [Structure],
    tag: u32,
    cursor: &mut Cursor<'_>,
    record: &mut RecordBuilder,
) -> Result<(), DecodeError> {
    Structure::find(structures, tag)
        .ok_or(DecodeError::UnknownStructure)?
        .read(cursor, record)
        .ok_or(DecodeError::SampleOverrun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// Values of elements of the sample in `body`, and how many octets it left.
    fn read(
        version: Version,
        body: &[u32],
        ids: &[u32],
    ) -> Result<(Vec<Option<u64>>, usize), DecodeError> {
        let body = words(body);
        let mut record = RecordBuilder::default();
        let mut cursor = Cursor::new(&body);
        super::read(&mut cursor, version, &mut record)?;
        let values = record.values();
        let value = |id: &u32| {
            let found = values.iter().find(|value| value.0 == *id);
            found.map(|value| crate::bytes::be_uint(&value.1).0)
        };
        Ok((ids.iter().map(value).collect(), cursor.rest().len()))
    }

    const FLOW_SAMPLE: [u32; 8] = [1, 7, 0x0200_0003, 400, 9, 1, 5, 6];
    const IPV4_DATA: [u32; 9] = [2, 60, 6, 0x0a00_0001, 0x0a00_0002, 1234, 80, 0x12, 8];

    #[test]
    fn gateways_differ_between_versions() {
        // Spec 2.15.5: v2 a plain path, v4 segments, communities and a preference; both without next hop.
        let head = [&FLOW_SAMPLE[..], &IPV4_DATA].concat();
        let v2 = [&head[..], &[1, 3, 64500, 64501, 64502, 2, 11, 12]].concat();
        let v4 = [
            &head[..],
            &[1, 3, 64500, 64501, 64502, 1, 2, 2, 11, 12, 1, 77, 100],
        ]
        .concat();
        for (version, body) in [(Version::V2, v2), (Version::V4, v4)] {
            let (values, left) = read(version, &body, &[8, 7, 16, 128, 17, 34, 10]).unwrap();
            let expected = [0x0a00_0001, 1234, 64501, 11, 12, 400, 5];
            assert_eq!(
                (values, left),
                (expected.map(Some).to_vec(), 0),
                "{version:?}"
            );
        }
    }

    #[test]
    fn counters_of_each_interface_type() {
        let lens = [(1, 22), (2, 35), (3, 40), (4, 22), (5, 42), (6, 22), (7, 7)];
        for (counters, len) in lens {
            let mut body = vec![2, 1, 0x0000_0003, 20, counters];
            body.resize(body.len() + len, 1);
            let (values, left) = read(Version::V4, &body, &[SAMPLING_INTERVAL_S]).unwrap();
            assert_eq!((values[0], left), (Some(20), 0), "{counters}");
            body.pop();
            assert_eq!(
                read(Version::V4, &body, &[]),
                Err(DecodeError::SampleOverrun)
            );
        }
    }

    #[test]
    fn what_has_no_length_cannot_be_skipped() {
        let unknown = Err(DecodeError::UnknownStructure);
        assert_eq!(read(Version::V4, &[3, 0, 0], &[]), unknown);
        assert_eq!(read(Version::V4, &[2, 1, 3, 20, 8, 0], &[]), unknown);
        for packet_data in [0, 4, u32::MAX] {
            let body = [&FLOW_SAMPLE[..], &[packet_data, 0, 0]].concat();
            assert_eq!(read(Version::V4, &body, &[]), unknown);
        }
        for extended in [0, 6, 20, u32::MAX] {
            let body = [&FLOW_SAMPLE[..], &IPV4_DATA, &[1, extended, 0, 0]].concat();
            assert_eq!(read(Version::V4, &body, &[]), unknown);
        }
        let body = [&FLOW_SAMPLE[..], &IPV4_DATA, &[33]].concat();
        assert_eq!(read(Version::V4, &body, &[]), Err(DecodeError::Unsupported));
        let body = [&FLOW_SAMPLE[..], &IPV4_DATA, &[2, 1, 1, 0, 2, 0]].concat();
        assert_eq!(
            read(Version::V4, &body, &[]),
            Err(DecodeError::SampleOverrun)
        );
    }
}
