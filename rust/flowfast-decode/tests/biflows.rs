//! Biflows (RFC 5103) as two rows, and what the packets in records tell (PSAMP): rows of `flows` that no template alone describes.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt16Type};
use arrow_array::{Array, RecordBatch};
use common::message::*;
use common::*;
use flowfast_decode::{DecoderOptions, SchemaKind};

const REVERSE: u32 = 29305;

fn splitting() -> Ledger {
    Ledger::with(&DecoderOptions {
        split_biflows: true,
        ..options(SchemaKind::Flows)
    })
}

const fn reverse(id: u16, length: u16) -> Field {
    Field {
        id,
        pen: REVERSE,
        length,
    }
}

fn u8s(batch: &RecordBatch, name: &str) -> Vec<Option<u8>> {
    let column = batch.column_by_name(name).unwrap();
    column.as_primitive::<UInt8Type>().iter().collect()
}

fn addresses(batch: &RecordBatch, name: &str) -> Vec<Option<Vec<u8>>> {
    let column = batch.column_by_name(name).unwrap().as_fixed_size_binary();
    column
        .iter()
        .map(|address| Some(address?[12..].to_vec()))
        .collect()
}

/// Three records as they were sent, then the reverse direction of two.
fn rows<T: Clone>(forward: T, backward: T) -> Vec<T> {
    [vec![forward; 3], vec![backward; 2]].concat()
}

#[test]
fn the_reverse_direction_is_a_row_with_the_ends_changed() {
    // FF-BI-04, FF-BI-01: records of fixed and of variable length, some without a reverse direction.
    let fixed = [
        iana(8, 4),
        iana(12, 4),
        iana(7, 2),
        iana(11, 2),
        iana(4, 1),
        iana(10, 2),
        iana(14, 2),
        iana(16, 4),
        iana(17, 4),
        iana(9, 1),
        iana(13, 1),
        iana(5, 1),
        iana(15, 4),
        iana(1, 8),
        iana(2, 4),
        reverse(1, 8),
        reverse(2, 4),
        reverse(6, 1),
        iana(152, 8),
        reverse(152, 8),
        iana(136, 1),
    ];
    let record = |reverse_packets: u8| {
        let mut record = vec![
            10, 0, 0, 1, 10, 0, 0, 2, 0x80, 1, 0, 80, 6, 0, 5, 0, 6, 0, 0, 0, 64, 0, 0, 0, 65, 24,
            16, 0xb8,
        ];
        record.extend([10, 9, 9, 9]);
        record.extend(1000u64.to_be_bytes());
        record.extend(10u32.to_be_bytes());
        record.extend([0; 8]);
        record.extend(u32::from(reverse_packets).to_be_bytes());
        record.push(0x12);
        record.extend(1_700_000_000_000u64.to_be_bytes());
        record.extend(1_700_000_000_020u64.to_be_bytes());
        record.push(3);
        record
    };
    for variable in [false, true] {
        let mut ledger = splitting();
        let (mut fields, mut tail) = (fixed.to_vec(), Vec::new());
        if variable {
            fields.push(iana(371, VARIABLE));
            tail = vec![2, b'm', b'e'];
        }
        let records = [7, 0, 9]
            .map(|packets| [record(packets), tail.clone()].concat())
            .concat();
        ledger.feed(
            HERE,
            &ipfix(
                0,
                1,
                &[templates(&[template(256, &fields)]), set(256, &records)],
            ),
        );
        let batch = ledger.only();
        assert_eq!(ledger.stats().biflows_split, 2);
        let (here, there) = (Some(vec![10, 0, 0, 1]), Some(vec![10, 0, 0, 2]));
        assert_eq!(
            addresses(&batch, "src_addr"),
            rows(here.clone(), there.clone())
        );
        assert_eq!(addresses(&batch, "dst_addr"), rows(there, here));
        assert_eq!(u16s(&batch, "src_port"), rows(Some(0x8001), Some(80)));
        assert_eq!(u16s(&batch, "dst_port"), rows(Some(80), Some(0x8001)));
        assert_eq!(u32s(&batch, "in_if"), rows(Some(5), Some(6)));
        assert_eq!(u32s(&batch, "dst_as"), rows(Some(65), Some(64)));
        assert_eq!(u8s(&batch, "src_net"), rows(Some(24), Some(16)));
        assert_eq!(u8s(&batch, "proto"), rows(Some(6), Some(6)));
        assert_eq!(u64s(&batch, "bytes"), rows(Some(1000), Some(0)));
        assert_eq!(
            u64s(&batch, "packets"),
            [Some(10), Some(10), Some(10), Some(7), Some(9)]
        );
        assert_eq!(
            u64s(&batch, "reverse_packets"),
            [Some(7), Some(0), Some(9), None, None]
        );
        assert_eq!(u16s(&batch, "tcp_flags"), rows(None, Some(0x12)));
        // What was measured in one direction says nothing of the other; what belongs to the flow does.
        assert_eq!(u8s(&batch, "ip_tos"), rows(Some(0xb8), None));
        assert_eq!(
            addresses(&batch, "next_hop"),
            rows(Some(vec![10, 9, 9, 9]), None)
        );
        assert_eq!(u8s(&batch, "flow_end_reason"), rows(Some(3), Some(3)));
        let starts = batch.column_by_name("time_flow_start").unwrap();
        let starts = starts.as_primitive::<arrow_array::types::TimestampMicrosecondType>();
        assert_eq!(starts.value(3) - starts.value(0), 20_000);
        if variable {
            let users = batch
                .column_by_name("user_name")
                .unwrap()
                .as_string::<i32>()
                .clone();
            assert!(users.iter().all(|user| user == Some("me")));
        }
    }
}

