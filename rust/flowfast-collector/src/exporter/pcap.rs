//! Messages as packets in a pcap file with nanosecond timestamps.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::Path,
    time::Instant,
};

use super::{messages::Messages, options::ExportOptions, sent::Sent};
use crate::pcap;

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
    writer.write_all(&pcap::file_header())?;
    let mut packet = Vec::new();
    for message in messages {
        if sent.datagrams.is_multiple_of(STOP_CHECK_INTERVAL) && should_stop() {
            break;
        }
        packet.clear();
        let source = SocketAddr::from(sources[message.exporter]);
        pcap::push_packet(
            &mut packet,
            message.time_ns,
            source,
            target.into(),
            &message.octets,
        );
        writer.write_all(&packet)?;
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
