//! What a journal keeps of a decoder: enough for another one to decode what follows, and what this one could not decode.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::Ipv4Addr;

use common::message::*;
use common::*;
use flowfast_decode::{Datagram, DecoderOptions, KeptMessage, SchemaKind};

fn journaled() -> Ledger {
    Ledger::with(&DecoderOptions {
        journaled: true,
        ..options(SchemaKind::Flows)
    })
}

/// A decoder that has learnt from these messages, and has nothing to show for it.
fn taught_by(messages: &[KeptMessage]) -> Ledger {
    let mut ledger = journaled();
    for message in messages {
        ledger.decoder.learn(&message.datagram());
    }
    assert_eq!(ledger.drain(), 0);
    let stats = ledger.stats();
    assert_eq!((stats.datagrams_received, stats.templates_received), (0, 0));
    ledger
}

fn number(value: u64) -> [u8; 8] {
    value.to_be_bytes()
}

#[test]
fn what_exporters_taught_can_be_handed_on() {
    // Templates of two sessions that differ, options data of several samplers, and data in the same messages, v9 and IPFIX.
    let fields = [iana(1, 8), iana(48, 1)];
    let sampler = |id: u8, rate: u32| [&[10, 0, 0, 1, id][..], &rate.to_be_bytes()].concat();
    let options_fields = [iana(1, 4), iana(48, 1), iana(34, 4)];
    let record = |sampler: u8| [&number(7)[..], &[sampler]].concat();
    let teach9 = netflow9(
        0,
        1,
        1,
        &[
            templates9(&[template(256, &fields), template(257, &[iana(2, 8)])]),
            options_templates9(&[options_template9(258, 1, &options_fields)]),
            set(258, &sampler(1, 100)),
            set(256, &record(1)),
        ],
    );
    let more9 = netflow9(1, 1, 1, &[set(258, &sampler(2, 200))]);
    let teach = ipfix(0, 1, &[templates(&[template(256, &fields)])]);
    let other = ipfix(
        0,
        1,
        &[templates(&[template(256, &[iana(2, 8), iana(48, 1)])])],
    );
    let mut first = journaled();
    for (port, message) in [(1, &teach9), (1, &more9), (2, &teach), (3, &other)] {
        first.feed(HERE.port(port), message);
    }
    assert_eq!(first.drain(), 1);
    let state = first.decoder.state();
    let mut second = taught_by(&state);
    let mut third = taught_by(&second.decoder.state());
    for ledger in [&mut first, &mut second, &mut third] {
        let data9 = netflow9(2, 1, 1, &[set(256, &[record(1), record(2)].concat())]);
        ledger.feed(HERE.port(1), &data9);
        ledger.feed(HERE.port(2), &ipfix(0, 1, &[set(256, &record(9))]));
        ledger.feed(HERE.port(3), &ipfix(0, 1, &[set(256, &record(9))]));
        let batch = ledger.only();
        assert_eq!(u64s(&batch, "bytes"), [Some(7), Some(7), Some(7), None]);
        assert_eq!(u64s(&batch, "packets"), [None, None, None, Some(7)]);
        assert_eq!(all(u32s(&batch, "sampling_rate")), [100, 200, 0, 0]);
    }
}

#[test]
fn a_template_is_as_old_as_it_was() {
    // FF-TL-10: what is handed on does not make it younger.
    let mut first = journaled();
    first.feed(
        HERE,
        &ipfix(0, 1, &[templates(&[template(256, &[iana(1, 8)])])]),
    );
    let state = first.decoder.state();
    let data = ipfix(0, 1, &[set(256, &number(1))]);
    let mut second = taught_by(&state);
    second.feed(HERE.after_s(1800), &data);
    assert_eq!(second.drain(), 1);
    second.feed(HERE.after_s(1801), &data);
    assert_eq!(second.drain(), 0);
    let state = second.decoder.state();
    let messages = state.iter().filter(|each| each.payload[..2] == [0, 10]);
    assert_eq!(messages.count(), 0, "it is not handed on any more");
}

/// Feeds messages of ten records each, at these sequence numbers, a second apart from `from_s` on.
fn feed_numbered(ledger: &mut Ledger, sequences: &[u32], from_s: i64) {
    let ten: Vec<u8> = (0..10).flat_map(number).collect();
    for (&sequence, second) in sequences.iter().zip(from_s..) {
        ledger.feed(HERE.after_s(second), &ipfix(sequence, 1, &[set(256, &ten)]));
    }
    ledger.drain();
}

