//! Options data put to use (spec 2.9, 2.12): sampling rates and names, each in the table it belongs to, as of a record's time, and
//! no more of it than there is room for.
#![allow(clippy::unwrap_used)]

mod common;

use allocation_counter::measure;
use common::message::*;
use common::*;
use flowfast_decode::{DecoderOptions, Limits, SchemaKind, Warning};

fn flows() -> Ledger {
    Ledger::new(SchemaKind::Flows)
}

fn number(value: u32) -> [u8; 4] {
    value.to_be_bytes()
}

/// A string in so many octets, padded with zeros.
fn padded(text: &str, len: usize) -> Vec<u8> {
    let mut octets = text.as_bytes().to_vec();
    octets.resize(len, 0);
    octets
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts
        .iter()
        .map(|text| (!text.is_empty()).then(|| (*text).to_owned()))
        .collect()
}

#[test]
fn rates_by_sampler_by_interface_and_of_the_exporter_never_mix() {
    // FF-SMP-02, FF-SMP-05: whichever was sent last, and whichever way it was scoped.
    let options = [
        options_template(
            300,
            1,
            &[iana(302, 8), iana(304, 2), iana(305, 4), iana(306, 4)],
        ),
        options_template(301, 1, &[iana(10, 4), iana(34, 4)]),
        options_template(302, 1, &[iana(149, 4), iana(34, 4)]),
        options_template(303, 1, &[iana(145, 2), iana(34, 4)]),
    ];
    // samplerId, ingressInterface, egressInterface, flowDirection.
    let fields = [iana(302, 8), iana(10, 4), iana(14, 4), iana(61, 1)];
    let taught = [
        set(
            300,
            &[
                [0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 0, 0, 0, 1, 0, 0, 0, 99],
                [0, 0, 0, 0, 0, 0, 0, 8, 0, 1, 0, 0, 0, 1, 0, 0, 3, 231],
            ]
            .concat(),
        ),
        set(
            301,
            &[number(1), number(20), number(2), number(40)].concat(),
        ),
        set(303, &[&[1, 1][..], &number(60)].concat()),
        set(302, &[number(1), number(80)].concat()),
    ];
    let record = |selector: u8, input: u32, output: u32, direction: u8| {
        let selector = [0, 0, 0, 0, 0, 0, 0, selector];
        [&selector[..], &number(input), &number(output), &[direction]].concat()
    };
    let records = [
        (record(7, 1, 2, 0), 100),
        (record(8, 1, 2, 0), 1000),
        (record(9, 1, 2, 0), 20),
        (record(9, 1, 2, 1), 40),
        (record(9, 5, 2, 0), 40),
        (record(9, 5, 6, 0), 80),
    ];
    // In any order of the options data.
    for turn in 0..taught.len() {
        let mut sets = vec![
            options_templates(&options),
            templates(&[template(256, &fields), template(257, &fields)]),
        ];
        sets.extend(taught[turn..].iter().chain(&taught[..turn]).cloned());
        sets.push(set(
            256,
            &records.clone().map(|(record, _)| record).concat(),
        ));
        // Template 257 has a rate of its own.
        sets.push(set(257, &records[5].0));
        let mut ledger = flows();
        ledger.feed(HERE, &ipfix(0, 1, &sets));
        let batch = ledger.only();
        let rates = all(u32s(&batch, "sampling_rate"));
        assert_eq!(rates[..6], records.clone().map(|(_, rate)| rate), "{turn}");
        assert_eq!(rates[6], 60);
        assert!(
            words(&batch, "sampling_source")
                .iter()
                .all(|source| source == "options")
        );
    }
}

