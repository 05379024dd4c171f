//! Templates by name.

use std::str::FromStr;

use super::{
    element::Element::{self, *},
    error::ExportOptionsError,
    mix::{Family, Flow},
    options::{Format, by_name},
    order::FieldOrder,
    random::SplitMix64,
};

/// Element and encoded length in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldSpecifier {
    pub(super) element: Element,
    pub(super) octets: u16,
}

const fn reduced(element: Element, octets: u16) -> FieldSpecifier {
    FieldSpecifier { element, octets }
}

const fn full(element: Element) -> FieldSpecifier {
    reduced(element, element.octets())
}

/// The v5 record (registry/netflow-fixed-layouts.csv): a template that is never sent.
const V5: &[FieldSpecifier] = &[
    full(SourceIpv4Address),
    full(DestinationIpv4Address),
    full(IpNextHopIpv4Address),
    reduced(IngressInterface, 2),
    reduced(EgressInterface, 2),
    reduced(PacketDeltaCount, 4),
    reduced(OctetDeltaCount, 4),
    full(FlowStartSysUpTime),
    full(FlowEndSysUpTime),
    full(SourceTransportPort),
    full(DestinationTransportPort),
    full(PaddingOctets),
    reduced(TcpControlBits, 1),
    full(ProtocolIdentifier),
    full(IpClassOfService),
    reduced(BgpSourceAsNumber, 2),
    reduced(BgpDestinationAsNumber, 2),
    full(SourceIpv4PrefixLength),
    full(DestinationIpv4PrefixLength),
    reduced(PaddingOctets, 2),
];

const V9_CISCO: &[FieldSpecifier] = &[
    reduced(OctetDeltaCount, 4),
    reduced(PacketDeltaCount, 4),
    full(ProtocolIdentifier),
    full(IpClassOfService),
    reduced(TcpControlBits, 1),
    full(SourceTransportPort),
    full(SourceIpv4Address),
    full(SourceIpv4PrefixLength),
    full(IngressInterface),
    full(DestinationTransportPort),
    full(DestinationIpv4Address),
    full(DestinationIpv4PrefixLength),
    full(EgressInterface),
    full(IpNextHopIpv4Address),
    full(BgpSourceAsNumber),
    full(BgpDestinationAsNumber),
    full(FlowEndSysUpTime),
    full(FlowStartSysUpTime),
    full(FlowDirection),
];

const IPFIX_25: &[FieldSpecifier] = &[
    full(SourceIpv4Address),
    full(DestinationIpv4Address),
    full(SourceTransportPort),
    full(DestinationTransportPort),
    full(ProtocolIdentifier),
    full(OctetDeltaCount),
    full(PacketDeltaCount),
    full(FlowStartMilliseconds),
    full(FlowEndMilliseconds),
    full(IngressInterface),
    full(EgressInterface),
    full(TcpControlBits),
    full(IpClassOfService),
    full(BgpSourceAsNumber),
    full(BgpDestinationAsNumber),
    full(IpNextHopIpv4Address),
    full(SourceIpv4PrefixLength),
    full(DestinationIpv4PrefixLength),
    full(SourceMacAddress),
    full(DestinationMacAddress),
    full(VlanId),
    full(PostVlanId),
    full(IpTtl),
    full(FlowEndReason),
    full(FlowDirection),
];

const SET_A: &[FieldSpecifier] = &[
    full(OctetDeltaCount),
    full(PacketDeltaCount),
    full(FlowId),
    full(FlowStartMilliseconds),
    full(FlowEndMilliseconds),
    full(SourceMacAddress),
    full(DestinationMacAddress),
    full(SourceIpv4Address),
    full(IngressInterface),
    full(DestinationIpv4Address),
    full(EgressInterface),
    full(IpNextHopIpv4Address),
    full(BgpSourceAsNumber),
    full(BgpDestinationAsNumber),
    full(TcpControlBits),
    full(SourceTransportPort),
    full(DestinationTransportPort),
    full(VlanId),
    full(ProtocolIdentifier),
    full(IpClassOfService),
    full(SourceIpv4PrefixLength),
    full(DestinationIpv4PrefixLength),
    full(MinimumTtl),
    full(MaximumTtl),
    full(FlowDirection),
    full(FlowEndReason),
];

const MINIMAL: &[FieldSpecifier] = &[
    full(SourceIpv4Address),
    full(DestinationIpv4Address),
    full(SourceTransportPort),
    full(DestinationTransportPort),
    full(ProtocolIdentifier),
    full(OctetDeltaCount),
    full(PacketDeltaCount),
    full(FlowStartMilliseconds),
    full(FlowEndMilliseconds),
];

/// A set of fields by name. All but `V5` and `SetA` have a sister for IPv6 flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedTemplate {
    /// The record of NetFlow v5, 48 octets.
    V5,
    /// 19 fields that Cisco routers send in v9, with 32-bit counters and times relative to the boot: 54 octets.
    V9Cisco,
    /// 25 elements in the size of their types: 89 octets.
    Ipfix25,
    /// The 26 elements of the field-order experiment (FF-ORD-10), IPv4 only: 96 octets.
    SetA,
    /// Addresses, ports, protocol, volume and times: 45 octets.
    Minimal,
    /// The headers of a sampled packet, which have no fields to choose.
    Packet,
}

