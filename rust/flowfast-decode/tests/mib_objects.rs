//! MIB objects in IPFIX (RFC 8038): what options data says of the fields that hold them is in the metadata of their columns.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;

use common::message::*;
use common::*;
use flowfast_decode::{DecoderOptions, Limits, SchemaKind, Warning};

/// Contents octets of object identifiers of RFC 2863, and what they are in dots.
const IF_IN_OCTETS: (&[u8], &str) = (&[0x2b, 6, 1, 2, 1, 2, 2, 1, 10], "1.3.6.1.2.1.2.2.1.10");
const IF_OUT_OCTETS: (&[u8], &str) = (&[0x2b, 6, 1, 2, 1, 2, 2, 1, 16], "1.3.6.1.2.1.2.2.1.16");

fn varied(octets: &[u8]) -> Vec<u8> {
    [&[octets.len() as u8], octets].concat()
}

/// ifIndex, and two counters: 439 mibObjectValueCounter.
fn counters() -> Vec<u8> {
    templates(&[template(256, &[iana(10, 4), iana(439, 8), iana(439, 8)])])
}

fn record(n: u8) -> Vec<u8> {
    let value = |n: u8| [0, 0, 0, 0, 0, 0, 0, n];
    set(256, &[&[0, 0, 0, 1][..], &value(n), &value(n + 1)].concat())
}

/// A MIB Field Options Template, of templateId and informationElementIndex as scope (RFC 8038 section 5.4), and its records.
fn field_options(told: &[(u16, u16, &[u8])]) -> [Vec<u8>; 2] {
    let fields = [iana(145, 2), iana(287, 2), iana(445, VARIABLE)];
    let records = told.iter().map(|(template, index, oid)| {
        [
            &template.to_be_bytes()[..],
            &index.to_be_bytes(),
            &varied(oid),
        ]
        .concat()
    });
    [
        options_templates(&[options_template(300, 2, &fields)]),
        set(300, &records.collect::<Vec<_>>().concat()),
    ]
}

/// A MIB Type Options Template, of mibObjectIdentifier as scope (RFC 8038 section 5.4), and a record.
fn type_options((oid, _): (&[u8], &str), name: &str) -> [Vec<u8>; 2] {
    let fields = [iana(445, VARIABLE), iana(451, VARIABLE)];
    [
        options_templates(&[options_template(301, 1, &fields)]),
        set(301, &[varied(oid), varied(name.as_bytes())].concat()),
    ]
}

fn wire() -> Ledger {
    Ledger::new(SchemaKind::Wire)
}

/// Object identifiers and names of the columns of the counters, and the values of the first, a table each, in the order of values.
fn tables(ledger: &mut Ledger) -> Vec<(Vec<u64>, Vec<String>)> {
    ledger.finish();
    let data = ledger.batches.iter().filter(|b| b.kind.name() == "data");
    let tables = data.map(|table| {
        let described = |metadata: &HashMap<String, String>| {
            let of = |key: &str| metadata.get(key).cloned().unwrap_or_default();
            format!(
                "{} {}",
                of("flowfast.mib_object"),
                of("flowfast.mib_object_name")
            )
        };
        let fields = ["mibObjectValueCounter", "mibObjectValueCounter_2"];
        let schema = table.batch.schema();
        let fields = fields.map(|name| schema.field_with_name(name).unwrap().metadata().clone());
        let others = schema.fields().iter().filter(|field| {
            field.metadata().contains_key("flowfast.mib_object")
                && !field.name().starts_with("mibObjectValueCounter")
        });
        assert_eq!(others.count(), 0);
        let values = all(u64s(&table.batch, "mibObjectValueCounter"));
        (values, fields.iter().map(described).collect())
    });
    let mut tables: Vec<_> = tables.collect();
    tables.sort();
    tables
}

#[test]
fn columns_carry_the_objects_that_options_data_says_they_are() {
    // FF-MIB-02: from then on; the same template, sent again as UDP exporters do, keeps them; a name that comes later is one more.
    let mut ledger = wire();
    let told = field_options(&[(256, 1, IF_IN_OCTETS.0), (256, 2, IF_OUT_OCTETS.0)]);
    ledger.feed(HERE, &ipfix(0, 1, &[counters(), record(1)]));
    ledger.feed(HERE, &ipfix(1, 1, &told));
    ledger.feed(HERE, &ipfix(3, 1, &[record(2)]));
    ledger.feed(HERE, &ipfix(4, 1, &[counters(), record(3)]));
    ledger.feed(HERE, &ipfix(5, 1, &told));
    ledger.feed(
        HERE,
        &ipfix(7, 1, &type_options(IF_IN_OCTETS, "ifInOctets")),
    );
    ledger.feed(HERE, &ipfix(8, 1, &[record(4)]));
    // Of neither another Observation Domain nor another session nor another template.
    ledger.feed(HERE, &ipfix(0, 2, &[counters(), record(5)]));
    ledger.feed(HERE.port(2000), &ipfix(0, 1, &[counters(), record(6)]));
    let (first, second) = (IF_IN_OCTETS.1, IF_OUT_OCTETS.1);
    assert_eq!(
        tables(&mut ledger),
        [
            (vec![1, 5, 6], vec![" ".into(), " ".into()]),
            (vec![2, 3], vec![format!("{first} "), format!("{second} ")]),
            (
                vec![4],
                vec![format!("{first} ifInOctets"), format!("{second} ")]
            ),
        ]
    );
    assert_eq!(ledger.warnings(Warning::OptionsRefused), 0);
}

