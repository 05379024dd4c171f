//! Templates over UDP: how long they live, whose data they describe, and what options data teaches on the way
//! (spec 2.2.2, 2.3.3, 2.3.4).
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use common::message::*;
use common::*;
use flowfast_decode::{
    DecodeError, SchemaKind, SetLoss, Stats, TableKind, TemplateField, TemplateSummary, Warning,
};

/// The lifetime of a template that is not refreshed, by default.
const LIFETIME_S: i64 = 1800;

fn octets_template(id: u16) -> Vec<u8> {
    template(id, &[iana(1, 8)])
}

fn packets_template(id: u16) -> Vec<u8> {
    template(id, &[iana(2, 8)])
}

fn number(value: u64) -> [u8; 8] {
    value.to_be_bytes()
}

fn flows() -> Ledger {
    Ledger::new(SchemaKind::Flows)
}

#[test]
fn templates_live_while_they_are_refreshed() {
    // FF-TL-01, FF-TL-08, FF-TL-10, FF-V9-06, FF-V9-08: for the lifetime after the last refresh, and no longer.
    let ipfix_define = ipfix(0, 1, &[templates(&[octets_template(256)])]);
    let ipfix_data = ipfix(0, 1, &[set(256, &number(1))]);
    let netflow9_define = netflow9(0, 1, 1, &[templates9(&[octets_template(256)])]);
    let netflow9_data = netflow9(0, 1, 1, &[set(256, &number(1))]);
    for (define, data) in [(ipfix_define, ipfix_data), (netflow9_define, netflow9_data)] {
        let mut ledger = flows();
        ledger.feed(HERE, &define);
        ledger.feed(HERE.after_s(LIFETIME_S), &data);
        assert_eq!(ledger.stats().records_decoded, 1);
        // Refreshed in the last moment.
        ledger.feed(HERE.after_s(LIFETIME_S), &define);
        ledger.feed(HERE.after_s(2 * LIFETIME_S), &data);
        assert_eq!(ledger.stats().records_decoded, 2);
        assert_eq!(ledger.warnings(Warning::TemplateRedefined), 0);
        // And then not: dropped with a count, not kept for a template that has been there.
        ledger.feed(HERE.after_s(2 * LIFETIME_S + 1), &data);
        assert_eq!(ledger.stats().records_decoded, 2);
        assert_eq!(ledger.sets_lost(SetLoss::ExpiredTemplate), 1);
        assert_eq!(ledger.stats().sets_waiting, 0);
        // Until it is sent again (RFC 5471 section 3.6.8.3.2).
        ledger.feed(HERE.after_s(2 * LIFETIME_S + 2), &define);
        ledger.feed(HERE.after_s(2 * LIFETIME_S + 2), &data);
        assert_eq!(ledger.stats().records_decoded, 3);
        ledger.finish();
    }
}

#[test]
fn redefinitions_take_effect_where_they_stand() {
    // FF-IX-07, FF-V9-05, FF-TL-09, FF-IX-06: sets in any order, templates for what follows them.
    let data = |value| set(256, &number(value));
    let sets = |first: Vec<u8>, second: Vec<u8>| vec![first, data(1), data(2), second, data(3)];
    let messages = [
        ipfix(
            0,
            1,
            &sets(
                templates(&[octets_template(256)]),
                templates(&[packets_template(256)]),
            ),
        ),
        netflow9(
            0,
            1,
            1,
            &sets(
                templates9(&[octets_template(256)]),
                templates9(&[packets_template(256)]),
            ),
        ),
    ];
    for message in messages {
        let mut ledger = flows();
        ledger.feed(HERE, &message);
        assert_eq!(ledger.warnings(Warning::TemplateRedefined), 1);
        let later = match message[1] {
            9 => netflow9(1, 1, 1, &[data(4)]),
            _ => ipfix(3, 1, &[data(4)]),
        };
        ledger.feed(HERE, &later);
        let batch = ledger.only();
        let mut pairs: Vec<_> = u64s(&batch, "bytes")
            .into_iter()
            .zip(u64s(&batch, "packets"))
            .collect();
        pairs.sort_unstable();
        let expected = [
            (None, Some(3)),
            (None, Some(4)),
            (Some(1), None),
            (Some(2), None),
        ];
        assert_eq!(pairs, expected);
    }
}

