//! Fields and lists of illegal lengths: kept as octets by default, malformed with `strict_lengths` (decisions 2 and 8).
#![allow(clippy::unwrap_used)]

mod common;

use common::message::*;
use common::*;
use flowfast_decode::{DecodeError, DecoderOptions, SchemaKind, SetLoss, Warning};

fn strict(schema: SchemaKind) -> Ledger {
    Ledger::with(&DecoderOptions {
        strict_lengths: true,
        ..options(schema)
    })
}

/// A variable-length field (RFC 7011 section 7).
fn varied(octets: &[u8]) -> Vec<u8> {
    [&[octets.len() as u8], octets].concat()
}

/// (element, a length that RFC 7011 section 6.2 allows, one that it does not): of every fixed-length type that has a reduced size or
/// none.
const LENGTHS: [(u16, u16, u16); 18] = [
    (4, 1, 2),    // protocolIdentifier, unsigned8
    (7, 1, 9),    // sourceTransportPort, unsigned16
    (10, 3, 9),   // ingressInterface, unsigned32
    (1, 5, 9),    // octetDeltaCount, unsigned64
    (434, 2, 9),  // mibObjectValueInteger, signed32
    (321, 4, 5),  // absoluteError, float64
    (321, 8, 2),  // the same
    (276, 1, 2),  // dataRecordsReliability, boolean
    (56, 6, 5),   // sourceMacAddress
    (56, 6, 8),   // the same
    (150, 4, 8),  // flowStartSeconds
    (150, 4, 3),  // the same
    (152, 8, 4),  // flowStartMilliseconds
    (154, 8, 7),  // flowStartMicroseconds, NTP
    (8, 4, 3),    // sourceIPv4Address
    (8, 4, 16),   // the same
    (27, 16, 4),  // sourceIPv6Address
    (515, 9, 33), // ipv6ExtensionHeadersFull, unsigned256
];

/// A message with a good template and one record of it, then a template with a field of this length.
fn message(element: u16, length: u16) -> Vec<u8> {
    let good = templates(&[template(256, &[iana(1, 8)])]);
    let tested = templates(&[template(257, &[iana(element, length), iana(2, 8)])]);
    ipfix(0, 1, &[good, set(256, &[0, 0, 0, 0, 0, 0, 0, 7]), tested])
}

#[test]
fn templates_with_illegal_lengths() {
    // FF-DT-02, RFC 5471 section 3.6.5: malformed if that is asked for; else a field of its neighbours is odd, and counted.
    for (element, legal, illegal) in LENGTHS {
        for schema in BOTH {
            let case = format!("{element} {schema:?}");
            let mut ledger = strict(schema);
            ledger.feed(HERE, &message(element, legal));
            assert_eq!(ledger.stats().templates_received, 2, "{case}");

            let mut ledger = strict(schema);
            let outcome = ledger.offer(HERE, &message(element, illegal));
            assert_eq!(outcome, Err(DecodeError::FieldLength), "{case}");
            assert_eq!(ledger.stats().templates_received, 0, "{case}");
            ledger.finish();
            assert_eq!(rows(&ledger.batches), 0, "{case}");

            let mut ledger = Ledger::new(schema);
            ledger.feed(HERE, &message(element, illegal));
            // A longer integer is no illegal one where its value fits: FF-DT-04, FF-V9-14.
            let widens = element == 4;
            assert_eq!(
                ledger.warnings(Warning::IllegalFieldLength),
                u64::from(!widens),
                "{case}"
            );
            assert_eq!(ledger.drain(), 1, "{case}");
        }
    }
}

#[test]
fn longer_integers_and_fields_without_octets_are_no_fault() {
    // FF-DT-04: ingressInterface of eight octets; FF-Q-05: an address of none. Nor are elements in no registry (FF-IX-17).
    let mut ledger = strict(SchemaKind::Flows);
    let fields = [iana(10, 8), iana(8, 0), iana(30_000, 3), iana(2, 8)];
    let sent = [0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 5];
    let sets = [templates(&[template(256, &fields)]), set(256, &sent)];
    ledger.feed(HERE, &ipfix(0, 1, &sets));
    let batch = ledger.only();
    assert_eq!(all(u32s(&batch, "in_if")), [9]);
    assert_eq!(all(u64s(&batch, "packets")), [5]);
}

#[test]
fn netflow9_types_have_no_legal_lengths() {
    // FF-V9-14: v9's integers are as long as its templates say.
    let mut ledger = strict(SchemaKind::Wire);
    let fields = [iana(4, 2), iana(56, 8)];
    let sets = [
        templates9(&[template(256, &fields)]),
        set(256, &[0, 6, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0]),
    ];
    ledger.feed(HERE, &netflow9(0, 1000, 1, &sets));
    assert_eq!(ledger.warnings(Warning::IllegalFieldLength), 1);
    assert_eq!(ledger.drain(), 1);
}

