//! Sequence numbers: what was lost before us, in the format's own unit (spec 2.3.4), and what exporters themselves say they sent.

mod samples;
mod statistics;
mod streams;
mod tracker;

pub use samples::SampleTotals;
pub(crate) use samples::{Pool, SampleHeader, SampleKind, SampleSequences};
pub use statistics::ExporterReport;
pub(crate) use streams::{News, SequencedMessage, Streams, Volume, Whose};
pub(crate) use tracker::{Counting, Position, SequenceEvent, Units};
