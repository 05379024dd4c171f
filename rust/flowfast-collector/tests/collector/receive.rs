//! Receiving on real sockets: everything that is sent is read, dropped by the kernel, or discarded, and counted once.

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::common::{
    assert_adds_up, decoder_options, drain_collector, options, rows, rows_by_worker, sender,
    wait_until,
};
use crate::payload::netflow5;
use flowfast_collector::{
    Collector, CollectorOptions, Counters, Event, Inherited, ListenFormat, StartError, WhenFull,
};

/// Datagrams that reached the socket: read, or dropped by the kernel.
fn arrived(counters: &Counters) -> u64 {
    counters.total("datagrams_received") + counters.total("kernel_drops")
}

#[test]
fn all_that_is_sent_arrives_and_every_exporter_stays_with_one_worker() {
    const EXPORTERS: u8 = 20;
    const EACH: u32 = 50;
    let collector = Collector::bind(&options(3, ListenFormat::Any)).unwrap();
    assert!(collector.listeners()[0].steering);
    collector.start().unwrap();
    for exporter in 1..=EXPORTERS {
        for number in 0..EACH {
            // Another source port each time.
            sender(&collector, Ipv4Addr::new(127, 0, 0, exporter))
                .send(&netflow5(number))
                .unwrap();
        }
    }
    collector.stop();
    let (batches, ends) = drain_collector(&collector);
    assert_eq!(rows(&batches), u64::from(EXPORTERS) * u64::from(EACH));
    assert!(ends.is_empty(), "there is no rotation");
    let by_worker = rows_by_worker(&batches);
    assert!(
        by_worker.len() > 1 && by_worker.values().all(|rows| rows % u64::from(EACH) == 0),
        "{by_worker:?}"
    );
    for (worker, rows) in by_worker {
        assert_eq!(
            collector.worker_counters(worker).total("records_queued"),
            rows
        );
    }
    assert_adds_up(&collector.counters());
}

#[test]
fn datagrams_that_came_before_the_start_and_before_the_stop_are_read() {
    let collector = Collector::bind(&options(1, ListenFormat::Any)).unwrap();
    let sender = sender(&collector, Ipv4Addr::LOCALHOST);
    (0..200).for_each(|number| assert_eq!(sender.send(&netflow5(number)).unwrap(), 72));
    collector.start().unwrap();
    (200..1000).for_each(|number| assert_eq!(sender.send(&netflow5(number)).unwrap(), 72));
    collector.stop();
    assert_eq!(rows(&drain_collector(&collector).0), 1000);
    assert_adds_up(&collector.counters());
}

#[test]
fn all_that_the_kernel_holds_is_read_before_the_end() {
    const SENT: u64 = 45_000; // more than fit
    let collector = Collector::bind(&options(1, ListenFormat::Any)).unwrap();
    let sender = sender(&collector, Ipv4Addr::LOCALHOST);
    let message = [&netflow5(1)[..], &[0; 1392]].concat();
    (0..SENT).for_each(|_| assert_eq!(sender.send(&message).unwrap(), 1464));
    collector.start().unwrap();
    collector.stop();
    drain_collector(&collector);
    let counters = collector.counters();
    assert_eq!(arrived(&counters), SENT);
}

