//! Samples of sFlow v5 (spec 2.15.2 to 2.15.4).

use super::cursor::Cursor;
use super::datagram::tagged;
use super::layouts::{COUNTER, DISCARD_REASONS, FLOW, SAMPLE};
use super::record::{Field, RecordBuilder, field};
use super::structure::Structure;
use crate::element::sflow::{DISCARD_REASON_NAME, IN_FORMAT, IN_VALUE, OUT_FORMAT, OUT_VALUE};
use crate::error::{DecodeError, Warning};
use crate::sequence::{Pool, SampleHeader, SampleKind};
use crate::template::VARIABLE;
use crate::wire::packet;

/// Types of samples (enterprise 0).
mod sample_type {
    pub(super) const FLOW: u32 = 1;
    pub(super) const COUNTERS: u32 = 2;
    pub(super) const FLOW_EXPANDED: u32 = 3;
    pub(super) const COUNTERS_EXPANDED: u32 = 4;
    pub(super) const DISCARDED_PACKET: u32 = 5;
}

/// Where a discarded-packet sample says why.
const DISCARD_REASON: std::ops::Range<usize> = 24..28;

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
) -> Result<Option<SampleHeader>, DecodeError> {
    let Some(layout) = Structure::find(SAMPLE, tag) else {
        return Ok(None);
    };
    let mut cursor = Cursor::new(body);
    let too_short = DecodeError::SampleLength;
    layout.read(&mut cursor, record).ok_or(too_short)?;
    let is_expanded = !matches!(tag, sample_type::FLOW | sample_type::COUNTERS);
    let kind = match tag {
        sample_type::FLOW | sample_type::FLOW_EXPANDED => SampleKind::Flow,
        sample_type::COUNTERS | sample_type::COUNTERS_EXPANDED => SampleKind::Counters,
        _ => SampleKind::Discard,
    };
    let header = sample_header(kind, is_expanded, body).ok_or(too_short)?;
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
            put_reason_name(record, body.get(DISCARD_REASON));
        }
        _ => {}
    }
    if kind == SampleKind::Counters {
        records(&mut cursor, COUNTER, record, warnings)?;
    } else {
        put_packet_count(record);
        records(&mut cursor, FLOW, record, warnings)?;
    }
    Ok(Some(header))
}

