//! The bounded queue between workers and consumer, and what happens when it is full.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flowfast_decode::{AdmissionOptions, TableBatch};

use crate::event::{Batch, Event, IntervalEnd, Segment};

/// How often a worker that waits for room looks whether it still should.
const PATIENCE: Duration = Duration::from_millis(20);

/// Ends of intervals that may wait for room. See [`Outbox::end`].
const MAX_WAITING_ENDS: usize = 64;

/// What a worker does with rows that find the queue full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Drop and count them, and go on reading the socket: blocking would move the loss into the kernel, unattributed.
    Drop,
    /// Wait for room.
    Block,
}

/// What the consumer asks of all workers.
#[derive(Debug, Default)]
pub(crate) struct Control {
    stopping: AtomicBool,
    abandoned: AtomicBool,
    journal_paused: AtomicBool,
    /// Rows that find the queue full wait for room.
    blocking: AtomicBool,
    /// How often the workers were told to end their interval.
    rotations: AtomicU32,
    /// How often whom to hear was changed, and to what.
    admissions: AtomicU32,
    admission: Mutex<AdmissionOptions>,
    /// Seconds of the intervals after the latest of these rotations, if they change; else [`UNCHANGED`].
    rotate_s: AtomicU32,
}

/// No rotation is so long.
const UNCHANGED: u32 = u32::MAX;

impl Control {
    pub(crate) fn new(when_full: WhenFull) -> Self {
        let control = Self::default();
        control.set_when_full(when_full);
        control.rotate_s.store(UNCHANGED, Ordering::Relaxed);
        control
    }

    pub(crate) fn set_when_full(&self, when_full: WhenFull) {
        self.blocking
            .store(when_full == WhenFull::Block, Ordering::Relaxed);
    }

    /// End the present interval now; later ones last so many seconds, or as long as before.
    pub(crate) fn rotate(&self, rotate_s: Option<u32>) {
        if let Some(rotate_s) = rotate_s {
            self.rotate_s.store(rotate_s, Ordering::Relaxed);
        }
        // Whoever sees the new count also sees the length that was stored before it.
        self.rotations.fetch_add(1, Ordering::Release);
    }

    /// How often [`Self::rotate`] was called.
    pub(crate) fn rotations(&self) -> u32 {
        self.rotations.load(Ordering::Acquire)
    }

    /// Hear these from now on.
    pub(crate) fn set_admission(&self, admission: AdmissionOptions) {
        *self.lock_admission() = admission;
        self.admissions.fetch_add(1, Ordering::Release);
    }

    /// How often [`Self::set_admission`] was called.
    pub(crate) fn admissions(&self) -> u32 {
        self.admissions.load(Ordering::Acquire)
    }

    /// What it was called with last.
    pub(crate) fn admission(&self) -> AdmissionOptions {
        self.lock_admission().clone()
    }

    fn lock_admission(&self) -> MutexGuard<'_, AdmissionOptions> {
        self.admission
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds of an interval, if they were changed.
    pub(crate) fn rotate_s(&self) -> Option<u32> {
        Some(self.rotate_s.load(Ordering::Relaxed)).filter(|&rotate_s| rotate_s != UNCHANGED)
    }

    /// Read what is there, flush, stop.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Stop, and wait for no consumer: there is none any more.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.stop();
    }

    /// Write nothing into the journal, or do again: who consumes the rows watches over the disk.
    pub(crate) fn pause_journal(&self, paused: bool) {
        self.journal_paused.store(paused, Ordering::Relaxed);
    }

    pub(crate) fn journal_paused(&self) -> bool {
        self.journal_paused.load(Ordering::Relaxed)
    }

    fn blocking(&self) -> bool {
        self.blocking.load(Ordering::Relaxed)
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }
}

/// One place in the queue: one flush of one worker, however many tables it fills.
#[derive(Debug)]
enum Item {
    Rows {
        worker: usize,
        interval_start_s: i64,
        tables: Vec<TableBatch>,
    },
    End(IntervalEnd),
}

/// What became of rows that a worker sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// They are in the queue.
    Queued,
    /// The queue was full: dropped.
    QueueFull,
    /// The consumer is gone: dropped.
    Closed,
}

/// The queue itself: room for so many flushes, from many workers to one consumer.
///
/// A channel would do, but who waits on one (crossbeam's, std's) first spins and yields for a while, on a core that a worker could use: with
/// every batch, and ten times a second without.
#[derive(Debug)]
pub(crate) struct Queue {
    capacity: usize,
    state: Mutex<State>,
    /// Something has come, or the last worker has left.
    arrived: Condvar,
    /// Something was taken.
    taken: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// Batches of the flush that was taken last, which the consumer gets one by one.
    unpacked: VecDeque<Batch>,
    /// Batches taken so far.
    batches: u64,
    /// Workers that may still send.
    workers: usize,
}

