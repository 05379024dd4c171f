use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::*;
use crate::net::recv::{Receiver, Reception};
use crate::net::socket;

/// Runs the program as the kernel would, on a packet that starts with its IP header.
fn run(program: &[sock_filter], packet: &[u8]) -> u32 {
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
    loop {
        let op = &program[at];
        at += 1;
        let offset = op.k.wrapping_sub(libc::SKF_NET_OFF as u32) as usize;
        match op.code {
            0x20 => a = u32::from_be_bytes(packet[offset..offset + 4].try_into().unwrap()),
            0x30 => a = packet[offset].into(),
            0x24 => a = a.wrapping_mul(op.k),
            0x0c => a = a.wrapping_add(x),
            0x74 => a >>= op.k,
            0x94 => a %= op.k,
            0x07 => x = a,
            0x05 => at += op.k as usize,
            0x15 => at += usize::from(if a == op.k { op.jt } else { op.jf }),
            0x16 => return a,
            code => panic!("{code:#x} is none of ours"),
        }
    }
}

fn ip_header(source: IpAddr) -> Vec<u8> {
    match source {
        IpAddr::V4(source) => [&[0x45; 12][..], &source.octets(), &[0; 4]].concat(),
        IpAddr::V6(source) => [&[0x60; 8][..], &source.octets(), &[0; 16]].concat(),
    }
}

/// Addresses as networks have them: neighbours, and others.
fn addresses() -> impl Iterator<Item = IpAddr> {
    let v4 = (0..2000_u32).map(|n| Ipv4Addr::from_bits(0x0a00_0000 + n * 257).into());
    let v6 =
        (0..2000_u128).map(|n| Ipv6Addr::from_bits((0x2001_0db8 << 96) + (n << 64) + n * n).into());
    v4.chain(v6)
}

#[test]
fn the_program_computes_what_worker_of_does() {
    for workers in [1, 2, 3, 4, 7, 64] {
        let program = program(workers);
        for address in addresses() {
            assert_eq!(
                run(&program, &ip_header(address)) as usize,
                worker_of(address, workers as usize),
                "{address}"
            );
        }
    }
}

#[test]
fn neighbouring_addresses_spread() {
    for workers in [2, 4, 16] {
        let mut v4 = vec![0; workers];
        let mut v6 = vec![0; workers];
        for n in 0..1600 {
            v4[worker_of(Ipv4Addr::from_bits(0xc0a8_0000 + n).into(), workers)] += 1;
            v6[worker_of(
                Ipv6Addr::from_bits((0xfd00 << 112) + u128::from(n)).into(),
                workers,
            )] += 1;
        }
        for worker in 0..workers {
            let fair = 1600 / workers;
            assert!(
                (fair * 3 / 4..=fair * 5 / 4).contains(&v4[worker]),
                "{v4:?}"
            );
            assert!(
                (fair * 3 / 4..=fair * 5 / 4).contains(&v6[worker]),
                "{v6:?}"
            );
        }
    }
}

/// Sends from each source, with several source ports, and says which receiver got each: (source, receiver).
fn landed(
    listen: SocketAddr,
    to: IpAddr,
    sources: &[IpAddr],
    workers: usize,
) -> HashSet<(IpAddr, usize)> {
    const PORTS: usize = 8;
    let bound = socket::bind(listen, workers, 1 << 20, Duration::from_millis(10)).unwrap();
    assert!(bound.steering);
    for source in sources {
        for _ in 0..PORTS {
            let sender =
                Socket::new(Domain::for_address((*source, 0).into()), Type::DGRAM, None).unwrap();
            if source.is_ipv6() {
                sender.set_freebind_v6(true).unwrap(); // loopback has one IPv6 address only
            }
            sender.bind(&SocketAddr::new(*source, 0).into()).unwrap();
            sender
                .send_to(b"x", &SocketAddr::new(to, bound.address.port()).into())
                .unwrap();
        }
    }
    let mut landed = HashSet::new();
    let mut datagrams = 0;
    for (worker, socket) in bound.sockets.into_iter().enumerate() {
        let mut receiver = Receiver::new(socket);
        loop {
            let mut receptions = receiver.receive(false).unwrap().peekable();
            if receptions.peek().is_none() {
                break;
            }
            for reception in receptions {
                let Reception::Train(train) = reception else {
                    panic!("{reception:?}")
                };
                datagrams += train.datagrams().count();
                landed.insert((train.exporter, worker));
            }
        }
    }
    assert_eq!(datagrams, PORTS * sources.len());
    landed
}

fn predicted(sources: &[IpAddr], workers: usize) -> HashSet<(IpAddr, usize)> {
    sources
        .iter()
        .map(|&source| (source, worker_of(source, workers)))
        .collect()
}

#[test]
fn an_exporter_keeps_its_worker_whatever_its_port() {
    let sources: Vec<IpAddr> = (1..=40)
        .map(|n| Ipv4Addr::new(127, 0, n, 3 * n).into())
        .collect();
    let to = Ipv4Addr::LOCALHOST.into();
    for workers in [2, 4, 5] {
        let landed = landed((Ipv4Addr::LOCALHOST, 0).into(), to, &sources, workers);
        assert_eq!(landed, predicted(&sources, workers));
    }
}

#[test]
fn ipv4_on_a_dual_stack_socket_is_hashed_as_ipv4() {
    let sources: Vec<IpAddr> = (1..=40)
        .map(|n| Ipv4Addr::new(127, 1, n, n).into())
        .collect();
    let landed = landed(
        (Ipv6Addr::UNSPECIFIED, 0).into(),
        Ipv4Addr::LOCALHOST.into(),
        &sources,
        4,
    );
    assert_eq!(landed, predicted(&sources, 4));
}

#[test]
fn ipv6_exporters_keep_their_worker() {
    let sources: Vec<IpAddr> = (1..=40)
        .map(|n| Ipv6Addr::new(0xfd00, 1, n, 0, 0, 0, 7 * n, n).into())
        .collect();
    let landed = landed(
        (Ipv6Addr::UNSPECIFIED, 0).into(),
        Ipv6Addr::LOCALHOST.into(),
        &sources,
        4,
    );
    assert_eq!(landed, predicted(&sources, 4));
}

#[test]
fn a_port_that_anyone_listens_on_is_in_use() {
    let bind =
        |address: SocketAddr, workers| socket::bind(address, workers, 0, Duration::from_millis(10));
    for (first, second) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        let bound = bind((Ipv4Addr::LOCALHOST, 0).into(), first).unwrap();
        let error = bind(bound.address, second).unwrap_err();
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::AddrInUse,
            "{first} and {second} workers"
        );
    }
    let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    assert!(bind(other.local_addr().unwrap(), 4).is_err());
}
