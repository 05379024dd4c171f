//! Samples of sFlow v5 (spec 2.15.2 to 2.15.4).

use super::cursor::Cursor;
use super::datagram::tagged;
use super::layouts::{COUNTER, DISCARD_REASONS, FLOW, SAMPLE};
use super::structure::{Field, RecordBuilder, Structure, field};
use crate::element::sflow::{DISCARD_REASON_NAME, IN_FORMAT, IN_VALUE, OUT_FORMAT, OUT_VALUE};
use crate::error::{DecodeError, Warning};
use crate::template::{RecordKind, VARIABLE};
use crate::wire::packet;

/// Types of samples (enterprise 0).
mod sample_type {
    pub(super) const FLOW: u32 = 1;
    pub(super) const COUNTERS: u32 = 2;
    pub(super) const FLOW_EXPANDED: u32 = 3;
    pub(super) const COUNTERS_EXPANDED: u32 = 4;
    pub(super) const DISCARDED_PACKET: u32 = 5;
}

/// The flow record that holds the start of the packet itself.
pub(super) const SAMPLED_HEADER: u32 = 1;

/// Records of one sample that become columns. Exporters send about ten; a bound on the size of a template.
pub(super) const MAX_RECORDS: usize = 32;

/// A sample is of one packet: packetDeltaCount 1 (FF-SF-05).
const PACKETS: [Field; 1] = [field(2, 1)];

/// forwardingStatus (RFC 7270 section 4.12): dropped, for a reason of sFlow's own.
const FORWARDING_STATUS: [Field; 1] = [field(89, 1)];
const DROPPED: u8 = 2 << 6;

/// Reads a v5 sample into a record. `None`: a type that is not known (FF-SF-01).
pub(crate) fn read(
    tag: u32,
    body: &[u8],
    record: &mut RecordBuilder,
    warnings: &mut Vec<Warning>,
) -> Result<Option<RecordKind>, DecodeError> {
    let Some(layout) = Structure::find(SAMPLE, tag) else {
        return Ok(None);
    };
    let mut cursor = Cursor::new(body);
    let too_short = DecodeError::SampleLength;
    let reason = body.get(24..28);
    layout.read(&mut cursor, record).ok_or(too_short)?;
    match tag {
        sample_type::FLOW => {
            for side in [IN, OUT] {
                put_interface(record, side, cursor.unsigned().ok_or(too_short)?);
            }
        }
        sample_type::FLOW_EXPANDED => {
            for side in [IN, OUT] {
                put_interface_expanded(record, side, &mut cursor).ok_or(too_short)?;
            }
        }
        sample_type::DISCARDED_PACKET => {
            record.put(&FORWARDING_STATUS, &[DROPPED]);
            put_reason_name(record, reason);
        }
        _ => {}
    }
    let is_counters = matches!(tag, sample_type::COUNTERS | sample_type::COUNTERS_EXPANDED);
    if is_counters {
        records(&mut cursor, COUNTER, record, warnings)?;
        return Ok(Some(RecordKind::Counters));
    }
    put_packet_count(record);
    records(&mut cursor, FLOW, record, warnings)?;
    Ok(Some(RecordKind::Data))
}

pub(super) fn put_packet_count(record: &mut RecordBuilder) {
    record.put(&PACKETS, &[1]);
}

/// Elements of one of a sample's two interfaces.
#[derive(Clone, Copy)]
pub(super) struct Side {
    if_index: u32,
    format: u32,
    value: u32,
}

pub(super) const IN: Side = Side {
    if_index: 10,
    format: IN_FORMAT,
    value: IN_VALUE,
};

pub(super) const OUT: Side = Side {
    if_index: 14,
    format: OUT_FORMAT,
    value: OUT_VALUE,
};

impl Side {
    /// Only format 0 is an ifIndex; 1 is a reason of discarding and 2 a number of destinations.
    fn value_element(self, format: u32) -> u32 {
        if format == 0 {
            self.if_index
        } else {
            self.value
        }
    }
}

/// The word of compact samples: two bits of format, thirty of value.
pub(super) fn put_interface(record: &mut RecordBuilder, side: Side, word: u32) {
    let format = word >> 30;
    let value = side.value_element(format);
    record.put(&[field(side.format, 1), field(value, 4)], &{
        let [a, b, c, d] = (word & 0x3fff_ffff).to_be_bytes();
        [format as u8, a, b, c, d]
    });
}

fn put_interface_expanded(
    record: &mut RecordBuilder,
    side: Side,
    cursor: &mut Cursor<'_>,
) -> Option<()> {
    let octets = cursor.take(8)?;
    let format = Cursor::new(octets).unsigned()?;
    let value = side.value_element(format);
    record.put(&[field(side.format, 4), field(value, 4)], octets);
    Some(())
}

/// FF-SF-09. A reason that is not known has no name.
fn put_reason_name(record: &mut RecordBuilder, reason: Option<&[u8]>) {
    let code = reason.and_then(|octets| Cursor::new(octets).unsigned());
    let name = code.and_then(|code| {
        let found = DISCARD_REASONS.binary_search_by_key(&code, |reason| reason.0);
        found.ok().map(|index| DISCARD_REASONS[index].1)
    });
    if let Some(name) = name {
        record.put_variable(field(DISCARD_REASON_NAME, VARIABLE), name.as_bytes());
    }
}

/// Reads the records of a sample. Unknown and malformed ones are skipped by their length, and counted.
fn records(
    cursor: &mut Cursor<'_>,
    structures: &'static [Structure],
    record: &mut RecordBuilder,
    warnings: &mut Vec<Warning>,
) -> Result<(), DecodeError> {
    let count = cursor.unsigned().ok_or(DecodeError::SampleLength)?;
    let mut known = 0;
    for _ in 0..count {
        let (tag, body) = tagged(cursor).ok_or(DecodeError::RecordOverrun)?;
        let Some(structure) = Structure::find(structures, tag) else {
            warnings.push(Warning::UnknownRecord);
            continue;
        };
        known += 1;
        if known > MAX_RECORDS {
            warnings.push(Warning::ExcessRecord);
            continue;
        }
        let checkpoint = record.checkpoint();
        if structure.read(&mut Cursor::new(body), record).is_none() {
            record.rollback(checkpoint);
            warnings.push(Warning::MalformedRecord);
        } else if std::ptr::eq(structures, FLOW) && tag == SAMPLED_HEADER {
            put_header_fields(record, &mut Cursor::new(body), 8);
        }
    }
    Ok(())
}

/// Parses the packet in a sampled header structure that has been read. `between`: octets from the protocol to the header.
pub(super) fn put_header_fields(
    record: &mut RecordBuilder,
    cursor: &mut Cursor<'_>,
    between: usize,
) -> Option<()> {
    let protocol = cursor.unsigned()?;
    cursor.take(between)?;
    packet::put_fields(record, protocol, cursor.opaque()?);
    Some(())
}
