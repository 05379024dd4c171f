//! Structured data (RFC 6313) and types of elements that exporters tell (RFC 5610): what is read, what is kept as it was sent, and
//! what neither may cost.
#![allow(clippy::unwrap_used)]

mod common;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt16Type, UInt32Type};
use arrow_array::{Array, RecordBatch, StructArray};
use common::message::*;
use common::*;
use flowfast_decode::{DecoderOptions, Limits, SchemaKind, Warning};

const PEN: u32 = 999;

/// A variable-length field (RFC 7011 section 7).
fn varied(octets: &[u8]) -> Vec<u8> {
    [&[octets.len() as u8], octets].concat()
}

/// A basicList of fixed-length values of an IANA element (RFC 6313 section 4.5.1).
fn basic_list(semantic: u8, element: u16, length: u16, values: &[u8]) -> Vec<u8> {
    let header = [element.to_be_bytes(), length.to_be_bytes()].concat();
    [&[semantic][..], &header, values].concat()
}

/// Template 256: protocolIdentifier and a list; 257: protocolIdentifier, sourceIPv4Address; 258: a subTemplateList and a port.
fn templates_with(list: u16) -> Vec<u8> {
    templates(&[
        template(256, &[iana(4, 1), iana(list, VARIABLE)]),
        template(257, &[iana(4, 1), iana(8, 4)]),
        template(258, &[iana(292, VARIABLE), iana(7, 2)]),
    ])
}

/// One record of template 256 for each list.
fn records(lists: &[Vec<u8>]) -> Vec<u8> {
    let records = lists.iter().map(|list| [&[6], &varied(list)[..]].concat());
    set(256, &records.collect::<Vec<_>>().concat())
}

fn lists(batch: &RecordBatch, name: &str) -> StructArray {
    batch.column_by_name(name).unwrap().as_struct().clone()
}

fn names(list: &StructArray) -> Vec<String> {
    list.fields().iter().map(|f| f.name().clone()).collect()
}

/// The lists that could not be read, as they were sent.
fn kept(list: &StructArray) -> Vec<Option<Vec<u8>>> {
    let octets = list.column_by_name("octets").unwrap().as_binary::<i32>();
    octets.iter().map(|o| o.map(<[u8]>::to_vec)).collect()
}

#[test]
fn lists_that_lie_are_kept_and_their_neighbours_read() {
    // FF-SD-02, FF-SD-04, FF-SD-05, FF-SD-06, FF-SD-08: each fault in a record between two good ones.
    let good_basic = basic_list(9, 14, 2, &[0, 7, 0, 8]);
    let good_records = [&[4, 1, 1][..], &[6, 10, 0, 0, 1, 17, 10, 0, 0, 2]].concat();
    let good_blocks = [&[255, 1, 1, 0, 9][..], &[6, 10, 0, 0, 1]].concat();
    let cases = [
        (
            291,
            good_basic.clone(),
            vec![3, 0, 14, 0],
            Warning::ListMalformed,
        ),
        (
            291,
            good_basic.clone(),
            basic_list(3, 14, 2, &[0, 7, 0]),
            Warning::ListMalformed,
        ),
        (
            291,
            good_basic.clone(),
            basic_list(3, 14, 0, &[1]),
            Warning::ListMalformed,
        ),
        (
            291,
            good_basic,
            basic_list(3, 82, VARIABLE, &[9, b'a']),
            Warning::ListMalformed,
        ),
        (
            292,
            good_records.clone(),
            vec![4, 1],
            Warning::ListMalformed,
        ),
        (
            292,
            good_records.clone(),
            vec![4, 1, 1, 6, 10, 0, 0],
            Warning::ListMalformed,
        ),
        (
            292,
            good_records,
            vec![4, 9, 9, 1, 2, 3],
            Warning::ListTemplateMissing,
        ),
        (
            293,
            good_blocks.clone(),
            vec![4, 1, 1, 0, 3],
            Warning::ListMalformed,
        ),
        (
            293,
            good_blocks.clone(),
            vec![4, 1, 1, 0, 200, 1],
            Warning::ListMalformed,
        ),
        (
            293,
            good_blocks,
            vec![4, 1, 1, 0, 4, 9, 9, 0, 4],
            Warning::ListTemplateMissing,
        ),
    ];
    for (element, good, bad, warning) in cases {
        let mut ledger = Ledger::new(SchemaKind::Wire);
        let message = [
            templates_with(element),
            records(&[good.clone(), bad.clone(), good]),
        ];
        ledger.feed(HERE, &ipfix(0, 1, &message));
        assert_eq!(ledger.warnings(warning), 1, "{element} {bad:?}");
        let batch = ledger.only();
        let name =
            ["basicList", "subTemplateList", "subTemplateMultiList"][usize::from(element - 291)];
        let list = lists(&batch, name);
        assert_eq!(kept(&list), [None, Some(bad.clone()), None], "{bad:?}");
        let semantics = list.column(0).as_primitive::<UInt8Type>();
        assert_eq!(semantics.iter().flatten().count(), 2, "{bad:?}");
        assert_eq!(batch.num_rows(), 3);
    }
}

