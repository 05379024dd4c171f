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
    /// The table and its rows.
    pub rows: TableBatch,
    /// Index of the worker that decoded them, over all listeners.
    pub worker: usize,
    /// Start of the rotation interval that all rows were received in, UNIX seconds; 0 without rotation.
    pub interval_start_s: i64,
}

/// The worker will send no more rows of this rotation interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalEnd {
    /// Index of the worker, over all listeners.
    pub worker: usize,
    /// Start of the interval, UNIX seconds.
    pub interval_start_s: i64,
}
