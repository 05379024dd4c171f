//! Information Elements (RFC 7012): what a field means and which abstract data type it has.
//!
//! The table is generated from `registry/*.csv`; reverse elements (RFC 5103) are computed.

pub(crate) mod enumerations;
mod learned;
mod registry;

use std::borrow::Cow;

pub(crate) use learned::LearnedElement;
pub(crate) use registry::{INNER_FIELD_BASE, NETFLOW9_SCOPE_BASE};

/// Ids of sFlow fields without an IANA element, where the code names them; all are in `registry/sflow-fields.csv`.
pub(crate) mod sflow {
    use super::registry::SFLOW_FIELD_BASE as BASE;

    pub(crate) const IN_FORMAT: u32 = BASE + 7;
    pub(crate) const IN_VALUE: u32 = BASE + 8;
    pub(crate) const OUT_FORMAT: u32 = BASE + 9;
    pub(crate) const OUT_VALUE: u32 = BASE + 10;
    pub(crate) const DISCARD_REASON_NAME: u32 = BASE + 11;
    pub(crate) const HEADER_PROTOCOL: u32 = BASE + 12;
    pub(crate) const FRAME_LENGTH: u32 = BASE + 13;
    pub(crate) const IP_LENGTH: u32 = BASE + 24;
    pub(crate) const SAMPLING_INTERVAL_S: u32 = BASE + 572;
    pub(crate) const TUNNEL_ID: u32 = BASE + 573;
    pub(crate) const VNI_EGRESS: u32 = BASE + 84;
    pub(crate) const VNI_INGRESS: u32 = BASE + 85;
}

/// The Private Enterprise Number that marks the reverse direction of an IANA element (RFC 5103 section 6.1).
pub(crate) const REVERSE_PEN: u32 = 29305;

/// `paddingOctets`: skipped, never a column (FF-IX-10).
pub(crate) const PADDING_OCTETS: ElementId = ElementId::iana(210);

/// Abstract data types (RFC 7011 section 6.1; RFC 6313 for the lists; RFC 9740 for unsigned256).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // each name is the RFC's own
pub enum AbstractDataType {
    OctetArray,
    Unsigned8,
    Unsigned16,
    Unsigned32,
    Unsigned64,
    Unsigned256,
    Signed8,
    Signed16,
    Signed32,
    Signed64,
    Float32,
    Float64,
    Boolean,
    MacAddress,
    String,
    DateTimeSeconds,
    DateTimeMilliseconds,
    DateTimeMicroseconds,
    DateTimeNanoseconds,
    Ipv4Address,
    Ipv6Address,
    /// Either family, told apart by length (some vendors' lists).
    IpAddress,
    BasicList,
    SubTemplateList,
    SubTemplateMultiList,
}

/// Names an Information Element: enterprise number (0 for IANA) and id.
///
/// Ids on the wire have at most 16 bits; larger ones are fields that no registry numbers (see `registry/generate.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ElementId {
    /// Private Enterprise Number, 0 for IANA's registry.
    pub pen: u32,
    /// Element id within that registry.
    pub id: u32,
}

impl ElementId {
    /// An element of the IANA registry.
    pub const fn iana(id: u32) -> Self {
        Self { pen: 0, id }
    }

    /// The reverse of an IANA element (RFC 5103).
    pub const fn reverse(id: u32) -> Self {
        Self {
            pen: REVERSE_PEN,
            id,
        }
    }

    /// The element of a NetFlow v9 field type (FF-V9-17: no enterprise bit; vendors' types first, then IANA).
    pub fn netflow9(field_type: u16) -> Self {
        let aliases = registry::NETFLOW9_ALIASES;
        // Most types are IANA's, and not looked for: vendors' are numbered above them.
        if field_type >= aliases[0].0
            && let Ok(found) = aliases.binary_search_by_key(&field_type, |alias| alias.0)
        {
            return Self::iana(aliases[found].1);
        }
        Self::iana(u32::from(field_type))
    }

    /// The pseudo element of a NetFlow v9 scope type (RFC 3954 section 6.1).
    pub fn netflow9_scope(scope_type: u16) -> Self {
        Self::iana(NETFLOW9_SCOPE_BASE + u32::from(scope_type))
    }

    /// What the registry says of this element, if it is known.
    pub fn describe(self) -> Option<InformationElement> {
        if self.pen == REVERSE_PEN {
            let forward = Self::iana(self.id)
                .describe()
                .filter(|_| is_reversible(self.id))?;
            let mut name = String::from("reverse");
            let mut letters = forward.name.chars();
            name.extend(letters.next().map(|c| c.to_ascii_uppercase()));
            name.extend(letters);
            return Some(InformationElement {
                id: self,
                name: name.into(),
                data_type: forward.data_type,
            });
        }
        let found = registry::ELEMENTS
            .binary_search_by_key(&(self.pen, self.id), |row| (row.0, row.1))
            .ok()?;
        let Row(_, _, name, data_type) = registry::ELEMENTS[found];
        Some(InformationElement {
            id: self,
            name: name.into(),
            data_type,
        })
    }

    /// The element with this registry name; IANA's wins where vendors use the same name.
    pub fn by_name(name: &str) -> Option<Self> {
        if let Some(rest) = name.strip_prefix("reverse") {
            let forward = registry::ELEMENTS.iter().find(|row| {
                row.0 == 0
                    && row.2.len() == rest.len()
                    && row.2.eq_ignore_ascii_case(rest)
                    && is_reversible(row.1)
            });
            if let Some(row) = forward {
                return Some(Self::reverse(row.1));
            }
        }
        registry::ELEMENTS
            .iter()
            .find(|row| row.2 == name)
            .map(|row| Self {
                pen: row.0,
                id: row.1,
            })
    }