/// What a decoder knows of each template, by its id: whether it is options data, its scopes, its fields.
fn known(ledger: &Ledger) -> BTreeMap<u16, (bool, u16, Vec<TemplateField>)> {
    let templates = ledger.decoder.templates();
    let told = |each: TemplateSummary| {
        let fields = each.fields().collect();
        (
            each.template_id,
            (each.is_options(), each.scope_count(), fields),
        )
    };
    templates.into_iter().map(told).collect()
}

#[test]
fn a_template_comes_again_only_if_every_octet_does() {
    // FF-TL-08, FF-TL-09: known by its spelling or not, it says what it says to a decoder that has never heard of it.
    let enterprise = Field {
        id: 3,
        pen: 35632,
        length: 4,
    };
    let fields = [iana(8, 4), iana(1, 8), iana(82, VARIABLE)];
    let ipfix_fields = [&fields[..], &[enterprise]].concat();
    let ipfix = |set| ipfix(0, 1, &[set]);
    let netflow9 = |set| netflow9(0, 1, 1, &[set]);
    let messages = [
        ipfix(templates(&[
            template(256, &ipfix_fields),
            octets_template(257),
        ])),
        ipfix(options_templates(&[options_template(
            256,
            1,
            &ipfix_fields,
        )])),
        netflow9(templates9(&[template(256, &fields), octets_template(257)])),
        netflow9(options_templates9(&[options_template9(256, 1, &fields)])),
    ];
    let warnings = [
        Warning::TemplateRefused,
        Warning::Netflow9OptionsForm,
        Warning::Netflow9VariableLength,
    ];
    let (mut same, mut others) = (0, 0);
    for message in &messages {
        let first_set = if message[1] == 9 { 20 } else { 16 };
        for bit in 8 * first_set..8 * message.len() {
            let mut other = message.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            let (mut knowing, mut fresh) = (flows(), flows());
            knowing.feed(HERE, message);
            knowing.feed(HERE, message);
            let before = (known(&knowing), warnings.map(|each| knowing.warnings(each)));
            let outcome = knowing.offer(HERE, &other);
            assert_eq!(outcome, fresh.offer(HERE, &other), "bit {bit}");
            let expected: BTreeMap<_, _> = before
                .0
                .iter()
                .chain(&known(&fresh))
                .map(|(id, said)| (*id, said.clone()))
                .collect();
            assert_eq!(known(&knowing), expected, "bit {bit}");
            for (warning, before) in warnings.into_iter().zip(before.1) {
                assert_eq!(knowing.warnings(warning) - before, fresh.warnings(warning));
            }
            *(if expected == before.0 {
                &mut same
            } else {
                &mut others
            }) += 1;
        }
    }
    assert!(same > 0 && others > 500, "{same} {others}");
}

#[test]
fn one_template_id_in_two_domains() {
    // FF-IX-19, FF-V9-01, FF-IX-21: domain 0 is one like any other. FF-TR-03: v9 and IPFIX share nothing.
    let mut ledger = flows();
    ledger.feed(HERE, &ipfix(0, 0, &[templates(&[octets_template(256)])]));
    ledger.feed(HERE, &ipfix(0, 7, &[templates(&[packets_template(256)])]));
    ledger.feed(HERE, &ipfix(0, 0, &[set(256, &number(1))]));
    ledger.feed(HERE, &ipfix(0, 7, &[set(256, &number(2))]));
    ledger.feed(HERE, &netflow9(0, 1, 7, &[set(256, &number(3))]));
    assert_eq!(ledger.stats().sets_waiting, 1);
    ledger.feed(HERE.exporter(9), &ipfix(0, 7, &[set(256, &number(4))]));
    assert_eq!(ledger.stats().sets_waiting, 2);
    let batch = ledger.only();
    assert_eq!(
        all(u32s(&batch, "observation_domain_id"))
            .into_iter()
            .zip(u64s(&batch, "bytes"))
            .zip(u64s(&batch, "packets"))
            .map(|((domain, bytes), packets)| (domain, bytes, packets))
            .collect::<std::collections::BTreeSet<_>>(),
        [(0, Some(1), None), (7, None, Some(2))].into()
    );
}

