//! Packets out of pcap and pcapng files, as a stream.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, InterfaceDescriptionBlock, PcapBlockOwned, PcapError};

use super::packet::LinkType;

/// Octets read at once.
const BUFFER_OCTETS: usize = 1 << 20;

/// The longest block of a file that is read; more is a fault of the file.
const MAX_BLOCK_OCTETS: usize = 16 << 20;

/// Interfaces that a pcapng section may describe.
const MAX_INTERFACES: usize = 1 << 16;

/// One packet as it was captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) link: LinkType,
    /// Nanoseconds since the UNIX epoch.
    pub(crate) time_ns: i64,
    pub(crate) octets: &'a [u8],
    /// The capture kept less than was on the wire.
    pub(crate) snapped: bool,
}

/// Why a file could not be read to its end. The text goes behind the file's name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptureFault {
    #[error("is empty")]
    Empty,
    #[error("is not a pcap or pcapng file")]
    Foreign,
    #[error("ends in the middle of a packet (packets read: {packets})")]
    Truncated { packets: u64 },
    #[error("is damaged from some point on (packets read: {packets})")]
    Damaged { packets: u64 },
    #[error("has packets of a link type that is not supported (packets skipped: {packets})")]
    UnsupportedLink { packets: u64 },
    #[error("cannot be read (packets read: {packets}): {}", reason(source))]
    Read { packets: u64, source: io::Error },
}

/// What the system said, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Where the packets of an interface come from, and how it counts time.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    units_per_s: u128,
    offset_s: i64,
    snaplen: u32,
}

/// Gives every packet of `input` to `each`, until that breaks. Returns how many there were.
pub(crate) fn read_packets(
    input: impl Read + Send,
    octets_read: &AtomicU64,
    each: impl FnMut(Packet<'_>) -> ControlFlow<()>,
) -> Result<u64, CaptureFault> {
    let failure = Arc::<Mutex<Option<io::Error>>>::default();
    let source = Source {
        input,
        octets_read,
        failure: Arc::clone(&failure),
    };
    let mut packets = 0;
    let result = read_blocks(source, &mut packets, each);
    match failure
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
    {
        Some(source) => Err(CaptureFault::Read { packets, source }),
        None => result.map(|()| packets),
    }
}

fn read_blocks(
    input: impl Read + Send,
    packets: &mut u64,
    mut each: impl FnMut(Packet<'_>) -> ControlFlow<()>,
) -> Result<(), CaptureFault> {
    let mut reader =
        pcap_parser::create_reader(BUFFER_OCTETS, input).map_err(|error| match error {
            PcapError::Eof => CaptureFault::Empty,
            _ => CaptureFault::Foreign,
        })?;
    let mut capacity = BUFFER_OCTETS;
    let mut section = Section::default();
    loop {
        let fault = match reader.next() {
            Ok((octets, block)) => {
                if let Some(packet) = section.packet(&block) {
                    *packets += 1;
                    if each(packet).is_break() {
                        return Ok(());
                    }
                }
                reader.consume(octets);
                continue;
            }
            Err(PcapError::Eof) => return Ok(()),
            Err(fault) => fault.to_owned_vec(),
        };
        match fault {
            PcapError::Incomplete(_) => {}
            PcapError::BufferTooSmall if capacity < MAX_BLOCK_OCTETS => {
                capacity *= 2;
                reader.grow(capacity);
            }
            PcapError::UnexpectedEof => return Err(CaptureFault::Truncated { packets: *packets }),
            _ => return Err(CaptureFault::Damaged { packets: *packets }),
        }
        reader
            .refill()
            .map_err(|_| CaptureFault::Damaged { packets: *packets })?;
    }
}

/// What the blocks before say about the next ones.
#[derive(Debug, Default)]
struct Section {
    interfaces: Vec<Interface>,
    last_time_ns: i64,
}

impl Section {
    /// The packet in a block, if it is one; else the block is remembered as far as it matters.
    fn packet<'a>(&mut self, block: &'a PcapBlockOwned<'_>) -> Option<Packet<'a>> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let link = LinkType::from(header.network.0 & 0x0fff_ffff); // the top bits tell of a frame check sequence
                let units_per_s = if header.is_nanosecond_precision() {
                    1_000_000_000
                } else {
                    1_000_000
                };
                self.interfaces = vec![Interface {
                    link,
                    units_per_s,
                    offset_s: 0,
                    snaplen: header.snaplen,
                }];
                None
            }
            PcapBlockOwned::Legacy(packet) => {
                let interface = self.interfaces.first()?;
                let fraction = u128::from(packet.ts_usec) * (1_000_000_000 / interface.units_per_s);
                Some(Packet {
                    link: interface.link,
                    time_ns: i64::from(packet.ts_sec) * 1_000_000_000
                        + i64::try_from(fraction).ok()?,
                    octets: packet.data,
                    snapped: packet.caplen < packet.origlen,
                })
            }
            PcapBlockOwned::NG(block) => self.ng_packet(block),
        }
    }

    fn ng_packet<'a>(&mut self, block: &'a Block<'_>) -> Option<Packet<'a>> {
        match block {
            Block::SectionHeader(_) => self.interfaces.clear(),
            Block::InterfaceDescription(description) if self.interfaces.len() < MAX_INTERFACES => {
                self.interfaces.push(Interface::described_by(description));
            }
            Block::EnhancedPacket(packet) => {
                let time = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let interface = self.interfaces.get(packet.if_id as usize);
                self.last_time_ns =
                    interface.map_or(self.last_time_ns, |interface| interface.time_ns(time));
                return Some(Packet {
                    // A packet of an interface that was never described.
                    link: interface.map_or(LinkType::Unsupported, |interface| interface.link),
                    time_ns: self.last_time_ns,
                    octets: packet.packet_data(),
                    snapped: packet.caplen < packet.origlen,
                });
            }
            // It has no time: that of the packet before it is the best guess.
            Block::SimplePacket(packet) => {
                let interface = self.interfaces.first();
                let snaplen = interface.map_or(0, |interface| interface.snaplen);
                let octets = packet.packet_data();
                let kept = if snaplen == 0 {
                    octets.len()
                } else {
                    octets.len().min(snaplen as usize)
                };
                return Some(Packet {
                    link: interface.map_or(LinkType::Unsupported, |interface| interface.link),
                    time_ns: self.last_time_ns,
                    octets: &octets[..kept],
                    snapped: kept < packet.origlen as usize,
                });
            }
            _ => {}
        }
        None
    }
}

