use std::net::Ipv4Addr;

use flowfast_decode::{ExporterReport, SampleTotals};

use super::*;

const ROOM: Room = Room {
    exporters: 1000,
    domains: 2000,
    elements: 500,
};

fn exporter(address: u32, domain: u32, records: u64) -> ExporterSummary {
    ExporterSummary {
        exporter: IpAddr::V4(Ipv4Addr::from(address)),
        domain,
        format: "ipfix",
        datagrams: 1,
        records,
        lost: 0,
        late: 0,
        missed: 0,
        lost_unit: "records",
        report: ExporterReport::default(),
        samples: SampleTotals::default(),
        templates: 1,
        last_seen_ns: 0,
        clock_ahead_ms: None,
        sampling_source: "none",
        sets_waiting: 0,
        templates_redefined: 0,
        sets_ambiguous: 0,
        unknown_elements: Vec::new(),
    }
}

fn addresses(series: &Series) -> Vec<IpAddr> {
    let mut all: Vec<_> = series
        .by_exporter
        .iter()
        .map(|each| each.exporter)
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn domains_and_workers_of_one_exporter_are_summed() {
    let later = ExporterSummary {
        clock_ahead_ms: Some(-20),
        last_seen_ns: 5,
        ..exporter(1, 2, 20)
    };
    let before = ExporterSummary {
        clock_ahead_ms: Some(70),
        last_seen_ns: 4,
        lost: 3,
        ..exporter(1, 1, 10)
    };
    let known = [before, later, exporter(1, 1, 5)];
    let series = Holders::default().series(known.iter(), ROOM);
    let [sum] = &series.by_exporter[..] else {
        panic!("{series:?}");
    };
    assert_eq!((sum.datagrams, sum.records, sum.templates), (3, 35, 3));
    assert_eq!(sum.clock_ahead, Some((-20, 5)));
    let of_domain_1 = series.by_domain.iter().filter(|each| each.domain == 1);
    assert_eq!(of_domain_1.map(|each| each.lost).sum::<u64>(), 3);
}

#[test]
fn strangers_cannot_make_labels_without_a_bound() {
    // FF-RB-04: 50,000 exporters, and as many domains of one that sends most.
    let flood = (0..50_000).map(|n| exporter(10 << 24 | n, n, 1));
    let domains = (0..50_000).map(|n| exporter(1, n, 1_000_000));
    let known: Vec<_> = flood.chain(domains).collect();
    let series = Holders::default().series(known.iter(), ROOM);
    assert_eq!(series.exporters, 50_001);
    assert_eq!(
        (series.by_exporter.len(), series.by_domain.len()),
        (1000, 2000)
    );
    let most = series.by_exporter.iter().find(|each| each.records > 1);
    assert_eq!(most.map(|each| each.records), Some(50_000_000_000));
}

#[test]
fn a_series_stays_with_its_exporter() {
    let room = Room {
        exporters: 2,
        ..ROOM
    };
    let ip = |address| IpAddr::V4(Ipv4Addr::from(address));
    let mut holders = Holders::default();
    let known = [exporter(1, 0, 10), exporter(2, 0, 20), exporter(3, 0, 5)];
    assert_eq!(
        addresses(&holders.series(known.iter(), room)),
        [ip(1), ip(2)]
    );
    let known = [exporter(1, 0, 10), exporter(2, 0, 20), exporter(3, 0, 5000)];
    assert_eq!(
        addresses(&holders.series(known.iter(), room)),
        [ip(1), ip(2)]
    );
    assert_eq!(
        addresses(&holders.series(known[1..].iter(), room)),
        [ip(2), ip(3)]
    );
}

#[test]
fn elements_that_most_sessions_have_are_told() {
    let element = |id| ElementId { pen: 9, id };
    let with = |address, ids: &[u32]| ExporterSummary {
        unknown_elements: ids.iter().map(|&id| (1, element(id))).collect(),
        ..exporter(address, 0, 1)
    };
    let known = [with(1, &[1, 2]), with(2, &[2, 3]), with(3, &[2, 3])];
    let room = Room {
        elements: 2,
        ..ROOM
    };
    let series = Holders::default().series(known.iter(), room);
    assert_eq!(series.unknown_elements, [(element(2), 3), (element(3), 2)]);
}