#[test]
fn the_selectors_of_a_sequence_multiply() {
    // FF-SMP-07, FF-PS-02, FF-PS-03; RFC 5476 section 6.5: one in 10, of those the ones a filter selects, of those 3 in 12.
    let options = [
        options_template(
            300,
            1,
            &[iana(302, 4), iana(304, 2), iana(305, 4), iana(306, 4)],
        ),
        options_template(301, 1, &[iana(302, 4), iana(304, 2)]),
        options_template(
            302,
            1,
            &[iana(302, 4), iana(304, 2), iana(309, 4), iana(310, 4)],
        ),
        options_template(
            303,
            1,
            &[
                iana(301, 4),
                iana(10, 4),
                iana(302, 4),
                iana(302, 4),
                iana(302, 4),
            ],
        ),
    ];
    let mut ledger = flows();
    let teach = [
        options_templates(&options),
        templates(&[template(256, &[iana(301, 4), iana(2, 4)])]),
        set(
            300,
            &[number(1), [0, 1, 0, 0], [0, 1, 0, 0], [0, 9, 0, 0]].concat()[..14],
        ),
        set(301, &[&number(2)[..], &[0, 5]].concat()),
        // The sequence before its last selector.
        set(
            303,
            &[number(77), number(4), number(1), number(2), number(3)].concat(),
        ),
        set(256, &[number(77), number(1)].concat()),
        set(
            302,
            &[&number(3)[..], &[0, 3], &number(3), &number(12)].concat(),
        ),
        set(
            256,
            &[number(77), number(1), number(78), number(1)].concat(),
        ),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &teach));
    assert_eq!(all(u32s(&ledger.only(), "sampling_rate")), [0, 40, 0]);
}

#[test]
fn names_are_those_of_the_records_time() {
    // FF-EN-01, FF-EN-02, FF-EN-04: interfaces by scope or field, VRFs by either direction's id.
    let mut ledger = flows();
    let fields = [iana(10, 2), iana(14, 4), iana(234, 4), iana(235, 4)];
    let data = |input: u8| {
        let record = [&[0, input][..], &number(2), &number(5), &number(6)].concat();
        set(256, &record)
    };
    let interface = |id: u32, name: &str, description: &str| {
        [&number(id)[..], &padded(name, 8), &padded(description, 12)].concat()
    };
    ledger.feed(
        HERE,
        &ipfix(
            0,
            1,
            &[
                templates(&[template(256, &fields)]),
                options_templates(&[
                    options_template(300, 1, &[iana(10, 4), iana(82, 8), iana(83, 12)]),
                    options_template(301, 1, &[iana(234, 4), iana(236, VARIABLE)]),
                ]),
                data(1),
                set(
                    300,
                    &[interface(1, "eth0", "to the lab"), interface(2, "eth1", "")].concat(),
                ),
                set(301, &[&number(5)[..], &[3], b"red"].concat()),
                data(1),
                set(300, &interface(1, "wan0", "")),
                set(301, &[&number(6)[..], &[4], b"blue"].concat()),
                data(1),
                data(9),
            ],
        ),
    );
    let batch = ledger.only();
    let column = |name| texts(&batch, name);
    assert_eq!(column("in_if_name"), some(&["", "eth0", "wan0", ""]));
    assert_eq!(column("out_if_name"), some(&["", "eth1", "eth1", "eth1"]));
    // An empty description is none, and does not take back the one that was.
    assert_eq!(
        column("in_if_description"),
        some(&["", "to the lab", "to the lab", ""])
    );
    assert_eq!(column("out_if_description"), some(&["", "", "", ""]));
    assert_eq!(column("in_vrf_name"), some(&["", "red", "red", "red"]));
    assert_eq!(column("out_vrf_name"), some(&["", "", "blue", "blue"]));
}

#[test]
fn names_of_netflow9_come_by_scope_and_by_field() {
    // FF-EN-02, FF-V9-11: scope Interface (RFC 3954 section 6.1), or scope System and the ifIndex as a field.
    let by_scope = options_template9(300, 1, &[iana(2, 4), iana(82, 8)]);
    let by_field = options_template9(301, 1, &[iana(1, 4), iana(10, 4), iana(82, 8)]);
    let mut ledger = flows();
    ledger.feed(
        HERE,
        &netflow9(
            0,
            1,
            1,
            &[
                templates9(&[template(256, &[iana(10, 4), iana(14, 4)])]),
                options_templates9(&[by_scope, by_field]),
                set(300, &[&number(1)[..], &padded("Gi0/1", 8)].concat()),
                set(
                    301,
                    &[&number(0x0a00_0001)[..], &number(2), &padded("Gi0/2", 8)].concat(),
                ),
                set(256, &[number(1), number(2)].concat()),
            ],
        ),
    );
    let batch = ledger.only();
    assert_eq!(texts(&batch, "in_if_name"), some(&["Gi0/1"]));
    assert_eq!(texts(&batch, "out_if_name"), some(&["Gi0/2"]));
}

