//! IEEE 802.11 frames: header protocol 15.

use super::{ETHERNET, llc, split};
use crate::wire::sflow::record::RecordBuilder;

/// Frame types and a bit of data frames' subtypes (IEEE 802.11-2020 section 9.2.4.1).
mod frame_type {
    pub(super) const MANAGEMENT: u8 = 0;
    pub(super) const DATA: u8 = 2;
    pub(super) const NO_DATA: u8 = 0x4;
    pub(super) const QOS: u8 = 0x8;
}

/// Bits of the second octet of frame control.
mod flag {
    pub(super) const TO_DS: u8 = 0x01;
    pub(super) const FROM_DS: u8 = 0x02;
    pub(super) const PROTECTED: u8 = 0x40;
    pub(super) const HT_CONTROL: u8 = 0x80;
}

/// The addresses of management and data frames; of a data frame that is not encrypted, what it carries (section 9.3.2).
pub(super) fn frame(record: &mut RecordBuilder, frame: &[u8]) -> Option<()> {
    let (header, mut rest) = split::<24>(frame)?;
    let (frame_type, subtype, flags) = (header[0] >> 2 & 3, header[0] >> 4, header[1]);
    if !matches!(frame_type, frame_type::MANAGEMENT | frame_type::DATA) {
        return None;
    }
    let (first, second, third) = (&header[4..10], &header[10..16], &header[16..22]);
    // Table 9-30: where destination and source stand.
    let (destination, source) = match flags & (flag::TO_DS | flag::FROM_DS) {
        0 => (first, second),
        flag::FROM_DS => (first, third),
        flag::TO_DS => (third, second),
        _ => {
            let (fourth, after) = split::<6>(rest)?;
            rest = after;
            (third, &fourth[..])
        }
    };
    record.put(&ETHERNET, &[destination, source].concat());
    let has_payload = frame_type == frame_type::DATA
        && subtype & frame_type::NO_DATA == 0
        && flags & flag::PROTECTED == 0;
    if !has_payload {
        return None;
    }
    if subtype & frame_type::QOS != 0 {
        rest = split::<2>(rest)?.1;
        if flags & flag::HT_CONTROL != 0 {
            rest = split::<4>(rest)?.1;
        }
    }
    llc(record, rest)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ipv4_header, parse};

    const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
    const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];
    const C: [u8; 6] = [2, 0, 0, 0, 0, 0xc];
    const D: [u8; 6] = [2, 0, 0, 0, 0, 0xd];
    const SNAP_IPV4: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

    /// A frame of three addresses, and what follows them.
    fn frame(control: [u8; 2], rest: &[&[u8]]) -> Vec<u8> {
        let header = [&control[..], &[0, 0], &A, &B, &C, &[0x10, 0]].concat();
        [header, rest.concat()].concat()
    }

    fn values(frame: &[u8]) -> [Option<u64>; 3] {
        let low = |value: Option<u64>| value.map(|value| value & 0xff);
        let [destination, source, address] = parse(15, frame, [80, 56, 8]);
        [low(destination), low(source), low(address)]
    }

    #[test]
    fn addresses_by_distribution_system() {
        // FF-SF-02; IEEE 802.11-2020 table 9-30. Data is type 2: 0x08, with QoS 0x88.
        let ip = ipv4_header(17, 0, 0, 0);
        let plain: &[&[u8]] = &[&SNAP_IPV4, &ip];
        let (a, b, c, d, ip_low) = (Some(0xa), Some(0xb), Some(0xc), Some(0xd), Some(10));
        assert_eq!(values(&frame([0x08, 0], plain)), [a, b, ip_low]);
        assert_eq!(values(&frame([0x08, 2], plain)), [a, c, ip_low]);
        assert_eq!(values(&frame([0x08, 1], plain)), [c, b, ip_low]);
        let four: &[&[u8]] = &[&D, &SNAP_IPV4, &ip];
        assert_eq!(values(&frame([0x08, 3], four)), [c, d, ip_low]);
        let qos: &[&[u8]] = &[&[0, 0], &SNAP_IPV4, &ip];
        assert_eq!(values(&frame([0x88, 2], qos)), [a, c, ip_low]);
        let ht: &[&[u8]] = &[&[0, 0], &[0; 4], &SNAP_IPV4, &ip];
        assert_eq!(values(&frame([0x88, 0x82], ht)), [a, c, ip_low]);
    }

    #[test]
    fn what_cannot_be_read_is_left() {
        let ip = ipv4_header(17, 0, 0, 0);
        let plain: &[&[u8]] = &[&SNAP_IPV4, &ip];
        let (a, b, c) = (Some(0xa), Some(0xb), Some(0xc));
        // Encrypted; without data; a beacon; an acknowledgement.
        assert_eq!(values(&frame([0x08, 0x42], plain)), [a, c, None]);
        assert_eq!(values(&frame([0x48, 0], plain)), [a, b, None]);
        assert_eq!(values(&frame([0x80, 0], plain)), [a, b, None]);
        assert_eq!(values(&frame([0xd4, 0], plain)), [None, None, None]);
        let whole = frame([0x88, 0x83], &[&D, &[0; 6], &SNAP_IPV4, &ip]);
        for len in 0..whole.len() {
            let [destination, source, _] = values(&whole[..len]);
            assert_eq!(
                (destination.is_some(), source.is_some()),
                (len >= 30, len >= 30)
            );
        }
    }
}
