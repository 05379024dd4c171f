//! Common properties (RFC 5473; FF-EN-06): what Flow Records share is sent once, as options data, and is in the columns of each.
#![allow(clippy::unwrap_used)]

mod common;

use allocation_counter::measure;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt8Type;
use common::message::*;
use common::*;
use flowfast_decode::{DecoderOptions, Limits, SchemaKind, TableKind, Warning};

fn flows() -> Ledger {
    Ledger::new(SchemaKind::Flows)
}

fn number(value: u32) -> [u8; 4] {
    value.to_be_bytes()
}

fn sources(batch: &RecordBatch) -> Vec<Option<[u8; 4]>> {
    let column = batch.column_by_name("src_addr").unwrap();
    let addresses = column.as_fixed_size_binary().iter();
    let ipv4 = |address: &[u8]| address[12..].try_into().unwrap();
    addresses.map(|address| address.map(ipv4)).collect()
}

/// Properties: a source address, the port of the destination, the interface in and a name of the application.
fn properties_template() -> Vec<u8> {
    let fields = [
        iana(137, 8),
        iana(8, 4),
        iana(11, 2),
        iana(96, VARIABLE),
        iana(10, 4),
    ];
    options_templates(&[options_template(300, 1, &fields)])
}

fn properties(id: u8, host: u8, port: u8, name: &str, interface: u32) -> Vec<u8> {
    let mut record = vec![0, 0, 0, 0, 0, 0, 0, id, 10, 0, 0, host, 0, port];
    record.push(name.len() as u8);
    record.extend(name.as_bytes());
    record.extend(number(interface));
    record
}

/// What is of one flow: its properties, octets and packets.
fn flow_template() -> Vec<u8> {
    templates(&[template(256, &[iana(137, 2), iana(1, 4), iana(2, 4)])])
}

fn flow(id: u8, octets: u32) -> Vec<u8> {
    [&[0, id][..], &number(octets), &number(3)].concat()
}

#[test]
fn shared_elements_are_columns() {
    // FF-EN-06: ids of different length, properties of variable length; an id's last properties hold from then on.
    let mut ledger = flows();
    let teach = [
        properties(1, 11, 80, "web", 7),
        properties(2, 12, 53, "dns", 8),
    ];
    let sets = [
        properties_template(),
        flow_template(),
        set(300, &teach.concat()),
        set(256, &[flow(1, 100), flow(2, 200), flow(1, 300)].concat()),
        set(300, &properties(1, 13, 90, "", 9)),
        set(256, &flow(1, 400)),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &sets));
    let batch = ledger.only();
    assert_eq!(all(u64s(&batch, "bytes")), [100, 200, 300, 400]);
    assert_eq!(all(u64s(&batch, "packets")), [3; 4]);
    assert_eq!(
        all(sources(&batch)),
        [
            [10, 0, 0, 11],
            [10, 0, 0, 12],
            [10, 0, 0, 11],
            [10, 0, 0, 13]
        ]
    );
    assert_eq!(all(u16s(&batch, "dst_port")), [80, 53, 80, 90]);
    assert_eq!(all(u32s(&batch, "in_if")), [7, 8, 7, 9]);
    let names = all(texts(&batch, "application_name"));
    assert_eq!(names, ["web", "dns", "web", ""]);
    assert_eq!(all(u16s(&batch, "template_id")), [256; 4]);
    assert_eq!(ledger.warnings(Warning::PropertiesUnknown), 0);
    assert_eq!(ledger.stats().sequence_lost_records, 0);
}

#[test]
fn records_may_have_several_properties_and_their_own_values_win() {
    // FF-EN-06: properties of the source and of the destination; a record that has the source address itself.
    let sets = [
        options_templates(&[
            options_template(300, 1, &[iana(137, 1), iana(8, 4), iana(16, 4)]),
            options_template(301, 1, &[iana(137, 1), iana(12, 4), iana(17, 4)]),
        ]),
        templates(&[
            template(256, &[iana(137, 1), iana(137, 1), iana(1, 4)]),
            template(257, &[iana(137, 1), iana(8, 4), iana(1, 4)]),
        ]),
        set(300, &[1, 10, 0, 0, 1, 0, 0, 0, 64]),
        set(301, &[2, 10, 0, 0, 2, 0, 0, 0, 65]),
        set(256, &[2, 1, 0, 0, 0, 9]),
        set(257, &[1, 10, 9, 9, 9, 0, 0, 0, 8]),
    ];
    let mut ledger = flows();
    ledger.feed(HERE, &ipfix(0, 1, &sets));
    let batch = ledger.only();
    assert_eq!(all(sources(&batch)), [[10, 0, 0, 1], [10, 9, 9, 9]]);
    assert_eq!(all(u32s(&batch, "src_as")), [64, 64]);
    assert_eq!(u32s(&batch, "dst_as"), [Some(65), None]);
    assert_eq!(all(u64s(&batch, "bytes")), [9, 8]);
}