#[test]
fn applications_are_joined_by_id() {
    // FF-EN-03: options of v9 with four octets (RFC 6759), records of IPFIX with a shorter selector; a name in the record wins.
    let mut ledger = flows();
    let options = options_template(
        300,
        1,
        &[
            iana(95, 4),
            iana(96, 8),
            iana(94, 12),
            iana(372, 8),
            iana(373, 8),
            iana(374, 8),
        ],
    );
    let application = |id: [u8; 4], name: &str, category: &str| {
        [
            &id[..],
            &padded(name, 8),
            &padded("by the NBAR", 12),
            &padded(category, 8),
            &padded("sub", 8),
            &padded("group", 8),
        ]
        .concat()
    };
    let named = [&[13, 0, 1, 0xc5][..], &[4], b"mine"].concat();
    ledger.feed(
        HERE,
        &ipfix(
            0,
            1,
            &[
                templates(&[
                    template(256, &[iana(95, 4)]),
                    template(257, &[iana(95, VARIABLE)]),
                    template(258, &[iana(95, 4), iana(96, VARIABLE)]),
                ]),
                options_templates(&[options]),
                set(
                    300,
                    &[
                        application([13, 0, 1, 0xc5], "http", "web"),
                        application([3, 0, 0, 0x35], "dns", ""),
                    ]
                    .concat(),
                ),
                set(256, &[13, 0, 1, 0xc5, 3, 0, 0, 0x35, 3, 0, 0, 0x36]),
                set(257, &[3, 13, 1, 0xc5]),
                set(258, &named),
            ],
        ),
    );
    let batch = ledger.only();
    let names = texts(&batch, "application_name");
    assert_eq!(names, some(&["http", "dns", "", "http", "mine"]));
    let categories = texts(&batch, "application_category");
    assert_eq!(categories, some(&["web", "", "", "web", "web"]));
    for (column, text) in [
        ("application_description", "by the NBAR"),
        ("application_sub_category", "sub"),
        ("application_group", "group"),
    ] {
        assert_eq!(texts(&batch, column), some(&[text, text, "", text, text]));
    }
}

#[test]
fn technologies_of_applications_are_joined_by_id() {
    // FF-EN-03: p2pTechnology, tunnelTechnology and encryptedTechnology (RFC 6759). What a record says itself wins.
    let mut ledger = flows();
    let options = options_template(
        300,
        1,
        &[
            iana(95, 4),
            iana(288, 10),
            iana(289, VARIABLE),
            iana(290, 3),
        ],
    );
    let attributes = |id: u8, p2p: &str, tunnel: &str, encrypted: &str| {
        [
            &[13, 0, 0, id][..],
            &padded(p2p, 10),
            &[tunnel.len() as u8],
            tunnel.as_bytes(),
            &padded(encrypted, 3),
        ]
        .concat()
    };
    let sets = [
        templates(&[
            template(256, &[iana(95, 4)]),
            template(257, &[iana(95, 4), iana(290, 3)]),
        ]),
        options_templates(&[options]),
        set(
            300,
            &[
                attributes(1, "yes", "no", "y"),
                attributes(2, "unassigned", "", "no"),
            ]
            .concat(),
        ),
        set(256, &[13, 0, 0, 1, 13, 0, 0, 2, 13, 0, 0, 3]),
        set(257, &[&[13, 0, 0, 2][..], b"yes"].concat()),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &sets));
    let batch = ledger.only();
    for (column, expected) in [
        ("application_p2p", ["yes", "unassigned", "", "unassigned"]),
        ("application_tunnel", ["no", "", "", ""]),
        ("application_encrypted", ["y", "no", "", "yes"]),
    ] {
        assert_eq!(texts(&batch, column), some(&expected), "{column}");
    }
}

#[test]
fn what_one_session_taught_names_nothing_of_another() {
    // FF-EN-01, FF-TL-02: nor of another domain. A session without templates of its own has what the others agree on.
    let mut ledger = flows();
    let define = |name: &str| {
        ipfix(
            0,
            1,
            &[
                templates(&[template(256, &[iana(10, 4)])]),
                options_templates(&[options_template(300, 1, &[iana(10, 4), iana(82, 8)])]),
                set(300, &[&number(1)[..], &padded(name, 8)].concat()),
            ],
        )
    };
    let data = ipfix(1, 1, &[set(256, &number(1))]);
    ledger.feed(HERE.port(1000), &define("one"));
    ledger.feed(HERE.port(3000), &data);
    ledger.feed(HERE.port(2000), &define("two"));
    for port in [1000, 2000, 3000] {
        ledger.feed(HERE.port(port), &data);
    }
    ledger.feed(HERE.port(2000), &define("one"));
    ledger.feed(HERE.port(3000), &data);
    ledger.feed(
        HERE.port(1000),
        &ipfix(
            0,
            2,
            &[
                templates(&[template(256, &[iana(10, 4)])]),
                set(256, &number(1)),
            ],
        ),
    );
    let names = texts(&ledger.only(), "in_if_name");
    assert_eq!(names, some(&["one", "one", "two", "", "one", ""]));
}