#[test]
fn values_of_several_elements_in_one_field() {
    // FF-SD-01: a basicList has a child for each element that it ever held; the others are null.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    let sent = [
        basic_list(3, 14, 4, &[0, 0, 0, 7]),
        basic_list(3, 8, 4, &[192, 0, 2, 1, 192, 0, 2, 2]),
        basic_list(3, 14, 4, &[]),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &[templates_with(291), records(&sent)]));
    let batch = ledger.only();
    let list = lists(&batch, "basicList");
    assert_eq!(
        names(&list),
        ["semantic", "sourceIPv4Address", "egressInterface"]
    );
    let (addresses, interfaces) = (
        list.column(1).as_list::<i32>(),
        list.column(2).as_list::<i32>(),
    );
    let lengths = |column: &arrow_array::ListArray| -> Vec<Option<usize>> {
        column
            .iter()
            .map(|values| values.map(|values| values.len()))
            .collect()
    };
    assert_eq!(lengths(addresses), [None, Some(2), None]);
    assert_eq!(lengths(interfaces), [Some(1), None, Some(0)]);
    assert_eq!(interfaces.values().as_primitive::<UInt32Type>().value(0), 7);
    // What people read of it: an address.
    let arrow_schema::DataType::List(item) = list.fields()[1].data_type() else {
        panic!()
    };
    assert_eq!(item.metadata()["flowfast.semantic"], "ip");
    assert_eq!(list.fields()[1].metadata()["flowfast.element"], "0:8");
}

#[test]
fn a_table_has_the_columns_that_its_lists_have_had() {
    // The type of a list is the union of what it has held: it grows, and the table's name with it; no row is shown by the wrong one.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    let (interface, port) = (basic_list(3, 14, 4, &[0; 4]), basic_list(3, 7, 2, &[0, 9]));
    ledger.feed(HERE, &ipfix(0, 1, &[templates_with(291)]));
    for (n, list) in [&interface, &port, &interface, &port]
        .into_iter()
        .enumerate()
    {
        ledger.feed(
            HERE,
            &ipfix(n as u32, 1, &[records(std::slice::from_ref(list))]),
        );
        ledger.flush();
    }
    let tables: Vec<_> = ledger.batches.iter().map(|b| b.table.clone()).collect();
    assert_ne!(tables[0], tables[1]);
    assert!(
        tables[1..].windows(2).all(|pair| pair[0] == pair[1]),
        "{tables:?}"
    );
    assert!(
        ledger.batches[1..]
            .windows(2)
            .all(|pair| pair[0].batch.schema() == pair[1].batch.schema())
    );
    // The other order of appearance makes the same table in the end.
    let mut other = Ledger::new(SchemaKind::Wire);
    other.feed(
        HERE,
        &ipfix(0, 1, &[templates_with(291), records(&[port, interface])]),
    );
    other.flush();
    assert_eq!(other.batches[0].table, tables[1]);
    assert_eq!(
        other.batches[0].batch.schema(),
        ledger.batches[1].batch.schema()
    );
}