#[test]
fn what_else_is_done_with_records_is_done_with_joined_ones() {
    // FF-EN-06 with FF-SMP-02, FF-EN-01, FF-BI-04 and FF-PS-01: a shared sampling rate; a shared interface with a name; the reverse
    // direction; a packet section, here of an IPv4 header.
    let mut ledger = Ledger::with(&DecoderOptions {
        split_biflows: true,
        ..options(SchemaKind::Flows)
    });
    let reverse_octets = Field {
        id: 1,
        pen: 29305,
        length: 4,
    };
    let header = [
        0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 10, 198, 51, 100, 20,
    ];
    let sets = [
        options_templates(&[
            options_template(
                300,
                1,
                &[iana(137, 1), iana(34, 4), iana(10, 4), iana(8, 4)],
            ),
            options_template(301, 1, &[iana(10, 4), iana(82, 4)]),
            options_template(302, 1, &[iana(137, 1), iana(10, 4)]),
        ]),
        templates(&[
            template(256, &[iana(137, 1), iana(1, 4), reverse_octets]),
            template(257, &[iana(137, 1), iana(313, 20)]),
        ]),
        set(
            300,
            &[&[1, 0, 0, 0, 64, 0, 0, 0, 5, 10, 0, 0, 1][..]].concat(),
        ),
        set(301, &[0, 0, 0, 5, b'e', b't', b'h', b'5']),
        set(302, &[2, 0, 0, 0, 6]),
        set(256, &[1, 0, 0, 0, 70, 0, 0, 0, 80]),
        set(257, &[&[2][..], &header].concat()),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &sets));
    let batch = ledger.only();
    assert_eq!(u64s(&batch, "bytes"), [Some(70), Some(80), None]);
    assert_eq!(all(u32s(&batch, "sampling_rate")), [64, 64, 0]);
    assert_eq!(u32s(&batch, "in_if"), [Some(5), None, Some(6)]);
    assert_eq!(u32s(&batch, "out_if"), [None, Some(5), None]);
    let names = |column| texts(&batch, column);
    assert_eq!(names("in_if_name"), [Some("eth5".to_owned()), None, None]);
    assert_eq!(names("out_if_name"), [None, Some("eth5".to_owned()), None]);
    assert_eq!(
        sources(&batch),
        [Some([10, 0, 0, 1]), None, Some([192, 0, 2, 10])]
    );
    let protocols = batch.column_by_name("proto").unwrap();
    assert_eq!(protocols.as_primitive::<UInt8Type>().value(2), 17);
}

