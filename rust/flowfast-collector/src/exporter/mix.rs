//! The traffic: which flows there are.
//!
//! Clients in 256 networks talk to servers in 256 others, both by Zipf's law; the network of an address
//! decides its interface, AS, prefix length and next hop, as in a real cache. All addresses, ASs and MAC
//! addresses are of the private, documentation and benchmarking ranges (RFC 1918, 2544, 3849, 6996).

use std::sync::LazyLock;

use super::random::{SplitMix64, Zipf};

/// The longest time a flow is observed before it is exported.
const ACTIVE_TIMEOUT_MS: u64 = 60_000;
/// How long a flow without an end of its own is waited for.
const IDLE_TIMEOUT_MS: u64 = 15_000;
/// The least time between the end of a flow and its export. A whole second, so that no flow ends after
/// the export time of a header that is in seconds.
const EXPORT_DELAY_MS: u64 = 1_000;
/// No flow starts longer before its export than this.
pub(super) const MAX_AGE_MS: u64 = ACTIVE_TIMEOUT_MS + IDLE_TIMEOUT_MS + 2 * EXPORT_DELAY_MS;

const NETWORKS: u32 = 256;
const HOSTS_PER_NETWORK: u32 = 64;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Protocol and server port, most used first.
const SERVICES: [(u8, u16); 24] = [
    (TCP, 443),
    (UDP, 53),
    (UDP, 443),
    (TCP, 80),
    (TCP, 22),
    (UDP, 123),
    (TCP, 25),
    (TCP, 993),
    (ICMP, 0),
    (TCP, 445),
    (TCP, 3389),
    (TCP, 8080),
    (UDP, 161),
    (TCP, 5432),
    (TCP, 3306),
    (UDP, 4500),
    (TCP, 389),
    (UDP, 1194),
    (TCP, 853),
    (UDP, 3478),
    (TCP, 6443),
    (TCP, 9200),
    (UDP, 514),
    (TCP, 23),
];

static HOST_RANKS: LazyLock<Zipf> = LazyLock::new(|| Zipf::new(NETWORKS * HOSTS_PER_NETWORK));
static SERVICE_RANKS: LazyLock<Zipf> = LazyLock::new(|| Zipf::new(SERVICES.len() as u32));

/// Address family of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Ipv4,
    Ipv6,
}

/// One Flow Record before it is encoded. IPv4 addresses are in the low 32 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) family: Family,
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
    pub(super) protocol: u8,
    pub(super) class_of_service: u8,
    pub(super) tcp_control_bits: u8,
    pub(super) ttl: u8,
    pub(super) packets: u64,
    pub(super) octets: u64,
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    pub(super) end_reason: u8,
    pub(super) direction: u8,
    /// Counts the flows of this Exporter from 0.
    pub(super) id: u64,
}

/// One end of a flow, and the network it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) address: u128,
    pub(super) port: u16,
    pub(super) prefix_length: u8,
    pub(super) as_number: u16,
    pub(super) interface: u16,
    pub(super) next_hop: u128,
    pub(super) mac: u64,
    pub(super) vlan: u16,
}

#[derive(Clone, Copy)]
enum Side {
    Client,
    Server,
}

impl Endpoint {
    /// The host of that popularity; the most popular ones are spread over the networks.
    fn of_rank(side: Side, family: Family, rank: u32, port: u16) -> Self {
        let (network, host) = (rank % NETWORKS, rank / NETWORKS);
        let (interface, as_number) = match side {
            Side::Client => (1 + network % 8, 64_512 + network % 64),
            Side::Server => (101 + network % 4, 64_600 + network),
        };
        let (address, prefix_length) = address(side, family, network, host);
        Self {
            address,
            port,
            prefix_length,
            as_number: as_number as u16,
            interface: interface as u16,
            next_hop: match family {
                Family::Ipv4 => ipv4(10, 255, interface),
                Family::Ipv6 => ipv6(0xffff, 0, interface),
            },
            mac: 0x0200_0000_0000 | u64::from(interface << 8) | u64::from(network),
            vlan: 100 + interface as u16,
        }
    }
}

/// Address and prefix length of a host.
fn address(side: Side, family: Family, network: u32, host: u32) -> (u128, u8) {
    match (family, side) {
        // 10.<network>.<0-7>.<host>
        (Family::Ipv4, Side::Client) => (
            ipv4(10, network, (host % 8) << 8 | (host / 8 * 29 + 11)),
            21,
        ),
        // 198.18.0.0/15 in networks of 512 addresses
        (Family::Ipv4, Side::Server) => (
            ipv4(198, 18, 0) + u128::from(network << 9 | (host * 7 + 5)),
            23,
        ),
        (Family::Ipv6, Side::Client) => (ipv6(1, network, host + 1), 64),
        (Family::Ipv6, Side::Server) => (ipv6(2, network, host + 1), 64),
    }
}

/// `first`.`second`.`host`, the host in 16 bits.
fn ipv4(first: u32, second: u32, host: u32) -> u128 {
    u128::from(first << 24 | second << 16 | host)
}

/// 2001:db8:`site`:`network`::`host`.
fn ipv6(site: u32, network: u32, host: u32) -> u128 {
    (0x2001_0db8 << 96) | u128::from(site) << 80 | u128::from(network) << 64 | u128::from(host)
}

/// The endless stream of one Exporter's flows.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    random: SplitMix64,
    next_id: u64,
}

