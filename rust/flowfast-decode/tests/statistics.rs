//! Loss as sequence numbers tell it and as exporters tell it themselves, both by arithmetic: what was sent is known, and so is what
//! was left out (spec 2.3.4, 2.3.8, FF-OT-02, FF-SF-04).
#![allow(clippy::unwrap_used)]

mod common;

use common::message::*;
use common::*;
use flowfast_decode::{DecoderOptions, ExporterSummary, Limits, SchemaKind, Warning};

fn summary(ledger: &Ledger) -> ExporterSummary {
    let exporters = ledger.decoder.exporters();
    assert_eq!(exporters.len(), 1);
    exporters[0].clone()
}

/// An exporter of IPFIX that counts as RFC 7011 has it, and of which some messages are lost on the way.
#[derive(Default)]
struct Exporter {
    messages: u64,
    records: u64,
    octets: u64,
    sequence: u32,
    not_sent: u64,
}

impl Exporter {
    const DOMAIN: u32 = 7;

    fn message(&mut self, sets: &[Vec<u8>], flow_records: u32, options_records: u32) -> Vec<u8> {
        let message = ipfix(self.sequence, Self::DOMAIN, sets);
        self.messages += 1;
        self.records += u64::from(flow_records);
        self.octets += message.len() as u64;
        self.sequence += flow_records + options_records;
        message
    }

    fn templates(&mut self) -> Vec<u8> {
        let reported = [
            iana(149, 4),
            iana(143, 4),
            iana(41, 8),
            iana(42, 8),
            iana(40, 8),
        ];
        let reliability = [iana(144, 4), iana(166, 8), iana(167, 8), iana(168, 8)];
        let ignored = [iana(149, 4), iana(143, 4), iana(164, 8), iana(165, 8)];
        self.message(
            &[
                templates(&[template(256, &[iana(1, 8)])]),
                options_templates(&[
                    options_template(300, 2, &reported),
                    options_template(301, 1, &reliability),
                    options_template(302, 2, &ignored),
                ]),
            ],
            0,
            0,
        )
    }

    fn flows(&mut self, count: u32) -> Vec<u8> {
        self.message(&[set(256, &vec![1; 8 * count as usize])], count, 0)
    }

    /// Its totals, of all before this message (RFC 5102: "excludes the message that carries the counter").
    fn report(&mut self) -> Vec<u8> {
        self.report_of(Self::DOMAIN)
    }

    fn report_of(&mut self, domain: u32) -> Vec<u8> {
        let totals = [self.messages, self.records, self.octets]
            .map(u64::to_be_bytes)
            .concat();
        let reported = [&domain.to_be_bytes()[..], &[0, 0, 0, 1], &totals].concat();
        let not_sent = [self.not_sent, self.not_sent * 10, self.not_sent * 1000];
        let not_sent = [&[0, 0, 0, 1][..], &not_sent.map(u64::to_be_bytes).concat()].concat();
        let ignored = [self.not_sent * 2, self.not_sent * 100]
            .map(u64::to_be_bytes)
            .concat();
        let ignored = [&domain.to_be_bytes()[..], &[0, 0, 0, 1], &ignored].concat();
        let sets = [set(300, &reported), set(301, &not_sent), set(302, &ignored)];
        self.message(&sets, 0, 3)
    }
}

