use super::*;
use crate::capture_files::{Pcap, PcapNg, packet_block};

/// A packet as it was read: link type, time, octets, snapped.
type Seen = (LinkType, i64, Vec<u8>, bool);

fn read(file: &[u8]) -> (Vec<Seen>, Result<u64, CaptureFault>) {
    let mut seen = Vec::new();
    let result = read_packets(file, &AtomicU64::new(0), |packet| {
        seen.push((
            packet.link,
            packet.time_ns,
            packet.octets.to_vec(),
            packet.snapped,
        ));
        ControlFlow::Continue(())
    });
    (seen, result)
}

fn read_whole(file: &[u8]) -> Vec<Seen> {
    let (seen, result) = read(file);
    assert_eq!(result.unwrap(), seen.len() as u64);
    seen
}

fn simple_packet(ng: PcapNg, sent_octets: u32, octets: &[u8]) -> Vec<u8> {
    ng.block(3, &[&ng.u32(sent_octets), octets].concat())
}

const T_NS: i64 = 1_700_000_000_123_456_789;
const T_US: i64 = T_NS / 1000 * 1000;

#[test]
fn pcap_in_both_byte_orders_and_resolutions() {
    for big_endian in [false, true] {
        for nanoseconds in [false, true] {
            let file = Pcap {
                big_endian,
                nanoseconds,
                link: 101,
            }
            .file(&[(T_NS, b"one"), (T_NS + 5000, b"two!")]);
            let first = if nanoseconds { T_NS } else { T_US };
            let expected = [
                (LinkType::RawIp, first, b"one".to_vec(), false),
                (LinkType::RawIp, first + 5000, b"two!".to_vec(), false),
            ];
            assert_eq!(read_whole(&file), expected);
        }
    }
}

#[test]
fn pcapng_in_both_byte_orders_with_several_interfaces() {
    for big_endian in [false, true] {
        let ng = PcapNg { big_endian };
        let offset = if big_endian {
            1000_i64.to_be_bytes()
        } else {
            1000_i64.to_le_bytes()
        }
        .to_vec();
        let file = [
            ng.section(),
            ng.interface(1, 0, &[]),               // microseconds by default
            ng.interface(101, 0, &[(9, vec![9])]), // nanoseconds
            ng.interface(113, 0, &[(9, vec![0x80 | 10])]), // 2^-10 s
            ng.interface(276, 0, &[(9, vec![0]), (14, offset)]), // seconds, from 1000 s on
            ng.packet(0, (T_NS / 1000) as u64, b"a"),
            ng.packet(1, T_NS as u64, b"bb"),
            ng.packet(2, 5 * 1024 + 512, b"ccc"),
            ng.packet(3, 7, b"dddd"),
            ng.packet(9, 7, b"of no interface"),
        ]
        .concat();
        let expected: [Seen; 5] = [
            (LinkType::Ethernet, T_US, b"a".to_vec(), false),
            (LinkType::RawIp, T_NS, b"bb".to_vec(), false),
            (LinkType::LinuxCooked, 5_500_000_000, b"ccc".to_vec(), false),
            (
                LinkType::LinuxCooked2,
                1_007_000_000_000,
                b"dddd".to_vec(),
                false,
            ),
            (
                LinkType::Unsupported,
                1_007_000_000_000,
                b"of no interface".to_vec(),
                false,
            ),
        ];
        assert_eq!(read_whole(&file), expected, "big endian: {big_endian}");
    }
}

#[test]
fn a_new_section_has_its_own_byte_order_and_interfaces() {
    let (little, big) = (PcapNg { big_endian: false }, PcapNg { big_endian: true });
    let file = [
        little.section(),
        little.interface(1, 0, &[]),
        little.packet(0, 1, b"a"),
        big.section(),
        big.interface(101, 0, &[]),
        big.packet(0, 2, b"b"),
    ]
    .concat();
    let links: Vec<_> = read_whole(&file).into_iter().map(|seen| seen.0).collect();
    assert_eq!(links, [LinkType::Ethernet, LinkType::RawIp]);
}

#[test]
fn simple_packets_take_the_time_before_them_and_the_snaplen_of_interface_0() {
    let ng = PcapNg { big_endian: false };
    let file = [
        ng.section(),
        ng.interface(101, 6, &[]),
        simple_packet(ng, 5, b"first"),
        ng.packet(0, 3, b"timed"),
        simple_packet(ng, 9, b"secondXX"), // 9 octets sent, 6 kept, 2 of padding
    ]
    .concat();
    let expected: [Seen; 3] = [
        (LinkType::RawIp, 0, b"first".to_vec(), false),
        (LinkType::RawIp, 3000, b"timed".to_vec(), false),
        (LinkType::RawIp, 3000, b"second".to_vec(), true),
    ];
    assert_eq!(read_whole(&file), expected);
}

#[test]
fn blocks_that_mean_nothing_here_are_passed() {
    let ng = PcapNg { big_endian: false };
    let file = [
        ng.section(),
        ng.interface(101, 0, &[]),
        ng.block(0x0bad, &[7; 40]),
        ng.packet(0, 1, b"a"),
    ]
    .concat();
    assert_eq!(read_whole(&file).len(), 1);
}

