//! What strangers may send: no panic, no loop without progress, no memory without bound, and books that balance
//! (FF-RB-01, FF-RB-02, FF-RB-04; spec 2.16).
#![allow(clippy::unwrap_used)]

mod common;

use common::message::*;
use common::random::Random;
use common::*;
use flowfast_decode::{
    DecodeError, Decoder, DecoderOptions, EXPECTED_AHEAD, Limits, SchemaKind, Warning,
};

const LENIENT: [bool; 2] = [false, true];

fn with_limits(schema: SchemaKind, limits: Limits) -> DecoderOptions {
    DecoderOptions {
        limits,
        ..options(schema)
    }
}

/// Feeds every vector as a session, one datagram of it replaced by each of its variants, a fresh exporter each time.
fn feed_variants(schema: SchemaKind, lenient: bool, variants: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    let mut ledger = Ledger::with(&DecoderOptions {
        lenient,
        strict_lengths: lenient,
        ..with_limits(
            schema,
            Limits {
                domains: 512,
                ..Limits::default()
            },
        )
    });
    let mut from = HERE;
    for (_, datagrams) in vectors() {
        for (position, original) in datagrams.iter().enumerate() {
            for variant in variants(original) {
                from.exporter += 1;
                for (index, datagram) in datagrams.iter().enumerate() {
                    let datagram = if index == position {
                        &variant
                    } else {
                        datagram
                    };
                    let _ = ledger.offer(from, datagram);
                }
            }
            ledger.drain();
        }
    }
    ledger.finish();
}

#[test]
fn every_truncation_of_every_vector() {
    // FF-NF-01, FF-IX-03: at every octet. FF-ORD-07: nothing is read past its end, for this crate forbids unsafe code: that would panic.
    for schema in BOTH {
        for lenient in LENIENT {
            feed_variants(schema, lenient, |original| {
                (0..original.len())
                    .map(|n| original[..n].to_vec())
                    .collect()
            });
        }
    }
}

/// The datagram with each octet replaced by each of the values that `values` makes of it.
fn mutations(original: &[u8], values: impl Fn(u8) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for at in 0..original.len() {
        for value in values(original[at]) {
            let mut mutated = original.to_vec();
            mutated[at] = value;
            all.push(mutated);
        }
    }
    all
}

fn any_other(octet: u8) -> Vec<u8> {
    (1..=255).map(|by| octet ^ by).collect()
}

/// Single bits flipped, the neighbours and the extremes.
fn telling_others(octet: u8) -> Vec<u8> {
    let bits = (0..8).map(|bit| octet ^ 1 << bit);
    bits.chain([0, 255, octet.wrapping_add(1), octet.wrapping_sub(1)])
        .collect()
}

#[test]
fn every_octet_of_every_vector_replaced_by_every_other() {
    // FF-RB-01, FF-RB-02.
    feed_variants(SchemaKind::Flows, false, |original| {
        mutations(original, any_other)
    });
}

#[test]
fn every_octet_of_every_vector_replaced_wire() {
    // FF-RB-01, FF-RB-02.
    feed_variants(SchemaKind::Wire, false, |original| {
        mutations(original, telling_others)
    });
}

#[test]
fn every_octet_of_every_vector_replaced_lenient() {
    // FF-RB-01, FF-RB-02, FF-IX-03.
    for schema in BOTH {
        feed_variants(schema, true, |original| mutations(original, telling_others));
    }
}