#[test]
fn records_wait_for_their_properties() {
    // FF-EN-06 as FF-V9-07: for those that come later in the message, in another one, and after the template came late, too.
    let mut ledger = flows();
    let hosts = |ledger: &mut Ledger| {
        ledger.flush();
        let batches = std::mem::take(&mut ledger.batches);
        let rows = batches.iter().map(|each| sources(&each.batch));
        rows.collect::<Vec<_>>().concat()
    };
    let (one, two) = (Some([10, 0, 0, 11]), Some([10, 0, 0, 12]));
    // Records of a template that is not there, then the templates, then one id's properties, then the other's.
    let both = set(256, &[flow(1, 1), flow(2, 2)].concat());
    ledger.feed(HERE, &ipfix(0, 1, std::slice::from_ref(&both)));
    ledger.feed(
        HERE,
        &ipfix(2, 1, &[flow_template(), properties_template()]),
    );
    assert_eq!(
        (hosts(&mut ledger), ledger.stats().sets_waiting),
        (vec![], 1)
    );
    let first = set(300, &properties(1, 11, 80, "web", 7));
    ledger.feed(HERE, &ipfix(2, 1, &[first, both]));
    assert_eq!(
        (hosts(&mut ledger), ledger.stats().sets_waiting),
        (vec![], 2)
    );
    // What lacks nothing does not wait.
    ledger.feed(HERE, &ipfix(5, 1, &[set(256, &flow(1, 3))]));
    assert_eq!(hosts(&mut ledger), [one]);
    let second = set(300, &properties(2, 12, 53, "dns", 8));
    ledger.feed(HERE, &ipfix(6, 1, &[second]));
    assert_eq!(hosts(&mut ledger), [one, two, one, two]);
    // Behind the records in their own message.
    let third = set(300, &properties(3, 12, 53, "dns", 8));
    ledger.feed(HERE, &ipfix(7, 1, &[set(256, &flow(3, 4)), third]));
    assert_eq!(hosts(&mut ledger), [two]);
    let stats = ledger.stats();
    assert_eq!((stats.sets_undecodable, stats.sets_recovered), (3, 3));
    assert_eq!(stats.sequence_lost_records, 0);
    assert_eq!(ledger.warnings(Warning::PropertiesUnknown), 0);
    ledger.finish();
}

#[test]
fn records_whose_properties_do_not_come_are_rows_all_the_same() {
    // FF-EN-06, FF-RB-02: after the time that sets wait, at the end, or at once where there is no room to wait. They are counted.
    let limits = Limits {
        waiting_octets_per_domain: 600,
        ..Limits::default()
    };
    let mut ledger = Ledger::with(&DecoderOptions {
        limits,
        ..options(SchemaKind::Flows)
    });
    let define = [flow_template(), properties_template()];
    ledger.feed(HERE, &ipfix(0, 1, &define));
    let known = set(300, &properties(1, 11, 80, "web", 7));
    ledger.feed(HERE, &ipfix(0, 1, &[known]));
    let data = |octets| set(256, &[flow(1, octets), flow(9, octets)].concat());
    ledger.feed(HERE, &ipfix(1, 1, &[data(1)]));
    assert_eq!((ledger.drain(), ledger.stats().sets_waiting), (0, 1));
    // Of 600 octets the second set, which is no longer than its header, leaves too little for the long third.
    let long = set(256, &vec![flow(9, 2); 60].concat());
    ledger.feed(HERE, &ipfix(3, 1, &[long]));
    assert_eq!((ledger.drain(), ledger.stats().sets_waiting), (60, 1));
    assert_eq!(ledger.warnings(Warning::PropertiesUnknown), 60);
    // Its template gets another meaning while it waits: that is not its own.
    let other = templates(&[template(256, &[iana(137, 2), iana(2, 4), iana(1, 4)])]);
    ledger.feed(HERE.after_s(31), &ipfix(63, 1, &[other]));
    ledger.feed(HERE.after_s(32), &ipfix(63, 1, &[]));
    ledger.flush();
    let batch = ledger.batches.pop().unwrap().batch;
    assert_eq!(sources(&batch), [Some([10, 0, 0, 11]), None]);
    assert_eq!(all(u64s(&batch, "bytes")), [1, 1]);
    assert_eq!(all(u64s(&batch, "packets")), [3, 3]);
    assert_eq!(ledger.warnings(Warning::PropertiesUnknown), 61);
    ledger.feed(HERE.after_s(33), &ipfix(63, 1, &[data(5)]));
    assert_eq!((ledger.drain(), ledger.stats().sets_waiting), (0, 1));
    ledger.finish();
    assert_eq!(rows(&ledger.batches), 2);
    assert_eq!(ledger.stats().sets_discarded.iter().sum::<u64>(), 0);
}

#[test]
fn what_waits_of_a_domain_that_is_forgotten_becomes_rows() {
    // FF-EN-06, FF-RB-04: its records came, and what they say themselves is known.
    let limits = Limits {
        domains: 2,
        ..Limits::default()
    };
    let mut ledger = Ledger::with(&DecoderOptions {
        limits,
        ..options(SchemaKind::Flows)
    });
    for domain in 1..4 {
        let sets = [flow_template(), set(256, &flow(1, 10 * domain))];
        ledger.feed(HERE.after_s(domain.into()), &ipfix(0, domain, &sets));
    }
    assert_eq!(ledger.stats().sets_waiting, 2);
    ledger.flush();
    assert_eq!(all(u64s(&ledger.batches[0].batch, "bytes")), [10]);
    ledger.finish();
    assert_eq!(rows(&ledger.batches), 3);
}

