//! Each kernel over each template, by criterion: `cargo bench -p flowfast-collector`.
//!
//! What `flowfast bench decode` measures in CPU time, here in wall time with criterion's statistics, to compare one build with another
//! (`--save-baseline`, `--baseline`) on a quiet machine.
#![allow(missing_docs, clippy::unwrap_used)] // what the macros make has no docs

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flowfast_collector::bench::Load;
use flowfast_decode::{Decoder, DecoderOptions, Kernel};

const TEMPLATES: [(&str, &str); 5] = [
    ("v5", "canonical"),
    ("v9-19", "canonical"),
    ("ipfix-25", "canonical"),
    ("set-a", "canonical"),
    ("set-a", "worst"),
];

fn kernels(criterion: &mut Criterion) {
    for (template, order) in TEMPLATES {
        let load = Load::named(template, order, 1, 1).unwrap();
        let mut group = criterion.benchmark_group(format!("{template} {order}"));
        group.throughput(Throughput::Elements(load.flows().unwrap()));
        for kernel in Kernel::ALL {
            let options = DecoderOptions {
                kernel,
                ..DecoderOptions::default()
            };
            let mut decoder = Decoder::new(&options).unwrap();
            group.bench_function(BenchmarkId::from_parameter(kernel.name()), |bencher| {
                bencher.iter(|| {
                    for datagram in load.datagrams() {
                        decoder.decode(&datagram).unwrap();
                    }
                    black_box(decoder.flush())
                });
            });
        }
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
