//! Records that a mediator or another proxy hands on are of the Exporter that they name, if it is one of those that may name any
//! (RFC 7119; FF-Q-10).
#![allow(clippy::unwrap_used)]

mod common;

use std::net::{IpAddr, Ipv6Addr};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use common::message::*;
use common::*;
use flowfast_decode::{DecoderOptions, ExporterSummary, Limits, SchemaKind, Warning};

/// 192.0.2.1, which is `HERE`.
const MEDIATOR: [u8; 4] = [192, 0, 2, 1];
const FIRST: [u8; 4] = [10, 0, 0, 1];
const SECOND: [u8; 4] = [10, 0, 0, 2];
const UNSET: [u8; 4] = [0; 4];

fn options() -> DecoderOptions {
    DecoderOptions {
        mediators: vec!["192.0.2.0/28".parse().unwrap()],
        ..common::options(SchemaKind::Flows)
    }
}

fn addresses(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap().as_fixed_size_binary();
    column
        .iter()
        .map(|octets| {
            let octets: [u8; 16] = octets.unwrap().try_into().unwrap();
            Ipv6Addr::from(octets).to_canonical().to_string()
        })
        .collect()
}

fn samplers(ledger: &mut Ledger) -> Vec<String> {
    addresses(&ledger.only_flows(), "sampler_address")
}

fn number(value: u32) -> [u8; 4] {
    value.to_be_bytes()
}

/// Options data of an interface 7 under the name of an Exporter, with its name and a rate.
fn interface(exporter: [u8; 4], name: &[u8; 4], rate: u32) -> Vec<u8> {
    [&exporter[..], &number(7), name, &number(rate)].concat()
}

fn definitions() -> [Vec<u8>; 2] {
    [
        options_templates(&[options_template(
            300,
            2,
            &[iana(130, 4), iana(10, 4), iana(82, 4), iana(34, 4)],
        )]),
        templates(&[template(256, &[iana(10, 4), iana(403, 4), iana(2, 4)])]),
    ]
}

/// Flow Records of interface 7.
fn records(exporters: &[[u8; 4]]) -> Vec<u8> {
    let record = |exporter: &[u8; 4]| [&number(7)[..], exporter, &number(1)].concat();
    set(256, &exporters.iter().flat_map(record).collect::<Vec<_>>())
}

fn message() -> Vec<u8> {
    let [options, templates] = definitions();
    let taught = [
        interface(FIRST, b"eth1", 100),
        interface(SECOND, b"eth2", 200),
        interface(MEDIATOR, b"lan0", 1),
    ];
    let sets = [
        options,
        templates,
        set(300, &taught.concat()),
        records(&[FIRST, FIRST, SECOND, UNSET, FIRST, MEDIATOR]),
    ];
    ipfix(0, 1, &sets)
}

fn summary(ledger: &Ledger, address: [u8; 4]) -> ExporterSummary {
    let exporters = ledger.decoder.exporters();
    let found = exporters
        .iter()
        .find(|each| each.exporter == IpAddr::from(address));
    found.unwrap().clone()
}

#[test]
fn records_and_options_data_are_of_the_exporter_that_they_name() {
    // FF-Q-10: each its own interface 7; unset or its own address, the mediator's.
    let mut ledger = Ledger::with(&options());
    ledger.feed(HERE, &message());
    let batch = ledger.only_flows();
    assert_eq!(
        addresses(&batch, "sampler_address"),
        [
            "10.0.0.1",
            "10.0.0.1",
            "10.0.0.2",
            "192.0.2.1",
            "10.0.0.1",
            "192.0.2.1"
        ]
    );
    let names = texts(&batch, "in_if_name").into_iter().map(Option::unwrap);
    let expected = ["eth1", "eth1", "eth2", "lan0", "eth1", "lan0"];
    assert_eq!(names.collect::<Vec<_>>(), expected);
    let rates = all(u32s(&batch, "sampling_rate"));
    assert_eq!(rates, [100, 100, 200, 1, 100, 1]);
    // Templates and datagrams are the mediator's, records theirs.
    let of = |address| {
        let each = summary(&ledger, address);
        (each.datagrams, each.templates, each.records)
    };
    assert_eq!(of(MEDIATOR), (1, 2, 3));
    assert_eq!((of(FIRST), of(SECOND)), ((0, 0, 4), (0, 0, 2)));
}

#[test]
fn whoever_is_no_mediator_speaks_for_itself() {
    // FF-Q-10: anyone can write any name.
    let mut ledger = Ledger::with(&options());
    ledger.feed(HERE.exporter(0xc000_0210), &message());
    let batch = ledger.only_flows();
    let expected = ["192.0.2.16"; 6];
    assert_eq!(addresses(&batch, "sampler_address"), expected);
    assert_eq!(
        addresses(&batch, "original_exporter")[..3],
        ["10.0.0.1", "10.0.0.1", "10.0.0.2"]
    );
    assert_eq!(ledger.decoder.exporter_count(), 1);
}

