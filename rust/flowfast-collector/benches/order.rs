//! What the order of elements is worth to a store of rows, by criterion: `cargo bench -p flowfast-collector --bench order`.
//!
//! Irino, Katayama and Chaki ("Flow-based Network Measurement") report a collector that copies the fields of records into rows of its own,
//! several at once where they are neighbours in both, and that is up to 80 % faster if both have the same order (FF-ORD-10). This is such a
//! store, for the 26 elements of `set-a`. flowfast has none: its records become columns, whose order makes no difference
//! (docs/decisions/0013-kernels.md).
#![allow(missing_docs)] // what the macros make has no docs

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Octets of the elements, in the canonical order: largest first. A record has 96.
const ELEMENTS: [usize; 26] = [
    8, 8, 8, 8, 8, 6, 6, 4, 4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1,
];
const RECORD_OCTETS: usize = 96;
/// 64 messages of 14.
const RECORDS: usize = 64 * 14;

/// Octets that go from one place of a record to one of its row.
#[derive(Clone, Copy)]
struct Run {
    from: usize,
    to: usize,
    octets: usize,
}

/// Orders of a template: positions in `ELEMENTS`.
fn orders() -> [(&'static str, Vec<usize>); 4] {
    let canonical = || 0..ELEMENTS.len();
    let halves = (13..26).chain(0..13);
    // Small and large in turn: no neighbours are neighbours in the rows.
    let alternating = (0..13).flat_map(|n| [25 - n, n]);
    [
        ("canonical", canonical().collect()),
        ("halves swapped", halves.collect()),
        ("reversed", canonical().rev().collect()),
        ("alternating", alternating.collect()),
    ]
}

/// A run for each field of a template.
fn fields(order: &[usize]) -> Vec<Run> {
    let mut from = 0;
    order
        .iter()
        .map(|&element| {
            let run = Run {
                from,
                to: ELEMENTS[..element].iter().sum(),
                octets: ELEMENTS[element],
            };
            from += run.octets;
            run
        })
        .collect()
}

/// Neighbours in both the record and the row are one run.
fn merged(fields: &[Run]) -> Vec<Run> {
    fields
        .iter()
        .fold(Vec::new(), |mut runs: Vec<Run>, &field| {
            match runs.last_mut() {
                Some(last) if last.to + last.octets == field.to => last.octets += field.octets,
                _ => runs.push(field),
            }
            runs
        })
}

fn store(runs: &[Run], records: &[u8], rows: &mut [u8]) {
    let rows = rows.chunks_exact_mut(RECORD_OCTETS);
    for (record, row) in records.chunks_exact(RECORD_OCTETS).zip(rows) {
        for run in runs {
            row[run.to..run.to + run.octets]
                .copy_from_slice(&record[run.from..run.from + run.octets]);
        }
    }
}

/// Records of a template, whose rows are all the same whatever its order.
fn records(fields: &[Run]) -> Vec<u8> {
    let row: Vec<u8> = (0..RECORD_OCTETS as u8).collect();
    let record = fields
        .iter()
        .flat_map(|run| &row[run.to..run.to + run.octets]);
    record.copied().collect::<Vec<u8>>().repeat(RECORDS)
}

fn row_store(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("row store");
    group.throughput(Throughput::Elements(RECORDS as u64));
    let wanted = records(&fields(&orders()[0].1));
    for (order, elements) in orders() {
        let fields = fields(&elements);
        let (records, mut rows) = (records(&fields), vec![0; RECORDS * RECORD_OCTETS]);
        for (how, runs) in [
            ("field by field", fields.clone()),
            ("merged", merged(&fields)),
        ] {
            rows.fill(0);
            store(&runs, &records, &mut rows);
            assert_eq!(rows, wanted, "{order} {how}");
            let name = format!("{how}, {} runs", runs.len());
            group.bench_function(BenchmarkId::new(order, name), |bencher| {
                bencher.iter(|| store(black_box(&runs), black_box(&records), &mut rows));
            });
        }
    }
}

criterion_group!(benches, row_store);
criterion_main!(benches);