/// Ids of the templates that describe Flow Records and have Flow Keys, and these.
fn flow_keys(ledger: &Ledger) -> Vec<(u16, Vec<usize>)> {
    let templates = ledger.decoder.templates().into_iter();
    let described = templates.filter(|each| !each.flow_keys.is_empty());
    let mut keys: Vec<_> = described
        .map(|each| (each.template_id, each.flow_keys))
        .collect();
    keys.sort();
    keys
}

#[test]
fn flow_keys_are_attached_to_their_template() {
    // FF-OT-03; RFC 7011 section 4.4: bit n is field n + 1, by a templateId of IPFIX or the scope Template of v9.
    let fields = [iana(8, 4), iana(12, 4), iana(1, 8), iana(4, 1)];
    let mut ledger = Ledger::with(&DecoderOptions {
        journaled: true,
        ..options(SchemaKind::Flows)
    });
    let options_template_set = options_templates(&[
        options_template(300, 1, &[iana(145, 2), iana(173, 8)]),
        options_template(301, 1, &[iana(145, 2), iana(173, 1)]),
    ]);
    let indicator = |id: u16, bits: u64| {
        set(
            300,
            &[&id.to_be_bytes()[..], &bits.to_be_bytes()[..]].concat(),
        )
    };
    let define = |id, fields: &[Field]| templates(&[template(id, fields)]);
    let sets = [
        options_template_set.clone(),
        define(256, &fields),
        define(257, &fields),
        indicator(256, 0b1011),
        set(301, &[1, 1, 0b0101]),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &sets));
    let both = [(256, vec![0, 1, 3]), (257, vec![0, 2])];
    assert_eq!(flow_keys(&ledger), both);
    assert_eq!(ledger.warnings(Warning::FlowKeysIgnored), 0);
    // More bits than fields, templates that are not there, or are another session's: counted, and nothing changes.
    let wrong = [
        indicator(256, 0b10001),
        indicator(256, 1 << 63),
        indicator(999, 1),
        indicator(0, 1),
    ];
    ledger.feed(HERE, &ipfix(2, 1, &wrong));
    let elsewhere = [options_template_set.clone(), indicator(256, 1)];
    ledger.feed(HERE.port(7), &ipfix(0, 1, &elsewhere));
    assert_eq!(flow_keys(&ledger), both);
    assert_eq!(ledger.warnings(Warning::FlowKeysIgnored), 5);
    // The same template again has them still, another one of that id has not.
    let again = [
        define(256, &fields),
        define(257, &fields[..3]),
        options_template_set,
    ];
    ledger.feed(HERE, &ipfix(6, 1, &again));
    assert_eq!(flow_keys(&ledger), both[..1]);
    // Nor do they get lost where a journal is learnt from, though their options template was sent again after them.
    let mut second = flows();
    for message in ledger.decoder.state() {
        second.decoder.learn(&message.datagram());
    }
    assert_eq!(flow_keys(&second), both[..1]);
    assert_eq!(second.warnings(Warning::FlowKeysIgnored), 0);

    let mut netflow = flows();
    let sets = [
        templates9(&[template(256, &fields)]),
        options_templates9(&[options_template9(300, 1, &[iana(5, 2), iana(173, 4)])]),
        set(300, &[1, 0, 0, 0, 0, 0b1000]),
    ];
    netflow.feed(HERE, &netflow9(0, 1, 1, &sets));
    assert_eq!(flow_keys(&netflow), [(256, vec![3])]);
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    // FF-RB-04: by session and over all; what is known is still brought up to date.
    let limits = Limits {
        options_octets_per_session: 2000,
        options_octets: 5000,
        ..Limits::default()
    };
    let mut ledger = Ledger::with(&DecoderOptions {
        limits,
        ..options(SchemaKind::Flows)
    });
    let define = [
        templates(&[template(256, &[iana(48, 4)])]),
        options_templates(&[options_template(300, 1, &[iana(48, 4), iana(50, 4)])]),
    ];
    let taught = |from: u32, rate: u32| {
        let records = (from..from + 100).flat_map(|id| [number(id), number(rate)].concat());
        set(300, &records.collect::<Vec<u8>>())
    };
    let samplers = |ids: std::ops::Range<u32>| set(256, &ids.flat_map(number).collect::<Vec<u8>>());
    // An entry counts as 64 octets: 31 of 100 samplers fit.
    ledger.feed(
        HERE,
        &ipfix(
            0,
            1,
            &[
                define.concat(),
                taught(1, 10),
                taught(1, 20),
                samplers(30..33),
            ],
        ),
    );
    assert_eq!(ledger.warnings(Warning::OptionsRefused), 2 * 69);
    // Two more sessions: 31 samplers, and the 16 that are left of all.
    for port in [1, 2] {
        let sets = [define.concat(), taught(1, 30), samplers(16..18)];
        ledger.feed(HERE.port(port), &ipfix(0, 1, &sets));
    }
    assert_eq!(ledger.warnings(Warning::OptionsRefused), 2 * 69 + 69 + 84);
    let rates = all(u32s(&ledger.only(), "sampling_rate"));
    assert_eq!(rates, [20, 20, 0, 30, 30, 30, 0]);
}

