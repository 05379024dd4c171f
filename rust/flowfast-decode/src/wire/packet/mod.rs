//! The headers of a sampled packet (FF-SF-02): as much as there is of it, into fields of a record.

mod ieee80211;
mod ip;
mod tunnel;

use self::ip::{ipv4, ipv6};
use super::sflow::record::{Field, RecordBuilder, field};

/// sFlow's header protocols that are understood.
pub(crate) mod header_protocol {
    pub(crate) const ETHERNET: u32 = 1;
    pub(crate) const PPP: u32 = 7;
    pub(crate) const IPV4: u32 = 11;
    pub(crate) const IPV6: u32 = 12;
    pub(crate) const MPLS: u32 = 13;
    pub(crate) const POS: u32 = 14;
    pub(crate) const IEEE80211_MAC: u32 = 15;
}

mod ether_type {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const SERVICE_VLAN: u16 = 0x88a8;
    pub(super) const OLD_SERVICE_VLAN: u16 = 0x9100;
    pub(super) const MPLS: u16 = 0x8847;
    pub(super) const MPLS_UPSTREAM: u16 = 0x8848;
    /// Transparent Ethernet Bridging: a frame, in a tunnel.
    pub(super) const BRIDGED: u16 = 0x6558;
    /// Smaller values are the length of an IEEE 802.3 frame.
    pub(super) const MIN: u16 = 0x0600;
}

const MAX_VLAN_TAGS: usize = 4;
const MAX_MPLS_LABELS: usize = 16;
/// Elements 70 to 79 hold labels.
const MPLS_LABEL_ELEMENTS: u32 = 10;

/// In the order of the frame.
const ETHERNET: [Field; 2] = [field(80, 6), field(56, 6)];
/// Id and priority of the outermost tag, and of the one inside it: dot1q and dot1qCustomer.
const TAGS: [[Field; 2]; 2] = [
    [field(243, 2), field(244, 1)],
    [field(245, 2), field(246, 1)],
];
const ETHER_TYPE: [Field; 1] = [field(256, 2)];
/// Adds what the start of a packet tells. `protocol`: sFlow's header protocol.
pub(crate) fn put_fields(record: &mut RecordBuilder, protocol: u32, packet: &[u8]) {
    // `None` is where the header ends early: what came before stays.
    let _ = match protocol {
        header_protocol::ETHERNET => ethernet(record, packet),
        header_protocol::PPP | header_protocol::POS => ppp(record, packet),
        header_protocol::IPV4 => ipv4(record, packet),
        header_protocol::IPV6 => ipv6(record, packet),
        header_protocol::MPLS => mpls(record, packet),
        header_protocol::IEEE80211_MAC => ieee80211::frame(record, packet),
        _ => None,
    };
}

/// Cuts a header of so many octets off.
fn split<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8])> {
    bytes.split_first_chunk()
}

fn ethernet(record: &mut RecordBuilder, frame: &[u8]) -> Option<()> {
    let (addresses, mut rest) = split::<12>(frame)?;
    record.put(&ETHERNET, addresses);
    for tag in 0..=MAX_VLAN_TAGS {
        let (octets, after) = split::<2>(rest)?;
        let ether_type = u16::from_be_bytes(*octets);
        match ether_type {
            ether_type::VLAN | ether_type::SERVICE_VLAN | ether_type::OLD_SERVICE_VLAN
                if tag < MAX_VLAN_TAGS =>
            {
                let (control, after) = split::<2>(after)?;
                if let Some(fields) = TAGS.get(tag) {
                    let control = u16::from_be_bytes(*control);
                    let [high, low] = (control & 0x0fff).to_be_bytes();
                    record.put(fields, &[high, low, (control >> 13) as u8]);
                }
                rest = after;
            }
            ether_type::MIN.. => {
                record.put(&ETHER_TYPE, octets);
                return ether_payload(record, ether_type, after);
            }
            _ => return llc(record, after),
        }
    }
    None
}

fn ether_payload(record: &mut RecordBuilder, ether_type: u16, payload: &[u8]) -> Option<()> {
    match ether_type {
        ether_type::IPV4 => ipv4(record, payload),
        ether_type::IPV6 => ipv6(record, payload),
        ether_type::MPLS | ether_type::MPLS_UPSTREAM => mpls(record, payload),
        ether_type::BRIDGED => ethernet(record, payload),
        _ => None,
    }
}

/// IEEE 802.2: a SNAP header with an Ethernet type, or IP's own service access point.
fn llc(record: &mut RecordBuilder, frame: &[u8]) -> Option<()> {
    match split::<3>(frame)? {
        ([0xaa, 0xaa, 0x03], after) => {
            let (header, payload) = split::<5>(after)?;
            let [0, 0, 0, high, low] = *header else {
                return None;
            };
            record.put(&ETHER_TYPE, &[high, low]);
            ether_payload(record, u16::from_be_bytes([high, low]), payload)
        }
        ([0x06, 0x06, 0x03], payload) => ipv4(record, payload),
        _ => None,
    }
}