#[test]
fn biflows_stay_one_row_unless_asked() {
    // FF-BI-04, FF-BI-06: the vector's record, and one of two counters of an initiator and a responder.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/ipfix_biflow.hex");
    let message = vector(&path).remove(0);
    let mut kept = Ledger::new(SchemaKind::Flows);
    kept.feed(HERE, &message);
    assert_eq!(u64s(&kept.only(), "reverse_bytes"), [Some(128_000)]);
    let mut split = splitting();
    split.feed(HERE, &message);
    let batch = split.only();
    assert_eq!(u64s(&batch, "bytes"), [Some(18_000), Some(128_000)]);
    assert_eq!(u16s(&batch, "src_port"), [Some(32770), Some(80)]);

    let mut responder = splitting();
    let sets = [
        templates9(&[template(256, &[iana(8, 4), iana(231, 4), iana(232, 4)])]),
        set(256, &[1, 1, 1, 1, 0, 0, 0, 5, 0, 0, 0, 6]),
    ];
    responder.feed(HERE, &netflow9(0, 1, 1, &sets));
    let batch = responder.only();
    assert_eq!(u64s(&batch, "bytes"), [Some(5), Some(6)]);
    assert_eq!(
        addresses(&batch, "dst_addr"),
        [None, Some(vec![1, 1, 1, 1])]
    );
}