#[test]
fn templates_of_equal_definition_share_a_plan() {
    // FF-ORD-04: what is not compiled is a hit. Ten Exporters, each with two ids for one definition, refreshed once; and another order.
    let mut ledger = flows();
    let fields = [iana(1, 8), iana(4, 1)];
    let both = templates(&[template(256, &fields), template(257, &fields)]);
    for exporter in (0..10).chain(0..10) {
        let message = ipfix(0, 1, std::slice::from_ref(&both));
        ledger.feed(HERE.exporter(exporter), &message);
    }
    let stats = ledger.stats();
    let counted = |stats: &Stats| {
        [
            stats.templates_received,
            stats.templates_new,
            stats.plans_compiled,
        ]
    };
    assert_eq!(counted(stats), [40, 20, 1]);
    let other_order = templates(&[template(256, &[iana(4, 1), iana(1, 8)])]);
    ledger.feed(HERE, &ipfix(0, 1, &[other_order]));
    assert_eq!(counted(ledger.stats()), [41, 21, 2]);
}

#[test]
fn templates_and_options_templates_share_one_id_space() {
    // FF-IX-12.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    let options = options_templates(&[options_template(256, 1, &[iana(149, 4), iana(41, 4)])]);
    ledger.feed(HERE, &ipfix(0, 1, &[templates(&[octets_template(256)])]));
    ledger.feed(HERE, &ipfix(0, 1, &[set(256, &number(1))]));
    ledger.feed(HERE, &ipfix(1, 1, &[options]));
    ledger.feed(HERE, &ipfix(1, 1, &[set(256, &number(2))]));
    ledger.feed(HERE, &ipfix(2, 1, &[templates(&[octets_template(256)])]));
    ledger.feed(HERE, &ipfix(2, 1, &[set(256, &number(3))]));
    assert_eq!(ledger.warnings(Warning::TemplateRedefined), 2);
    assert_eq!(ledger.decoder.exporters()[0].templates, 1);
    ledger.finish();
    let mut kinds: Vec<_> = ledger
        .batches
        .iter()
        .map(|b| (b.kind.name(), b.batch.num_rows()))
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [("data", 2), ("options", 1)]);
}

#[test]
fn withdrawals_are_ignored_and_counted() {
    // FF-TL-04, FF-TL-05, FF-SEC-04: of one template, of an unknown one, of all templates and of all options templates.
    let mut ledger = flows();
    ledger.feed(HERE, &ipfix(0, 1, &[templates(&[octets_template(256)])]));
    let withdrawals = [
        templates(&[template(256, &[]), template(999, &[])]),
        templates(&[template(2, &[])]),
        options_templates(&[template(3, &[])]),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &withdrawals));
    assert_eq!(ledger.warnings(Warning::WithdrawalIgnored), 4);
    ledger.feed(HERE, &ipfix(0, 1, &[set(256, &number(5))]));
    assert_eq!(all(u64s(&ledger.only(), "bytes")), [5]);
}

