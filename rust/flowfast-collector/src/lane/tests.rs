use std::net::Ipv4Addr;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use flowfast_decode::TableKind;

use super::*;
use crate::consumer::Consumer;
use crate::event::Event;
use crate::journal::JournalOptions;
use crate::payload::netflow5;
use crate::queue::WhenFull;
use crate::replay::read_datagrams;

/// A payload that makes the decoder panic.
pub(super) const PANIC: &[u8] = b"panic";

const EXPORTER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn lane(batching: Batching, flushes: usize, when_full: WhenFull) -> (Lane, Consumer) {
    let options = DecoderOptions {
        columns: vec!["minimal".to_owned()],
        ..DecoderOptions::default()
    };
    let (consumer, seats) = Consumer::new(0..1, flushes, when_full);
    let seat = seats.into_iter().next().unwrap();
    (Lane::new(options, batching, seat).unwrap(), consumer)
}

fn batching(rotate_s: u32, rows: usize) -> Batching {
    Batching {
        rotate_s,
        rows,
        age_ns: None,
        ledger: false,
    }
}

fn feed(lane: &mut Lane, payload: &[u8], received_ns: i64) {
    lane.datagram_at_its_time(&Datagram {
        exporter: EXPORTER,
        exporter_port: 1,
        local_port: 2055,
        received_ns,
        payload,
    });
}

/// Rows of the ledger, as (minute, counter, label or empty, count), of every Exporter.
type Told = (i64, String, String, i64);

fn ledger_rows(batch: &TableBatch) -> Vec<Told> {
    let text = |name, row| {
        let column = batch.batch.column_by_name(name).unwrap().as_string::<i32>();
        column
            .iter()
            .nth(row)
            .unwrap()
            .unwrap_or_default()
            .to_owned()
    };
    let minutes = batch.batch.column_by_name("minute").unwrap();
    let minutes = minutes.as_primitive::<TimestampMicrosecondType>().values();
    let counts = batch.batch.column_by_name("count").unwrap();
    let counts = counts.as_primitive::<Int64Type>().values();
    let told = |row| {
        let minute_s = minutes[row] / 1_000_000;
        (
            minute_s,
            text("counter", row),
            text("label", row),
            counts[row],
        )
    };
    (0..counts.len()).map(told).collect()
}

/// Everything that came: rows of other tables, and those of the ledger.
fn take_ledger(consumer: &Consumer) -> (usize, Vec<Told>) {
    let (mut rows, mut told) = (0, Vec::new());
    while let Some(event) = consumer.next_event(Duration::ZERO) {
        match event {
            Event::Batch(batch) if batch.rows.kind == TableKind::Ledger => {
                told.extend(ledger_rows(&batch.rows));
            }
            Event::Batch(batch) => rows += batch.rows.batch.num_rows(),
            Event::IntervalEnd(_) => {}
        }
    }
    (rows, told)
}

/// The sums of the ledger are the counters.
fn assert_ledger_is_whole(consumer: &Consumer, told: &[Told]) {
    let mut sums = std::collections::BTreeMap::<(&str, &str), i64>::new();
    for (_, counter, label, count) in told {
        *sums.entry((counter, label)).or_default() += count;
    }
    for ((counter, label), count) in sums {
        let label = (!label.is_empty()).then_some(label);
        assert_eq!(
            consumer.counters().find(counter, label),
            Some(count),
            "{counter} {label:?}"
        );
    }
}

#[test]
fn what_the_kernel_drops_is_taken_for_trains_like_those_that_came() {
    let (mut lane, consumer) = lane(batching(60, 1000), 99, WhenFull::Block);
    let receive = |lane: &mut Lane, trains: u32, datagrams: u32| {
        lane.own.trains_received += u64::from(trains);
        (0..datagrams).for_each(|number| feed(lane, &netflow5(number), 0));
    };
    receive(&mut lane, 9, 9);
    lane.kernel_dropped(4); // as single as those that came
    receive(&mut lane, 2, 7);
    lane.kernel_dropped(4); // 7 / 2 each
    lane.kernel_dropped(3); // nothing came meanwhile: one at least
    lane.finish();
    let counters = consumer.counters();
    assert_eq!(counters.find("kernel_drops", None), Some(11));
    assert_eq!(
        counters.find("kernel_drops_datagrams", None),
        Some(4 + 14 + 3)
    );
}

