//! Tunnels: what they are identified by, and the packet inside (FF-SF-02), of which the fields are the `inner_` twins.

use super::{ether_payload, ether_type, ethernet, split};
use crate::bytes::{be16, be32};
use crate::element::sflow::TUNNEL_ID;
use crate::wire::sflow::record::{Field, RecordBuilder, field};

/// Destination ports of tunnels over UDP.
mod port {
    pub(super) const VXLAN: u16 = 4789;
    /// Of Linux before the number was assigned.
    pub(super) const VXLAN_BEFORE_IANA: u16 = 8472;
    pub(super) const GENEVE: u16 = 6081;
}

/// VXLAN's and Geneve's network identifier, GRE's key.
const ID: [Field; 1] = [field(TUNNEL_ID, 4)];

/// What a datagram to a tunnel's port carries. `Some` also where it is none.
pub(super) fn over_udp(
    record: &mut RecordBuilder,
    destination_port: u16,
    payload: &[u8],
) -> Option<()> {
    match destination_port {
        port::VXLAN | port::VXLAN_BEFORE_IANA => vxlan(record, payload),
        port::GENEVE => geneve(record, payload),
        _ => Some(()),
    }
}

/// RFC 7348 section 5.
fn vxlan(record: &mut RecordBuilder, payload: &[u8]) -> Option<()> {
    const HAS_ID: u8 = 0x08;
    let (header, frame) = split::<8>(payload)?;
    if header[0] & HAS_ID == 0 {
        return None;
    }
    let network = be32(header, 4) >> 8;
    record.put_inner_of(network, |record| ethernet(record, frame))
}

/// RFC 8926 section 3.4.
fn geneve(record: &mut RecordBuilder, payload: &[u8]) -> Option<()> {
    let (header, rest) = split::<8>(payload)?;
    let (version, options_words) = (header[0] >> 6, header[0] & 0x3f);
    if version != 0 {
        return None;
    }
    let packet = rest.get(usize::from(options_words) * 4..)?;
    let network = be32(header, 4) >> 8;
    record.put_inner_of(network, |record| {
        ether_payload(record, be16(header, 2), packet)
    })
}

/// RFC 2784 with the key and sequence number of RFC 2890; NVGRE (RFC 7637) is one use of it.
pub(super) fn gre(record: &mut RecordBuilder, packet: &[u8]) -> Option<()> {
    const CHECKSUM: u16 = 0x8000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    /// Routing (RFC 1701) and versions other than 0.
    const OTHERS: u16 = 0x4007;
    let (header, mut rest) = split::<4>(packet)?;
    let (flags, protocol) = (be16(header, 0), be16(header, 2));
    if flags & OTHERS != 0 {
        return None;
    }
    if flags & CHECKSUM != 0 {
        rest = split::<4>(rest)?.1;
    }
    let mut key = None;
    if flags & KEY != 0 {
        let (octets, after) = split::<4>(rest)?;
        (key, rest) = (Some(u32::from_be_bytes(*octets)), after);
    }
    if flags & SEQUENCE != 0 {
        rest = split::<4>(rest)?.1;
    }
    let read = |record: &mut RecordBuilder| ether_payload(record, protocol, rest);
    match key {
        // RFC 7637 section 3.2: a subnet id of 24 bits, and a flow id.
        Some(key) if protocol == ether_type::BRIDGED => record.put_inner_of(key >> 8, read),
        Some(key) => record.put_inner_of(key, read),
        None => record.put_inner(read),
    }
}

