//! Memory: none is asked for while datagrams like the last ones come in, and no stranger can make us ask for much (FF-RB-01,
//! FF-RB-04, FF-TL-14). Counted per thread by the allocator of `allocation-counter`.
#![allow(clippy::unwrap_used)]

mod common;

use allocation_counter::measure;
use common::message::*;
use common::*;
use flowfast_decode::{DecoderOptions, SchemaKind, Warning};

const MIB: u64 = 1 << 20;

/// Fields as routers send them, of one width and another.
fn fields() -> Vec<Field> {
    [
        (8, 4),
        (12, 4),
        (7, 2),
        (11, 2),
        (4, 1),
        (6, 1),
        (5, 1),
        (10, 4),
        (14, 4),
        (1, 4),
        (2, 8),
        (152, 8),
        (153, 8),
        (9, 1),
        (13, 1),
        (16, 4),
        (17, 4),
    ]
    .map(|(id, length)| iana(id, length))
    .to_vec()
}

#[test]
fn no_allocation_per_datagram_between_flushes() {
    // No value out of its type's range: null bits would be memory.
    let mut record = [1; 61];
    record[35..51].fill(0); // start and end, milliseconds
    let body = record.repeat(26);
    let formats = [
        ("v5", netflow5(0, 0, 100, 30, 1), None),
        (
            "v9",
            netflow9(0, 1, 1, &[set(256, &body)]),
            Some(netflow9(
                0,
                1,
                1,
                &[templates9(&[template(256, &fields())])],
            )),
        ),
        (
            "IPFIX",
            ipfix(0, 1, &[set(256, &body)]),
            Some(ipfix(0, 1, &[templates(&[template(256, &fields())])])),
        ),
    ];
    for schema in BOTH {
        for (format, data, define) in &formats {
            let mut ledger = Ledger::with(&DecoderOptions {
                columns: vec!["standard".to_owned()],
                ..options(schema)
            });
            if let Some(define) = define {
                ledger.feed(HERE, define);
            }
            // Buffers grow to what an interval needs, and are given the same room after each flush.
            for _ in 0..3 {
                (0..3000).for_each(|_| ledger.feed(HERE, data));
                assert!(ledger.drain() > 70_000);
            }
            let info = measure(|| (0..3000).for_each(|_| ledger.feed(HERE, data)));
            assert_eq!(info.count_total, 0, "{format}, {schema:?}");
            assert!(ledger.drain() > 70_000);
        }
    }
}

#[test]
fn a_message_takes_memory_in_proportion_to_its_octets() {
    // Whatever it is, out of every vector and of the widest and shortest records: the peak while it is decoded.
    let widest: Vec<_> = (0..16_370).map(|n| iana(n, 1)).collect();
    let shortest = ipfix(
        0,
        1,
        &[
            templates(&[
                template(256, &[iana(4, 1)]),
                template(257, &[iana(82, VARIABLE)]),
            ]),
            set(256, &[6; 30_000]),
            set(257, &[0; 30_000]),
        ],
    );
    // FF-IX-02: as long as can be.
    let records = set(256, &[6; 65_535 - 32]);
    let longest = ipfix(0, 1, &[templates(&[template(256, &[iana(4, 1)])]), records]);
    assert_eq!(longest.len(), 65_535);
    let hostile = [
        (
            "widest",
            ipfix(0, 1, &[templates(&[template(256, &widest)])]),
            2048,
        ),
        ("shortest", shortest, 512),
        ("longest", longest, 512),
        (
            "empty sets",
            ipfix(0, 1, &[set(300, &[]).repeat(16_000)]),
            512,
        ),
        (
            "smallest templates",
            ipfix(
                0,
                1,
                &[templates(
                    &(256..8000)
                        .map(|id| template(id, &[iana(id, 1)]))
                        .collect::<Vec<_>>(),
                )],
            ),
            2048,
        ),
    ];
    for schema in BOTH {
        for (what, message, factor) in &hostile {
            let mut ledger = Ledger::new(schema);
            let peak = measure(|| ledger.feed(HERE, message)).bytes_max;
            assert!(
                peak < (factor * message.len()) as u64,
                "{what}, {schema:?}: {peak} octets for {}",
                message.len()
            );
        }
        for (name, datagrams) in vectors() {
            let mut ledger = Ledger::new(schema);
            let octets: usize = datagrams.iter().map(Vec::len).sum();
            let peak = measure(|| {
                datagrams.iter().for_each(|datagram| {
                    let _ = ledger.offer(HERE, datagram);
                });
            })
            .bytes_max;
            assert!(peak < (64_000 + 400 * octets) as u64, "{name}: {peak}");
        }
    }
}

/// Memory still held, and the most that was, when `feed` has been called so often, and nobody has flushed.
fn held(ledger: &mut Ledger, times: usize, mut feed: impl FnMut(&mut Ledger, usize)) -> (u64, u64) {
    let info = measure(|| (0..times).for_each(|n| feed(ledger, n)));
    (info.bytes_current.max(0) as u64, info.bytes_max)
}