#[test]
fn the_ledger_tells_every_minute_what_became_of_everything() {
    let batching = Batching {
        ledger: true,
        ..batching(60, 2)
    };
    let (mut lane, consumer) = lane(batching, 99, WhenFull::Block);
    for (number, second) in (0..).zip([0, 10, 59, 60, 61, 200]) {
        feed(&mut lane, &netflow5(number), second * NS_PER_S);
    }
    feed(&mut lane, b"no flows", 200 * NS_PER_S);
    lane.kernel_dropped(7);
    lane.finish();
    let (rows, told) = take_ledger(&consumer);
    assert_eq!(rows, 6);
    let of = |minute_s, counter| {
        let same = |each: &&Told| each.0 == minute_s && each.1 == counter;
        told.iter().filter(same).map(|each| each.3).sum::<i64>()
    };
    for (minute_s, records) in [(0, 3), (60, 2), (180, 1)] {
        assert_eq!(of(minute_s, "records_decoded"), records);
        assert_eq!(of(minute_s, "records_queued"), records);
        assert_eq!(of(minute_s, "records_pending"), 0);
    }
    assert_eq!(of(180, "datagrams_received"), 2);
    assert_eq!(of(180, "datagrams_discarded"), 1);
    assert_eq!(of(180, "kernel_drops"), 7);
    assert_eq!(of(180, "kernel_drops_datagrams"), 7);
    assert_ledger_is_whole(&consumer, &told);
    assert_adds_up(&consumer);
}

#[test]
fn rows_of_the_ledger_wait_for_room() {
    let batching = Batching {
        ledger: true,
        ..batching(3600, 1)
    };
    let (mut lane, consumer) = lane(batching, 1, WhenFull::Drop);
    for (number, minute) in (0..).zip([0, 0, 1, 2]) {
        feed(&mut lane, &netflow5(number), minute * 60 * NS_PER_S);
    }
    // Row 0 took the only place: rows 1 to 3 are lost, and the ledger's of minutes 0 and 1 wait.
    assert_eq!(take_ledger(&consumer), (1, vec![]));
    lane.publish(121 * NS_PER_S);
    let (_, mut told) = take_ledger(&consumer);
    assert!(told.iter().all(|each| each.0 == 0), "{told:?}");
    assert!(
        told.contains(&(0, "records_decoded".into(), String::new(), 4)),
        "{told:?}"
    );
    assert!(
        told.contains(&(0, "records_dropped".into(), "queue_full".into(), 3)),
        "{told:?}"
    );
    feed(&mut lane, &netflow5(4), 122 * NS_PER_S);
    assert_eq!(take_ledger(&consumer), (1, vec![]));
    lane.finish();
    let (_, last) = take_ledger(&consumer);
    assert!(
        last.contains(&(120, "records_queued".into(), String::new(), 1)),
        "{last:?}"
    );
    told.extend(last);
    assert_ledger_is_whole(&consumer, &told);
}

#[test]
fn the_ledger_outlives_a_panic() {
    let batching = Batching {
        ledger: true,
        ..batching(60, 2)
    };
    let (mut lane, consumer) = lane(batching, 99, WhenFull::Block);
    for payload in [
        &netflow5(1)[..],
        &netflow5(2),
        &netflow5(3),
        PANIC,
        &netflow5(4),
        b"",
    ] {
        feed(&mut lane, payload, 0);
    }
    lane.finish();
    let (_, told) = take_ledger(&consumer);
    assert_ledger_is_whole(&consumer, &told);
    assert!(
        told.contains(&(0, "records_dropped".into(), "worker_panic".into(), 1)),
        "{told:?}"
    );
    assert!(
        told.contains(&(0, "datagrams_discarded".into(), "worker_panic".into(), 1)),
        "{told:?}"
    );
}