impl Interface {
    fn described_by(block: &InterfaceDescriptionBlock<'_>) -> Self {
        let exponent = u32::from(block.if_tsresol & 0x7f);
        let base: u128 = if block.if_tsresol & 0x80 == 0 { 10 } else { 2 };
        // pcap-parser reads this option as little-endian whatever the section is.
        let big_endian = block.block_type != pcap_parser::IDB_MAGIC;
        let offset_s = if big_endian {
            block.if_tsoffset.swap_bytes()
        } else {
            block.if_tsoffset
        };
        Self {
            link: LinkType::from(block.linktype.0),
            units_per_s: base.checked_pow(exponent).unwrap_or(u128::MAX),
            offset_s,
            snaplen: block.snaplen,
        }
    }

    /// Nanoseconds since the epoch, of a time in this interface's units.
    fn time_ns(&self, time: u64) -> i64 {
        let since_offset_ns = u128::from(time) * 1_000_000_000 / self.units_per_s;
        let offset_ns = i128::from(self.offset_s) * 1_000_000_000;
        let time_ns = offset_ns + i128::try_from(since_offset_ns).unwrap_or(i128::MAX / 2);
        time_ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

/// Fills the whole buffer at each read and counts octets. An error ends the input, and is kept: pcap-parser would forget it.
struct Source<'a, R> {
    input: R,
    octets_read: &'a AtomicU64,
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl<R: Read> Read for Source<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let mut filled = 0;
        while filled < buffer.len() && failure.is_none() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(octets) => filled += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => *failure = Some(error),
            }
        }
        self.octets_read.fetch_add(filled as u64, Ordering::Relaxed);
        Ok(filled)
    }
}

#[cfg(test)]
#[path = "capture_tests.rs"]
mod tests;
