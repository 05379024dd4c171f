//! What was sent, counted as an independent reader of the octets would.

use std::{net::SocketAddr, time::Duration};

/// Contents of one message, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Template Records.
    pub templates: u64,
    /// IPv4 Flow Records.
    pub flows_ipv4: u64,
    /// IPv6 Flow Records.
    pub flows_ipv6: u64,
    /// Sum of the packet counters of all Flow Records.
    pub packets: u64,
    /// Sum of the octet counters of all Flow Records.
    pub octets: u64,
}

impl Tally {
    /// Flow Records of both address families.
    pub fn flows(&self) -> u64 {
        self.flows_ipv4 + self.flows_ipv6
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.templates += other.templates;
        self.flows_ipv4 += other.flows_ipv4;
        self.flows_ipv6 += other.flows_ipv6;
        self.packets += other.packets;
        self.octets += other.octets;
    }
}

/// What one Exporter sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExporterSent {
    /// Source address and port.
    pub source: SocketAddr,
    /// Observation Domain: v5 engine (type * 256 + id), v9 Source ID.
    pub observation_domain_id: u32,
    /// Datagrams.
    pub datagrams: u64,
    /// Flow Records.
    pub flows: u64,
    /// Sequence number of its first message.
    pub first_sequence: u32,
    /// Sequence number of its last message.
    pub last_sequence: u32,
}

/// What all Exporters sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams handed to the kernel, or written to the pcap.
    pub datagrams: u64,
    /// Their UDP payload.
    pub datagram_octets: u64,
    /// What was in them.
    pub contents: Tally,
    /// Times that the kernel reported that nobody listens; the datagram at hand was sent all the same.
    pub send_errors: u64,
    /// How long it took by the clock on the wall.
    pub elapsed: Duration,
    /// The same by Exporter.
    pub exporters: Vec<ExporterSent>,
}

impl Sent {
    /// Nothing yet, from these Exporters: source and Observation Domain.
    pub(super) fn nothing(exporters: impl Iterator<Item = (SocketAddr, u32)>) -> Self {
        let exporters = exporters.map(|(source, observation_domain_id)| ExporterSent {
            source,
            observation_domain_id,
            datagrams: 0,
            flows: 0,
            first_sequence: 0,
            last_sequence: 0,
        });
        Self {
            exporters: exporters.collect(),
            ..Self::default()
        }
    }

    /// Counts one datagram.
    pub(super) fn count(
        &mut self,
        exporter: usize,
        octets: usize,
        contents: &Tally,
        sequence: u32,
    ) {
        self.datagrams += 1;
        self.datagram_octets += octets as u64;
        self.contents.add(contents);
        let exporter = &mut self.exporters[exporter];
        if exporter.datagrams == 0 {
            exporter.first_sequence = sequence;
        }
        exporter.datagrams += 1;
        exporter.flows += contents.flows();
        exporter.last_sequence = sequence;
    }
}