#[test]
fn what_is_expected_changes_nothing() {
    // Datagrams that come as they were expected, ones that never come, and none; of exporters that are forgotten and come again.
    let datagrams = all_datagrams();
    let options = with_limits(
        SchemaKind::Flows,
        Limits {
            domains: 24,
            ..Limits::default()
        },
    );
    let outcome = |ahead: Option<usize>| {
        let mut decoder = Decoder::new(&options).unwrap();
        let mut random = Random(7);
        let session: Vec<_> = (0..20_000)
            .map(|_| {
                (
                    HERE.exporter(1 + random.below(40) as u32),
                    random.below(datagrams.len()),
                )
            })
            .collect();
        let mut batches = Vec::new();
        for (index, (from, which)) in session.iter().enumerate() {
            if let Some(ahead) = ahead
                && let Some((from, which)) = session.get(index + ahead)
            {
                decoder.expect(&from.datagram(&datagrams[*which]));
            }
            let _ = decoder.decode(&from.datagram(&datagrams[*which]));
            if index % 1000 == 999 {
                batches.extend(decoder.flush());
            }
        }
        batches.extend(decoder.finish());
        let batches: Vec<_> = batches
            .into_iter()
            .map(|each| (each.table, each.batch))
            .collect();
        (batches, format!("{:?}", decoder.stats()))
    };
    let expected = outcome(None);
    assert!(
        expected
            .0
            .iter()
            .map(|(_, batch)| batch.num_rows())
            .sum::<usize>()
            > 10_000
    );
    for ahead in [0, EXPECTED_AHEAD, 777] {
        assert!(outcome(Some(ahead)) == expected, "{ahead} ahead");
    }
}

#[test]
fn octets_of_no_meaning() {
    // FF-IX-01, FF-NF-10: noise behind each version.
    let mut random = Random(1);
    for schema in BOTH {
        let mut ledger = Ledger::new(schema);
        for round in 0..4000u16 {
            let len = random.below(200);
            let mut noise = random.octets(len);
            noise.splice(..len.min(2), (round % 12).to_be_bytes());
            let _ = ledger.offer(HERE, &noise);
        }
        ledger.finish();
    }
}

#[test]
fn records_without_length_do_not_loop() {
    // FF-V9-13: refused; FF-Q-05: fields of length 0 are fine among others; RFC 7011 section 7: an empty variable field takes one octet.
    for schema in BOTH {
        let mut ledger = Ledger::new(schema);
        let nothing = [iana(8, 0), iana(210, 0)];
        ledger.feed(
            HERE,
            &netflow9(
                0,
                1,
                7,
                &[
                    templates9(&[template(256, &nothing), template(257, &[])]),
                    set(256, &[0; 32]),
                    set(257, &[0; 32]),
                ],
            ),
        );
        ledger.feed(
            HERE,
            &ipfix(
                0,
                7,
                &[templates(&[template(256, &nothing)]), set(256, &[0; 32])],
            ),
        );
        assert_eq!(ledger.warnings(Warning::TemplateRefused), 3);
        ledger.feed(
            HERE,
            &ipfix(
                0,
                8,
                &[
                    templates(&[
                        template(256, &[iana(8, 0), iana(4, 1)]),
                        template(257, &[iana(82, VARIABLE)]),
                    ]),
                    set(256, &[17; 3]),
                    set(257, &[0; 9]),
                ],
            ),
        );
        assert_eq!(ledger.stats().records_decoded, 12);
        ledger.finish();
    }
}

#[test]
fn message_of_65535_octets() {
    // FF-IX-02.
    for schema in BOTH {
        let mut ledger = Ledger::new(schema);
        ledger.feed(
            HERE,
            &ipfix(0, 1, &[templates(&[template(256, &[iana(1, 5)])])]),
        );
        let body: Vec<u8> = (0..65535 - 20).map(|i| (i % 251) as u8).collect();
        let message = ipfix(0, 1, &[set(256, &body)]);
        assert_eq!(message.len(), 65535);
        ledger.feed(HERE, &message);
        let expected: Vec<u64> = body
            .chunks_exact(5)
            .map(|r| {
                r.iter()
                    .fold(0, |value, &octet| value << 8 | u64::from(octet))
            })
            .collect();
        let name = match schema {
            SchemaKind::Flows => "bytes",
            SchemaKind::Wire => "octetDeltaCount",
        };
        assert_eq!(all(u64s(&ledger.only(), name)), expected);
    }
}

