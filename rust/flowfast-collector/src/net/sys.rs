//! System calls that no safe wrapper offers: the only unsafe code of flowfast.
//!
//! Every function takes a borrowed descriptor, so that it cannot outlive its socket, and returns plain values.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use libc::{c_int, c_void, sock_filter, socklen_t};

/// What one slot was given: one datagram, or a UDP_GRO train of many from one source.
#[derive(Debug)]
pub(crate) struct Received {
    /// Octets that arrived; more than the slot holds if `truncated`.
    pub(crate) octets: usize,
    /// Octets of each datagram of a train (the last may be shorter); None: one datagram.
    pub(crate) segment: Option<NonZeroUsize>,
    /// The kernel cut the data or the control message: neither may be trusted.
    pub(crate) truncated: bool,
    /// Where it came from, as the kernel says it (IPv4-mapped on dual-stack sockets).
    pub(crate) source: SocketAddr,
    /// The address of this machine that it was sent to, in the same form; None: the kernel does not say.
    pub(crate) destination: Option<IpAddr>,
}

/// Room for two control messages, UDP_GRO's `int` and an `in6_pktinfo`, and to spare; aligned as `cmsghdr` must be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct ControlBuffer([u8; 128]);

/// Where one call can receive at most so many datagrams or trains.
pub(crate) const SLOTS: usize = 32;

/// From one slot to the next beyond its length: slots that began at the same place of a page would share few lines of the caches.
const STAGGER: usize = 1600;

/// Buffers that receptions are put into, and what else the kernel says of each.
pub(crate) struct Slots {
    octets: Box<[u8]>,
    /// Octets of one slot.
    len: usize,
    sources: Box<[libc::sockaddr_storage; SLOTS]>,
    controls: Box<[ControlBuffer; SLOTS]>,
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut slots = formatter.debug_struct("Slots");
        slots.field("len", &self.len).finish_non_exhaustive()
    }
}

impl Slots {
    /// Slots of so many octets each.
    pub(crate) fn new(len: usize) -> Self {
        // SAFETY: sockaddr_storage is plain data for which all zeroes is a valid value.
        let source: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        Self {
            octets: vec![0; SLOTS * (len + STAGGER)].into(),
            len,
            sources: Box::new([source; SLOTS]),
            controls: Box::new([ControlBuffer([0; 128]); SLOTS]),
        }
    }

    /// What was put into a slot; at most as much as it holds.
    pub(crate) fn octets(&self, slot: usize, octets: usize) -> &[u8] {
        &self.octets[slot * (self.len + STAGGER)..][..octets.min(self.len)]
    }
}

/// What control messages say.
#[derive(Default)]
struct Control {
    segment: Option<NonZeroUsize>,
    destination: Option<IpAddr>,
}

/// Receive into the first `count` slots at most, and append what each was given. Without `wait`, `ErrorKind::WouldBlock` says at once
/// that nothing is there; with it, the call waits for one reception and takes with it what is there by then.
pub(crate) fn receive(
    fd: BorrowedFd<'_>,
    slots: &mut Slots,
    count: usize,
    wait: bool,
    received: &mut Vec<Received>,
) -> io::Result<()> {
    let count = count.min(SLOTS);
    // SAFETY: iovec and mmsghdr are plain data for which all zeroes is a valid value.
    let (mut data, mut messages): ([libc::iovec; SLOTS], [libc::mmsghdr; SLOTS]) =
        unsafe { std::mem::zeroed() };
    let buffers = slots.octets.chunks_exact_mut(slots.len + STAGGER);
    let others = slots.sources.iter_mut().zip(slots.controls.iter_mut());
    let headers = data.iter_mut().zip(&mut messages).take(count);
    for ((buffer, (source, control)), (data, message)) in buffers.zip(others).zip(headers) {
        data.iov_base = buffer.as_mut_ptr().cast();
        data.iov_len = slots.len;
        let message = &mut message.msg_hdr;
        message.msg_name = (&raw mut *source).cast();
        message.msg_namelen = length_of::<libc::sockaddr_storage>();
        message.msg_iov = data;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len() as _;
    }

    // MSG_TRUNC makes the kernel say how much arrived even if the slot was too small.
    let waiting = if wait {
        libc::MSG_WAITFORONE
    } else {
        libc::MSG_DONTWAIT
    };
    // SAFETY: every pointer in the first `count` messages points to a live local or into `slots`, with its true length, until the call
    // returns; without a timeout the kernel reads none.
    let done = unsafe {
        libc::recvmmsg(
            fd.as_raw_fd(),
            messages.as_mut_ptr(),
            count as _,
            (libc::MSG_TRUNC | waiting) as _,
            std::ptr::null_mut(),
        )
    };
    let done = usize::try_from(done).map_err(|_| io::Error::last_os_error())?;
    for (message, source) in messages[..done].iter().zip(slots.sources.iter()) {
        let header = &message.msg_hdr;
        let Control {
            segment,
            destination,
        } = control_of(header);
        received.push(Received {
            octets: message.msg_len as usize,
            segment,
            destination,
            truncated: header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0,
            source: socket_address(source).ok_or(io::ErrorKind::InvalidData)?,
        });
    }
    Ok(())
}

