//! Decodes the same generated datagrams again and again and does nothing else: for `bench/instructions.py`, which counts instructions.
//!
//! `decode TEMPLATE ORDER KERNEL PASSES EXPORTERS TEMPLATES` writes how many Flow Records it decoded.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::hint::black_box;

use flowfast_collector::BATCH_ROWS;
use flowfast_collector::bench::Load;
use flowfast_decode::{Decoder, DecoderOptions, EXPECTED_AHEAD, Kernel};
use mimalloc::MiMalloc;

/// That of the Python module.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [template, order, kernel, passes, exporters, templates] = &arguments[..] else {
        return Err("usage: decode TEMPLATE ORDER KERNEL PASSES EXPORTERS TEMPLATES".into());
    };
    let named = |each: &Kernel| each.name() == kernel;
    let options = DecoderOptions {
        kernel: Kernel::ALL
            .into_iter()
            .find(named)
            .ok_or("no such kernel")?,
        ..DecoderOptions::default()
    };
    let load = Load::named(template, order, exporters.parse()?, templates.parse()?)?;
    let mut decoder = Decoder::new(&options)?;
    let mut flushed = 0;
    for _ in 0..passes.parse()? {
        let mut later = load.datagrams().skip(EXPECTED_AHEAD);
        for datagram in load.datagrams() {
            if let Some(later) = later.next() {
                decoder.expect(&later);
            }
            let decoded = decoder.decode(&datagram);
            decoded.map_err(|why| format!("{why:?}"))?;
            if decoder.stats().records_decoded - flushed >= BATCH_ROWS as u64 {
                flushed = decoder.stats().records_decoded;
                black_box(decoder.flush());
            }
        }
    }
    black_box(decoder.flush());
    println!("{}", decoder.stats().records_decoded);
    Ok(())
}