impl RecordBuilder {
    /// The same as `put_inner`, of a tunnel with an identifier.
    fn put_inner_of(&mut self, id: u32, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        if self.is_inner() {
            return None;
        }
        self.put(&ID, &id.to_be_bytes());
        self.put_inner(read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TCP, ipv4_header, ipv6_header, parse};
    use super::*;
    use crate::element::INNER_FIELD_BASE;

    const fn inner(id: u32) -> u32 {
        INNER_FIELD_BASE + id
    }

    /// 203.0.113.1 to 203.0.113.2, in which a tunnel is.
    fn outer(protocol: u8, payload: &[&[u8]]) -> Vec<u8> {
        let payload = payload.concat();
        let mut packet = ipv4_header(protocol, 0, 0, payload.len() as u16);
        packet[12..20].copy_from_slice(&[203, 0, 113, 1, 203, 0, 113, 2]);
        [packet, payload].concat()
    }

    fn udp(port: u16) -> Vec<u8> {
        [&[0xc0, 0][..], &port.to_be_bytes(), &[0; 4]].concat()
    }

    fn tcp_in_ipv4() -> Vec<u8> {
        [&ipv4_header(6, 0, 0, 20)[..], &TCP].concat()
    }

    fn frame(ether_type: [u8; 2], payload: &[u8]) -> Vec<u8> {
        [
            &[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8][..],
            &ether_type,
            payload,
        ]
        .concat()
    }

    const OUTER: [Option<u64>; 2] = [Some(0xcb00_7101), Some(0xcb00_7102)];
    const INNER: [Option<u64>; 4] = [Some(0xc000_020a), Some(0xc633_6414), Some(50000), Some(443)];

    type Values = ([Option<u64>; 2], [Option<u64>; 4], Option<u64>, Option<u64>);

    /// Outer addresses; inner addresses and ports; identifier; inner source MAC.
    fn values(packet: &[u8]) -> Values {
        let ids = [
            8,
            12,
            inner(8),
            inner(12),
            inner(7),
            inner(11),
            TUNNEL_ID,
            inner(56),
        ];
        let [a, b, c, d, e, f, id, mac] = parse(11, packet, ids);
        ([a, b], [c, d, e, f], id, mac)
    }

    #[test]
    fn ip_in_ip() {
        // RFC 2003, RFC 4213.
        assert_eq!(
            values(&outer(4, &[&tcp_in_ipv4()])),
            (OUTER, INNER, None, None)
        );
        let in_ipv6 = [&ipv6_header(6)[..], &TCP].concat();
        let packet = outer(41, &[&in_ipv6]);
        let found = parse(
            11,
            &packet,
            [4, inner(4), inner(7), inner(11), inner(6), 27],
        );
        assert_eq!(
            found,
            [Some(41), Some(6), Some(50000), Some(443), Some(0x112), None]
        );
        let over_ipv6 = [&ipv6_header(4)[..], &tcp_in_ipv4()].concat();
        assert_eq!(
            parse(12, &over_ipv6, [4, inner(4), inner(7)]),
            [Some(4), Some(6), Some(50000)]
        );
    }

    #[test]
    fn gre_with_and_without_key() {
        // RFC 2784, RFC 2890, RFC 7637.
        let ip = tcp_in_ipv4();
        let gre = |header: &[u8], packet: &[u8]| values(&outer(47, &[header, packet]));
        assert_eq!(gre(&[0, 0, 8, 0], &ip), (OUTER, INNER, None, None));
        let all = [0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 7];
        assert_eq!(gre(&all, &ip), (OUTER, INNER, Some(256), None));
        let nvgre = [0x20, 0, 0x65, 0x58, 0, 0x12, 0x34, 9];
        let mac = Some(0x0200_0000_0008);
        assert_eq!(
            gre(&nvgre, &frame([8, 0], &ip)),
            (OUTER, INNER, Some(0x1234), mac)
        );
        let nothing = (OUTER, [None; 4], None, None);
        assert_eq!(gre(&[0x30, 1, 0x88, 0x0b], &ip), nothing, "PPTP");
        assert_eq!(gre(&[0x40, 0, 8, 0], &ip), nothing, "routing");
    }

    #[test]
    fn vxlan_and_geneve() {
        // RFC 7348, RFC 8926.
        let frame = frame([8, 0], &tcp_in_ipv4());
        let mac = Some(0x0200_0000_0008);
        for port in [4789, 8472] {
            let vxlan = [8, 0, 0, 0, 0, 0x10, 0, 0];
            let packet = outer(17, &[&udp(port), &vxlan, &frame]);
            assert_eq!(values(&packet), (OUTER, INNER, Some(0x1000), mac));
        }
        let geneve = [2, 0, 0x65, 0x58, 0, 0, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let packet = outer(17, &[&udp(6081), &geneve, &frame]);
        assert_eq!(values(&packet), (OUTER, INNER, Some(5), mac));
        let bare = [0, 0, 8, 0, 0, 0, 6, 0];
        let packet = outer(17, &[&udp(6081), &bare, &tcp_in_ipv4()]);
        assert_eq!(values(&packet), (OUTER, INNER, Some(6), None));
        let nothing = (OUTER, [None; 4], None, None);
        let packet = outer(17, &[&udp(4789), &[0; 8], &frame]);
        assert_eq!(values(&packet), nothing, "no identifier");
        let packet = outer(
            17,
            &[&udp(6081), &[0x40, 0, 8, 0, 0, 0, 6, 0], &tcp_in_ipv4()],
        );
        assert_eq!(values(&packet), nothing, "a later version");
        let packet = outer(17, &[&udp(53), &[8, 0, 0, 0, 0, 0x10, 0, 0], &frame]);
        assert_eq!(values(&packet), nothing, "another port");
    }

    #[test]
    fn one_tunnel_is_looked_into() {
        let twice = outer(4, &[&outer(4, &[&tcp_in_ipv4()])]);
        let (addresses, inner, ..) = values(&twice);
        assert_eq!((addresses, inner[..2].to_vec()), (OUTER, OUTER.to_vec()));
        assert_eq!(inner[2..], [None; 2]);
        // Cut anywhere, it tells what there is.
        let whole = outer(
            17,
            &[
                &udp(4789),
                &[8, 0, 0, 0, 0, 0x10, 0, 0],
                &frame([8, 0], &tcp_in_ipv4()),
            ],
        );
        let known = |len: usize| {
            let (outer, inner, id, mac) = values(&whole[..len]);
            let all = outer.into_iter().chain(inner).chain([id, mac]);
            all.flatten().count()
        };
        let counts: Vec<usize> = (0..=whole.len()).map(known).collect();
        assert!(counts.is_sorted());
        assert_eq!(counts.last(), Some(&8));
    }
}
