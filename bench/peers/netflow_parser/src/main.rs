//! The crate netflow_parser, timed: `netflow-parser-bench CAPTURE SECONDS`.
//!
//! Reads a capture of one exporter that `flowfast generate --write` wrote, parses each datagram with `parse_bytes` until that took so many
//! seconds of CPU time, and prints the figures as `flowfast bench decode --json` calls them. The pass before is not timed: templates are
//! known after it, and its flows and octets are told, so that they can be compared.

use std::hint::black_box;
use std::time::Duration;
use std::{env, fs};

use netflow_parser::variable_versions::field_value::FieldValue;
use netflow_parser::variable_versions::ipfix::lookup::{IANAIPFixField, IPFixField};
use netflow_parser::variable_versions::v9::lookup::V9Field;
use netflow_parser::variable_versions::{ipfix, v9};
use netflow_parser::{NetflowPacket, NetflowParser};
use rustix::time::{ClockId, clock_gettime};

const PCAP_HEADER_OCTETS: usize = 24;
const PACKET_HEADER_OCTETS: usize = 16;
const IPV4_UDP_OCTETS: usize = 28;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let [_, capture, seconds] = &arguments[..] else {
        panic!("usage: netflow-parser-bench CAPTURE SECONDS");
    };
    let capture = fs::read(capture).expect("a capture that can be read");
    let wanted = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    let datagrams = datagrams(&capture);
    let mut parser = NetflowParser::default();

    let (mut flows, mut octets) = (0, 0);
    for datagram in &datagrams {
        for packet in parse(&mut parser, datagram) {
            flows += records(&packet);
            octets += octets_in(&packet);
        }
    }

    let mut received = 0;
    let started = cpu_time();
    while cpu_time() - started < wanted {
        for datagram in &datagrams {
            for packet in black_box(parse(&mut parser, datagram)) {
                received += records(&packet);
            }
        }
    }
    let cpu = (cpu_time() - started).as_secs_f64();
    println!(
        r#"{{"records": {received}, "cpu_seconds": {cpu:.4}, "records_per_cpu_second": {:.0}, "ns_per_record": {:.2}, "pass": {{"flows": {flows}, "octets": {octets}}}}}"#,
        received as f64 / cpu,
        cpu * 1e9 / received as f64,
    );
}

fn parse(parser: &mut NetflowParser, datagram: &[u8]) -> Vec<NetflowPacket> {
    let result = parser.parse_bytes(datagram);
    if let Some(error) = result.error {
        panic!("{error}");
    }
    result.packets
}

/// The UDP payloads of a pcap: little-endian, IPv4 without options, no link header.
fn datagrams(capture: &[u8]) -> Vec<&[u8]> {
    let mut rest = &capture[PCAP_HEADER_OCTETS..];
    let mut datagrams = Vec::new();
    while let Some((header, packets)) = rest.split_at_checked(PACKET_HEADER_OCTETS) {
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let (packet, after) = packets.split_at(length as usize);
        datagrams.push(&packet[IPV4_UDP_OCTETS..]);
        rest = after;
    }
    datagrams
}

/// Flow Records in a message.
fn records(packet: &NetflowPacket) -> u64 {
    let records: usize = match packet {
        NetflowPacket::V5(v5) => v5.flowsets.len(),
        NetflowPacket::V9(v9) => v9_records(v9).count(),
        NetflowPacket::IPFix(ipfix) => ipfix_records(ipfix).count(),
        _ => 0,
    };
    records as u64
}

/// The sum of octetDeltaCount.
fn octets_in(packet: &NetflowPacket) -> u64 {
    match packet {
        NetflowPacket::V5(v5) => v5
            .flowsets
            .iter()
            .map(|flow| u64::from(flow.d_octets))
            .sum(),
        NetflowPacket::V9(v9) => v9_records(v9)
            .flatten()
            .filter(|(field, _)| *field == V9Field::InBytes)
            .map(|(_, value)| number(value))
            .sum(),
        NetflowPacket::IPFix(ipfix) => ipfix_records(ipfix)
            .flatten()
            .filter(|(field, _)| *field == IPFixField::IANA(IANAIPFixField::OctetDeltaCount))
            .map(|(_, value)| number(value))
            .sum(),
        _ => 0,
    }
}

fn v9_records(packet: &v9::V9) -> impl Iterator<Item = &v9::V9FlowRecord> {
    packet.flowsets.iter().flat_map(|set| match &set.body {
        v9::FlowSetBody::Data(data) => data.fields.as_slice(),
        _ => &[],
    })
}

fn ipfix_records(packet: &ipfix::IPFix) -> impl Iterator<Item = &ipfix::IPFixFlowRecord> {
    packet.flowsets.iter().flat_map(|set| match &set.body {
        ipfix::FlowSetBody::Data(data) => data.fields.as_slice(),
        _ => &[],
    })
}

fn number(value: &FieldValue) -> u64 {
    match value {
        FieldValue::DataNumber(number) => number.as_u64().expect("a number without a sign"),
        other => panic!("octets are a number, not {other:?}"),
    }
}

/// CPU time of this thread so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
