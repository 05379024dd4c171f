//! What strangers may make us remember, and how much they may make us do: bounded, oldest first, and counted (FF-TL-14, FF-RB-01,
//! FF-RB-04).
#![allow(clippy::unwrap_used)]

mod common;

use allocation_counter::measure;
use common::message::*;
use common::*;
use flowfast_decode::{DecoderOptions, Limits, SchemaKind, SetLoss, Warning};

/// The most fields that a template can have.
const WIDEST: u16 = 16_370;

/// A template of unknown elements that all differ.
fn wide_template(first: u16, fields: u16) -> Vec<Field> {
    (0..fields).map(|n| iana((first + n) & 0x7fff, 1)).collect()
}

fn with_limits(schema: SchemaKind, limits: Limits) -> DecoderOptions {
    DecoderOptions {
        limits,
        ..options(schema)
    }
}

#[test]
fn template_of_16370_fields() {
    // FF-IX-15; RFC 5471 section 3.5.3.
    for schema in BOTH {
        let mut ledger = Ledger::new(schema);
        let fields = wide_template(10_000, WIDEST);
        ledger.feed(HERE, &ipfix(0, 1, &[templates(&[template(256, &fields)])]));
        let record: Vec<u8> = (0..16_370).map(|n| n as u8).collect();
        ledger.feed(HERE, &ipfix(0, 1, &[set(256, &record), set(256, &record)]));
        let batch = ledger.only();
        assert_eq!(batch.num_rows(), 2);
        if schema == SchemaKind::Wire {
            assert_eq!(batch.num_columns(), 9 + 16_370);
        }
    }
}

#[test]
fn every_template_id_of_a_domain() {
    // FF-TL-14: the oldest go, and are counted; RFC 5471 section 3.5.4.
    for schema in BOTH {
        let mut ledger = Ledger::new(schema);
        let limit = Limits::default().templates_per_domain;
        for (n, id) in (256..=65535u16).enumerate() {
            let from = From {
                at_ns: EPOCH_NS + n as i64,
                ..HERE
            };
            ledger.feed(
                from,
                &ipfix(
                    0,
                    1,
                    &[templates(&[template(id, &[iana(1, 8), iana(4, 1)])])],
                ),
            );
        }
        let known = ledger.decoder.exporters()[0].templates;
        assert!(known <= limit, "{known}");
        assert_eq!(
            ledger.warnings(Warning::TemplateEvicted) + known as u64,
            65_280
        );
        ledger.feed(HERE, &ipfix(0, 1, &[set(65535, &[0; 9])]));
        ledger.feed(HERE, &ipfix(0, 1, &[set(256, &[0; 9])]));
        assert_eq!(ledger.stats().records_decoded, 1);
        ledger.finish();
        assert_eq!(ledger.sets_lost(SetLoss::NoTemplate), 1);
    }
}

#[test]
fn all_template_ids_in_one_message_of_one_time() {
    // The template just defined is not the one that goes, though all are of one age.
    let mut ledger = Ledger::with(&with_limits(
        SchemaKind::Wire,
        Limits {
            templates_per_domain: 100,
            ..Limits::default()
        },
    ));
    for id in 256..2000u16 {
        ledger.feed(
            HERE,
            &ipfix(0, 1, &[templates(&[template(id, &[iana(4, 1)])])]),
        );
        ledger.feed(HERE, &ipfix(0, 1, &[set(id, &[6])]));
    }
    assert_eq!(ledger.stats().records_decoded, 2000 - 256);
    ledger.finish();
}

#[test]
fn a_hundred_thousand_exporters_stay_within_the_bound() {
    // FF-RB-04; RFC 5471 section 3.5.5.
    let mut ledger = Ledger::new(SchemaKind::Flows);
    let bound = Limits::default().domains;
    let template = templates(&[template(256, &[iana(1, 8)])]);
    let mut from = HERE;
    let sent = bound + 5000;
    for n in 0..sent {
        from.exporter += 1;
        from.at_ns += 1000;
        match n % 2 {
            0 => ledger.feed(from, &netflow5(0, 0, 0, 1, n as u8)),
            _ => ledger.feed(from, &ipfix(0, 1, &[template.clone(), set(256, &[1; 8])])),
        }
    }
    assert!(ledger.decoder.exporter_count() <= bound);
    assert_eq!(
        ledger.warnings(Warning::ExporterEvicted) as usize + ledger.decoder.exporter_count(),
        sent
    );
    assert_eq!(ledger.drain(), sent);
    // The silent ones went, not the last.
    ledger.feed(from, &netflow5(1, 0, 0, 1, 0));
    assert_eq!(ledger.warnings(Warning::OutOfOrder), 0);
}