impl State {
    /// The next event, if there is one.
    fn take(&mut self) -> Option<Event> {
        loop {
            if let Some(batch) = self.unpacked.pop_front() {
                return Some(Event::Batch(batch));
            }
            match self.items.pop_front()? {
                Item::End(end) => return Some(Event::IntervalEnd(end)),
                Item::Rows {
                    worker,
                    interval_start_s,
                    tables,
                } => {
                    let batches = (self.batches..).zip(tables).map(|(id, rows)| Batch {
                        id,
                        rows,
                        worker,
                        interval_start_s,
                    });
                    self.unpacked.extend(batches);
                    self.batches += self.unpacked.len() as u64;
                }
            }
        }
    }
}

impl Queue {
    /// A queue of so many flushes.
    pub(crate) fn new(flushes: usize) -> Self {
        Self {
            capacity: flushes.max(1),
            state: Mutex::default(),
            arrived: Condvar::new(),
            taken: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next event; None after `timeout`, or at once when all workers are gone and nothing is left.
    pub(crate) fn next(&self, timeout: Duration) -> Option<Event> {
        let deadline = Instant::now() + timeout;
        let mut state = self.state();
        loop {
            if let Some(event) = state.take() {
                drop(state);
                self.taken.notify_one();
                return Some(event);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.workers == 0 {
                return None;
            }
            state = wait(&self.arrived, state, left);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state();
        state.items.is_empty() && state.unpacked.is_empty()
    }

    /// Flushes in the queue.
    pub(crate) fn depth(&self) -> usize {
        self.state().items.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }
}

fn wait<'a>(
    condition: &Condvar,
    state: MutexGuard<'a, State>,
    timeout: Duration,
) -> MutexGuard<'a, State> {
    let waited = condition.wait_timeout(state, timeout);
    waited.unwrap_or_else(PoisonError::into_inner).0
}

/// A worker's end of the queue.
#[derive(Debug)]
pub(crate) struct Outbox {
    worker: usize,
    queue: Arc<Queue>,
    control: Arc<Control>,
    waiting_ends: VecDeque<IntervalEnd>,
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.queue.state().workers -= 1;
        self.queue.arrived.notify_one();
    }
}

impl Outbox {
    pub(crate) fn new(worker: usize, queue: Arc<Queue>, control: Arc<Control>) -> Self {
        queue.state().workers += 1;
        Self {
            worker,
            queue,
            control,
            waiting_ends: VecDeque::new(),
        }
    }

    pub(crate) fn worker(&self) -> usize {
        self.worker
    }

    /// What the consumer asks of the worker.
    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// Send the rows of one flush, whole or not at all.
    pub(crate) fn rows(&mut self, interval_start_s: i64, tables: Vec<TableBatch>) -> Sent {
        match self.send_waiting_ends() {
            Sent::Queued => self.send(Item::Rows {
                worker: self.worker,
                interval_start_s,
                tables,
            }),
            failed => failed,
        }
    }

    /// Say that an interval is closed. This is never dropped: it waits here for room, and no newer rows overtake it.
    ///
    /// While one end waits all newer rows are dropped, so every later end that waits closes an interval without queued rows;
    /// of those the oldest are forgotten when too many wait. Their segments stay in the journal.
    pub(crate) fn end(
        &mut self,
        interval_start_s: i64,
        rows_missing: u64,
        segment: Option<Segment>,
    ) {
        if self.waiting_ends.len() == MAX_WAITING_ENDS {
            self.waiting_ends.remove(1);
        }
        self.waiting_ends.push_back(IntervalEnd {
            worker: self.worker,
            interval_start_s,
            rows_missing,
            segment,
        });
        self.send_waiting_ends();
    }

    /// Try again what waits for room.
    pub(crate) fn send_waiting_ends(&mut self) -> Sent {
        while let Some(end) = self.waiting_ends.pop_front() {
            let sent = self.send(Item::End(end.clone()));
            if sent != Sent::Queued {
                self.waiting_ends.push_front(end);
                return sent;
            }
        }
        Sent::Queued
    }

    fn send(&self, item: Item) -> Sent {
        let mut state = self.queue.state();
        loop {
            if self.control.abandoned() {
                return Sent::Closed;
            }
            if state.items.len() < self.queue.capacity {
                state.items.push_back(item);
                drop(state);
                self.queue.arrived.notify_one();
                return Sent::Queued;
            }
            // Once stopping there is no socket to keep reading, so the last rows may wait for the consumer.
            if !self.control.blocking() && !self.control.stopping() {
                return Sent::QueueFull;
            }
            state = wait(&self.queue.taken, state, PATIENCE);
        }
    }
}

#[cfg(test)]
mod tests;