#[test]
fn lists_of_different_templates_share_their_columns() {
    // RFC 6313 section 4.5.3; FF-SD-01, FF-SD-07: templates come in the same message or another.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    let both = [
        &[255, 1, 1, 0, 9][..],
        &[6, 10, 0, 0, 1],
        &[1, 3, 0, 8, 0, 1, 0, 2],
        &[1, 1, 0, 4],
    ]
    .concat();
    let ports = templates(&[template(259, &[iana(7, 2)])]);
    ledger.feed(HERE, &ipfix(0, 1, &[ports]));
    let none = vec![3];
    ledger.feed(
        HERE,
        &ipfix(0, 1, &[templates_with(293), records(&[both, none])]),
    );
    let batch = ledger.only();
    let list = lists(&batch, "subTemplateMultiList");
    let blocks = list.column_by_name("blocks").unwrap().as_list::<i32>();
    assert_eq!(blocks.value_offsets(), [0, 3, 3]);
    let blocks = blocks.values().as_struct();
    let ids = blocks.column(0).as_primitive::<UInt16Type>();
    assert_eq!(ids.values(), &[257, 259, 257]);
    let records = blocks.column(1).as_list::<i32>();
    assert_eq!(records.value_offsets(), [0, 1, 3, 3]);
    let records = records.values().as_struct();
    assert_eq!(
        names(records),
        [
            "protocolIdentifier",
            "sourceTransportPort",
            "sourceIPv4Address"
        ]
    );
    let ports: Vec<_> = records
        .column(1)
        .as_primitive::<UInt16Type>()
        .iter()
        .collect();
    assert_eq!(ports, [None, Some(1), Some(2)]);
    assert_eq!(records.column(0).null_count(), 2);
}

/// A basicList of one basicList of one ..., so deep.
fn nested(depth: usize) -> Vec<u8> {
    match depth {
        1 => basic_list(3, 4, 1, &[17]),
        _ => basic_list(3, 291, VARIABLE, &varied(&nested(depth - 1))),
    }
}

#[test]
fn lists_in_lists_to_a_bounded_depth() {
    // FF-SD-03.
    let limits = Limits {
        list_depth: 3,
        ..Limits::default()
    };
    for (depth, deepest) in [(1, 1), (3, 3), (4, 3), (30, 3)] {
        for schema in BOTH {
            let mut ledger = Ledger::with(&DecoderOptions {
                limits,
                ..options(schema)
            });
            ledger.feed(
                HERE,
                &ipfix(0, 1, &[templates_with(291), records(&[nested(depth)])]),
            );
            assert_eq!(
                ledger.warnings(Warning::ListTooDeep),
                u64::from(depth > 3),
                "{depth}"
            );
            let batch = ledger.only();
            if schema == SchemaKind::Flows {
                continue;
            }
            let mut list = lists(&batch, "basicList");
            for _ in 1..deepest {
                list = list
                    .column_by_name("basicList")
                    .unwrap()
                    .as_list::<i32>()
                    .values()
                    .as_struct()
                    .clone();
            }
            if depth == deepest {
                let values = list
                    .column_by_name("protocolIdentifier")
                    .unwrap()
                    .as_list::<i32>()
                    .values()
                    .clone();
                assert_eq!(values.as_primitive::<UInt8Type>().values(), &[17]);
            } else {
                let inner = list
                    .column_by_name("basicList")
                    .unwrap()
                    .as_list::<i32>()
                    .values()
                    .clone();
                assert_eq!(kept(inner.as_struct()), [Some(nested(depth - deepest))]);
            }
        }
    }
}

#[test]
fn a_template_may_hold_lists_of_itself() {
    // FF-SD-03, FF-SD-07: template 258 is a list of records of any template, of 258 too.
    let leaf = [&varied(&[4, 1, 1, 6, 10, 0, 0, 1])[..], &[0, 80]].concat();
    let inner = [&[4, 1, 2][..], &leaf].concat();
    let outer = [&varied(&inner)[..], &[0, 81]].concat();
    let mut ledger = Ledger::new(SchemaKind::Wire);
    ledger.feed(HERE, &ipfix(0, 1, &[templates_with(292), set(258, &outer)]));
    let batch = ledger.only();
    let records = |list: &StructArray| {
        list.column_by_name("records")
            .unwrap()
            .as_list::<i32>()
            .values()
            .as_struct()
            .clone()
    };
    assert_eq!(u16s(&batch, "sourceTransportPort"), [Some(81)]);
    let first = records(&lists(&batch, "subTemplateList"));
    assert_eq!(
        first
            .column_by_name("sourceTransportPort")
            .unwrap()
            .as_primitive::<UInt16Type>()
            .value(0),
        80
    );
    let second = records(first.column_by_name("subTemplateList").unwrap().as_struct());
    assert_eq!(names(&second), ["protocolIdentifier", "sourceIPv4Address"]);
}

