//! Rotation on real sockets and real time: boundaries lose and double nothing.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::common::{assert_adds_up, drain_collector, options, rows, sender};
use crate::payload::netflow5;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use flowfast_collector::{Batch, Collector, IntervalEnd, ListenFormat};

const ROTATE_S: i64 = 1;

#[test]
fn every_row_is_in_the_interval_it_was_received_in_and_no_row_follows_the_end() {
    let mut options = options(2, ListenFormat::Any);
    (options.batching.rotate_s, options.queue_batches) = (ROTATE_S as u32, 4096);
    let collector = Collector::bind(&options).unwrap();
    collector.start().unwrap();
    let senders: Vec<_> = (1..=8)
        .map(|last| sender(&collector, Ipv4Addr::new(127, 0, 0, last)))
        .collect();
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < Duration::from_millis(2500) {
        for sender in &senders {
            sender.send(&netflow5(sent)).unwrap();
            sent += 1;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    collector.stop();
    let (batches, ends) = drain_collector(&collector);

    let counters = collector.counters();
    assert_eq!(
        rows(&batches) + counters.total("kernel_drops"),
        u64::from(sent)
    );
    assert_adds_up(&counters);
    for batch in &batches {
        let times = batch
            .rows
            .batch
            .column_by_name("time_received")
            .unwrap()
            .as_primitive::<TimestampMicrosecondType>();
        for time_us in times.values() {
            assert_eq!(
                time_us.div_euclid(1_000_000 * ROTATE_S) * ROTATE_S,
                batch.interval_start_s
            );
        }
    }
    let intervals = |batches: &[Batch]| {
        batches
            .iter()
            .map(|batch| (batch.worker, batch.interval_start_s))
            .collect::<HashSet<_>>()
    };
    let ended: Vec<_> = ends
        .iter()
        .map(|end| (end.worker, end.interval_start_s))
        .collect();
    assert!(
        intervals(&batches).len() >= 6,
        "two workers, three intervals"
    );
    assert!(
        intervals(&batches).is_subset(&ended.iter().copied().collect()),
        "every interval has ended"
    );
    assert_eq!(
        ended.iter().collect::<HashSet<_>>().len(),
        ended.len(),
        "and once only"
    );
}

#[test]
fn an_interval_ends_in_time_without_any_datagram() {
    let mut options = options(1, ListenFormat::Any);
    options.batching.rotate_s = ROTATE_S as u32;
    let collector = Collector::bind(&options).unwrap();
    collector.start().unwrap();
    sender(&collector, Ipv4Addr::LOCALHOST)
        .send(&netflow5(1))
        .unwrap();
    std::thread::sleep(Duration::from_millis(2200));
    let mut order: HashMap<i64, Vec<&str>> = HashMap::new();
    while let Some(event) = collector.next_event(Duration::ZERO) {
        match event {
            flowfast_collector::Event::Batch(batch) => order
                .entry(batch.interval_start_s)
                .or_default()
                .push("rows"),
            flowfast_collector::Event::IntervalEnd(IntervalEnd {
                interval_start_s, ..
            }) => {
                order.entry(interval_start_s).or_default().push("end");
            }
        }
    }
    assert!(order.len() >= 2, "{order:?}");
    assert!(
        order.values().any(|events| events == &["rows", "end"]),
        "{order:?}"
    );
    assert!(
        order.values().all(|events| events.last() == Some(&"end")),
        "{order:?}"
    );
}
