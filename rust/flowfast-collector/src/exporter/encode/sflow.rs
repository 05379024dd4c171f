//! sFlow v5: flow samples, each the start of one packet of a flow.
//!
//! A sampler sees packets, not flows: of each flow one packet of its mean size is sampled, and its headers are all that is sent.

use super::{Encoder, Header, put};
use crate::exporter::mix::{Family, Flow};
use crate::pcap::internet_checksum;

/// Version, agent address and its type, sub-agent, sequence, uptime, number of samples: seven words.
mod field {
    pub(super) const VERSION: usize = 0;
    pub(super) const ADDRESS_TYPE: usize = 4;
    pub(super) const AGENT: usize = 8;
    pub(super) const SUB_AGENT: usize = 12;
    pub(super) const SEQUENCE: usize = 16;
    pub(super) const UPTIME: usize = 20;
    pub(super) const SAMPLE_COUNT: usize = 24;
    pub(super) const SAMPLES: usize = 28;
}

/// Within a sample, from its tag on.
mod sample_field {
    pub(super) const LENGTH: usize = 4;
    pub(super) const SEQUENCE: usize = 8;
    pub(super) const POOL: usize = 20;
}

/// A sample's tag and length, eight words of its own, a record's tag and length, four words before the header.
const SAMPLE_OCTETS: usize = 64;
/// What samples: the agent as a whole (entPhysicalEntry 1), for samples count on by data source.
const DATA_SOURCE: u32 = 2 << 24 | 1;
/// One in so many packets is sampled.
const SAMPLING_RATE: u32 = 400;
const IPV4_ADDRESS: u32 = 1;
const FLOW_SAMPLE: u32 = 1;
const RAW_HEADER: u32 = 1;
const ETHERNET: u32 = 1;

const ETHERNET_OCTETS: usize = 14;
/// The longest transport header that is sent, so that all samples of a family have one size: TCP without options.
const TRANSPORT_OCTETS: usize = 20;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Encodes sFlow.
pub(super) struct Sflow;

fn ip_header_octets(family: Family) -> usize {
    match family {
        Family::Ipv4 => 20,
        Family::Ipv6 => 40,
    }
}

/// Octets of the packet's start that are sent.
fn header_octets(family: Family) -> usize {
    ETHERNET_OCTETS + ip_header_octets(family) + TRANSPORT_OCTETS
}

fn sample_octets(family: Family) -> usize {
    SAMPLE_OCTETS + header_octets(family).next_multiple_of(4)
}

/// Octets of the sampled packet from its IP header on: the mean of its flow, and no less than what is sent of it.
fn packet_octets(flow: &Flow) -> usize {
    let mean = (flow.octets / flow.packets) as usize;
    mean.max(ip_header_octets(flow.family) + TRANSPORT_OCTETS)
}

impl Encoder for Sflow {
    fn max_records(&self) -> usize {
        usize::MAX
    }

    fn data_message_octets(&self, ipv4: usize, ipv6: usize) -> usize {
        field::SAMPLES + ipv4 * sample_octets(Family::Ipv4) + ipv6 * sample_octets(Family::Ipv6)
    }

    fn template_message(&self) -> Option<Vec<u8>> {
        None
    }

    fn data_message(&self, flows: &[Flow], _boot_time_ms: u64) -> Vec<u8> {
        let mut message = vec![0; field::SAMPLES];
        put(&mut message, field::VERSION, 5_u32.to_be_bytes());
        put(
            &mut message,
            field::ADDRESS_TYPE,
            IPV4_ADDRESS.to_be_bytes(),
        );
        let count = flows.len() as u32;
        put(&mut message, field::SAMPLE_COUNT, count.to_be_bytes());
        flows
            .iter()
            .for_each(|flow| append_sample(&mut message, flow));
        message
    }

    fn stamp(&self, message: &mut [u8], header: Header) {
        // Agents are 10.255.0.1 and up.
        let agent = 0x0aff_0000 + header.observation_domain_id;
        let uptime_ms = (header.time_ms - header.boot_time_ms) as u32;
        put(message, field::AGENT, agent.to_be_bytes());
        put(
            message,
            field::SUB_AGENT,
            header.observation_domain_id.to_be_bytes(),
        );
        put(message, field::SEQUENCE, header.sequence.to_be_bytes());
        put(message, field::UPTIME, uptime_ms.to_be_bytes());
        // Samples count on from datagram to datagram, and the pool with them.
        let (mut start, mut sequence) = (field::SAMPLES, header.records_before);
        while start < message.len() {
            let pool = sequence.wrapping_mul(SAMPLING_RATE);
            put(
                message,
                start + sample_field::SEQUENCE,
                sequence.to_be_bytes(),
            );
            put(message, start + sample_field::POOL, pool.to_be_bytes());
            let mut length = [0; 4];
            length.copy_from_slice(&message[start + sample_field::LENGTH..][..4]);
            start += 8 + u32::from_be_bytes(length) as usize;
            sequence = sequence.wrapping_add(1);
        }
    }