#[test]
fn lists_of_ever_new_elements_are_bounded() {
    // FF-RB-01, FF-RB-04: columns up to a bound; then octets, and counted.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    ledger.feed(HERE, &ipfix(0, 1, &[templates_with(291)]));
    for first in (0..2000u16).step_by(100) {
        let sent: Vec<_> = (first..first + 100)
            .map(|n| basic_list(3, 1000 + n, 1, &[1]))
            .collect();
        ledger.feed(HERE, &ipfix(0, 1, &[records(&sent)]));
    }
    assert_eq!(ledger.warnings(Warning::ListTooWide), 2000 - 512);
    let batch = ledger.only();
    let list = lists(&batch, "basicList");
    assert_eq!(list.num_columns(), 512 + 2);
    assert_eq!(kept(&list).into_iter().flatten().count(), 2000 - 512);
}

#[test]
fn flows_takes_one_value_from_a_list() {
    // A column that no field fills gets the value that the lists of a record hold, if it is one; labels are taken all.
    let mut ledger = Ledger::new(SchemaKind::Flows);
    let sent = [
        basic_list(3, 16, 4, &[0, 0, 0xfd, 0xe8]),
        basic_list(3, 16, 4, &[0, 0, 0xfd, 0xe8, 0, 0, 0xfd, 0xe9]),
        basic_list(3, 4, 1, &[17]),
        basic_list(3, 70, 3, &[0, 1, 0, 0, 2, 1]),
        basic_list(3, 28, 16, &[0x20; 16]),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &[templates_with(291), records(&sent)]));
    let batch = ledger.only();
    assert_eq!(
        u32s(&batch, "src_as"),
        [Some(65000), None, None, None, None]
    );
    // The record's own field wins.
    let protocols = batch
        .column_by_name("proto")
        .unwrap()
        .as_primitive::<UInt8Type>()
        .clone();
    assert!(protocols.values().iter().all(|&protocol| protocol == 6));
    let labels = batch
        .column_by_name("mpls_label")
        .unwrap()
        .as_list::<i32>()
        .clone();
    assert_eq!(
        labels.value(3).as_primitive::<UInt32Type>().values(),
        &[16, 32]
    );
    assert_eq!(labels.null_count(), 4);
    let destinations = batch
        .column_by_name("dst_addr")
        .unwrap()
        .as_fixed_size_binary()
        .clone();
    assert_eq!(destinations.value(4), [0x20; 16]);
    assert_eq!(destinations.null_count(), 4);
}

/// An options template and a record that tell the type of element 7 of `PEN` (RFC 5610 section 3.9).
fn type_info(domain: u32, told: &[(u16, u8, &str)]) -> Vec<u8> {
    let fields = [
        iana(346, 4),
        iana(303, 2),
        iana(339, 1),
        iana(341, VARIABLE),
    ];
    let records = told.iter().map(|(id, data_type, name)| {
        let id = id.to_be_bytes();
        [
            &PEN.to_be_bytes()[..],
            &id,
            &[*data_type],
            &varied(name.as_bytes()),
        ]
        .concat()
    });
    let sets = [
        options_templates(&[options_template(400, 2, &fields)]),
        set(400, &records.collect::<Vec<_>>().concat()),
    ];
    ipfix(0, domain, &sets)
}

/// One record of an element of `PEN`, with its template.
fn told_data(domain: u32, id: u16, octets: &[u8]) -> Vec<u8> {
    let field = Field {
        id,
        pen: PEN,
        length: octets.len() as u16,
    };
    ipfix(
        1,
        domain,
        &[
            templates(&[template(256, &[field, iana(4, 1)])]),
            set(256, &[octets, &[6]].concat()),
        ],
    )
}

/// Names and types of the columns of data tables, but for the message's and protocolIdentifier.
fn columns(ledger: &mut Ledger) -> Vec<String> {
    ledger.finish();
    let mut columns: Vec<_> = ledger
        .batches
        .iter()
        .filter(|batch| batch.kind.name() == "data")
        .flat_map(|batch| {
            batch
                .batch
                .schema()
                .fields()
                .iter()
                .map(|f| format!("{}: {}", f.name(), f.data_type()))
                .collect::<Vec<_>>()
        })
        .filter(|column| !column.starts_with('_') && !column.starts_with("protocolIdentifier"))
        .collect();
    columns.sort();
    columns
}