#[test]
fn values_of_illegal_lengths() {
    // FF-DT-06: a fixed-length type may be sent with a variable length; FF-DT-02: which each value has to have right.
    let body = |octets: &[u8]| [varied(octets), varied(&[10, 0, 0, 2])].concat();
    let sets = |records: Vec<u8>| {
        let fields = [iana(8, VARIABLE), iana(12, VARIABLE)];
        ipfix(
            0,
            1,
            &[templates(&[template(256, &fields)]), set(256, &records)],
        )
    };
    let (good, bad) = (body(&[10, 0, 0, 1]), body(&[10, 0, 1]));
    let three = sets([good.clone(), bad, good.clone()].concat());
    for schema in BOTH {
        let mut ledger = strict(schema);
        assert_eq!(ledger.offer(HERE, &three), Err(DecodeError::FieldLength));
        ledger.feed(HERE, &sets(good.clone()));
        assert_eq!(ledger.drain(), 1);
        let mut tolerant = Ledger::new(schema);
        tolerant.feed(HERE, &three);
        assert_eq!(tolerant.drain(), 3);
    }
}

/// Template 256: octetDeltaCount and a list; 257: sourceIPv4Address.
fn list_templates(element: u16) -> Vec<u8> {
    templates(&[
        template(256, &[iana(1, 8), iana(element, VARIABLE)]),
        template(257, &[iana(8, 4)]),
    ])
}

fn list_record(list: &[u8]) -> Vec<u8> {
    set(256, &[&[0; 8][..], &varied(list)].concat())
}

#[test]
fn lists_that_do_not_fill_their_fields() {
    // FF-SD-04; RFC 6313 sections 4.5.1 to 4.5.3. Header of a basicList: semantic, element, length.
    let good: [(u16, &[u8]); 4] = [
        (291, &[3, 0, 8, 0, 4, 10, 0, 0, 1, 10, 0, 0, 2]),
        (292, &[3, 1, 1, 10, 0, 0, 1, 10, 0, 0, 2]),
        (293, &[3, 1, 1, 0, 8, 10, 0, 0, 1]),
        // Its template is not known: nothing says that it is malformed (FF-SD-05).
        (292, &[3, 9, 9, 1, 2, 3]),
    ];
    let bad: [(u16, &[u8], DecodeError); 7] = [
        (
            291,
            &[3, 0, 8, 0, 4, 10, 0, 0, 1, 10, 0],
            DecodeError::ListMalformed,
        ),
        (291, &[3, 0, 8, 0], DecodeError::ListMalformed),
        (292, &[3, 1, 1, 10, 0, 0, 1, 10], DecodeError::ListMalformed),
        (
            293,
            &[3, 1, 1, 0, 9, 10, 0, 0, 1],
            DecodeError::ListMalformed,
        ),
        (293, &[3, 1, 1, 0, 7, 10, 0, 0], DecodeError::ListMalformed),
        // A list in a list: its own header is cut.
        (
            291,
            &[3, 1, 35, 255, 255, 3, 3, 0, 8],
            DecodeError::ListMalformed,
        ),
        // Addresses of three octets fill it, and are none.
        (
            291,
            &[3, 0, 8, 0, 3, 10, 0, 0, 10, 0, 0],
            DecodeError::FieldLength,
        ),
    ];
    for (element, list) in good {
        let mut ledger = strict(SchemaKind::Wire);
        ledger.feed(
            HERE,
            &ipfix(0, 1, &[list_templates(element), list_record(list)]),
        );
        assert_eq!(ledger.drain(), 1, "{element} {list:?}");
    }
    for (element, list, fault) in bad {
        let message = ipfix(0, 1, &[list_templates(element), list_record(list)]);
        for schema in BOTH {
            let mut ledger = strict(schema);
            assert_eq!(ledger.offer(HERE, &message), Err(fault), "{list:?}");
            assert_eq!(ledger.drain(), 0);
            let mut tolerant = Ledger::new(schema);
            tolerant.feed(HERE, &message);
            assert_eq!(tolerant.drain(), 1, "{list:?}");
        }
    }
}

#[test]
fn sets_that_waited_are_checked_too() {
    // FF-SD-04, FF-IX-20: the message was taken in before its template could tell.
    let mut ledger = strict(SchemaKind::Wire);
    ledger.feed(HERE, &ipfix(0, 1, &[list_record(&[3, 0, 8, 0])]));
    ledger.feed(HERE, &ipfix(1, 1, &[list_templates(291)]));
    ledger.finish();
    assert_eq!(ledger.sets_lost(SetLoss::Malformed), 1);
    assert_eq!(rows(&ledger.batches), 0);
}

#[test]
fn lenient_decoding_keeps_the_sets_before_an_illegal_length() {
    // FF-IX-03: one option says what is malformed, the other what becomes of it.
    let mut ledger = Ledger::with(&DecoderOptions {
        strict_lengths: true,
        lenient: true,
        ..options(SchemaKind::Flows)
    });
    ledger.feed(HERE, &message(8, 3));
    assert_eq!(ledger.warnings(Warning::MalformedTail), 1);
    assert_eq!(all(u64s(&ledger.only(), "bytes")), [7]);
}
