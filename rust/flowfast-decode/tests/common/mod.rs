//! What the tests of this folder share: messages as octets, and a decoder whose books are checked at every step.
#![allow(dead_code, clippy::unwrap_used)] // each test binary uses a part; helpers outside of #[test] may unwrap

pub(crate) mod message;
pub(crate) mod random;
pub(crate) mod reference;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, UInt16Type, UInt32Type, UInt64Type};
use flowfast_decode::{
    Datagram, DecodeError, Decoder, DecoderOptions, SchemaKind, SetLoss, Stats, TableBatch,
    TableKind, Warning,
};

/// 14 November 2023, 22:13:20 UTC.
pub(crate) const EPOCH_NS: i64 = 1_700_000_000_000_000_000;
pub(crate) const SECOND_NS: i64 = 1_000_000_000;
pub(crate) const BOTH: [SchemaKind; 2] = [SchemaKind::Flows, SchemaKind::Wire];

/// Where a datagram comes from, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From {
    pub(crate) exporter: u32,
    pub(crate) port: u16,
    pub(crate) at_ns: i64,
}

pub(crate) const HERE: From = From {
    exporter: 0xc000_0201,
    port: 50000,
    at_ns: EPOCH_NS,
};

impl From {
    pub(crate) fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    pub(crate) fn exporter(self, exporter: u32) -> Self {
        Self { exporter, ..self }
    }

    pub(crate) fn datagram(self, payload: &[u8]) -> Datagram<'_> {
        Datagram {
            exporter: IpAddr::V4(Ipv4Addr::from(self.exporter)),
            exporter_port: self.port,
            local_port: 4739,
            received_ns: self.at_ns,
            payload,
        }
    }

    pub(crate) fn after_s(self, seconds: i64) -> Self {
        Self {
            at_ns: self.at_ns + seconds * SECOND_NS,
            ..self
        }
    }
}

/// A decoder, all the rows it gave, and the equations that hold at any time (architecture section 7, FF-RB-02).
pub(crate) struct Ledger {
    pub(crate) decoder: Decoder,
    pub(crate) batches: Vec<TableBatch>,
    flushed: usize,
}

pub(crate) fn options(schema: SchemaKind) -> DecoderOptions {
    DecoderOptions {
        schema,
        columns: vec!["full".to_owned()],
        ..DecoderOptions::default()
    }
}

impl Ledger {
    pub(crate) fn new(schema: SchemaKind) -> Self {
        Self::with(&options(schema))
    }

    pub(crate) fn with(options: &DecoderOptions) -> Self {
        Self {
            decoder: Decoder::new(options).unwrap(),
            batches: Vec::new(),
            flushed: 0,
        }
    }

    /// Decodes a datagram that may be malformed.
    pub(crate) fn offer(&mut self, from: From, payload: &[u8]) -> Result<(), DecodeError> {
        let datagram = from.datagram(payload);
        self.decoder.expect(&datagram);
        let outcome = self.decoder.decode(&datagram);
        self.check();
        outcome
    }

    /// Decodes a datagram that is well-formed.
    pub(crate) fn feed(&mut self, from: From, payload: &[u8]) {
        assert_eq!(self.offer(from, payload), Ok(()));
    }

    pub(crate) fn flush(&mut self) {
        let batches = self.decoder.flush();
        self.take(batches);
    }

    /// Flushes, forgets what came, and says how many rows it was.
    pub(crate) fn drain(&mut self) -> usize {
        self.flush();
        let rows = rows(&self.batches);
        self.batches.clear();
        rows
    }

    /// The end; every set has been decoded or is counted as discarded.
    pub(crate) fn finish(&mut self) {
        let batches = self.decoder.finish();
        self.take(batches);
        let stats = self.stats();
        assert_eq!((stats.sets_waiting, stats.set_octets_waiting), (0, 0));
    }

    fn take(&mut self, batches: Vec<TableBatch>) {
        self.flushed += rows(&batches);
        self.batches.extend(batches);
        assert_eq!(self.decoder.pending_rows(), 0);
        self.check();
        assert_eq!(self.decoder.unaccounted(), []);
    }

