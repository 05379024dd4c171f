use std::collections::HashMap;

use arrow_array::types::Int32Type;
use arrow_array::{
    BinaryArray, FixedSizeBinaryArray, Int64Array, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};

use super::*;

/// A batch of columns: name, semantic, values.
fn batch(columns: Vec<(&str, Option<&str>, ArrayRef)>) -> RecordBatch {
    let field = |name: &str, semantic: Option<&str>, array: &ArrayRef| {
        let metadata =
            semantic.map(|semantic| ("flowfast.semantic".to_owned(), semantic.to_owned()));
        Field::new(name, array.data_type().clone(), true)
            .with_metadata(metadata.into_iter().collect::<HashMap<_, _>>())
    };
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, semantic, array)| field(name, *semantic, array))
        .collect();
    let arrays = columns.into_iter().map(|column| column.2).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// The texts that one column becomes.
fn texts(semantic: Option<&str>, array: ArrayRef) -> Vec<Option<String>> {
    let text = as_text(&batch(vec![("x", semantic, array)])).unwrap();
    text.column(0)
        .as_string::<i32>()
        .iter()
        .map(|text| text.map(str::to_owned))
        .collect()
}

fn fixed<const N: usize>(values: &[Option<[u8; N]>]) -> ArrayRef {
    Arc::new(
        FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.iter().copied(), N as i32)
            .unwrap(),
    )
}

fn address(text: &str) -> Option<[u8; 16]> {
    let address: std::net::IpAddr = text.parse().unwrap();
    Some(match address {
        std::net::IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(address) => address.octets(),
    })
}

fn lines(text: Vec<u8>) -> Vec<String> {
    String::from_utf8(text)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn addresses_as_rfc_5952_has_them_and_ipv4_as_ipv4() {
    let written = [
        "192.0.2.1",
        "0.0.0.0",
        "255.255.255.255",
        "2001:db8::1",
        "::",
        "::1",
        "fe80::1:0:0:1",
        "2001:db8:0:1:1:1:1:1",
    ];
    let mut values: Vec<_> = written.iter().map(|text| address(text)).collect();
    values.push(None);
    let texts = texts(Some("ip"), fixed(&values));
    assert_eq!(texts.iter().flatten().collect::<Vec<_>>(), written);
    assert_eq!(texts.last(), Some(&None));
}

#[test]
fn four_octets_are_ipv4() {
    assert_eq!(
        texts(Some("ip"), fixed(&[Some([10, 0, 0, 255])])),
        [Some("10.0.0.255".to_owned())]
    );
}

#[test]
fn mac_addresses_of_both_types() {
    let expected = [Some("00:1b:0c:d0:ef:ff".to_owned()), None];
    assert_eq!(
        texts(
            Some("mac"),
            fixed(&[Some([0, 0x1b, 0x0c, 0xd0, 0xef, 0xff]), None])
        ),
        expected
    );
    assert_eq!(
        texts(
            Some("mac"),
            Arc::new(UInt64Array::from(vec![Some(0x001b_0cd0_efff), None]))
        ),
        expected
    );
}

#[test]
fn other_octets_are_hex() {
    let octets: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![
        Some(b"\x00\xffA"),
        None,
        Some(b""),
    ]));
    assert_eq!(
        texts(None, octets),
        [Some("00ff41".to_owned()), None, Some(String::new())]
    );
    assert_eq!(
        texts(None, fixed(&[Some([1, 2, 0xab])])),
        [Some("0102ab".to_owned())]
    );
}

#[test]
fn times_are_rfc_3339_with_the_digits_of_their_unit() {
    let time = 1_700_000_000_i64;
    let expect = |array: ArrayRef, texts_expected: &[&str]| {
        assert_eq!(
            texts(None, array).iter().flatten().collect::<Vec<_>>(),
            texts_expected
        );
    };
    expect(
        Arc::new(TimestampSecondArray::from(vec![time, 0, -1])),
        &[
            "2023-11-14T22:13:20Z",
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
        ],
    );
    expect(
        Arc::new(TimestampMillisecondArray::from(vec![time * 1000 + 7])),
        &["2023-11-14T22:13:20.007Z"],
    );
    let micros =
        TimestampMicrosecondArray::from(vec![time * 1_000_000 + 120_000, -1]).with_timezone("UTC");
    expect(
        Arc::new(micros),
        &["2023-11-14T22:13:20.120000Z", "1969-12-31T23:59:59.999999Z"],
    );
    expect(
        Arc::new(TimestampNanosecondArray::from(vec![
            time * 1_000_000_000 + 1,
        ])),
        &["2023-11-14T22:13:20.000000001Z"],
    );
}

