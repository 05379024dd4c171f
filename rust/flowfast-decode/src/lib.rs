//! Bytes in, Arrow record batches out: NetFlow v1-v8, v9, IPFIX and sFlow.
//!
//! Pure: no sockets, no threads, no clock (time is an argument), no Python. A datagram goes one way:
//!
//! - `admission`: who is heard at all;
//! - `wire`: checked views of the octets, one file per format;
//! - `format`: what each format does with a datagram: whose is it, which sets, which sequence;
//! - `template`: which template an Observation Domain uses, and what its options data taught;
//! - `plan`: a template compiled against the schema, shared by all templates of equal definition;
//! - `staging`: short sets of one plan brought together;
//! - `kernel`: runs a plan's ops over all staged records, into `column`s;
//! - `batch`: tables while they grow, and the record batches they become;
//! - `ledger`: what became of every datagram and record, by Exporter.
//!
//! `decoder` holds it together and is the face; `schema` and `element` say what columns and fields mean.
#![forbid(unsafe_code)]

mod admission;
mod batch;
mod bytes;
mod column;
mod convert;
mod decoder;
mod element;
mod error;
mod format;
mod kernel;
mod ledger;
mod plan;
mod prefetch;
mod schema;
mod sequence;
mod staging;
mod stats;
mod tables;
mod template;
mod wire;

pub use admission::{AdmissionOptions, Network, NetworkError};
pub use batch::{TableBatch, TableKind};
pub use decoder::{
    Datagram, Decoder, DecoderOptions, EXPECTED_AHEAD, ExporterSummary, KeptMessage, PlanSummary,
    PlanUser, TemplateField, TemplateSummary,
};
pub use element::{AbstractDataType, ElementId, InformationElement};
pub use error::{DecodeError, OptionsError, RecordLoss, SetLoss, Warning};
pub use kernel::Kernel;
pub use ledger::{AccountSummary, Ledger, LedgerEntry};
pub use plan::{PlannedColumn, PlannedField};
pub use schema::{FLOW_COLUMNS, FlowColumn, Profile, SchemaKind};
pub use sequence::{ExporterReport, SampleTotals};
pub use stats::{Counter, Stats};
pub use template::limits::Limits;

#[cfg(fuzzing)]
pub use wire::getters::read_all;