impl Mix {
    /// A stream of its own for each `seed` and `stream`.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self {
            random: SplitMix64::new(seed, stream),
            next_id: 0,
        }
    }

    /// How many flows it has given.
    pub(super) fn flows(&self) -> u64 {
        self.next_id
    }

    /// The next flow, complete at `now_ms` (UNIX time): it ended a second or more before, and started at
    /// most [`MAX_AGE_MS`] before.
    pub(super) fn flow(&mut self, family: Family, now_ms: u64) -> Flow {
        let id = self.next_id;
        self.next_id += 1;
        let random = &mut self.random;

        let (service_protocol, service_port) = SERVICES[SERVICE_RANKS.sample(random) as usize];
        let protocol = match (service_protocol, family) {
            (ICMP, Family::Ipv6) => ICMPV6,
            (protocol, _) => protocol,
        };
        let to_server = random.chance(50);
        let (source, destination) = endpoints(random, family, protocol, service_port, to_server);
        let packets = packets(random, protocol, service_port);
        let tcp_control_bits = if protocol == TCP {
            tcp_control_bits(random, packets)
        } else {
            0
        };
        let duration_ms = match packets {
            1 => 0,
            _ => random.log_normal_like(18, 1).min(ACTIVE_TIMEOUT_MS),
        };
        let end_reason = end_reason(duration_ms, tcp_control_bits);
        let waited_ms = if end_reason == IDLE_TIMEOUT {
            IDLE_TIMEOUT_MS
        } else {
            0
        };
        let end_ms = now_ms - EXPORT_DELAY_MS - random.below(EXPORT_DELAY_MS) - waited_ms;
        Flow {
            family,
            source,
            destination,
            protocol,
            class_of_service: class_of_service(random),
            tcp_control_bits,
            ttl: if to_server { 64 } else { 128 } - 1 - random.below(12) as u8,
            packets,
            octets: packets * octets_per_packet(random, protocol, family, packets),
            start_ms: end_ms - duration_ms,
            end_ms,
            end_reason,
            direction: u8::from(!to_server),
            id,
        }
    }
}

/// Source and destination: a client and a server, one way or the other.
fn endpoints(
    random: &mut SplitMix64,
    family: Family,
    protocol: u8,
    server_port: u16,
    to_server: bool,
) -> (Endpoint, Endpoint) {
    let ephemeral_port = 32_768 + random.below(28_232) as u16;
    let (source_port, destination_port) = match (protocol, to_server) {
        // The habit of exporters: type * 256 + code for a destination port. Echo and its reply.
        (ICMP, true) => (0, 8 << 8),
        (ICMP, false) => (0, 0),
        (ICMPV6, true) => (0, 128 << 8),
        (ICMPV6, false) => (0, 129 << 8),
        (_, true) => (ephemeral_port, server_port),
        (_, false) => (server_port, ephemeral_port),
    };
    let (client, server) = (HOST_RANKS.sample(random), HOST_RANKS.sample(random));
    let endpoint = |side, rank, port| Endpoint::of_rank(side, family, rank, port);
    if to_server {
        (
            endpoint(Side::Client, client, source_port),
            endpoint(Side::Server, server, destination_port),
        )
    } else {
        (
            endpoint(Side::Server, server, source_port),
            endpoint(Side::Client, client, destination_port),
        )
    }
}

/// A question or its answer (DNS, NTP, SNMP, syslog) is a packet or two; other flows are heavy-tailed.
fn packets(random: &mut SplitMix64, protocol: u8, server_port: u16) -> u64 {
    match (protocol, server_port) {
        (UDP, 53 | 123 | 161 | 514) => 1 + random.below(2),
        _ => random.log_normal_like(20, 7),
    }
}

/// Mean packet size: bulk flows near the MTU, the others by their headers and a little more.
fn octets_per_packet(random: &mut SplitMix64, protocol: u8, family: Family, packets: u64) -> u64 {
    let ip_header = if family == Family::Ipv4 { 20 } else { 40 };
    let header = ip_header + if protocol == TCP { 20 } else { 8 };
    let is_bulk = packets >= 8 && matches!(protocol, TCP | UDP) && random.chance(40);
    let payload = if is_bulk {
        1000 + random.below(432)
    } else {
        random.log_normal_like(14, 2)
    };
    header + payload.min(1432)
}

/// Union of the flags seen: a lone packet is most often a SYN, a long flow is whole or cut by a timeout.
fn tcp_control_bits(random: &mut SplitMix64, packets: u64) -> u8 {
    const FIN_SYN_PSH_ACK: u8 = 0x1b;
    const SYN: u8 = 0x02;
    const RST_SYN_ACK: u8 = 0x16;
    const PSH_ACK: u8 = 0x18;
    const ACK: u8 = 0x10;
    match (packets, random.below(100)) {
        (1, 0..70) => SYN,
        (1, _) => ACK,
        (_, 0..65) => FIN_SYN_PSH_ACK,
        (_, 65..90) => PSH_ACK,
        (_, 90..97) => RST_SYN_ACK,
        _ => ACK,
    }
}

/// flowEndReason 1 (RFC 5102 section 5.11.3).
const IDLE_TIMEOUT: u8 = 1;

fn end_reason(duration_ms: u64, tcp_control_bits: u8) -> u8 {
    const ACTIVE_TIMEOUT: u8 = 2;
    const END_OF_FLOW: u8 = 3;
    const FIN_OR_RST: u8 = 0x05;
    if duration_ms == ACTIVE_TIMEOUT_MS {
        ACTIVE_TIMEOUT
    } else if tcp_control_bits & FIN_OR_RST != 0 {
        END_OF_FLOW
    } else {
        IDLE_TIMEOUT
    }
}

/// Mostly best effort; else CS1, AF21, AF41, EF.
fn class_of_service(random: &mut SplitMix64) -> u8 {
    match random.below(100) {
        0..80 => 0,
        80..88 => 8 << 2,
        88..93 => 18 << 2,
        93..97 => 34 << 2,
        _ => 46 << 2,
    }
}
