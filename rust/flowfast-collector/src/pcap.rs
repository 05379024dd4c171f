//! Writing pcap files of raw IP packets: UDP datagrams with the headers that they had, or might have had.

use std::net::{IpAddr, SocketAddr};

/// Nanosecond timestamps; the file is little-endian on every machine, so that it is the same.
const MAGIC: u32 = 0xa1b2_3c4d;
const LINKTYPE_RAW: u32 = 101;
const SNAPLEN_OCTETS: u32 = 65_535;

const IPV4_HEADER_OCTETS: usize = 20;
const IPV6_HEADER_OCTETS: usize = 40;
const UDP_HEADER_OCTETS: usize = 8;
const PROTOCOL_UDP: u8 = 17;
const HOP_LIMIT: u8 = 64;

/// The header of a file, which is written once.
pub(crate) fn file_header() -> [u8; 24] {
    let mut header = [0; 24];
    header[..4].copy_from_slice(&MAGIC.to_le_bytes());
    header[4..6].copy_from_slice(&2_u16.to_le_bytes()); // version 2.4
    header[6..8].copy_from_slice(&4_u16.to_le_bytes());
    // UTC, accuracy unsaid: zeros.
    header[16..20].copy_from_slice(&SNAPLEN_OCTETS.to_le_bytes());
    header[20..].copy_from_slice(&LINKTYPE_RAW.to_le_bytes());
    header
}

/// Appends a datagram as a packet. The IP version is that of `source`; `target` must be of the same.
pub(crate) fn push_packet(
    out: &mut Vec<u8>,
    time_ns: u64,
    source: SocketAddr,
    target: SocketAddr,
    payload: &[u8],
) {
    let udp_octets = UDP_HEADER_OCTETS + payload.len();
    let ip_octets = match source {
        SocketAddr::V4(_) => IPV4_HEADER_OCTETS,
        SocketAddr::V6(_) => IPV6_HEADER_OCTETS,
    };
    let length = (ip_octets + udp_octets) as u32;
    let (seconds, nanoseconds) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
    for word in [seconds as u32, nanoseconds as u32, length, length] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    push_ip_header(out, source.ip(), target.ip(), udp_octets as u16);
    let mut udp = [0; UDP_HEADER_OCTETS];
    udp[0..2].copy_from_slice(&source.port().to_be_bytes());
    udp[2..4].copy_from_slice(&target.port().to_be_bytes());
    udp[4..6].copy_from_slice(&(udp_octets as u16).to_be_bytes());
    let checksum = udp_checksum(source.ip(), target.ip(), &udp, payload);
    udp[6..8].copy_from_slice(&checksum.to_be_bytes());
    out.extend_from_slice(&udp);
    out.extend_from_slice(payload);
}

/// IPv4 (RFC 791) or IPv6 (RFC 8200).
fn push_ip_header(out: &mut Vec<u8>, source: IpAddr, target: IpAddr, udp_octets: u16) {
    if let (IpAddr::V4(source), IpAddr::V4(target)) = (source, target) {
        let mut ip = [0; IPV4_HEADER_OCTETS];
        ip[0] = 0x45; // version 4, header of 5 words
        let octets = udp_octets.saturating_add(IPV4_HEADER_OCTETS as u16);
        ip[2..4].copy_from_slice(&octets.to_be_bytes());
        ip[6] = 0x40; // do not fragment: the identification may be 0 (RFC 6864)
        ip[8] = HOP_LIMIT;
        ip[9] = PROTOCOL_UDP;
        ip[12..16].copy_from_slice(&source.octets());
        ip[16..20].copy_from_slice(&target.octets());
        let checksum = internet_checksum([&ip]);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        out.extend_from_slice(&ip);
    } else {
        let mut ip = [0; IPV6_HEADER_OCTETS];
        ip[0] = 0x60;
        ip[4..6].copy_from_slice(&udp_octets.to_be_bytes());
        ip[6] = PROTOCOL_UDP;
        ip[7] = HOP_LIMIT;
        ip[8..24].copy_from_slice(&octets(source));
        ip[24..40].copy_from_slice(&octets(target));
        out.extend_from_slice(&ip);
    }
}

/// RFC 768, RFC 8200 section 8.1.
fn udp_checksum(source: IpAddr, target: IpAddr, udp: &[u8], payload: &[u8]) -> u16 {
    let length = [udp[4], udp[5], 0, PROTOCOL_UDP];
    let sum = match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            internet_checksum([&source.octets(), &target.octets(), &length, udp, payload])
        }
        _ => internet_checksum([&octets(source), &octets(target), &length, udp, payload]),
    };
    match sum {
        0 => 0xffff, // 0 would mean that there is none
        checksum => checksum,
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// RFC 1071. All parts but the last must have an even number of octets.
pub(crate) fn internet_checksum<const N: usize>(parts: [&[u8]; N]) -> u16 {
    let words = parts.iter().map(|part| {
        let (words, rest) = part.as_chunks::<2>();
        let sum: u32 = words
            .iter()
            .map(|&word| u32::from(u16::from_be_bytes(word)))
            .sum();
        sum + rest.first().map_or(0, |&last| u32::from(last) << 8)
    });
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