#[test]
fn waiting_sets_are_bounded_in_octets() {
    // FF-V9-07, FF-IX-20: also sets of no octets, which are some all the same.
    let limits = Limits {
        waiting_octets_per_domain: 10_000,
        waiting_octets: 25_000,
        ..Limits::default()
    };
    for body in [0, 1, 100, 3000] {
        let mut ledger = Ledger::with(&with_limits(SchemaKind::Flows, limits));
        for exporter in 0..5 {
            for _ in 0..1000 {
                ledger.feed(
                    HERE.exporter(exporter),
                    &netflow9(0, 1, 1, &[set(300, &vec![0; body])]),
                );
            }
        }
        let stats = ledger.stats();
        assert!(stats.set_octets_waiting <= 25_000);
        assert!(
            stats.sets_waiting < 1000,
            "{} sets wait",
            stats.sets_waiting
        );
        assert!(stats.sets_waiting > 0);
        assert_eq!(
            stats.sets_waiting + ledger.sets_lost(SetLoss::NoTemplate),
            5000
        );
        ledger.finish();
        assert_eq!(ledger.sets_lost(SetLoss::NoTemplate), 5000);
        assert_eq!(
            ledger.stats().set_octets_discarded[SetLoss::NoTemplate as usize],
            5000 * body as u64
        );
    }
}

#[test]
fn waiting_sets_are_bounded_in_age() {
    // FF-V9-07: 30 s, whether or not anybody flushes; later sets find room again.
    let mut ledger = Ledger::new(SchemaKind::Flows);
    ledger.feed(HERE, &netflow9(0, 1, 1, &[set(300, &[0; 40])]));
    ledger.feed(HERE.after_s(29), &netflow9(1, 1, 1, &[set(301, &[0; 40])]));
    assert_eq!(ledger.stats().sets_waiting, 2);
    ledger.feed(HERE.after_s(40), &netflow9(2, 1, 1, &[]));
    assert_eq!(ledger.stats().sets_waiting, 1);
    assert_eq!(ledger.sets_lost(SetLoss::NoTemplate), 1);
    ledger.flush();
    ledger.feed(HERE.after_s(70), &netflow9(3, 1, 1, &[]));
    assert_eq!(ledger.sets_lost(SetLoss::NoTemplate), 2);
}

#[test]
fn an_exporter_dropped_gives_its_waiting_sets_back() {
    let limits = Limits {
        domains: 16,
        ..Limits::default()
    };
    let mut ledger = Ledger::with(&with_limits(SchemaKind::Wire, limits));
    for exporter in 0..1000 {
        ledger.feed(
            HERE.exporter(exporter),
            &ipfix(0, 1, &[set(300, &[0; 100])]),
        );
    }
    let stats = ledger.stats();
    assert!(stats.sets_waiting <= 16);
    assert_eq!(stats.set_octets_waiting, stats.sets_waiting * 100);
    assert_eq!(
        stats.sets_waiting + ledger.sets_lost(SetLoss::NoTemplate),
        1000
    );
    ledger.finish();
}

#[test]
fn sessions_with_rotating_ports_are_bounded() {
    // FF-Q-01, FF-TL-14: each port is a session of its own, and all data are decoded.
    for schema in BOTH {
        let mut ledger = Ledger::new(schema);
        let fields = [iana(1, 8), iana(4, 1)];
        for port in 1..20_000 {
            let from = From {
                port,
                at_ns: EPOCH_NS + i64::from(port),
                ..HERE
            };
            ledger.feed(from, &ipfix(0, 1, &[templates(&[template(256, &fields)])]));
            ledger.feed(from.port(port + 1), &ipfix(0, 1, &[set(256, &[1; 9])]));
        }
        assert_eq!(ledger.stats().records_decoded, 19_999);
        assert!(ledger.decoder.exporters()[0].templates <= 64);
        assert!(ledger.warnings(Warning::TemplateEvicted) > 19_000);
        ledger.finish();
    }
}

