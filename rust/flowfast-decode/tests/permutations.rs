//! The order of a template's fields, and where sets and messages end, change nothing (FF-ORD-01, FF-ORD-02, FF-ORD-06); and what comes
//! out is what a slow decoder makes of the same octets (spec 2.3.5).
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;

use arrow_array::RecordBatch;
use common::message::*;
use common::random::Random;
use common::reference::{self, ELEMENTS, Type, Value};
use common::*;
use flowfast_decode::{DecoderOptions, Kernel, SchemaKind};

const TEMPLATES: usize = 120;
const PERMUTATIONS: usize = 12;

type Specifier = (Field, Type);

/// A template of some of the elements, some of them more than once, some reduced, some of variable length (FF-IX-16, FF-DT-02,
/// FF-DT-05, FF-DT-06, FF-IX-10, FF-IX-17).
fn random_template(random: &mut Random) -> Vec<Specifier> {
    let with_variable = random.below(3) > 0;
    let mut fields = Vec::new();
    for _ in 0..1 + random.below(24) {
        let (id, pen, data_type, _) = ELEMENTS[random.below(ELEMENTS.len())];
        let mut lengths = data_type.lengths();
        lengths.retain(|&length| with_variable || length != VARIABLE);
        let length = lengths[random.below(lengths.len())];
        fields.push((Field { id, pen, length }, data_type));
    }
    if fields.iter().all(|(field, _)| field.length == 0) {
        fields.push((iana(4, 1), Type::Unsigned(1)));
    }
    fields
}

/// Octets of a value: often such as mean something.
fn random_octets(random: &mut Random, field: Field, data_type: Type) -> Vec<u8> {
    let length = match field.length {
        VARIABLE if random.below(8) == 0 => random.below(300),
        VARIABLE => data_type.width(),
        length => usize::from(length),
    };
    match (data_type, random.below(4)) {
        (Type::Text, 0..3) => (0..length).map(|_| b'a' + random.below(26) as u8).collect(),
        (Type::Boolean, 0..3) => vec![1 + random.below(2) as u8; length],
        (_, 0) => vec![0; length],
        _ => random.octets(length),
    }
}

/// Puts the length before a variable-length field, in one octet or three.
fn encode(random: &mut Random, field: Field, octets: &[u8], out: &mut Vec<u8>) {
    if field.length == VARIABLE {
        if octets.len() > 254 || random.below(2) == 0 {
            out.push(255);
            out.extend((octets.len() as u16).to_be_bytes());
        } else {
            out.push(octets.len() as u8);
        }
    }
    out.extend(octets);
}

/// Shuffles fields, but fields of one element among themselves: their order has a meaning (FF-IX-16).
fn permutation(random: &mut Random, fields: &[Specifier]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..fields.len()).collect();
    random.shuffle(&mut order);
    let mut places: HashMap<(u16, u32), Vec<usize>> = HashMap::new();
    for (place, &field) in order.iter().enumerate() {
        let Field { id, pen, .. } = fields[field].0;
        places.entry((id, pen)).or_default().push(place);
    }
    for places in places.values() {
        let mut same: Vec<usize> = places.iter().map(|&place| order[place]).collect();
        same.sort_unstable();
        for (&place, field) in places.iter().zip(same) {
            order[place] = field;
        }
    }
    order
}

fn define(fields: &[Specifier]) -> Vec<u8> {
    let specifiers: Vec<_> = fields.iter().map(|(field, _)| *field).collect();
    templates(&[template(256, &specifiers)])
}

/// The only batch since the last flush.
fn take(ledger: &mut Ledger) -> RecordBatch {
    ledger.flush();
    assert_eq!(ledger.batches.len(), 1);
    ledger.batches.pop().unwrap().batch
}

