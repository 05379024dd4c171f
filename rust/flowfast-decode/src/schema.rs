//! The `flows` schema: one row per output column (architecture section 5). To add a column, add a row to `FLOW_COLUMNS`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};

use crate::element::{self, ElementId, Enumeration, INNER_FIELD_BASE, enumerations, sflow};
use crate::error::OptionsError;
use crate::template::options::Naming;

/// Which schema records are decoded into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// One stable table for every version.
    Flows,
    /// What was sent, losslessly: one table per set of elements.
    Wire,
}

/// Which columns are taken when nothing else is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Who talked to whom, when, how much.
    Minimal,
    /// Everything that exporters send.
    Standard,
    /// And what is computed from it.
    Full,
}

/// One column of the `flows` schema.
#[derive(Debug)]
pub struct FlowColumn {
    /// Its name: goflow2's where goflow2 has one.
    pub name: &'static str,
    /// The group of columns it belongs to, as in the documentation.
    pub group: &'static str,
    /// The smallest profile that has it.
    pub profile: Profile,
    pub(crate) value: Value,
    pub(crate) feeds: &'static [Feed],
    /// What it holds and where it comes from.
    pub doc: &'static str,
}

/// What a column holds, and so how its elements are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    // Constant for a message: appended by run.
    FormatName,
    TimeReceived,
    Exporter,
    Domain,
    Sequence,
    TemplateId,
    // Read from a field.
    U8,
    U16,
    U32,
    U64,
    Address,
    OriginalExporter,
    PrefixLength,
    Mac,
    Text,
    Octets,
    /// The name of a number.
    Enumerated(&'static Enumeration),
    /// How many ports a range has: as sent, or from its ends and steps.
    PortRangeSize,
    /// Told by options data, unless the record has it itself.
    Name(Naming),
    BiflowDirection,
    // Read from several fields.
    FlowStart,
    FlowEnd,
    EtherType,
    IcmpType,
    IcmpCode,
    MplsLabels,
    SamplingRate,
    SamplingSource,
    // Computed from other columns at the flush.
    BytesScaled,
    PacketsScaled,
}

/// An element that can fill a column, and which bits of it do. Earlier feeds win.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feed {
    pub(crate) element: ElementId,
    pub(crate) shift: u8,
    pub(crate) mask: u64,
}

const fn of(id: u32) -> Feed {
    bits(id, 0, u64::MAX)
}

const fn bits(id: u32, shift: u8, mask: u64) -> Feed {
    Feed {
        element: ElementId::iana(id),
        shift,
        mask,
    }
}

/// The element of the packet inside a tunnel.
const fn inner(id: u32) -> Feed {
    of(INNER_FIELD_BASE + id)
}

const fn reverse(id: u32) -> Feed {
    Feed {
        element: ElementId::reverse(id),
        shift: 0,
        mask: u64::MAX,
    }
}

const fn column(
    name: &'static str,
    group: &'static str,
    profile: Profile,
    value: Value,
    feeds: &'static [Feed],
    doc: &'static str,
) -> FlowColumn {
    FlowColumn {
        name,
        group,
        profile,
        value,
        feeds,
        doc,
    }
}

