//! Trains: many datagrams of one size in one system call, by UDP segmentation offload where the kernel has it.

use std::{
    io::{self, IoSlice},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread::sleep,
    time::Duration,
};

use socket2::{Domain, MsgHdr, Socket, Type};

/// UDP_MAX_SEGMENTS of the oldest kernels that have UDP_SEGMENT.
const MAX_SEGMENTS: usize = 64;
/// The largest UDP payload over IPv4.
const MAX_TRAIN_OCTETS: usize = 65_507;
/// <linux/udp.h>.
const SOL_UDP: libc::c_int = 17;
const UDP_SEGMENT: libc::c_int = 103;
/// How long a send waits for the kernel before it is tried anew.
const SEND_TIMEOUT: Duration = Duration::from_millis(100);
const RETRY_DELAY: Duration = Duration::from_micros(100);
/// After so many attempts the kernel's error is reported.
const MAX_ATTEMPTS: usize = 10_000;

/// A UDP socket that sends trains.
pub(super) struct TrainSocket {
    socket: Socket,
    is_offloaded: bool,
    refusals: u64,
}

impl TrainSocket {
    /// From `source` (port 0: any) to `target`; `is_offloaded` as [`segmentation_works`] says.
    pub(super) fn connect(
        source: SocketAddr,
        target: SocketAddr,
        is_offloaded: bool,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(target), Type::DGRAM, None)?;
        socket.bind(&source.into())?;
        socket.connect(&target.into())?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Self {
            socket,
            is_offloaded,
            refusals: 0,
        })
    }

    /// Its own address and port.
    pub(super) fn source(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?;
        address
            .as_socket()
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// How often the kernel told that nobody listens.
    pub(super) fn refusals(&self) -> u64 {
        self.refusals
    }

    /// Sends `train` as datagrams of `datagram_octets`; the last may be shorter.
    pub(super) fn send(&mut self, train: &[u8], datagram_octets: usize) -> io::Result<()> {
        let datagrams = (MAX_TRAIN_OCTETS / datagram_octets).clamp(1, MAX_SEGMENTS);
        for train in train.chunks(datagrams * datagram_octets) {
            if !(self.is_offloaded && train.len() > datagram_octets) {
                self.send_one_by_one(train, datagram_octets)?;
            } else if let Err(error) =
                self.persist(|socket| send_train(socket, train, datagram_octets))
            {
                // Offload needs a device that computes checksums (EIO) and a path that takes the size (EINVAL).
                if !matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL)) {
                    return Err(error);
                }
                self.is_offloaded = false;
                self.send_one_by_one(train, datagram_octets)?;
            }
        }
        Ok(())
    }

    fn send_one_by_one(&mut self, train: &[u8], datagram_octets: usize) -> io::Result<()> {
        train
            .chunks(datagram_octets)
            .try_for_each(|datagram| self.persist(|socket| socket.send(datagram)))
    }

    /// Sends until the kernel takes it. That nobody listens is an answer to an earlier datagram, after which
    /// this one was not yet sent; full buffers empty themselves.
    fn persist(&mut self, mut send: impl FnMut(&Socket) -> io::Result<usize>) -> io::Result<()> {
        let mut attempts = 0;
        loop {
            let error = match send(&self.socket) {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            attempts += 1;
            match error.kind() {
                _ if attempts == MAX_ATTEMPTS => return Err(error),
                io::ErrorKind::ConnectionRefused => self.refusals += 1,
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => sleep(RETRY_DELAY),
                _ if error.raw_os_error() == Some(libc::ENOBUFS) => sleep(RETRY_DELAY),
                _ => return Err(error),
            }
        }
    }
}

/// One system call for all datagrams of a train.
fn send_train(socket: &Socket, train: &[u8], datagram_octets: usize) -> io::Result<usize> {
    let control = segment_size_message(datagram_octets as u16);
    let buffers = [IoSlice::new(train)];
    let message = MsgHdr::new().with_buffers(&buffers).with_control(&control);
    socket.sendmsg(&message, 0)
}

/// The control message UDP_SEGMENT: a `struct cmsghdr` of a native word and two ints, then the size in two
/// octets, padded to a word (cmsg(3), udp(7)).
fn segment_size_message(datagram_octets: u16) -> [u8; CONTROL_OCTETS] {
    let length = CMSGHDR_OCTETS + size_of::<u16>();
    let parts = [
        &length.to_ne_bytes()[..],
        &SOL_UDP.to_ne_bytes(),
        &UDP_SEGMENT.to_ne_bytes(),
        &datagram_octets.to_ne_bytes(),
    ];
    let mut message = [0; CONTROL_OCTETS];
    for (octet, value) in message.iter_mut().zip(parts.iter().copied().flatten()) {
        *octet = *value;
    }
    message
}

const CMSGHDR_OCTETS: usize = size_of::<usize>() + 2 * size_of::<libc::c_int>();
const CONTROL_OCTETS: usize = CMSGHDR_OCTETS + size_of::<usize>();

/// Whether the kernel cuts trains into datagrams. Kernels that do not know the control message ignore it and
/// would send one large datagram, so this sends a train to itself and looks.
pub(super) fn segmentation_works() -> bool {
    const DATAGRAM_OCTETS: usize = 8;
    let received = || -> io::Result<usize> {
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        receiver.set_read_timeout(Some(SEND_TIMEOUT))?;
        let sender = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        sender.connect(&receiver.local_addr()?.into())?;
        let train = [0; 2 * DATAGRAM_OCTETS];
        send_train(&sender, &train, DATAGRAM_OCTETS)?;
        receiver.recv(&mut [0; 2 * DATAGRAM_OCTETS])
    };
    cfg!(target_os = "linux") && received().is_ok_and(|octets| octets == DATAGRAM_OCTETS)
}