impl NamedTemplate {
    /// Every name.
    pub const ALL: [Self; 6] = [
        Self::V5,
        Self::V9Cisco,
        Self::Ipfix25,
        Self::SetA,
        Self::Minimal,
        Self::Packet,
    ];

    /// As written on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V5 => "v5",
            Self::V9Cisco => "v9-19",
            Self::Ipfix25 => "ipfix-25",
            Self::SetA => "set-a",
            Self::Minimal => "minimal",
            Self::Packet => "packet",
        }
    }

    /// The formats that can carry it.
    pub const fn formats(self) -> &'static [Format] {
        match self {
            Self::V5 => &[Format::Netflow5],
            // Times relative to the boot say nothing in IPFIX without systemInitTimeMilliseconds (FF-DT-08).
            Self::V9Cisco => &[Format::Netflow9],
            Self::Ipfix25 => &[Format::Ipfix],
            Self::SetA | Self::Minimal => &[Format::Netflow9, Format::Ipfix],
            Self::Packet => &[Format::Sflow],
        }
    }

    /// The usual template of a format.
    pub const fn default_of(format: Format) -> Self {
        match format {
            Format::Netflow5 => Self::V5,
            Format::Netflow9 => Self::V9Cisco,
            Format::Ipfix => Self::Ipfix25,
            Format::Sflow => Self::Packet,
        }
    }
}

impl FromStr for NamedTemplate {
    type Err = ExportOptionsError;

    fn from_str(name: &str) -> Result<Self, ExportOptionsError> {
        by_name("template", name, &Self::ALL, Self::name)
    }
}

/// The layout of the records of one address family, and the id it is announced under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) id: u16,
    pub(super) fields: Vec<FieldSpecifier>,
}

impl Template {
    /// Octets of one record.
    pub(super) fn record_octets(&self) -> usize {
        self.fields
            .iter()
            .map(|field| usize::from(field.octets))
            .sum()
    }

    /// Appends one record.
    pub(super) fn encode(&self, flow: &Flow, boot_time_ms: u64, message: &mut Vec<u8>) {
        for field in &self.fields {
            let value = field.element.value(flow, boot_time_ms).to_be_bytes();
            // Reduced-size encoding keeps the low octets (RFC 7011 section 6.2).
            message.extend_from_slice(&value[value.len() - usize::from(field.octets)..]);
        }
    }
}

/// The templates of one Exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Templates {
    pub(super) ipv4: Template,
    pub(super) ipv6: Option<Template>,
}

impl Templates {
    /// The named template in that order, and its sister if there is one and `with_ipv6`; `random` shuffles
    /// both alike.
    pub(super) fn new(
        named: NamedTemplate,
        order: FieldOrder,
        with_ipv6: bool,
        random: &SplitMix64,
    ) -> Self {
        let order = match named {
            NamedTemplate::V5 => FieldOrder::AsListed,
            _ => order,
        };
        let listed = match named {
            NamedTemplate::V5 => V5,
            NamedTemplate::V9Cisco => V9_CISCO,
            NamedTemplate::Ipfix25 => IPFIX_25,
            NamedTemplate::SetA => SET_A,
            NamedTemplate::Minimal => MINIMAL,
            NamedTemplate::Packet => &[],
        };
        let arranged = |id, mut fields: Vec<FieldSpecifier>| {
            order.arrange(&mut fields, &mut random.clone());
            Template { id, fields }
        };
        let has_sister = !matches!(named, NamedTemplate::V5 | NamedTemplate::SetA);
        let sister = || arranged(257, listed.iter().map(ipv6_sister).collect());
        Self {
            ipv4: arranged(256, listed.to_vec()),
            ipv6: (has_sister && with_ipv6).then(sister),
        }
    }

    /// The same under other ids: `first`, and the next one for the sister.
    pub(super) fn with_ids_from(mut self, first: u16) -> Self {
        self.ipv4.id = first;
        if let Some(ipv6) = &mut self.ipv6 {
            ipv6.id = first + 1;
        }
        self
    }

    /// Those that are announced.
    pub(super) fn all(&self) -> impl Iterator<Item = &Template> {
        [Some(&self.ipv4), self.ipv6.as_ref()].into_iter().flatten()
    }

    /// That of an address family.
    pub(super) fn of(&self, family: Family) -> Option<&Template> {
        match family {
            Family::Ipv4 => Some(&self.ipv4),
            Family::Ipv6 => self.ipv6.as_ref(),
        }
    }
}

fn ipv6_sister(field: &FieldSpecifier) -> FieldSpecifier {
    match field.element.of_ipv6() {
        element if element == field.element => *field,
        element => full(element),
    }
}