/// Every column of the `flows` schema, in output order.
#[rustfmt::skip]
pub static FLOW_COLUMNS: &[FlowColumn] = {
    use Profile::{Full, Minimal, Standard};
    use Value::*;
    &[
        column("type", "where from", Minimal, FormatName, &[], "Format and version: netflow_v5, netflow_v9, ipfix, ..."),
        column("time_received", "where from", Minimal, TimeReceived, &[], "When the datagram was received, microseconds UTC"),
        column("sampler_address", "where from", Minimal, Exporter, &[], "Address of the Exporter: as seen by the socket; of sFlow, the agent address; of a configured mediator, the one that the record names"),
        column("original_exporter", "where from", Full, OriginalExporter, &[of(403), of(404), of(130), of(131)], "Exporter that a mediator or proxy names in the record (RFC 7119), else the one that names itself"),
        column("observation_domain_id", "where from", Standard, Domain, &[], "Observation Domain (RFC 7011); v9 Source ID; v5-v8 engine type * 256 + engine id; sFlow v5 sub-agent id"),
        column("sequence_num", "where from", Standard, Sequence, &[], "Sequence number of the message, in the format's own unit"),
        column("template_id", "where from", Standard, TemplateId, &[], "Template the record was decoded with; null for v1-v8 and sFlow"),
        column("sampling_rate", "where from", Minimal, SamplingRate, &[of(34), of(50), of(305), of(310), of(311), of(307)], "One in so many packets was seen; 1 unsampled, 0 unknown"),
        column("sampling_source", "where from", Standard, SamplingSource, &[], "Where sampling_rate comes from: none, header, options, record, config"),

        column("time_flow_start", "flow", Minimal, FlowStart, &[of(156), of(154), of(152), of(150), of(158), of(22), of(323), of(324), of(325), of(322)], "First packet of the flow (or time of the event), microseconds UTC"),
        column("time_flow_end", "flow", Minimal, FlowEnd, &[of(157), of(155), of(153), of(151), of(159), of(21), of(323), of(324), of(325), of(322)], "Last packet of the flow (or time of the event), microseconds UTC"),
        column("src_addr", "flow", Minimal, Address, &[of(8), of(27), of(44), of(170)], "Source address; of an aggregate, its source prefix"),
        column("dst_addr", "flow", Minimal, Address, &[of(12), of(28), of(45), of(169)], "Destination address; of an aggregate, its destination prefix"),
        column("src_port", "flow", Minimal, U16, &[of(7), of(180), of(182)], "Source transport port"),
        column("dst_port", "flow", Minimal, U16, &[of(11), of(181), of(183)], "Destination transport port"),
        column("proto", "flow", Minimal, U8, &[of(4)], "IP protocol number"),
        column("etype", "flow", Standard, EtherType, &[of(256)], "Ethernet type; 0x0800 or 0x86dd from the addresses where none is sent"),
        column("ip_tos", "flow", Standard, U8, &[of(5)], "Type of service octet"),
        column("tcp_flags", "flow", Minimal, U16, &[bits(6, 0, 0x0fff)], "TCP control bits seen; data offset bits masked (RFC 9565)"),
        column("icmp_type", "flow", Standard, IcmpType, &[bits(32, 8, 0xff), bits(139, 8, 0xff), of(176), of(178)], "ICMP type, IPv4 or IPv6"),
        column("icmp_code", "flow", Standard, IcmpCode, &[bits(32, 0, 0xff), bits(139, 0, 0xff), of(177), of(179)], "ICMP code, IPv4 or IPv6"),
        column("ip_ttl", "flow", Standard, U8, &[of(192), of(52)], "Time to live or hop limit; the minimum where only that is sent"),
        column("fragment_id", "flow", Standard, U32, &[of(54)], "IP identification"),
        column("fragment_offset", "flow", Standard, U16, &[of(88)], "Fragment offset, units of 8 octets"),
        column("ipv6_flow_label", "flow", Standard, U32, &[of(31)], "IPv6 flow label"),
        column("flow_direction", "flow", Standard, U8, &[of(61)], "0 ingress, 1 egress"),
        column("flow_end_reason", "flow", Standard, U8, &[of(136)], "1 idle, 2 active timeout, 3 end seen, 4 forced, 5 lack of resources"),
        column("flow_end_reason_name", "flow", Full, Enumerated(&enumerations::FLOW_END_REASON), &[of(136)], "Name of flow_end_reason"),
        column("forwarding_status", "flow", Standard, U8, &[bits(89, 0, 0xff)], "Top two bits 0 unknown, 1 forwarded, 2 dropped, 3 consumed; then the reason"),
        column("forwarding_status_name", "flow", Full, Enumerated(&enumerations::FORWARDING_STATUS), &[bits(89, 0, 0xff)], "Name of forwarding_status"),

        column("bytes", "volume", Minimal, U64, &[of(1), of(85), of(231), of(352), of(23), of(sflow::FRAME_LENGTH), of(sflow::IP_LENGTH), of(312), of(224)], "Octets, as exported (not multiplied by the sampling rate); of a sampled packet, its length"),
        column("packets", "volume", Minimal, U64, &[of(2), of(86), of(298), of(24)], "Packets, as exported; 1 of a sampled packet"),
        column("flows", "volume", Standard, U64, &[of(3)], "Flows in an aggregate"),
        column("bytes_scaled", "volume", Full, BytesScaled, &[], "bytes * sampling_rate; null where the rate is unknown"),
        column("packets_scaled", "volume", Full, PacketsScaled, &[], "packets * sampling_rate; null where the rate is unknown"),

        column("in_if", "path", Minimal, U32, &[of(10), of(252)], "Interface it came in by (ifIndex)"),
        column("out_if", "path", Minimal, U32, &[of(14), of(253)], "Interface it left by (ifIndex)"),
        column("src_as", "path", Standard, U32, &[of(16)], "Source AS number"),
        column("dst_as", "path", Standard, U32, &[of(17)], "Destination AS number"),
        column("next_hop", "path", Standard, Address, &[of(15), of(62)], "Next hop address"),
        column("bgp_next_hop", "path", Standard, Address, &[of(18), of(63)], "BGP next hop address"),
        column("src_net", "path", Standard, PrefixLength, &[of(9), of(29)], "Length of the source prefix"),
        column("dst_net", "path", Standard, PrefixLength, &[of(13), of(30)], "Length of the destination prefix"),
        column("src_vlan", "path", Standard, U16, &[of(58), of(243)], "VLAN it came in by"),
        column("dst_vlan", "path", Standard, U16, &[of(59), of(254)], "VLAN it left by"),
        column("src_mac", "path", Standard, Mac, &[of(56), of(81)], "Source MAC address"),
        column("dst_mac", "path", Standard, Mac, &[of(80), of(57)], "Destination MAC address"),
        column("mpls_label", "path", Standard, MplsLabels, &[of(70), of(71), of(72), of(73), of(74), of(75), of(76), of(77), of(78), of(79)], "MPLS labels, top first"),
        column("in_vrf", "path", Standard, U32, &[of(234)], "VRF it came in by"),
        column("out_vrf", "path", Standard, U32, &[of(235)], "VRF it left by"),

        column("in_if_name", "path", Full, Name(Naming::Interface), &[of(10), of(252)], "Name of in_if, by the exporter's options data"),
        column("out_if_name", "path", Full, Name(Naming::Interface), &[of(14), of(253)], "Name of out_if, by the exporter's options data"),
        column("in_if_description", "path", Full, Name(Naming::InterfaceDescription), &[of(10), of(252)], "Description of in_if, by the exporter's options data"),
        column("out_if_description", "path", Full, Name(Naming::InterfaceDescription), &[of(14), of(253)], "Description of out_if, by the exporter's options data"),
        column("in_vrf_name", "path", Full, Name(Naming::Vrf), &[of(234)], "Name of in_vrf, by the exporter's options data"),
        column("out_vrf_name", "path", Full, Name(Naming::Vrf), &[of(235)], "Name of out_vrf, by the exporter's options data"),

        column("post_nat_src_addr", "events", Standard, Address, &[of(225), of(281)], "Source address after translation"),
        column("post_nat_dst_addr", "events", Standard, Address, &[of(226), of(282)], "Destination address after translation"),
        column("post_nat_src_port", "events", Standard, U16, &[of(227)], "Source port after translation"),
        column("post_nat_dst_port", "events", Standard, U16, &[of(228)], "Destination port after translation"),
        column("nat_event", "events", Standard, U8, &[of(230)], "NAT event (RFC 8158)"),
        column("nat_event_name", "events", Full, Enumerated(&enumerations::NAT_EVENT), &[of(230)], "Name of nat_event"),
        column("nat_quota_exceeded_name", "events", Full, Enumerated(&enumerations::NAT_QUOTA_EXCEEDED_EVENT), &[of(466)], "Which quota a NAT event 13 is about (RFC 8158)"),
        column("nat_threshold_name", "events", Full, Enumerated(&enumerations::NAT_THRESHOLD_EVENT), &[of(467)], "Which threshold a NAT event 18 is about (RFC 8158)"),
        column("nat_type_name", "events", Full, Enumerated(&enumerations::NAT_TYPE), &[of(297)], "Kind of translation"),
        column("nat_originating_realm_name", "events", Full, Enumerated(&enumerations::NAT_ORIGINATING_ADDRESS_REALM), &[of(229)], "Address realm in which the traffic of the session originated"),
        column("port_range_start", "events", Full, U16, &[of(361)], "First port of a block of ports; 0 is unspecified"),
        column("port_range_end", "events", Full, U16, &[of(362)], "Last port of a block of ports; 0 is unspecified"),
        column("port_range_step", "events", Full, U16, &[of(363)], "Every so manyth port of the block; 0 is unspecified"),
        column("port_range_size", "events", Full, PortRangeSize, &[of(364), of(361), of(362), of(363)], "Number of ports in the block: as sent, or (end - start) / step + 1"),
        column("firewall_event", "events", Standard, U8, &[of(233)], "1 created, 2 deleted, 3 denied, 4 alert, 5 update"),
        column("firewall_event_name", "events", Full, Enumerated(&enumerations::FIREWALL_EVENT), &[of(233)], "Name of firewall_event"),
        column("user_name", "events", Standard, Text, &[of(371), of(0x2_0000 + 40000), of(0x2_0000 + 56702)], "User"),
        column("application_id", "events", Standard, Octets, &[of(95)], "Application id (RFC 6759): engine id, selector"),
        column("application_name", "events", Standard, Name(Naming::Application), &[of(96), of(0x2_0000 + 56701), of(95)], "Application: as the record says, or the exporter's options data of application_id"),
        column("application_description", "events", Full, Name(Naming::ApplicationDescription), &[of(94), of(95)], "Description of the application, from where its name is"),
        column("application_category", "events", Full, Name(Naming::ApplicationCategory), &[of(372), of(95)], "Category of the application (RFC 6759 section 7), from where its name is"),
        column("application_sub_category", "events", Full, Name(Naming::ApplicationSubCategory), &[of(373), of(95)], "Sub-category of the application, from where its name is"),
        column("application_group", "events", Full, Name(Naming::ApplicationGroup), &[of(374), of(95)], "Group of the application, from where its name is"),
        column("application_p2p", "events", Full, Name(Naming::PeerToPeer), &[of(288), of(95)], "Whether the application is peer-to-peer (RFC 6759 section 7), from where its name is: yes, no or unassigned, as sent"),
        column("application_tunnel", "events", Full, Name(Naming::Tunnel), &[of(289), of(95)], "Whether the application is a tunnel, from where its name is: yes, no or unassigned, as sent"),
        column("application_encrypted", "events", Full, Name(Naming::Encrypted), &[of(290), of(95)], "Whether the application is encrypted, from where its name is: yes, no or unassigned, as sent"),

        column("tunnel_id", "inner", Full, U32, &[of(sflow::TUNNEL_ID), bits(351, 0, 0x00ff_ffff), of(sflow::VNI_INGRESS), of(sflow::VNI_EGRESS)], "Identifier of the tunnel that the packet is in: VXLAN's or Geneve's network, GRE's key"),
        column("inner_src_mac", "inner", Full, Mac, &[inner(56)], "Source MAC address of the frame in the tunnel"),
        column("inner_dst_mac", "inner", Full, Mac, &[inner(80)], "Destination MAC address of the frame in the tunnel"),
        column("inner_src_addr", "inner", Full, Address, &[inner(8), inner(27)], "Source address of the packet in the tunnel"),
        column("inner_dst_addr", "inner", Full, Address, &[inner(12), inner(28)], "Destination address of the packet in the tunnel"),
        column("inner_src_port", "inner", Full, U16, &[inner(7)], "Source transport port of the packet in the tunnel"),
        column("inner_dst_port", "inner", Full, U16, &[inner(11)], "Destination transport port of the packet in the tunnel"),
        column("inner_proto", "inner", Full, U8, &[inner(4)], "IP protocol number of the packet in the tunnel"),
        column("inner_tcp_flags", "inner", Full, U16, &[Feed { element: ElementId::iana(INNER_FIELD_BASE + 6), shift: 0, mask: 0x0fff }], "TCP control bits of the packet in the tunnel"),

        column("reverse_bytes", "reverse", Standard, U64, &[reverse(1), reverse(85), of(232)], "Octets of the reverse direction (RFC 5103)"),
        column("reverse_packets", "reverse", Standard, U64, &[reverse(2), reverse(86), of(299)], "Packets of the reverse direction (RFC 5103)"),
        column("reverse_tcp_flags", "reverse", Standard, U16, &[Feed { element: ElementId::reverse(6), shift: 0, mask: 0x0fff }], "TCP control bits of the reverse direction (RFC 5103)"),
        column("biflow_direction", "reverse", Full, BiflowDirection, &[of(239)], "Who is the source of a biflow (RFC 5103): 0 arbitrary, 1 the initiator, 2 the responder, 3 outside of a perimeter; by the record, or the exporter's options data; null in rows of a reverse direction"),
    ]
};

