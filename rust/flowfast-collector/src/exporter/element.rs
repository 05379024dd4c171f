//! The Information Elements of the exported templates.

use super::mix::Flow;

/// The Information Elements that are exported; the discriminant is the id in IANA's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub(super) enum Element {
    OctetDeltaCount = 1,
    PacketDeltaCount = 2,
    ProtocolIdentifier = 4,
    IpClassOfService = 5,
    TcpControlBits = 6,
    SourceTransportPort = 7,
    SourceIpv4Address = 8,
    SourceIpv4PrefixLength = 9,
    IngressInterface = 10,
    DestinationTransportPort = 11,
    DestinationIpv4Address = 12,
    DestinationIpv4PrefixLength = 13,
    EgressInterface = 14,
    IpNextHopIpv4Address = 15,
    BgpSourceAsNumber = 16,
    BgpDestinationAsNumber = 17,
    FlowEndSysUpTime = 21,
    FlowStartSysUpTime = 22,
    SourceIpv6Address = 27,
    DestinationIpv6Address = 28,
    SourceIpv6PrefixLength = 29,
    DestinationIpv6PrefixLength = 30,
    MinimumTtl = 52,
    MaximumTtl = 53,
    SourceMacAddress = 56,
    VlanId = 58,
    PostVlanId = 59,
    FlowDirection = 61,
    IpNextHopIpv6Address = 62,
    DestinationMacAddress = 80,
    FlowEndReason = 136,
    FlowId = 148,
    FlowStartMilliseconds = 152,
    FlowEndMilliseconds = 153,
    IpTtl = 192,
    PaddingOctets = 210,
}

use Element::*;

impl Element {
    /// Octets of the element's abstract data type (RFC 7011 section 6.1).
    pub(super) const fn octets(self) -> u16 {
        match self {
            ProtocolIdentifier
            | IpClassOfService
            | SourceIpv4PrefixLength
            | DestinationIpv4PrefixLength
            | SourceIpv6PrefixLength
            | DestinationIpv6PrefixLength
            | MinimumTtl
            | MaximumTtl
            | FlowDirection
            | FlowEndReason
            | IpTtl
            | PaddingOctets => 1,
            TcpControlBits
            | SourceTransportPort
            | DestinationTransportPort
            | VlanId
            | PostVlanId => 2,
            SourceIpv4Address
            | DestinationIpv4Address
            | IpNextHopIpv4Address
            | IngressInterface
            | EgressInterface
            | BgpSourceAsNumber
            | BgpDestinationAsNumber
            | FlowEndSysUpTime
            | FlowStartSysUpTime => 4,
            SourceMacAddress | DestinationMacAddress => 6,
            OctetDeltaCount
            | PacketDeltaCount
            | FlowId
            | FlowStartMilliseconds
            | FlowEndMilliseconds => 8,
            SourceIpv6Address | DestinationIpv6Address | IpNextHopIpv6Address => 16,
        }
    }

    /// The element that says the same of an IPv6 flow.
    pub(super) const fn of_ipv6(self) -> Self {
        match self {
            SourceIpv4Address => SourceIpv6Address,
            DestinationIpv4Address => DestinationIpv6Address,
            SourceIpv4PrefixLength => SourceIpv6PrefixLength,
            DestinationIpv4PrefixLength => DestinationIpv6PrefixLength,
            IpNextHopIpv4Address => IpNextHopIpv6Address,
            other => other,
        }
    }

    /// Its value in a flow, in the low octets.
    pub(super) fn value(self, flow: &Flow, boot_time_ms: u64) -> u128 {
        let (source, destination) = (&flow.source, &flow.destination);
        match self {
            OctetDeltaCount => flow.octets.into(),
            PacketDeltaCount => flow.packets.into(),
            ProtocolIdentifier => flow.protocol.into(),
            IpClassOfService => flow.class_of_service.into(),
            TcpControlBits => flow.tcp_control_bits.into(),
            SourceTransportPort => source.port.into(),
            DestinationTransportPort => destination.port.into(),
            SourceIpv4Address | SourceIpv6Address => source.address,
            DestinationIpv4Address | DestinationIpv6Address => destination.address,
            SourceIpv4PrefixLength | SourceIpv6PrefixLength => source.prefix_length.into(),
            DestinationIpv4PrefixLength | DestinationIpv6PrefixLength => {
                destination.prefix_length.into()
            }
            IpNextHopIpv4Address | IpNextHopIpv6Address => destination.next_hop,
            IngressInterface => source.interface.into(),
            EgressInterface => destination.interface.into(),
            BgpSourceAsNumber => source.as_number.into(),
            BgpDestinationAsNumber => destination.as_number.into(),
            FlowStartSysUpTime => (flow.start_ms - boot_time_ms).into(),
            FlowEndSysUpTime => (flow.end_ms - boot_time_ms).into(),
            FlowStartMilliseconds => flow.start_ms.into(),
            FlowEndMilliseconds => flow.end_ms.into(),
            MinimumTtl | MaximumTtl | IpTtl => flow.ttl.into(),
            SourceMacAddress => source.mac.into(),
            DestinationMacAddress => destination.mac.into(),
            VlanId => source.vlan.into(),
            PostVlanId => destination.vlan.into(),
            FlowDirection => flow.direction.into(),
            FlowEndReason => flow.end_reason.into(),
            FlowId => flow.id.into(),
            PaddingOctets => 0,
        }
    }
}
