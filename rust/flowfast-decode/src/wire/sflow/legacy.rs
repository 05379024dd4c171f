//! Samples of sFlow v2 and v4 (spec 2.15.5): without lengths, so that an unknown type ends the datagram.

use super::cursor::Cursor;
use super::datagram::Version;
use super::layouts::{COUNTER, FLOW, FLOW_V2, FLOW_V4, SAMPLE};
use super::sample::{
    IN, MAX_RECORDS, OUT, SAMPLED_HEADER, put_header_fields, put_interface, put_packet_count,
};
use super::structure::{RecordBuilder, Structure, field};
use crate::element::sflow::SAMPLING_INTERVAL_S;
use crate::error::DecodeError;
use crate::template::RecordKind;

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
) -> Result<RecordKind, DecodeError> {
    match cursor.unsigned().ok_or(DecodeError::SampleOverrun)? {
        sample_type::FLOW => {
            flow_sample(cursor, version, record)?;
            Ok(RecordKind::Data)
        }
        sample_type::COUNTERS => {
            counters_sample(cursor, record)?;
            Ok(RecordKind::Counters)
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