#[test]
fn malformed_templates_discard_their_message() {
    // FF-IX-13, FF-IX-14.
    let mut ledger = flows();
    let scopes = |scopes| {
        ipfix(
            0,
            1,
            &[options_templates(&[options_template(
                256,
                scopes,
                &[iana(149, 4), iana(41, 8)],
            )])],
        )
    };
    assert_eq!(ledger.offer(HERE, &scopes(0)), Err(DecodeError::ScopeCount));
    assert_eq!(ledger.offer(HERE, &scopes(3)), Err(DecodeError::ScopeCount));
    assert_eq!(ledger.offer(HERE, &scopes(2)), Ok(()));
    let low = ipfix(0, 1, &[templates(&[octets_template(255)])]);
    assert_eq!(ledger.offer(HERE, &low), Err(DecodeError::TemplateId));
    ledger.finish();
}

#[test]
fn data_before_their_template_are_recovered() {
    // FF-V9-07, FF-IX-20: with the time, the sequence number and the domain of their own message.
    for schema in BOTH {
        let mut ledger = Ledger::new(schema);
        for n in 0..3u32 {
            ledger.feed(
                HERE.after_s(i64::from(n)),
                &netflow9(
                    n,
                    1,
                    1,
                    &[set(256, &number(u64::from(n))), set(300, &[0; 8])],
                ),
            );
        }
        assert_eq!(ledger.stats().sets_waiting, 6);
        assert_eq!(ledger.stats().records_received, 0);
        ledger.feed(
            HERE.after_s(3),
            &netflow9(3, 1, 1, &[templates9(&[octets_template(256)])]),
        );
        assert_eq!(ledger.stats().sets_recovered, 3);
        assert_eq!(ledger.stats().sets_waiting, 3);
        let batch = ledger.only();
        let (bytes, sequence) = match schema {
            SchemaKind::Flows => ("bytes", "sequence_num"),
            SchemaKind::Wire => ("octetDeltaCount", "_sequence"),
        };
        assert_eq!(all(u64s(&batch, bytes)), [0, 1, 2]);
        assert_eq!(all(u32s(&batch, sequence)), [0, 1, 2]);
        assert_eq!(ledger.sets_lost(SetLoss::NoTemplate), 3);
    }
}

#[test]
fn options_data_that_waited_too_long_teaches_nothing() {
    // FF-V9-07: systemInitTimeMilliseconds would be the base of flowStartSysUpTime (FF-EN-07), but for its age.
    for (waited_s, known) in [(29, true), (31, false)] {
        let mut ledger = Ledger::new(SchemaKind::Wire);
        let init_time = 1_699_999_000_000u64.to_be_bytes();
        ledger.feed(
            HERE,
            &ipfix(0, 1, &[set(257, &[&[0; 4], &init_time[..]].concat())]),
        );
        let later = HERE.after_s(waited_s);
        let define = [
            templates(&[template(256, &[iana(22, 4)])]),
            options_templates(&[options_template(257, 1, &[iana(149, 4), iana(160, 8)])]),
        ];
        ledger.feed(later, &ipfix(1, 1, &define));
        ledger.feed(later, &ipfix(1, 1, &[set(256, &[0, 0, 0, 9])]));
        assert_eq!(ledger.sets_lost(SetLoss::NoTemplate), u64::from(!known));
        let start = ledger
            .only_flows()
            .column_by_name("flowStartMilliseconds")
            .unwrap()
            .clone();
        assert_eq!(start.null_count(), usize::from(!known), "{waited_s}");
    }
}

#[test]
fn a_set_that_waited_may_prove_malformed() {
    let mut ledger = flows();
    ledger.feed(HERE, &ipfix(0, 1, &[set(256, &[200, 1, 2])]));
    ledger.feed(
        HERE,
        &ipfix(0, 1, &[templates(&[template(256, &[iana(82, VARIABLE)])])]),
    );
    assert_eq!(ledger.sets_lost(SetLoss::Malformed), 1);
    assert_eq!(
        ledger.stats().set_octets_discarded[SetLoss::Malformed as usize],
        3
    );
    ledger.finish();
}

