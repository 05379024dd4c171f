use super::*;

const PAYLOAD: &[u8] = b"a datagram";
const SOURCE_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

fn udp(payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len() as u16).to_be_bytes();
    [
        &50_000_u16.to_be_bytes()[..],
        &2055_u16.to_be_bytes(),
        &length,
        &[0, 0],
        payload,
    ]
    .concat()
}

/// An IPv4 packet from 192.0.2.7; `fragment` is its flags and offset.
fn ipv4(options: &[u8], fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = 20 + options.len();
    let mut packet = vec![0x40 | (header / 4) as u8, 0];
    packet.extend((header as u16 + payload.len() as u16).to_be_bytes());
    packet.extend([0, 1]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 192, 0, 2, 7, 127, 0, 0, 1]);
    [&packet, options, payload].concat()
}

fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next_header, 64]);
    packet.extend(SOURCE_V6);
    packet.extend([0xfe; 16]);
    [&packet, payload].concat()
}

fn ethernet(tags: &[u16], kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 42]);
    }
    frame.extend(kind.to_be_bytes());
    [&frame, payload].concat()
}

fn plain() -> Vec<u8> {
    ipv4(&[], 0, 17, &udp(PAYLOAD))
}

fn assert_found(link: LinkType, packet: &[u8]) {
    let source: IpAddr = match plain_version(link, packet) {
        6 => Ipv6Addr::from(SOURCE_V6).into(),
        _ => Ipv4Addr::new(192, 0, 2, 7).into(),
    };
    let expected = UdpDatagram {
        source,
        source_port: 50_000,
        destination_port: 2055,
        teaches: false,
        payload: PAYLOAD,
    };
    assert_eq!(udp_datagram(link, packet, false), Ok(expected), "{link:?}");
}

fn plain_version(link: LinkType, packet: &[u8]) -> u8 {
    ip_packet(link, packet, Skip::Malformed).unwrap()[0] >> 4
}

#[test]
fn every_link_type() {
    let v6 = ipv6(17, &udp(PAYLOAD));
    for (kind, packet) in [(0x0800_u16, plain()), (0x86dd, v6)] {
        let kind_octets = kind.to_be_bytes();
        assert_found(LinkType::from(1), &ethernet(&[], kind, &packet));
        assert_found(
            LinkType::from(113),
            &[&[0; 14], &kind_octets[..], &packet].concat(),
        );
        assert_found(
            LinkType::from(276),
            &[&kind_octets[..], &[0; 18], &packet].concat(),
        );
        assert_found(LinkType::from(0), &[&[2, 0, 0, 0], &packet[..]].concat());
        assert_found(LinkType::from(108), &[&[0, 0, 0, 2], &packet[..]].concat());
        for raw in [12, 14, 101, 228, 229] {
            assert_found(LinkType::from(raw), &packet);
        }
        assert_eq!(
            udp_datagram(LinkType::from(127), &packet, false),
            Err(Skip::UnsupportedLink)
        );
    }
}

#[test]
fn any_number_of_vlan_tags() {
    for tags in [
        &[0x8100][..],
        &[0x88a8, 0x8100],
        &[0x9100, 0x8100, 0x8100, 0x8100, 0x8100],
    ] {
        assert_found(LinkType::Ethernet, &ethernet(tags, 0x0800, &plain()));
    }
    let tagged = ethernet(&[0x8100], 0x0800, &plain());
    assert_found(LinkType::LinuxCooked, &[&[0; 14], &tagged[12..]].concat());
}

#[test]
fn padding_and_ip_options_are_no_payload() {
    assert_found(
        LinkType::Ethernet,
        &ethernet(&[], 0x0800, &[plain(), vec![0; 18]].concat()),
    );
    assert_found(LinkType::RawIp, &ipv4(&[1; 8], 0, 17, &udp(PAYLOAD)));
    assert_found(LinkType::RawIp, &ipv4(&[0; 40], 0x4000, 17, &udp(PAYLOAD)));
}

#[test]
fn ipv6_extension_headers_are_passed() {
    let options = |next: u8, rest: &[u8]| [&[next, 0, 1, 4, 0, 0, 0, 0], rest].concat();
    assert_found(LinkType::RawIp, &ipv6(0, &options(17, &udp(PAYLOAD))));
    assert_found(
        LinkType::RawIp,
        &ipv6(0, &options(60, &options(17, &udp(PAYLOAD)))),
    );
    assert_found(
        LinkType::RawIp,
        &ipv6(
            44,
            &[&[17, 0, 0, 0, 0, 0, 0, 1], &udp(PAYLOAD)[..]].concat(),
        ),
    );
}