    /// Datagrams (FF-SF-04).
    fn sequence_step(&self, _records: u32) -> u32 {
        1
    }

    /// One packet of so many octets on the wire (FF-SF-05).
    fn volume(&self, flow: &Flow) -> (u64, u64) {
        (1, (ETHERNET_OCTETS + packet_octets(flow)) as u64)
    }
}

fn append_sample(message: &mut Vec<u8>, flow: &Flow) {
    let header = packet_header(flow);
    let padded = header.len().next_multiple_of(4);
    let frame_octets = ETHERNET_OCTETS + packet_octets(flow);
    let words = [
        FLOW_SAMPLE,
        (SAMPLE_OCTETS - 8 + padded) as u32,
        0, // sequence: stamped
        DATA_SOURCE,
        SAMPLING_RATE,
        0, // pool: stamped
        0, // drops
        u32::from(flow.source.interface),
        u32::from(flow.destination.interface),
        1, // records
        RAW_HEADER,
        (16 + padded) as u32,
        ETHERNET,
        frame_octets as u32,
        0, // stripped
        header.len() as u32,
    ];
    message.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    message.extend(&header);
    message.resize(message.len() + padded - header.len(), 0);
}

/// The start of an Ethernet frame with a packet of the flow.
fn packet_header(flow: &Flow) -> Vec<u8> {
    let mut frame = Vec::with_capacity(header_octets(flow.family));
    frame.extend(&flow.destination.mac.to_be_bytes()[2..]);
    frame.extend(&flow.source.mac.to_be_bytes()[2..]);
    match flow.family {
        Family::Ipv4 => append_ipv4(&mut frame, flow),
        Family::Ipv6 => append_ipv6(&mut frame, flow),
    }
    append_transport(&mut frame, flow);
    frame.resize(header_octets(flow.family), 0);
    frame
}

/// RFC 791.
fn append_ipv4(frame: &mut Vec<u8>, flow: &Flow) {
    frame.extend(0x0800_u16.to_be_bytes());
    let mut header = [0; 20];
    header[0] = 0x45;
    header[1] = flow.class_of_service;
    put(&mut header, 2, (packet_octets(flow) as u16).to_be_bytes());
    put(&mut header, 4, (flow.id as u16).to_be_bytes());
    header[6] = 0x40; // do not fragment
    header[8] = flow.ttl;
    header[9] = flow.protocol;
    put(&mut header, 12, (flow.source.address as u32).to_be_bytes());
    put(
        &mut header,
        16,
        (flow.destination.address as u32).to_be_bytes(),
    );
    let checksum = internet_checksum([&header[..]]);
    put(&mut header, 10, checksum.to_be_bytes());
    frame.extend(header);
}

/// RFC 8200.
fn append_ipv6(frame: &mut Vec<u8>, flow: &Flow) {
    frame.extend(0x86dd_u16.to_be_bytes());
    let word = 6 << 28 | u32::from(flow.class_of_service) << 20;
    let payload_octets = packet_octets(flow) - ip_header_octets(Family::Ipv6);
    frame.extend(word.to_be_bytes());
    frame.extend((payload_octets as u16).to_be_bytes());
    frame.extend([flow.protocol, flow.ttl]);
    frame.extend(flow.source.address.to_be_bytes());
    frame.extend(flow.destination.address.to_be_bytes());
}

/// Ports, and what else the headers begin with. Checksums are 0: there is no payload to sum.
fn append_transport(frame: &mut Vec<u8>, flow: &Flow) {
    let ports = [flow.source.port, flow.destination.port];
    match flow.protocol {
        TCP => {
            frame.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
            frame.extend([0; 8]);
            frame.extend([5 << 4, flow.tcp_control_bits, 0xff, 0xff]);
        }
        UDP => {
            let octets = packet_octets(flow) - ip_header_octets(flow.family);
            frame.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
            frame.extend((octets as u16).to_be_bytes());
        }
        // Type and code.
        ICMP | ICMPV6 => frame.extend(flow.destination.port.to_be_bytes()),
        _ => {}
    }
}