#[test]
fn another_source_port_may_bring_the_data() {
    // FF-Q-01, FF-TL-15: templates from one port, data from others.
    let mut ledger = flows();
    let define = ipfix(0, 1, &[templates(&[octets_template(256)])]);
    ledger.feed(HERE.port(1000), &define);
    ledger.feed(HERE.port(2000), &ipfix(0, 1, &[set(256, &number(1))]));
    // Two sessions that agree are as good as one.
    ledger.feed(HERE.port(1001), &define);
    ledger.feed(HERE.port(2001), &ipfix(1, 1, &[set(256, &number(2))]));
    assert_eq!(all(u64s(&ledger.only(), "bytes")), [1, 2]);
    assert_eq!(ledger.warnings(Warning::TemplateAmbiguous), 0);
}

#[test]
fn two_processes_of_one_address_never_mix() {
    // FF-TL-02, architecture section 2: each has its own definition, and a third port gets neither.
    let mut ledger = flows();
    let define = |record| ipfix(0, 1, &[templates(&[record])]);
    ledger.feed(HERE.port(1000), &define(octets_template(256)));
    ledger.feed(HERE.port(2000), &define(packets_template(256)));
    for (port, value) in [(1000, 1), (2000, 2), (3000, 3)] {
        ledger.feed(HERE.port(port), &ipfix(0, 1, &[set(256, &number(value))]));
    }
    assert_eq!(ledger.warnings(Warning::TemplateAmbiguous), 1);
    assert_eq!(ledger.stats().sets_waiting, 1);
    // Until they agree.
    ledger.feed(HERE.port(2000), &define(octets_template(256)));
    assert_eq!(ledger.stats().sets_recovered, 1);
    let batch = ledger.only();
    let mut bytes = u64s(&batch, "bytes");
    bytes.sort_unstable();
    assert_eq!(bytes, [None, Some(1), Some(3)]);
    assert_eq!(
        u64s(&batch, "packets")
            .into_iter()
            .flatten()
            .collect::<Vec<_>>(),
        [2]
    );
}

#[test]
fn rows_before_a_change_of_sampling_keep_the_old_rate() {
    // FF-SMP-02, FF-SMP-05, FF-SMP-06, FF-V9-11, FF-OT-01: by sampler, in the order of the messages, whatever is staged.
    let mut ledger = flows();
    let data = |sampler: u8| [&number(1)[..], &[sampler]].concat();
    let option =
        |sampler: u8, rate: u32| [&[10, 0, 0, 1, sampler][..], &rate.to_be_bytes()].concat();
    ledger.feed(
        HERE,
        &netflow9(
            0,
            1,
            1,
            &[
                templates9(&[template(256, &[iana(1, 8), iana(48, 1)])]),
                options_templates9(&[options_template9(
                    257,
                    1,
                    &[iana(1, 4), iana(48, 1), iana(50, 4)],
                )]),
                set(256, &data(1)),
                set(257, &[option(1, 100), option(2, 1000)].concat()),
                set(256, &[data(1), data(2), data(3)].concat()),
            ],
        ),
    );
    ledger.feed(
        HERE,
        &netflow9(
            1,
            1,
            1,
            &[
                set(256, &data(1)),
                set(257, &option(1, 50)),
                set(256, &[data(1), data(2)].concat()),
            ],
        ),
    );
    // The same again changes nothing.
    ledger.feed(
        HERE,
        &netflow9(2, 1, 1, &[set(257, &option(1, 50)), set(256, &data(1))]),
    );
    let batch = ledger.only();
    assert_eq!(
        all(u32s(&batch, "sampling_rate")),
        [0, 100, 1000, 0, 100, 50, 1000, 50]
    );
    assert_eq!(
        words(&batch, "sampling_source"),
        [
            "none", "options", "options", "none", "options", "options", "options", "options"
        ]
    );
    // FF-SMP-01: raw counters stay, the scaled ones are null where the rate is unknown.
    assert_eq!(all(u64s(&batch, "bytes")), [1; 8]);
    assert_eq!(u64s(&batch, "bytes_scaled")[0], None);
    assert_eq!(u64s(&batch, "bytes_scaled")[2], Some(1000));
    assert_eq!(ledger.stats().records_absorbed, 4);
}