    pub(crate) fn check(&self) {
        let stats = self.stats();
        let discarded: u64 = stats.datagrams_discarded.iter().sum();
        assert_eq!(
            stats.datagrams_received,
            stats.datagrams_decoded + discarded
        );
        assert_eq!(
            stats.records_received + stats.biflows_split,
            stats.records_decoded + stats.records_absorbed
        );
        assert_eq!(
            stats.records_decoded as usize,
            self.flushed + self.decoder.pending_rows()
        );
    }

    pub(crate) fn stats(&self) -> &Stats {
        self.decoder.stats()
    }

    pub(crate) fn warnings(&self, warning: Warning) -> u64 {
        self.stats().warnings[warning as usize]
    }

    pub(crate) fn sets_lost(&self, loss: SetLoss) -> u64 {
        self.stats().sets_discarded[loss as usize]
    }

    /// The only batch there is.
    pub(crate) fn only(&mut self) -> RecordBatch {
        self.finish();
        assert_eq!(self.batches.len(), 1, "one table, one batch");
        self.batches[0].batch.clone()
    }

    /// The only batch of Flow Records, beside options data.
    pub(crate) fn only_flows(&mut self) -> RecordBatch {
        self.finish();
        self.batches.retain(|b| b.kind != TableKind::Options);
        self.only()
    }
}

pub(crate) fn rows(batches: &[TableBatch]) -> usize {
    batches.iter().map(|b| b.batch.num_rows()).sum()
}

fn primitive<T: ArrowPrimitiveType>(batch: &RecordBatch, name: &str) -> Vec<Option<T::Native>> {
    let column = batch
        .column_by_name(name)
        .unwrap_or_else(|| panic!("no column {name}"));
    column.as_primitive::<T>().iter().collect()
}

pub(crate) fn u16s(batch: &RecordBatch, name: &str) -> Vec<Option<u16>> {
    primitive::<UInt16Type>(batch, name)
}

pub(crate) fn u32s(batch: &RecordBatch, name: &str) -> Vec<Option<u32>> {
    primitive::<UInt32Type>(batch, name)
}

pub(crate) fn u64s(batch: &RecordBatch, name: &str) -> Vec<Option<u64>> {
    primitive::<UInt64Type>(batch, name)
}

/// A column that has a value in every row.
pub(crate) fn all<T>(values: Vec<Option<T>>) -> Vec<T> {
    values.into_iter().map(Option::unwrap).collect()
}

/// A string column.
pub(crate) fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let column = batch.column_by_name(name).unwrap().as_string::<i32>();
    column.iter().map(|text| text.map(str::to_owned)).collect()
}

/// Strings of a dictionary column.
pub(crate) fn words(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).unwrap().as_any_dictionary();
    let values = column.values().as_string::<i32>();
    let keys = column.normalized_keys();
    keys.into_iter()
        .map(|key| values.value(key).to_owned())
        .collect()
}

/// The datagrams of a vector in `tests/vectors`.
pub(crate) fn vector(path: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| octets(line.trim())).collect()
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

/// Every vector but those of sFlow: (name, datagrams).
pub(crate) fn vectors() -> Vec<(String, Vec<Vec<u8>>)> {
    let mut all = every_vector();
    all.retain(|(name, _)| !name.starts_with("sflow"));
    all
}

/// The datagrams of all vectors.
pub(crate) fn all_datagrams() -> Vec<Vec<u8>> {
    every_vector().into_iter().flat_map(|each| each.1).collect()
}

/// The vectors of sFlow: (name, datagrams).
pub(crate) fn sflow_vectors() -> Vec<(String, Vec<Vec<u8>>)> {
    let mut all = every_vector();
    all.retain(|(name, _)| name.starts_with("sflow"));
    all
}

fn every_vector() -> Vec<(String, Vec<Vec<u8>>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, vector(&path))
        })
        .collect();
    all.sort();
    all
}