/// What a sample says of itself: sequence number, data source - in one word or two -, and of flow samples, after their sampling rate,
/// the pool and the drops. The order is that of all versions.
pub(super) fn sample_header(
    kind: SampleKind,
    is_expanded: bool,
    body: &[u8],
) -> Option<SampleHeader> {
    let mut cursor = Cursor::new(body);
    let sequence = cursor.unsigned()?;
    let word = cursor.unsigned()?;
    let source = if is_expanded {
        (word, cursor.unsigned()?)
    } else {
        (word >> 24, word & 0x00ff_ffff)
    };
    let pool = if kind == SampleKind::Flow {
        let _sampling_rate = cursor.unsigned()?;
        let (packets, drops) = (cursor.unsigned()?, cursor.unsigned()?);
        Some(Pool { packets, drops })
    } else {
        None
    };
    Some(SampleHeader {
        kind,
        source,
        sequence,
        pool,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    type Values = Vec<(u32, Vec<u8>)>;

    fn read(
        tag: u32,
        body: &[u32],
    ) -> Result<(Option<SampleKind>, Values, Vec<Warning>), DecodeError> {
        let (mut record, mut warnings) = (RecordBuilder::default(), Vec::new());
        let header = super::read(tag, &words(body), &mut record, &mut warnings)?;
        let kind = header.map(|header| header.kind);
        Ok((kind, record.values(), warnings))
    }

    fn value(values: &Values, id: u32) -> Option<u64> {
        let found = values.iter().find(|value| value.0 == id);
        found.map(|value| crate::bytes::be_uint(&value.1).0)
    }

    #[test]
    fn interfaces_are_if_indexes_only_in_format_0() {
        // Spec 2.15.2: 0x80000007 is seven destinations, 0x40000102 a reason of discarding.
        let sample = |input, output| [1, 0x0300_0009, 100, 2, 0, input, output, 0];
        let (kind, values, _) = read(1, &sample(0x4000_0102, 0x8000_0007)).unwrap();
        assert_eq!(kind, Some(SampleKind::Flow));
        let interfaces =
            [10, IN_FORMAT, IN_VALUE, 14, OUT_FORMAT, OUT_VALUE].map(|id| value(&values, id));
        assert_eq!(
            interfaces,
            [None, Some(1), Some(0x102), None, Some(2), Some(7)]
        );
        let (_, values, _) = read(1, &sample(5, 0x3fff_ffff)).unwrap();
        assert_eq!(
            (value(&values, 10), value(&values, 14)),
            (Some(5), Some(0x3fff_ffff))
        );
        assert_eq!(value(&values, 2), Some(1), "one packet");
        // Expanded: format and value apart.
        let (_, values, _) = read(3, &[1, 3, 9, 100, 2, 0, 0, u32::MAX, 2, 3, 0]).unwrap();
        assert_eq!(
            (value(&values, 10), value(&values, 14)),
            (Some(u32::MAX.into()), None)
        );
        assert_eq!(value(&values, OUT_VALUE), Some(3));
    }

    #[test]
    fn discarded_packets_have_a_reason() {
        // FF-SF-09.
        let (kind, values, warnings) = read(5, &[1, 0, 3, 7, 1, 2, 258, 1, 1036, 4, 42]).unwrap();
        assert_eq!((kind, warnings), (Some(SampleKind::Discard), vec![]));
        let name = values.iter().find(|value| value.0 == DISCARD_REASON_NAME);
        assert_eq!(name.map(|value| &*value.1), Some(&b"acl"[..]));
        assert_eq!((value(&values, 10), value(&values, 14)), (Some(1), Some(2)));
        assert_eq!(value(&values, 89), Some(128));
        let (_, values, _) = read(5, &[1, 0, 3, 7, 1, 2, 99_999, 0]).unwrap();
        assert!(values.iter().all(|value| value.0 != DISCARD_REASON_NAME));
    }

    #[test]
    fn unknown_and_short_records_are_skipped_by_length() {
        // FF-SF-01, FF-SF-08: nine octets and three of padding; a switch record of eight octets.
        let records = [
            4, 999_999, 9, 0, 0, 0, 1001, 8, 5, 6, 1001, 16, 7, 0, 8, 0, 1001, 20, 9, 0, 9, 0, 9,
        ];
        let mut body = vec![1, 3, 100, 2, 0, 1, 2];
        body.extend(records);
        let (_, values, warnings) = read(1, &body).unwrap();
        assert_eq!(warnings, [Warning::UnknownRecord, Warning::MalformedRecord]);
        let vlans: Vec<_> = values.iter().filter(|value| value.0 == 58).collect();
        assert_eq!(vlans.len(), 2, "both whole switch records");
        assert_eq!(value(&values, 58), Some(7));
    }

    #[test]
    fn samples_may_not_lie_about_what_they_hold() {
        // FF-SF-06.
        let error = |tag, body: &[u32]| read(tag, body).unwrap_err();
        for len in 0..8 {
            let sample = [1, 3, 100, 2, 0, 1, 2, 0];
            assert_eq!(error(1, &sample[..len]), DecodeError::SampleLength);
        }
        assert_eq!(error(2, &[1, 3]), DecodeError::SampleLength);
        assert_eq!(error(2, &[1, 3, 1]), DecodeError::RecordOverrun);
        assert_eq!(
            error(2, &[1, 3, u32::MAX, 1, 0]),
            DecodeError::RecordOverrun
        );
        assert_eq!(error(2, &[1, 3, 1, 1, 5, 0]), DecodeError::RecordOverrun);
        assert_eq!(
            error(2, &[1, 3, 1, 1, u32::MAX, 0]),
            DecodeError::RecordOverrun
        );
        // Vendors' samples and later ones are not ours to judge.
        assert_eq!(read((4300 << 12) + 1003, &[1]).unwrap().0, None);
    }

    #[test]
    fn records_beyond_the_bound_are_counted() {
        let mut body = vec![1, 3, 40];
        (0..40).for_each(|_| body.extend([2002, 8, 1, 2]));
        let (_, values, warnings) = read(2, &body).unwrap();
        assert_eq!(warnings, [Warning::ExcessRecord; 40 - MAX_RECORDS]);
        assert_eq!(values.len(), 3 + 2 * MAX_RECORDS);
    }
}