#[test]
fn scopes_of_netflow9_are_columns() {
    // FF-V9-11, FF-IX-18: RFC 3954 section 6.1; scopes keep their order and come first.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    let scopes = [iana(1, 4), iana(2, 2), iana(3, 1), iana(4, 4), iana(5, 2)];
    let fields = [&scopes[..], &[iana(41, 4)]].concat();
    let record = [192, 0, 2, 9, 1, 2, 3, 0, 0, 0, 4, 1, 5, 0, 0, 0, 99];
    ledger.feed(
        HERE,
        &netflow9(
            0,
            1,
            1,
            &[
                options_templates9(&[options_template9(256, 5, &fields)]),
                set(256, &record),
            ],
        ),
    );
    let batch = ledger.only();
    assert_eq!(ledger.batches[0].kind, TableKind::Options);
    let schema = batch.schema();
    let names: Vec<_> = schema.fields()[9..14]
        .iter()
        .map(|f| f.name().as_str())
        .collect();
    assert_eq!(
        names,
        [
            "scope_system",
            "scope_interface",
            "scope_line_card",
            "scope_cache",
            "scope_template"
        ]
    );
    let system = batch.column_by_name("scope_system").unwrap();
    assert_eq!(system.as_fixed_size_binary().value(0), [192, 0, 2, 9]);
    assert_eq!(u32s(&batch, "scope_interface"), [Some(0x0102)]);
    assert_eq!(u32s(&batch, "scope_template"), [Some(0x0105)]);
}

#[test]
fn an_exporter_that_restarts_has_lost_nothing() {
    // FF-Q-06, FF-NF-05: uptime and sequence fall.
    let mut ledger = flows();
    ledger.feed(HERE, &netflow9(500_000, 900_000_000, 1, &[]));
    ledger.feed(HERE, &netflow9(0, 1000, 1, &[]));
    ledger.feed(HERE, &netflow9(1, 2000, 1, &[]));
    assert_eq!(ledger.warnings(Warning::ExporterRestart), 1);
    assert_eq!(ledger.stats().sequence_lost_packets, 0);
    // Its templates are of the session, which goes on.
    ledger.finish();
}

#[test]
fn a_clock_that_jumps_is_counted() {
    // FF-V9-10: the header's time stands still, so an uptime that goes on moves the start; not by jitter, nor by a restart.
    let mut ledger = flows();
    for uptime_ms in [60_000, 64_000, 69_001, 1000, 2000, 9_000_000] {
        ledger.feed(HERE, &netflow9(0, uptime_ms, 1, &[]));
    }
    assert_eq!(ledger.warnings(Warning::ClockJump), 2);
    ledger.finish();
}