/// The `sampling_source` values, by key.
pub(crate) static SAMPLING_SOURCES: &[&str] = &["none", "header", "options", "record", "config"];

impl FlowColumn {
    /// The Arrow type of the column.
    pub fn data_type(&self) -> DataType {
        match self.value {
            Value::FormatName | Value::SamplingSource | Value::Enumerated(_) => {
                DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into())
            }
            Value::TimeReceived | Value::FlowStart | Value::FlowEnd => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            Value::Exporter | Value::Address | Value::OriginalExporter => {
                DataType::FixedSizeBinary(16)
            }
            Value::Domain | Value::Sequence | Value::U32 | Value::SamplingRate => DataType::UInt32,
            Value::TemplateId | Value::U16 | Value::EtherType | Value::PortRangeSize => {
                DataType::UInt16
            }
            Value::U8
            | Value::PrefixLength
            | Value::IcmpType
            | Value::IcmpCode
            | Value::BiflowDirection => DataType::UInt8,
            Value::U64 | Value::Mac | Value::BytesScaled | Value::PacketsScaled => DataType::UInt64,
            Value::Text | Value::Name(_) => DataType::Utf8,
            Value::Octets => DataType::Binary,
            Value::MplsLabels => {
                DataType::List(Arc::new(Field::new("item", DataType::UInt32, false)))
            }
        }
    }

    /// The Arrow field, with `flowfast.semantic` where the type alone does not say how to show it.
    pub(crate) fn field(&self) -> Field {
        let semantic = match self.value {
            Value::Exporter | Value::Address | Value::OriginalExporter => Some("ip"),
            Value::Mac => Some("mac"),
            _ => None,
        };
        with_semantic(Field::new(self.name, self.data_type(), true), semantic)
    }

    /// The elements that fill it, in order of preference, by name.
    pub fn elements(&self) -> Vec<String> {
        self.feeds
            .iter()
            .map(|feed| feed.element.column_name())
            .collect()
    }
}