    /// `sourceIPv4Address`, or `e<pen>_i<id>` for an unknown element (FF-IX-17).
    pub fn column_name(self) -> String {
        match self.describe() {
            Some(element) => element.name.into_owned(),
            None => format!("e{}_i{}", self.pen, self.id),
        }
    }
}

/// Names of all known elements, for suggestions.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    registry::ELEMENTS.iter().map(|row| row.2)
}

/// Whether a known element, or the reverse of one, has this name.
pub(crate) fn is_known_name(name: &str) -> bool {
    let forward = name.strip_prefix("reverse").unwrap_or(name);
    names().any(|known| known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(forward))
}

/// FF-BI-02: configuration, statistics and identity elements have no reverse (RFC 5103 section 6.1).
fn is_reversible(id: u32) -> bool {
    !matches!(id, 40..=42 | 130 | 131 | 137 | 145 | 148 | 149 | 163..=168 | 173 | 210..=217 | 239)
}

/// One registry entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InformationElement {
    /// Its number.
    pub id: ElementId,
    /// Its registry name.
    pub name: Cow<'static, str>,
    /// Its abstract data type.
    pub data_type: AbstractDataType,
}

/// The names of an element's values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Enumeration {
    /// Sorted.
    values: &'static [u8],
    /// Of each value, at most 128.
    pub(crate) names: &'static [&'static str],
}

impl Enumeration {
    /// Which of the names a value has; `None` if it is reserved, unassigned, or too large to be assigned.
    pub(crate) fn find(&self, value: u64) -> Option<u8> {
        let value = u8::try_from(value).ok()?;
        let found = self.values.binary_search(&value).ok()?;
        u8::try_from(found).ok()
    }
}

/// A row of the generated table: pen, id, name, data type.
struct Row(u32, u32, &'static str, AbstractDataType);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_binary_search() {
        assert!(
            registry::ELEMENTS
                .windows(2)
                .all(|w| (w[0].0, w[0].1) < (w[1].0, w[1].1))
        );
        assert!(
            registry::NETFLOW9_ALIASES
                .windows(2)
                .all(|w| w[0].0 < w[1].0)
        );
    }

    #[test]
    fn names_of_values() {
        // FF-NAT-01; RFC 8158, RFC 5102: the number alone in the first and last row of each.
        let name =
            |of: &Enumeration, value| of.find(value).map(|found| of.names[usize::from(found)]);
        use enumerations::*;
        assert_eq!(name(&NAT_EVENT, 16), Some("Port block allocation"));
        assert_eq!((name(&NAT_EVENT, 0), name(&NAT_EVENT, 19)), (None, None));
        assert_eq!(name(&FORWARDING_STATUS, 0x81), Some("Dropped: ACL deny"));
        assert_eq!(name(&FORWARDING_STATUS, 0x181), None);
        for each in [
            &NAT_EVENT,
            &NAT_QUOTA_EXCEEDED_EVENT,
            &NAT_THRESHOLD_EVENT,
            &NAT_TYPE,
            &NAT_ORIGINATING_ADDRESS_REALM,
            &FIREWALL_EVENT,
            &FLOW_END_REASON,
            &FORWARDING_STATUS,
        ] {
            assert_eq!(each.values.len(), each.names.len());
            assert!(each.names.len() <= 128 && each.values.is_sorted());
        }
    }

    #[test]
    fn sflow_fields_that_the_code_names() {
        for (id, name) in [
            (sflow::IN_FORMAT, "in_format"),
            (sflow::IN_VALUE, "in_value"),
            (sflow::OUT_FORMAT, "out_format"),
            (sflow::OUT_VALUE, "out_value"),
            (sflow::DISCARD_REASON_NAME, "discard_reason_name"),
            (sflow::FRAME_LENGTH, "frame_length"),
            (sflow::IP_LENGTH, "ip_length"),
            (sflow::SAMPLING_INTERVAL_S, "sampling_interval_s"),
            (sflow::TUNNEL_ID, "tunnel_id"),
            (sflow::VNI_EGRESS, "vni_egress"),
            (sflow::VNI_INGRESS, "vni_ingress"),
        ] {
            assert_eq!(ElementId::iana(id).column_name(), name);
        }
    }

    #[test]
    fn reverse_elements_are_computed() {
        // RFC 5103 section 6.1; FF-BI-01, FF-BI-02.
        let reverse = ElementId::reverse(1).describe().unwrap();
        assert_eq!(
            (&*reverse.name, reverse.data_type),
            ("reverseOctetDeltaCount", AbstractDataType::Unsigned64)
        );
        assert_eq!(
            ElementId::by_name("reverseOctetDeltaCount"),
            Some(ElementId::reverse(1))
        );
        assert_eq!(ElementId::reverse(148).describe(), None);
        assert_eq!(ElementId::reverse(148).column_name(), "e29305_i148");
    }

    #[test]
    fn netflow9_types_without_enterprise_bit() {
        // FF-V9-17, FF-V9-18: 40000 is a vendor's type, not enterprise element 7232.
        assert_eq!(ElementId::netflow9(40000).column_name(), "userName");
        assert_eq!(ElementId::netflow9(40001), ElementId::iana(225));
        assert_eq!(ElementId::netflow9(8), ElementId::iana(8));
        assert_eq!(ElementId::netflow9(60001).column_name(), "e0_i60001");
        assert_eq!(ElementId::netflow9_scope(1).column_name(), "scope_system");
    }
}