#[test]
fn properties_belong_to_their_session_and_domain() {
    // FF-EN-01, FF-TL-02: and their template has their id as its only scope.
    let mut ledger = flows();
    let define = |host| {
        let sets = [
            flow_template(),
            properties_template(),
            options_templates(&[options_template(
                301,
                2,
                &[iana(137, 8), iana(10, 4), iana(8, 4)],
            )]),
            set(300, &properties(1, host, 80, "", 7)),
            set(301, &[0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 5, 10, 9, 9, 9]),
            set(256, &flow(1, 1)),
            set(256, &flow(2, 1)),
        ];
        ipfix(0, 1, &sets)
    };
    ledger.feed(HERE.port(1000), &define(11));
    ledger.feed(HERE.port(2000), &define(12));
    let elsewhere = ipfix(0, 2, &[flow_template(), set(256, &flow(1, 1))]);
    ledger.feed(HERE.port(1000), &elsewhere);
    let batch = ledger.only();
    let (one, two) = (Some([10, 0, 0, 11]), Some([10, 0, 0, 12]));
    let found = sources(&batch);
    assert_eq!(found.len(), 5);
    for (host, times) in [(one, 1), (two, 1), (None, 3)] {
        assert_eq!(found.iter().filter(|each| **each == host).count(), times);
    }
}

#[test]
fn properties_without_end_are_bounded() {
    // FF-RB-01, FF-RB-04: new ids with templates of many fields, and records of one octet that refer to the longest properties.
    let mut ledger = flows();
    let fields: Vec<_> = std::iter::once(iana(137, 4))
        .chain((0..100).map(|_| iana(8, 4)))
        .chain((0..10_000).map(|_| iana(8, 0)))
        .collect();
    let info = measure(|| {
        for n in 0..300u32 {
            let mut fields = fields.clone();
            fields[101 + n as usize] = iana(9, 0);
            let record = [&number(n)[..], &[7; 400]].concat();
            let sets = [
                options_templates(&[options_template(300, 1, &fields)]),
                set(300, &record),
            ];
            ledger.feed(HERE, &ipfix(0, 1, &sets));
        }
    });
    assert!(
        info.bytes_current < 100 << 20,
        "{} held",
        info.bytes_current
    );
    assert!(ledger.warnings(Warning::OptionsRefused) > 250);

    let mut ledger = flows();
    let longest = [iana(137, 1), iana(8, 4), iana(210, 507)];
    let longer = [iana(137, 1), iana(8, 4), iana(210, 508)];
    let sets = [
        options_templates(&[
            options_template(300, 1, &longest),
            options_template(301, 1, &longer),
        ]),
        templates(&[template(256, &[iana(137, 1)])]),
        set(300, &[&[1, 10, 0, 0, 1][..], &[0; 507]].concat()),
        set(301, &[&[2, 10, 0, 0, 2][..], &[0; 508]].concat()),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &sets));
    assert_eq!(ledger.warnings(Warning::OptionsRefused), 1);
    let many = ipfix(0, 1, &[set(256, &[1; 60_000])]);
    let info = measure(|| ledger.feed(HERE, &many));
    assert!(info.bytes_max < 16 << 20, "{} octets", info.bytes_max);
    assert_eq!(ledger.drain(), 60_000);
}

#[test]
fn wire_has_what_was_sent() {
    // FF-EN-06: the id is a column, the properties are a table of options data, and nothing waits.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    let sets = [
        properties_template(),
        flow_template(),
        set(256, &flow(1, 5)),
        set(300, &properties(1, 11, 80, "web", 7)),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &sets));
    ledger.finish();
    let mut of = |kind| {
        let found = ledger.batches.iter().position(|each| each.kind == kind);
        ledger.batches.swap_remove(found.unwrap()).batch
    };
    assert_eq!(
        u64s(&of(TableKind::Options), "commonPropertiesId"),
        [Some(1)]
    );
    assert_eq!(u64s(&of(TableKind::Data), "commonPropertiesId"), [Some(1)]);
}