/// Rows of a batch with its interval, or the end of an interval.
#[derive(Debug, PartialEq)]
enum Seen {
    Rows(i64, usize),
    End(i64),
}

fn events(consumer: &Consumer) -> Vec<Seen> {
    std::iter::from_fn(|| consumer.next_event(Duration::ZERO))
        .map(|event| match event {
            Event::Batch(batch) => Seen::Rows(batch.interval_start_s, batch.rows.batch.num_rows()),
            Event::IntervalEnd(end) => Seen::End(end.interval_start_s),
        })
        .collect()
}

fn assert_adds_up(consumer: &Consumer) {
    let counters = consumer.counters();
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

#[test]
fn a_batch_closes_when_it_is_full() {
    let (mut lane, consumer) = lane(batching(0, 3), 9, WhenFull::Block);
    for number in 0..7 {
        feed(&mut lane, &netflow5(number), 0);
    }
    assert_eq!(events(&consumer), [Seen::Rows(0, 3), Seen::Rows(0, 3)]);
    lane.finish();
    assert_eq!(
        events(&consumer),
        [Seen::Rows(0, 1)],
        "without rotation there are no ends"
    );
    assert_adds_up(&consumer);
}

#[test]
fn a_batch_closes_when_it_is_old_and_a_clock_set_back_does_not_hold_it() {
    let batching = Batching {
        age_ns: Some(NS_PER_S),
        ..batching(0, 100)
    };
    let (mut lane, consumer) = lane(batching, 9, WhenFull::Block);
    feed(&mut lane, &netflow5(1), 5 * NS_PER_S);
    feed(&mut lane, &netflow5(2), 5 * NS_PER_S + 900_000_000);
    lane.advance(6 * NS_PER_S - 1);
    assert_eq!(events(&consumer), []);
    lane.advance(6 * NS_PER_S);
    assert_eq!(events(&consumer), [Seen::Rows(0, 2)]);
    feed(&mut lane, &netflow5(3), 6 * NS_PER_S);
    lane.advance(NS_PER_S);
    assert_eq!(events(&consumer), [Seen::Rows(0, 1)]);
}

#[test]
fn batches_never_span_an_interval() {
    let (mut lane, consumer) = lane(batching(60, 100), 99, WhenFull::Block);
    let times_s = [59, 60, 61, 119, 120, 300, 299, 301];
    for (number, time_s) in (0..).zip(times_s) {
        feed(&mut lane, &netflow5(number), time_s * NS_PER_S);
    }
    lane.finish();
    let expected = [
        (Seen::Rows(0, 1), Seen::End(0)),
        (Seen::Rows(60, 3), Seen::End(60)),
        (Seen::Rows(120, 1), Seen::End(120)),
        (Seen::Rows(300, 1), Seen::End(300)),
        (Seen::Rows(240, 1), Seen::End(240)), // time went back: just another interval
        (Seen::Rows(300, 1), Seen::End(300)),
    ];
    assert_eq!(
        events(&consumer),
        expected
            .into_iter()
            .flat_map(|(rows, end)| [rows, end])
            .collect::<Vec<_>>()
    );
    assert_eq!(
        consumer.counters().total("records_queued"),
        times_s.len() as u64
    );
    assert_adds_up(&consumer);
}

#[test]
fn a_rotation_that_is_asked_for_ends_the_interval_and_may_change_the_length() {
    let (mut lane, consumer) = lane(batching(60, 100), 9, WhenFull::Block);
    let at = |second| second * NS_PER_S;
    feed(&mut lane, &netflow5(1), at(121));
    consumer.control.rotate(None);
    feed(&mut lane, &netflow5(2), at(122));
    feed(&mut lane, &netflow5(3), at(179));
    consumer.control.rotate(Some(3600));
    lane.advance(at(181)); // without a datagram, too
    feed(&mut lane, &netflow5(4), at(240));
    lane.finish();
    let expected = [
        Seen::Rows(120, 1),
        Seen::End(120),
        Seen::Rows(120, 2),
        Seen::End(120),
        Seen::Rows(0, 1),
        Seen::End(0),
    ];
    assert_eq!(events(&consumer), expected);
    assert_adds_up(&consumer);
}

#[test]
fn intervals_before_the_epoch_start_at_a_multiple_too() {
    assert_eq!(Interval::of(-1, 60).start_s, -60);
    assert_eq!(Interval::of(i64::MIN, 60).start_s.rem_euclid(60), 0);
    assert_eq!(Interval::of(i64::MAX, 3600).until_ns, i64::MAX);
}

#[test]
fn a_panic_costs_the_decoder_and_nothing_uncounted() {
    let (mut lane, consumer) = lane(batching(60, 2), 99, WhenFull::Block);
    for payload in [
        &netflow5(1)[..],
        &netflow5(2),
        &netflow5(3),
        PANIC,
        &netflow5(4),
        b"",
        PANIC,
    ] {
        feed(&mut lane, payload, 0);
    }
    lane.finish();
    assert_eq!(events(&consumer), [Seen::Rows(0, 2), Seen::End(0)]);
    let counters = consumer.counters();
    assert_eq!(counters.total("worker_panics"), 2);
    assert_eq!(counters.total("datagrams_received"), 7);
    assert_eq!(counters.labelled("datagrams_discarded", "worker_panic"), 2);
    assert_eq!(
        counters.labelled("records_dropped", "worker_panic"),
        2,
        "rows 3 and 4 were pending"
    );
    assert_adds_up(&consumer);
}

#[test]
fn a_datagram_that_panics_is_told_and_in_the_journal() {
    let directory = std::env::temp_dir().join(format!("flowfast-{}-panic", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let batching = Batching {
        ledger: true,
        ..batching(60, 2)
    };
    let (mut lane, consumer) = lane(batching, 99, WhenFull::Block);
    let options = JournalOptions {
        directory: directory.clone(),
        run: "run".to_owned(),
    };
    lane.journal = Some(Journal::new(options, 0, consumer.control.clone()));
    let payloads = [
        &netflow5(1)[..],
        &netflow5(2),
        &netflow5(3),
        PANIC,
        &netflow5(4),
    ];
    for payload in payloads {
        feed(&mut lane, payload, 0);
    }
    lane.finish();
    let mut journaled = Vec::new();
    read_datagrams(&directory.join("0-0-run-0.pcap"), |datagram, teaches| {
        if !teaches {
            journaled.push(datagram.payload.to_vec());
        }
    })
    .unwrap();
    assert_eq!(journaled, payloads);
    let told = consumer.fatal_datagrams();
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].payload, told[0].exporter), (PANIC, EXPORTER));
    let counters = consumer.counters();
    assert_eq!(counters.total("worker_panics"), 1);
    assert_eq!(counters.total("datagrams_journaled"), 5);
    // The third row was pending: the journal gives it again, as one that found the queue full.
    assert_eq!(counters.labelled("records_dropped", "to_journal"), 1);
    assert_eq!(counters.labelled("records_dropped", "worker_panic"), 0);
    assert_adds_up(&consumer);
    let (rows, told) = take_ledger(&consumer);
    assert_eq!(rows, 3);
    assert_ledger_is_whole(&consumer, &told);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_full_queue_drops_whole_flushes_and_counts_them() {
    let (mut lane, consumer) = lane(batching(0, 2), 2, WhenFull::Drop);
    for number in 0..10 {
        feed(&mut lane, &netflow5(number), 0);
    }
    assert_eq!(events(&consumer), [Seen::Rows(0, 2), Seen::Rows(0, 2)]);
    feed(&mut lane, &netflow5(10), 0);
    lane.finish();
    assert_eq!(events(&consumer), [Seen::Rows(0, 1)]);
    assert_eq!(
        consumer
            .counters()
            .labelled("records_dropped", "queue_full"),
        6
    );
    assert_adds_up(&consumer);
}

#[test]
fn the_end_of_an_interval_is_never_dropped_nor_overtaken() {
    let (mut lane, consumer) = lane(batching(60, 1), 1, WhenFull::Drop);
    for number in 0..3 {
        feed(
            &mut lane,
            &netflow5(number),
            i64::from(number) * 60 * NS_PER_S,
        );
    }
    // Row 0 fills the queue: the end of its interval waits, and so the other rows are dropped.
    assert_eq!(events(&consumer), [Seen::Rows(0, 1)]);
    for expected in [Seen::End(0), Seen::End(60)] {
        lane.publish(0);
        assert_eq!(events(&consumer), [expected]);
    }
    feed(&mut lane, &netflow5(3), 121 * NS_PER_S);
    assert_eq!(events(&consumer), [Seen::Rows(120, 1)]);
    lane.finish();
    assert_eq!(events(&consumer), [Seen::End(120)]);
    assert_eq!(
        consumer
            .counters()
            .labelled("records_dropped", "queue_full"),
        2
    );
    assert_adds_up(&consumer);
}

#[test]
fn ends_that_wait_are_bounded_and_the_one_behind_rows_is_kept() {
    let (mut lane, consumer) = lane(batching(60, 1), 1, WhenFull::Drop);
    for number in 0..1000 {
        feed(
            &mut lane,
            &netflow5(number),
            i64::from(number) * 60 * NS_PER_S,
        );
    }
    let mut seen = Vec::new();
    for _ in 0..100 {
        seen.extend(events(&consumer));
        lane.publish(0);
    }
    assert_eq!(seen[..2], [Seen::Rows(0, 1), Seen::End(0)]);
    assert_eq!(
        seen.len(),
        65,
        "one of rows, the end behind them, and 63 more"
    );
    assert_eq!(seen[64], Seen::End(998 * 60));
}

#[test]
fn a_consumer_that_leaves_is_counted_too() {
    let (mut lane, consumer) = lane(batching(60, 1), 4, WhenFull::Block);
    for number in 0..3 {
        feed(&mut lane, &netflow5(number), 0);
    }
    assert_eq!(
        consumer.counters().total("records_queued"),
        0,
        "nothing is published yet"
    );
    consumer.close();
    feed(&mut lane, &netflow5(3), 0);
    lane.finish();
    assert_eq!(consumer.counters().labelled("records_dropped", "closed"), 4);
    assert_adds_up(&consumer);
}

#[test]
fn a_set_that_waits_for_its_template_is_given_up_even_if_no_row_comes() {
    let (mut lane, consumer) = lane(batching(0, 100), 9, WhenFull::Block);
    // IPFIX: one data set of a Template that never comes.
    let length = 16 + 8_u16;
    let message = [
        &10_u16.to_be_bytes()[..],
        &length.to_be_bytes(),
        &[0; 12],
        &[1, 0, 0, 8, 1, 2, 3, 4],
    ]
    .concat();
    let waiting_ns = DecoderOptions::default().limits.waiting_ns;
    feed(&mut lane, &message, 0);
    lane.publish(0);
    assert_eq!(consumer.counters().total("sets_waiting"), 1);
    feed(&mut lane, &message, waiting_ns + 1);
    lane.publish(waiting_ns + 1);
    lane.publish(waiting_ns + 2);
    let counters = consumer.counters();
    assert_eq!(
        (
            counters.total("sets_waiting"),
            counters.total("sets_discarded")
        ),
        (1, 1)
    );
}