/// Column names by field: the registry's, `_2` for the second of an element (FF-IX-16); padding has none (FF-IX-10).
fn columns(fields: &[Specifier]) -> Vec<Option<String>> {
    let mut seen: HashMap<(u16, u32), usize> = HashMap::new();
    let name = |(field, data_type): &Specifier| {
        if *data_type == Type::Padding || field.length == 0 {
            return None;
        }
        let element = ELEMENTS
            .iter()
            .find(|element| (element.0, element.1) == (field.id, field.pen))
            .unwrap();
        let occurrence = seen.entry((field.id, field.pen)).or_default();
        *occurrence += 1;
        Some(match occurrence {
            1 => element.3.to_owned(),
            n => format!("{}_{n}", element.3),
        })
    };
    fields.iter().map(name).collect()
}

/// Every value of the batch is what the reference makes of the octets.
fn compare(batch: &RecordBatch, fields: &[Specifier], body: &[u8]) {
    let expected = reference::decode(fields, body);
    assert_eq!(batch.num_rows(), expected.len());
    let columns = columns(fields);
    assert_eq!(batch.num_columns(), 9 + columns.iter().flatten().count());
    for (index, name) in columns.iter().enumerate() {
        let Some(name) = name else { continue };
        let column = batch
            .column_by_name(name)
            .unwrap_or_else(|| panic!("no {name}"));
        for (row, expected) in expected.iter().enumerate() {
            assert_eq!(
                Value::of(column, row),
                expected[index],
                "{name}, row {row}, {:?}",
                fields[index]
            );
        }
    }
}

#[test]
fn any_order_of_fields_gives_the_same_tables() {
    // FF-ORD-01, FF-ORD-02: one table, equal batches, in both schemas; and the values are right. FF-ORD-06: by every kernel.
    let mut random = Random(20_071_101);
    let mut ledgers = Kernel::ALL.map(|kernel| {
        BOTH.map(|schema| {
            Ledger::with(&DecoderOptions {
                kernel,
                ..options(schema)
            })
        })
    });
    for _ in 0..TEMPLATES {
        let fields = random_template(&mut random);
        let records: Vec<Vec<Vec<u8>>> = (0..1 + random.below(20))
            .map(|_| {
                fields
                    .iter()
                    .map(|&(field, data_type)| random_octets(&mut random, field, data_type))
                    .collect()
            })
            .collect();
        let mut first: Option<[RecordBatch; 2]> = None;
        for _ in 0..PERMUTATIONS {
            let order = permutation(&mut random, &fields);
            let permuted: Vec<_> = order.iter().map(|&field| fields[field]).collect();
            let mut body = Vec::new();
            for record in &records {
                for &field in &order {
                    encode(&mut random, fields[field].0, &record[field], &mut body);
                }
            }
            let message = ipfix(0, 1, &[define(&permuted), set(256, &body)]);
            for (kernel, ledgers) in Kernel::ALL.into_iter().zip(&mut ledgers) {
                let batches = ledgers.each_mut().map(|ledger| {
                    ledger.feed(HERE, &message);
                    take(ledger)
                });
                match &first {
                    Some(first) => assert_eq!(*first, batches, "{kernel:?}"),
                    None => {
                        compare(&batches[1], &permuted, &body);
                        first = Some(batches);
                    }
                }
            }
        }
    }
}

#[test]
fn any_order_of_fields_goes_by_one_table_name() {
    // FF-ORD-02: tables are named by their elements; also those of different exporters and formats of template.
    let mut random = Random(2);
    for _ in 0..50 {
        let fields = random_template(&mut random);
        let mut ledger = Ledger::new(SchemaKind::Wire);
        for exporter in 0..6 {
            let order = permutation(&mut random, &fields);
            let permuted: Vec<_> = order.iter().map(|&field| fields[field]).collect();
            // A record of zeros is long enough for any variable length.
            let shortest: usize = fields
                .iter()
                .map(|(field, _)| {
                    usize::from(field.length % VARIABLE).max(usize::from(field.length == VARIABLE))
                })
                .sum();
            ledger.feed(
                HERE.exporter(exporter),
                &ipfix(0, 1, &[define(&permuted), set(256, &vec![0; shortest])]),
            );
        }
        assert_eq!(ledger.only().num_rows(), 6);
    }
}