/// RFC 1661 section 2, with or without the HDLC framing of RFC 1662.
fn ppp(record: &mut RecordBuilder, frame: &[u8]) -> Option<()> {
    let frame = frame.strip_prefix(&[0xff, 0x03]).unwrap_or(frame);
    let (protocol, payload) = split::<2>(frame)?;
    match u16::from_be_bytes(*protocol) {
        0x0021 => ipv4(record, payload),
        0x0057 => ipv6(record, payload),
        0x0281 | 0x0283 => mpls(record, payload),
        _ => None,
    }
}

/// A label stack (RFC 3032); nothing says what it carries, so the IP version is a guess.
fn mpls(record: &mut RecordBuilder, mut packet: &[u8]) -> Option<()> {
    for (depth, element) in (70..).take(MAX_MPLS_LABELS).enumerate() {
        let ([entry @ .., _ttl], rest) = split::<4>(packet)?;
        if depth < MPLS_LABEL_ELEMENTS as usize {
            record.put(&[field(element, 3)], entry);
        }
        packet = rest;
        let is_bottom = entry[2] & 1 != 0;
        if is_bottom {
            return match packet.first()? >> 4 {
                4 => ipv4(record, packet),
                6 => ipv6(record, packet),
                _ => None,
            };
        }
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Values of elements that the packet tells.
    pub(super) fn parse<const N: usize>(
        protocol: u32,
        packet: &[u8],
        ids: [u32; N],
    ) -> [Option<u64>; N] {
        let mut record = RecordBuilder::default();
        put_fields(&mut record, protocol, packet);
        let values = record.values();
        ids.map(|id| {
            let found = values.iter().find(|value| value.0 == id);
            found.map(|value| crate::bytes::be_uint(&value.1).0)
        })
    }

    fn frame(after_addresses: &[&[u8]]) -> Vec<u8> {
        let addresses: &[u8] = &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        [&[addresses], after_addresses].concat().concat()
    }

    /// 192.0.2.10 to 198.51.100.20, of this protocol and fragment word, with options of so many words.
    pub(super) fn ipv4_header(protocol: u8, fragment: u16, options: u8, payload: u16) -> Vec<u8> {
        let header_len = 20 + u16::from(options) * 4;
        let [len_high, len_low] = (header_len + payload).to_be_bytes();
        let [fragment_high, fragment_low] = fragment.to_be_bytes();
        let mut header = vec![
            0x45 + options,
            8,
            len_high,
            len_low,
            0x12,
            0x34,
            fragment_high,
            fragment_low,
            64,
            protocol,
            0,
            0,
        ];
        header.extend([192, 0, 2, 10, 198, 51, 100, 20]);
        header.resize(usize::from(header_len), 1);
        header
    }

    pub(super) fn ipv6_header(next_header: u8) -> Vec<u8> {
        let mut header = vec![0x6a, 0xbc, 0xde, 0xf1, 0, 0, next_header, 63];
        header.extend([0x20; 16]);
        header.extend([0x30; 16]);
        header
    }

    pub(super) const TCP: [u8; 20] = [
        0xc3, 0x50, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x51, 0x12, 0, 0, 0, 0, 0, 0,
    ];

    #[test]
    fn ethernet_and_tcp() {
        let packet = frame(&[&[0x08, 0x00], &ipv4_header(6, 0x4000, 0, 20), &TCP]);
        let values = parse(
            1,
            &packet,
            [80, 56, 256, 243, 5, 54, 88, 192, 4, 8, 12, 7, 11, 6],
        );
        let expected = [
            0x0200_0000_0002,
            0x0200_0000_0001,
            0x0800,
            0,
            8,
            0x1234,
            0,
            64,
            6,
            0xc000_020a,
            0xc633_6414,
            50000,
            443,
            0x112,
        ];
        let mut expected = expected.map(Some);
        expected[3] = None;
        assert_eq!(values, expected);
    }

    #[test]
    fn up_to_four_tags_of_three_kinds() {
        // FF-SF-02.
        let tags: [&[u8]; 5] = [
            &[0x88, 0xa8, 0x60, 5],
            &[0x81, 0, 0, 6],
            &[0x91, 0, 0, 7],
            &[0x81, 0, 0, 8],
            &[0x81, 0, 0, 9],
        ];
        let ipv4 = ipv4_header(17, 0, 0, 0);
        for count in 1..=4 {
            let packet = frame(&[&tags[..count].concat(), &[0x08, 0x00], &ipv4]);
            let [outer, priority, inner, ether_type, source] =
                parse(1, &packet, [243, 244, 245, 256, 8]);
            assert_eq!(
                (outer, priority, ether_type),
                (Some(5), Some(3), Some(0x0800))
            );
            assert_eq!((inner.is_some(), source.is_some()), (count > 1, true));
        }
        let packet = frame(&[&tags.concat(), &[0x08, 0x00], &ipv4]);
        assert_eq!(parse(1, &packet, [256, 8]), [Some(0x8100), None]);
    }

    #[test]
    fn frames_of_ieee_802_3() {
        let ipv4 = ipv4_header(17, 0, 0, 0);
        let snap = frame(&[&[0, 40, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ipv4]);
        assert_eq!(parse(1, &snap, [256, 8]), [Some(0x0800), Some(0xc000_020a)]);
        let other_oui = frame(&[&[0, 40, 0xaa, 0xaa, 3, 0, 0, 12, 8, 0], &ipv4]);
        assert_eq!(parse(1, &other_oui, [256, 8]), [None, None]);
        let llc = frame(&[&[0, 40, 6, 6, 3], &ipv4]);
        assert_eq!(parse(1, &llc, [256, 8]), [None, Some(0xc000_020a)]);
        let spanning_tree = frame(&[&[0, 38, 0x42, 0x42, 3], &ipv4]);
        assert_eq!(
            parse(1, &spanning_tree, [80, 256, 8]),
            [Some(0x0200_0000_0002), None, None]
        );
    }

    #[test]
    fn label_stacks_and_the_guess_below() {
        // FF-SF-02: RFC 3032.
        let ipv4 = ipv4_header(17, 0, 0, 0);
        let entry = |label: u8, bottom: u8| [0, label, bottom, 64];
        let two = [entry(1, 0), entry(2, 1)].concat();
        let packet = frame(&[&[0x88, 0x47], &two, &ipv4]);
        assert_eq!(
            parse(1, &packet, [256, 70, 71, 72, 8]),
            [
                Some(0x8847),
                Some(0x100),
                Some(0x201),
                None,
                Some(0xc000_020a)
            ]
        );
        assert_eq!(
            parse(13, &[&two[..], &ipv6_header(59)].concat(), [71, 4]),
            [Some(0x201), Some(59)]
        );
        // A pseudowire.
        assert_eq!(
            parse(13, &[&two[..], &[0; 40]].concat(), [71, 8]),
            [Some(0x201), None]
        );
        let stack = |depth: usize| {
            let mut entries = vec![entry(9, 0); depth - 1];
            entries.push(entry(9, 1));
            [entries.concat(), ipv4.clone()].concat()
        };
        assert_eq!(
            parse(13, &stack(16), [79, 80, 8]),
            [Some(0x900), None, Some(0xc000_020a)]
        );
        assert_eq!(parse(13, &stack(17), [79, 8]), [Some(0x900), None]);
    }

    #[test]
    fn other_transports_and_links() {
        let sctp = [&ipv4_header(132, 0, 0, 4)[..], &[0, 1, 0, 2]].concat();
        assert_eq!(parse(11, &sctp, [7, 11, 6]), [Some(1), Some(2), None]);
        let icmp = [&ipv4_header(1, 0, 0, 2)[..], &[3, 1]].concat();
        assert_eq!(parse(11, &icmp, [32, 139, 7]), [Some(0x0301), None, None]);
        for framing in [&[0xff, 3, 0, 0x21][..], &[0, 0x21]] {
            assert_eq!(
                parse(7, &[framing, &icmp].concat(), [8]),
                [Some(0xc000_020a)]
            );
        }
        assert_eq!(parse(17, &icmp, [8]), [None]);
        let gre = [&ipv4_header(47, 0, 0, 4)[..], &[0; 4]].concat();
        assert_eq!(parse(11, &gre, [4, 7]), [Some(47), None]);
    }

    #[test]
    fn every_prefix_gives_what_is_there() {
        // FF-SF-02: never a read past the sample.
        let packet = frame(&[
            &[0x81, 0, 0, 5, 0x08, 0x00],
            &ipv4_header(6, 0, 2, 20),
            &TCP,
        ]);
        let fields = |len: usize| {
            let mut record = RecordBuilder::default();
            put_fields(&mut record, 1, &packet[..len]);
            record.values().len()
        };
        let mut counts: Vec<usize> = (0..=packet.len()).map(fields).collect();
        assert!(counts.is_sorted());
        counts.dedup();
        // Addresses, tag, type, IPv4, ports, flags.
        assert_eq!(counts, [0, 2, 4, 5, 12, 14, 15]);
    }
}
