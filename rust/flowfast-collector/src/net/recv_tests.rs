use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use super::*;
use crate::net::socket;

const TIMEOUT: Duration = Duration::from_millis(30);

/// A receiver with a buffer of so many octets, and a socket that sends to it.
fn pair(octets: usize) -> (Receiver, UdpSocket) {
    let bound = socket::bind((Ipv4Addr::LOCALHOST, 0).into(), 1, 1 << 20, TIMEOUT).unwrap();
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    sender.connect(bound.address).unwrap();
    let socket = bound.sockets.into_iter().next().unwrap();
    (Receiver::with_buffer(socket, octets), sender)
}

/// The only reception that there is.
fn one(receiver: &mut Receiver) -> Reception<'_> {
    let mut receptions = receiver.receive(true).unwrap();
    assert_eq!(receptions.len(), 1);
    receptions.next().unwrap()
}

fn datagrams(receiver: &mut Receiver) -> Vec<Vec<u8>> {
    match one(receiver) {
        Reception::Train(train) => train.datagrams().map(<[u8]>::to_vec).collect(),
        other => panic!("{other:?}"),
    }
}

/// `count` datagrams of `octets` octets and one of `last` octets, each different.
fn messages(count: u8, octets: usize, last: usize) -> Vec<Vec<u8>> {
    let full = (0..count).map(|number| vec![number; octets]);
    full.chain((last > 0).then(|| vec![0xff; last])).collect()
}

#[test]
fn a_train_is_split_into_its_datagrams() {
    let (mut receiver, sender) = pair(BUFFER_OCTETS);
    for (count, octets, last) in [
        (40, 1464, 0),
        (40, 1464, 200),
        (3, 72, 1),
        (1, 1464, 0),
        (60, 1, 0),
    ] {
        let messages = messages(count, octets, last);
        sys::set_udp_segment(sender.as_fd(), octets as i32).unwrap();
        sender.send(&messages.concat()).unwrap();
        assert_eq!(datagrams(&mut receiver), messages, "one reception");
    }
}

#[test]
fn single_datagrams_of_every_length() {
    let (mut receiver, sender) = pair(BUFFER_OCTETS);
    for octets in [0, 1, 1464, 9000, 65_507] {
        let message = vec![7; octets];
        sender.send(&message).unwrap();
        assert_eq!(datagrams(&mut receiver), [message]);
    }
}

#[test]
fn a_truncated_datagram_is_counted_and_its_octets_are_not_used() {
    let (mut receiver, sender) = pair(100);
    sender.send(&[1; 101]).unwrap();
    sender.send(&[2; 100]).unwrap();
    assert!(matches!(
        one(&mut receiver),
        Reception::Truncated {
            datagrams: 1,
            octets: 101
        }
    ));
    assert_eq!(
        datagrams(&mut receiver),
        [[2; 100]],
        "the next one is whole"
    );
}

#[test]
fn a_truncated_train_counts_all_its_datagrams() {
    let (mut receiver, sender) = pair(2000);
    sys::set_udp_segment(sender.as_fd(), 1000).unwrap();
    sender.send(&[1; 4500]).unwrap();
    assert!(matches!(
        one(&mut receiver),
        Reception::Truncated {
            datagrams: 5,
            octets: 4500
        }
    ));
}

#[test]
fn sources_are_unmapped_and_keep_their_port() {
    // FF-TR-11: an IPv4 exporter is one, though the socket takes both.
    let bound = socket::bind((Ipv6Addr::UNSPECIFIED, 0).into(), 1, 0, TIMEOUT).unwrap();
    let mut receiver = Receiver::new(bound.sockets.into_iter().next().unwrap());
    for source in [
        IpAddr::from(Ipv4Addr::new(127, 0, 0, 9)),
        Ipv6Addr::LOCALHOST.into(),
    ] {
        let sender = UdpSocket::bind((source, 0)).unwrap();
        let to: IpAddr = if source.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        };
        sender.send_to(b"x", (to, bound.address.port())).unwrap();
        let Reception::Train(train) = one(&mut receiver) else {
            panic!("nothing came")
        };
        assert_eq!(
            (train.exporter, train.exporter_port),
            (source, sender.local_addr().unwrap().port())
        );
        assert_eq!(train.local_address, Some(to));
    }
}

#[test]
fn what_comes_to_a_socket_of_one_address_was_sent_there() {
    for address in [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ] {
        let bound = socket::bind((address, 0).into(), 1, 0, TIMEOUT).unwrap();
        let mut receiver = Receiver::new(bound.sockets.into_iter().next().unwrap());
        let sender = UdpSocket::bind((address, 0)).unwrap();
        sender.send_to(b"x", bound.address).unwrap();
        let Reception::Train(train) = one(&mut receiver) else {
            panic!("nothing came")
        };
        assert_eq!(train.local_address, Some(address));
    }
}

#[test]
fn waiting_ends_with_the_timeout_and_not_waiting_at_once() {
    let (mut receiver, _sender) = pair(100);
    let start = Instant::now();
    assert_eq!(receiver.receive(false).unwrap().len(), 0);
    assert!(start.elapsed() < TIMEOUT / 2);
    assert_eq!(receiver.receive(true).unwrap().len(), 0);
    assert!(start.elapsed() >= TIMEOUT);
}

#[test]
fn what_is_there_is_received_in_one_call() {
    let bound = socket::bind((Ipv4Addr::LOCALHOST, 0).into(), 1, 1 << 20, TIMEOUT).unwrap();
    let mut receiver = Receiver::new(bound.sockets.into_iter().next().unwrap());
    let senders =
        [1, 2, 3].map(|host| UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).unwrap());
    let send = |number: u8| {
        let octets = vec![number; 1000 + usize::from(number)];
        let sender = &senders[usize::from(number) % senders.len()];
        sender.send_to(&octets, bound.address).unwrap();
    };
    // After one datagram it is known how long they are.
    send(0);
    assert_eq!(receiver.receive(true).unwrap().len(), 1);
    (0..100).for_each(send);
    let (mut next, mut calls) = (0, Vec::new());
    while next < 100 {
        let receptions = receiver.receive(true).unwrap();
        calls.push(receptions.len());
        for reception in receptions {
            let Reception::Train(train) = reception else {
                panic!("{reception:?}")
            };
            let octets: Vec<_> = train.datagrams().collect();
            assert_eq!(octets, [vec![next; 1000 + usize::from(next)]]);
            let sender = &senders[usize::from(next) % senders.len()];
            let source = SocketAddr::new(train.exporter, train.exporter_port);
            assert_eq!(source, sender.local_addr().unwrap());
            next += 1;
        }
    }
    assert_eq!(calls, [SLOTS, SLOTS, SLOTS, 100 - 3 * SLOTS]);
}

#[test]
fn pauses_are_short_enough_for_the_receive_buffer() {
    // The kernel doubles what is asked: 32 MiB; a distribution's net.core.rmem_max; 4 MiB.
    assert_eq!(pause(64 << 20), PAUSE);
    assert_eq!(pause(2 * 212_992), Duration::ZERO);
    assert_eq!(pause(8 << 20), Duration::from_micros(512));
}