#[test]
fn ever_new_definitions_of_one_template_are_bounded() {
    // FF-TL-14, FF-SEC-04: nobody flushes, for there are no rows. Plans and tables of old definitions go.
    for schema in BOTH {
        let mut ledger = Ledger::new(schema);
        let small = |ledger: &mut Ledger, n: usize| {
            let fields = [
                iana(1, 8),
                iana(1000 + (n % 30_000) as u16, 1 + (n / 30_000) as u16),
            ];
            ledger.feed(HERE, &ipfix(0, 1, &[templates(&[template(256, &fields)])]));
        };
        let (now, most) = held(&mut ledger, 40_000, small);
        assert!(
            most < 64 * MIB,
            "{schema:?}: {now} octets held, {most} at most"
        );
        let wide = |ledger: &mut Ledger, n: usize| {
            let fields: Vec<_> = (0..16_000).map(|field| iana(field, 1 + n as u16)).collect();
            ledger.feed(HERE, &ipfix(0, 1, &[templates(&[template(256, &fields)])]));
        };
        let (now, most) = held(&mut ledger, 40, wide);
        assert!(
            most < 256 * MIB,
            "{schema:?}: {now} octets held, {most} at most"
        );
        ledger.finish();
    }
}

#[test]
fn every_template_id_of_a_domain_is_bounded() {
    // FF-TL-14; RFC 5471 section 3.5.4: 65 280 templates that all differ; 4096 are kept unless more are asked for.
    let all = flowfast_decode::Limits {
        templates_per_domain: 65_280,
        template_fields_per_domain: 1 << 21,
        template_fields: 1 << 21,
        ..Default::default()
    };
    for (limits, kept, bound) in [
        (Default::default(), 4096, 32 * MIB),
        (all, 65_280, 256 * MIB),
    ] {
        let mut ledger = Ledger::with(&DecoderOptions {
            limits,
            ..options(SchemaKind::Flows)
        });
        let define = |ledger: &mut Ledger, n: usize| {
            let fields = [
                iana(1, 8),
                iana(1000 + (n % 30_000) as u16, 1 + (n / 30_000) as u16),
            ];
            let record = template(256 + n as u16, &fields);
            let from = From {
                at_ns: EPOCH_NS + n as i64,
                ..HERE
            };
            ledger.feed(from, &ipfix(0, 1, &[templates(&[record])]));
        };
        let (now, most) = held(&mut ledger, 65_280, define);
        assert!(most < bound, "{now} octets held, {most} at most");
        let known = ledger.decoder.exporters()[0].templates;
        assert!(known <= kept && known > kept / 2, "{known}");
        let evicted = ledger.warnings(Warning::TemplateEvicted);
        assert_eq!(evicted as usize + known, 65_280);
        // The last is there, and the first is if all are.
        ledger.feed(HERE, &ipfix(0, 1, &[set(65_535, &[0; 11])]));
        ledger.feed(HERE, &ipfix(0, 1, &[set(256, &[0; 9])]));
        let decoded = 1 + u64::from(kept == 65_280);
        assert_eq!(ledger.stats().records_decoded, decoded);
        ledger.finish();
    }
}

#[test]
fn wide_templates_of_one_domain_are_bounded() {
    // FF-TL-14: by their fields too, or 4096 templates of 16 370 fields would do.
    for schema in BOTH {
        let mut ledger = Ledger::new(schema);
        let wide = |ledger: &mut Ledger, n: usize| {
            let fields: Vec<_> = (0..16_000).map(|field| iana(field, 1 + n as u16)).collect();
            ledger.feed(
                HERE,
                &ipfix(0, 1, &[templates(&[template(256 + n as u16, &fields)])]),
            );
        };
        let (now, most) = held(&mut ledger, 40, wide);
        assert!(
            most < 512 * MIB,
            "{schema:?}: {now} octets held, {most} at most"
        );
        assert!(ledger.decoder.exporters()[0].templates <= 8);
        assert!(ledger.warnings(Warning::TemplateEvicted) >= 32);
    }
}

#[test]
fn exporters_without_end_are_bounded() {
    // FF-RB-04, FF-TL-14; RFC 5471 section 3.5.5: 100 000 exporters with a template and a sampler each, and then others.
    let mut ledger = Ledger::new(SchemaKind::Flows);
    let sets = [
        templates(&[template(256, &[iana(1, 8)])]),
        options_templates(&[options_template(257, 1, &[iana(302, 4), iana(50, 4)])]),
        set(257, &[0, 0, 0, 1, 0, 0, 0, 100]),
    ];
    let message = ipfix(0, 1, &sets);
    let mut next = 0;
    let mut more = |ledger: &mut Ledger, _| {
        next += 1;
        let from = From {
            exporter: next,
            at_ns: EPOCH_NS + i64::from(next),
            ..HERE
        };
        ledger.feed(from, &message);
    };
    let (first, _) = held(&mut ledger, 100_000, &mut more);
    // Two and a half KiB each.
    assert!(first < 250 * MIB, "{first} octets held");
    // Tables of them may grow once more, and then no more.
    let (second, _) = held(&mut ledger, 100_000, &mut more);
    assert!(second < 8 * MIB, "{second} octets more held");
    let (third, most) = held(&mut ledger, 100_000, &mut more);
    assert!(
        third < MIB && most < 16 * MIB,
        "{third} octets more held, {most} at most"
    );
    assert_eq!(
        ledger.decoder.exporter_count() as u64 + ledger.warnings(Warning::ExporterEvicted),
        300_000
    );
}

