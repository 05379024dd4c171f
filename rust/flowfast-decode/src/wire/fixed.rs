//! NetFlow v1, v5, v6, v7 and v8 (spec 2.1): a header and an array of records whose layout the version fixes.

use super::layouts::LAYOUTS;
use crate::bytes::{be16, be32};
use crate::error::DecodeError;

/// A constant template: one version, and for v8 one aggregation method.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) version: u16,
    /// v8 aggregation method, else 0.
    pub(crate) method: u8,
    pub(super) header_len: usize,
    pub(crate) record_len: usize,
    pub(super) max_records: usize,
    /// (IANA or local element id, octets) in wire order.
    pub(crate) fields: &'static [(u32, u16)],
}

mod offset {
    pub(super) const COUNT: usize = 2;
    pub(super) const SYS_UPTIME: usize = 4;
    pub(super) const UNIX_SECS: usize = 8;
    pub(super) const UNIX_NSECS: usize = 12;
    pub(super) const FLOW_SEQUENCE: usize = 16;
    pub(super) const ENGINE: usize = 20;
    pub(super) const SAMPLING: usize = 22;
    pub(super) const AGGREGATION_METHOD: usize = 22;
    pub(super) const AGGREGATION_VERSION: usize = 23;
}

/// A datagram of NetFlow v1-v8 that is as long as it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FixedPacket<'a> {
    pub(crate) layout: &'static Layout,
    /// Index of `layout` among all layouts.
    pub(crate) layout_index: usize,
    bytes: &'a [u8],
}

impl<'a> FixedPacket<'a> {
    /// Ensures that no getter will panic (FF-NF-01, FF-NF-09).
    pub(crate) fn new_checked(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.len() < offset::UNIX_NSECS + 4 {
            return Err(DecodeError::HeaderTruncated);
        }
        let version = be16(bytes, 0);
        let method = match version {
            8 => v8_method(bytes)?,
            _ => 0,
        };
        let layout_index = LAYOUTS
            .iter()
            .position(|layout| layout.version == version && layout.method == method)
            .ok_or(if version == 8 {
                DecodeError::Unsupported
            } else {
                DecodeError::UnknownVersion
            })?;
        let packet = Self {
            layout: &LAYOUTS[layout_index],
            layout_index,
            bytes,
        };
        let Some(room) = bytes.len().checked_sub(packet.layout.header_len) else {
            return Err(DecodeError::HeaderTruncated);
        };
        match packet.count() {
            0 => Err(DecodeError::CountZero),
            count if count * packet.layout.record_len > room => {
                Err(DecodeError::CountExceedsLength)
            }
            _ => Ok(packet),
        }
    }

    /// Records in the datagram.
    pub(crate) fn count(&self) -> usize {
        usize::from(be16(self.bytes, offset::COUNT))
    }

    /// More records than exporters of this version send (spec 2.1.2).
    pub(crate) fn is_above_maximum(&self) -> bool {
        self.count() > self.layout.max_records
    }

    /// Milliseconds since the exporter started.
    pub(crate) fn sys_uptime_ms(&self) -> u32 {
        be32(self.bytes, offset::SYS_UPTIME)
    }

    /// When the datagram was sent, milliseconds since the UNIX epoch.
    pub(crate) fn export_time_ms(&self) -> i64 {
        i64::from(be32(self.bytes, offset::UNIX_SECS)) * 1000
            + i64::from(be32(self.bytes, offset::UNIX_NSECS) / 1_000_000)
    }

    /// Flow Records sent before this datagram; v1 has none (FF-NF-03, FF-NF-04).
    pub(crate) fn flow_sequence(&self) -> Option<u32> {
        (self.layout.version != 1).then(|| be32(self.bytes, offset::FLOW_SEQUENCE))
    }

    /// Engine type and id, the Observation Domain of these versions; v1 has none.
    pub(crate) fn engine(&self) -> Option<u16> {
        (self.layout.version != 1).then(|| be16(self.bytes, offset::ENGINE))
    }

