//! Messages as packets in a pcap file with nanosecond timestamps.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::Path,
    time::Instant,
};

use super::{messages::Messages, options::ExportOptions, sent::Sent};

/// Nanosecond timestamps; the file is little-endian on every machine, so that it is the same.
const MAGIC: u32 = 0xa1b2_3c4d;
const LINKTYPE_RAW: u32 = 101;
const SNAPLEN_OCTETS: u32 = 65_535;

const IPV4_HEADER_OCTETS: usize = 20;
const UDP_HEADER_OCTETS: usize = 8;
const PROTOCOL_UDP: u8 = 17;

const TARGET: Ipv4Addr = Ipv4Addr::LOCALHOST;
const FIRST_SOURCE_PORT: u16 = 49_152;
/// How many messages pass between two questions whether to stop.
const STOP_CHECK_INTERVAL: u64 = 1024;

/// Writes the messages to a pcap file, as IPv4 packets from 127.0.0.1 and up to 127.0.0.1, port `target_port`.
///
/// The same options give the same octets. Ends early when `should_stop` says so; the file is whole then, too.
/// Fails if the options cannot be met or the file cannot be written.
pub fn export_pcap(
    options: &ExportOptions,
    path: &Path,
    target_port: u16,
    should_stop: &dyn Fn() -> bool,
) -> io::Result<Sent> {
    let messages = Messages::new(options)?;
    write_pcap(
        messages,
        BufWriter::new(File::create(path)?),
        target_port,
        should_stop,
    )
}

/// Writes the messages as a pcap to any writer.
pub(super) fn write_pcap(
    messages: Messages,
    mut writer: impl Write,
    target_port: u16,
    should_stop: &dyn Fn() -> bool,
) -> io::Result<Sent> {
    let started = Instant::now();
    let target = SocketAddrV4::new(TARGET, target_port);
    let sources: Vec<_> = messages
        .observation_domain_ids()
        .zip(0..)
        .map(|(_, n)| source(n))
        .collect();
    let exporters = sources.iter().map(|&source| SocketAddr::from(source));
    let mut sent = Sent::nothing(exporters.zip(messages.observation_domain_ids()));
    write_file_header(&mut writer)?;
    for message in messages {
        if sent.datagrams.is_multiple_of(STOP_CHECK_INTERVAL) && should_stop() {
            break;
        }
        let headers = packet_headers(sources[message.exporter], target, &message.octets);
        write_packet(&mut writer, message.time_ns, &headers, &message.octets)?;
        sent.count(
            message.exporter,
            message.octets.len(),
            &message.contents,
            message.sequence,
        );
    }
    writer.flush()?;
    sent.elapsed = started.elapsed();
    Ok(sent)
}

fn source(exporter: u16) -> SocketAddrV4 {
    SocketAddrV4::new(source_address(exporter), FIRST_SOURCE_PORT + exporter)
}

/// Of the Exporter with this index: 127.0.0.1 and up.
pub(super) fn source_address(exporter: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + u32::from(exporter))
}

fn write_file_header(writer: &mut impl Write) -> io::Result<()> {
    writer.write_all(&MAGIC.to_le_bytes())?;
    writer.write_all(&2_u16.to_le_bytes())?; // version 2.4
    writer.write_all(&4_u16.to_le_bytes())?;
    writer.write_all(&[0; 8])?; // UTC, accuracy unsaid
    writer.write_all(&SNAPLEN_OCTETS.to_le_bytes())?;
    writer.write_all(&LINKTYPE_RAW.to_le_bytes())
}

fn write_packet(
    writer: &mut impl Write,
    time_ns: u64,
    headers: &[u8],
    payload: &[u8],
) -> io::Result<()> {
    let length = (headers.len() + payload.len()) as u32;
    let (seconds, nanoseconds) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
    for word in [seconds as u32, nanoseconds as u32, length, length] {
        writer.write_all(&word.to_le_bytes())?;
    }
    writer.write_all(headers)?;
    writer.write_all(payload)
}

/// IPv4 (RFC 791) and UDP (RFC 768) headers with their checksums.
fn packet_headers(
    source: SocketAddrV4,
    target: SocketAddrV4,
    payload: &[u8],
) -> [u8; IPV4_HEADER_OCTETS + UDP_HEADER_OCTETS] {
    let udp_length = ((UDP_HEADER_OCTETS + payload.len()) as u16).to_be_bytes();
    let total_length =
        ((IPV4_HEADER_OCTETS + UDP_HEADER_OCTETS + payload.len()) as u16).to_be_bytes();
    let mut headers = [0; IPV4_HEADER_OCTETS + UDP_HEADER_OCTETS];
    let (ip, udp) = headers.split_at_mut(IPV4_HEADER_OCTETS);

    ip[0] = 0x45; // version 4, header of 5 words
    ip[2..4].copy_from_slice(&total_length);
    ip[6] = 0x40; // do not fragment: the identification may be 0 (RFC 6864)
    ip[8] = 64; // time to live
    ip[9] = PROTOCOL_UDP;
    ip[12..16].copy_from_slice(&source.ip().octets());
    ip[16..20].copy_from_slice(&target.ip().octets());
    let checksum = internet_checksum([&*ip]);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());

    udp[0..2].copy_from_slice(&source.port().to_be_bytes());
    udp[2..4].copy_from_slice(&target.port().to_be_bytes());
    udp[4..6].copy_from_slice(&udp_length);
    let pseudo_header = [0, PROTOCOL_UDP, udp_length[0], udp_length[1]];
    let checksum = match internet_checksum([&ip[12..20], &pseudo_header, udp, payload]) {
        0 => 0xffff, // 0 would mean that there is none (RFC 768)
        checksum => checksum,
    };
    udp[6..8].copy_from_slice(&checksum.to_be_bytes());
    headers
}

/// RFC 1071. All parts but the last must have an even number of octets.
fn internet_checksum<const N: usize>(parts: [&[u8]; N]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
