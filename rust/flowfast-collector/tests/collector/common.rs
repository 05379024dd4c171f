//! What the tests on real sockets share.

use std::collections::HashMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use flowfast_collector::{
    Batch, Batching, Collector, CollectorOptions, Counters, Event, IntervalEnd, Listen,
    ListenFormat, WhenFull,
};
use flowfast_decode::DecoderOptions;

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn decoder_options() -> DecoderOptions {
    DecoderOptions {
        columns: vec!["minimal".to_owned()],
        ..DecoderOptions::default()
    }
}

/// One listener on a free port of 127.0.0.1.
pub(crate) fn options(workers: usize, format: ListenFormat) -> CollectorOptions {
    CollectorOptions {
        listen: vec![Listen {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            workers,
            format,
        }],
        inherited: Vec::new(),
        decoder: decoder_options(),
        batching: Batching {
            rotate_s: 0,
            rows: 100,
            age_ns: Some(50_000_000),
            ledger: false,
        },
        rcvbuf: 0,
        queue_batches: 64,
        when_full: WhenFull::Drop,
        journal: None,
        state: Vec::new(),
    }
}

/// A socket that sends to the first listener, from any address of 127.0.0.0/8.
pub(crate) fn sender(collector: &Collector, from: Ipv4Addr) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket
        .connect(collector.listeners()[0].listen.address)
        .unwrap();
    socket
}

/// Waits until `reached`, and fails the test if that never is.
pub(crate) fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < PATIENCE, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Everything until the collector has finished.
pub(crate) fn drain(
    next_event: impl Fn(Duration) -> Option<Event>,
    finished: impl Fn() -> bool,
) -> (Vec<Batch>, Vec<IntervalEnd>) {
    let start = Instant::now();
    let (mut batches, mut ends) = (Vec::new(), Vec::new());
    while !finished() {
        assert!(start.elapsed() < PATIENCE, "waited for the end");
        match next_event(Duration::from_millis(100)) {
            Some(Event::Batch(batch)) => batches.push(batch),
            Some(Event::IntervalEnd(end)) => ends.push(end),
            None => {}
        }
    }
    (batches, ends)
}

pub(crate) fn drain_collector(collector: &Collector) -> (Vec<Batch>, Vec<IntervalEnd>) {
    drain(
        |timeout| collector.next_event(timeout),
        || collector.finished(),
    )
}

pub(crate) fn rows(batches: &[Batch]) -> u64 {
    batches
        .iter()
        .map(|batch| batch.rows.batch.num_rows() as u64)
        .sum()
}

/// Rows by worker.
pub(crate) fn rows_by_worker(batches: &[Batch]) -> HashMap<usize, u64> {
    let mut by_worker = HashMap::new();
    for batch in batches {
        *by_worker.entry(batch.worker).or_default() += batch.rows.batch.num_rows() as u64;
    }
    by_worker
}

/// The equations of the ledger, once everything has stopped.
pub(crate) fn assert_adds_up(counters: &Counters) {
    let total = |name| counters.total(name);
    assert_eq!(
        total("datagrams_received"),
        total("datagrams_decoded") + total("datagrams_discarded")
    );
    assert_eq!(
        total("records_decoded"),
        total("records_queued") + total("records_dropped")
    );
    assert_eq!(total("records_pending"), 0);
}