#[test]
fn what_was_said_last_holds_until_the_template_id_means_something_else() {
    // RFC 8038 section 5.4.1: of several records on one field the latest; an identifier that is none says nothing; and a template id
    // that is used for another layout (RFC 7011 section 8) says nothing of its fields.
    let mut ledger = wire();
    let other = || templates(&[template(256, &[iana(439, 8), iana(439, 8)])]);
    let record_of_other = |n| set(256, &[[0, 0, 0, 0, 0, 0, 0, n], [0; 8]].concat());
    ledger.feed(HERE, &ipfix(0, 1, &[counters()]));
    for oid in [IF_OUT_OCTETS.0, IF_IN_OCTETS.0, &[0x2b, 0x86], &[]] {
        ledger.feed(HERE, &ipfix(0, 1, &field_options(&[(256, 1, oid)])));
    }
    // Of ingressInterface, and of a field that is not there.
    let strange = [(256, 0, IF_IN_OCTETS.0), (256, 77, IF_IN_OCTETS.0)];
    ledger.feed(HERE, &ipfix(0, 1, &field_options(&strange)));
    ledger.feed(HERE, &ipfix(0, 1, &[record(1)]));
    ledger.feed(HERE, &ipfix(0, 1, &[other(), record_of_other(2)]));
    ledger.feed(HERE, &ipfix(0, 1, &[counters(), record(3)]));
    let nothing = || vec![" ".to_owned(), " ".to_owned()];
    assert_eq!(
        tables(&mut ledger),
        [
            (vec![1], vec![format!("{} ", IF_IN_OCTETS.1), " ".into()]),
            (vec![2], nothing()),
            (vec![3], nothing()),
        ]
    );
}

#[test]
fn a_journal_hands_objects_on() {
    let options = DecoderOptions {
        journaled: true,
        ..options(SchemaKind::Wire)
    };
    let mut first = Ledger::with(&options);
    first.feed(HERE, &ipfix(0, 1, &[counters()]));
    let told = field_options(&[(256, 1, IF_IN_OCTETS.0)]);
    first.feed(HERE, &ipfix(0, 1, &told));
    let mut second = Ledger::with(&options);
    for message in first.decoder.state() {
        second.decoder.learn(&message.datagram());
    }
    second.feed(HERE, &ipfix(1, 1, &[record(1)]));
    let expected = vec![format!("{} ", IF_IN_OCTETS.1), " ".into()];
    assert_eq!(tables(&mut second), [(vec![1], expected)]);
}

#[test]
fn objects_are_bounded() {
    // FF-RB-04: what does not fit is refused and counted; what is known is not pushed out; a template that changes makes room.
    let mut ledger = Ledger::with(&DecoderOptions {
        limits: Limits {
            options_octets_per_session: 1024,
            ..Limits::default()
        },
        ..options(SchemaKind::Wire)
    });
    ledger.feed(HERE, &ipfix(0, 1, &[counters()]));
    let tell = |ledger: &mut Ledger, template: u16, range: std::ops::Range<u16>| {
        for index in range {
            let told = field_options(&[(template, index, IF_IN_OCTETS.0)]);
            ledger.feed(HERE, &ipfix(0, 1, &told));
        }
    };
    tell(&mut ledger, 256, 1..101);
    let refused = ledger.warnings(Warning::OptionsRefused);
    assert!((80..100).contains(&refused), "{refused}");
    ledger.feed(HERE, &ipfix(0, 1, &[record(1)]));
    ledger.feed(
        HERE,
        &ipfix(0, 1, &[templates(&[template(256, &[iana(4, 1)])])]),
    );
    tell(&mut ledger, 257, 1..(101 - refused as u16));
    assert_eq!(ledger.warnings(Warning::OptionsRefused), refused);
    ledger.flush();
    let described = ledger.batches.iter().any(|table| {
        let schema = table.batch.schema();
        let field = schema.field_with_name("mibObjectValueCounter").ok();
        field.is_some_and(|field| field.metadata().contains_key("flowfast.mib_object"))
    });
    assert!(described);
}
