//! IP and what it carries.

use super::{split, tunnel};
use crate::bytes::{be16, be32};
use crate::wire::sflow::record::{Field, RecordBuilder, field};

pub(super) mod ip_protocol {
    pub(super) const ICMP: u8 = 1;
    pub(super) const IPV4: u8 = 4;
    pub(super) const TCP: u8 = 6;
    pub(super) const UDP: u8 = 17;
    pub(super) const IPV6: u8 = 41;
    pub(super) const GRE: u8 = 47;
    pub(super) const ICMPV6: u8 = 58;
    pub(super) const SCTP: u8 = 132;
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION_OPTIONS: u8 = 60;
}

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

/// RFC 791. The fields of a header cut within its options are there all the same.
pub(super) fn ipv4(record: &mut RecordBuilder, packet: &[u8]) -> Option<()> {
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
pub(super) fn ipv6(record: &mut RecordBuilder, packet: &[u8]) -> Option<()> {
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
        ip_protocol::UDP => {
            record.put(&PORTS, split::<4>(segment)?.0);
            let (header, payload) = split::<8>(segment)?;
            return tunnel::over_udp(record, be16(header, 2), payload);
        }
        ip_protocol::SCTP => record.put(&PORTS, split::<4>(segment)?.0),
        ip_protocol::ICMP => record.put(&ICMP, split::<2>(segment)?.0),
        ip_protocol::ICMPV6 => record.put(&ICMPV6, split::<2>(segment)?.0),
        ip_protocol::IPV4 => return record.put_inner(|record| ipv4(record, segment)),
        ip_protocol::IPV6 => return record.put_inner(|record| ipv6(record, segment)),
        ip_protocol::GRE => return tunnel::gre(record, segment),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TCP, ipv4_header, ipv6_header, parse};

    #[test]
    fn options_and_fragments() {
        let udp: &[u8] = &[0, 53, 0x30, 0x39, 0, 8, 0, 0];
        let with_options = [&ipv4_header(17, 0, 10, 8)[..], udp].concat();
        assert_eq!(parse(11, &with_options, [7, 11]), [Some(53), Some(12345)]);
        let first = [&ipv4_header(17, 0x2000, 0, 8)[..], udp].concat();
        assert_eq!(parse(11, &first, [88, 7]), [Some(0), Some(53)]);
        let later = [&ipv4_header(17, 0x2005, 0, 8)[..], udp].concat();
        assert_eq!(parse(11, &later, [88, 4, 7]), [Some(5), Some(17), None]);
        // Padding of the frame is no header.
        let padded = [&ipv4_header(17, 0, 0, 0)[..], udp].concat();
        assert_eq!(parse(11, &padded, [4, 7]), [Some(17), None]);
    }

    #[test]
    fn extension_headers_of_ipv6() {
        // RFC 8200 section 4.1: hop-by-hop, routing, fragment, destination options, then TCP.
        let chain = |fragment_offset: u8| {
            let mut packet = ipv6_header(0);
            packet.extend([43, 0, 0, 0, 0, 0, 0, 0]);
            packet.extend([44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            packet.extend([60, 0, 0, fragment_offset << 3 | 1, 0xa, 0xb, 0xc, 0xd]);
            packet.extend([6, 0, 0, 0, 0, 0, 0, 0]);
            packet.extend(TCP);
            packet
        };
        let ids = [5, 31, 192, 4, 54, 88, 7];
        let first = parse(12, &chain(0), ids);
        assert_eq!(
            first,
            [0xab, 0xcdef1, 63, 6, 0x0a0b_0c0d, 0, 50000].map(Some)
        );
        let later = parse(12, &chain(3), ids);
        assert_eq!(later[3..], [Some(60), Some(0x0a0b_0c0d), Some(3), None]);
        let authenticated = [&ipv6_header(51)[..], &[58, 1, 0, 0], &[0; 8], &[128, 0]].concat();
        assert_eq!(
            parse(12, &authenticated, [4, 139]),
            [Some(58), Some(0x8000)]
        );
    }
}
