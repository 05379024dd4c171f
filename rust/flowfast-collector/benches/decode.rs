//! Each kernel over each template, and what a template costs, by criterion: `cargo bench -p flowfast-collector`.
//!
//! What `flowfast bench decode` measures in CPU time, here in wall time with criterion's statistics, to compare one build with another
//! (`--save-baseline`, `--baseline`) on a quiet machine.
#![allow(missing_docs, clippy::unwrap_used)] // what the macros make has no docs

use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flowfast_collector::bench::Load;
use flowfast_decode::{AbstractDataType, Datagram, Decoder, DecoderOptions, ElementId, Kernel};

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

/// What a template costs when it comes (FF-ORD-04): one that no Exporter has sent yet is compiled, one that is known is looked up.
fn templates(criterion: &mut Criterion) {
    const FIELDS: usize = 50;
    let fields: Vec<(u16, u16)> = (1..)
        .filter_map(|id: u16| {
            let known = ElementId::iana(id.into()).describe()?;
            Some((id, octets(known.data_type)?))
        })
        .take(FIELDS)
        .collect();
    // More orders than the decoder keeps plans of that nobody uses any more.
    let orders = (0..FIELDS).flat_map(|first| (1..FIELDS).map(move |swapped| (first, swapped)));
    let messages: Vec<Vec<u8>> = orders
        .map(|(first, swapped)| {
            let mut fields = fields.clone();
            fields.rotate_left(first);
            fields.swap(0, swapped);
            message(&fields)
        })
        .collect();
    let mut group = criterion.benchmark_group(format!("template of {FIELDS} fields"));
    for (what, messages) in [("new", &messages[..]), ("known", &messages[..1])] {
        let mut decoder = Decoder::new(&DecoderOptions::default()).unwrap();
        let mut messages = messages.iter().cycle();
        group.bench_function(what, |bencher| {
            bencher.iter(|| decoder.decode(&datagram(messages.next().unwrap())).unwrap());
        });
        let stats = decoder.stats();
        assert_eq!(stats.plans_compiled == 1, what == "known", "{what}");
        assert!(what == "known" || stats.plans_compiled == stats.templates_received);
    }
}

/// Octets of a value; none that vary.
fn octets(data_type: AbstractDataType) -> Option<u16> {
    use AbstractDataType::*;
    Some(match data_type {
        Unsigned8 | Boolean => 1,
        Unsigned16 => 2,
        Unsigned32 | Ipv4Address | DateTimeSeconds => 4,
        MacAddress => 6,
        Unsigned64 | DateTimeMilliseconds => 8,
        Ipv6Address => 16,
        _ => return None,
    })
}

/// An IPFIX message that defines template 256 by elements and lengths.
fn message(fields: &[(u16, u16)]) -> Vec<u8> {
    let set = 8 + 4 * fields.len() as u16;
    let header = [
        10,
        16 + set,
        0,
        1,
        0,
        0,
        0,
        1,
        2,
        set,
        256,
        fields.len() as u16,
    ];
    let specifiers = fields.iter().flat_map(|&(id, length)| [id, length]);
    header
        .into_iter()
        .chain(specifiers)
        .flat_map(u16::to_be_bytes)
        .collect()
}

fn datagram(payload: &[u8]) -> Datagram<'_> {
    Datagram {
        exporter: Ipv4Addr::LOCALHOST.into(),
        exporter_port: 49_152,
        local_port: 4739,
        received_ns: 0,
        payload,
    }
}

criterion_group!(benches, kernels, templates);
criterion_main!(benches);