#[test]
fn types_hold_for_the_session_that_told_them() {
    // FF-TI-01, FF-TI-04, FF-TI-05: in all its domains, from then on; not for another session of the same address.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    let told = type_info(1, &[(7 | 0x8000, 3, "acmeWidgetId")]);
    ledger.feed(HERE.port(1000), &told_data(2, 7, &[0, 1]));
    ledger.feed(HERE.port(1000), &told);
    ledger.feed(HERE.port(1000), &told_data(2, 7, &[0, 2]));
    ledger.feed(HERE.port(2000), &told_data(2, 7, &[0, 3]));
    // The same again is no news.
    ledger.feed(HERE.port(1000), &told);
    assert_eq!(ledger.warnings(Warning::TypeInfoConflict), 0);
    assert_eq!(
        columns(&mut ledger),
        ["acmeWidgetId: UInt32", "e999_i7: Binary"]
    );
    let typed = ledger
        .batches
        .iter()
        .find(|b| b.batch.column_by_name("acmeWidgetId").is_some())
        .unwrap();
    assert_eq!(u32s(&typed.batch, "acmeWidgetId"), [Some(2)]);
    let octets: usize = rows(&ledger.batches) - 1;
    assert_eq!(octets, 2 + 2); // two records of octets, two of options data
}

#[test]
fn types_that_contradict_each_other_are_not_believed() {
    // FF-TI-02, FF-TI-03, FF-TI-06.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    ledger.feed(HERE, &type_info(1, &[(7, 2, "first")]));
    ledger.feed(HERE, &type_info(1, &[(7, 13, "second")]));
    ledger.feed(HERE, &type_info(1, &[(7, 2, "first")]));
    assert_eq!(ledger.warnings(Warning::TypeInfoConflict), 1);
    ledger.feed(HERE, &told_data(1, 7, &[0, 1]));
    // Of no known data type.
    ledger.feed(HERE, &type_info(1, &[(8, 99, "strange")]));
    assert_eq!(ledger.warnings(Warning::TypeInfoIgnored), 1);
    ledger.feed(HERE, &told_data(1, 8, &[0, 1]));
    assert_eq!(columns(&mut ledger), ["e999_i7: Binary", "e999_i8: Binary"]);
    // octetDeltaCount is what the registry says it is.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    let fields = [iana(303, 2), iana(339, 1), iana(341, VARIABLE)];
    let sets = [
        options_templates(&[options_template(400, 1, &fields)]),
        set(400, &[&[0, 1, 13][..], &varied(b"hostile")].concat()),
        templates(&[template(256, &[iana(1, 8)])]),
        set(256, &[9; 8]),
    ];
    ledger.feed(HERE, &ipfix(0, 1, &sets));
    assert_eq!(ledger.warnings(Warning::TypeInfoConflict), 1);
    assert_eq!(columns(&mut ledger), ["octetDeltaCount: UInt64"]);
}

#[test]
fn names_that_would_pass_for_other_columns() {
    // FF-TI-07: the type is taken, the name is not.
    for name in [
        "octetDeltaCount",
        "_exporter",
        "a,b",
        "flowStartMilliseconds",
        "\u{7}",
    ] {
        let mut ledger = Ledger::new(SchemaKind::Wire);
        ledger.feed(HERE, &type_info(1, &[(7, 2, name)]));
        ledger.feed(HERE, &told_data(1, 7, &[0, 1]));
        assert_eq!(columns(&mut ledger), ["e999_i7: UInt16"], "{name}");
    }
    // Two elements of one name.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    ledger.feed(HERE, &type_info(1, &[(7, 2, "same"), (8, 1, "same")]));
    let fields = [7, 8].map(|id| Field {
        id,
        pen: PEN,
        length: 1,
    });
    ledger.feed(
        HERE,
        &ipfix(
            0,
            1,
            &[templates(&[template(256, &fields)]), set(256, &[1, 2])],
        ),
    );
    assert_eq!(columns(&mut ledger), ["e999_i8: UInt8", "same: UInt16"]);
}

#[test]
fn sessions_that_tell_for_ever_are_bounded() {
    // FF-RB-04: more elements than are remembered, of more sessions; each with templates that use them.
    let mut ledger = Ledger::new(SchemaKind::Wire);
    let told: Vec<_> = (1..100u16).map(|id| (id, 2, "x")).collect();
    let message = type_info(1, &told);
    for n in 0..2000u16 {
        ledger.feed(HERE.port(n), &message);
        ledger.feed(HERE.port(n), &told_data(1, 1 + n % 100, &[1, 2]));
        ledger.drain();
    }
    ledger.finish();
    assert!(ledger.stats().records_decoded > 2000 * 99);
}
