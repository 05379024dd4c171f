//! Binding a listener's sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::{steer, sys};

/// Receive buffer asked for per socket unless told otherwise, in octets.
pub(crate) const DEFAULT_RCVBUF: usize = 32 << 20;

/// A listener's sockets, one a worker, in the order that the steering program counts them.
#[derive(Debug)]
pub(crate) struct BoundSockets {
    pub(crate) sockets: Vec<Socket>,
    /// With the real port.
    pub(crate) address: SocketAddr,
    /// Octets that each socket was given, in the unit of `net.core.rmem_max`.
    pub(crate) rcvbuf_granted: usize,
    /// The kernel chooses the socket by source address.
    pub(crate) steering: bool,
}

impl BoundSockets {
    /// One socket that is bound already.
    pub(crate) fn one(address: SocketAddr, socket: Socket) -> Self {
        let rcvbuf_granted = granted(&socket).unwrap_or_default();
        Self {
            sockets: vec![socket],
            address,
            rcvbuf_granted,
            steering: false,
        }
    }

    /// Adds a socket that was bound to the same address (SO_REUSEPORT) after those before it, and steers anew.
    pub(crate) fn join(&mut self, socket: Socket) {
        self.rcvbuf_granted = self
            .rcvbuf_granted
            .min(granted(&socket).unwrap_or_default());
        self.sockets.push(socket);
        self.steering = steer(&self.sockets);
    }
}

/// Take over a UDP socket that somebody else has bound (systemd's socket activation), by a duplicate of its descriptor.
pub(crate) fn adopt(
    descriptor: RawFd,
    rcvbuf: usize,
    receive_timeout: Duration,
) -> io::Result<(SocketAddr, Socket)> {
    let socket = Socket::from(sys::duplicate(descriptor)?);
    if socket.r#type()? != Type::DGRAM {
        return Err(io::Error::from_raw_os_error(libc::EPROTOTYPE));
    }
    let address = socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))?;
    socket.set_nonblocking(false)?;
    if granted(&socket)? < rcvbuf {
        // Without the privilege it keeps what it has: SO_RCVBUF could make it smaller (net.core.rmem_max).
        let _ = sys::force_receive_buffer(socket.as_fd(), octets(rcvbuf));
    }
    prepare(&socket, address, receive_timeout)?;
    Ok((address, socket))
}

/// Bind `workers` sockets to one address; port 0 takes a free one. Reads of these sockets give up after `receive_timeout`.
pub(crate) fn bind(
    address: SocketAddr,
    workers: usize,
    rcvbuf: usize,
    receive_timeout: Duration,
) -> io::Result<BoundSockets> {
    let open = || open(address, rcvbuf, receive_timeout);

    // The first socket binds without SO_REUSEPORT: a port that anyone else listens on, even another flowfast, is then an error
    // instead of a silent sharing of its datagrams.
    let first = open()?;
    if workers > 1 {
        hold(&first)?;
    }
    first.bind(&address.into())?;
    let address = first
        .local_addr()?
        .as_socket()
        .ok_or(io::ErrorKind::InvalidData)?;

    let mut sockets = vec![first];
    let mut steering = false;
    if workers > 1 {
        sockets[0].set_reuse_port(true)?;
        for _ in 1..workers {
            let socket = open()?;
            hold(&socket)?;
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
            sockets.push(socket);
        }
        steering = steer(&sockets);
        for socket in &sockets {
            socket.detach_filter()?;
        }
    }
    let rcvbuf_granted = granted(&sockets[0])?;
    Ok(BoundSockets {
        sockets,
        address,
        rcvbuf_granted,
        steering,
    })
}

fn open(address: SocketAddr, rcvbuf: usize, receive_timeout: Duration) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        // `::` takes IPv4, too (FF-TR-11).
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    if sys::force_receive_buffer(socket.as_fd(), octets(rcvbuf)).is_err() {
        // Never fails for being too large: the kernel grants what net.core.rmem_max allows, and we report that.
        socket.set_recv_buffer_size(rcvbuf)?;
    }
    prepare(&socket, address, receive_timeout)?;
    Ok(socket)
}

/// What a worker needs of its socket, whoever bound it.
fn prepare(socket: &Socket, address: SocketAddr, receive_timeout: Duration) -> io::Result<()> {
    // A kernel without UDP_GRO gives single datagrams, which are received just as well.
    let _ = sys::enable_udp_gro(socket.as_fd());
    // What is bound to one address is told nothing new. Without it, templates are listed without the address that they were sent to.
    if address.ip().is_unspecified() {
        let _ = sys::enable_packet_info(socket.as_fd(), address.is_ipv6());
    }
    socket.set_read_timeout(Some(receive_timeout))
}

/// Let the kernel choose among these sockets of one address by source address; whether it does.
fn steer(sockets: &[Socket]) -> bool {
    u32::try_from(sockets.len()).is_ok_and(|workers| {
        sys::attach_reuseport_program(sockets[0].as_fd(), &steer::program(workers)).is_ok()
    })
}

/// Octets of receive buffer, in the unit of `net.core.rmem_max`.
fn granted(socket: &Socket) -> io::Result<usize> {
    // The kernel doubles what is asked, to pay for its own bookkeeping, and reports the double (socket(7)).
    Ok(socket.recv_buffer_size()? / 2)
}

fn octets(rcvbuf: usize) -> i32 {
    i32::try_from(rcvbuf).unwrap_or(i32::MAX / 2)
}

/// Turn datagrams away until all sockets of the group are bound: those that came before the steering program is in place
/// could reach the wrong worker, and a Template there would be missed for minutes. The kernel counts them as drops.
fn hold(socket: &Socket) -> io::Result<()> {
    let reject_all = SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0);
    socket.attach_filter(&[reject_all])
}
