//! The byte-exact vectors: how many rows each gives, in both schemas, and that its counters add up. Values are compared with the
//! vectors' JSON in `tests/conformance`.
#![allow(clippy::unwrap_used)] // helpers of tests are exempt as tests are

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use flowfast_decode::{Datagram, Decoder, DecoderOptions, SchemaKind, TableKind};

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

/// (Flow Records, options data records, datagrams discarded).
fn decode(name: &str, schema: SchemaKind) -> (usize, usize, u64) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors")
        .join(name)
        .with_extension("hex");
    let text = std::fs::read_to_string(path).unwrap();
    let mut decoder = Decoder::new(&DecoderOptions {
        schema,
        ..DecoderOptions::default()
    })
    .unwrap();
    for line in text.lines() {
        let _ = decoder.decode(&Datagram {
            exporter: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            exporter_port: 50000,
            local_port: 2055,
            received_ns: 1_700_000_000_000_000_000,
            payload: &octets(line.trim()),
        });
    }
    let batches = decoder.finish();
    let rows = |wanted: &[TableKind]| {
        batches
            .iter()
            .filter(|b| wanted.contains(&b.kind))
            .map(|b| b.batch.num_rows())
            .sum()
    };
    let stats = decoder.stats();
    let discarded = stats.datagrams_discarded.iter().sum();
    assert_eq!(
        stats.datagrams_received,
        stats.datagrams_decoded + discarded
    );
    assert_eq!(
        stats.records_received,
        stats.records_decoded + stats.records_absorbed
    );
    let (flows, options) = (
        rows(&[TableKind::Flows, TableKind::Data]),
        rows(&[TableKind::Options]),
    );
    assert_eq!(stats.records_decoded as usize, flows + options);
    (flows, options, discarded)
}

#[test]
fn rows_of_each_vector() {
    #[rustfmt::skip]
    let expected = [
        ("v1", 2, 0, 0), ("v5", 2, 0, 0), ("v6", 2, 0, 0), ("v7", 2, 0, 0), ("v5_truncated", 0, 0, 1), ("v5_first_wraps", 1, 0, 0),
        ("v8_01", 2, 0, 0), ("v8_02", 2, 0, 0), ("v8_03", 2, 0, 0), ("v8_04", 2, 0, 0), ("v8_05", 2, 0, 0), ("v8_06", 2, 0, 0),
        ("v8_07", 2, 0, 0), ("v8_08", 2, 0, 0), ("v8_09", 2, 0, 0), ("v8_10", 2, 0, 0), ("v8_11", 2, 0, 0), ("v8_12", 2, 0, 0),
        ("v8_13", 2, 0, 0), ("v8_14", 2, 0, 0),
        ("v9_template_data", 3, 0, 0), ("v9_data_before_template", 3, 0, 0), ("v9_two_sources", 5, 0, 0),
        ("v9_options_sampler", 3, 2, 0), ("v9_asa_nsel", 1, 0, 0),
        ("ipfix_basic", 2, 0, 0), ("ipfix_varlen", 2, 0, 0), ("ipfix_varlen_overrun", 0, 0, 1), ("ipfix_padding_ie", 15, 0, 0),
        ("ipfix_repeated_ie", 1, 0, 0), ("ipfix_biflow", 1, 0, 0), ("ipfix_enterprise_unknown", 1, 0, 0), ("ipfix_types", 1, 0, 0),
        ("ipfix_withdrawal", 2, 0, 0), ("ipfix_withdraw_all", 1, 0, 0), ("ipfix_options_flowkeys", 0, 1, 0),
        ("ipfix_options_scope0", 0, 0, 1), ("ipfix_unknown_set", 1, 0, 0), ("ipfix_set_len_zero", 0, 0, 1),
        ("rfc5471_364_a", 0, 0, 1), ("rfc5471_364_b", 0, 0, 1), ("rfc5471_364_c", 0, 0, 1), ("rfc5471_364_d", 0, 0, 1),
        ("ipfix_basiclist", 2, 0, 0), ("ipfix_subtemplatelist", 1, 0, 0), ("ipfix_subtemplatemultilist", 1, 0, 0),
        ("ipfix_type_info", 1, 1, 0),
        ("rfc5471_364_e", 0, 0, 0), ("rfc5472_example", 3, 0, 0),
    ];
    for (name, flows, options, discarded) in expected {
        assert_eq!(
            decode(name, SchemaKind::Wire),
            (flows, options, discarded),
            "{name} wire"
        );
        assert_eq!(
            decode(name, SchemaKind::Flows),
            (flows, 0, discarded),
            "{name} flows"
        );
    }
}