#[test]
fn records_of_variable_length_with_lists_are_handed_on() {
    // FF-Q-10, FF-SD-05: a subTemplateList is read by the mediator's templates, whoever the record is of.
    let mut ledger = Ledger::with(&DecoderOptions {
        schema: SchemaKind::Wire,
        ..options()
    });
    let define = templates(&[
        template(
            256,
            &[iana(82, VARIABLE), iana(131, 16), iana(292, VARIABLE)],
        ),
        template(257, &[iana(2, 4)]),
    ]);
    let first6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets();
    let record = |name: &str, exporter: [u8; 16], packets: &[u32]| {
        let list: Vec<u8> = packets.iter().flat_map(|each| number(*each)).collect();
        let list = [&[3, 1, 1][..], &list].concat();
        let (name_len, list_len) = ([name.len() as u8], [list.len() as u8]);
        [&name_len[..], name.as_bytes(), &exporter, &list_len, &list].concat()
    };
    let body = [
        record("a", [0; 16], &[5]),
        record("bcd", first6, &[6, 7]),
        record("ef", first6, &[]),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &[define, set(256, &body.concat())]));
    let batch = ledger.only();
    assert_eq!(
        addresses(&batch, "_exporter"),
        ["192.0.2.1", "2001:db8::1", "2001:db8::1"]
    );
    let lists = batch.column_by_name("subTemplateList").unwrap().as_struct();
    let records = lists.column_by_name("records").unwrap().as_list::<i32>();
    let lengths: Vec<i32> = (0..3).map(|row| records.value_length(row)).collect();
    assert_eq!(lengths, [1, 2, 0]);
    assert_eq!(ledger.warnings(Warning::ListTemplateMissing), 0);
}

#[test]
fn what_common_properties_name_counts_and_they_stay_the_mediators() {
    // FF-Q-10, FF-EN-06: the address is among what the records share (RFC 5473).
    let mut ledger = Ledger::with(&options());
    let sets = [
        options_templates(&[options_template(300, 1, &[iana(137, 4), iana(130, 4)])]),
        templates(&[template(256, &[iana(137, 4), iana(2, 4)])]),
        set(300, &[&number(1)[..], &FIRST, &number(2), &SECOND].concat()),
        set(256, &[number(2), number(1), number(1), number(1)].concat()),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &sets));
    assert_eq!(samplers(&mut ledger), ["10.0.0.2", "10.0.0.1"]);
}

#[test]
fn without_room_for_another_exporter_records_stay_the_mediators() {
    // FF-Q-10, FF-RB-04: counted; there is room again for the next message.
    let limits = Limits {
        domains: 3,
        ..Limits::default()
    };
    let mut ledger = Ledger::with(&DecoderOptions {
        limits,
        ..options()
    });
    let [_, templates] = definitions();
    ledger.feed(HERE.exporter(0x0a00_0009).after_s(-60), &ipfix(0, 1, &[]));
    let first = ipfix(0, 1, &[templates, records(&[FIRST, SECOND])]);
    ledger.feed(HERE, &first);
    assert_eq!(ledger.decoder.exporter_count(), 3);
    assert_eq!(ledger.warnings(Warning::OriginalExporterRefused), 1);
    ledger.feed(HERE.after_s(1), &ipfix(2, 1, &[records(&[SECOND])]));
    assert_eq!(ledger.warnings(Warning::ExporterEvicted), 1);
    assert_eq!(samplers(&mut ledger), ["10.0.0.1", "192.0.2.1", "10.0.0.2"]);
}

#[test]
fn what_an_exporter_reports_of_itself_through_a_mediator_is_not_held_against_it() {
    // FF-Q-10: the mediator has sent us three messages, the Exporter sent thousands to it.
    let template = options_template(300, 1, &[iana(130, 4), iana(41, 8)]);
    let report = |exporter: [u8; 4], messages: u64| {
        set(300, &[&exporter[..], &messages.to_be_bytes()].concat())
    };
    let mut ledger = Ledger::with(&options());
    let mut sets = vec![options_templates(&[template])];
    for (message, totals) in [(1, 1000), (2, 2000), (3, 5000)] {
        sets.push(report(FIRST, totals));
        sets.push(report(MEDIATOR, message));
        ledger.feed(HERE, &ipfix(0, 1, &std::mem::take(&mut sets)));
    }
    ledger.finish();
    let told = summary(&ledger, MEDIATOR).report;
    assert_eq!(told.messages_reported, told.messages_arrived);
    assert!(told.messages_reported > 0);
}
