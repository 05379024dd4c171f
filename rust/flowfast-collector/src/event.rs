//! What the workers tell the consumer.

use flowfast_decode::TableBatch;

/// One event, in the order in which its worker sent it.
#[derive(Clone, Debug)]
pub enum Event {
    /// Rows of one table.
    Batch(Batch),
    /// A worker has closed a rotation interval.
    IntervalEnd(IntervalEnd),
}

/// Rows of one table from one worker and one rotation interval.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its number among those that the consumer got: by it, whoever takes the rows says what became of them.
    pub id: u64,
    /// The table and its rows.
    pub rows: TableBatch,
    /// Index of the worker that decoded them, over all listeners.
    pub worker: usize,
    /// Start of the rotation interval that all rows were received in, UNIX seconds; 0 without rotation.
    pub interval_start_s: i64,
}

/// The worker will send no more rows of this rotation interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntervalEnd {
    /// Index of the worker, over all listeners.
    pub worker: usize,
    /// Start of the interval, UNIX seconds.
    pub interval_start_s: i64,
    /// Rows of the interval that the queue had no room for.
    pub rows_missing: u64,
    /// The journal's segment with the datagrams of the interval, if there is one.
    pub segment: Option<Segment>,
}

/// A journal segment that will not change any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The file, in the journal's directory.
    pub name: String,
    /// It has every datagram that was received in the interval.
    pub is_whole: bool,
    /// The sets that no template came for are in a file of their own, if there were any.
    pub late_is_kept: bool,
    /// Templates were defined in the interval that had not been known before.
    pub has_new_templates: bool,
}
