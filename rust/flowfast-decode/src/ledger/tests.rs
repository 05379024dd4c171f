use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;

use super::*;

fn party(domain: u32) -> Party {
    Party {
        exporter: Some([1; 16]),
        format: Some(FormatCode::Ipfix),
        domain: Some(domain),
    }
}

fn sum_of(rows: &TableBatch) -> i64 {
    let counts = rows.batch.column_by_name("count").unwrap();
    counts.as_primitive::<Int64Type>().values().iter().sum()
}

#[test]
fn rows_are_what_came_since_the_last_ones_were_written() {
    let mut ledger = Ledger::new(10);
    assert!(ledger.rows(0, 0).is_none());
    let account = ledger.open(party(1), NOBODY, 0);
    ledger.decoded(account, 5);
    ledger.hand_over(Ok(()));
    assert_eq!(
        sum_of(&ledger.rows(0, 0).unwrap()),
        10,
        "decoded and queued"
    );
    ledger.at(account).records_received += 1;
    assert_eq!(
        sum_of(&ledger.rows(0, 0).unwrap()),
        11,
        "rows that found no room are given again, with what has come since"
    );
    ledger.written();
    assert!(ledger.rows(60, 0).is_none());
    ledger.decoded(account, 2);
    ledger.hand_over(Err(RecordLoss::QueueFull));
    let rows = ledger.rows(60, 3).unwrap();
    assert_eq!((rows.batch.num_rows(), sum_of(&rows)), (2, 4));
    assert_eq!(rows.batch.column_by_name("target").unwrap().null_count(), 2);
}

#[test]
fn accounts_are_bounded_and_nothing_is_forgotten() {
    // FF-RB-04; keys that a stranger chooses are bounded.
    let mut ledger = Ledger::new(100);
    for n in 0..10_000 {
        let account = ledger.open(party(n), NOBODY, i64::from(n));
        ledger.at(account).datagrams_received += 1;
        ledger.decoded(account, 3);
        if n % 7 == 0 {
            ledger.written();
        }
        if n % 1000 == 0 {
            ledger.hand_over(Ok(()));
        }
    }
    ledger.hand_over(Err(RecordLoss::Closed));
    let accounts = ledger.accounts();
    assert!(accounts.len() <= 101, "{}", accounts.len());
    assert!(accounts.iter().any(|each| each.domain == Some(9_999)));
    assert!(accounts.iter().any(|each| each.exporter.is_none()));
    let entries = ledger.sum().entries();
    let of = |counter| {
        let same = entries.iter().filter(|entry| entry.counter == counter);
        same.map(|entry| entry.count).sum::<i64>()
    };
    assert_eq!(of("datagrams_received"), 10_000);
    assert_eq!(of("records_decoded"), 30_000);
    assert_eq!(of("records_pending"), 0);
    assert_eq!(of("records_queued") + of("records_dropped"), 30_000);
}

#[test]
fn a_flood_closes_no_account_of_one_heard_before() {
    // FF-SEC-04, FF-RB-04: silent during the flood, it is not among the first; and what is pending is handed over once, whoever has it.
    let mut ledger = Ledger::new(100);
    const S: i64 = 1_000_000_000;
    for minute in 0..=60 {
        let account = ledger.open(party(0), NOBODY, minute * 60 * S);
        ledger.decoded(account, 1);
    }
    for n in 1..10_000 {
        let account = ledger.open(party(n), NOBODY, 3600 * S + i64::from(n) * S / 100);
        ledger.decoded(account, 1);
    }
    ledger.hand_over(Ok(()));
    let known = ledger.accounts();
    let old = known.iter().find(|each| each.domain == Some(0)).unwrap();
    let queued = |account: &AccountSummary| -> i64 {
        let mut entries = account.entries.iter();
        entries
            .find(|entry| entry.counter == "records_queued")
            .map_or(0, |entry| entry.count)
    };
    assert_eq!(queued(old), 61);
    assert_eq!(known.iter().map(queued).sum::<i64>(), 61 + 9_999);
    assert_eq!(ledger.sum().records_pending, 0);
}

#[test]
fn what_a_panic_leaves_open_is_nobodys() {
    let mut ledger = Ledger::new(10);
    let account = ledger.open(party(1), NOBODY, 0);
    ledger.at(account).datagrams_received += 4;
    ledger.at(account).wait(1, 8);
    ledger.decoded(account, 5);
    ledger.close_after_panic(RecordLoss::WorkerPanic, |counter, label| {
        match (counter, label) {
            ("datagrams_received", _) => Some(5),
            ("datagrams_discarded", Some("worker_panic")) => Some(1),
            ("records_decoded", _) | ("records_dropped", Some("worker_panic")) => Some(5),
            ("sets_discarded", Some("no_template")) => Some(1),
            ("set_octets_discarded", Some("no_template")) => Some(8),
            ("octets_received", _) => None,
            _ => Some(0),
        }
    });
    let nobody = ledger.accounts().remove(0);
    let counters: Vec<_> = nobody
        .entries
        .iter()
        .map(|e| (e.counter, e.count))
        .collect();
    assert_eq!(
        counters,
        [("datagrams_received", 1), ("datagrams_discarded", 1)]
    );
}

#[test]
fn what_the_journal_gives_again_is_not_lost_to_the_full_queue() {
    let mut ledger = Ledger::new(10);
    let account = ledger.open(party(1), NOBODY, 0);
    for is_in_journal in [true, false] {
        ledger.decoded(account, 5);
        ledger.hand_over(Err(RecordLoss::QueueFull));
        ledger.end_interval(is_in_journal);
    }
    let dropped = ledger.at(account).records_dropped;
    assert_eq!(dropped[RecordLoss::ToJournal as usize], 5);
    assert_eq!(dropped[RecordLoss::QueueFull as usize], 5);
}
