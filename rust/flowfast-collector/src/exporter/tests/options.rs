//! Options: names, and refusals with a hint.

use std::io;

use super::{
    super::{order::FieldOrder, random::SplitMix64, template::Templates, *},
    NEVER, options,
};

fn refusal(options: &ExportOptions, target: &str) -> String {
    let error = export_udp(options, target.parse().unwrap(), NEVER).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    let text = error.to_string();
    let (sentence, hint) = text.split_once('\n').unwrap();
    assert!(
        !sentence.ends_with('.') && hint.starts_with("hint: "),
        "{text}"
    );
    sentence.to_owned()
}

#[test]
fn names_read_back() {
    assert!(
        Format::ALL
            .iter()
            .all(|format| format.name().parse() == Ok(*format))
    );
    assert!(
        NamedTemplate::ALL
            .iter()
            .all(|named| named.name().parse() == Ok(*named))
    );
    assert!(
        FieldOrder::ALL
            .iter()
            .all(|order| order.name().parse() == Ok(*order))
    );
    let error = "v10".parse::<Format>().unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown format `v10`\nhint: choose one of v5, v9, ipfix, sflow"
    );
}

#[test]
fn load_goes_to_loopback_only() {
    let options = options(Format::Ipfix, 10);
    for target in [
        "192.0.2.1:2055",
        "0.0.0.0:2055",
        "[2001:db8::1]:2055",
        "[::]:2055",
    ] {
        assert!(refusal(&options, target).contains("loopback only"));
    }
}

#[test]
fn impossible_options_are_refused() {
    let base = options(Format::Ipfix, 10);
    let refused = |change: fn(&mut ExportOptions)| {
        let mut options = base.clone();
        change(&mut options);
        refusal(&options, "127.0.0.1:2055")
    };
    assert_eq!(refused(|o| o.count = 0), "the export would never end");
    assert_eq!(
        refused(|o| o.template = Some(NamedTemplate::V9Cisco)),
        "ipfix has no template `v9-19`"
    );
    assert_eq!(refused(|o| o.rate_flows_per_s = -1.0), "-1 is no rate");
    assert_eq!(refused(|o| o.rate_flows_per_s = f64::NAN), "NaN is no rate");
    assert_eq!(refused(|o| o.exporters = 0), "0 exporters are not possible");
    assert_eq!(
        refused(|o| o.ipv6_percent = 101),
        "101 percent of IPv6 is not possible"
    );
    assert_eq!(
        refused(|o| o.max_datagram_octets = 100),
        "datagrams of 100 octets are not possible"
    );
    assert_eq!(
        refused(|o| o.start_time_s = Some(0)),
        "the start time 0 is too early"
    );
    refused(|o| o.template_refresh_datagrams = 0);
    refused(|o| {
        o.format = Format::Netflow5;
        o.order = FieldOrder::Worst;
    });
}

/// Octets of each field, in order.
fn sizes(named: NamedTemplate, order: FieldOrder) -> Vec<u16> {
    let templates = Templates::new(named, order, true, &SplitMix64::new(1, 1));
    templates
        .ipv4
        .fields
        .iter()
        .map(|field| field.octets)
        .collect()
}

#[test]
fn record_sizes_are_those_documented() {
    for (named, octets) in [
        (NamedTemplate::V5, 48),
        (NamedTemplate::V9Cisco, 54),
        (NamedTemplate::Ipfix25, 89),
        (NamedTemplate::SetA, 96),
        (NamedTemplate::Minimal, 45),
    ] {
        assert_eq!(
            sizes(named, FieldOrder::AsListed).iter().sum::<u16>(),
            octets,
            "{named:?}"
        );
    }
}

/// FF-ORD-05.
#[test]
fn canonical_order_is_by_size_then_id() {
    let default = ExportOptions::default().order;
    assert_eq!(default, FieldOrder::Canonical);
    let set_a = Templates::new(NamedTemplate::SetA, default, true, &SplitMix64::new(1, 1));
    let ids: Vec<_> = set_a
        .ipv4
        .fields
        .iter()
        .map(|field| field.element as u16)
        .collect();
    assert_eq!(
        ids,
        [
            1, 2, 148, 152, 153, 56, 80, 8, 10, 12, 14, 15, 16, 17, 6, 7, 11, 58, 4, 5, 9, 13, 52,
            53, 61, 136
        ]
    );
}

#[test]
fn worst_order_misaligns_all_it_can() {
    for named in [
        NamedTemplate::SetA,
        NamedTemplate::Ipfix25,
        NamedTemplate::V9Cisco,
    ] {
        let sizes = sizes(named, FieldOrder::Worst);
        let offsets = sizes.iter().scan(0, |offset, size| {
            *offset += size;
            Some(*offset - size)
        });
        let aligned = offsets
            .zip(&sizes)
            .filter(|(offset, size)| **size > 1 && offset % **size == 0);
        assert_eq!(aligned.count(), 0, "{named:?}: {sizes:?}");
    }
}

#[test]
fn worst_order_leaves_no_run() {
    let ids = |order| -> Vec<u16> {
        let templates = Templates::new(NamedTemplate::SetA, order, true, &SplitMix64::new(1, 1));
        templates
            .ipv4
            .fields
            .iter()
            .map(|field| field.element as u16)
            .collect()
    };
    let canonical = ids(FieldOrder::Canonical);
    let follows = |pair: &[u16]| canonical.windows(2).any(|neighbours| neighbours == pair);
    assert!(!ids(FieldOrder::Worst).windows(2).any(follows));
}

#[test]
fn shuffled_order_is_each_exporters_own() {
    let order = |stream| {
        let random = SplitMix64::new(1, stream);
        Templates::new(NamedTemplate::SetA, FieldOrder::Shuffled, true, &random)
            .ipv4
            .fields
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(3));
}
