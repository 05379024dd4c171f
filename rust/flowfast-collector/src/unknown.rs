//! Elements in no registry: each is told once for a Transport Session (RFC 7011 section 9, FF-IX-17).

use std::collections::HashSet;
use std::net::IpAddr;

use flowfast_decode::{ElementId, ExporterSummary};

/// Elements that are remembered as told. Beyond them new ones are told no more, for exporters choose what they send.
const MAX_TOLD: usize = 10_000;

/// An element that is in no registry, and the Transport Session and Observation Domain whose template has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnknownElement {
    /// Source address.
    pub exporter: IpAddr,
    /// Source UDP port.
    pub exporter_port: u16,
    /// Observation Domain.
    pub domain: u32,
    /// The element.
    pub element: ElementId,
}

/// What has been told.
#[derive(Debug, Default)]
pub(crate) struct Told(HashSet<UnknownElement>);

impl Told {
    /// Elements that have not been told, `limit` at most; they now have.
    pub(crate) fn news<'a>(
        &mut self,
        exporters: impl Iterator<Item = &'a ExporterSummary>,
        limit: usize,
    ) -> Vec<UnknownElement> {
        let unknown = exporters.flat_map(|each| {
            (each.unknown_elements.iter()).map(|&(exporter_port, element)| UnknownElement {
                exporter: each.exporter,
                exporter_port,
                domain: each.domain,
                element,
            })
        });
        let news = unknown.filter(|each| self.0.len() < MAX_TOLD && self.0.insert(*each));
        news.take(limit).collect()
    }
}