/// Marks a field for readers and for text output: `ip` or `mac`.
pub(crate) fn with_semantic(field: Field, semantic: Option<&str>) -> Field {
    match semantic {
        Some(semantic) => field.with_metadata(HashMap::from([(
            "flowfast.semantic".to_owned(),
            semantic.to_owned(),
        )])),
        None => field,
    }
}

/// A column that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Selected {
    /// One of `FLOW_COLUMNS`.
    Flow(&'static FlowColumn),
    /// Any element, as `wire` would show it.
    Element(ElementId),
}

/// Resolves `--columns`: groups, column names, element names, `pen:id`. Each column comes once, in the order asked for.
pub(crate) fn select(names: &[String]) -> Result<Vec<Selected>, OptionsError> {
    let mut selected: Vec<Selected> = Vec::new();
    let mut add = |new: Selected| {
        let known = selected.iter().any(|old| match (old, &new) {
            (Selected::Flow(old), Selected::Flow(new)) => old.name == new.name,
            (Selected::Element(old), Selected::Element(new)) => old == new,
            _ => false,
        });
        if !known {
            selected.push(new);
        }
    };
    for name in names {
        let profile = match name.as_str() {
            "minimal" => Some(Profile::Minimal),
            "standard" => Some(Profile::Standard),
            "full" => Some(Profile::Full),
            _ => None,
        };
        if let Some(profile) = profile {
            FLOW_COLUMNS
                .iter()
                .filter(|column| column.profile <= profile)
                .for_each(|column| add(Selected::Flow(column)));
        } else if let Some(column) = FLOW_COLUMNS.iter().find(|column| column.name == name) {
            add(Selected::Flow(column));
        } else if let Some(element) = element_named(name) {
            add(Selected::Element(element));
        } else {
            return Err(OptionsError::UnknownColumn {
                name: name.clone(),
                nearest: nearest(name),
            });
        }
    }
    Ok(selected)
}