#[test]
fn ipv4_mapped_sources_are_ipv4() {
    let mut packet = ipv6(17, &udp(PAYLOAD));
    packet[8..24].copy_from_slice(&Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped().octets());
    let datagram = udp_datagram(LinkType::RawIp, &packet, false).unwrap();
    assert_eq!(datagram.source, IpAddr::from(Ipv4Addr::new(192, 0, 2, 7)));
}

#[test]
fn fragments_are_told_from_other_packets() {
    for fragment in [0x2000, 0x2001, 0x0001] {
        assert_eq!(
            udp_datagram(
                LinkType::RawIp,
                &ipv4(&[], fragment, 17, &udp(PAYLOAD)),
                false
            ),
            Err(Skip::Fragment)
        );
    }
    let first = ipv6(
        44,
        &[&[17, 0, 0, 1, 0, 0, 0, 1], &udp(PAYLOAD)[..]].concat(),
    );
    assert_eq!(
        udp_datagram(LinkType::RawIp, &first, false),
        Err(Skip::Fragment)
    );
}

#[test]
fn what_is_not_udp() {
    assert_eq!(
        udp_datagram(LinkType::RawIp, &ipv4(&[], 0, 6, &[0; 20]), false),
        Err(Skip::NotUdp)
    );
    assert_eq!(
        udp_datagram(LinkType::RawIp, &ipv6(58, &[0; 20]), false),
        Err(Skip::NotUdp)
    );
    assert_eq!(
        udp_datagram(LinkType::Ethernet, &ethernet(&[], 0x0806, &[0; 28]), false),
        Err(Skip::NotUdp)
    );
    assert_eq!(
        udp_datagram(LinkType::Ethernet, &ethernet(&[], 46, &[0; 46]), false),
        Err(Skip::NotUdp)
    );
}

#[test]
fn a_packet_cut_anywhere_is_snapped_if_the_capture_cut_it_and_never_half_a_datagram() {
    let v4 = ipv4(&[1; 4], 0, 17, &udp(PAYLOAD));
    let v6 = ipv6(0, &[&[17, 0, 1, 4, 0, 0, 0, 0], &udp(PAYLOAD)[..]].concat());
    let packets = [
        (LinkType::Ethernet, ethernet(&[0x8100], 0x0800, &v4)),
        (
            LinkType::LinuxCooked2,
            [&[0x86, 0xdd][..], &[0; 18], &v6].concat(),
        ),
    ];
    for (link, packet) in packets {
        assert_found(link, &packet);
        for kept in 0..packet.len() {
            assert_eq!(
                udp_datagram(link, &packet[..kept], true),
                Err(Skip::Snapped),
                "{kept} octets"
            );
            assert!(
                udp_datagram(link, &packet[..kept], false).is_err(),
                "{kept} octets"
            );
        }
    }
}

#[test]
fn lengths_that_lie_are_malformed() {
    let with_length = |length: u16| {
        let mut udp = udp(PAYLOAD);
        udp[4..6].copy_from_slice(&length.to_be_bytes());
        ipv4(&[], 0, 17, &udp)
    };
    for length in [1, 7, 19, 0xffff] {
        assert_eq!(
            udp_datagram(LinkType::RawIp, &with_length(length), false),
            Err(Skip::Malformed),
            "{length}"
        );
    }
    assert_eq!(
        udp_datagram(LinkType::RawIp, &with_length(8), false)
            .unwrap()
            .payload,
        b""
    );
    for version in [0x00, 0x15, 0x42, 0x75] {
        let mut packet = plain();
        packet[0] = version;
        assert!(udp_datagram(LinkType::RawIp, &packet, false).is_err());
    }
}

#[test]
fn no_octets_make_it_panic() {
    let mut random = 1_u64;
    let mut packet = [0; 96];
    for _ in 0..200_000 {
        for octet in &mut packet {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *octet = (random >> 56) as u8;
        }
        let length = packet[95] as usize % 96;
        packet[0] = if packet[94] & 1 == 0 { 0x45 } else { 0x60 };
        for link in [0, 1, 101, 113, 276] {
            let _ = udp_datagram(LinkType::from(link), &packet[..length], random & 1 == 0);
        }
    }
}
