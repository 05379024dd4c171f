//! Whether the traffic looks like traffic.

use std::collections::HashMap;

use super::super::mix::{Family, Flow, MAX_AGE_MS, Mix};

const NOW_MS: u64 = 1_767_225_600_000;

fn flows(family: Family) -> Vec<Flow> {
    let mut mix = Mix::new(1, 0);
    (0..50_000).map(|_| mix.flow(family, NOW_MS)).collect()
}

fn share(flows: &[Flow], is: impl Fn(&Flow) -> bool) -> f64 {
    flows.iter().filter(|flow| is(flow)).count() as f64 / flows.len() as f64
}

#[test]
fn protocols_are_mixed() {
    for (family, icmp) in [(Family::Ipv4, 1), (Family::Ipv6, 58)] {
        let flows = flows(family);
        assert!((0.5..0.8).contains(&share(&flows, |flow| flow.protocol == 6)));
        assert!((0.2..0.4).contains(&share(&flows, |flow| flow.protocol == 17)));
        assert!((0.01..0.05).contains(&share(&flows, |flow| flow.protocol == icmp)));
        assert!(
            flows
                .iter()
                .all(|flow| (flow.protocol == 6) == (flow.tcp_control_bits != 0))
        );
    }
}

#[test]
fn a_few_hosts_have_most_of_the_flows() {
    let mut by_host: HashMap<u128, usize> = HashMap::new();
    for flow in flows(Family::Ipv4) {
        *by_host.entry(flow.source.address).or_default() += 1;
    }
    let mut counts: Vec<_> = by_host.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    assert!(counts.len() > 8_000, "{} hosts", counts.len());
    assert!(counts[..100].iter().sum::<usize>() > 20_000);
}

#[test]
fn volumes_and_times_are_possible() {
    let mut octets: Vec<_> = Vec::new();
    for flow in [flows(Family::Ipv4), flows(Family::Ipv6)].concat() {
        assert!(flow.start_ms <= flow.end_ms && flow.end_ms + 1000 <= NOW_MS);
        assert!(NOW_MS - flow.start_ms <= MAX_AGE_MS);
        assert!(
            (28..=1500).contains(&(flow.octets / flow.packets)),
            "{flow:?}"
        );
        assert!(
            u32::try_from(flow.octets).is_ok(),
            "v5 and v9-19 have 32-bit counters"
        );
        assert!(flow.packets > 1 || flow.start_ms == flow.end_ms);
        octets.push(flow.octets);
    }
    octets.sort_unstable();
    let mean = octets.iter().sum::<u64>() / octets.len() as u64;
    assert!(
        mean > 10 * octets[octets.len() / 2],
        "heavy tail: mean {mean}"
    );
}

/// Exporters put type * 256 + code into the destination port (spec 2.1.4).
#[test]
fn icmp_has_types_for_ports() {
    for (family, protocol, types) in [(Family::Ipv4, 1, [8, 0]), (Family::Ipv6, 58, [128, 129])] {
        for flow in flows(family)
            .iter()
            .filter(|flow| flow.protocol == protocol)
        {
            assert_eq!(flow.source.port, 0);
            assert!(types.contains(&(flow.destination.port >> 8)), "{flow:?}");
        }
    }
}

#[test]
fn a_network_has_one_interface_and_as() {
    let mut by_prefix = HashMap::new();
    for flow in [flows(Family::Ipv4), flows(Family::Ipv6)].concat() {
        let bits = if flow.family == Family::Ipv4 { 32 } else { 128 };
        let endpoint = flow.source;
        let prefix = endpoint.address >> (bits - endpoint.prefix_length);
        let facts = (endpoint.interface, endpoint.as_number, endpoint.next_hop);
        assert_eq!(*by_prefix.entry(prefix).or_insert(facts), facts);
    }
}