    /// v5's sampling mode (2 bits) and interval (14 bits).
    pub(crate) fn sampling(&self) -> Option<(u8, u16)> {
        (self.layout.version == 5).then(|| {
            let word = be16(self.bytes, offset::SAMPLING);
            ((word >> 14) as u8, word & 0x3fff)
        })
    }

    /// The records, `count() * record_len` octets.
    pub(crate) fn records(&self) -> &'a [u8] {
        let start = self.layout.header_len;
        &self.bytes[start..start + self.count() * self.layout.record_len]
    }

    /// Octets after the last record (FF-NF-02).
    pub(crate) fn trailing_octets(&self) -> usize {
        self.bytes.len() - self.layout.header_len - self.records().len()
    }
}

/// FF-NF-09: methods 1-14 of aggregation version 2, which some exporters write as 0.
fn v8_method(bytes: &[u8]) -> Result<u8, DecodeError> {
    let (Some(&method), Some(&version)) = (
        bytes.get(offset::AGGREGATION_METHOD),
        bytes.get(offset::AGGREGATION_VERSION),
    ) else {
        return Err(DecodeError::HeaderTruncated);
    };
    match (method, version) {
        (1..=14, 0 | 2) => Ok(method),
        _ => Err(DecodeError::Unsupported),
    }
}

/// All layouts, for compiling their plans.
pub(crate) fn layouts() -> &'static [Layout] {
    LAYOUTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v5(count: u16, records: usize) -> Vec<u8> {
        let mut bytes = vec![0; 24 + 48 * records];
        bytes[..4].copy_from_slice(&[0, 5, (count >> 8) as u8, count as u8]);
        bytes[20..24].copy_from_slice(&[1, 2, 0x80, 100]);
        bytes
    }

    #[test]
    fn header_fields_of_v5() {
        let bytes = v5(2, 2);
        let packet = FixedPacket::new_checked(&bytes).unwrap();
        assert_eq!(
            (packet.count(), packet.engine(), packet.sampling()),
            (2, Some(0x0102), Some((2, 100)))
        );
        assert_eq!((packet.records().len(), packet.trailing_octets()), (96, 0));
    }

    #[test]
    fn count_must_be_covered_by_the_length() {
        // FF-NF-01.
        assert_eq!(
            FixedPacket::new_checked(&v5(0, 1)).unwrap_err(),
            DecodeError::CountZero
        );
        assert_eq!(
            FixedPacket::new_checked(&v5(2, 1)).unwrap_err(),
            DecodeError::CountExceedsLength
        );
        assert_eq!(
            FixedPacket::new_checked(&v5(1, 1)[..20]).unwrap_err(),
            DecodeError::HeaderTruncated
        );
        assert!(
            FixedPacket::new_checked(&v5(31, 31))
                .unwrap()
                .is_above_maximum()
        );
        // FF-NF-02.
        assert_eq!(
            FixedPacket::new_checked(&v5(1, 2))
                .unwrap()
                .trailing_octets(),
            48
        );
    }

    #[test]
    fn unknown_versions_and_methods() {
        // FF-NF-09, FF-NF-10.
        let mut bytes = v5(1, 1);
        bytes[1] = 3;
        assert_eq!(
            FixedPacket::new_checked(&bytes).unwrap_err(),
            DecodeError::UnknownVersion
        );
        bytes[1] = 8;
        (bytes[22], bytes[23]) = (15, 2);
        assert_eq!(
            FixedPacket::new_checked(&bytes).unwrap_err(),
            DecodeError::Unsupported
        );
        (bytes[22], bytes[23]) = (14, 1);
        assert_eq!(
            FixedPacket::new_checked(&bytes).unwrap_err(),
            DecodeError::Unsupported
        );
        (bytes[22], bytes[23]) = (14, 0);
        assert_eq!(
            FixedPacket::new_checked(&bytes).unwrap().layout.record_len,
            40
        );
    }
}
