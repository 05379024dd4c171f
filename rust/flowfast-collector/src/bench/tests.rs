use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use flowfast_decode::{Decoder, DecoderOptions, Kernel, SchemaKind};

use super::*;
use crate::exporter::{ExportOptions, FieldOrder, Format, NamedTemplate};

/// Rows by table, and counters, by one kernel.
fn decoded(
    load: &Load,
    schema: SchemaKind,
    kernel: Kernel,
) -> (Vec<(Arc<str>, RecordBatch)>, String) {
    let options = DecoderOptions {
        schema,
        kernel,
        columns: vec!["full".to_owned()],
        ..DecoderOptions::default()
    };
    let mut decoder = Decoder::new(&options).unwrap();
    let mut tables = Vec::new();
    for (index, datagram) in load.datagrams().enumerate() {
        let _ = decoder.decode(&datagram);
        if index % 500 == 0 {
            tables.extend(decoder.flush());
        }
    }
    tables.extend(decoder.finish());
    let tables = tables.into_iter().map(|table| (table.table, table.batch));
    (tables.collect(), format!("{:?}", decoder.stats()))
}

fn all_kernels_agree(what: &str, load: &Load) {
    for schema in [SchemaKind::Flows, SchemaKind::Wire] {
        let plain = decoded(load, schema, Kernel::Plain);
        for kernel in Kernel::ALL {
            assert!(
                decoded(load, schema, kernel) == plain,
                "{what}: {kernel:?}, {schema:?}"
            );
        }
    }
}

#[test]
fn all_kernels_agree_on_captures() {
    // FF-ORD-06. Those of the repository, and the shared ones where they are there.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut loads = 0;
    for folder in ["tests/captures", "../shared/captures/files"] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            // Some are no captures, or damaged ones.
            if let Ok(load) = Load::read_capture(&path.to_string_lossy()) {
                all_kernels_agree(&path.to_string_lossy(), &load);
                loads += 1;
            }
        }
    }
    assert!(loads >= 15, "{loads}");
}

#[test]
fn all_kernels_agree_on_every_template_in_every_order() {
    // FF-ORD-06, with interleaved templates of different orders.
    for template in NamedTemplate::ALL {
        for order in FieldOrder::ALL {
            let format = *template.formats().last().unwrap();
            let export = ExportOptions {
                format,
                template: Some(template),
                order,
                ..ExportOptions::default()
            };
            let wanted = GeneratedLoad {
                export,
                datagrams: 60,
                exporters: 2,
                templates: 3,
            };
            // v5 has one order.
            if let Ok(load) = Load::generate(&wanted) {
                all_kernels_agree(&format!("{template:?}, {order:?}"), &load);
            }
        }
    }
}

#[test]
fn an_exporter_numbers_the_messages_of_all_its_templates() {
    for format in [Format::Netflow9, Format::Ipfix] {
        let wanted = GeneratedLoad {
            export: ExportOptions {
                format,
                ..ExportOptions::default()
            },
            datagrams: 60,
            exporters: 2,
            templates: 3,
        };
        let load = Load::generate(&wanted).unwrap();
        let mut decoder = Decoder::new(&DecoderOptions::default()).unwrap();
        for datagram in load.datagrams() {
            decoder.decode(&datagram).unwrap();
        }
        assert_eq!(decoder.stats().records_decoded, load.flows().unwrap());
        for exporter in decoder.exporters() {
            assert_eq!((exporter.lost, exporter.late), (0, 0), "{format:?}");
        }
    }
}

#[test]
fn a_round_counts_what_it_decodes() {
    let wanted = GeneratedLoad {
        export: ExportOptions::default(),
        datagrams: 30,
        exporters: 3,
        templates: 2,
    };
    let load = Load::generate(&wanted).unwrap();
    // Templates of each Exporter once, 5 data messages for each of its templates.
    assert_eq!(load.len(), 3 * 2 * (1 + 5));
    let flows = load.flows().unwrap();
    let reference = Load::named("set-a", "canonical", 1, 1).unwrap();
    let in_reference = reference.flows().unwrap();
    let options = DecoderOptions::default();
    let mut bench = DecodeBench::new(load, Some(reference), &options, 3 * flows - 1).unwrap();
    for _ in 0..2 {
        let figures = bench.round();
        let (records, cpu) = figures.reference.unwrap();
        assert!(records >= 3 * flows && records % in_reference == 0 && !cpu.is_zero());
        assert_eq!((figures.records, figures.lost), (3 * flows, 0));
        assert!(!figures.cpu.is_zero() && !figures.baseline.is_zero() && !figures.floor.is_zero());
    }
}
