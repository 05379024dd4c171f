//! From a captured packet to the UDP datagram in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpNumber, LaxIpSlice, UdpHeaderSlice};

use crate::journal;

/// How the packets of an interface begin (tcpdump.org/linktypes.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkType {
    /// 1.
    Ethernet,
    /// 0, 108: four octets of address family.
    Loopback,
    /// 12, 14, 101, 228, 229: nothing before the IP header.
    RawIp,
    /// 113: SLL.
    LinuxCooked,
    /// 276: SLL2.
    LinuxCooked2,
    /// Any other.
    Unsupported,
}

impl From<i32> for LinkType {
    fn from(number: i32) -> Self {
        match number {
            0 | 108 => Self::Loopback,
            1 => Self::Ethernet,
            12 | 14 | 101 | 228 | 229 => Self::RawIp,
            113 => Self::LinuxCooked,
            276 => Self::LinuxCooked2,
            _ => Self::Unsupported,
        }
    }
}

/// A UDP datagram inside a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UdpDatagram<'a> {
    /// IPv4-mapped addresses as IPv4 (FF-TR-11).
    pub(crate) source: IpAddr,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// It comes out of a journal, and only tells templates and options data.
    pub(crate) teaches: bool,
    pub(crate) payload: &'a [u8],
}

/// Why a packet holds no datagram for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    /// An IP fragment; they are not reassembled.
    Fragment,
    /// Not UDP over IP.
    NotUdp,
    /// The capture cut it (snaplen).
    Snapped,
    /// Another destination port than those asked for.
    OtherPort,
    /// Its headers lie.
    Malformed,
    /// An interface of a link type that is not supported.
    UnsupportedLink,
}

impl Skip {
    /// Every reason, in counter order.
    pub(crate) const ALL: [Self; 6] = [
        Self::Fragment,
        Self::NotUdp,
        Self::Snapped,
        Self::OtherPort,
        Self::Malformed,
        Self::UnsupportedLink,
    ];

    /// The counter's label.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Fragment => "fragments",
            Self::NotUdp => "not_udp",
            Self::Snapped => "snapped",
            Self::OtherPort => "other_port",
            Self::Malformed => "malformed",
            Self::UnsupportedLink => "unsupported_link",
        }
    }
}

/// The datagram in a packet, of which the capture kept less than was sent if `snapped`.
pub(crate) fn udp_datagram(
    link: LinkType,
    packet: &[u8],
    snapped: bool,
) -> Result<UdpDatagram<'_>, Skip> {
    let short = if snapped {
        Skip::Snapped
    } else {
        Skip::Malformed
    };
    let packet = ip_packet(link, packet, short)?;
    let (ip, stopped) = LaxIpSlice::from_slice(packet).map_err(|_| short)?;
    if stopped.is_some() {
        return Err(short); // within the extension headers
    }
    let payload = ip.payload();
    if payload.fragmented {
        return Err(Skip::Fragment);
    }
    if payload.ip_number != IpNumber::UDP {
        return Err(Skip::NotUdp);
    }
    let short = if payload.incomplete {
        Skip::Snapped
    } else {
        short
    };
    let udp = UdpHeaderSlice::from_slice(payload.payload).map_err(|_| short)?;
    let payload = match usize::from(udp.length()) {
        0 => &payload.payload[8..], // RFC 2675 section 4: a jumbogram
        length @ 8.. => payload.payload.get(8..length).ok_or(short)?,
        _ => return Err(Skip::Malformed),
    };
    Ok(UdpDatagram {
        source: source_address(&ip).to_canonical(),
        source_port: udp.source_port(),
        destination_port: udp.destination_port(),
        teaches: journal::teaches(target_address(&ip)),
        payload,
    })
}

fn source_address(ip: &LaxIpSlice<'_>) -> IpAddr {
    match ip {
        LaxIpSlice::Ipv4(ip) => Ipv4Addr::from(ip.header().source()).into(),
        LaxIpSlice::Ipv6(ip) => Ipv6Addr::from(ip.header().source()).into(),
    }
}

fn target_address(ip: &LaxIpSlice<'_>) -> IpAddr {
    match ip {
        LaxIpSlice::Ipv4(ip) => Ipv4Addr::from(ip.header().destination()).into(),
        LaxIpSlice::Ipv6(ip) => Ipv6Addr::from(ip.header().destination()).into(),
    }
}

/// The packet without its link-layer header.
fn ip_packet(link: LinkType, packet: &[u8], short: Skip) -> Result<&[u8], Skip> {
    /// The ether type at an offset, and what follows at another.
    fn typed(packet: &[u8], at: usize, header: usize) -> Option<(u16, &[u8])> {
        let kind = packet.get(at..at + 2)?;
        Some((
            u16::from_be_bytes([kind[0], kind[1]]),
            packet.get(header..)?,
        ))
    }

    let typed_payload = match link {
        LinkType::RawIp => return Ok(packet),
        LinkType::Loopback => return packet.get(4..).ok_or(short),
        LinkType::Ethernet => typed(packet, 12, 14),
        LinkType::LinuxCooked => typed(packet, 14, 16),
        LinkType::LinuxCooked2 => typed(packet, 0, 20),
        LinkType::Unsupported => return Err(Skip::UnsupportedLink),
    };
    let (mut kind, mut packet) = typed_payload.ok_or(short)?;
    // IEEE 802.1Q, 802.1ad, and the tag of stacked VLANs before that; however many.
    while matches!(kind, 0x8100 | 0x88a8 | 0x9100) {
        (kind, packet) = typed(packet, 2, 4).ok_or(short)?;
    }
    match kind {
        0x0800 | 0x86dd => Ok(packet),
        _ => Err(Skip::NotUdp),
    }
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