#[test]
fn times_without_a_name_are_null() {
    let times: ArrayRef = Arc::new(TimestampSecondArray::from(vec![
        Some(i64::MAX),
        Some(i64::MIN),
        None,
        Some(86_400),
    ]));
    assert_eq!(
        texts(None, times),
        [None, None, None, Some("1970-01-02T00:00:00Z".to_owned())]
    );
}

#[test]
fn dictionaries_and_lists_and_structures_have_text_within() {
    let names: DictionaryArray<Int32Type> = [Some("a"), None, Some("a")].into_iter().collect();
    let octets: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"\x01", b"\x02\x03"]));
    let item = Arc::new(Field::new("item", DataType::Binary, false));
    let offsets = arrow_buffer::OffsetBuffer::from_lengths([2, 0, 0]);
    let list =
        ListArray::try_new(item, offsets, octets, Some(vec![true, false, true].into())).unwrap();
    let inner = fixed(&[address("192.0.2.9"); 3]);
    let ip = Field::new("ip", inner.data_type().clone(), true)
        .with_metadata([("flowfast.semantic".into(), "ip".into())].into());
    let structure = StructArray::try_new(vec![ip].into(), vec![inner], None).unwrap();
    let rows = batch(vec![
        ("name", None, Arc::new(names)),
        ("list", None, Arc::new(list)),
        ("s", None, Arc::new(structure)),
    ]);

    let expected = [
        r#"{"name":"a","list":["01","0203"],"s":{"ip":"192.0.2.9"}}"#,
        r#"{"s":{"ip":"192.0.2.9"}}"#,
        r#"{"name":"a","list":[],"s":{"ip":"192.0.2.9"}}"#,
    ];
    assert_eq!(lines(to_ndjson(&rows, None).unwrap()), expected);
    let expected = [
        "name,list,s",
        r#"a,"[""01"",""0203""]","{""ip"":""192.0.2.9""}""#,
        r#",,"{""ip"":""192.0.2.9""}""#,
        r#"a,[],"{""ip"":""192.0.2.9""}""#,
    ];
    assert_eq!(lines(to_csv(&rows, true).unwrap()), expected);
}

#[test]
fn numbers_stay_numbers_and_the_table_comes_first() {
    let rows = batch(vec![
        ("n", None, Arc::new(UInt64Array::from(vec![u64::MAX]))),
        ("i", None, Arc::new(Int64Array::from(vec![-1]))),
    ]);
    assert_eq!(
        lines(to_ndjson(&rows, Some("options")).unwrap()),
        [r#"{"_table":"options","n":18446744073709551615,"i":-1}"#]
    );
    assert_eq!(
        lines(to_csv(&rows, false).unwrap()),
        ["18446744073709551615,-1"]
    );
}

#[test]
fn what_exporters_write_into_strings_is_escaped() {
    let rows = batch(vec![(
        "user_name",
        None,
        Arc::new(StringArray::from(vec!["a\"b,\n\u{1}"])) as ArrayRef,
    )]);
    assert_eq!(
        lines(to_ndjson(&rows, None).unwrap()),
        [r#"{"user_name":"a\"b,\n\u0001"}"#]
    );
    assert_eq!(to_csv(&rows, false).unwrap(), b"\"a\"\"b,\n\x01\"\n");
}

#[test]
fn a_batch_without_rows_is_its_header_alone() {
    let rows = batch(vec![(
        "n",
        None,
        Arc::new(UInt64Array::from(Vec::<u64>::new())) as ArrayRef,
    )]);
    assert_eq!(to_ndjson(&rows, None).unwrap(), b"");
    assert_eq!(to_csv(&rows, true).unwrap(), b"n\n");
    assert_eq!(to_csv(&rows, false).unwrap(), b"");
}

#[test]
fn long_batches_are_the_sum_of_their_parts() {
    let rows = 2 * ROWS_AT_ONCE + 4; // the last list has two items
    let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..rows as u64));
    let list = ListArray::from_iter_primitive::<arrow_array::types::UInt32Type, _, _>(
        (0..rows as u32).map(|n| Some((0..n % 3).map(move |item| Some(n + item)))),
    );
    let long = batch(vec![("n", None, numbers), ("list", None, Arc::new(list))]);
    let ndjson = lines(to_ndjson(&long, None).unwrap());
    let csv = lines(to_csv(&long, true).unwrap());
    assert_eq!((ndjson.len(), csv.len()), (rows, rows + 1));
    for (row, line) in ndjson.iter().enumerate() {
        let items: Vec<_> = (0..row % 3).map(|item| (row + item).to_string()).collect();
        assert_eq!(
            *line,
            format!(r#"{{"n":{row},"list":[{}]}}"#, items.join(","))
        );
    }
    assert_eq!(
        csv[rows],
        format!("{},\"[{},{}]\"", rows - 1, rows - 1, rows)
    );
}
