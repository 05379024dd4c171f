//! Seconds of 32 bits in records: near the time at which their message was received (FF-SQ-07).
#![allow(clippy::unwrap_used)]

mod common;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, TimestampSecondType};
use common::message::*;
use common::*;
use flowfast_decode::{DecoderOptions, Kernel, SchemaKind};

/// Seconds since 1970 at which they begin again: 7 February 2106, 06:28:16 UTC.
const WRAP_S: i64 = 1 << 32;
/// From 1 January 1900, when NTP's begin, to 1970.
const NTP_S: i64 = 2_208_988_800;

fn received(at_s: i64) -> From {
    From {
        at_ns: at_s * SECOND_NS,
        ..HERE
    }
}

/// flowStartSeconds, flowEndMicroseconds and a basicList of one flowStartSeconds, all of this time.
fn record(unix_s: i64) -> Vec<u8> {
    let seconds = (unix_s as u32).to_be_bytes();
    let ntp = ((unix_s + NTP_S) as u32).to_be_bytes();
    let list = [&[9, 3, 0, 150, 0, 4][..], &seconds].concat();
    set(256, &[&seconds[..], &ntp, &[0; 4], &list].concat())
}

/// (received, sent) around today, NTP's second era and the first wrap; messages of different eras stand in one stage.
const MESSAGES: [(i64, i64); 7] = [
    (1_700_000_000, 1_699_999_990),
    (1_700_000_000, 1_700_000_010),
    (2_085_978_495, 2_085_978_497),
    (2_085_978_500, 2_085_978_490),
    (WRAP_S - 5, WRAP_S + 5),
    (WRAP_S + 5, WRAP_S - 5),
    (WRAP_S + 1_000_000_000, WRAP_S + 999_999_999),
];

fn decoded(schema: SchemaKind, kernel: Kernel, with_list: bool) -> Ledger {
    let mut ledger = Ledger::with(&DecoderOptions {
        kernel,
        ..options(schema)
    });
    let list = if with_list { VARIABLE } else { 10 };
    let element = if with_list { 291 } else { 210 };
    let fields = [iana(150, 4), iana(155, 8), iana(element, list)];
    for (sequence, (received_s, sent_s)) in MESSAGES.into_iter().enumerate() {
        let sets = [templates(&[template(256, &fields)]), record(sent_s)];
        ledger.feed(received(received_s), &ipfix(sequence as u32, 1, &sets));
    }
    ledger
}

#[test]
fn times_in_records_are_near_the_receive_time() {
    // With the list, each record goes its own way; without, all are staged together.
    let sent: Vec<i64> = MESSAGES.iter().map(|message| message.1).collect();
    let sent_us: Vec<i64> = sent.iter().map(|s| s * 1_000_000).collect();
    for kernel in Kernel::ALL {
        for with_list in [false, true] {
            let batch = decoded(SchemaKind::Flows, kernel, with_list).only();
            for name in ["time_flow_start", "time_flow_end"] {
                let column = batch.column_by_name(name).unwrap();
                let times = column.as_primitive::<TimestampMicrosecondType>();
                assert_eq!(times.values(), &sent_us[..], "{name} {kernel:?}");
            }
            let batch = decoded(SchemaKind::Wire, kernel, with_list).only();
            let column = batch.column_by_name("flowStartSeconds").unwrap();
            let times = column.as_primitive::<TimestampSecondType>();
            assert_eq!(times.values(), &sent[..], "{kernel:?}");
        }
    }
}

#[test]
fn times_in_lists_are_near_the_receive_time() {
    let batch = decoded(SchemaKind::Wire, Kernel::Auto, true).only();
    let list = batch.column_by_name("basicList").unwrap().as_struct();
    let values = list.column_by_name("flowStartSeconds").unwrap();
    let times = values.as_list::<i32>().values().clone();
    let sent: Vec<i64> = MESSAGES.iter().map(|message| message.1).collect();
    assert_eq!(times.len(), sent.len());
    assert_eq!(
        times.as_primitive::<TimestampSecondType>().values(),
        &sent[..]
    );
}
