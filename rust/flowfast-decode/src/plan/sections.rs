//! Packet sections (PSAMP: RFC 5477 section 8.4, spec 2.10): fields that are the start of a packet.

use super::{FieldSource, Layout};
use crate::bytes::be_uint;
use crate::element::{ElementId, sflow};
use crate::kernel::Tile;
use crate::wire::packet::header_protocol;

/// Elements that hold the start of a packet, the outermost header first. v9's 104 is the same as 315.
const SECTIONS: [(u32, Start); 4] = [
    (315, Start::Frame),
    (104, Start::Frame),
    (316, Start::LabelStack),
    (313, Start::IpHeader),
];

/// What a section begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Frame,
    LabelStack,
    IpHeader,
}

/// The packet section of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SectionField {
    source: FieldSource,
    start: Start,
    /// 408 dataLinkFrameType, 409 sectionOffset, 410 sectionExportedOctets.
    frame_type: Option<FieldSource>,
    offset: Option<FieldSource>,
    exported: Option<FieldSource>,
    /// Records are packets and not flows: they have no times of a first and a last one.
    pub(crate) is_packet: bool,
}

impl SectionField {
    /// `None` if the template has none. Nor have sFlow's samples: their packet was read by its header protocol when they were.
    pub(crate) fn find(layout: &Layout<'_>) -> Option<Self> {
        let source = |id| layout.find(ElementId::iana(id)).map(|(source, _)| source);
        if source(sflow::HEADER_PROTOCOL).is_some() {
            return None;
        }
        let (source_of, start) = SECTIONS
            .iter()
            .find_map(|&(id, start)| Some((source(id)?, start)))?;
        let is_flow = [21, 22]
            .into_iter()
            .chain(150..=159)
            .any(|id| source(id).is_some());
        Some(Self {
            source: source_of,
            start,
            frame_type: source(408),
            offset: source(409),
            exported: source(410),
            is_packet: !is_flow,
        })
    }

    /// The fields that it is read from.
    pub(super) fn sources(&self) -> impl Iterator<Item = FieldSource> {
        let beside = [self.frame_type, self.offset, self.exported];
        [Some(self.source)].into_iter().chain(beside).flatten()
    }

    /// sFlow's number of the header that the section of a record begins with, and the section; `None` if it begins with
    /// none that can be read.
    pub(crate) fn read<'a>(&self, tile: &Tile<'a>, record: usize) -> Option<(u32, &'a [u8])> {
        let value = |source| be_uint(tile.field(record, source)).0;
        // FF-PS-04: an offset that is not there is 0.
        if self.offset.map(value).unwrap_or_default() != 0 {
            return None;
        }
        let mut section = tile.field(record, self.source);
        // FF-PS-04: what follows is padding.
        if let Some(exported) = self
            .exported
            .and_then(|source| usize::try_from(value(source)).ok())
        {
            section = section.get(..exported).unwrap_or(section);
        }
        let protocol = match (self.start, section.first()? >> 4) {
            // 1 is Ethernet (IANA's dataLinkFrameType), which it is where nothing is said.
            (Start::Frame, _) if self.frame_type.map(value).unwrap_or(1) == 1 => {
                header_protocol::ETHERNET
            }
            (Start::LabelStack, _) => header_protocol::MPLS,
            (Start::IpHeader, 4) => header_protocol::IPV4,
            (Start::IpHeader, 6) => header_protocol::IPV6,
            _ => return None,
        };
        Some((protocol, section))
    }
}