#[test]
fn loss_is_counted_in_the_units_of_the_format() {
    // FF-NF-03, FF-NF-05, FF-V9-04, FF-SQ-01, FF-SQ-04, FF-SQ-05.
    let mut ledger = flows();
    let start = u32::MAX - 9;
    ledger.feed(HERE, &netflow5(start, 0, 0, 10, 1));
    ledger.feed(HERE, &netflow5(0, 0, 0, 10, 1));
    ledger.feed(HERE, &netflow5(40, 0, 0, 1, 1));
    assert_eq!(ledger.stats().sequence_lost_records, 30);
    // Another engine has a sequence of its own.
    ledger.feed(HERE, &netflow5(7000, 5, 0, 1, 1));
    assert_eq!(ledger.stats().sequence_lost_records, 30);

    for sequence in [u32::MAX, 0, 5, 3, 6] {
        ledger.feed(HERE, &netflow9(sequence, 1, 1, &[]));
    }
    assert_eq!(ledger.stats().sequence_lost_packets, 4);
    assert_eq!(ledger.warnings(Warning::OutOfOrder), 1);

    // Templates do not count, options data do.
    let define = [
        templates(&[octets_template(256)]),
        options_templates(&[options_template(257, 1, &[iana(149, 4), iana(41, 4)])]),
    ];
    ledger.feed(HERE, &ipfix(100, 1, &define));
    let two = [set(256, &number(1)), set(257, &number(2))];
    ledger.feed(HERE, &ipfix(100, 1, &two));
    ledger.feed(HERE, &ipfix(102, 1, &two));
    assert_eq!(ledger.stats().sequence_lost_records, 30);
    ledger.feed(HERE, &ipfix(111, 1, &two));
    assert_eq!(ledger.stats().sequence_lost_records, 37);
    // FF-SQ-02: what a set without a template held cannot be counted, so nothing is said of the next gap.
    ledger.feed(HERE, &ipfix(113, 1, &[set(999, &[0; 80])]));
    ledger.feed(HERE, &ipfix(123, 1, &two));
    ledger.feed(HERE, &ipfix(126, 1, &[]));
    assert_eq!(ledger.stats().sequence_lost_records, 38);

    let mut lost: Vec<_> = ledger
        .decoder
        .exporters()
        .iter()
        .map(|e| (e.format, e.domain, e.lost, e.lost_unit))
        .collect();
    lost.sort_unstable();
    assert_eq!(
        lost,
        [
            ("ipfix", 1, 8, "records"),
            ("netflow_v5", 0, 30, "records"),
            ("netflow_v5", 5, 0, "records"),
            ("netflow_v9", 1, 4, "packets"),
        ]
    );
    ledger.finish();
}

#[test]
fn reserved_sets_are_skipped() {
    // FF-IX-05; FF-V9 set ids 2-255; RFC 5471 section 3.6.7.
    let mut ledger = flows();
    ledger.feed(
        HERE,
        &ipfix(
            0,
            1,
            &[
                set(0, &[1; 3]),
                set(1, &[]),
                set(255, &[9; 9]),
                templates(&[octets_template(256)]),
                set(4, &[0; 5]),
                set(256, &number(1)),
            ],
        ),
    );
    ledger.feed(
        HERE,
        &netflow9(
            0,
            1,
            1,
            &[
                set(2, &[1; 4]),
                templates9(&[octets_template(256)]),
                set(255, &[]),
                set(256, &number(2)),
            ],
        ),
    );
    assert_eq!(ledger.warnings(Warning::UnknownSet), 6);
    let mut bytes = all(u64s(&ledger.only(), "bytes"));
    bytes.sort_unstable();
    assert_eq!(bytes, [1, 2]);
}

#[test]
fn what_one_session_teaches_is_not_another_ones() {
    // FF-EN-01: two processes on one address sample differently; a third source port has no say of its own.
    let mut ledger = flows();
    let from = |port| HERE.port(port);
    let message = |sequence, rate: u32| {
        let option = [&[10, 0, 0, 1, 1][..], &rate.to_be_bytes()].concat();
        let options = [iana(1, 4), iana(48, 1), iana(50, 4)];
        let sets = [
            templates9(&[template(256, &[iana(1, 8), iana(48, 1)])]),
            options_templates9(&[options_template9(257, 1, &options)]),
            set(257, &option),
            set(256, &[&number(1)[..], &[1]].concat()),
        ];
        netflow9(sequence, 1, 1, &sets)
    };
    let data = set(256, &[&number(1)[..], &[1]].concat());
    ledger.feed(from(1000), &message(0, 100));
    // The only one that has taught anything speaks for the address.
    ledger.feed(from(3000), &netflow9(1, 1, 1, std::slice::from_ref(&data)));
    ledger.feed(from(2000), &message(2, 7));
    ledger.feed(from(1000), &netflow9(3, 1, 1, std::slice::from_ref(&data)));
    ledger.feed(from(3000), &netflow9(4, 1, 1, &[data]));
    let batch = ledger.only();
    assert_eq!(all(u32s(&batch, "sampling_rate")), [100, 100, 7, 100, 0]);
}