#[test]
fn the_direction_of_biflows_comes_by_options_data() {
    // FF-BI-03; RFC 5103 section 6.3: of a template, of the whole domain, of a domain that is another's, of a part of the domain.
    let biflow = [iana(8, 4), iana(1, 4), reverse(1, 4)];
    let named = [iana(1, 4), reverse(1, 4), iana(239, 1)];
    let define = [
        templates(&[
            template(256, &biflow),
            template(257, &biflow),
            template(258, &named),
            template(259, &[iana(8, 4), iana(1, 4)]),
        ]),
        options_templates(&[
            options_template(300, 1, &[iana(145, 2), iana(239, 1)]),
            options_template(301, 1, &[iana(149, 4), iana(239, 1)]),
            options_template(302, 1, &[iana(141, 4), iana(239, 1)]),
        ]),
    ]
    .concat();
    let record = [10, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 6];
    let data = [
        set(256, &record),
        set(257, &record),
        set(258, &[0, 0, 0, 5, 0, 0, 0, 6, 0]),
        set(259, &record[..8]),
    ]
    .concat();
    let domain = |id: u8, direction: u8| set(301, &[0, 0, 0, id, direction]);
    let rows = |make: fn() -> Ledger, taught: &[Vec<u8>]| {
        let mut ledger = make();
        let sets = [vec![define.clone(), data.clone()], taught.to_vec()].concat();
        ledger.feed(HERE, &ipfix(0, 7, &sets));
        ledger.flush();
        ledger.feed(HERE, &ipfix(5, 7, std::slice::from_ref(&data)));
        ledger.finish();
        let batches = ledger.batches.iter();
        let directions = batches.map(|each| u8s(&each.batch, "biflow_direction"));
        directions.collect::<Vec<_>>().concat()
    };
    let flows = || Ledger::new(SchemaKind::Flows);
    // What a record says itself wins, rows before the options data have none, and so have Flow Records that are no biflows.
    let untold = [None, None, Some(0), None];
    for (taught, expected) in [
        (
            vec![set(300, &[1, 1, 2]), domain(7, 1)],
            [Some(1), Some(2), Some(0), None],
        ),
        (
            vec![domain(0, 3), set(300, &[1, 1, 2])],
            [Some(3), Some(2), Some(0), None],
        ),
        (
            vec![domain(7, 1), domain(7, 3)],
            [Some(3), Some(3), Some(0), None],
        ),
        (vec![domain(8, 1)], untold),
        (vec![set(302, &[0, 0, 0, 1, 1])], untold),
    ] {
        assert_eq!(rows(flows, &taught), [untold, expected].concat());
    }
    // A row of one direction is no biflow: rows of a template follow its forward rows.
    let split = rows(splitting, &[domain(7, 1)]);
    let told = split.iter().flatten().count();
    assert_eq!((split.len(), told), (4 + 3 + 4 + 3, 1 + 3));
}

/// Ethernet, IPv4 (RFC 791) with a TCP SYN (RFC 9293) from 192.0.2.10 port 50000 to 198.51.100.20 port 443.
fn frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 100, 8, 0];
    frame.extend(packet());
    frame
}

fn packet() -> Vec<u8> {
    let mut packet = vec![
        0x45, 8, 0, 40, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 10, 198, 51, 100, 20,
    ];
    packet.extend([
        0xc3, 0x50, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0, 0, 0, 0, 0, 0,
    ]);
    packet
}

/// One record of a template, decoded into `flows`.
fn one(fields: &[Field], record: &[u8]) -> RecordBatch {
    let mut ledger = Ledger::new(SchemaKind::Flows);
    ledger.feed(
        HERE,
        &ipfix(
            0,
            1,
            &[templates(&[template(256, fields)]), set(256, record)],
        ),
    );
    ledger.only()
}

fn varied(octets: &[u8]) -> Vec<u8> {
    [&[octets.len() as u8], octets].concat()
}

#[test]
fn packets_fill_the_columns_that_their_record_leaves() {
    // FF-PS-01: a frame, a header, a label stack; of fixed and variable length.
    let labelled = [&[0, 1, 0, 64, 0, 2, 1, 64][..], &packet()].concat();
    for (element, section) in [
        (315, frame()),
        (104, frame()),
        (313, packet()),
        (316, labelled),
    ] {
        for length in [VARIABLE, section.len() as u16] {
            let fields = [iana(312, 2), iana(element, length), iana(10, 4)];
            let section = if length == VARIABLE {
                varied(&section)
            } else {
                section.clone()
            };
            let batch = one(&fields, &[&[5, 220][..], &section, &[0, 0, 0, 9]].concat());
            assert_eq!(
                addresses(&batch, "src_addr"),
                [Some(vec![192, 0, 2, 10])],
                "{element}"
            );
            assert_eq!(
                addresses(&batch, "dst_addr"),
                [Some(vec![198, 51, 100, 20])]
            );
            assert_eq!(
                (u16s(&batch, "src_port"), u16s(&batch, "dst_port")),
                (vec![Some(50000)], vec![Some(443)])
            );
            assert_eq!(
                (u8s(&batch, "proto"), u8s(&batch, "ip_ttl")),
                (vec![Some(6)], vec![Some(64)])
            );
            assert_eq!(u16s(&batch, "tcp_flags"), [Some(2)]);
            assert_eq!(u32s(&batch, "in_if"), [Some(9)]);
            assert_eq!(
                (u64s(&batch, "bytes"), u64s(&batch, "packets")),
                (vec![Some(1500)], vec![Some(1)])
            );
            let vlan = if matches!(element, 315 | 104) {
                Some(100)
            } else {
                None
            };
            assert_eq!(u16s(&batch, "src_vlan"), [vlan], "{element}");
            let labels = batch
                .column_by_name("mpls_label")
                .unwrap()
                .as_list::<i32>()
                .clone();
            assert_eq!(labels.is_valid(0), element == 316);
        }
    }
}