/// Blocks and octets of memory that a message makes a decoder ask for that `prepare` has fed.
fn memory(message: &[u8], prepare: &dyn Fn(&mut Ledger)) -> (u64, u64) {
    let mut ledger = Ledger::new(SchemaKind::Wire);
    prepare(&mut ledger);
    let asked = measure(|| {
        let _ = ledger.offer(HERE, message);
    });
    (asked.count_total, asked.bytes_total)
}

#[test]
fn no_message_takes_quadratic_memory() {
    // FF-RB-01: the worst 64 KiB that we know of: what has twice the parts asks for twice the memory, about. (What searches
    // through all parts for each would take this test from a second to minutes; how long it takes is not asserted.)
    let one_template = templates(&[template(299, &[iana(4, 1)])]);
    let tiny = |id: u16| template(id, &[iana(4, 1)]);
    let some = |count: u16| (256..256 + count).map(tiny).collect::<Vec<_>>();
    let nothing = |_: &mut Ledger| {};
    let many_wait = |ledger: &mut Ledger| {
        for _ in 0..20 {
            ledger.feed(HERE, &ipfix(0, 1, &[set(65535, &[0]).repeat(13_000)]));
        }
    };
    type Case<'a> = (
        &'a str,
        u16,
        &'a dyn Fn(u16) -> Vec<Vec<u8>>,
        &'a dyn Fn(&mut Ledger),
    );
    let cases: [Case<'_>; 5] = [
        (
            "sets that look for their template in a message that defines others",
            16_000,
            &|sets| vec![one_template.clone(), set(300, &[]).repeat(sets.into())],
            &nothing,
        ),
        (
            "templates, and sets that look for them",
            3_700,
            &|count| {
                let sets = set(256, &[]).repeat(2 * usize::from(count));
                vec![templates(&some(count)), sets]
            },
            &nothing,
        ),
        (
            "templates that none of the waiting sets waits for",
            8_000,
            &|count| vec![templates(&some(count))],
            &many_wait,
        ),
        (
            "one template redefined again and again",
            8_000,
            &|count| {
                let redefined = (0..count).map(|n| template(256, &[iana(1, 1 + n % 8)]));
                vec![templates(&redefined.collect::<Vec<_>>())]
            },
            &many_wait,
        ),
        (
            "a template as wide as can be, all names different",
            WIDEST,
            &|fields| vec![templates(&[template(256, &wide_template(7, fields))])],
            &nothing,
        ),
    ];
    for (what, parts, sets, prepare) in cases {
        let half = memory(&ipfix(0, 1, &sets(parts / 2)), prepare);
        let whole = memory(&ipfix(0, 1, &sets(parts)), prepare);
        // Vectors that double add up to three times at most; what does not depend on the message, to little.
        assert!(whole.0 <= 3 * half.0 + 100, "{what}: {half:?} {whole:?}");
        assert!(whole.1 <= 3 * half.1 + 65_536, "{what}: {half:?} {whole:?}");
    }
}

#[test]
fn options_that_change_between_records_of_many_templates() {
    // Rows before a change keep the old rate; looking for them must not mean to look at every template there is.
    let mut ledger = Ledger::new(SchemaKind::Flows);
    for exporter in 0..40 {
        let many: Vec<_> = (256..1256)
            .map(|id| template(id, &[iana(1, 8), iana(10_000 + id, exporter as u16 + 1)]))
            .collect();
        ledger.feed(HERE.exporter(exporter), &ipfix(0, 1, &[templates(&many)]));
    }
    ledger.feed(
        HERE,
        &ipfix(
            0,
            1,
            &[
                templates(&[template(256, &[iana(1, 8)])]),
                options_templates(&[options_template(257, 1, &[iana(149, 4), iana(34, 4)])]),
            ],
        ),
    );
    let sets: Vec<_> = (1..2000u32)
        .flat_map(|rate| {
            [
                set(257, &[[0; 4], rate.to_be_bytes()].concat()),
                set(256, &u64::from(rate).to_be_bytes()),
            ]
        })
        .collect();
    ledger.feed(HERE, &ipfix(0, 1, &sets));
    let batch = ledger.only();
    let rates: Vec<u64> = all(u32s(&batch, "sampling_rate"))
        .into_iter()
        .map(u64::from)
        .collect();
    assert_eq!(rates, all(u64s(&batch, "bytes")));
}