#[test]
fn packets_cut_by_the_snaplen_are_marked() {
    let pcap = Pcap {
        big_endian: false,
        nanoseconds: false,
        link: 1,
    };
    let mut file = pcap.file(&[]);
    file.extend(pcap.record(T_NS, b"kept", 60));
    assert_eq!(
        read_whole(&file),
        [(LinkType::Ethernet, T_US, b"kept".to_vec(), true)]
    );
    let ng = PcapNg { big_endian: true };
    let file = [
        ng.section(),
        ng.interface(1, 4, &[]),
        packet_block(&ng, 0, 1, b"kept", 60),
    ]
    .concat();
    assert!(read_whole(&file)[0].3);
}

#[test]
fn a_truncated_file_gives_what_was_whole() {
    let pcap = Pcap {
        big_endian: false,
        nanoseconds: true,
        link: 101,
    }
    .file(&[(1, b"one"), (2, b"two")]);
    let ng = PcapNg { big_endian: false };
    let ng = [
        ng.section(),
        ng.interface(101, 0, &[]),
        ng.packet(0, 1, b"one"),
        ng.packet(0, 2, b"two"),
    ]
    .concat();
    for (file, last) in [(&pcap, 16 + 3), (&ng, 36)] {
        for missing in 1..last {
            let (seen, result) = read(&file[..file.len() - missing]);
            assert_eq!(seen.len(), 1);
            assert!(
                matches!(result, Err(CaptureFault::Truncated { packets: 1 })),
                "{missing} missing: {result:?}"
            );
        }
        assert_eq!(read_whole(&file[..file.len() - last]).len(), 1);
    }
}

#[test]
fn foreign_and_empty_files_say_so() {
    assert!(matches!(read(b"").1, Err(CaptureFault::Empty)));
    let ipfix = [&10_u16.to_be_bytes()[..], &[0, 16], &[0; 12]].concat();
    for foreign in [
        &ipfix[..],
        b"x",
        b"PAR1 and more",
        &[0; 4096],
        &[0xd4, 0xc3, 0xb2],
    ] {
        assert!(
            matches!(read(foreign).1, Err(CaptureFault::Foreign)),
            "{foreign:?}"
        );
    }
}

#[test]
fn a_record_of_absurd_length_ends_the_file_and_takes_no_memory() {
    let pcap = Pcap {
        big_endian: false,
        nanoseconds: false,
        link: 101,
    };
    let mut file = pcap.file(&[(1, b"one")]);
    file.extend([0; 8]);
    file.extend(u32::MAX.to_le_bytes());
    file.extend([0; 100]);
    let (seen, result) = read(&file);
    assert_eq!(seen.len(), 1);
    assert!(
        matches!(
            result,
            Err(CaptureFault::Truncated { .. } | CaptureFault::Damaged { packets: 1 })
        ),
        "{result:?}"
    );
}

#[test]
fn large_packets_and_many_of_them_stream_through() {
    let packets: Vec<_> = (0..400_usize)
        .map(|n| (n as i64, vec![n as u8; n * 700]))
        .collect();
    let packets: Vec<_> = packets
        .iter()
        .map(|(time, octets)| (*time, &octets[..]))
        .collect();
    let file = Pcap {
        big_endian: false,
        nanoseconds: true,
        link: 101,
    }
    .file(&packets);
    assert!(file.len() > 50 * BUFFER_OCTETS);
    let octets_read = AtomicU64::new(0);
    let mut next = 0;
    let read = read_packets(&file[..], &octets_read, |packet| {
        assert!(packet.octets == packets[next].1 && packet.time_ns == packets[next].0);
        next += 1;
        ControlFlow::Continue(())
    });
    assert_eq!(read.unwrap(), 400);
    assert_eq!(octets_read.into_inner(), file.len() as u64);
}

#[test]
fn an_error_while_reading_keeps_its_reason() {
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::from_raw_os_error(libc::EIO)),
                octets => Ok(octets),
            }
        }
    }
    let file = Pcap {
        big_endian: false,
        nanoseconds: true,
        link: 101,
    }
    .file(&[(1, b"one")]);
    let result = read_packets(Failing(&file), &AtomicU64::new(0), |_| {
        ControlFlow::Continue(())
    });
    let Err(CaptureFault::Read { packets: 1, source }) = result else {
        panic!("{result:?}")
    };
    assert_eq!(source.raw_os_error(), Some(libc::EIO));
}

#[test]
fn reading_stops_when_told() {
    let file = Pcap {
        big_endian: false,
        nanoseconds: true,
        link: 101,
    }
    .file(&[(1, b"one"), (2, b"two")]);
    let read = read_packets(&file[..], &AtomicU64::new(0), |_| ControlFlow::Break(()));
    assert_eq!(read.unwrap(), 1);
}

#[test]
fn no_octets_make_it_panic_or_hang() {
    let ng = PcapNg { big_endian: false };
    let whole = [
        ng.section(),
        ng.interface(101, 0, &[(9, vec![9])]),
        ng.packet(0, 1, b"one"),
        simple_packet(ng, 3, b"two"),
    ]
    .concat();
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut file = whole.clone();
            file[at] = value;
            let _ = read(&file);
        }
    }
}
