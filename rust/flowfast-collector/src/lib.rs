//! Sockets, workers and queues around `flowfast-decode`.
//!
//! [`Collector`] receives UDP datagrams, [`Replay`] reads them out of capture files; both decode them in worker threads that share
//! nothing, and hand rows to one consumer through a bounded queue. Every datagram and every record is counted exactly once.

pub mod bench;
#[cfg(test)]
#[path = "../tests/collector/capture_files.rs"]
mod capture_files;
mod collector;
mod consumer;
mod error;
mod event;
pub mod exporter;
mod floor;
mod journal;
mod lane;
mod metrics;
mod net;
#[cfg(test)]
#[path = "../tests/collector/payload.rs"]
mod payload;
mod pcap;
mod queue;
mod replay;
mod series;
mod unknown;
mod worker;

pub use collector::{Collector, CollectorOptions, Inherited, Listen, Listener};
pub use error::StartError;
pub use event::{Batch, Event, IntervalEnd, Segment};
pub use floor::{ReceiveFloor, Received};
pub use journal::{CaptureFaults, JournalOptions, known_templates};
pub use lane::{BATCH_ROWS, Batching};
pub use metrics::{Counters, FatalDatagram};
pub use queue::WhenFull;
pub use replay::{Replay, ReplayOptions};
pub use series::{DomainSeries, ExporterSeries, Room, Series};
pub use unknown::UnknownElement;
pub use worker::ListenFormat;