#[test]
fn rows_come_when_they_are_old_enough() {
    let collector = Collector::bind(&options(1, ListenFormat::Any)).unwrap();
    collector.start().unwrap();
    sender(&collector, Ipv4Addr::LOCALHOST)
        .send(&netflow5(1))
        .unwrap();
    let start = Instant::now();
    assert!(matches!(
        collector.next_event(Duration::from_secs(5)),
        Some(Event::Batch(_))
    ));
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn kernel_drops_are_counted_exactly() {
    // FF-TR-09: of UDP.
    const SENT: u64 = 5000;
    let collector = Collector::bind(&CollectorOptions {
        rcvbuf: 16_384,
        ..options(1, ListenFormat::Any)
    })
    .unwrap();
    let sender = sender(&collector, Ipv4Addr::LOCALHOST);
    for number in 0..SENT {
        sender.send(&netflow5(number as u32)).unwrap(); // and nobody reads
    }
    collector.start().unwrap();
    collector.stop();
    let (batches, _) = drain_collector(&collector);
    let counters = collector.counters();
    assert!(counters.total("kernel_drops") > 0);
    assert_eq!(arrived(&counters), SENT);
    assert_eq!(rows(&batches), counters.total("records_queued"));
    assert_adds_up(&counters);
}

#[test]
fn a_receive_buffer_is_reported_as_granted() {
    let collector = Collector::bind(&CollectorOptions {
        rcvbuf: 100_000,
        ..options(1, ListenFormat::Any)
    })
    .unwrap();
    let listener = &collector.listeners()[0];
    assert_eq!(
        (listener.rcvbuf_requested, listener.rcvbuf_granted),
        (100_000, 100_000)
    );
    let collector = Collector::bind(&options(1, ListenFormat::Any)).unwrap();
    assert_eq!(collector.listeners()[0].rcvbuf_requested, 32 << 20);
}

fn inheriting(descriptors: &[i32]) -> CollectorOptions {
    let inherited = |&descriptor| Inherited {
        descriptor,
        format: ListenFormat::Any,
    };
    CollectorOptions {
        listen: Vec::new(),
        inherited: descriptors.iter().map(inherited).collect(),
        ..options(1, ListenFormat::Any)
    }
}

#[test]
fn sockets_bound_by_others_are_taken_over_with_what_they_hold() {
    let given: Vec<_> = (0..2)
        .map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
        .collect();
    given[1].set_nonblocking(true).unwrap(); // as whoever gives it may have left it
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for socket in &given {
        peer.send_to(&netflow5(1), socket.local_addr().unwrap())
            .unwrap();
    }
    let descriptors: Vec<_> = given.iter().map(AsRawFd::as_raw_fd).collect();
    let collector = Collector::bind(&inheriting(&descriptors)).unwrap();
    let addresses: Vec<_> = collector
        .listeners()
        .iter()
        .map(|listener| listener.listen.address)
        .collect();
    assert_eq!(
        addresses,
        given
            .iter()
            .map(|socket| socket.local_addr().unwrap())
            .collect::<Vec<_>>()
    );
    collector.start().unwrap();
    drop(given); // the collector has descriptors of its own
    peer.send_to(&netflow5(2), addresses[0]).unwrap();
    collector.stop();
    let (batches, _) = drain_collector(&collector);
    assert_eq!(rows(&batches), 3);
    assert_adds_up(&collector.counters());
}

#[test]
fn inherited_sockets_of_one_address_are_steered_by_exporter() {
    let group: Vec<_> = {
        let open = |address: std::net::SocketAddr| {
            let socket =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
            socket.set_reuse_port(true).unwrap();
            socket.bind(&address.into()).unwrap();
            socket
        };
        let first = open((Ipv4Addr::LOCALHOST, 0).into());
        let address = first.local_addr().unwrap().as_socket().unwrap();
        vec![first, open(address), open(address)]
    };
    let descriptors: Vec<_> = group.iter().map(AsRawFd::as_raw_fd).collect();
    let collector = Collector::bind(&inheriting(&descriptors)).unwrap();
    let [listener] = collector.listeners() else {
        panic!("one listener: {:?}", collector.listeners());
    };
    assert_eq!((listener.listen.workers, listener.steering), (3, true));
    collector.start().unwrap();
    drop(group);
    for _ in 0..20 {
        sender(&collector, Ipv4Addr::new(127, 0, 0, 7)) // another source port each time
            .send(&netflow5(1))
            .unwrap();
    }
    collector.stop();
    let (batches, _) = drain_collector(&collector);
    assert_eq!(
        rows_by_worker(&batches).into_values().collect::<Vec<_>>(),
        [20]
    );
}

#[test]
fn what_is_no_udp_socket_is_refused() {
    let tcp = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (stream, _peer) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    for descriptor in [
        tcp.as_raw_fd(),
        stream.as_raw_fd(),
        file.as_raw_fd(),
        -1,
        1 << 20,
    ] {
        let refused = Collector::bind(&inheriting(&[descriptor]));
        assert!(
            matches!(refused, Err(StartError::Bind { .. })),
            "descriptor {descriptor}"
        );
    }
}

#[test]
fn a_listener_takes_its_protocol_only() {
    let sflow5 = [&5_u32.to_be_bytes()[..], &[0; 40]].concat();
    for (format, foreign) in [
        (ListenFormat::Any, 0),
        (ListenFormat::Netflow, 1),
        (ListenFormat::Sflow, 2),
    ] {
        let collector = Collector::bind(&options(1, format)).unwrap();
        collector.start().unwrap();
        let sender = sender(&collector, Ipv4Addr::LOCALHOST);
        for payload in [&netflow5(1)[..], &netflow5(2), &sflow5, b"neither", b""] {
            sender.send(payload).unwrap();
        }
        collector.stop();
        drain_collector(&collector);
        let counters = collector.counters();
        assert_eq!(counters.total("datagrams_received"), 5);
        assert_eq!(
            counters.labelled("datagrams_discarded", "wrong_protocol"),
            foreign,
            "{format:?}"
        );
        assert_eq!(counters.total("octets_received"), 2 * 72 + 44 + 7);
        assert_adds_up(&counters);
    }
}

#[test]
fn a_queue_that_nobody_empties_drops_and_counts_and_the_socket_is_still_read() {
    let mut options = options(1, ListenFormat::Any);
    (options.batching.rows, options.queue_batches) = (10, 2);
    let collector = Collector::bind(&options).unwrap();
    collector.start().unwrap();
    let sender = sender(&collector, Ipv4Addr::LOCALHOST);
    (0..1000).for_each(|number| assert_eq!(sender.send(&netflow5(number)).unwrap(), 72));
    wait_until("all datagrams read", || {
        arrived(&collector.counters()) == 1000
    });
    collector.stop();
    let (batches, _) = drain_collector(&collector);
    let counters = collector.counters();
    let dropped = counters.labelled("records_dropped", "queue_full");
    assert_eq!(
        rows(&batches) + dropped + counters.total("kernel_drops"),
        1000
    );
    assert!(dropped >= 100, "{dropped}");
    assert_adds_up(&counters);
}

#[test]
fn a_queue_that_blocks_loses_nothing() {
    let mut options = options(1, ListenFormat::Any);
    (
        options.batching.rows,
        options.queue_batches,
        options.when_full,
    ) = (10, 1, WhenFull::Block);
    let collector = Collector::bind(&options).unwrap();
    collector.start().unwrap();
    let sender = sender(&collector, Ipv4Addr::LOCALHOST);
    (0..1000).for_each(|number| assert_eq!(sender.send(&netflow5(number)).unwrap(), 72));
    collector.stop();
    let (batches, _) = drain_collector(&collector);
    let counters = collector.counters();
    assert_eq!(rows(&batches) + counters.total("kernel_drops"), 1000);
    assert_eq!(counters.total("records_dropped"), 0);
    assert_adds_up(&counters);
}

#[test]
fn closing_waits_for_nobody_and_counts_what_is_lost() {
    let mut options = options(2, ListenFormat::Any);
    (
        options.batching.rows,
        options.queue_batches,
        options.when_full,
    ) = (10, 1, WhenFull::Block);
    let collector = Collector::bind(&options).unwrap();
    collector.start().unwrap();
    for exporter in 1..10 {
        let sender = sender(&collector, Ipv4Addr::new(127, 0, 0, exporter));
        (0..100).for_each(|number| assert_eq!(sender.send(&netflow5(number)).unwrap(), 72));
    }
    wait_until("a full queue", || collector.queue_depth() == (1, 1));
    let start = Instant::now();
    collector.close();
    collector.close();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(collector.finished() && collector.next_event(Duration::ZERO).is_none());
    let counters = collector.counters();
    assert_eq!(counters.total("records_queued"), 0, "nobody took any");
    assert!(counters.labelled("records_dropped", "closed") > 0);
    assert_adds_up(&counters);
}

#[test]
fn a_port_in_use_and_an_address_of_another_machine_are_errors_that_name_the_listener() {
    let first = Collector::bind(&options(2, ListenFormat::Any)).unwrap();
    let mut options = options(2, ListenFormat::Sflow);
    options.listen[0].address = first.listeners()[0].listen.address;
    let Err(StartError::Bind { uri, source }) = Collector::bind(&options) else {
        panic!("two on one port")
    };
    assert_eq!(uri, format!("sflow://{}", options.listen[0].address));
    assert_eq!(source.raw_os_error(), Some(libc::EADDRINUSE));

    options.listen[0].address = (Ipv4Addr::new(192, 0, 2, 1), 0).into();
    let Err(StartError::Bind { source, .. }) = Collector::bind(&options) else {
        panic!("not our address")
    };
    assert_eq!(source.raw_os_error(), Some(libc::EADDRNOTAVAIL));
}

#[test]
fn an_unknown_column_is_an_error_before_any_socket_is_bound() {
    let mut options = options(1, ListenFormat::Any);
    options.decoder.columns = vec!["nonsense".to_owned()];
    assert!(matches!(
        Collector::bind(&options),
        Err(StartError::Options(_))
    ));
    assert_eq!(decoder_options().columns, ["minimal"]);
}

#[test]
fn stopping_before_the_start_is_the_end() {
    let collector = Collector::bind(&options(2, ListenFormat::Any)).unwrap();
    assert!(!collector.finished());
    collector.stop();
    assert!(collector.finished() && collector.next_event(Duration::from_secs(9)).is_none());
    collector.start().unwrap();
    assert!(collector.finished());
}