/// Good sets around a fault: a template, a record of it, and then a set that runs out of the message.
fn half_good() -> Vec<u8> {
    let mut message = ipfix(
        0,
        1,
        &[
            templates(&[template(256, &[iana(1, 8)])]),
            set(256, &[0, 0, 0, 0, 0, 0, 0, 7]),
            set(256, &[0; 8]),
        ],
    );
    let length_of_last = message.len() - 10;
    message[length_of_last..length_of_last + 2].copy_from_slice(&[0, 200]);
    message
}

#[test]
fn a_malformed_message_leaves_nothing_behind_unless_lenient() {
    // FF-IX-03.
    let fault = DecodeError::SetOverrun;
    for schema in BOTH {
        let mut strict = Ledger::new(schema);
        assert_eq!(strict.offer(HERE, &half_good()), Err(fault));
        assert_eq!(strict.stats().datagrams_discarded[fault as usize], 1);
        assert_eq!(strict.stats().templates_received, 0);
        assert_eq!(strict.decoder.pending_rows(), 0);
        assert_eq!(strict.decoder.exporters()[0].templates, 0);
        // Nor is its template in use.
        strict.feed(HERE, &ipfix(0, 1, &[set(256, &[0; 8])]));
        assert_eq!(strict.stats().sets_waiting, 1);
        strict.finish();
        assert_eq!(strict.batches.len(), 0);

        let mut lenient = Ledger::with(&DecoderOptions {
            lenient: true,
            ..options(schema)
        });
        lenient.feed(HERE, &half_good());
        assert_eq!(lenient.warnings(Warning::MalformedTail), 1);
        lenient.feed(HERE, &ipfix(1, 1, &[set(256, &[0, 0, 0, 0, 0, 0, 0, 8])]));
        let name = match schema {
            SchemaKind::Flows => "bytes",
            SchemaKind::Wire => "octetDeltaCount",
        };
        assert_eq!(all(u64s(&lenient.only(), name)), [7, 8]);
    }
}

#[test]
fn times_and_numbers_at_their_extremes() {
    // FF-RB-05: null, not a panic: the export time less 2^63 us, an exporter that started 2^63 ms before the epoch, ...
    let fields = [
        iana(158, 8),
        iana(159, 8),
        iana(160, 8),
        iana(22, 4),
        iana(21, 4),
        iana(150, 4),
        iana(154, 8),
        iana(156, 8),
        iana(152, 8),
        iana(305, 8),
        iana(306, 8),
        iana(1, 9),
        iana(2, 16),
    ];
    let len: usize = fields.iter().map(|f| usize::from(f.length)).sum();
    for schema in BOTH {
        for only in 0..=fields.len() {
            // All of them, or all but one: that one may stand in the others' way.
            let mut some = fields.to_vec();
            if only < fields.len() {
                some.remove(only);
            }
            let mut ledger = Ledger::new(schema);
            ledger.feed(HERE, &ipfix(0, 1, &[templates(&[template(256, &some)])]));
            for octet in [0, 0x7f, 0x80, 0xff] {
                for rest in [0, 0xff] {
                    // The first octet of every field is `octet`, the others `rest`.
                    let record: Vec<u8> = some
                        .iter()
                        .flat_map(|f| (0..f.length).map(move |n| if n == 0 { octet } else { rest }))
                        .collect();
                    assert!(record.len() <= len);
                    ledger.feed(HERE, &ipfix(0, 1, &[set(256, &record)]));
                }
            }
            ledger.finish();
            assert_eq!(ledger.stats().records_decoded, 8);
        }
    }
}

#[test]
fn clocks_that_jump() {
    // Time is an argument: captures may hold any.
    for schema in BOTH {
        let mut ledger = Ledger::new(schema);
        for at_ns in [0, i64::MAX, i64::MIN, -1, EPOCH_NS] {
            let from = From { at_ns, ..HERE };
            ledger.feed(from, &ipfix(0, 1, &[set(257, &[0; 8])]));
            ledger.feed(
                from,
                &ipfix(0, 1, &[templates(&[template(256, &[iana(1, 8)])])]),
            );
            let _ = ledger.offer(from, &ipfix(0, 1, &[set(256, &[0; 8])]));
            ledger.flush();
        }
        ledger.finish();
    }
}
