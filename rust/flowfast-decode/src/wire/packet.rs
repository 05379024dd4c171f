//! The headers of a sampled packet (FF-SF-02): as much as there is of it, into fields of a record.

use super::sflow::structure::{Field, RecordBuilder, field};
use crate::bytes::{be16, be32};

/// sFlow's header protocols that are understood.
mod header_protocol {
    pub(super) const ETHERNET: u32 = 1;
    pub(super) const PPP: u32 = 7;
    pub(super) const IPV4: u32 = 11;
    pub(super) const IPV6: u32 = 12;
    pub(super) const MPLS: u32 = 13;
    pub(super) const POS: u32 = 14;
}

mod ether_type {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const SERVICE_VLAN: u16 = 0x88a8;
    pub(super) const OLD_SERVICE_VLAN: u16 = 0x9100;
    pub(super) const MPLS: u16 = 0x8847;
    pub(super) const MPLS_UPSTREAM: u16 = 0x8848;
    /// Smaller values are the length of an IEEE 802.3 frame.
    pub(super) const MIN: u16 = 0x0600;
}

mod ip_protocol {
    pub(super) const ICMP: u8 = 1;
    pub(super) const TCP: u8 = 6;
    pub(super) const UDP: u8 = 17;
    pub(super) const ICMPV6: u8 = 58;
    pub(super) const SCTP: u8 = 132;
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION_OPTIONS: u8 = 60;
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
/// Class of service, identification, fragment offset, TTL, protocol, addresses.
const IPV4: [Field; 7] = [
    field(5, 1),
    field(54, 2),
    field(88, 2),
    field(192, 1),
    field(4, 1),
    field(8, 4),
    field(12, 4),
];
/// Traffic class, flow label, hop limit, addresses; the protocol follows from the extension headers.
const IPV6: [Field; 5] = [
    field(5, 1),
    field(31, 4),
    field(192, 1),
    field(27, 16),
    field(28, 16),
];
const PROTOCOL: [Field; 1] = [field(4, 1)];
const FRAGMENT: [Field; 2] = [field(54, 4), field(88, 2)];
const PORTS: [Field; 2] = [field(7, 2), field(11, 2)];
const TCP_FLAGS: [Field; 1] = [field(6, 2)];
const ICMP: [Field; 1] = [field(32, 2)];
const ICMPV6: [Field; 1] = [field(139, 2)];

/// Adds what the start of a packet tells. `protocol`: sFlow's header protocol.
pub(crate) fn put_fields(record: &mut RecordBuilder, protocol: u32, packet: &[u8]) {
    // `None` is where the header ends early: what came before stays.
    let _ = match protocol {
        header_protocol::ETHERNET => ethernet(record, packet),
        header_protocol::PPP | header_protocol::POS => ppp(record, packet),
        header_protocol::IPV4 => ipv4(record, packet),
        header_protocol::IPV6 => ipv6(record, packet),
        header_protocol::MPLS => mpls(record, packet),
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

/// RFC 791. The fields of a header cut within its options are there all the same.
fn ipv4(record: &mut RecordBuilder, packet: &[u8]) -> Option<()> {
    let (header, _) = split::<20>(packet)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_len < header.len() {
        return None;
    }
    let fragment_offset = be16(header, 6) & 0x1fff;
    let mut octets = [0; 15];
    octets[0] = header[1];
    octets[1..3].copy_from_slice(&header[4..6]);
    octets[3..5].copy_from_slice(&fragment_offset.to_be_bytes());
    octets[5..7].copy_from_slice(&header[8..10]);
    octets[7..].copy_from_slice(&header[12..]);
    record.put(&IPV4, &octets);
    if fragment_offset != 0 {
        return None;
    }
    // What follows the packet is padding of the frame. Offloading hardware leaves the length at 0.
    let total_len = usize::from(be16(header, 2));
    let end = if total_len < header_len {
        packet.len()
    } else {
        total_len.min(packet.len())
    };
    transport(record, header[9], packet.get(header_len..end)?)
}

/// RFC 8200.
fn ipv6(record: &mut RecordBuilder, packet: &[u8]) -> Option<()> {
    let (header, payload) = split::<40>(packet)?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let word = be32(header, 0);
    let mut octets = [0; 38];
    octets[0] = (word >> 20) as u8;
    octets[1..5].copy_from_slice(&(word & 0x000f_ffff).to_be_bytes());
    octets[5] = header[7];
    octets[6..].copy_from_slice(&header[8..]);
    record.put(&IPV6, &octets);
    let payload_len = usize::from(be16(header, 4));
    let payload = match payload_len {
        // A jumbogram (RFC 2675), or offloading hardware.
        0 => payload,
        len => &payload[..len.min(payload.len())],
    };
    extension_headers(record, header[6], payload)
}

/// Follows the extension headers (RFC 8200 section 4) to the protocol that they carry.
fn extension_headers(
    record: &mut RecordBuilder,
    mut protocol: u8,
    mut payload: &[u8],
) -> Option<()> {
    let mut is_first_fragment = true;
    // Every extension header takes octets, so this ends.
    loop {
        let header_len = match (protocol, payload) {
            (ip_protocol::FRAGMENT, _) => 8,
            (ip_protocol::AUTHENTICATION, &[_, len, ..]) => (usize::from(len) + 2) * 4,
            (
                ip_protocol::HOP_BY_HOP | ip_protocol::ROUTING | ip_protocol::DESTINATION_OPTIONS,
                &[_, len, ..],
            ) => (usize::from(len) + 1) * 8,
            _ => break,
        };
        let Some((header, rest)) = payload.split_at_checked(header_len) else {
            break;
        };
        if protocol == ip_protocol::FRAGMENT && is_first_fragment {
            let offset = be16(header, 2) >> 3;
            is_first_fragment = offset == 0;
            let [high, low] = offset.to_be_bytes();
            let [a, b, c, d] = be32(header, 4).to_be_bytes();
            record.put(&FRAGMENT, &[a, b, c, d, high, low]);
        }
        (protocol, payload) = (header[0], rest);
        if !is_first_fragment {
            break;
        }
    }
    record.put(&PROTOCOL, &[protocol]);
    is_first_fragment
        .then_some(())
        .and_then(|()| transport(record, protocol, payload))
}

/// What transport headers of any length tell: their ports come first.
fn transport(record: &mut RecordBuilder, protocol: u8, segment: &[u8]) -> Option<()> {
    match protocol {
        ip_protocol::TCP => {
            let (ports, rest) = split::<4>(segment)?;
            record.put(&PORTS, ports);
            // The upper four bits are the data offset (RFC 9293 section 3.1).
            let (header, _) = split::<10>(rest)?;
            record.put(&TCP_FLAGS, &(be16(header, 8) & 0x0fff).to_be_bytes());
        }
        ip_protocol::UDP | ip_protocol::SCTP => {
            record.put(&PORTS, split::<4>(segment)?.0);
        }
        ip_protocol::ICMP => record.put(&ICMP, split::<2>(segment)?.0),
        ip_protocol::ICMPV6 => record.put(&ICMPV6, split::<2>(segment)?.0),
        _ => return None,
    }
    Some(())
}