/// The size of a train's datagrams (UDP_GRO), and where they were sent to (IP_PKTINFO, IPV6_PKTINFO).
fn control_of(message: &libc::msghdr) -> Control {
    let mut control = Control::default();
    // SAFETY: the kernel filled msg_control up to msg_controllen, and the buffer is aligned for cmsghdr (ControlBuffer).
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a header that lies whole within msg_controllen.
        let (level, kind) = unsafe { ((*header).cmsg_level, (*header).cmsg_type) };
        // SAFETY: what the kernel puts behind a header depends on its level and kind alone: udp_cmsg_recv, ip_cmsg_recv_pktinfo,
        // ip6_datagram_recv_common_ctl; read_unaligned asks no alignment.
        unsafe {
            let data = libc::CMSG_DATA(header);
            match (level, kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let octets = data.cast::<c_int>().read_unaligned();
                    control.segment = usize::try_from(octets).ok().and_then(NonZeroUsize::new);
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    let address = Ipv4Addr::from_bits(u32::from_be(info.ipi_addr.s_addr));
                    control.destination = Some(address.into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    control.destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                _ => {}
            }
        }
        // SAFETY: `header` is a header of `message`, see above.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    control
}

fn socket_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: sockaddr_storage is large and aligned enough for every address family, and AF_INET says it is this one.
            let v4 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from_bits(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(address, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for AF_INET6.
            let v6 = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let address = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(address, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// A duplicate of a descriptor that was handed to this process as a number. Fails if it is not open.
pub(crate) fn duplicate(descriptor: RawFd) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is not -1, and only the kernel uses it, in one call that fails with EBADF if it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    borrowed.try_clone_to_owned()
}

/// Datagrams that the kernel dropped at this socket since it was opened (SO_MEMINFO). Wraps at 2^32.
pub(crate) fn kernel_drops(fd: BorrowedFd<'_>) -> io::Result<u32> {
    const VARS: usize = 9; // SK_MEMINFO_VARS
    let mut info = [0_u32; VARS];
    let mut length = length_of::<[u32; VARS]>();
    // SAFETY: `info` is live and `length` is its length in octets; the kernel writes at most so many.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast::<c_void>(),
            &raw mut length,
        )
    };
    check(result)?;
    Ok(info[libc::SK_MEMINFO_DROPS as usize])
}

/// Ask for trains of datagrams (UDP_GRO). Fails on kernels before 5.0.
pub(crate) fn enable_udp_gro(fd: BorrowedFd<'_>) -> io::Result<()> {
    set(fd, libc::SOL_UDP, libc::UDP_GRO, &1_i32)
}

/// Ask which address of this machine a datagram was sent to, on a socket of IPv6 or IPv4.
pub(crate) fn enable_packet_info(fd: BorrowedFd<'_>, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, &1_i32)
    } else {
        set(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, &1_i32)
    }
}

/// Set the receive buffer beyond `net.core.rmem_max`. Needs CAP_NET_ADMIN.
pub(crate) fn force_receive_buffer(fd: BorrowedFd<'_>, octets: c_int) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &octets)
}

/// Let a classic BPF program choose the socket of this socket's SO_REUSEPORT group: it returns the index in order of binding.
pub(crate) fn attach_reuseport_program(
    fd: BorrowedFd<'_>,
    program: &[sock_filter],
) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len,
        filter: program.as_ptr().cast_mut(), // the kernel copies it and writes nothing
    };
    set(
        fd,
        libc::SOL_SOCKET,
        libc::SO_ATTACH_REUSEPORT_CBPF,
        &program,
    )
}

/// Send what follows as trains of datagrams of so many octets (UDP_SEGMENT); 0 sends single datagrams again.
#[cfg(test)]
pub(crate) fn set_udp_segment(fd: BorrowedFd<'_>, octets: c_int) -> io::Result<()> {
    set(fd, libc::SOL_UDP, libc::UDP_SEGMENT, &octets)
}

fn set<T>(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    // SAFETY: `value` is live, and its length is given; what it points to, if anything, outlives the call at every caller above.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const *value).cast::<c_void>(),
            length_of::<T>(),
        )
    };
    check(result)
}

fn check(result: c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn length_of<T>() -> socklen_t {
    size_of::<T>() as socklen_t
}
