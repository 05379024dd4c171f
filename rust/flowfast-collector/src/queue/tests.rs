use std::thread;

use super::*;

/// Nobody waits so long in a test that passes.
const FOREVER: Duration = Duration::from_secs(600);

fn queue(when_full: WhenFull) -> (Arc<Queue>, Outbox) {
    let queue = Arc::new(Queue::new(1));
    let outbox = Outbox::new(0, Arc::clone(&queue), Arc::new(Control::new(when_full)));
    (queue, outbox)
}

/// The starts of the intervals whose ends come, until the workers are gone.
fn starts(queue: &Queue) -> Vec<i64> {
    let events = std::iter::from_fn(|| queue.next(FOREVER));
    let start = |event| match event {
        Event::IntervalEnd(end) => end.interval_start_s,
        Event::Batch(batch) => panic!("{batch:?}"),
    };
    events.map(start).collect()
}

#[test]
fn who_waits_for_room_or_for_an_event_is_woken() {
    let (queue, mut outbox) = queue(WhenFull::Block);
    let worker = thread::spawn(move || (0..1000).for_each(|start_s| outbox.end(start_s, 0, None)));
    assert_eq!(starts(&queue), (0..1000).collect::<Vec<_>>());
    worker.join().unwrap();
    assert!(queue.is_empty());
}

#[test]
fn what_finds_no_room_waits_with_its_worker_and_goes_before_what_is_newer() {
    let (queue, mut outbox) = queue(WhenFull::Drop);
    for start_s in 0..3 {
        outbox.end(start_s, 0, None);
    }
    assert_eq!(queue.depth(), 1);
    assert!(queue.next(Duration::ZERO).is_some());
    assert_eq!(outbox.rows(3, Vec::new()), Sent::QueueFull);
    assert!(queue.next(Duration::ZERO).is_some());
    assert!(queue.next(Duration::ZERO).is_none());
    drop(outbox);
    assert_eq!(starts(&queue), [], "what a worker still holds goes with it");
}