#[test]
fn what_was_sent_between_two_processes_is_missed_and_not_lost() {
    // FF-SQ-04, FF-SQ-06: exporters that count as the standard says, their own message too, or messages; told by a state, and by the
    // datagrams after it.
    let template = ipfix(0, 1, &[templates(&[template(256, &[iana(1, 8)])])]);
    let before = |step: u32| (1..=6).map(|n| n * step).collect::<Vec<_>>();
    let missed_of = |step, after: &[u32], down_s: i64| {
        let mut first = journaled();
        first.feed(HERE, &template);
        feed_numbered(&mut first, &before(step), 0);
        let mut second = taught_by(&first.decoder.state());
        second.decoder.resume();
        feed_numbered(&mut second, after, 6 + down_s);
        let stats = second.stats();
        assert_eq!(stats.sequence_lost_records + stats.sequence_lost_packets, 0);
        (stats.collector_down_records, stats.collector_down_packets)
    };
    assert_eq!(missed_of(10, &[70, 80], 5), (0, 0));
    assert_eq!(missed_of(10, &[100, 110], 5), (30, 0));
    assert_eq!(missed_of(1, &[7, 8], 5), (0, 0), "messages");
    assert_eq!(missed_of(1, &[10, 11], 5), (0, 3), "messages");
    // A million a second may have been sent, and no more; and after an hour nobody knows.
    assert_eq!(missed_of(10, &[5_000_070], 5), (5_000_000, 0));
    assert_eq!(missed_of(10, &[20_000_070], 5), (0, 0));
    assert_eq!(missed_of(10, &[100], 3601), (0, 0));
    // The first that comes is late, or comes twice.
    assert_eq!(missed_of(10, &[50, 60, 100], 5), (30, 0));

    // The state that a segment begins with is of the process that received the rest: what it lacks was lost, unless that process had
    // not heard of the exporter itself.
    let mut first = journaled();
    first.feed(HERE, &template);
    feed_numbered(&mut first, &before(10), 0);
    let mut resumed = taught_by(&first.decoder.state());
    resumed.decoder.resume();
    for (mut process, lost, missed) in [(first, 30, 0), (resumed, 0, 30)] {
        let mut again = taught_by(&process.decoder.state());
        feed_numbered(&mut again, &[100, 110], 7);
        let stats = again.stats();
        let told = (stats.sequence_lost_records, stats.collector_down_records);
        assert_eq!(told, (lost, missed));
    }

    let mut third = journaled();
    let ten: Vec<u8> = (0..10).flat_map(number).collect();
    let messages = (0..60).step_by(10).map(|n| ipfix(n, 1, &[set(256, &ten)]));
    for payload in std::iter::once(template).chain(messages) {
        third.decoder.recall(&Datagram {
            exporter: Ipv4Addr::from(HERE.exporter).into(),
            exporter_port: HERE.port,
            local_port: 4739,
            received_ns: HERE.at_ns,
            payload: &payload,
        });
    }
    assert_eq!(third.stats().datagrams_received, 0);
    feed_numbered(&mut third, &[90, 100, 130], 20);
    assert_eq!(third.stats().collector_down_records, 30);
    assert_eq!(third.stats().sequence_lost_records, 20);
}

#[test]
fn sets_without_a_template_are_handed_over_once() {
    // FF-V9-07, FF-IX-20: the set of each message that could not be decoded, and not the ones beside it.
    let known = templates(&[template(300, &[iana(2, 8)])]);
    let message = |value| {
        let sets = [
            known.clone(),
            set(300, &number(1)),
            set(256, &number(value)),
        ];
        ipfix(5, 1, &sets)
    };
    let mut ledger = journaled();
    ledger.feed(HERE, &message(41));
    ledger.feed(HERE.after_s(1), &message(42));
    assert_eq!(ledger.decoder.take_late().len(), 0, "they wait");
    ledger.decoder.give_up_waiting();
    let late = ledger.decoder.take_late();
    assert_eq!(late.len(), 2);
    assert_eq!(ledger.decoder.take_late().len(), 0);
    let stats = ledger.stats();
    assert_eq!((stats.sets_late, stats.sets_waiting), (2, 0));
    assert_eq!(stats.sets_discarded.iter().sum::<u64>(), 0);
    ledger.finish();

    let mut teacher = journaled();
    teacher.feed(
        HERE.after_s(9),
        &ipfix(0, 1, &[templates(&[template(256, &[iana(1, 8)])])]),
    );
    let mut after = taught_by(&teacher.decoder.state());
    for message in &late {
        after.feed(
            HERE.after_s(message.received_ns / SECOND_NS - EPOCH_NS / SECOND_NS),
            &message.payload,
        );
    }
    let batch = after.only();
    assert_eq!(u64s(&batch, "bytes"), [Some(41), Some(42)]);
    assert_eq!(u32s(&batch, "sequence_num"), [Some(5), Some(5)]);
}
