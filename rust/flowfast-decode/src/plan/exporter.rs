//! The Exporter that a record names: the original one (RFC 7119 section 4), else the one that it is from (FF-Q-10).

use arrow_schema::DataType;

use super::{FamilyValue, FieldSource, Layout, Op};
use crate::batch::mapped;
use crate::column::Address;
use crate::convert::Convert;
use crate::element::ElementId;
use crate::kernel::Tile;

/// originalExporterIPv4Address and originalExporterIPv6Address, then exporterIPv4Address and exporterIPv6Address.
const ELEMENTS: [[u32; 2]; 2] = [[403, 404], [130, 131]];

/// Where a record names an Exporter: an IPv4 address, an IPv6 address or, whatever version the flow has, either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NamedExporter {
    ipv4: Option<FieldSource>,
    ipv6: Option<FieldSource>,
}

impl NamedExporter {
    /// `None` if records name none.
    pub(crate) fn find(layout: &Layout<'_>) -> Option<Self> {
        let field = |id, width| {
            let (source, _, arrow, _) = layout.legal(ElementId::iana(id))?;
            let is_whole = arrow == DataType::FixedSizeBinary(width);
            (is_whole && !matches!(source, FieldSource::Piece { .. })).then_some(source)
        };
        ELEMENTS.iter().find_map(|&[ipv4, ipv6]| {
            let (ipv4, ipv6) = (field(ipv4, 4), field(ipv6, 16));
            (ipv4.is_some() || ipv6.is_some()).then_some(Self { ipv4, ipv6 })
        })
    }

    /// Whom a record names: by the IPv6 address if it is set. `None`: neither is.
    pub(crate) fn read(&self, tile: &Tile<'_>, record: usize) -> Option<Address> {
        let ipv6 = self
            .ipv6
            .and_then(|source| Address::try_from(tile.field(record, source)).ok())
            .filter(|address| *address != Address::default());
        let ipv4 = || {
            let octets: [u8; 4] = tile.field(record, self.ipv4?).try_into().ok()?;
            (octets != [0; 4]).then(|| mapped(octets.into()))
        };
        ipv6.or_else(ipv4)
    }

    /// Shows it in a column.
    pub(super) fn op(self, column: usize) -> Option<Op> {
        let field = |source, convert| Op::Field {
            column,
            source,
            convert,
        };
        Some(match (self.ipv4, self.ipv6) {
            (Some(ipv4), Some(ipv6)) => Op::EitherFamily {
                column,
                ipv4,
                ipv6,
                ip_version: None,
                what: FamilyValue::Address,
            },
            (Some(ipv4), None) => field(ipv4, Convert::MappedIpv4),
            (None, Some(ipv6)) => field(ipv6, Convert::Fixed),
            (None, None) => return None,
        })
    }
}