#[test]
fn what_exporters_report_is_held_against_what_arrived() {
    // FF-OT-01, FF-OT-02; RFC 7011 sections 4.1 to 4.3.
    for schema in BOTH {
        let mut ledger = Ledger::new(schema);
        let mut exporter = Exporter::default();
        // Long before we listened.
        (0..1000).for_each(|_| drop(exporter.flows(30)));
        exporter.not_sent = 77;
        ledger.feed(HERE, &exporter.templates());
        ledger.feed(HERE, &exporter.flows(5));
        ledger.feed(HERE, &exporter.report());
        assert_eq!(
            summary(&ledger).report,
            Default::default(),
            "the first report is where it begins"
        );
        let (mut lost_messages, mut lost_records, mut lost_octets) = (0, 0, 0);
        let (messages, records, octets) = (exporter.messages, exporter.records, exporter.octets);
        for n in 0..100u32 {
            let message = exporter.flows(1 + n % 20);
            if n % 7 == 3 {
                lost_messages += 1;
                lost_records += u64::from(1 + n % 20);
                lost_octets += message.len() as u64;
            } else {
                ledger.feed(HERE, &message);
            }
            exporter.not_sent += u64::from(n % 3 == 0);
            if n % 40 == 39 {
                ledger.feed(HERE, &exporter.report());
            }
        }
        let sent = (exporter.messages, exporter.records, exporter.octets);
        ledger.feed(HERE, &exporter.report());
        // From the first report on: it is itself part of what was sent after it was told.
        let first = 16 + 3 * 4 + (8 + 24) + (4 + 24) + (8 + 16);
        let report = summary(&ledger).report;
        assert_eq!(report.messages_reported, sent.0 - messages + 1);
        assert_eq!(report.records_reported, sent.1 - records);
        assert_eq!(report.octets_reported, sent.2 - octets + first);
        assert_eq!(
            report.messages_reported - report.messages_arrived,
            lost_messages
        );
        assert_eq!(
            report.records_reported - report.records_arrived,
            lost_records
        );
        assert_eq!(report.octets_reported - report.octets_arrived, lost_octets);
        // 0, 3, 6, ... 99.
        let not_sent = [
            report.records_not_sent,
            report.packets_not_sent,
            report.octets_not_sent,
        ];
        assert_eq!(not_sent, [34, 340, 34_000]);
        assert_eq!([report.packets_ignored, report.octets_ignored], [68, 3400]);
        // The sequence numbers agree.
        assert_eq!(summary(&ledger).lost, lost_records);
        let stats = ledger.stats();
        assert_eq!(stats.sequence_lost_records, lost_records);
        assert_eq!(stats.exporter_records_reported, report.records_reported);
        assert_eq!(stats.exporter_records_arrived, report.records_arrived);
        assert_eq!(
            (
                stats.exporter_records_not_sent,
                stats.exporter_packets_ignored
            ),
            (34, 68)
        );
        ledger.finish();
    }
}

#[test]
fn reports_of_restarts_other_domains_and_waiting_sets() {
    let mut ledger = Ledger::new(SchemaKind::Flows);
    let mut exporter = Exporter::default();
    ledger.feed(HERE, &exporter.templates());
    ledger.feed(HERE, &exporter.report());
    ledger.feed(HERE, &exporter.flows(10));
    // Of another domain: not compared with what arrived from this one.
    ledger.feed(HERE, &exporter.report_of(8));
    ledger.feed(HERE, &exporter.report());
    assert_eq!(summary(&ledger).report.records_reported, 10);
    assert_eq!(summary(&ledger).report.records_arrived, 10);
    // Started anew: what it says now is the base of what comes.
    exporter = Exporter::default();
    exporter.records = 3;
    ledger.feed(HERE, &exporter.templates());
    ledger.feed(HERE, &exporter.report());
    assert_eq!(summary(&ledger).report.records_reported, 10);
    ledger.feed(HERE, &exporter.flows(4));
    // A set that waits for its template is counted when it comes.
    let early = exporter.message(&[set(400, &[0; 8 * 6])], 6, 0);
    ledger.feed(HERE, &early);
    let define = exporter.message(&[templates(&[template(400, &[iana(1, 8)])])], 0, 0);
    ledger.feed(HERE, &define);
    ledger.feed(HERE, &exporter.report());
    let report = summary(&ledger).report;
    assert_eq!((report.records_reported, report.records_arrived), (20, 20));
}

#[test]
fn totals_of_netflow9_are_of_its_source_id() {
    // RFC 3954 section 8, types 40 to 42: in four octets, scoped to the system.
    let mut ledger = Ledger::new(SchemaKind::Flows);
    let define = [
        templates9(&[template(256, &[iana(1, 4)])]),
        options_templates9(&[options_template9(
            300,
            1,
            &[iana(1, 4), iana(41, 4), iana(42, 4)],
        )]),
    ];
    ledger.feed(HERE, &netflow9(0, 1, 1, &define));
    let report = |packets: u32, flows: u32| {
        set(
            300,
            &[[10, 0, 0, 1], packets.to_be_bytes(), flows.to_be_bytes()].concat(),
        )
    };
    ledger.feed(
        HERE.port(1),
        &netflow9(1, 1, 1, &[report(u32::MAX, u32::MAX - 1)]),
    );
    ledger.feed(HERE.port(2), &netflow9(2, 1, 1, &[set(256, &[0; 40])]));
    ledger.feed(HERE.port(3), &netflow9(5, 1, 1, &[report(3, 28)]));
    let found = summary(&ledger);
    assert_eq!(
        (
            found.report.messages_reported,
            found.report.messages_arrived
        ),
        (4, 2)
    );
    assert_eq!(
        (found.report.records_reported, found.report.records_arrived),
        (30, 10)
    );
    assert_eq!((found.lost, found.lost_unit), (2, "packets"));
}