#[test]
fn what_the_record_says_wins() {
    // FF-PS-01: its own addresses, and udpSourcePort though sourceTransportPort would come first; a flow's packets are not one.
    let fields = [
        iana(27, 16),
        iana(180, 2),
        iana(315, VARIABLE),
        iana(152, 8),
        iana(153, 8),
        iana(5, 1),
    ];
    let record = [&[0x20; 16][..], &[0, 9], &varied(&frame()), &[0; 16], &[7]].concat();
    let batch = one(&fields, &record);
    let source = batch
        .column_by_name("src_addr")
        .unwrap()
        .as_fixed_size_binary()
        .clone();
    assert_eq!(source.value(0), [0x20; 16]);
    assert_eq!(
        addresses(&batch, "dst_addr"),
        [Some(vec![198, 51, 100, 20])]
    );
    assert_eq!(
        (u16s(&batch, "src_port"), u8s(&batch, "ip_tos")),
        (vec![Some(9)], vec![Some(7)])
    );
    let types = batch
        .column_by_name("etype")
        .unwrap()
        .as_primitive::<UInt16Type>()
        .clone();
    assert_eq!(types.value(0), 0x86dd);
    assert_eq!(u64s(&batch, "packets"), [None]);
}

#[test]
fn sections_that_are_cut_padded_or_begin_elsewhere() {
    // FF-PS-04: sectionOffset, sectionExportedOctets; and every length of a packet cut short.
    let fields = [iana(409, 2), iana(410, 2), iana(408, 2), iana(315, 58)];
    let record = |offset: u8, exported: u8, frame_type: u8| {
        [&[0, offset, 0, exported, 0, frame_type][..], &frame()].concat()
    };
    let ports = |record: &[u8]| u16s(&one(&fields, record), "src_port");
    assert_eq!(ports(&record(0, 58, 1)), [Some(50000)]);
    assert_eq!(ports(&record(0, 38, 1)), [None]); // the rest is padding
    assert_eq!(ports(&record(14, 58, 1)), [None]);
    assert_eq!(ports(&record(0, 58, 2)), [None]); // IEEE 802.11
    let whole = frame();
    for len in 0..whole.len() {
        let batch = one(&[iana(315, VARIABLE)], &varied(&whole[..len]));
        assert_eq!(
            addresses(&batch, "src_addr").iter().flatten().count(),
            usize::from(len >= 38),
            "{len}"
        );
    }
}

#[test]
fn records_of_different_packets_in_one_set() {
    // Each kind of packet makes a longer template of its own; rows keep the order of the records of one kind.
    let mut ledger = Ledger::new(SchemaKind::Flows);
    let cut = &frame()[..20];
    let records = [&frame()[..], cut, &frame(), &[], cut].map(varied).concat();
    ledger.feed(
        HERE,
        &ipfix(
            0,
            1,
            &[
                templates(&[template(256, &[iana(315, VARIABLE)])]),
                set(256, &records),
            ],
        ),
    );
    let batch = ledger.only();
    assert_eq!(batch.num_rows(), 5);
    assert_eq!(u16s(&batch, "src_port").into_iter().flatten().count(), 2);
    assert_eq!(u16s(&batch, "src_vlan").into_iter().flatten().count(), 4);
    assert_eq!(all(u64s(&batch, "packets")), [1; 5]);
}