/// Cuts records into sets, with padding where there is room for it, and sets into messages.
fn messages(
    random: &mut Random,
    fields: &[Specifier],
    records: &[Vec<u8>],
    largest_set: usize,
) -> Vec<Vec<u8>> {
    let shortest: usize = fields
        .iter()
        .map(|(field, _)| match field.length {
            VARIABLE => 1,
            length => usize::from(length),
        })
        .sum();
    let mut messages = Vec::new();
    let mut sets = Vec::new();
    let mut left = records;
    while !left.is_empty() {
        // Records have at most some 7000 octets: a message stays below 65 535.
        let mut octets = 0;
        let fit = left.iter().take_while(|record| {
            octets += record.len();
            octets <= 16_000
        });
        let count = (1 + random.below(largest_set)).min(fit.count());
        let (some, rest) = left.split_at(count);
        left = rest;
        let mut body = some.concat();
        // RFC 7011 section 3.3.1: padding is shorter than any record (FF-IX-08: and need not be zero where that is told by length).
        body.extend(vec![0; random.below(shortest.min(4))]);
        sets.push(set(256, &body));
        if sets.len() == 3 || random.below(3) == 0 || left.is_empty() {
            messages.push(ipfix(0, 1, &std::mem::take(&mut sets)));
        }
    }
    messages
}

#[test]
fn any_split_into_sets_and_messages_gives_the_same_rows() {
    // FF-ORD-06: staged, transposed at once, and decoded after waiting for the template, by every kernel: bit by bit the same.
    let mut random = Random(3);
    for round in 0..60 {
        let fields = random_template(&mut random);
        let records: Vec<Vec<u8>> = (0..40 + random.below(400))
            .map(|_| {
                let mut record = Vec::new();
                for &(field, data_type) in &fields {
                    let octets = random_octets(&mut random, field, data_type);
                    encode(&mut random, field, &octets, &mut record);
                }
                record
            })
            .collect();
        let body = records.concat();
        let mut first: Option<[RecordBatch; 2]> = None;
        for (largest_set, kernel) in [1, 3, 30, 30]
            .into_iter()
            .zip(Kernel::ALL.into_iter().cycle())
        {
            let split = messages(&mut random, &fields, &records, largest_set);
            let template_comes_last = largest_set == 30 && round % 2 == 0;
            let batches = BOTH.map(|schema| {
                let mut ledger = Ledger::with(&DecoderOptions {
                    kernel,
                    ..options(schema)
                });
                let template = ipfix(0, 1, &[define(&fields)]);
                if !template_comes_last {
                    ledger.feed(HERE, &template);
                }
                split.iter().for_each(|message| ledger.feed(HERE, message));
                ledger.feed(HERE, &template);
                ledger.only()
            });
            compare(&batches[1], &fields, &body);
            match &first {
                Some(first) => assert_eq!(*first, batches),
                None => first = Some(batches),
            }
        }
        // As few messages as will hold them: sets beyond what is staged.
        let batches = BOTH.map(|schema| {
            let mut ledger = Ledger::new(schema);
            ledger.feed(HERE, &ipfix(0, 1, &[define(&fields)]));
            let mut rest = &records[..];
            while !rest.is_empty() {
                let mut octets = 0;
                let fits = rest.iter().take_while(|record| {
                    octets += record.len();
                    octets <= 65_000
                });
                let (some, after) = rest.split_at(fits.count());
                ledger.feed(HERE, &ipfix(0, 1, &[set(256, &some.concat())]));
                rest = after;
            }
            ledger.only()
        });
        assert_eq!(first, Some(batches));
    }
}
