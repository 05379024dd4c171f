//! sFlow, from datagram to rows: values of the vectors, what lies, and every single-octet mutation.
#![allow(clippy::unwrap_used)] // helpers of tests are exempt as tests are

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use flowfast_decode::{
    Datagram, DecodeError, Decoder, DecoderOptions, SchemaKind, Stats, TableBatch, TableKind,
    Warning,
};

fn vector(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors")
        .join(name)
        .with_extension("hex");
    let text = std::fs::read_to_string(path).unwrap();
    let hex = text.trim();
    (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn decoder(schema: SchemaKind) -> Decoder {
    let options = DecoderOptions {
        schema,
        columns: vec!["full".to_owned()],
        ..DecoderOptions::default()
    };
    Decoder::new(&options).unwrap()
}

fn send(decoder: &mut Decoder, payload: &[u8]) -> Result<(), DecodeError> {
    decoder.decode(&Datagram {
        exporter: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        exporter_port: 50000,
        local_port: 6343,
        received_ns: 1_700_000_000_000_000_000,
        payload,
    })
}

fn rows(batches: &[TableBatch], kind: TableKind) -> usize {
    let of_kind = batches.iter().filter(|batch| batch.kind == kind);
    of_kind.map(|batch| batch.batch.num_rows()).sum()
}

/// An unsigned value, or octets as hex.
fn cell(batch: &RecordBatch, column: &str, row: usize) -> String {
    let array = batch
        .column_by_name(column)
        .unwrap_or_else(|| panic!("no column {column}"));
    if array.is_null(row) {
        return "null".to_owned();
    }
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect();
    match array.data_type() {
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).to_string(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).to_string(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).to_string(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::FixedSizeBinary(_) => hex(array.as_fixed_size_binary().value(row)),
        DataType::Binary => hex(array.as_binary::<i32>().value(row)),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            dictionary.values().as_string::<i32>().value(key).to_owned()
        }
        other => panic!("{column}: {other}"),
    }
}

fn assert_row(batch: &RecordBatch, row: usize, expected: &[(&str, &str)]) {
    for (column, value) in expected {
        assert_eq!(&cell(batch, column, row), value, "{column}");
    }
}

fn assert_adds_up(stats: &Stats) {
    let discarded: u64 = stats.datagrams_discarded.iter().sum();
    assert_eq!(
        stats.datagrams_received,
        stats.datagrams_decoded + discarded
    );
    assert_eq!(
        stats.records_received,
        stats.records_decoded + stats.records_absorbed
    );
}

/// What both samples of both vectors have in common.
const PACKET: &[(&str, &str)] = &[
    ("sourceIPv4Address", "c000020a"),
    ("destinationIPv4Address", "c6336414"),
    ("sourceTransportPort", "50000"),
    ("destinationTransportPort", "443"),
    ("protocolIdentifier", "6"),
    ("tcpControlBits", "18"),
    ("sourceMacAddress", "020000000001"),
    ("destinationMacAddress", "020000000002"),
    ("dot1qVlanId", "100"),
    ("frame_length", "1518"),
    ("ingressInterface", "3"),
    ("egressInterface", "4"),
    ("_exporter", "00000000000000000000ffff0a090909"),
    ("_source", "00000000000000000000ffffc0000201"),
    ("_sequence", "321"),
    ("_uptime", "60000"),
    ("_time", "null"),
];

#[test]
fn version_5_in_wire() {
    let mut decoder = decoder(SchemaKind::Wire);
    send(&mut decoder, &vector("sflow5")).unwrap();
    let batches = decoder.finish();
    assert_eq!(rows(&batches, TableKind::Data), 2);
    assert_eq!(rows(&batches, TableKind::Counters), 1);
    let find = |column: &str, value: &str| {
        let mut found = batches.iter().filter(|batch| {
            batch.batch.column_by_name(column).is_some() && cell(&batch.batch, column, 0) == value
        });
        found.next().unwrap().batch.clone()
    };
    let compact = find("samplingInterval", "400");
    assert_row(&compact, 0, PACKET);
    assert_row(
        &compact,
        0,
        &[
            ("_type", "sflow_v5"),
            ("_domain", "0"),
            ("sample_sequence", "77"),
            ("sample_pool", "40000"),
            ("sample_drops", "5"),
            ("stripped", "4"),
            ("vlanId", "100"),
            ("postVlanId", "200"),
        ],
    );
    let expanded = find("samplingInterval", "1000");
    assert_row(&expanded, 0, PACKET);
    assert_row(
        &expanded,
        0,
        &[("sample_pool", "50000"), ("sample_drops", "0")],
    );
    let counters = find("ifIndex", "3");
    assert_row(
        &counters,
        0,
        &[
            ("ifSpeed", "10000000000"),
            ("ifInOctets", "123456789012"),
            ("ifOutOctets", "987654321098"),
            ("ifOutErrors", "11"),
            ("ds_index", "3"),
        ],
    );
    let stats = decoder.stats();
    assert_eq!(stats.warnings[Warning::UnknownSample as usize], 1);
    assert_eq!((stats.records_decoded, stats.records_absorbed), (3, 0));
    assert_adds_up(stats);
}

#[test]
fn version_4_in_wire() {
    let mut decoder = decoder(SchemaKind::Wire);
    send(&mut decoder, &vector("sflow4")).unwrap();
    let batches = decoder.finish();
    assert_eq!(batches.len(), 1);
    let batch = &batches[0].batch;
    assert_row(batch, 0, PACKET);
    assert_row(
        batch,
        0,
        &[
            ("_type", "sflow_v4"),
            ("_domain", "null"),
            ("samplingInterval", "400"),
            ("vlanId", "100"),
            ("postVlanId", "200"),
        ],
    );
}

#[test]
fn both_versions_in_flows() {
    for (name, expected_rows, absorbed) in [("sflow5", 2, 1), ("sflow4", 1, 0)] {
        let mut decoder = decoder(SchemaKind::Flows);
        send(&mut decoder, &vector(name)).unwrap();
        let batches = decoder.finish();
        assert_eq!(rows(&batches, TableKind::Flows), expected_rows);
        assert_row(
            &batches[0].batch,
            0,
            &[
                ("sampler_address", "00000000000000000000ffff0a090909"),
                ("src_addr", "00000000000000000000ffffc000020a"),
                ("dst_addr", "00000000000000000000ffffc6336414"),
                ("src_port", "50000"),
                ("dst_port", "443"),
                ("proto", "6"),
                ("etype", "2048"),
                ("tcp_flags", "18"),
                // FF-SF-05: one packet and its frame; the rate scales only the scaled columns.
                ("packets", "1"),
                ("bytes", "1518"),
                ("packets_scaled", "400"),
                ("bytes_scaled", "607200"),
                ("sampling_rate", "400"),
                ("sampling_source", "record"),
                ("in_if", "3"),
                ("out_if", "4"),
                ("src_vlan", "100"),
                ("dst_vlan", "200"),
                ("src_mac", "2199023255553"),
                ("dst_mac", "2199023255554"),
            ],
        );
        for column in ["time_flow_start", "time_flow_end"] {
            let times = batches[0].batch.column_by_name(column).unwrap();
            assert_eq!(times.null_count(), times.len(), "{name}: {column}");
        }
        assert_eq!(decoder.stats().records_absorbed, absorbed);
    }
}

#[test]
fn a_sampled_packet_is_read_once_by_its_header_protocol() {
    // FF-SF-02: IP packets without a frame (header protocols 11 and 12) have no MAC addresses, whatever their first octets are.
    let ipv4 = [
        0x4500_0028,
        0x1234_4000,
        0x4006_0000,
        0xc000_020a,
        0xc633_6414, // 192.0.2.10 to 198.51.100.20
        0xc350_01bb,
        1,
        0,
        0x5012_0000,
        0, // TCP, 50000 to 443
    ];
    let mut record = vec![11, 60, 0, 40];
    record.extend(ipv4);
    let mut sample = vec![1, 9, 100, 1000, 0, 3, 4, 1, 1, 4 * record.len() as u32];
    sample.extend(record);
    let mut datagram = vec![5, 1, 0x0a00_0001, 0, 1, 1000, 1, 1, 4 * sample.len() as u32];
    datagram.extend(sample);
    for columns in ["full", "standard,dataLinkFrameSection"] {
        let options = DecoderOptions {
            columns: columns.split(',').map(str::to_owned).collect(),
            ..DecoderOptions::default()
        };
        let mut decoder = Decoder::new(&options).unwrap();
        send(&mut decoder, &words(&datagram)).unwrap();
        let batches = decoder.finish();
        assert_row(
            &batches[0].batch,
            0,
            &[
                ("src_addr", "00000000000000000000ffffc000020a"),
                ("src_port", "50000"),
                ("etype", "2048"),
                ("bytes", "60"),
                ("src_mac", "null"),
                ("dst_mac", "null"),
            ],
        );
        if columns != "full" {
            let section: String = ipv4.iter().map(|word| format!("{word:08x}")).collect();
            assert_row(&batches[0].batch, 0, &[("dataLinkFrameSection", &section)]);
        }
    }
}

#[test]
fn a_malformed_sample_leaves_nothing_behind() {
    // FF-IX-03; the lenient decoder keeps what stands before the fault.
    let truncated = vector("sflow5_truncated");
    for schema in [SchemaKind::Wire, SchemaKind::Flows] {
        let mut strict = decoder(schema);
        assert_eq!(
            send(&mut strict, &truncated),
            Err(DecodeError::SampleOverrun)
        );
        assert!(strict.finish().is_empty());
        assert_eq!(strict.stats().warnings.iter().sum::<u64>(), 0);
        assert_adds_up(strict.stats());
    }
    let mut lenient = Decoder::new(&DecoderOptions {
        schema: SchemaKind::Wire,
        lenient: true,
        ..DecoderOptions::default()
    })
    .unwrap();
    send(&mut lenient, &truncated).unwrap();
    let batches = lenient.finish();
    assert_eq!(rows(&batches, TableKind::Data), 1);
    assert_eq!(rows(&batches, TableKind::Counters), 1);
    assert_eq!(lenient.stats().warnings[Warning::MalformedTail as usize], 1);
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn datagrams_without_samples_and_of_unknown_versions() {
    // FF-SF-07, FF-SF-08.
    let mut decoder = decoder(SchemaKind::Wire);
    for version in [5, 4, 2] {
        let sub_agent = if version == 5 { &[0][..] } else { &[] };
        let header = [&[version, 1, 0x0a00_0001], sub_agent, &[1, 2, 0]].concat();
        send(&mut decoder, &words(&header)).unwrap();
    }
    for version in [0, 1, 3, 6] {
        let header = words(&[version, 1, 0x0a00_0001, 0, 1, 2, 0]);
        assert_eq!(
            send(&mut decoder, &header),
            Err(DecodeError::UnknownVersion)
        );
    }
    assert!(decoder.finish().is_empty());
    assert_adds_up(decoder.stats());
}

#[test]
fn sequences_count_datagrams_per_agent_and_sub_agent() {
    // FF-SF-04.
    let mut decoder = decoder(SchemaKind::Wire);
    let mut sent = |agent, sub_agent, sequence| {
        let header = [5, 1, agent, sub_agent, sequence, 1000, 0];
        send(&mut decoder, &words(&header)).unwrap();
    };
    for (agent, sub_agent, sequence) in [
        (1, 0, 10),
        (1, 1, 500),
        (2, 0, 9000),
        (1, 0, 11),
        (1, 1, 501),
        (2, 0, 9004),
    ] {
        sent(agent, sub_agent, sequence);
    }
    assert_eq!(decoder.stats().sequence_lost_packets, 3);
    let lost: Vec<_> = decoder.exporters();
    assert_eq!(lost.len(), 3);
    assert!(lost.iter().all(|exporter| exporter.lost_unit == "packets"
        && exporter.format == "sflow_v5"
        && exporter.lost
            == if exporter.exporter == IpAddr::from([0, 0, 0, 2]) {
                3
            } else {
                0
            }));
}

#[test]
fn combinations_without_end_are_not_remembered() {
    // FF-RB-04: every sample has another sequence of records, so another plan.
    let mut decoder = decoder(SchemaKind::Wire);
    let structures = [(2002, 2), (1002, 3), (2102, 4), (2203, 10)];
    for n in 0u32..5000 {
        let mut sample = vec![1, 3, 7];
        for digit in 0..7 {
            let (tag, len) = structures[(n >> (2 * digit)) as usize % 4];
            sample.extend([tag, 4 * len]);
            sample.resize(sample.len() + len as usize, n);
        }
        let mut datagram = vec![5, 1, 0x0a00_0001, 0, n, 1000, 1, 2, 4 * sample.len() as u32];
        datagram.extend(sample);
        send(&mut decoder, &words(&datagram)).unwrap();
        if n % 500 == 0 {
            decoder.flush();
        }
    }
    decoder.finish();
    assert_eq!(decoder.stats().records_decoded, 5000);
}

#[test]
fn mutations_and_truncations_never_panic() {
    // FF-RB-01, FF-RB-02.
    let mut decoders = [decoder(SchemaKind::Wire), decoder(SchemaKind::Flows)];
    let mut datagrams = 0;
    for name in ["sflow5", "sflow5_truncated", "sflow4"] {
        let whole = vector(name);
        for decoder in &mut decoders {
            for len in 0..whole.len() {
                let _ = send(decoder, &whole[..len]);
            }
            for at in 0..whole.len() {
                let mut mutated = whole.clone();
                for octet in 0..=255 {
                    mutated[at] = octet;
                    let _ = send(decoder, &mutated);
                }
                decoder.flush();
            }
            decoder.flush();
        }
        datagrams += whole.len() as u64 * 257;
    }
    for decoder in &mut decoders {
        let before = decoder.stats().clone();
        decoder.finish();
        assert_eq!(decoder.stats().datagrams_received, datagrams);
        assert_adds_up(decoder.stats());
        assert_eq!(before.records_decoded, decoder.stats().records_decoded);
    }
}
