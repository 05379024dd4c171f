//! Replaying capture files.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use arrow_array::cast::AsArray;
use flowfast_collector::{Batch, Batching, IntervalEnd, Replay, ReplayOptions, StartError};

use crate::capture_files::{Pcap, PcapNg};
use crate::common::{assert_adds_up, decoder_options, drain, rows};
use crate::payload::netflow5;

const RAW_IP: Pcap = Pcap {
    big_endian: false,
    nanoseconds: true,
    link: 101,
};
const SECOND_NS: i64 = 1_000_000_000;

/// A file of the test's own that goes away with it.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(test: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("flowfast-{}-{test}", std::process::id()));
        fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> String {
        self.0.to_str().unwrap().to_owned()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// An IPv4 packet with a UDP datagram.
fn packet(source: Ipv4Addr, port: u16, payload: &[u8]) -> Vec<u8> {
    packet_to(Ipv4Addr::LOCALHOST, source, port, payload)
}

fn packet_to(target: Ipv4Addr, source: Ipv4Addr, port: u16, payload: &[u8]) -> Vec<u8> {
    let udp_length = 8 + payload.len() as u16;
    let mut packet = vec![0x45, 0];
    packet.extend((20 + udp_length).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(source.octets());
    packet.extend(target.octets());
    packet.extend(50_000_u16.to_be_bytes());
    packet.extend(port.to_be_bytes());
    packet.extend(udp_length.to_be_bytes());
    packet.extend([0, 0]);
    [&packet, payload].concat()
}

/// `count` packets of one record each from `exporters` addresses in turn, a second apart.
fn packets(count: u32, exporters: u32) -> Vec<(i64, Vec<u8>)> {
    let source = |number| Ipv4Addr::from_bits(0xc000_0200 + number % exporters);
    let packet = |number| {
        (
            i64::from(number) * SECOND_NS,
            packet(source(number), 2055, &netflow5(number)),
        )
    };
    (0..count).map(packet).collect()
}

fn file(packets: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let packets: Vec<_> = packets
        .iter()
        .map(|(time, octets)| (*time, &octets[..]))
        .collect();
    RAW_IP.file(&packets)
}

fn options(paths: Vec<String>) -> ReplayOptions {
    ReplayOptions {
        paths,
        ports: Vec::new(),
        decoder: decoder_options(),
        batching: Batching {
            rotate_s: 0,
            rows: 1000,
            age_ns: None,
            ledger: false,
        },
        workers: 1,
        first_worker: 0,
        queue_batches: 4,
        late: None,
    }
}

fn run(options: &ReplayOptions) -> (Replay, Vec<Batch>, Vec<IntervalEnd>) {
    let replay = Replay::open(options).unwrap();
    assert!(!replay.finished());
    replay.start().unwrap();
    let (batches, ends) = drain(|timeout| replay.next_event(timeout), || replay.finished());
    assert_adds_up(&replay.counters());
    (replay, batches, ends)
}

/// The `bytes` of every row, which number the records.
fn numbers(batches: &[Batch]) -> Vec<u64> {
    let bytes = |batch: &Batch| batch.rows.batch.column_by_name("bytes").unwrap().clone();
    let of = |batch: &Batch| {
        bytes(batch)
            .as_primitive::<arrow_array::types::UInt64Type>()
            .values()
            .to_vec()
    };
    batches.iter().flat_map(of).collect()
}

#[test]
fn every_record_comes_once_and_in_order() {
    let file = TemporaryFile::new("in-order", &file(&packets(2500, 3)));
    let (replay, batches, ends) = run(&options(vec![file.path()]));
    assert_eq!(numbers(&batches), (0..2500).collect::<Vec<_>>());
    assert!(batches.iter().all(|batch| batch.worker == 0) && ends.is_empty());
    assert_eq!(replay.counters().total("packets_read"), 2500);
    let octets = fs::metadata(&file.0).unwrap().len();
    assert_eq!(replay.progress(), (octets, octets));
    assert!(replay.file_errors().is_empty());
}

#[test]
fn workers_share_the_records_by_exporter_and_keep_each_exporters_order() {
    let file = TemporaryFile::new("workers", &file(&packets(5000, 40)));
    let (replay, batches, _) = run(&ReplayOptions {
        workers: 3,
        ..options(vec![file.path()])
    });
    let all: HashSet<u64> = numbers(&batches).into_iter().collect();
    assert_eq!((all.len(), rows(&batches)), (5000, 5000));
    let mut worker_of = HashMap::new();
    let mut last = HashMap::new();
    for batch in &batches {
        for number in numbers(std::slice::from_ref(batch)) {
            let exporter = number % 40;
            assert_eq!(
                *worker_of.entry(exporter).or_insert(batch.worker),
                batch.worker
            );
            assert!(
                last.insert(exporter, number)
                    .is_none_or(|before| before < number)
            );
        }
    }
    assert_eq!(worker_of.values().collect::<HashSet<_>>().len(), 3);
    let exporters: HashSet<IpAddr> = replay
        .exporters()
        .iter()
        .map(|exporter| exporter.exporter)
        .collect();
    assert_eq!(exporters.len(), 40);
}

#[test]
fn rotation_is_by_packet_time() {
    for workers in [1, 2] {
        let file = TemporaryFile::new(&format!("rotation-{workers}"), &file(&packets(1000, 40)));
        let mut options = ReplayOptions {
            workers,
            ..options(vec![file.path()])
        };
        options.batching.rotate_s = 60;
        let (_, batches, ends) = run(&options);
        assert_eq!(rows(&batches), 1000);
        for batch in &batches {
            for number in numbers(std::slice::from_ref(batch)) {
                assert_eq!(number as i64 / 60 * 60, batch.interval_start_s); // a second each, from 0 on
            }
        }
        let ends: Vec<_> = ends
            .iter()
            .map(|end| (end.worker, end.interval_start_s))
            .collect();
        let unique: HashSet<_> = ends.iter().collect();
        assert_eq!((ends.len(), unique.len()), (17 * workers, 17 * workers));
    }
}

#[test]
fn packets_that_hold_no_datagram_for_us_are_counted_by_reason() {
    let ok = packet(Ipv4Addr::LOCALHOST, 2055, &netflow5(1));
    let other_port = packet(Ipv4Addr::LOCALHOST, 53, b"not for us");
    let mut tcp = ok.clone();
    tcp[9] = 6;
    let mut fragment = ok.clone();
    fragment[6] = 0x20;
    let mut lying = ok.clone();
    lying[25] = 3;
    let mut content = RAW_IP.file(&[
        (0, &ok),
        (1, &other_port),
        (2, &tcp),
        (3, &fragment),
        (4, &lying),
        (5, &ok),
    ]);
    content.extend(RAW_IP.record(6, &ok[..40], ok.len()));
    let file = TemporaryFile::new("reasons", &content);
    let (replay, batches, _) = run(&ReplayOptions {
        ports: vec![2055, 4739],
        ..options(vec![file.path()])
    });
    assert_eq!(rows(&batches), 2);
    let counters = replay.counters();
    for reason in ["other_port", "not_udp", "fragments", "malformed", "snapped"] {
        assert_eq!(counters.labelled("packets_skipped", reason), 1, "{reason}");
    }
    let skipped = counters.total("packets_skipped");
    assert_eq!(
        counters.total("packets_read"),
        skipped + counters.total("datagrams_received")
    );
}

#[test]
fn what_is_readable_is_kept_and_each_bad_file_is_told_about_once() {
    let whole = file(&packets(10, 1));
    let ng = PcapNg { big_endian: true };
    let ng = [
        ng.section(),
        ng.interface(101, 0, &[]),
        ng.packet(0, 1, &packets(1, 1)[0].1),
        vec![0; 7],
    ]
    .concat();
    let files = [
        TemporaryFile::new("truncated.pcap", &whole[..whole.len() - 5]),
        TemporaryFile::new(
            "ipfix.dat",
            &[0, 10, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        ),
        TemporaryFile::new("empty.pcap", b""),
        TemporaryFile::new("truncated.pcapng", &ng),
        TemporaryFile::new("whole.pcap", &whole),
    ];
    let paths: Vec<_> = files.iter().map(TemporaryFile::path).collect();
    let (replay, batches, _) = run(&options(paths.clone()));
    assert_eq!(rows(&batches), 9 + 1 + 10);
    let expected = [
        "ends in the middle of a packet (packets read: 9)",
        "is not a pcap or pcapng file",
        "is empty",
        "ends in the middle of a packet (packets read: 1)",
    ];
    let expected: Vec<_> = paths.into_iter().zip(expected.map(str::to_owned)).collect();
    assert_eq!(replay.file_errors(), expected);
    let (read, all) = replay.progress();
    assert_eq!(read, all);
}

#[test]
fn a_link_type_that_is_not_supported_is_told_about() {
    let wifi = Pcap {
        link: 127,
        ..RAW_IP
    }
    .file(&[(0, b"a frame"), (1, b"another")]);
    let file = TemporaryFile::new("wifi", &wifi);
    let (replay, batches, _) = run(&options(vec![file.path()]));
    assert!(batches.is_empty());
    assert_eq!(
        replay
            .counters()
            .labelled("packets_skipped", "unsupported_link"),
        2
    );
    let sentence = "has packets of a link type that is not supported (packets skipped: 2)";
    assert_eq!(replay.file_errors(), [(file.path(), sentence.to_owned())]);
}

#[test]
fn a_pipe_is_read_as_it_is_written() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let reader = OwnedFd::from(reader);
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    let replay = Replay::open(&options(vec![path])).unwrap();
    drop(reader);
    replay.start().unwrap();
    let content = file(&packets(3000, 2));
    let writing = std::thread::spawn(move || writer.write_all(&content).unwrap());
    let (batches, _) = drain(|timeout| replay.next_event(timeout), || replay.finished());
    writing.join().unwrap();
    assert_eq!(rows(&batches), 3000);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_that_names_it() {
    for (path, errno) in [("/nonexistent/a.pcap", libc::ENOENT), ("/", libc::EISDIR)] {
        let Err(StartError::Open {
            path: named,
            source,
        }) = Replay::open(&options(vec![path.to_owned()]))
        else {
            panic!("{path} is open");
        };
        assert_eq!((named.as_str(), source.raw_os_error()), (path, Some(errno)));
    }
}

#[test]
fn a_slow_consumer_makes_the_reader_wait_and_loses_nothing() {
    for workers in [1, 2] {
        let file = TemporaryFile::new(&format!("slow-{workers}"), &file(&packets(5000, 10)));
        let mut options = ReplayOptions {
            workers,
            queue_batches: 1,
            ..options(vec![file.path()])
        };
        options.batching.rows = 10;
        let replay = Replay::open(&options).unwrap();
        replay.start().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let (batches, _) = drain(|timeout| replay.next_event(timeout), || replay.finished());
        assert_eq!(rows(&batches), 5000);
        assert_adds_up(&replay.counters());
    }
}

#[test]
fn closing_ends_the_reading_and_counts_what_nobody_took() {
    for workers in [1, 2] {
        let file = TemporaryFile::new(&format!("closing-{workers}"), &file(&packets(50_000, 10)));
        let mut options = ReplayOptions {
            workers,
            queue_batches: 1,
            ..options(vec![file.path()])
        };
        options.batching.rows = 10;
        let replay = Replay::open(&options).unwrap();
        replay.start().unwrap();
        assert!(replay.next_event(Duration::from_secs(5)).is_some());
        replay.close();
        assert!(replay.finished());
        let counters = replay.counters();
        assert_adds_up(&counters);
        assert_eq!(counters.total("records_queued"), 10);
        assert!(counters.total("packets_read") < 50_000);
    }
}

/// An IPFIX message with one set.
fn ipfix(set_id: u16, body: &[u8]) -> Vec<u8> {
    let mut message = 10_u16.to_be_bytes().to_vec();
    message.extend((20 + body.len() as u16).to_be_bytes());
    message.extend([0; 12]);
    message.extend(set_id.to_be_bytes());
    message.extend((4 + body.len() as u16).to_be_bytes());
    [&message, body].concat()
}

#[test]
fn of_late_sets_only_their_exporters_templates_are_learnt() {
    // The templates of a thousand exporters, as a journal keeps them, and late sets of two: one of them has a template now.
    let teaches = Ipv4Addr::new(192, 0, 0, 8);
    let exporter = |n: u32| Ipv4Addr::from_bits(0x0a00_0000 + n);
    let template = ipfix(2, &[1, 0, 0, 1, 0, 1, 0, 8]);
    let lessons: Vec<_> = (0..1000)
        .map(|n| (0, packet_to(teaches, exporter(n), 4739, &template)))
        .collect();
    let data = ipfix(256, &7_u64.to_be_bytes());
    let late: Vec<_> = [7, 2000]
        .map(|n| (SECOND_NS, packet(exporter(n), 4739, &data)))
        .into();
    let (lessons, late) = (
        TemporaryFile::new("lessons", &file(&lessons)),
        TemporaryFile::new("late", &file(&late)),
    );
    let left = TemporaryFile::new("left", b"");
    let (replay, batches, _) = run(&ReplayOptions {
        late: Some(left.0.clone()),
        ..options(vec![lessons.path(), late.path()])
    });
    let counters = replay.counters();
    assert_eq!(counters.total("packets_learnt"), 1);
    assert_eq!(numbers(&batches), [7]);
    assert_eq!(counters.total("sets_late"), 1);
    assert!(
        fs::read(&left.0).unwrap().len() > data.len(),
        "and it is kept"
    );
}