/// A registry name or `pen:id`.
fn element_named(name: &str) -> Option<ElementId> {
    if let Some((pen, id)) = name.split_once(':') {
        return Some(ElementId {
            pen: pen.parse().ok()?,
            id: u32::from(id.parse::<u16>().ok()?),
        });
    }
    ElementId::by_name(name)
}

fn nearest(name: &str) -> Option<String> {
    let known = ["minimal", "standard", "full"]
        .into_iter()
        .chain(FLOW_COLUMNS.iter().map(|column| column.name))
        .chain(element::names());
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 2 + name.len() / 4)
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(asked: &[&str]) -> Result<Vec<String>, OptionsError> {
        let asked: Vec<_> = asked.iter().map(|s| (*s).to_owned()).collect();
        Ok(select(&asked)?
            .iter()
            .map(|s| match s {
                Selected::Flow(column) => column.name.to_owned(),
                Selected::Element(element) => element.column_name(),
            })
            .collect())
    }

    #[test]
    fn groups_names_and_elements() {
        assert_eq!(
            names(&["bytes", "src_addr", "bytes"]).unwrap(),
            ["bytes", "src_addr"]
        );
        assert_eq!(names(&["flowId", "9:12235", "999:7"]).unwrap().len(), 3);
        assert!(
            !names(&["standard"])
                .unwrap()
                .contains(&"bytes_scaled".to_owned())
        );
        assert!(
            names(&["full"])
                .unwrap()
                .contains(&"bytes_scaled".to_owned())
        );
        assert_eq!(names(&["full"]).unwrap().len(), FLOW_COLUMNS.len());
    }

    #[test]
    fn unknown_columns_name_the_nearest() {
        let OptionsError::UnknownColumn { name, nearest } = names(&["src_adr"]).unwrap_err();
        assert_eq!(
            (name.as_str(), nearest.as_deref()),
            ("src_adr", Some("src_addr"))
        );
        let OptionsError::UnknownColumn { nearest, .. } = names(&["zzzzzzzzzzzz"]).unwrap_err();
        assert_eq!(nearest, None);
    }
}
