//! The sender, against a socket that reads.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{
    super::{
        train::{TrainSocket, segmentation_works},
        *,
    },
    NEVER, PATIENCE, options,
    reader::Reader,
};

/// Reads until nothing has come for so long after the sender has ended.
const SILENCE: Duration = Duration::from_millis(200);

fn bind(address: &str) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
    socket.set_read_timeout(Some(SILENCE))?;
    Ok(socket)
}

/// Exports to a socket and reads what arrives.
fn export_to(socket: UdpSocket, options: &ExportOptions) -> (Reader, Sent) {
    let target = socket.local_addr().unwrap();
    let (ended, has_ended) = mpsc::channel::<()>();
    let receiver = thread::spawn(move || {
        let (mut reader, mut datagram) = (Reader::default(), vec![0; 65_535]);
        loop {
            match socket.recv_from(&mut datagram) {
                Ok((octets, source)) => reader.read(source, &datagram[..octets]),
                Err(_) if has_ended.try_recv() == Err(mpsc::TryRecvError::Disconnected) => {
                    return reader;
                }
                Err(_) => {}
            }
        }
    });
    let sent = export_udp(options, target, NEVER);
    drop(ended);
    (receiver.join().unwrap(), sent.unwrap())
}

fn assert_all_arrived(reader: &Reader, sent: &Sent) {
    assert_eq!(reader.datagrams, sent.datagrams);
    assert_eq!(reader.octets, sent.datagram_octets);
    assert_eq!(reader.contents, sent.contents);
}

#[test]
fn everything_told_arrives() {
    for format in Format::ALL {
        // More than a ring holds, and not a whole number of datagrams.
        let options = ExportOptions {
            rate_flows_per_s: 60_000.0,
            template_refresh_datagrams: 100,
            ..options(format, 40_007)
        };
        let (reader, sent) = export_to(bind("127.0.0.1:0").unwrap(), &options);
        assert_all_arrived(&reader, &sent);
        assert_eq!(sent.contents.flows(), 40_007);
    }
}

#[test]
fn exporters_have_addresses_and_domains_of_their_own() {
    let options = ExportOptions {
        exporters: 5,
        rate_flows_per_s: 50_000.0,
        ..options(Format::Netflow9, 5000)
    };
    let (reader, sent) = export_to(bind("127.0.0.1:0").unwrap(), &options);
    assert_all_arrived(&reader, &sent);
    for (exporter, number) in sent.exporters.iter().zip(1..) {
        assert_eq!(exporter.source.ip(), Ipv4Addr::new(127, 0, 0, number));
        assert_eq!(exporter.observation_domain_id, u32::from(number));
        assert!(
            reader
                .templates
                .contains_key(&(exporter.source, u32::from(number), 256))
        );
    }
    let datagrams: Vec<_> = sent
        .exporters
        .iter()
        .map(|exporter| exporter.datagrams)
        .collect();
    assert!(
        datagrams.iter().max().unwrap() - datagrams.iter().min().unwrap() <= 1,
        "{datagrams:?}"
    );
}

#[test]
fn ipv6_exporters_differ_by_port() {
    let Ok(socket) = bind("[::1]:0") else {
        return; // a machine without IPv6
    };
    let options = ExportOptions {
        exporters: 3,
        rate_flows_per_s: 50_000.0,
        ..options(Format::Ipfix, 2000)
    };
    let (reader, sent) = export_to(socket, &options);
    assert_all_arrived(&reader, &sent);
    assert_eq!(sent.exporters.len(), 3);
    assert!(
        sent.exporters
            .iter()
            .all(|exporter| exporter.source.ip().is_loopback())
    );
}

/// As in a pcap of the same options, but for the times.
#[test]
fn sends_the_flows_of_the_pcap() {
    let options = ExportOptions {
        exporters: 2,
        rate_flows_per_s: 50_000.0,
        ..options(Format::Ipfix, 4321)
    };
    let (_, sent) = export_to(bind("127.0.0.1:0").unwrap(), &options);
    let mut told = Tally::default();
    Messages::new(&options)
        .unwrap()
        .for_each(|message| told.add(&message.contents));
    assert_eq!(sent.contents, told);
}

#[test]
fn trains_arrive_as_datagrams_with_and_without_offload() {
    for is_offloaded in [false, segmentation_works()] {
        let socket = bind("127.0.0.1:0").unwrap();
        let any = SocketAddr::from(([127, 0, 0, 9], 0));
        let mut sender =
            TrainSocket::connect(any, socket.local_addr().unwrap(), is_offloaded).unwrap();
        let train: Vec<u8> = (0..100 * 30 + 10).map(|n| (n % 251) as u8).collect();
        sender.send(&train, 30).unwrap();
        let mut datagram = [0; 100];
        for expected in train.chunks(30) {
            let octets = socket.recv(&mut datagram).unwrap();
            assert_eq!(&datagram[..octets], expected);
        }
    }
}

#[test]
fn goes_on_when_nobody_listens() {
    // Connected elsewhere, it keeps the port from other tests but takes nothing.
    let socket = bind("127.0.0.1:0").unwrap();
    socket.connect("127.0.0.1:9").unwrap();
    let target = socket.local_addr().unwrap();
    let sent = export_udp(&options(Format::Netflow5, 100_000), target, NEVER).unwrap();
    assert_eq!(sent.contents.flows(), 100_000);
    assert!(sent.send_errors > 0);
}

#[test]
fn ends_when_stopped() {
    let socket = bind("127.0.0.1:0").unwrap();
    let asked = std::cell::Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) == 2;
    let options = options(Format::Netflow5, u64::MAX);
    let sent = export_udp(&options, socket.local_addr().unwrap(), &stop).unwrap();
    assert!(sent.elapsed < PATIENCE && sent.datagrams > 0);
}

#[test]
fn ends_after_its_duration() {
    let socket = bind("127.0.0.1:0").unwrap();
    let options = ExportOptions {
        duration: Some(Duration::from_millis(100)),
        exporters: 3,
        ..options(Format::Ipfix, 0)
    };
    let sent = export_udp(&options, socket.local_addr().unwrap(), NEVER).unwrap();
    assert!(sent.elapsed >= Duration::from_millis(100) && sent.elapsed < PATIENCE);
}

#[test]
fn paces_and_keeps_the_count() {
    let socket = bind("127.0.0.1:0").unwrap();
    let options = ExportOptions {
        rate_flows_per_s: 100_000.0,
        duration: Some(Duration::from_millis(500)),
        ..options(Format::Netflow5, 0)
    };
    let sent = export_udp(&options, socket.local_addr().unwrap(), NEVER).unwrap();
    assert_eq!(sent.contents.flows(), 50_000);
    assert!(
        sent.elapsed >= Duration::from_millis(499),
        "{:?}",
        sent.elapsed
    );
}