#[test]
fn each_session_of_ipfix_has_a_sequence() {
    // FF-SQ-03, FF-SQ-04: two processes of one address and domain, and one that sends from ever new ports.
    let mut ledger = Ledger::new(SchemaKind::Flows);
    let define = |session: From, sequence: u32, ledger: &mut Ledger| {
        let message = ipfix(sequence, 1, &[templates(&[template(256, &[iana(1, 8)])])]);
        ledger.feed(session, &message);
    };
    let data = |sequence: u32, count: usize| ipfix(sequence, 1, &[set(256, &vec![0; 8 * count])]);
    let (one, two) = (HERE.port(1000), HERE.port(2000));
    define(one, 0, &mut ledger);
    define(two, 70_000, &mut ledger);
    for n in 0..20 {
        ledger.feed(one, &data(10 * n, 10));
        ledger.feed(two, &data(70_000 + 5 * n, 5));
    }
    assert_eq!(summary(&ledger).lost, 0);
    ledger.feed(one, &data(230, 10));
    ledger.feed(one, &data(210, 10));
    ledger.feed(one, &data(210, 10));
    let found = summary(&ledger);
    assert_eq!((found.lost, found.late), (30, 10));
    assert_eq!(ledger.warnings(Warning::OutOfOrder), 1);
    assert_eq!(ledger.warnings(Warning::Duplicate), 1);
    assert_eq!(ledger.stats().sequence_late_records, 10);
    // FF-Q-01: two messages of three records are missing.
    let elsewhere = |n: u16| HERE.exporter(5).port(3000 + n);
    define(elsewhere(0), 0, &mut ledger);
    for n in 0..20 {
        let sequence = 3 * u32::from(n) + if n > 10 { 6 } else { 0 };
        ledger.feed(elsewhere(n), &data(sequence, 3));
    }
    let exporters = ledger.decoder.exporters();
    assert!(
        exporters
            .iter()
            .any(|exporter| (exporter.lost, exporter.records) == (6, 60))
    );
    ledger.finish();
}

#[test]
fn samples_are_followed_by_source() {
    // FF-SF-04, FF-SMP-07, FF-RB-04: beside the datagrams; sources beyond the bound are decoded all the same.
    let limits = Limits {
        sample_sources_per_domain: 4,
        sample_sources: 6,
        ..Limits::default()
    };
    let mut ledger = Ledger::with(&DecoderOptions {
        limits,
        ..options(SchemaKind::Wire)
    });
    let mut datagrams = 0;
    let mut feed = |ledger: &mut Ledger, agent: u32, samples: &[Vec<u32>]| {
        let mut words = vec![
            5,
            1,
            agent,
            0,
            datagrams,
            1000 + datagrams,
            samples.len() as u32,
        ];
        for sample in samples {
            words.extend([sample[0], 4 * (sample.len() as u32 - 1)]);
            words.extend(&sample[1..]);
        }
        datagrams += 1;
        let octets: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        ledger.feed(HERE, &octets);
    };
    // sequence, source, sampling rate, pool, drops, input, output, no records.
    let flow = |source: u32, sequence: u32, pool: u32, drops: u32| {
        vec![1, sequence, source, 100, pool, drops, 1, 2, 0]
    };
    let expanded = |source: u32, sequence: u32, pool: u32| {
        vec![3, sequence, 0, source, 100, pool, 0, 0, 1, 0, 2, 0]
    };
    let counters = |source: u32, sequence: u32| vec![2, sequence, source, 0];
    feed(
        &mut ledger,
        1,
        &[flow(3, 10, 1000, 0), counters(3, 1), flow(4, 7, 0, 0)],
    );
    feed(
        &mut ledger,
        1,
        &[flow(3, 11, 1100, 0), flow(3, 12, 1210, 2), counters(3, 2)],
    );
    // The same source in the expanded form; a counter sample and two flow samples are missing.
    feed(&mut ledger, 1, &[expanded(3, 15, 1500), counters(3, 4)]);
    let found = summary(&ledger).samples;
    assert_eq!(
        (found.flow_samples_lost, found.counter_samples_lost),
        (2, 1)
    );
    assert_eq!((found.samples_taken, found.sample_pool), (5, 500));
    assert_eq!(ledger.stats().sequence_lost_packets, 0);
    assert_eq!(ledger.stats().sequence_lost_flow_samples, 2);
    assert_eq!(ledger.stats().sequence_lost_counter_samples, 1);
    // A fourth source fits, a fifth does not; of another agent two more do.
    feed(&mut ledger, 1, &[flow(5, 1, 0, 0), flow(6, 1, 0, 0)]);
    assert_eq!(ledger.warnings(Warning::SampleSourceRefused), 1);
    feed(
        &mut ledger,
        2,
        &[flow(1, 1, 0, 0), flow(2, 1, 0, 0), flow(3, 1, 0, 0)],
    );
    assert_eq!(ledger.warnings(Warning::SampleSourceRefused), 2);
    ledger.finish();
    assert_eq!(rows(&ledger.batches), 13);
}