#[test]
fn templates_of_many_domains_are_bounded() {
    // FF-TL-14, FF-RB-04: over all of them; those of silent ones go first, and the domains stay.
    let limits = flowfast_decode::Limits {
        templates: 5000,
        template_fields: 100_000,
        ..Default::default()
    };
    for schema in BOTH {
        let mut ledger = Ledger::with(&DecoderOptions {
            limits,
            ..options(schema)
        });
        // Equal definitions: only their number counts. Then different ones: their fields.
        for different in [false, true] {
            for n in 0..3000u32 {
                let from = From {
                    exporter: n,
                    at_ns: EPOCH_NS + i64::from(n),
                    ..HERE
                };
                let records: Vec<_> = (0..10)
                    .map(|id| {
                        let own = if different { 1 + n as u16 } else { 1 };
                        template(256 + id, &[iana(1, 8), iana(100 + id, own)])
                    })
                    .collect();
                ledger.feed(from, &ipfix(0, 1, &[templates(&records)]));
                let known: usize = if n % 100 == 0 {
                    ledger.decoder.exporters().iter().map(|e| e.templates).sum()
                } else {
                    0
                };
                assert!(known <= limits.templates + 10, "{known}");
            }
        }
        assert!(ledger.warnings(Warning::TemplateEvicted) > 10_000);
        assert_eq!(ledger.warnings(Warning::ExporterEvicted), 0);
        // The last one is still there.
        ledger.feed(
            HERE.exporter(2999),
            &ipfix(0, 1, &[set(256, &vec![0; 8 + 3000])]),
        );
        assert_eq!(ledger.stats().records_decoded, 1);
        ledger.finish();
    }
}

#[test]
fn memory_is_linear_in_the_templates_of_exporters_that_are_alike() {
    // FF-TL-14: a plan is shared by all templates of equal definition; what is left is the book of who uses it.
    let define: Vec<_> = (256..266).map(|id| template(id, &fields())).collect();
    let message = ipfix(0, 1, &[templates(&define)]);
    let octets_per_template = |exporters: usize| {
        let mut ledger = Ledger::new(SchemaKind::Flows);
        let (now, _) = held(&mut ledger, exporters, |ledger, n| {
            ledger.feed(HERE.exporter(n as u32), &message);
        });
        now / (10 * exporters as u64)
    };
    let (few, many) = (octets_per_template(400), octets_per_template(4000));
    assert!(few < 512 && many < 512, "{few} and {many} octets");
}

#[test]
fn stages_and_waiting_sets_are_bounded() {
    // Records of one octet, in sets of one record, of many templates: the books may not outgrow what they are about.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    let define: Vec<_> = (256..1256u16)
        .map(|id| {
            template(
                id,
                &[Field {
                    id: 1,
                    pen: u32::from(id),
                    length: 1,
                }],
            )
        })
        .collect();
    ledger.feed(HERE, &ipfix(0, 1, &[templates(&define)]));
    let octets = |ledger: &mut Ledger, n: usize| {
        let sets: Vec<_> = (0..1000).map(|id| set(256 + id, &[n as u8])).collect();
        ledger.feed(HERE, &ipfix(0, 1, &sets));
        if ledger.decoder.pending_bytes() > 32 << 20 {
            ledger.drain();
        }
    };
    let (now, most) = held(&mut ledger, 2000, octets);
    assert!(most < 256 * MIB, "{now} octets held, {most} at most");
    assert!(ledger.drain() > 0);

    let mut ledger = Ledger::new(SchemaKind::Wire);
    let waiting = |ledger: &mut Ledger, n: usize| {
        ledger.feed(
            HERE.exporter(n as u32),
            &ipfix(0, 1, &[set(300, &[0]).repeat(13_000)]),
        );
    };
    let (now, most) = held(&mut ledger, 300, waiting);
    assert!(most < 128 * MIB, "{now} octets held, {most} at most");
    ledger.finish();
}

#[test]
fn tables_that_were_large_once_give_their_memory_back() {
    // One template after the other fills a batch, and none of them is forgotten.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    let fill = |ledger: &mut Ledger, n: usize| {
        let id = 256 + n as u16;
        let mut fields = [1, 2, 23, 24, 85, 86].map(|id| iana(id, 8)).to_vec();
        fields.push(Field {
            id: 1,
            pen: 7 + n as u32,
            length: 1,
        });
        ledger.feed(HERE, &ipfix(0, 1, &[templates(&[template(id, &fields)])]));
        for _ in 0..20 {
            ledger.feed(HERE, &ipfix(0, 1, &[set(id, &vec![1; 64_000])]));
        }
        assert_eq!(ledger.drain(), 20 * (64_000 / 49));
    };
    let (now, most) = held(&mut ledger, 100, fill);
    assert!(most < 64 * MIB, "{now} octets held, {most} at most");
}