#[test]
fn names_without_end_are_bounded() {
    // FF-RB-01, FF-RB-04: new interfaces, of new sessions, with the longest names; over all within the default bound.
    let mut ledger = flows();
    let define = options_templates(&[options_template(300, 1, &[iana(10, 4), iana(82, 250)])]);
    let info = measure(|| {
        for n in 0..1200u32 {
            let records = (0..200u32)
                .flat_map(|id| [&(n * 200 + id).to_be_bytes()[..], &[b'x'; 250]].concat());
            let sets = [define.clone(), set(300, &records.collect::<Vec<u8>>())];
            let from = HERE.exporter(n % 40).port(1 + (n / 40) as u16);
            ledger.feed(from, &ipfix(0, 1, &sets));
        }
    });
    assert!(
        info.bytes_current < 100 << 20,
        "{} octets held",
        info.bytes_current
    );
    assert!(ledger.warnings(Warning::OptionsRefused) > 1000);
    // A name beyond 256 octets is none.
    let before = ledger.warnings(Warning::OptionsRefused);
    let long = options_templates(&[options_template(300, 1, &[iana(10, 4), iana(82, 257)])]);
    let record = [&number(1)[..], &[b'x'; 257]].concat();
    ledger.feed(HERE.exporter(99), &ipfix(0, 1, &[long, set(300, &record)]));
    assert_eq!(ledger.warnings(Warning::OptionsRefused), before + 1);
}

#[test]
fn no_allocation_per_datagram_with_names_and_samplers() {
    let mut ledger = flows();
    let define = [
        templates(&[template(256, &[iana(10, 4), iana(48, 4), iana(95, 4)])]),
        options_templates(&[
            options_template(300, 1, &[iana(10, 4), iana(82, 8)]),
            options_template(301, 1, &[iana(48, 4), iana(50, 4)]),
            options_template(302, 1, &[iana(95, 4), iana(96, 8)]),
        ]),
    ];
    let taught = [
        set(300, &[&number(1)[..], &padded("eth0", 8)].concat()),
        set(301, &[number(1), number(100)].concat()),
        set(302, &[&number(1)[..], &padded("http", 8)].concat()),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &define));
    // The same options data again and again, between the Flow Records.
    let mut sets = taught.to_vec();
    sets.push(set(256, &number(1).repeat(3 * 100)));
    let message = ipfix(0, 1, &sets);
    for _ in 0..3 {
        (0..300).for_each(|_| ledger.feed(HERE, &message));
        assert_eq!(ledger.drain(), 30_000);
    }
    let info = measure(|| (0..300).for_each(|_| ledger.feed(HERE, &message)));
    assert_eq!(info.count_total, 0);
    ledger.flush();
    let batch = &ledger.batches[0].batch;
    assert_eq!(texts(batch, "in_if_name")[29_999].as_deref(), Some("eth0"));
    assert_eq!(texts(batch, "application_name")[0].as_deref(), Some("http"));
    assert_eq!(u32s(batch, "sampling_rate")[5], Some(100));
}
