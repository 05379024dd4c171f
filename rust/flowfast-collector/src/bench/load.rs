//! Datagrams in memory, to be decoded again and again.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::{ControlFlow, Range};
use std::sync::atomic::AtomicU64;

use flowfast_decode::Datagram;

use crate::exporter::{ExportOptions, Format, Message, Messages, NamedTemplate};
use crate::replay::{read_packets, udp_datagram};

/// Ports of datagrams that never were on a wire.
const EXPORTER_PORT: u16 = 49_152;
const LOCAL_PORT: u16 = 2055;

/// One datagram of a load.
#[derive(Clone, Debug)]
struct Entry {
    exporter: IpAddr,
    exporter_port: u16,
    local_port: u16,
    received_ns: i64,
    octets: Range<usize>,
}

/// Datagrams in the order in which they are decoded.
#[derive(Clone, Debug, Default)]
pub struct Load {
    entries: Vec<Entry>,
    octets: Vec<u8>,
    /// Flow Records in them, if somebody else has counted.
    flows: Option<u64>,
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct GeneratedLoad {
    /// Format, template and order; how many Exporters and how many flows is said here.
    pub export: ExportOptions,
    /// Datagrams with data; more if there are more templates of all Exporters than that.
    pub datagrams: usize,
    /// Exporters, each with an address of its own; all send the same.
    pub exporters: usize,
    /// Templates of each Exporter (with their sisters for IPv6), used in turn. Shuffled ones differ in order.
    pub templates: u16,
}

impl Load {
    /// Some thousand datagrams of a template and an order by their names: more than a first-level cache holds, fewer than a second-level
    /// one does. More where each of many templates is announced once and used some times.
    ///
    /// # Errors
    /// Names that there are not, and orders that a template cannot have.
    pub fn named(
        template: &str,
        order: &str,
        exporters: usize,
        templates: u16,
    ) -> io::Result<Self> {
        const DATAGRAMS: usize = 1024;
        const DATAGRAMS_PER_TEMPLATE: usize = 8;
        let template: NamedTemplate = template.parse()?;
        let format = match template.formats() {
            [only] => *only,
            _ => Format::Ipfix,
        };
        Self::generate(&GeneratedLoad {
            export: ExportOptions {
                format,
                template: Some(template),
                order: order.parse()?,
                ..ExportOptions::default()
            },
            datagrams: DATAGRAMS.max(DATAGRAMS_PER_TEMPLATE * exporters * usize::from(templates)),
            exporters,
            templates,
        })
    }

    /// Datagrams of many Exporters by turns: the first of each, then the second of each, ...
    ///
    /// # Errors
    /// Export options that cannot be met.
    pub fn generate(wanted: &GeneratedLoad) -> io::Result<Self> {
        let (exporters, templates) = (wanted.exporters.max(1), wanted.templates.max(1));
        let mut streams = (0..templates)
            .map(|template| {
                let options = ExportOptions {
                    count: u64::MAX,
                    seed: wanted.export.seed + u64::from(template),
                    first_template_id: wanted.export.first_template_id + 2 * template,
                    exporters: 1,
                    ..wanted.export.clone()
                };
                Messages::new(&options)
            })
            .collect::<io::Result<Vec<_>>>()?;
        let mut load = Self::default();
        let mut sequence = 0; // of an Exporter, whatever its messages' templates
        for _ in 0..wanted.datagrams.div_ceil(exporters * streams.len()) {
            for stream in &mut streams {
                // Templates go before the data that needs them.
                while let Some(mut message) = stream.next() {
                    sequence = stream.renumber(&mut message, sequence);
                    load.add(&message, exporters);
                    if message.contents.flows() > 0 {
                        break;
                    }
                }
            }
        }
        Ok(load)
    }

    /// The same message from each Exporter.
    fn add(&mut self, message: &Message, exporters: usize) {
        let octets = self.store(&message.octets);
        self.flows = Some(self.flows.unwrap_or(0) + message.contents.flows() * exporters as u64);
        self.entries
            .extend((0..exporters as u32).map(|exporter| Entry {
                exporter: Ipv4Addr::from_bits(0x0a00_0001 + exporter).into(),
                exporter_port: EXPORTER_PORT,
                local_port: LOCAL_PORT,
                received_ns: message.time_ns as i64,
                octets: octets.clone(),
            }));
    }

    /// The UDP datagrams of a capture file (pcap, pcapng).
    ///
    /// # Errors
    /// A file that cannot be opened or read to its end.
    pub fn read_capture(path: &str) -> io::Result<Self> {
        let mut load = Self::default();
        read_packets(File::open(path)?, &AtomicU64::new(0), |packet| {
            if let Ok(udp) = udp_datagram(packet.link, packet.octets, packet.snapped) {
                let octets = load.store(udp.payload);
                load.entries.push(Entry {
                    exporter: udp.source,
                    exporter_port: udp.source_port,
                    local_port: udp.destination_port,
                    received_ns: packet.time_ns,
                    octets,
                });
            }
            ControlFlow::Continue(())
        })
        .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault.to_string()))?;
        Ok(load)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// There is nothing to decode.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Flow Records in them, as the generator counted.
    pub fn flows(&self) -> Option<u64> {
        self.flows
    }

    /// All of them.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.entries.iter().map(|entry| Datagram {
            exporter: entry.exporter,
            exporter_port: entry.exporter_port,
            local_port: entry.local_port,
            received_ns: entry.received_ns,
            payload: &self.octets[entry.octets.clone()],
        })
    }

    fn store(&mut self, datagram: &[u8]) -> Range<usize> {
        let start = self.octets.len();
        self.octets.extend_from_slice(datagram);
        start..self.octets.len()
    }
}
