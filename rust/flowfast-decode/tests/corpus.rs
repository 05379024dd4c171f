//! Seeds of the fuzz targets (`rust/fuzz`), made of the vectors, and what fuzzing has found: both replayed without a fuzzer.
//!
//! `cargo test -p flowfast-decode --test corpus -- --ignored` writes the seeds to `rust/fuzz/corpus`.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{sflow_vectors, vectors};

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, missing_docs)] // a crate of its own
mod fuzz;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz")
        .join(name)
}

/// `flows` or `wire`, strict or lenient; some with illegal lengths malformed, with the plain kernel, or of mediators.
const MODES: [u8; 6] = [0, 1, 2, 3 + 16, 8 + 1, 32];

/// (name, input) of the `datagram` target: each datagram of each vector.
fn datagram_seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (name, datagrams) in vectors() {
        for (index, datagram) in datagrams.iter().enumerate() {
            for mode in MODES {
                let input = [&[mode], &datagram[..]].concat();
                seeds.push((format!("{name}_{index}_{mode}"), input));
            }
        }
    }
    seeds
}

/// (name, input) of the `sflow` target: its vectors without the version, under each version.
fn sflow_seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (name, datagrams) in sflow_vectors() {
        for (index, datagram) in datagrams.iter().enumerate() {
            for mode in [0x00, 0x01, 0x11, 0x40, 0x41, 0x80, 0x81] {
                let input = [&[mode], &datagram[4..]].concat();
                seeds.push((format!("{name}_{index}_{mode}"), input));
            }
        }
    }
    seeds
}

/// (name, input) of the `getters` target: each datagram of each vector, and each from behind its header on.
fn getters_seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (name, datagrams) in vectors().into_iter().chain(sflow_vectors()) {
        for (index, datagram) in datagrams.iter().enumerate() {
            for start in [0, 16, 20, 28, 36, 100] {
                if let Some(rest) = datagram.get(start..) {
                    seeds.push((format!("{name}_{index}_{start}"), rest.to_vec()));
                }
            }
        }
    }
    seeds
}

/// (name, input) of the `session` target: each vector as it is, with its templates last, and from changing ports over an hour.
fn session_seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (name, datagrams) in vectors() {
        for mode in MODES {
            let session = |frames: Vec<Vec<u8>>| [vec![mode], frames.concat()].concat();
            let in_order = datagrams.iter().map(|d| fuzz::frame(1, 0, d));
            let reversed = datagrams.iter().rev().map(|d| fuzz::frame(1, 1, d));
            let wandering = (0..6u8).flat_map(|round| {
                datagrams
                    .iter()
                    .map(move |d| fuzz::frame(round % 2 + 0x20 * (round % 4) + 0x80, 600, d))
            });
            seeds.push((format!("{name}_order_{mode}"), session(in_order.collect())));
            seeds.push((
                format!("{name}_reverse_{mode}"),
                session(
                    reversed
                        .chain(datagrams.iter().map(|d| fuzz::frame(1, 1, d)))
                        .collect(),
                ),
            ));
            seeds.push((format!("{name}_ports_{mode}"), session(wandering.collect())));
        }
    }
    seeds
}

#[test]
fn seeds_keep_the_books() {
    for (_, input) in datagram_seeds() {
        fuzz::run_datagram(&input);
    }
    for (_, input) in session_seeds() {
        fuzz::run_session(&input);
    }
    for (_, input) in sflow_seeds() {
        fuzz::run_sflow(&input);
    }
}

#[test]
fn what_fuzzing_has_found_stays_found() {
    for (target, run) in [
        ("datagram", fuzz::run_datagram as fn(&[u8])),
        ("session", fuzz::run_session),
        ("sflow", fuzz::run_sflow),
    ] {
        for entry in fs::read_dir(folder("regressions").join(target))
            .into_iter()
            .flatten()
        {
            run(&fs::read(entry.unwrap().path()).unwrap());
        }
    }
}

#[test]
#[ignore = "writes rust/fuzz/corpus"]
fn write_seeds() {
    for (target, seeds) in [
        ("datagram", datagram_seeds()),
        ("session", session_seeds()),
        ("sflow", sflow_seeds()),
        ("getters", getters_seeds()),
    ] {
        let corpus = folder("corpus").join(target);
        fs::create_dir_all(&corpus).unwrap();
        for (name, input) in seeds {
            fs::write(corpus.join(name), input).unwrap();
        }
    }
}
